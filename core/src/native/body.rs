//! The bytes of a request on their way: read once, hashed, rate-limited and handed over block by block.
//!
//! The task that owns the connection polls the body, so a block that the page cache has is read, hashed and written by
//! one thread while it is in that core's cache: nothing is handed between threads. What the disk has first to fetch is
//! read on a thread for blocking work.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::meter::Meter;
use super::range::{Range, Sums};
use crate::engine::error::Error;

/// How often progress is told, and at the end. Never by bytes: on a fast line each report wakes the engine's thread on a core
/// that a sender needs.
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
    Range { range: Box<Range>, outcome: Option<oneshot::Sender<Result<Sums, Error>>> },
}

/// What becomes of the range that a [`Body`] sends.
pub(crate) struct Sent(oneshot::Receiver<Result<Sums, Error>>);

impl Sent {
    /// The checksums once the last byte was handed over, or why there is none. If the connection no longer takes
    /// bytes this never ends, since the request itself says why.
    pub(crate) async fn get(&mut self) -> Result<Sums, Error> {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Body {
    /// A body that is in memory; wiped when it has been sent, since control requests may hold a token.
    pub(crate) fn whole(bytes: Vec<u8>, meter: Arc<Meter>) -> Body {
        let bytes = Bytes::from_owner(Wiped(Zeroizing::new(bytes)));
        let remaining = bytes.len() as u64;
        Body::new(Feed::Whole(bytes), remaining, meter, None)
    }

    /// A body that is a range of a source.
    pub(crate) fn range(range: Range, meter: Arc<Meter>, report: Report) -> (Body, Sent) {
        let (outcome, sent) = oneshot::channel();
        let remaining = range.left();
        let mut feed = Feed::Range { range: Box::new(range), outcome: Some(outcome) };
        if remaining == 0 {
            feed.conclude();
        }
        (Body::new(feed, remaining, meter, Some(report)), Sent(sent))
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
            // The sums are there before anybody can see that the body is whole.
            self.feed.conclude();
            self.meter.complete();
        }
        self.unreported += bytes;
        if self.remaining == 0 || self.reported.elapsed() >= REPORT_EVERY {
            if let Some(report) = &self.report {
                report(self.unreported);
            }
            self.unreported = 0;
            self.reported = Instant::now();
        }
    }
}

impl Feed {
    fn conclude(&mut self) {
        if let Feed::Range { range, outcome } = self
            && let Some(outcome) = outcome.take()
        {
            let _ = outcome.send(Ok(range.sums()));
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
            Feed::Whole(bytes) => std::mem::take(bytes),
            Feed::Range { range, outcome } => match range.poll_block(cx) {
                Poll::Ready(Ok(block)) => block,
                Poll::Ready(Err(error)) => {
                    if let Some(outcome) = outcome.take() {
                        let _ = outcome.send(Err(error));
                    }
                    // A body that ends early must break the connection, never look complete.
                    return Poll::Ready(Some(Err(io::Error::other("the source of the body has stopped"))));
                }
                Poll::Pending => {
                    this.meter.starve();
                    return Poll::Pending;
                }
            },
        };
        this.took(block.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(block))))
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
