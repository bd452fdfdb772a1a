//! One request's body, with the places where it is to stall or stop.

use super::throttle::Throttle;
use super::wire::Wire;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::error::Elapsed;

pub(crate) struct Body<'a> {
    wire: &'a mut Wire,
    length: u64,
    read: u64,
    marks: Vec<(u64, Mark)>,
    timeout: Duration,
    throttle: Option<(&'a Throttle, u64)>,
    tally: &'a AtomicU64,
    /// `100 Continue` is owed before the first read.
    owes_continue: bool,
}

/// What happens at a byte of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing is read for a while.
    Stall(Duration),
    /// Reading ends here.
    Stop,
}

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyCut {
    /// The client closed or reset early.
    Short,
    /// The client sent nothing for too long.
    Silent,
    /// A [`Mark::Stop`] was reached.
    Stopped,
}

impl<'a> Body<'a> {
    /// A body of `length` bytes. `tally` counts the bytes as they come.
    pub(crate) fn new(wire: &'a mut Wire, length: u64, timeout: Duration, tally: &'a AtomicU64) -> Self {
        Self {
            wire,
            length,
            read: 0,
            marks: Vec::new(),
            timeout,
            throttle: None,
            tally,
            owes_continue: false,
        }
    }

    pub(crate) fn throttle(&mut self, throttle: &'a Throttle, bytes_per_s: u64) {
        self.throttle = Some((throttle, bytes_per_s));
    }

    /// Adds a place; one beyond the end counts as the end.
    pub(crate) fn mark(&mut self, at: u64, mark: Mark) {
        self.marks.push((at.min(self.length), mark));
        self.marks.sort_by_key(|(at, _)| *at);
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn received(&self) -> u64 {
        self.read
    }

    /// The client waits for `100 Continue`: it is sent before the first byte is read.
    pub(crate) fn owe_continue(&mut self, owed: bool) {
        self.owes_continue = owed;
    }

    /// Sends `100 Continue` now, if it is owed.
    pub(crate) async fn send_continue(&mut self) -> Result<(), BodyCut> {
        if std::mem::take(&mut self.owes_continue) {
            let sent = self.wire.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            sent.map_err(|_| BodyCut::Short)?;
        }
        Ok(())
    }

    /// True if the client still waits to be told to go on, and so may never send the body.
    pub(crate) fn is_awaited(&self) -> bool {
        self.owes_continue && self.length > 0
    }

    /// The next bytes, `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Result<Option<&[u8]>, BodyCut> {
        let limit = self.limit().await?;
        if limit == 0 {
            return Ok(None);
        }
        let read = tokio::time::timeout(self.timeout, self.wire.fill(limit)).await;
        self.account(read).await?;
        Ok(Some(self.wire.piece()))
    }

    /// Drops the next bytes unseen, in the kernel where it can do that; how many, 0 after the last.
    pub(crate) async fn discard(&mut self) -> Result<u64, BodyCut> {
        let limit = self.limit().await?;
        if limit == 0 {
            return Ok(0);
        }
        let read = tokio::time::timeout(self.timeout, self.wire.discard(limit)).await;
        self.account(read).await
    }

    /// How much may be read at once, after the stalls that are due; 0 at the end.
    async fn limit(&mut self) -> Result<usize, BodyCut> {
        let mut limit = self.length - self.read;
        while let Some((at, mark)) = self.marks.first().copied() {
            if at > self.read {
                limit = limit.min(at - self.read);
                break;
            }
            self.marks.remove(0);
            match mark {
                Mark::Stall(time) => tokio::time::sleep(time).await,
                Mark::Stop => return Err(BodyCut::Stopped),
            }
        }
        if limit > 0 {
            self.send_continue().await?;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.throttle.map_or(limit, |(_, rate)| limit.min(Throttle::slice(rate))))
    }

    /// Counts what was read and pays for it.
    async fn account(&mut self, read: Result<io::Result<usize>, Elapsed>) -> Result<u64, BodyCut> {
        let bytes = match read {
            Ok(Ok(bytes)) if bytes > 0 => bytes,
            Ok(_) => return Err(BodyCut::Short),
            Err(_) => return Err(BodyCut::Silent),
        };
        self.read += bytes as u64;
        if let Some((throttle, rate)) = self.throttle {
            throttle.take(bytes, rate).await;
        }
        // On a slow link they have arrived when the link has let them through.
        self.tally.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes as u64)
    }

    /// The whole body, refused (`Ok(None)`) if it is longer than `limit` bytes.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Vec<u8>>, BodyCut> {
        if self.length > limit as u64 {
            return Ok(None);
        }
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(chunk);
        }
        Ok(Some(all))
    }
}
