//! Between processes, one upload has one owner: WASI 0.2 has no file locks, so its host takes them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use outlast_core::engine::upload::spec::Target;
use outlast_core::{Error, ErrorKind};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// The right to do one upload; given back when dropped, however the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of an upload in `state_dir`, which is made if needed.
    ///
    /// Errors: `Busy` (another process is doing it), `State`.
    pub(crate) fn take(state_dir: &Path, endpoint: &str, target: &Target, file: &str) -> Result<Lock, Error> {
        let unusable = |error: &dyn std::fmt::Display| {
            let line = format!("the state folder {} cannot be used: {error}", state_dir.display());
            Error::new(ErrorKind::State, line)
        };
        let folder = state_dir.join("component-locks");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| unusable(&error))?;
        let path = folder.join(format!("{}.lock", name(endpoint, target, file)));
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(|error| unusable(&error))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        "another process is uploading this object from this file",
                    ));
                }
                Err(error) => return Err(unusable(&error)),
            }
            // Its last owner may have removed the file between our opening and our locking it.
            let ours = file.metadata().map_err(|error| unusable(&error))?;
            if std::fs::metadata(&path).is_ok_and(|there| there.ino() == ours.ino()) {
                return Ok(Lock { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before it is given back: whoever opens it later than this makes a new one.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Lengths go in too, so that no two uploads run together.
fn name(endpoint: &str, target: &Target, file: &str) -> String {
    let mut hash = Sha256::new();
    for field in [endpoint, &target.namespace, &target.bucket, &target.object, file] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_upload_has_one_owner() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target =
            |object: &str| Target { namespace: "n".into(), bucket: "b".into(), object: object.into() };
        let take = |object| Lock::take(dir.path(), "https://h", &target(object), "/f");
        let held = take("o").expect("nobody has it");
        assert_eq!(take("o").expect_err("it is held").kind(), ErrorKind::Busy);
        assert!(take("other").is_ok());
        drop(held);
        drop(take("o").expect("it was given back"));
        let left = std::fs::read_dir(dir.path().join("component-locks")).expect("our folder").count();
        assert_eq!(left, 0, "locks go with their uploads");
    }
}
