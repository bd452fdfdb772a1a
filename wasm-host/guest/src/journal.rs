//! The file that makes an upload resumable, in a folder that the host has opened for writing.
//!
//! One journal per endpoint, target and file, named by their hash. WASI 0.2 has no file locks: the driver refuses a second
//! upload of the same kind in its own instance, and a host that runs several instances keeps them apart.

use outlast_core::engine::upload::journal::{JournalState, Record, decode, encode};
use outlast_core::engine::upload::spec::Target;
use outlast_core::{Error, ErrorKind};
use sha2::{Digest, Sha256};

use crate::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags};
use crate::folder::{Place, words, write_all};

/// Largest journal that is read, bytes; 10,000 parts have about 2 MiB.
const MAX_JOURNAL: u64 = 64 << 20;

/// A journal, opened or not yet made.
pub(crate) struct Journal {
    place: Place,
    file: Option<Descriptor>,
    len: u64,
}

impl Journal {
    /// Finds the journal of an upload in `state_dir` and reads what an earlier run left.
    ///
    /// Errors: `State` (no such folder is opened, unreadable, damaged).
    pub(crate) fn open(
        state_dir: &str,
        endpoint: &str,
        target: &Target,
        source: &str,
    ) -> Result<(Journal, Option<JournalState>), Error> {
        let path =
            format!("{}/uploads/{}.journal", state_dir.trim_end_matches('/'), name(endpoint, target, source));
        let place = Place::find(&path).ok_or_else(|| {
            Error::new(ErrorKind::State, format!("{state_dir} is in no folder that the host has opened"))
        })?;
        let bytes = match place.read(MAX_JOURNAL) {
            Ok(bytes) => bytes,
            Err(ErrorCode::NoEntry) => Vec::new(),
            Err(code) => return Err(unusable(&place, code)),
        };
        let found = decode(&bytes).map_err(|error| error.during(place.shown()))?;
        Ok((Journal { place, file: None, len: intact(&bytes) as u64 }, found))
    }

    /// The journal's path, which no second upload may share.
    pub(crate) fn path(&self) -> &str {
        self.place.shown()
    }

    /// Appends a record, and makes it durable if `sync`.
    ///
    /// Errors: `State`.
    pub(crate) fn append(&mut self, record: &Record, sync: bool) -> Result<(), Error> {
        self.write(encode(record).as_bytes(), sync).map_err(|code| unusable(&self.place, code))
    }

    fn write(&mut self, line: &[u8], sync: bool) -> Result<(), ErrorCode> {
        let file = if let Some(file) = &self.file {
            file
        } else {
            self.place.make_parents()?;
            let file = self.place.open(OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE)?;
            // What a crash tore off goes, so that no record follows half a line.
            file.set_size(self.len)?;
            self.file.insert(file)
        };
        if let Err(code) = write_all(file, line, self.len) {
            // A full disk may have taken half of it.
            let _ = file.set_size(self.len);
            return Err(code);
        }
        self.len += line.len() as u64;
        if sync { file.sync_data() } else { Ok(()) }
    }

    /// Nothing is left to resume.
    pub(crate) fn forget(self) {
        let Journal { place, file, .. } = self;
        drop(file);
        let _ = place.remove();
    }
}

/// What tells one upload from another. Lengths go in too, so that no two run together.
fn name(endpoint: &str, target: &Target, source: &str) -> String {
    let mut hash = Sha256::new();
    for field in [endpoint, &target.namespace, &target.bucket, &target.object, source] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut name, byte| {
        for digit in [byte >> 4, byte & 15] {
            name.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
        name
    })
}

/// Length of the whole lines at the beginning, the last of which is sound.
fn intact(bytes: &[u8]) -> usize {
    let line_end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut len = line_end(bytes);
    // A line is sound if the journal still reads with another line begun after it.
    while len > 0 && decode(&[&bytes[..len], b"#"].concat()).is_err() {
        len = line_end(&bytes[..len - 1]);
    }
    len
}

fn unusable(place: &Place, code: ErrorCode) -> Error {
    Error::new(
        ErrorKind::State,
        format!("the upload journal {} cannot be used: {}", place.shown(), words(code)),
    )
}

#[cfg(test)]
mod tests {
    use outlast_core::engine::time::UnixMillis;
    use outlast_core::engine::upload::journal::FORMAT;
    use outlast_core::engine::upload::spec::SourceIdentity;

    use super::*;

    fn target() -> Target {
        Target { namespace: "ns".into(), bucket: "b".into(), object: "o".into() }
    }

    #[test]
    fn names_tell_uploads_apart() {
        let other = Target { bucket: "bo".into(), object: String::new(), ..target() };
        assert_ne!(name("https://h", &target(), "/a"), name("https://h", &other, "/a"));
        assert_eq!(name("https://h", &target(), "/a").len(), 64);
    }

    #[test]
    fn what_a_crash_tore_off_is_not_intact() {
        let source = SourceIdentity { name: "/a".into(), size: Some(1), modified_ns: 0, device: 0, inode: 0 };
        let intent =
            Record::Intent { format: FORMAT, target: target(), source, part_size: 1, at: UnixMillis(1) };
        let whole = encode(&intent) + &encode(&Record::Created { upload_id: "u".into() });
        let first = whole.find('\n').expect("two lines") + 1;
        for cut in 0..whole.len() {
            assert_eq!(intact(&whole.as_bytes()[..cut]), if cut < first { 0 } else { first });
        }
        assert_eq!(intact(whole.as_bytes()), whole.len());
        assert_eq!(intact(format!("{whole}00000000 {{}}\n").as_bytes()), whole.len());
    }
}
