//! Stored sign-ins: one sealed file per session, for its owner alone, replaced in one step, locked between processes.
//!
//! A file is one line, `outlast-vault 1 KEY-ID NONCE CIPHERTEXT`: XChaCha20-Poly1305 over a JSON record, with the file's
//! head and the session's name as associated data, so that a file that was renamed or put together does not open. The
//! key is never beside it ([`VaultKey`]).
//!
//! What cannot be opened is left as it is: a wrong key or another program's file loses nothing.

mod key;
mod record;
mod seal;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use key::{VaultKey, default_key_file};
pub use record::{Record, StoredIntent};

use super::lockfile::{private_dir, wait_for};
use super::secrets;
use super::source::Patience;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::sessions_file::check_name;

/// One session's place in the vault.
#[derive(Debug)]
pub struct Vault {
    name: String,
    dir: PathBuf,
    key: VaultKey,
}

impl Vault {
    /// The place of the session `name` in `state_dir`. Nothing is touched yet.
    ///
    /// Errors: `InvalidInput` (name).
    pub fn new(name: &str, state_dir: &Path, key: VaultKey) -> Result<Vault, Error> {
        check_name(name)?;
        Ok(Vault { name: name.to_owned(), dir: state_dir.join("vault"), key })
    }

    /// The place of a job of the session `name`: beside the session's, with the key of its own name.
    ///
    /// Errors: `InvalidInput` (either name).
    pub fn of_job(name: &str, job: &str, state_dir: &Path, key: VaultKey) -> Result<Vault, Error> {
        check_name(name)?;
        check_name(job).map_err(|_| {
            Error::new(
                ErrorKind::InvalidInput,
                "a job's name has 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit",
            )
        })?;
        // No session has a name with that sign.
        Ok(Vault { name: format!("{name}@{job}"), dir: state_dir.join("vault"), key })
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.sealed", self.name))
    }

    /// What is stored; `None` when nothing is.
    ///
    /// Errors: `State`: the file cannot be read, is none of ours, is damaged, or was sealed with another key; in each case
    /// it is left as it is.
    pub fn read(&self) -> Result<Option<Record>, Error> {
        let path = self.path();
        match fs::symlink_metadata(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.state(&format!("cannot be read: {error}"))),
        }
        let text = secrets::read(&path).map_err(|error| Error::new(ErrorKind::State, error.message()))?;
        let sealed = seal::Sealed::parse(&text).ok_or_else(|| {
            self.state("is not a stored sign-in of this program, or was damaged; it was left as it is")
        })?;
        if sealed.version != seal::VERSION {
            let version = sealed.version;
            return Err(self.state(&format!("has version {version}; a newer outlast wrote it")));
        }
        let key = self.key.open()?.ok_or_else(|| {
            self.state(&format!("needs its key, and {} is not there; it was left as it is", self.key))
        })?;
        let text = sealed.open(&key, &self.name).map_err(|failure| {
            self.state(match failure {
                seal::OpenFailure::OtherKey => {
                    "was sealed with another key; give the right one (vault_key), or sign in again after moving it away"
                }
                seal::OpenFailure::Damaged => {
                    "was damaged or belongs to another session; it was left as it is; move it away and sign in again"
                }
            })
        })?;
        Record::from_json(&text).map(Some).ok_or_else(|| {
            self.state("holds something that this program did not write; it was left as it is")
        })
    }

    /// Replaces what is stored, durably: temporary file, fsync, rename, fsync of the directory. Mode 0600.
    ///
    /// Errors: `State`, `Config` (key); what was stored stays.
    pub fn write(&self, record: &Record) -> Result<(), Error> {
        self.prepare()?;
        let key = self.key.open_or_make()?;
        let text = seal::seal(&record.to_json(), &key, &self.name);
        self.replace(text.as_bytes()).map_err(|error| self.state(&format!("cannot be written: {error}")))
    }

    /// Removes what is stored.
    ///
    /// Errors: `State`. Nothing stored is no error.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.state(&format!("cannot be removed: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// What is stored for jobs of this session, with their names. A file that does not open is left out: its job
    /// could not go on either.
    ///
    /// Errors: `State`: the directory cannot be read.
    pub fn jobs(&self) -> Result<Vec<(String, Record)>, Error> {
        let unreadable = |error: io::Error| self.state(&format!("cannot be looked for: {error}"));
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let job = name.to_str().and_then(|name| name.strip_suffix(".sealed")?.split_once('@'));
            let Some((_, job)) = job.filter(|(session, _)| *session == self.name) else { continue };
            let place =
                Vault { name: format!("{}@{job}", self.name), dir: self.dir.clone(), key: self.key.clone() };
            if let Ok(Some(record)) = place.read() {
                found.push((job.to_owned(), record));
            }
        }
        Ok(found)
    }

    /// Takes the session's lock between processes.
    ///
    /// Errors: `Busy` when `patience` ran out; `State`.
    pub fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        self.prepare()?;
        let path = self.dir.join(format!("{}.lock", self.name));
        match wait_for(&path, patience) {
            Ok(Some(lock)) => Ok(Box::new(lock)),
            Ok(None) => Err(Error::new(
                ErrorKind::Busy,
                format!("another process has been refreshing [{}] for too long", self.name),
            )),
            Err(error) => Err(Error::new(
                ErrorKind::State,
                format!("the lock {} cannot be taken: {error}", path.display()),
            )),
        }
    }

    fn prepare(&self) -> Result<(), Error> {
        private_dir(&self.dir).map_err(|error| {
            Error::new(
                ErrorKind::State,
                format!("the directory {} cannot be used: {error}", self.dir.display()),
            )
        })
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{}.{}.{count}.tmp", self.name, std::process::id()));
        let result = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, self.path()));
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result?;
        File::open(&self.dir)?.sync_all()
    }

    fn state(&self, what: &str) -> Error {
        Error::new(ErrorKind::State, format!("the stored sign-in {} {what}", self.path().display()))
    }
}

