//! The bytes of a request on their way: read once, hashed, rate-limited and handed over block by block.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::buffer::Pool;
use super::content::Content;
use super::limiter::Limiter;
use super::meter::Meter;
use crate::engine::checksum::{Digests, Hasher, Wanted};
use crate::engine::error::{Error, ErrorKind};

/// Progress is told once this many bytes have gathered …
const REPORT_BYTES: u64 = 1 << 20;
/// … or this much time has passed.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Told how many bytes went out since the last time.
pub(crate) type Report = Box<dyn Fn(u64) + Send + Sync>;

/// A request body of exactly known length.
pub(crate) struct Body {
    feed: Feed,
    remaining: u64,
    meter: Arc<Meter>,
    report: Option<Report>,
    unreported: u64,
    reported: Instant,
}

enum Feed {
    Whole(Bytes),
    Channel(mpsc::Receiver<Bytes>),
}

/// The side of a [`Body`] that puts bytes in.
pub(crate) struct Pump {
    blocks: mpsc::Sender<Bytes>,
}

impl Body {
    /// A body that is in memory; wiped when it has been sent, since control requests may hold a token.
    pub(crate) fn whole(bytes: Vec<u8>, meter: Arc<Meter>) -> Body {
        let bytes = Bytes::from_owner(Wiped(Zeroizing::new(bytes)));
        let remaining = bytes.len() as u64;
        Body::new(Feed::Whole(bytes), remaining, meter, None)
    }

    /// A body of `len` bytes that come through the pump.
    pub(crate) fn pumped(len: u64, meter: Arc<Meter>, report: Report) -> (Body, Pump) {
        // One block waits here while the connection has another: reading and sending overlap.
        let (blocks, receiver) = mpsc::channel(1);
        (Body::new(Feed::Channel(receiver), len, meter, Some(report)), Pump { blocks })
    }

    fn new(feed: Feed, remaining: u64, meter: Arc<Meter>, report: Option<Report>) -> Body {
        if remaining == 0 {
            meter.complete();
        }
        Body { feed, remaining, meter, report, unreported: 0, reported: Instant::now() }
    }

    /// Length of the body, bytes; shrinks as it is sent.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    fn took(&mut self, bytes: u64) {
        self.remaining -= bytes;
        self.meter.took(bytes);
        if self.remaining == 0 {
            self.meter.complete();
        }
        self.unreported += bytes;
        if self.unreported >= REPORT_BYTES || self.remaining == 0 || self.reported.elapsed() >= REPORT_EVERY {
            if let Some(report) = &self.report {
                report(self.unreported);
            }
            self.unreported = 0;
            self.reported = Instant::now();
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        if this.remaining == 0 {
            return Poll::Ready(None);
        }
        let block = match &mut this.feed {
            Feed::Whole(bytes) => Some(std::mem::take(bytes)),
            Feed::Channel(blocks) => match blocks.poll_recv(cx) {
                Poll::Ready(block) => block,
                Poll::Pending => {
                    this.meter.starve();
                    return Poll::Pending;
                }
            },
        };
        match block {
            Some(block) if block.len() as u64 <= this.remaining => {
                this.took(block.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(block))))
            }
            // A body that ends early must break the connection, never look complete.
            _ => Poll::Ready(Some(Err(io::Error::other("the source of the body has stopped")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Pump {
    /// Reads `len` bytes from `offset`, computes what is wanted and feeds the body, at the limiter's pace.
    ///
    /// A block is read only once there is room for it: at most three blocks of a part are in memory (one being read,
    /// one waiting, one with the connection). Returns the checksums when the last byte was handed over; if the
    /// connection no longer takes bytes it never returns, since the request itself says why.
    pub(crate) async fn run(
        self,
        content: &Arc<Content>,
        pool: &Pool,
        limiter: &Limiter,
        range: (u64, u64),
        wanted: Wanted,
    ) -> Result<Digests, Error> {
        let (mut offset, mut left) = range;
        let mut hasher = Hasher::new(wanted);
        while left > 0 {
            let Ok(room) = self.blocks.reserve().await else { return Ok(never().await) };
            let (mut block, next) = read_block(content, pool, offset, left, hasher).await?;
            hasher = next;
            offset += block.len() as u64;
            left -= block.len() as u64;
            let granted = limiter.acquire(block.len()).await;
            room.send(block.split_to(granted));
            while !block.is_empty() {
                let Ok(room) = self.blocks.reserve().await else { return Ok(never().await) };
                let granted = limiter.acquire(block.len()).await;
                room.send(block.split_to(granted));
            }
        }
        Ok(hasher.finish())
    }
}

async fn never() -> Digests {
    match std::future::pending::<Infallible>().await {}
}

/// Reads and hashes the next block of a range on a blocking thread.
pub(crate) async fn read_block(
    content: &Arc<Content>,
    pool: &Pool,
    offset: u64,
    left: u64,
    mut hasher: Hasher,
) -> Result<(Bytes, Hasher), Error> {
    let (content, pool) = (Arc::clone(content), pool.clone());
    let read = tokio::task::spawn_blocking(move || {
        let block = content.read(&pool, offset, left)?;
        hasher.update(&block);
        Ok((block, hasher))
    });
    read.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "reading the source was interrupted")))
}
