//! A connection with its one buffer: heads and bodies are read through it, answers written past it.

use super::head::{BadHead, Head, MAX_HEAD_BYTES};
use super::reply::{Payload, Reply};
use super::stream::Stream;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// Bytes asked of the kernel at a time. 256 KiB keeps a part in the second-level cache while it is hashed.
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct Wire {
    pub(crate) stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    piece: Range<usize>,
}

/// Why there is no next request.
#[derive(Debug)]
pub(crate) enum NoHead {
    /// The client closed, or said nothing for too long, between two requests.
    Idle,
    /// The client closed or went silent in the middle of a head.
    Partial,
    /// What it sent is no request.
    Bad(BadHead),
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, piece: 0..0 }
    }

    /// Reads the next head; the time limit covers the wait for it and all of it.
    pub(crate) async fn head(&mut self, limit: Duration) -> Result<Head, NoHead> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match Head::parse(&self.buffer[self.start..self.end]) {
                Ok(Some((head, used))) => {
                    self.start += used;
                    return Ok(head);
                }
                Ok(None) => {}
                Err(bad) => return Err(NoHead::Bad(bad)),
            }
            let nothing_yet = self.start == self.end;
            if self.start > 0 && self.buffer.len() - self.start < MAX_HEAD_BYTES + 1 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            let end = self.end;
            let read = tokio::time::timeout_at(deadline, self.stream.read(&mut self.buffer[end..])).await;
            match read {
                Ok(Ok(n)) if n > 0 => self.end += n,
                _ if nothing_yet => return Err(NoHead::Idle),
                _ => return Err(NoHead::Partial),
            }
        }
    }

    /// Takes the next piece of a body, at most `limit` bytes (`limit` > 0), and says how long it is: 0 at the end of the
    /// connection. The bytes are then in [`Wire::piece`].
    pub(crate) async fn fill(&mut self, limit: usize) -> io::Result<usize> {
        if self.start == self.end {
            let room = limit.min(self.buffer.len());
            let read = self.stream.read(&mut self.buffer[..room]).await?;
            (self.start, self.end) = (0, read);
        }
        let length = limit.min(self.end - self.start);
        self.piece = self.start..self.start + length;
        self.start += length;
        Ok(length)
    }

    /// What the latest [`Wire::fill`] took.
    pub(crate) fn piece(&self) -> &[u8] {
        &self.buffer[self.piece.clone()]
    }

    /// As [`Wire::fill`], but the bytes are dropped.
    pub(crate) async fn discard(&mut self, limit: usize) -> io::Result<usize> {
        if self.start < self.end {
            return self.fill(limit).await;
        }
        let room = limit.min(self.buffer.len());
        self.stream.discard(&mut self.buffer[..room]).await
    }

    /// Writes a whole answer. `bodiless` for answers to HEAD: the length is announced and nothing follows.
    pub(crate) async fn send(&mut self, reply: &Reply, bodiless: bool, close: bool) -> io::Result<()> {
        self.stream.write_all(&reply.front_bytes(bodiless, close)).await?;
        self.send_segments(reply, bodiless).await
    }

    /// The same with head and small bodies in pieces, a pause after each.
    pub(crate) async fn trickle(
        &mut self,
        reply: &Reply,
        bodiless: bool,
        close: bool,
        piece: usize,
        every: Duration,
    ) -> io::Result<()> {
        for chunk in reply.front_bytes(bodiless, close).chunks(piece.max(1)) {
            self.stream.write_all(chunk).await?;
            tokio::time::sleep(every).await;
        }
        self.send_segments(reply, bodiless).await
    }

    async fn send_segments(&mut self, reply: &Reply, bodiless: bool) -> io::Result<()> {
        if let (Payload::Segments(slices), false) = (&reply.payload, bodiless) {
            for slice in slices {
                slice.write_to(&mut self.stream).await?;
            }
        }
        Ok(())
    }

    /// Reads and drops `left` bytes of a body; false if they do not come.
    pub(crate) async fn skip(&mut self, mut left: u64, timeout: Duration) -> bool {
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            match tokio::time::timeout(timeout, self.discard(limit)).await {
                Ok(Ok(dropped)) if dropped > 0 => left -= dropped as u64,
                _ => return false,
            }
        }
        true
    }

    /// True if bytes were read that belong to what comes next.
    pub(crate) fn has_more(&self) -> bool {
        self.start < self.end
    }

    /// Reads and drops what the client still sends, for at most `limit`, so that closing does not reset a fresh answer.
    pub(crate) async fn linger(&mut self, limit: Duration) {
        let _ = self.stream.finish().await;
        let drop_all = async { while self.stream.read(&mut self.buffer).await.is_ok_and(|n| n > 0) {} };
        let _ = tokio::time::timeout(limit, drop_all).await;
    }
}
