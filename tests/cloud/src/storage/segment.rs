//! Where stored bytes are.

use crate::config::Store;
use crate::http::stream::Stream;
use crate::random::uuid;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

/// The bytes of one part or one single object.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    Memory(Bytes),
    Disk(Arc<PartFile>),
    /// Bytes that were counted and dropped.
    Void(u64),
}

/// A file that goes away with its part.
#[derive(Debug)]
pub(crate) struct PartFile {
    path: PathBuf,
    len: u64,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // The file of a cloud being torn down may be gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Segment {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(file) => file.len,
            Self::Void(len) => *len,
        }
    }

    /// All bytes; `None` if they were dropped.
    pub(crate) fn bytes(&self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Memory(bytes) => Some(Ok(bytes.clone())),
            Self::Disk(file) => Some(std::fs::read(&file.path).map(Bytes::from)),
            Self::Void(0) => Some(Ok(Bytes::new())),
            Self::Void(_) => None,
        }
    }
}

/// A stretch of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    segment: Segment,
    from: u64,
    len: u64,
}

impl Slice {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The stretch `from..from + len` of an object made of `segments`.
    pub(crate) fn cut(segments: &[Segment], mut from: u64, mut len: u64) -> Vec<Self> {
        let mut slices = Vec::new();
        for segment in segments {
            let here = segment.len();
            if from >= here {
                from -= here;
                continue;
            }
            let take = len.min(here - from);
            if take > 0 {
                slices.push(Self { segment: segment.clone(), from, len: take });
            }
            len -= take;
            from = 0;
        }
        slices
    }

    pub(crate) async fn write_to(&self, stream: &mut Stream) -> io::Result<()> {
        match &self.segment {
            Segment::Memory(bytes) => {
                let from = usize::try_from(self.from).map_err(io::Error::other)?;
                let to = usize::try_from(self.from + self.len).map_err(io::Error::other)?;
                let slice =
                    bytes.get(from..to).ok_or_else(|| io::Error::other("slice outside its segment"))?;
                stream.write_all(slice).await
            }
            Segment::Disk(part) => {
                let mut file = File::open(&part.path)?;
                file.seek(SeekFrom::Start(self.from))?;
                let mut left = self.len;
                let mut buffer = vec![0; 256 << 10];
                while left > 0 {
                    let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    file.read_exact(&mut buffer[..room])?;
                    stream.write_all(&buffer[..room]).await?;
                    left -= room as u64;
                }
                Ok(())
            }
            Segment::Void(_) => Err(io::Error::other("the bytes were dropped")),
        }
    }
}

/// Takes the bytes of one body and becomes a segment.
pub(crate) enum Writer {
    Memory(Vec<u8>),
    Disk { file: File, part: PartFile },
    Void(u64),
}

/// Memory set aside at once for a part whose length a client merely claims.
const CLAIM_LIMIT: u64 = 16 << 20;

impl Writer {
    pub(crate) fn new(store: &Store, length: u64) -> io::Result<Self> {
        Ok(match store {
            Store::Memory => {
                Self::Memory(Vec::with_capacity(usize::try_from(length.min(CLAIM_LIMIT)).unwrap_or(0)))
            }
            Store::Sink => Self::Void(0),
            Store::Disk(dir) => {
                let path = dir.join(format!("{}.part", uuid()));
                let file = File::create_new(&path)?;
                Self::Disk { file, part: PartFile { path, len: 0 } }
            }
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(all) => all.extend_from_slice(bytes),
            Self::Disk { file, part } => {
                file.write_all(bytes)?;
                part.len += bytes.len() as u64;
            }
            Self::Void(len) => *len += bytes.len() as u64,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Segment {
        match self {
            Self::Memory(all) => Segment::Memory(all.into()),
            Self::Disk { part, .. } => Segment::Disk(Arc::new(part)),
            Self::Void(len) => Segment::Void(len),
        }
    }
}
