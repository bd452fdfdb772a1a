//! One-shot answers that can be awaited from any executor or waited for by a thread, by any number of waiters.

use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::error::{Error, ErrorKind};

struct Cell<T> {
    state: Mutex<State<T>>,
    settled: Condvar,
}

struct State<T> {
    value: Option<Result<T, Error>>,
    wakers: Vec<Waker>,
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that answers, exactly once. Dropped without an answer it answers that the client is gone, so that
/// nobody waits for ever.
pub(crate) struct Promise<T>(Arc<Cell<T>>);

/// The side that waits. Clones share the answer, and it stays available.
pub(crate) struct Answer<T>(Arc<Cell<T>>);

/// A connected pair.
pub(crate) fn pair<T>() -> (Promise<T>, Answer<T>) {
    let state = Mutex::new(State { value: None, wakers: Vec::new() });
    let cell = Arc::new(Cell { state, settled: Condvar::new() });
    (Promise(Arc::clone(&cell)), Answer(cell))
}

impl<T> Promise<T> {
    /// Answers.
    pub(crate) fn settle(self, value: Result<T, Error>) {
        self.put(value);
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn put(&self, value: Result<T, Error>) {
        let mut state = self.0.lock();
        if state.value.is_some() {
            return;
        }
        state.value = Some(value);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.settled.notify_all();
        for waker in wakers {
            waker.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.put(Err(Error::new(ErrorKind::Cancelled, "the client was closed")));
    }
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Answer(Arc::clone(&self.0))
    }
}

impl<T: Clone> Answer<T> {
    /// The answer if it is there.
    pub(crate) fn peek(&self) -> Option<Result<T, Error>> {
        self.0.lock().value.clone()
    }

    /// Waits for the answer, blocking the thread, at most until `timeout` has passed.
    pub(crate) fn wait_timeout(&self, timeout: Duration) -> Option<Result<T, Error>> {
        // A timeout beyond the clock's range is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.0.lock();
        loop {
            if let Some(value) = &state.value {
                return Some(value.clone());
            }
            state = match deadline {
                None => self.0.settled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.0.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for the answer, blocking the thread.
    pub(crate) fn wait(&self) -> Result<T, Error> {
        self.wait_timeout(Duration::MAX).expect("a wait without limit ends with an answer")
    }

    /// Waits for the answer on any executor. Dropping the future forgets the wait and nothing else.
    pub(crate) async fn get(&self) -> Result<T, Error> {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if let Some(value) = &state.value {
                return Poll::Ready(value.clone());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                state.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_waiters_and_many_waiters_see_the_same_answer() {
        let (promise, answer) = pair::<u32>();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let answer = answer.clone();
                std::thread::spawn(move || answer.wait())
            })
            .collect();
        assert!(answer.peek().is_none());
        assert!(answer.wait_timeout(Duration::ZERO).is_none());
        promise.settle(Ok(7));
        for thread in threads {
            assert_eq!(thread.join().expect("the waiter does not panic").ok(), Some(7));
        }
        assert_eq!(answer.wait().ok(), Some(7));
    }

    #[test]
    fn a_dropped_promise_is_an_answer() {
        let (promise, answer) = pair::<()>();
        drop(promise);
        assert_eq!(answer.wait().expect_err("nobody answered").kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn can_be_awaited_without_a_runtime() {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let (promise, answer) = pair::<&str>();
        assert!(!promise.is_abandoned());
        let other = std::thread::spawn(move || promise.settle(Ok("done")));
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = std::task::Context::from_waker(&waker);
        let mut future = std::pin::pin!(answer.get());
        let value = loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => break value,
                Poll::Pending => std::thread::park(),
            }
        };
        assert_eq!(value.ok(), Some("done"));
        other.join().expect("the answering thread does not panic");
    }
}
