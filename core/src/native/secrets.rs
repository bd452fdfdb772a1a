//! Secrets that a sessions file names: read when they are needed, wiped when they are not.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::run;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::sessions_file::SecretRef;

/// Largest secret file, bytes.
const MOST: u64 = 256 << 10;
/// How long a program may take to print a secret: it may ask a person to unlock a keyring.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);

/// The secret. `what` names it in messages, for example `client_secret`.
///
/// Errors: `Config`, `Source`, `Timeout`: one line that names where it should be, never the secret.
pub fn resolve(secret: &SecretRef, what: &str) -> Result<Secret<String>, Error> {
    let text = match secret {
        SecretRef::Inline(secret) => return Ok(secret.clone()),
        SecretRef::File(path) => read(path)?,
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(value) => Zeroizing::new(value.into_bytes()),
            Err(std::env::VarError::NotPresent) => {
                return Err(config(&format!("{what}: the environment variable {name} is not set")));
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(config(&format!("{what}: the environment variable {name} is not text")));
            }
        },
        SecretRef::Command(argv) => run::output(argv, COMMAND_LIMIT).map_err(|error| error.during(what))?,
    };
    let text = std::str::from_utf8(&text).map_err(|_| config(&format!("{what} is not UTF-8 text")))?;
    // Editors and `echo` end a file with a line end; a secret does not.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(config(&format!("{what} is empty")));
    }
    Ok(Secret::new(text.to_owned()))
}

/// A file's content. Whoever may replace the file may use a link, so links are followed; devices and pipes are not read.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |why: &str| config(&format!("{} cannot be read: {why}", path.display()));
    let told = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("it does not exist"),
        std::io::ErrorKind::PermissionDenied => failed("permission denied"),
        _ => failed(&error.to_string()),
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| told(&error))?;
    if !file.metadata().map_err(|error| told(&error))?.is_file() {
        return Err(failed("it is not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 << 10));
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| told(&error))?;
    if bytes.len() as u64 > MOST {
        return Err(failed("it is larger than 256 KiB"));
    }
    Ok(bytes)
}

fn config(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_where_they_are_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("secret");
        std::fs::write(&path, "hunter2 \r\n\n").expect("the directory is ours");
        let file = SecretRef::File(path);
        assert_eq!(resolve(&file, "x").expect("it is there").expose(), "hunter2 ");
        let command = SecretRef::Command(["/bin/echo", "hunter2"].map(str::to_owned).to_vec());
        assert_eq!(resolve(&command, "x").expect("it prints").expose(), "hunter2");
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("the directory is ours");
            SecretRef::File(path)
        };
        for (secret, words) in [
            (SecretRef::File(dir.path().join("none")), "does not exist"),
            (SecretRef::File(dir.path().to_owned()), "not a regular file"),
            (SecretRef::File("/dev/zero".into()), "not a regular file"),
            (file("empty", b"\n"), "x is empty"),
            (file("binary", b"\xff"), "not UTF-8"),
            (file("large", &vec![b'x'; 300_000]), "larger than 256 KiB"),
            (SecretRef::Env("OUTLAST_NO_SUCH_VARIABLE".into()), "is not set"),
            (SecretRef::Command(vec!["/bin/false".into()]), "failed"),
        ] {
            let error = resolve(&secret, "x").expect_err(words);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
