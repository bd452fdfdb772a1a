//! The completion queue: events to pull, and a descriptor that is readable while some wait.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outlast_core::{Error, ErrorKind};

use crate::error::outlast_error;
use crate::event::{Happening, OUTLAST_EVENT_PROGRESS, outlast_event};
use crate::guard::{Failure, guard, quietly};
use crate::handle::{self, Handle};
use crate::status::outlast_status;
use crate::view::{Out, Slot};

/// Where events wait until they are taken.
pub struct outlast_queue {
    _opaque: (),
}

impl Handle for outlast_queue {
    type Rust = Queue;
    const NAME: &'static str = "queue";
    // Its lock may be held, at the moment of a fork, by the thread that brings events.
    const THREADS: bool = true;
}

/// Events kept for a consumer that does not come; beyond that the oldest minor ones are dropped and counted.
const MOST_KEPT: usize = 1 << 16;
/// How far back a progress event looks for the one it replaces.
const PROGRESS_REACH: usize = 64;

/// What a queue handle stands for.
pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// Holds one byte exactly while there are events. Neither end blocks.
    readable: UnixStream,
    bell: UnixStream,
}

#[derive(Default)]
struct State {
    events: VecDeque<Happening>,
    lost: u64,
    freed: bool,
}

impl Queue {
    fn new() -> Result<Queue, Failure> {
        let failed = |error: std::io::Error| {
            Failure::from(Error::new(ErrorKind::Internal, format!("no descriptor for the queue: {error}")))
        };
        let (readable, bell) = UnixStream::pair().map_err(failed)?;
        readable.set_nonblocking(true).and_then(|()| bell.set_nonblocking(true)).map_err(failed)?;
        Ok(Queue { state: Mutex::default(), arrived: Condvar::new(), readable, bell })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more event. Never blocks.
    pub(crate) fn push(&self, event: Happening) {
        let mut state = self.lock();
        if state.freed {
            return;
        }
        if event.kind == OUTLAST_EVENT_PROGRESS {
            let mut recent = state.events.iter_mut().rev().take(PROGRESS_REACH);
            if let Some(stale) = recent.find(|old| old.kind == event.kind && old.upload == event.upload) {
                *stale = event;
                return;
            }
        }
        if state.events.len() >= MOST_KEPT
            && let Some(minor) = state.events.iter().position(Happening::is_minor)
        {
            state.events.remove(minor);
            state.lost += 1;
        }
        state.events.push_back(event);
        if state.events.len() == 1 {
            let _ = (&self.bell).write(&[0]);
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn pop(&self, state: &mut State) -> Option<Happening> {
        let event = state.events.pop_front()?;
        if state.events.is_empty() {
            let _ = (&self.readable).read(&mut [0]);
        }
        Some(event)
    }

    fn next(&self, timeout: Option<Duration>) -> Result<Happening, Failure> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(event) = self.pop(&mut state) {
                return Ok(event);
            }
            if state.freed {
                return Err(Error::new(ErrorKind::Cancelled, "the queue was freed").into());
            }
            state = match deadline {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Failure::timeout("no event came"));
                    }
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn free(&self) {
        let mut state = self.lock();
        state.freed = true;
        state.events.clear();
        drop(state);
        self.arrived.notify_all();
    }
}

/// A timeout of the ABI: below 0 is without limit.
pub(crate) fn timeout(timeout_ms: i64) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

/// Makes a queue. Give it to `outlast_client_new` or to an upload's options; one queue may serve several of them.
///
/// Ownership: free it with `outlast_queue_free`. Threads: any.
/// Errors: `INVALID` (`out` is NULL), `INTERNAL` (no file descriptor left).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_queue_new(
    out: *mut *mut outlast_queue,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let (out, err) = unsafe { (Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let out = out.needed("the queue")?;
        out.set(handle::new::<outlast_queue>(Arc::new(Queue::new()?)));
        Ok(())
    })
}

/// A descriptor that is readable while events wait: for poll, epoll, select, asyncio, libuv. Level-triggered.
///
/// Need not be read. A loop that cannot help reading what it watches may read a duplicate; it must then take events until
/// `TIMEOUT` each time, since the descriptor becomes readable anew only after all had been taken.
/// Ownership: the queue's; do not close it. It is closed on exec. Threads: any. Errors: -1 for what is no queue.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_queue_fd(queue: *const outlast_queue) -> i32 {
    quietly(-1, || handle::get(queue).map_or(-1, |queue| queue.readable.as_raw_fd()))
}

