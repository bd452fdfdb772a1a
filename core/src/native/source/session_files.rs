//! The files of `oci session authenticate`: a private key and a token that other programs may rewrite at any moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Abilities, Patience, Source, Wire};
use crate::engine::claims::session_grant;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::sign::SigningKey;
use crate::engine::wire::auth;
use crate::native::lockfile::{hex, private_dir, wait_for};

/// Files are written one after the other, each truncated first: what does not fit together may fit in a moment.
const LOOKS: u32 = 6;
/// Time between these looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Keys and tokens have a few KiB; more is some other file, bytes.
const MAX_FILE: u64 = 256 << 10;

/// A key file and a token file.
pub struct OciSessionFiles {
    key_file: PathBuf,
    key_passphrase: Option<Secret<String>>,
    token_file: PathBuf,
    write: bool,
    title: String,
    state_dir: Option<PathBuf>,
    /// The key as last read, with the SHA-256 of its file: deriving a key from a passphrase takes its time.
    key: Mutex<Option<([u8; 32], Arc<SigningKey>)>>,
    /// The token that was exchanged last: only this one may be replaced in the file.
    exchanged: Mutex<Option<Secret<String>>>,
}

impl OciSessionFiles {
    /// `write`: whether a refreshed token goes back to `token_file`. `state_dir` takes the lock when the token's
    /// directory cannot be written to.
    pub fn new(
        key_file: PathBuf,
        key_passphrase: Option<Secret<String>>,
        token_file: PathBuf,
        write: bool,
        title: String,
        state_dir: Option<PathBuf>,
    ) -> Self {
        OciSessionFiles {
            key_file,
            key_passphrase,
            token_file,
            write,
            title,
            state_dir,
            key: Mutex::new(None),
            exchanged: Mutex::new(None),
        }
    }

    fn look(&self) -> Result<Grant, Error> {
        // Key before token, as they are written: a new key with an old token is noticed, not the other way round.
        let key = self.key()?;
        let token = read(&self.token_file, "session token")?;
        let token = std::str::from_utf8(&token).unwrap_or_default();
        if token.trim().is_empty() {
            return Err(self.sign_in(&format!("the session token {} is empty", self.token_file.display())));
        }
        session_grant(token, key).map_err(|error| error.during(&self.token_file.display().to_string()))
    }

    fn key(&self) -> Result<Arc<SigningKey>, Error> {
        let pem = read(&self.key_file, "private key")?;
        let hash: [u8; 32] = Sha256::digest(&pem).into();
        if let Some((known, key)) = &*lock(&self.key)
            && *known == hash
        {
            return Ok(Arc::clone(key));
        }
        let passphrase = self.key_passphrase.as_ref().map(|secret| secret.expose().as_str());
        let key = SigningKey::from_pem(&pem, passphrase)
            .map_err(|error| error.during(&self.key_file.display().to_string()))?;
        let key = Arc::new(key);
        *lock(&self.key) = Some((hash, Arc::clone(&key)));
        Ok(key)
    }

    fn sign_in(&self, what: &str) -> Error {
        Error::new(ErrorKind::SignInNeeded, format!("{what}; {}", self.abilities().remedy))
    }

    /// Replaces the token in one step, in the directory of the file that the path finally names.
    fn write_token(&self, token: &str) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let path = fs::canonicalize(&self.token_file)?;
        let (dir, name) = split(&path)?;
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = dir.join(format!(".{name}.outlast.{}.{count}.tmp", std::process::id()));
        let result = write_new(&temporary, token.as_bytes()).and_then(|()| fs::rename(&temporary, &path));
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result?;
        File::open(dir)?.sync_all()
    }

    /// Whether the file still holds the token we exchanged: somebody may have signed in meanwhile.
    fn is_replaced(&self) -> bool {
        let exchanged = lock(&self.exchanged);
        let Some(ours) = &*exchanged else { return false };
        let Ok(now) = read(&self.token_file, "session token") else { return false };
        let now = std::str::from_utf8(&now).unwrap_or_default().trim();
        // An empty file is one that is being written, or a failed write: ours is better than nothing.
        !now.is_empty() && now != ours.expose()
    }

    fn lock_paths(&self) -> Vec<PathBuf> {
        let real = fs::canonicalize(&self.token_file).unwrap_or_else(|_| self.token_file.clone());
        let mut paths = Vec::new();
        if let Ok((dir, name)) = split(&real) {
            paths.push(dir.join(format!(".{name}.outlast.lock")));
        }
        if let Some(state_dir) = &self.state_dir {
            let digest = Sha256::digest(real.as_os_str().as_bytes());
            let name = hex(&digest[..16]);
            paths.push(state_dir.join("locks").join(format!("{name}.lock")));
        }
        paths
    }
}

