//! Collects blocks of many streams and hashes them together.
//!
//! Work is put off until it can be done cheaply: when as many streams have blocks as there are lanes, or as there are
//! streams. When a sender must pause because it has too much waiting, or a digest is waited for, half the lanes will do,
//! and after [`PATIENCE`] whatever there is. What is put off is bounded by [`MOST_WAITING`] bytes a stream.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::block::{self, BLOCK, START};
use super::lanes;

/// Bytes of a stream that may wait to be hashed.
const MOST_WAITING: usize = 512 << 10;
/// Most bytes of one stream hashed before the lot is chosen anew.
const TURN: usize = 64 << 10;
/// Longest wait for company when somebody waits for us.
const PATIENCE: Duration = Duration::from_millis(3);

/// Hashes for any number of streams on one thread of the runtime, which exists while there are streams.
#[derive(Clone)]
pub(crate) struct Batcher(Arc<Shared>);

struct Shared {
    runtime: Handle,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    running: bool,
    /// Since when somebody waits.
    urgent: Option<Instant>,
    streams: BTreeMap<u64, Row>,
}

/// What is known of one stream.
struct Row {
    state: [u32; 4],
    /// Bytes behind the last whole block.
    tail: Vec<u8>,
    len: u64,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// The sender pauses until there is room.
    paused: Option<Waker>,
    /// Nothing will follow; the digest goes here.
    ended: Option<oneshot::Sender<[u8; 16]>>,
}

/// One message on its way into its digest. Dropping it forgets it.
pub(crate) struct Stream {
    number: u64,
    shared: Arc<Shared>,
}

/// The digest of a stream, once its last byte is hashed.
pub(crate) struct Digest(oneshot::Receiver<[u8; 16]>);

impl Batcher {
    /// A batcher without streams; its thread will be one of the runtime's for blocking work.
    pub(crate) fn new(runtime: Handle) -> Self {
        Batcher(Arc::new(Shared { runtime, state: Mutex::default(), work: Condvar::new() }))
    }

    /// Whether this processor hashes several messages faster than one after the other.
    pub(crate) fn pays() -> bool {
        lanes::most() > 1
    }

    /// Begins a message.
    pub(crate) fn stream(&self) -> Stream {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.streams.insert(
            number,
            Row {
                state: START,
                tail: Vec::new(),
                len: 0,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                paused: None,
                ended: None,
            },
        );
        if !std::mem::replace(&mut state.running, true) {
            let shared = Arc::clone(&self.0);
            self.0.runtime.spawn_blocking(move || shared.run());
        }
        Stream { number, shared: Arc::clone(&self.0) }
    }
}

impl Stream {
    /// Waits until there is room for more.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        let Some(row) = state.streams.get_mut(&self.number) else { return Poll::Ready(()) };
        if row.waiting_bytes < MOST_WAITING {
            return Poll::Ready(());
        }
        row.paused = Some(cx.waker().clone());
        self.shared.tell(state);
        Poll::Pending
    }

    /// As [`Stream::poll_room`], for those who await.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    /// Adds bytes. The block is kept until they are hashed.
    pub(crate) fn push(&self, block: Bytes) {
        let mut state = self.shared.lock();
        if let Some(row) = state.streams.get_mut(&self.number) {
            row.len += block.len() as u64;
            row.waiting_bytes += block.len();
            row.waiting.push_back(block);
        }
        self.shared.tell(state);
    }

    /// Nothing more follows.
    pub(crate) fn finish(self) -> Digest {
        let (told, digest) = oneshot::channel();
        let mut state = self.shared.lock();
        if let Some(row) = state.streams.get_mut(&self.number) {
            row.ended = Some(told);
        }
        self.shared.tell(state);
        Digest(digest)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        // One that has ended leaves when its digest is known.
        if state.streams.get(&self.number).is_some_and(|row| row.ended.is_none()) {
            state.streams.remove(&self.number);
            self.shared.work.notify_one();
        }
    }
}

impl Digest {
    /// `None`: the runtime has ended before.
    pub(crate) async fn get(self) -> Option<[u8; 16]> {
        self.0.await.ok()
    }
}

/// When to hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Now,
    /// Unless more comes before.
    At(Instant),
    /// When more comes.
    Later,
}