/// Takes the next event, waiting for it at most `timeout_ms` (0: only if one waits; below 0: without limit).
///
/// Ownership: clear the event with `outlast_event_clear`. Set its `size` before.
/// Threads: one consumer at a time; more are safe, but each event goes to one of them.
/// Errors: `TIMEOUT` (none came; not worth an error object: pass NULL as `err`), `CANCELLED` (the queue was freed),
/// `INVALID` (no queue, or `event->size` is wrong).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_queue_next(
    queue: *mut outlast_queue,
    timeout_ms: i64,
    event: *mut outlast_event,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let (event, err) = unsafe { (Out::new(event), Slot::new(err)) };
    guard(&err, || {
        let event = event?;
        let queue = handle::get(queue)?;
        event.fill(&queue.next(timeout(timeout_ms))?.expose());
        Ok(())
    })
}

/// How many events were dropped because nobody took them: the last 65,536 are kept, and all that end something.
///
/// Threads: any. Errors: 0 for what is no queue.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_queue_lost(queue: *const outlast_queue) -> u64 {
    quietly(0, || handle::get(queue).map_or(0, |queue| queue.lock().lost))
}

/// Frees a queue with all events that nobody took. Whoever waits in `outlast_queue_next` gets `CANCELLED`; clients and
/// uploads that were given the queue go on without. NULL, and what has been freed already, is left alone. In a forked child
/// nothing but the handle is freed; the descriptors stay open there until it ends or runs another program.
///
/// Threads: any; the last call on it. Remove the descriptor from your poll set before. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_queue_free(queue: *mut outlast_queue) {
    quietly((), || {
        if let Some(queue) = handle::take(queue) {
            queue.free();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{OUTLAST_EVENT_FINISHED, OUTLAST_EVENT_REMARK};

    fn progress(upload: u64, bytes: u64) -> Happening {
        Happening { upload, bytes, ..Happening::new(OUTLAST_EVENT_PROGRESS) }
    }

    fn is_readable(queue: &Queue) -> bool {
        let mut one = [0];
        let peeked = queue.readable.try_clone().and_then(|mut end| end.read(&mut one));
        // Looking takes the byte; put it back.
        peeked.is_ok() && (&queue.bell).write(&[0]).is_ok()
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_events_wait() {
        let queue = Queue::new().ok().expect("descriptors are to be had");
        assert!(!is_readable(&queue));
        for bytes in 0..3 {
            queue.push(progress(1, bytes));
        }
        queue.push(progress(2, 9));
        assert!(is_readable(&queue));
        // The stale ones were replaced.
        assert_eq!(queue.next(None).ok().map(|event| event.bytes), Some(2));
        assert!(is_readable(&queue));
        assert_eq!(queue.next(None).ok().map(|event| event.bytes), Some(9));
        assert!(!is_readable(&queue));
        let none = queue.next(Some(Duration::ZERO)).err().expect("it is empty");
        assert_eq!(none.status, crate::status::OUTLAST_E_TIMEOUT);
    }

    #[test]
    fn whoever_reads_the_descriptor_and_takes_all_is_told_again() {
        let queue = Queue::new().ok().expect("descriptors are to be had");
        let mut theirs = queue.readable.try_clone().expect("descriptors are to be had");
        for round in 0..3 {
            for upload in 0..4 {
                queue.push(progress(upload, round));
            }
            // One byte for all of them, and it is gone before the first is taken.
            assert_eq!(theirs.read(&mut [0; 8]).ok(), Some(1));
            for upload in 0..4 {
                assert_eq!(queue.next(None).ok().map(|event| event.upload), Some(upload));
            }
            assert!(theirs.read(&mut [0]).is_err(), "nothing waits, so it is not readable");
        }
    }

    #[test]
    fn what_ends_something_is_never_lost() {
        let queue = Queue::new().ok().expect("descriptors are to be had");
        queue.push(Happening::new(OUTLAST_EVENT_FINISHED));
        for _ in 0..MOST_KEPT + 5 {
            queue.push(Happening::new(OUTLAST_EVENT_REMARK));
        }
        assert_eq!(queue.lock().lost, 6);
        assert_eq!(queue.next(None).ok().map(|event| event.kind), Some(OUTLAST_EVENT_FINISHED));
        queue.free();
        let freed = queue.next(None).err().expect("it was freed");
        assert_eq!(freed.status, crate::status::OUTLAST_E_CANCELLED);
    }
}