impl Source for OciSessionFiles {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: self.title.clone(),
            remedy: "sign in again with `oci session authenticate`".into(),
            can_exchange: true,
            can_store: self.write,
            can_sign_in: true,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let mut looks = 1;
        loop {
            match self.look() {
                Ok(grant) => return Ok(Some(grant)),
                Err(error) if looks == LOOKS => return Err(error),
                Err(_) => {
                    looks += 1;
                    std::thread::sleep(LOOK_EVERY);
                }
            }
        }
    }

    fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        let mut last = None;
        for path in self.lock_paths() {
            if let (Some(state_dir), Some(dir)) = (&self.state_dir, path.parent())
                && dir.starts_with(state_dir)
                && let Err(error) = private_dir(dir)
            {
                last = Some((path, error));
                continue;
            }
            match wait_for(&path, patience) {
                Ok(Some(lock)) => return Ok(Box::new(lock)),
                Ok(None) => {
                    let message = format!("another process holds the lock {} for too long", path.display());
                    return Err(Error::new(ErrorKind::Busy, message));
                }
                // A directory that cannot be written to: the next place.
                Err(error) => last = Some((path, error)),
            }
        }
        match last {
            Some((path, error)) => Err(Error::new(
                ErrorKind::State,
                format!("the lock {} cannot be taken: {error}", path.display()),
            )),
            None => Ok(Box::new(())),
        }
    }

    fn exchange(&self, held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let Some(Credential::OciSession { token, key }) = held.map(|grant| &grant.credential) else {
            let error = self.sign_in("there is no session token to refresh");
            return Err(ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None });
        };
        *lock(&self.exchanged) = Some(token.clone());
        let credential = &held.expect("matched above").credential;
        let next = wire.ask(auth::refresh(token), credential, auth::parse_refresh)?;
        session_grant(next.expose(), Arc::clone(key)).map_err(|error| ExchangeFailure {
            class: ExchangeClass::Ambiguous,
            error: error.during("refreshing the session"),
            retry_after: None,
        })
    }

    fn store(&self, grant: &Grant) -> Result<(), Error> {
        let Credential::OciSession { token, .. } = &grant.credential else { return Ok(()) };
        if !self.write || self.is_replaced() {
            return Ok(());
        }
        self.write_token(token.expose()).map_err(|error| {
            Error::new(ErrorKind::State, format!("{} cannot be written: {error}", self.token_file.display()))
        })
    }

    fn watch(&self) -> Vec<PathBuf> {
        vec![self.token_file.clone(), self.key_file.clone()]
    }

    fn check(&self, grant: &Grant, wire: &Wire<'_>) -> Result<(), Error> {
        wire.check_storage(&grant.credential)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |error: &io::Error| {
        let kind =
            if error.kind() == io::ErrorKind::NotFound { ErrorKind::SignInNeeded } else { ErrorKind::Config };
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Error::new(kind, format!("the {what} {} cannot be read: {why}", path.display()))
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|e| unreadable(&e))?;
    if !file.metadata().map_err(|e| unreadable(&e))?.is_file() {
        return Err(unreadable(&io::Error::other("it is not a regular file")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    Ok(bytes)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn split(path: &Path) -> io::Result<(&Path, String)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    path.parent().zip(name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))
}
