//! Journals on disk: one file per upload under `<state dir>/uploads`, what is in them, and who is at work on them.

mod file;
mod writer;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(crate) use file::{Busy, Journal, Key};
pub(crate) use writer::{Job, write_in_order};

use super::lockfile::LockFile;
pub use super::lockfile::LockedBy;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::journal::{JournalState, decode};

/// A journal larger than this is none of ours, bytes; 10,000 parts make about 4 MiB.
const MAX_JOURNAL: u64 = 64 << 20;

/// An upload that was begun and not finished, as its journal tells it.
#[derive(Debug)]
pub struct JournalSummary {
    /// The journal file.
    pub path: PathBuf,
    /// What it says; an error if it cannot be read. `None`: nothing was recorded before it was left.
    pub state: Result<Option<JournalState>, Error>,
    /// Time since the last record.
    pub age: Duration,
    /// Whether a process is at work on it, and which, as far as known.
    pub locked_by: Option<LockedBy>,
}

/// All journals of a state directory, oldest first. A directory that does not exist has none.
///
/// Blocks on the file system. Errors: `State` when the directory cannot be read.
pub fn list(state_dir: &Path) -> Result<Vec<JournalSummary>, Error> {
    let dir = uploads_dir(state_dir);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unusable(&dir, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unusable(&dir, &error))?.path();
        if path.extension() != Some(OsStr::new("journal")) {
            continue;
        }
        // It may be finished and gone by now.
        let Ok(facts) = std::fs::symlink_metadata(&path) else { continue };
        let age = facts
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok())
            .unwrap_or_default();
        let state =
            file::read(&path).and_then(|bytes| decode(&bytes)).map_err(|error| name_file(&error, &path));
        let locked_by = LockFile::probe(&path.with_extension("lock"));
        found.push(JournalSummary { path, state, age, locked_by });
    }
    found.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.path.cmp(&b.path)));
    Ok(found)
}

/// Removes a journal whose upload is gone or was aborted.
///
/// Errors: `Busy` when a process is at work on it, `State` when it cannot be removed. One that does not exist is fine.
pub fn remove(path: &Path) -> Result<(), Error> {
    let lock = file::lock(&path.with_extension("lock"))?;
    let lock = lock.map_err(|Busy(pid)| file::busy(pid))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(path, &error)),
        _ => {
            drop(lock);
            Ok(())
        }
    }
}

fn uploads_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("uploads")
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::State, format!("{} cannot be used: {error}", path.display()))
}

fn name_file(error: &Error, path: &Path) -> Error {
    Error::new(error.kind(), format!("{}: {}", path.display(), error.message()))
}
