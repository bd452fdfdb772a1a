//! Collects blocks of many streams and hashes them together.
//!
//! There is no thread for it: whoever completes a lot hashes it, while the blocks are in that core's cache. A stream that
//! is ahead of the others pauses, so that the sender's thread turns to them; a lot is complete when each stream has
//! something, or as many have as there are lanes. A pause ends after [`PATIENCE`] at the latest, with whatever there is;
//! streams that had nothing then (a line that takes no bytes) are not waited for until they move again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::block::{self, BLOCK, START};
use super::lanes;

/// Bytes of a stream that a lot waits for.
const READY: usize = 64 << 10;
/// Bytes of a stream that may wait to be hashed: two blocks, so that slow streams gather enough for the lanes.
const MOST_WAITING: usize = 512 << 10;
/// Most bytes of one stream hashed before the lot is chosen anew.
const TURN: usize = 64 << 10;
/// Longest pause for company.
const PATIENCE: Duration = Duration::from_millis(1);

/// Hashes for any number of streams.
#[derive(Clone, Default)]
pub(crate) struct Batcher(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    rows: BTreeMap<u64, Row>,
}

/// What is known of one stream.
struct Row {
    chaining: [u32; 4],
    /// Bytes behind the last whole block.
    tail: Vec<u8>,
    len: u64,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Somebody hashes it just now.
    busy: bool,
    /// It had nothing when others had paused long enough.
    late: bool,
    /// The sender pauses until there is room.
    paused: Option<Waker>,
    /// Nothing will follow; the digest goes here.
    ended: Option<oneshot::Sender<[u8; 16]>>,
}

/// One message on its way into its digest. Dropping it forgets it.
pub(crate) struct Stream {
    number: u64,
    shared: Arc<Shared>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// The digest of a stream, once its last byte is hashed.
pub(crate) struct Digest {
    number: u64,
    shared: Arc<Shared>,
    told: oneshot::Receiver<[u8; 16]>,
}

impl Batcher {
    /// Whether this processor hashes several messages faster than one after the other.
    pub(crate) fn pays() -> bool {
        lanes::most() > 1
    }

    /// Begins a message.
    pub(crate) fn stream(&self) -> Stream {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.rows.insert(
            number,
            Row {
                chaining: START,
                tail: Vec::new(),
                len: 0,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                busy: false,
                // Not waited for before its first bytes.
                late: true,
                paused: None,
                ended: None,
            },
        );
        Stream { number, shared: Arc::clone(&self.0), pause: None }
    }
}

impl Stream {
    /// Waits while this stream is far ahead of the others.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patient = match &mut self.pause {
            Some(pause) => pause.as_mut().poll(cx).is_pending(),
            None => true,
        };
        if !patient {
            self.pause = None;
            self.shared.hash_with(self.number);
        }
        let mut state = self.shared.lock();
        let Some(row) = state.rows.get_mut(&self.number).filter(|row| row.waiting_bytes >= MOST_WAITING)
        else {
            self.pause = None;
            return Poll::Ready(());
        };
        row.paused = Some(cx.waker().clone());
        drop(state);
        if self.pause.is_none() {
            let mut pause = Box::pin(sleep(PATIENCE));
            // Registers the timer; it cannot be over yet.
            if pause.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            self.pause = Some(pause);
        }
        Poll::Pending
    }

    /// As [`Stream::poll_room`], for those who await.
    pub(crate) async fn room(&mut self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    /// Adds bytes. The block is kept until they are hashed, which this call does if it makes a lot complete.
    pub(crate) fn push(&self, block: Bytes) {
        let mut state = self.shared.lock();
        if let Some(row) = state.rows.get_mut(&self.number) {
            row.late = false;
            row.len += block.len() as u64;
            row.waiting_bytes += block.len();
            row.waiting.push_back(block);
        }
        self.shared.hash_complete(state);
    }

    /// Nothing more follows.
    pub(crate) fn finish(self) -> Digest {
        let (tell, told) = oneshot::channel();
        let mut state = self.shared.lock();
        if let Some(row) = state.rows.get_mut(&self.number) {
            row.ended = Some(tell);
        }
        state.settle();
        self.shared.hash_complete(state);
        Digest { number: self.number, shared: Arc::clone(&self.shared), told }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // One that has ended leaves when its digest is known.
        if state.rows.get(&self.number).is_some_and(|row| row.ended.is_none()) {
            state.rows.remove(&self.number);
            self.shared.hash_complete(state);
        }
    }
}

