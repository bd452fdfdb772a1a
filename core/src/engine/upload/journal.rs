//! The journal's records: what makes an upload resumable by running the same call again.
//!
//! One record is one line: eight hex digits (CRC-32C of the JSON), a space, the JSON, a line feed. A torn last
//! line is what a crash leaves and is dropped; a damaged line elsewhere makes the journal unusable and says so.
//! No secret is ever recorded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::spec::{SourceIdentity, Target};
use crate::engine::checksum::{Digests, crc32c};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::time::UnixMillis;

/// Bumped when an older reader could misread a newer journal.
pub const FORMAT: u32 = 1;

/// One fact about an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Record {
    /// Written before the create request is sent: if its answer is lost, this is how we know an upload may exist.
    Intent {
        /// Journal format.
        format: u32,
        /// Where the object goes.
        target: Target,
        /// What the source was.
        source: SourceIdentity,
        /// Size of all parts but the last, bytes.
        part_size: u64,
        /// Local time of the intent.
        at: UnixMillis,
    },
    /// The service has given the upload its id.
    Created {
        /// The id.
        upload_id: String,
    },
    /// A part is stored and its checksums agreed.
    Part {
        /// Part number, from 1.
        number: u32,
        /// Its etag.
        etag: String,
        /// Checksums of the bytes sent.
        digests: Digests,
    },
    /// Written before the commit request is sent, with the checksums the object must have.
    CommitIntent {
        /// Checksums of the whole object, as far as known.
        expected: Expected,
    },
}

/// What the finished object must look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Bytes.
    pub size: u64,
    /// `opc-multipart-md5`, with its `-n`.
    pub multipart_md5: Option<String>,
    /// `opc-content-crc32c` of the whole object.
    pub crc32c: Option<String>,
    /// `opc-multipart-sha256`, with its `-n`.
    pub multipart_sha256: Option<String>,
    /// `opc-multipart-sha384`, with its `-n`.
    pub multipart_sha384: Option<String>,
}

/// A part as an earlier run recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPart {
    /// Its etag.
    pub etag: String,
    /// Checksums of the bytes sent.
    pub digests: Digests,
}

/// What a journal says, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// Where the object goes.
    pub target: Target,
    /// What the source was.
    pub source: SourceIdentity,
    /// Part size of the earlier run.
    pub part_size: u64,
    /// Local time of the intent.
    pub intent_at: UnixMillis,
    /// The service's id, if the create answer arrived.
    pub upload_id: Option<String>,
    /// Stored parts.
    pub parts: BTreeMap<u32, JournalPart>,
    /// Set when a commit was about to be sent.
    pub commit: Option<Expected>,
}

/// One record as a journal line, line feed included.
pub fn encode(record: &Record) -> String {
    let json = serde_json::to_string(record).expect("records hold no maps with non-string keys");
    format!("{:08x} {json}\n", crc32c(json.as_bytes()))
}

/// Reads a journal. `Ok(None)`: nothing usable was ever written (empty, or only a torn first line).
pub fn decode(bytes: &[u8]) -> Result<Option<JournalState>, Error> {
    let mut state: Option<JournalState> = None;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let Some(record) = decode_line(line) else {
            if lines.peek().is_none() {
                break; // the torn tail of a crash
            }
            return Err(damaged(index, "is damaged"));
        };
        match (record, &mut state) {
            (Record::Intent { format, .. }, _) if format != FORMAT => {
                let message = format!(
                    "the upload journal has format {format}, this version reads {FORMAT}; finish the upload with the \
                     version that began it, or abort it"
                );
                return Err(Error::new(ErrorKind::State, message));
            }
            // A later intent replaces all before: the earlier upload was gone.
            (Record::Intent { target, source, part_size, at, .. }, _) => {
                state = Some(JournalState {
                    target,
                    source,
                    part_size,
                    intent_at: at,
                    upload_id: None,
                    parts: BTreeMap::new(),
                    commit: None,
                });
            }
            (_, None) => return Err(damaged(index, "comes before the intent")),
            (Record::Created { upload_id }, Some(state)) => state.upload_id = Some(upload_id),
            (Record::Part { number, etag, digests }, Some(state)) => {
                state.parts.insert(number, JournalPart { etag, digests });
            }
            (Record::CommitIntent { expected }, Some(state)) => state.commit = Some(expected),
        }
    }
    Ok(state)
}

fn decode_line(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, json) = text.split_once(' ')?;
    if sum.len() != 8 || u32::from_str_radix(sum, 16).ok()? != crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn damaged(index: usize, what: &str) -> Error {
    let message = format!(
        "line {} of the upload journal {what}; `outlast uploads abort` removes it and the upload",
        index + 1
    );
    Error::new(ErrorKind::State, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        vec![
            Record::Intent {
                format: FORMAT,
                target: Target { namespace: "ns".into(), bucket: "b".into(), object: "o\n".into() },
                source: SourceIdentity {
                    name: "/data/ü".into(),
                    size: Some(3),
                    modified_ns: 1 << 70,
                    device: 1,
                    inode: 2,
                },
                part_size: 2,
                at: UnixMillis(5),
            },
            Record::Created { upload_id: "u1".into() },
            Record::Part { number: 1, etag: "e1".into(), digests: Digests { len: 2, ..Digests::default() } },
        ]
    }

    fn journal() -> String {
        records().iter().map(encode).collect()
    }

    #[test]
    fn reads_back_what_was_written() {
        let state = decode(journal().as_bytes()).unwrap().unwrap();
        assert_eq!((state.upload_id.as_deref(), state.parts.len()), (Some("u1"), 1));
        assert_eq!(state.source.modified_ns, 1 << 70);
        assert_eq!(decode(b"").unwrap(), None);
    }

    #[test]
    fn every_truncation_is_a_prefix_never_an_error() {
        let text = journal();
        for cut in 0..text.len() {
            let state = decode(&text.as_bytes()[..cut]).unwrap();
            assert!(state.is_none_or(|state| state.parts.len() <= 1));
        }
    }

    #[test]
    fn damage_in_the_middle_is_told() {
        let mut bytes = journal().into_bytes();
        bytes[20] ^= 1;
        let error = decode(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
