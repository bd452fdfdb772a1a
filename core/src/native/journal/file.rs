//! One journal: locked, read, appended to, removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{MAX_JOURNAL, name_file, unusable, uploads_dir};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::journal::{JournalState, Record, decode, encode};
use crate::engine::upload::spec::Target;
use crate::native::lockfile::{Attempt, LockFile, hex, private_dir};

/// What tells one upload from another: where it goes and where its bytes come from.
pub(crate) struct Key<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) source: &'a str,
}

impl Key<'_> {
    /// The file name without extension. Lengths go in too, so that no two keys run together.
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let Target { namespace, bucket, object } = self.target;
        for field in [self.endpoint, namespace, bucket, object, self.source] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(Path::new(field).as_os_str().as_bytes());
        }
        hex(&hash.finalize())
    }
}

/// Another process, with its id if known, is at work on the upload.
pub(crate) struct Busy(pub(crate) Option<u32>);

/// The journal of an upload that runs in this process. The lock is held as long as this lives.
pub(crate) struct Journal {
    path: PathBuf,
    file: Option<File>,
    _lock: LockFile,
}

/// A journal that was just opened.
pub(crate) struct Opening {
    /// For appending.
    pub(crate) journal: Journal,
    /// What an earlier run left; an error if it cannot be understood.
    pub(crate) found: Result<Option<JournalState>, Error>,
    /// What can be understood of a journal that is damaged further on.
    pub(crate) salvaged: Option<JournalState>,
}

impl Journal {
    /// Locks and reads the journal of `key`. Nothing is created besides the directory and the lock.
    ///
    /// Errors: `Busy` when another process has it, `State` when the directory or file cannot be used.
    pub(crate) fn open(state_dir: &Path, key: &Key<'_>) -> Result<Opening, Error> {
        let dir = uploads_dir(state_dir);
        private_dir(&dir).map_err(|error| unusable(&dir, &error))?;
        let path = dir.join(format!("{}.journal", key.digest()));
        let lock = lock(&path.with_extension("lock"))?.map_err(|Busy(pid)| busy(pid))?;
        let bytes = read(&path).map_err(|error| name_file(&error, &path))?;
        let found = decode(&bytes).map_err(|error| name_file(&error, &path));
        let salvaged = if found.is_err() { salvage(&bytes) } else { None };
        let journal = Journal { path, file: None, _lock: lock };
        Ok(Opening { journal, found, salvaged })
    }

    /// Appends records in order, and makes them durable if `sync`.
    pub(crate) fn append(&mut self, records: &[Record], sync: bool) -> Result<(), Error> {
        self.write(records, sync).map_err(|error| unusable(&self.path, &error))
    }

    fn write(&mut self, records: &[Record], sync: bool) -> io::Result<()> {
        let text: String = records.iter().map(encode).collect();
        if self.file.is_none() {
            self.file = Some(continued(&self.path)?);
        }
        let file = self.file.as_mut().expect("opened above");
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(text.as_bytes()) {
            // A full disk may have taken half a line: later records must not follow it.
            let _ = file.set_len(before);
            return Err(error);
        }
        if sync { file.sync_data() } else { Ok(()) }
    }

    /// Begins anew: what was recorded is forgotten.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        self.file = None;
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&self.path, &error)),
            _ => Ok(()),
        }
    }
}

/// Opens a journal for appending, freed of what a crash tore off at its end.
fn continued(path: &Path) -> io::Result<File> {
    let fresh = !path.exists();
    let mut file = open(path, OpenOptions::new().read(true).append(true).create(true).mode(0o600))?;
    let mut bytes = Vec::new();
    (&mut file).take(MAX_JOURNAL).read_to_end(&mut bytes)?;
    let intact = intact_len(&bytes);
    if intact < bytes.len() {
        file.set_len(intact as u64)?;
    }
    if fresh {
        sync_dir(path)?;
    }
    Ok(file)
}

/// Takes the lock of a journal, bearing with a short look by somebody who lists journals.
pub(super) fn lock(path: &Path) -> Result<Result<LockFile, Busy>, Error> {
    let mut patience = 3;
    loop {
        match LockFile::attempt(path, true).map_err(|error| unusable(path, &error))? {
            Attempt::Held(lock) => return Ok(Ok(lock)),
            Attempt::Busy(pid) if patience == 0 => return Ok(Err(Busy(pid))),
            Attempt::Busy(_) => {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

pub(super) fn busy(pid: Option<u32>) -> Error {
    let message = match pid {
        Some(pid) if pid == std::process::id() => {
            "this process is already uploading this object from this source".into()
        }
        Some(pid) => format!("another process (pid {pid}) is uploading this object"),
        None => "another process is uploading this object".into(),
    };
    Error::new(ErrorKind::Busy, message)
}

/// The content of a journal; nothing if there is none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::new(ErrorKind::State, format!("the upload journal cannot be read: {error}")));
        }
    };
    let mut bytes = Vec::new();
    let result = (&mut file).take(MAX_JOURNAL + 1).read_to_end(&mut bytes);
    match result {
        Ok(_) if bytes.len() as u64 > MAX_JOURNAL => Err(Error::new(
            ErrorKind::State,
            "the upload journal is larger than 64 MiB, so it is not one of ours",
        )),
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(Error::new(ErrorKind::State, format!("the upload journal cannot be read: {error}")))
        }
    }
}

/// Opens a regular file, neither following a link nor waiting for a FIFO's writer.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Length of the whole lines at the beginning, the last of which is sound: what a crash tore off is beyond it.
fn intact_len(bytes: &[u8]) -> usize {
    let mut len = line_end(bytes);
    // A line is sound if the journal still reads with another line begun after it.
    while len > 0 && !reads_with_more(&bytes[..len]) {
        len = line_end(&bytes[..len - 1]);
    }
    len
}