/// A new file for its owner alone, on disk when this returns.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::engine::secret::Secret;

    fn vault(dir: &Path, name: &str) -> Vault {
        Vault::new(name, dir, VaultKey::File(dir.join("keys/vault.key"))).expect("a good name")
    }

    fn record() -> Record {
        Record {
            origin: "https://as c".into(),
            access_token: Some(Secret::new("hunter2".into())),
            refresh_token: Some(Secret::new("hunter3".into())),
            serial: 7,
            ..Record::default()
        }
    }

    #[test]
    fn what_is_stored_comes_back_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let vault = vault(dir.path(), "lab");
        assert!(vault.read().expect("nothing yet").is_none());
        vault.write(&record()).expect("the directory is ours");
        let back = vault.read().expect("just written").expect("just written");
        assert_eq!((back.serial, back.refresh_token.expect("kept").expose().as_str()), (7, "hunter3"));
        let bytes = fs::read(vault.path()).expect("the file");
        assert!(!bytes.windows(6).any(|window| window == b"hunter"));
        for path in [vault.path(), dir.path().join("keys/vault.key")] {
            assert_eq!(fs::metadata(path).expect("it is there").permissions().mode() & 0o777, 0o600);
        }
        let left: Vec<_> = fs::read_dir(dir.path().join("vault")).expect("ours").flatten().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
        vault.remove().expect("ours");
        vault.remove().expect("nothing to remove");
        assert!(vault.read().expect("removed").is_none());
    }

    #[test]
    fn what_cannot_be_opened_is_told_and_kept() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let lab = vault(dir.path(), "lab");
        lab.write(&record()).expect("the directory is ours");
        let good = fs::read(lab.path()).expect("the file");
        let mut cases: Vec<(Vec<u8>, &str)> = vec![
            (b"".to_vec(), "not a stored sign-in"),
            (b"hello\n".to_vec(), "not a stored sign-in"),
            (good[..good.len() / 2].to_vec(), "was damaged"),
            (b"outlast-vault 9 a b c\n".to_vec(), "newer outlast"),
        ];
        for at in [20, 40, good.len() - 3] {
            let mut bytes = good.clone();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            cases.push((bytes, "the stored sign-in"));
        }
        for (bytes, words) in cases {
            fs::write(lab.path(), &bytes).expect("ours");
            let error = lab.read().expect_err("not ours");
            assert_eq!(error.kind(), ErrorKind::State);
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(fs::read(lab.path()).expect("the file"), bytes, "left as it is");
        }
        // Another session's file, under this one's name.
        let other = vault(dir.path(), "other");
        other.write(&record()).expect("ours");
        fs::copy(other.path(), lab.path()).expect("ours");
        assert!(lab.read().expect_err("another's").to_string().contains("belongs to another session"));
        // Another key.
        fs::write(lab.path(), &good).expect("ours");
        let stranger =
            Vault::new("lab", dir.path(), VaultKey::File(dir.path().join("other.key"))).expect("a name");
        assert!(stranger.read().expect_err("no key").to_string().contains("needs its key"));
        let key = VaultKey::Given(Secret::new([7; 32]));
        let stranger = Vault::new("lab", dir.path(), key).expect("a name");
        assert!(stranger.read().expect_err("another key").to_string().contains("another key"));
        assert_eq!(lab.read().expect("untouched").expect("untouched").serial, 7);
    }

    #[test]
    fn a_link_in_place_of_the_file_is_replaced_not_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let lab = vault(dir.path(), "lab");
        lab.write(&record()).expect("ours");
        let victim = dir.path().join("victim");
        fs::write(&victim, "keep").expect("ours");
        fs::remove_file(lab.path()).expect("ours");
        std::os::unix::fs::symlink(&victim, lab.path()).expect("ours");
        lab.write(&record()).expect("ours");
        assert_eq!(fs::read_to_string(victim).expect("untouched"), "keep");
        assert!(lab.read().expect("ours").is_some());
    }

    #[test]
    fn a_vault_that_others_may_write_to_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let lab = vault(dir.path(), "lab");
        fs::create_dir(dir.path().join("vault")).expect("ours");
        fs::set_permissions(dir.path().join("vault"), fs::Permissions::from_mode(0o777)).expect("ours");
        let error = lab.write(&record()).expect_err("others may write there");
        assert!(error.to_string().contains("others may write"), "{error}");
    }
}