impl Digest {
    /// `None`: whoever hashed it has vanished.
    pub(crate) async fn get(mut self) -> Option<[u8; 16]> {
        loop {
            tokio::select! {
                biased;
                digest = &mut self.told => return digest.ok(),
                () = sleep(PATIENCE) => self.shared.hash_with(self.number),
            }
        }
    }
}

impl Row {
    /// Whether a lot may count on it.
    fn is_ready(&self) -> bool {
        self.waiting_bytes >= READY || (self.ended.is_some() && self.waiting_bytes > 0)
    }

    /// Bytes in whole blocks at the front, without copying; 0 when the front has first to be put together.
    fn straight(&self) -> usize {
        match self.waiting.front() {
            Some(front) if self.tail.is_empty() => (front.len() / BLOCK * BLOCK).min(TURN),
            _ => 0,
        }
    }

    /// Puts together the block that lies across two pieces, and keeps the rest of the last piece.
    fn join(&mut self) {
        while let Some(front) = self.waiting.front_mut() {
            if self.tail.is_empty() && front.len() >= BLOCK {
                return;
            }
            let take = (BLOCK - self.tail.len()).min(front.len());
            self.tail.extend_from_slice(&front[..take]);
            self.took(take);
            if self.tail.len() == BLOCK {
                block::compress(&mut self.chaining, &self.tail);
                self.tail.clear();
            }
        }
    }

    fn took(&mut self, bytes: usize) {
        self.waiting_bytes -= bytes;
        if let Some(front) = self.waiting.front_mut() {
            front.advance(bytes);
            if front.is_empty() {
                self.waiting.pop_front();
            }
        }
        if self.waiting_bytes < MOST_WAITING
            && let Some(paused) = self.paused.take()
        {
            paused.wake();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes while lots are complete.
    fn hash_complete<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        while state.is_complete() {
            let lot = state.choose(None);
            if lot.is_empty() {
                return;
            }
            state = self.hash(state, &lot);
        }
    }

    /// Hashes one lot with this stream in it, however few others have something.
    fn hash_with(&self, number: u64) {
        let mut state = self.lock();
        for row in state.rows.values_mut().filter(|row| !row.busy && !row.is_ready()) {
            row.late = true;
        }
        let lot = state.choose(Some(number));
        if !lot.is_empty() {
            state = self.hash(state, &lot);
        }
        self.hash_complete(state);
    }

    fn hash<'a>(&'a self, state: MutexGuard<'a, State>, lot: &[Turn]) -> MutexGuard<'a, State> {
        drop(state);
        let len = lot.iter().map(|(_, _, bytes)| bytes.len()).min().unwrap_or(0);
        let mut rows: Vec<([u32; 4], &[u8])> =
            lot.iter().map(|(_, chaining, bytes)| (*chaining, &bytes[..])).collect();
        lanes::compress(&mut rows, len);
        let mut state = self.lock();
        for ((number, ..), (chaining, _)) in lot.iter().zip(rows) {
            // A stream that was dropped meanwhile is gone.
            if let Some(row) = state.rows.get_mut(number) {
                row.busy = false;
                row.chaining = chaining;
                row.took(len);
            }
        }
        state.settle();
        state
    }
}

/// A stream's number, its chaining value, and the bytes of its turn.
type Turn = (u64, [u32; 4], Bytes);

impl State {
    fn is_complete(&self) -> bool {
        let expected = self.rows.values().filter(|row| !row.late).count().min(lanes::most());
        let ready = self.rows.values().filter(|row| !row.busy && row.is_ready()).count();
        ready > 0 && ready >= expected
    }