impl State {
    fn due(&mut self) -> Due {
        let ready = self.streams.values().filter(|row| row.waiting_bytes > 0).count();
        let urgent = self.streams.values().any(|row| row.ended.is_some() || row.paused.is_some());
        if !urgent {
            self.urgent = None;
        }
        if ready > 0 && ready >= self.streams.len().min(lanes::most()) {
            return Due::Now;
        }
        if !urgent {
            return Due::Later;
        }
        if ready >= lanes::most() / 2 {
            return Due::Now;
        }
        let until = *self.urgent.get_or_insert_with(Instant::now) + PATIENCE;
        if Instant::now() >= until { Due::Now } else { Due::At(until) }
    }
}

impl Row {
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
                block::compress(&mut self.state, &self.tail);
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
        if self.waiting_bytes <= MOST_WAITING / 2
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

    /// Wakes the hashing thread if it has now something to do, or something to wait for.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        if state.due() != Due::Later {
            self.work.notify_one();
        }
    }

    /// Hashes until no stream is left.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.streams.is_empty() {
                state.running = false;
                return;
            }
            match state.due() {
                Due::Now => {}
                Due::At(until) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    let woken = self.work.wait_timeout(state, wait);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Due::Later => {
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            }
            let lot = state.choose();
            drop(state);
            let done = hash(&lot);
            state = self.lock();
            for (number, chaining, bytes) in done {
                // A stream that was dropped meanwhile is gone.
                if let Some(row) = state.streams.get_mut(&number) {
                    row.state = chaining;
                    row.took(bytes);
                }
            }
            state.settle();
        }
    }
}

/// A stream's number, its chaining value, and the bytes of its turn.
type Turn = (u64, [u32; 4], Bytes);

impl State {
    /// Those with the most to do, as many as there are lanes.
    fn choose(&mut self) -> Vec<Turn> {
        for row in self.streams.values_mut() {
            row.join();
        }
        let mut ready: Vec<(usize, u64)> =
            self.streams.iter().map(|(number, row)| (row.waiting_bytes, *number)).collect();
        ready.sort_unstable_by(|a, b| b.cmp(a));
        let turn = |(_, number): &(usize, u64)| {
            let row = self.streams.get(number)?;
            let straight = row.straight();
            (straight > 0).then(|| Some((*number, row.state, row.waiting.front()?.slice(..straight))))?
        };
        ready.iter().filter_map(turn).take(lanes::most()).collect()
    }

    /// Tells the digests of streams that are through.
    fn settle(&mut self) {
        for row in self.streams.values_mut() {
            row.join();
        }
        self.streams.retain(|_, row| {
            if !row.waiting.is_empty() {
                return true;
            }
            let Some(told) = row.ended.take() else { return true };
            // Whoever asked may have gone.
            let _ = told.send(block::finish(row.state, &row.tail, row.len));
            false
        });
    }
}

fn hash(lot: &[Turn]) -> Vec<(u64, [u32; 4], usize)> {
    let len = lot.iter().map(|(_, _, bytes)| bytes.len()).min().unwrap_or(0);
    let mut rows: Vec<([u32; 4], &[u8])> = lot.iter().map(|(_, state, bytes)| (*state, &bytes[..])).collect();
    lanes::compress(&mut rows, len);
    rows.iter().zip(lot).map(|((state, _), (number, ..))| (*number, *state, len)).collect()
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
        let stream = batcher.stream();
        while !rest.is_empty() {
            stream.room().await;
            let cut = usize::try_from(random.below(90_000)).expect("small") + 1;
            stream.push(rest.split_to(cut.min(rest.len())));
            tokio::task::yield_now().await;
        }
        stream.finish().get().await.expect("the runtime lives")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn streams_of_any_number_and_shape_get_their_digests() {
        let batcher = Batcher::new(Handle::current());
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
            assert!(batcher.0.lock().streams.is_empty());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stream_that_pauses_goes_on_though_another_never_sends() {
        let batcher = Batcher::new(Handle::current());
        let (idle, busy) = (batcher.stream(), batcher.stream());
        let block = Bytes::from(vec![3; 100_000]);
        let mut whole = Md5::new();
        for _ in 0..100 {
            busy.room().await;
            busy.push(block.clone());
            whole.update(&block);
        }
        assert_eq!(busy.finish().get().await.expect("the runtime lives")[..], whole.finalize()[..]);
        drop(idle);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_dropped_stream_holds_nobody_up() {
        let batcher = Batcher::new(Handle::current());
        let (idle, busy) = (batcher.stream(), batcher.stream());
        busy.push(Bytes::from_static(&[7; 1000]));
        let digest = busy.finish();
        assert_eq!(digest.get().await.expect("the runtime lives")[..], Md5::digest([7; 1000])[..]);
        idle.push(Bytes::from_static(&[7; 1000]));
        drop(idle);
        assert!(batcher.0.lock().streams.is_empty());
    }
}
