//! Locks between processes: a file under `flock`, with the holder's process id in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A lock that is held until it is dropped.
pub(crate) struct LockFile {
    file: File,
    path: PathBuf,
    remove: bool,
}

/// The process that holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedBy {
    /// Its process id, if it could be read.
    pub pid: Option<u32>,
}

/// What came of an attempt.
pub(crate) enum Attempt {
    /// Ours.
    Held(LockFile),
    /// Somebody else's, with the process id if it could be read.
    Busy(Option<u32>),
}

impl LockFile {
    /// Takes the lock if it is free; never waits. With `remove`, the file goes when the lock does.
    pub(crate) fn attempt(path: &Path, remove: bool) -> io::Result<Attempt> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            let facts = file.metadata()?;
            if !facts.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the lock file is not a regular file",
                ));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy(holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The holder before us may have removed the file after we opened it: then what we hold locks nobody out.
            match std::fs::symlink_metadata(path) {
                Ok(now) if (now.dev(), now.ino()) == (facts.dev(), facts.ino()) => {}
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            file.set_len(0)?;
            file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
            return Ok(Attempt::Held(LockFile { file, path: path.to_owned(), remove }));
        }
    }

    /// Who holds the lock at `path`; `None` when nobody does.
    pub(crate) fn probe(path: &Path) -> Option<LockedBy> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(LockedBy { pid: holder(&mut file) }),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

/// How often a lock that somebody else has is tried.
const LOCK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// Takes the lock at `path`, waiting as long as `patience` lasts; `None` when it has run out.
pub(crate) fn wait_for(path: &Path, patience: &super::source::Patience) -> io::Result<Option<LockFile>> {
    loop {
        match LockFile::attempt(path, false)? {
            Attempt::Held(lock) => return Ok(Some(lock)),
            Attempt::Busy(_) if patience.is_over() => return Ok(None),
            Attempt::Busy(_) => std::thread::sleep(LOCK_EVERY),
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.remove {
            let _ = std::fs::remove_file(&self.path);
        }
        // Said explicitly: a forked child may still have the descriptor, and closing ours would not be enough.
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes a directory for the owner alone, with its parents, unless it is there.
///
/// Errors: of the file system; also when it belongs to others too (group or world may write).
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let facts = std::fs::metadata(path)?;
    if facts.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may write there; make it private (mode 0700)",
        ));
    }
    Ok(())
}

/// Bytes as lower-case hex, for file names.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(value.into(), 16).expect("a nibble is a hex digit");
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(attempt: Attempt) -> Option<LockFile> {
        match attempt {
            Attempt::Held(lock) => Some(lock),
            Attempt::Busy(_) => None,
        }
    }

    #[test]
    fn one_holds_it_and_the_other_learns_who() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.lock");
        let lock =
            held(LockFile::attempt(&path, true).expect("the directory is ours")).expect("nobody has it");
        let second = LockFile::attempt(&path, true).expect("the file can be opened");
        assert!(matches!(second, Attempt::Busy(Some(pid)) if pid == std::process::id()));
        assert_eq!(LockFile::probe(&path), Some(LockedBy { pid: Some(std::process::id()) }));
        drop(lock);
        assert_eq!(LockFile::probe(&path), None);
        assert!(!path.exists());
        assert!(held(LockFile::attempt(&path, true).expect("the directory is ours")).is_some());
    }

    #[test]
    fn links_and_foreign_kinds_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target = dir.path().join("target");
        std::fs::write(&target, "keep").expect("the directory is ours");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).expect("the directory is ours");
        assert!(LockFile::attempt(&link, true).is_err());
        assert!(LockFile::attempt(dir.path(), true).is_err());
        assert_eq!(std::fs::read_to_string(&target).expect("untouched"), "keep");
    }

    #[test]
    fn a_shared_directory_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("state/uploads");
        private_dir(&path).expect("the parent is ours");
        assert_eq!(std::fs::metadata(&path).expect("just made").mode() & 0o777, 0o700);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(private_dir(&path).is_err());
    }
}