fn reads_with_more(bytes: &[u8]) -> bool {
    decode(&[bytes, b"#"].concat()).is_ok()
}

fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// What the lines before the first damaged one say.
fn salvage(bytes: &[u8]) -> Option<JournalState> {
    let ends: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let sound = ends.partition_point(|end| reads_with_more(&bytes[..*end]));
    let len = sound.checked_sub(1).map_or(0, |last| ends[last]);
    decode(&bytes[..len]).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::engine::checksum::Digests;
    use crate::engine::time::UnixMillis;
    use crate::engine::upload::journal::FORMAT;
    use crate::engine::upload::spec::SourceIdentity;

    fn target() -> Target {
        Target { namespace: "ns".into(), bucket: "b".into(), object: "o".into() }
    }

    fn open_in(dir: &Path) -> Result<Opening, Error> {
        Journal::open(dir, &Key { endpoint: "https://h", target: &target(), source: "/data" })
    }

    fn records() -> Vec<Record> {
        let source =
            SourceIdentity { name: "/data".into(), size: Some(9), modified_ns: 1, device: 2, inode: 3 };
        vec![
            Record::Intent { format: FORMAT, target: target(), source, part_size: 3, at: UnixMillis(1) },
            Record::Created { upload_id: "u1".into() },
            Record::Part { number: 1, etag: "e1".into(), digests: Digests::default() },
        ]
    }

    #[test]
    fn is_private_locked_and_read_back() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut opening = open_in(dir.path()).expect("nobody has it");
        assert_eq!(opening.found.expect("there is none yet"), None);
        opening.journal.append(&records(), true).expect("the disk has room");
        assert_eq!(open_in(dir.path()).err().expect("it is locked").kind(), ErrorKind::Busy);
        let path = opening.journal.path.clone();
        assert_eq!(std::fs::metadata(&path).expect("just written").mode() & 0o777, 0o600);
        let listed = super::super::list(dir.path()).expect("readable");
        assert_eq!(listed[0].locked_by.map(|by| by.pid), Some(Some(std::process::id())));
        assert_eq!(super::super::remove(&path).expect_err("it is locked").kind(), ErrorKind::Busy);
        drop(opening.journal);
        let mut again = open_in(dir.path()).expect("nobody has it");
        let state = again.found.expect("sound").expect("recorded");
        assert_eq!((state.upload_id.as_deref(), state.parts.len()), (Some("u1"), 1));
        again.journal.reset().expect("the directory is ours");
        drop(again.journal);
        assert_eq!(super::super::list(dir.path()).expect("readable").len(), 0);
        assert_eq!(std::fs::read_dir(dir.path().join("uploads")).expect("readable").count(), 0);
    }

    #[test]
    fn a_journal_cut_anywhere_can_be_continued() {
        let whole: Vec<u8> = records().iter().flat_map(|record| encode(record).into_bytes()).collect();
        let ends: Vec<usize> = (0..=whole.len()).filter(|cut| line_end(&whole[..*cut]) == *cut).collect();
        // Every cut near the end of a line, and some in between: each costs a dozen file operations.
        let cuts =
            (0..=whole.len()).filter(|cut| cut % 17 == 0 || ends.iter().any(|end| cut.abs_diff(*end) <= 2));
        for cut in cuts {
            for garbage in [&b""[..], b"\0\0\0", b"\0\0\n", b"00000000 {}\n"] {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let path = open_in(dir.path()).expect("nobody has it").journal.path.clone();
                let mut torn = whole[..cut].to_vec();
                torn.extend_from_slice(garbage);
                std::fs::write(&path, &torn).expect("the directory is ours");
                let mut opening = open_in(dir.path()).expect("nobody has it");
                let known =
                    opening.found.expect("a torn tail is no damage").map_or(0, |state| state.parts.len());
                opening.journal.append(&records(), false).expect("the disk has room");
                let text = std::fs::read(&path).expect("just written");
                let state =
                    decode(&[&text[..], b"#"].concat()).expect("every line is sound").expect("recorded");
                assert!(known <= 1 && state.parts.len() == 1, "cut at {cut}");
            }
        }
    }

    #[test]
    fn hostile_files_are_a_clear_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = open_in(dir.path()).expect("nobody has it").journal.path.clone();
        let secret = dir.path().join("elsewhere");
        std::fs::write(&secret, "keep").expect("the directory is ours");
        symlink(&secret, &path).expect("the directory is ours");
        assert_eq!(open_in(dir.path()).err().expect("a link is not followed").kind(), ErrorKind::State);
        std::fs::remove_file(&path).expect("it is ours");
        std::fs::create_dir(&path).expect("the directory is ours");
        assert_eq!(open_in(dir.path()).err().expect("a directory is no journal").kind(), ErrorKind::State);
        std::fs::remove_dir(&path).expect("it is ours");

        let mut damaged: Vec<u8> = records().iter().flat_map(|record| encode(record).into_bytes()).collect();
        let third = damaged.len() - 10;
        damaged[third] ^= 1;
        damaged.extend_from_slice(b"x\ny\n");
        std::fs::write(&path, &damaged).expect("the directory is ours");
        let opening = open_in(dir.path()).expect("it can be locked");
        let error = opening.found.expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.to_string().contains(".journal"), "{error}");
        assert_eq!(opening.salvaged.and_then(|state| state.upload_id).as_deref(), Some("u1"));
        assert_eq!(std::fs::read_to_string(&secret).expect("untouched"), "keep");
    }
}