    /// As many as there are lanes, of those with the most to do; `with` is among them if it has something.
    fn choose(&mut self, with: Option<u64>) -> Vec<Turn> {
        let mut ready: Vec<(usize, u64)> = Vec::with_capacity(self.rows.len());
        for (number, row) in self.rows.iter_mut().filter(|(_, row)| !row.busy) {
            row.join();
            ready.push((row.straight(), *number));
        }
        self.settle();
        ready.retain(|(straight, _)| *straight > 0);
        ready.sort_unstable_by_key(|(straight, number)| (Some(*number) != with, Reverse(*straight)));
        ready.truncate(lanes::most());
        // All lanes run as far as the shortest: with that many more lanes less may get done.
        let shortest = match ready.first() {
            Some((own, number)) if Some(*number) == with => *own,
            _ => {
                let amounts =
                    ready.iter().zip(1..).map(|((straight, _), lanes)| (straight * lanes, *straight));
                amounts.max().map_or(0, |(_, straight)| straight)
            }
        };
        ready.retain(|(straight, _)| *straight >= shortest);
        let mut lot = Vec::with_capacity(ready.len());
        for (straight, number) in ready {
            if let Some(row) = self.rows.get_mut(&number)
                && let Some(front) = row.waiting.front()
            {
                lot.push((number, row.chaining, front.slice(..straight)));
                row.busy = true;
            }
        }
        lot
    }

    /// Tells the digests of streams that are through.
    fn settle(&mut self) {
        for row in self.rows.values_mut().filter(|row| !row.busy) {
            row.join();
        }
        self.rows.retain(|_, row| {
            if row.busy || !row.waiting.is_empty() {
                return true;
            }
            let Some(tell) = row.ended.take() else { return true };
            // Whoever asked may have gone.
            let _ = tell.send(block::finish(row.chaining, &row.tail, row.len));
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::*;
    use crate::engine::random::Random;

    fn message(random: &mut Random, len: u64) -> Bytes {
        (0..len).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect()
    }

    async fn send(batcher: Batcher, mut rest: Bytes, mut random: Random) -> [u8; 16] {
        let mut stream = batcher.stream();
        while !rest.is_empty() {
            stream.room().await;
            let cut = usize::try_from(random.below(90_000)).expect("small") + 1;
            stream.push(rest.split_to(cut.min(rest.len())));
            tokio::task::yield_now().await;
        }
        stream.finish().get().await.expect("somebody hashes it")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn streams_of_any_number_and_shape_get_their_digests() {
        let batcher = Batcher::default();
        let mut random = Random::new(11);
        for count in [1, 2, 7, 16, 40] {
            let messages: Vec<Bytes> = (0..count)
                .map(|_| {
                    let most = if random.below(4) == 0 { 200 } else { 300_000 };
                    let len = random.below(most);
                    message(&mut random, len)
                })
                .collect();
            let sent: Vec<_> = messages
                .iter()
                .map(|bytes| tokio::spawn(send(batcher.clone(), bytes.clone(), Random::new(random.bits()))))
                .collect();
            for (digest, message) in sent.into_iter().zip(&messages) {
                assert_eq!(digest.await.expect("no panic")[..], Md5::digest(message)[..]);
            }
            assert!(batcher.0.lock().rows.is_empty());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stream_that_pauses_goes_on_though_another_never_sends() {
        let batcher = Batcher::default();
        let (idle, mut busy) = (batcher.stream(), batcher.stream());
        let block = Bytes::from(vec![3; 100_000]);
        let mut whole = Md5::new();
        for _ in 0..100 {
            busy.room().await;
            busy.push(block.clone());
            whole.update(&block);
        }
        assert_eq!(busy.finish().get().await.expect("somebody hashes it")[..], whole.finalize()[..]);
        drop(idle);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_stream_holds_nobody_up() {
        let batcher = Batcher::default();
        let (idle, busy) = (batcher.stream(), batcher.stream());
        busy.push(Bytes::from_static(&[7; 1000]));
        let digest = busy.finish();
        assert_eq!(digest.get().await.expect("somebody hashes it")[..], Md5::digest([7; 1000])[..]);
        idle.push(Bytes::from_static(&[7; 1000]));
        drop(idle);
        assert!(batcher.0.lock().rows.is_empty());
    }
}
