//! A range of a source, block by block, with its checksums.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::buffer::Pool;
use super::content::Content;
use super::limiter::Limiter;
use super::md5::{Batcher, Digest, Stream};
use crate::engine::checksum::{Digests, Hasher, Wanted};
use crate::engine::error::{Error, ErrorKind};

/// Reads a range once, in order, and computes what is wanted of it.
///
/// Memory: the block that is being taken, and the blocks whose MD5 is put off (see [`super::md5`]).
pub(crate) struct Range {
    content: Arc<Content>,
    pool: Pool,
    offset: u64,
    left: u64,
    hasher: Hasher,
    md5: Option<Stream>,
    reading: Option<JoinHandle<Result<Bytes, Error>>>,
    pace: Option<Pace>,
    /// Read, not yet granted by the limiter.
    block: Bytes,
}

/// The limiter, and its answer under way.
struct Pace {
    limiter: Arc<Limiter>,
    grant: Option<Pin<Box<dyn Future<Output = usize> + Send + Sync>>>,
}

/// The checksums of a range, the MD5 perhaps still being computed.
pub(crate) struct Sums {
    digests: Digests,
    md5: Option<Digest>,
}

impl Range {
    /// The `len` bytes from `offset`, which must be inside the source.
    pub(crate) fn new(
        content: &Arc<Content>,
        pool: &Pool,
        (offset, len): (u64, u64),
        wanted: Wanted,
        batcher: &Batcher,
    ) -> Range {
        let in_lanes = wanted.md5 && Batcher::pays();
        Range {
            content: Arc::clone(content),
            pool: pool.clone(),
            offset,
            left: len,
            hasher: Hasher::new(Wanted { md5: wanted.md5 && !in_lanes, ..wanted }),
            md5: in_lanes.then(|| batcher.stream()),
            reading: None,
            pace: None,
            block: Bytes::new(),
        }
    }

    /// The same at the limiter's pace.
    pub(crate) fn paced(mut self, limiter: &Arc<Limiter>) -> Range {
        self.pace = Some(Pace { limiter: Arc::clone(limiter), grant: None });
        self
    }

    /// Bytes not yet taken.
    pub(crate) fn left(&self) -> u64 {
        self.left + self.block.len() as u64
    }

    /// The next bytes, at least one; not to be asked when none are left. A block is read only when it is asked for.
    pub(crate) fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if self.block.is_empty() {
            self.block = ready!(self.poll_read(cx))?;
        }
        let granted = match &mut self.pace {
            None => self.block.len(),
            Some(pace) => ready!(pace.poll_grant(self.block.len(), cx)),
        };
        Poll::Ready(Ok(self.block.split_to(granted)))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if let Some(md5) = &mut self.md5 {
            ready!(md5.poll_room(cx));
        }
        let block = if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            read.map_err(|_| Error::new(ErrorKind::Internal, "reading the source was interrupted"))??
        } else if let Some(block) = self.content.read_at_hand(&self.pool, self.offset, self.left)? {
            block
        } else {
            let (content, pool) = (Arc::clone(&self.content), self.pool.clone());
            let (offset, left) = (self.offset, self.left);
            self.reading = Some(tokio::task::spawn_blocking(move || content.read(&pool, offset, left)));
            return self.poll_read(cx);
        };
        self.hasher.update(&block);
        if let Some(md5) = &self.md5 {
            md5.push(block.clone());
        }
        self.offset += block.len() as u64;
        self.left -= block.len() as u64;
        Poll::Ready(Ok(block))
    }

    /// The checksums of what was taken; once, after the last block.
    pub(crate) fn sums(&mut self) -> Sums {
        let digests = std::mem::take(&mut self.hasher).finish();
        Sums { digests, md5: self.md5.take().map(Stream::finish) }
    }

    /// Reads to the end, for the checksums alone. Reading and hashing happen on threads for blocking work.
    pub(crate) async fn hash(mut self) -> Result<Digests, Error> {
        while self.left > 0 {
            if let Some(md5) = &mut self.md5 {
                md5.room().await;
            }
            let read = tokio::task::spawn_blocking(move || {
                let block = self.content.read(&self.pool, self.offset, self.left)?;
                self.hasher.update(&block);
                self.offset += block.len() as u64;
                self.left -= block.len() as u64;
                if let Some(md5) = &self.md5 {
                    md5.push(block);
                }
                Ok(self)
            });
            self = read.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Internal, "reading the source was interrupted"))
            })?;
        }
        self.sums().get().await
    }
}

impl Pace {
    fn poll_grant(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<usize> {
        if self.grant.is_none() {
            if self.limiter.is_open() {
                return Poll::Ready(wanted);
            }
            let limiter = Arc::clone(&self.limiter);
            self.grant = Some(Box::pin(async move { limiter.acquire(wanted).await }));
        }
        let granted = match &mut self.grant {
            Some(grant) => ready!(grant.as_mut().poll(cx)),
            None => wanted,
        };
        self.grant = None;
        Poll::Ready(granted)
    }
}

impl Sums {
    /// All of them. Errors: `Internal`, when the client ends before.
    pub(crate) async fn get(self) -> Result<Digests, Error> {
        let Sums { mut digests, md5 } = self;
        if let Some(md5) = md5 {
            let stopped = || Error::new(ErrorKind::Internal, "hashing was interrupted");
            digests.md5 = Some(md5.get().await.ok_or_else(stopped)?);
        }
        Ok(digests)
    }
}
