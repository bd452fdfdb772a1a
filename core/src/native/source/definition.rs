//! Finding a session in the sessions file, for whoever opens one by its name.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::engine::error::{Error, ErrorKind};
use crate::engine::sessions_file::{Places, SessionDef, SessionsFile, check_name};

/// Longest sessions file that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the session `name` from `sessions_file`; not given: `$OUTLAST_SESSIONS`, else
/// `$XDG_CONFIG_HOME/outlast/sessions.conf`, else `~/.config/outlast/sessions.conf`.
///
/// Nothing is read of its secrets, and nothing is sent. `allow_http`: addresses of other machines may be plain http.
/// Errors: `InvalidInput` (a name that cannot be one), `Config` (no such file or section, what is wrong in it by line and
/// key, a secret in it that others can read).
pub fn definition(name: &str, sessions_file: Option<&Path>, allow_http: bool) -> Result<SessionDef, Error> {
    check_name(name)?;
    let path = sessions_file.map_or_else(default_path, |path| Ok(path.to_owned()))?;
    let named = |error: Error| error.during(&path.display().to_string());
    let Some((text, is_open)) = read(&path).map_err(named)? else {
        return Err(config(format!(
            "there is no sessions file {}; a session is a section of it, for example [work] with issuer, client_id and scope",
            path.display()
        )));
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let dir = path.parent().unwrap_or(Path::new("."));
    let places = Places { home: home.as_deref(), dir, allow_http };
    let def = SessionsFile::parse(&text).and_then(|file| file.session(name, places)).map_err(named)?;
    if def.has_inline_secret() && is_open {
        return Err(config(format!(
            "{} holds a secret and can be read by others; make it private (chmod 600) or name the secret by …_file, …_env or …_command",
            path.display()
        )));
    }
    Ok(def)
}

fn default_path() -> Result<PathBuf, Error> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = var("OUTLAST_SESSIONS") {
        return Ok(path);
    }
    let base = var("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| var("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("outlast/sessions.conf")).ok_or_else(|| {
        config("there is no home directory to find the sessions file in; say where it is (--sessions-file)")
    })
}

/// The file's text, wiped after use since it may hold secrets, and whether others than its owner can read it.
fn read(path: &Path) -> Result<Option<(zeroize::Zeroizing<String>, bool)>, Error> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(config("permission denied"));
        }
        Err(error) => return Err(config(error.to_string())),
    };
    // Of the file that is read, whatever becomes of its name meanwhile.
    let is_open = is_open(&file).map_err(|error| config(error.to_string()))?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => config("it is a directory"),
        _ => config(error.to_string()),
    })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(config("it is too large"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| config("it is not UTF-8 text"))?;
    Ok(Some((zeroize::Zeroizing::new(text.to_owned()), is_open)))
}

#[cfg(unix)]
fn is_open(file: &std::fs::File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_file: &std::fs::File) -> io::Result<bool> {
    Ok(false)
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::engine::sessions_file::Kind;

    #[test]
    fn a_session_is_found_by_its_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s.conf");
        std::fs::write(
            &path,
            "[pod]\nfile = token\n[open]\nissuer = https://as.example\nclient_id = c\nclient_secret = x\n",
        )
        .expect("the directory is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("the file is ours");
        let pod = definition("pod", Some(&path), false).expect("it is there");
        assert!(matches!(pod.kind, Kind::File(def) if def.path == dir.path().join("token")));
        let words = |name: &str, path: &Path| {
            let error = definition(name, Some(path), false).expect_err("it cannot be used");
            (error.kind(), error.to_string())
        };
        let (kind, line) = words("open", &path);
        assert!(kind == ErrorKind::Config && line.contains("can be read by others"), "{line}");
        let (kind, line) = words("none", &path);
        assert!(kind == ErrorKind::Config && line.contains("the file has pod, open"), "{line}");
        assert_eq!(words("../x", &path).0, ErrorKind::InvalidInput);
        assert!(words("pod", &dir.path().join("none")).1.contains("there is no sessions file"));
        assert!(words("pod", dir.path()).1.contains("directory"));
    }
}
