//! Where the key of a vault is.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use rsa::rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use super::write_new;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::sessions_file::VaultKeyRef;
use crate::native::{run, secrets};

/// How long a program may take to give the key: a keyring may have to be unlocked by a person.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);
/// The key's name in the kernel's keyring.
#[cfg(target_os = "linux")]
const KEYRING_NAME: &str = "outlast:vault-key";

/// The key of a vault: 32 bytes.
#[derive(Clone)]
pub enum VaultKey {
    /// A file for its owner alone, made when it is needed.
    File(PathBuf),
    /// An environment variable, in base64 or hex.
    Env(String),
    /// What a program prints, in base64 or hex.
    Command(Vec<String>),
    /// The kernel's keyring of this user: never on a disk, gone after a restart.
    Keyring,
    /// The caller's.
    Given(Secret<[u8; 32]>),
}

impl VaultKey {
    /// The key that a sessions file names.
    ///
    /// Errors: `State` when there is no home directory for the default key file.
    pub fn of(reference: &VaultKeyRef) -> Result<VaultKey, Error> {
        Ok(match reference {
            VaultKeyRef::Default => VaultKey::File(default_key_file()?),
            VaultKeyRef::File(path) => VaultKey::File(path.clone()),
            VaultKeyRef::Env(name) => VaultKey::Env(name.clone()),
            VaultKeyRef::Command(argv) => VaultKey::Command(argv.clone()),
            VaultKeyRef::Keyring => VaultKey::Keyring,
        })
    }

    /// The key, if there is one.
    pub(super) fn open(&self) -> Result<Option<Secret<[u8; 32]>>, Error> {
        match self {
            VaultKey::File(path) => {
                match std::fs::metadata(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Ok(facts) if facts.mode() & 0o077 != 0 => {
                        return Err(self.wrong("can be read by others; make it private (chmod 600)"));
                    }
                    _ => {}
                }
                self.parse(&secrets::read(path)?).map(Some)
            }
            VaultKey::Env(name) => match std::env::var(name) {
                Ok(text) => self.parse(&Zeroizing::new(text.into_bytes())).map(Some),
                Err(_) => Ok(None),
            },
            VaultKey::Command(argv) => self.parse(&run::output(argv, COMMAND_LIMIT)?).map(Some),
            VaultKey::Keyring => self.read_keyring(),
            VaultKey::Given(key) => Ok(Some(key.clone())),
        }
    }

    /// The key; a key file or the keyring's entry is made if it is not there.
    pub(super) fn open_or_make(&self) -> Result<Secret<[u8; 32]>, Error> {
        if let Some(key) = self.open()? {
            return Ok(key);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(&mut *bytes);
        match self {
            VaultKey::File(path) => {
                let text = Zeroizing::new(format!("{}\n", STANDARD.encode(*bytes)));
                match make(path, text.as_bytes()) {
                    // Somebody else made it in this moment: theirs it is.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        return self.open()?.ok_or_else(|| self.wrong("was made and removed just now"));
                    }
                    Err(error) => return Err(self.wrong(&format!("cannot be made: {error}"))),
                    Ok(()) => {}
                }
            }
            VaultKey::Keyring => self.write_keyring(&bytes)?,
            _ => return Err(self.wrong("is not there")),
        }
        Ok(Secret::new(*bytes))
    }

    fn parse(&self, text: &[u8]) -> Result<Secret<[u8; 32]>, Error> {
        let form =
            "must be 32 random bytes in base64 or hex, as `head -c 32 /dev/urandom | base64` prints them";
        let wrong = || self.wrong(form);
        let text = std::str::from_utf8(text).map_err(|_| wrong())?.trim();
        let bytes = Zeroizing::new(match text.len() {
            64 => (0..32)
                .map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok())
                .collect::<Option<Vec<u8>>>()
                .ok_or_else(wrong)?,
            _ => [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
                .iter()
                .find_map(|engine| engine.decode(text).ok())
                .ok_or_else(wrong)?,
        });
        <[u8; 32]>::try_from(bytes.as_slice()).map(Secret::new).map_err(|_| wrong())
    }

    #[cfg(target_os = "linux")]
    fn read_keyring(&self) -> Result<Option<Secret<[u8; 32]>>, Error> {
        use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
        let ring =
            KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(|error| self.no_ring(error))?;
        let key = match ring.search(KEYRING_NAME) {
            Ok(key) => key,
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => return Ok(None),
            Err(error) => return Err(self.no_ring(error)),
        };
        let bytes = Zeroizing::new(key.read_to_vec().map_err(|error| self.no_ring(error))?);
        self.parse(&bytes).map(Some)
    }

    #[cfg(target_os = "linux")]
    fn write_keyring(&self, key: &[u8; 32]) -> Result<(), Error> {
        use linux_keyutils::{KeyRing, KeyRingIdentifier};
        let ring =
            KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(|error| self.no_ring(error))?;
        let text = Zeroizing::new(STANDARD.encode(key));
        ring.add_key(KEYRING_NAME, &text.as_bytes()).map(drop).map_err(|error| self.no_ring(error))
    }

    #[cfg(target_os = "linux")]
    fn no_ring(&self, error: linux_keyutils::KeyError) -> Error {
        self.wrong(&format!(
            "cannot be used here ({error}; containers often forbid it); set vault_key to file:PATH or command:…"
        ))
    }

    #[cfg(not(target_os = "linux"))]
    fn read_keyring(&self) -> Result<Option<Secret<[u8; 32]>>, Error> {
        Err(self.wrong("is Linux's; set vault_key to file:PATH or command:…"))
    }

    #[cfg(not(target_os = "linux"))]
    fn write_keyring(&self, _key: &[u8; 32]) -> Result<(), Error> {
        self.read_keyring().map(drop)
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{self} {what}"))
    }
}

/// Where it is, never the key.
impl fmt::Display for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VaultKey::File(path) => write!(f, "the key file {}", path.display()),
            VaultKey::Env(name) => write!(f, "the key in the environment variable {name}"),
            VaultKey::Command(argv) => {
                write!(f, "the key that {} prints", argv.first().map_or("a program", String::as_str))
            }
            VaultKey::Keyring => f.write_str("the kernel's keyring"),
            VaultKey::Given(_) => f.write_str("the caller's key"),
        }
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({self})")
    }
}

/// `$XDG_CONFIG_HOME/outlast/vault.key`, else `~/.config/outlast/vault.key`.
///
/// Errors: `State` when neither variable names an absolute path.
pub fn default_key_file() -> Result<PathBuf, Error> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("outlast/vault.key")).ok_or_else(|| {
        Error::new(ErrorKind::State, "there is no home directory for the vault's key; set vault_key")
    })
}

/// Makes the key file whole or not at all: whoever finds it finds a key.
fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let dir = path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Several sessions of one process may need it in the same moment.
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = dir.join(format!(".vault-key.{}.{count}.tmp", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let made = write_new(&temporary, bytes).and_then(|()| std::fs::hard_link(&temporary, path));
    let _ = std::fs::remove_file(&temporary);
    made?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_32_bytes_in_any_usual_spelling() {
        let key = VaultKey::Env("X".into());
        let hex = "00ff".repeat(16);
        let bytes: Vec<u8> = [0u8, 255].repeat(16);
        let spellings =
            [hex.clone(), STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes), format!("{hex}\n")];
        for text in spellings {
            assert_eq!(key.parse(text.as_bytes()).expect("a key").expose().as_slice(), bytes, "{text}");
        }
        for text in ["", "hunter2", &"0".repeat(63), &"zz".repeat(32), &STANDARD.encode([1; 31])] {
            let error = key.parse(text.as_bytes()).expect_err("no key");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("new/vault.key");
        let key = VaultKey::File(path.clone());
        assert!(key.open().expect("not there").is_none());
        let made = key.open_or_make().expect("ours");
        assert_eq!(key.open_or_make().expect("ours").expose(), made.expose());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(key.open().expect_err("others").to_string().contains("chmod 600"));
    }

    #[test]
    fn many_threads_make_one_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let keys: std::collections::BTreeSet<[u8; 32]> = std::thread::scope(|scope| {
            let make = || {
                let key = VaultKey::File(dir.path().join("new/vault.key"));
                *key.open_or_make().expect("one of them makes it").expose()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn the_keyring_works_or_says_why_not() {
        match VaultKey::Keyring.open_or_make() {
            Ok(key) => {
                assert_eq!(VaultKey::Keyring.open().expect("made").expect("made").expose(), key.expose());
            }
            Err(error) => assert!(error.to_string().contains("set vault_key"), "{error}"),
        }
    }
}
