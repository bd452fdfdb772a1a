//! What callers are told, fanned out to whoever listens.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::Notice;

/// Notices kept for a listener that does not listen; beyond that the oldest are dropped and counted.
const MOST_KEPT: usize = 1 << 16;

/// Every notice from the moment of subscribing, in order. Progress is not a notice: ask the upload for it.
///
/// Dropping it ends the subscription. One consumer at a time: a notice goes to whoever asks first.
pub struct Notices(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    notices: VecDeque<Notice>,
    lost: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        act(&mut state);
        let waker = state.waker.take();
        drop(state);
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Notices {
    /// The next notice if one is waiting.
    pub fn try_next(&self) -> Option<Notice> {
        self.0.lock().notices.pop_front()
    }

    /// The next notice, waiting for it on any executor; `None` once the client is closed and all have been taken.
    ///
    /// Cancel: dropping the future loses nothing.
    pub async fn next(&self) -> Option<Notice> {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if let Some(notice) = state.notices.pop_front() {
                return Poll::Ready(Some(notice));
            }
            if state.closed {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The next notice, blocking the thread for it at most `timeout`; `None` when none came, or the client is closed.
    pub fn next_timeout(&self, timeout: Duration) -> Option<Notice> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.0.lock();
        loop {
            if let Some(notice) = state.notices.pop_front() {
                return Some(notice);
            }
            if state.closed {
                return None;
            }
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            // A day is as good as for ever, and within every platform's range.
            let left = left.min(Duration::from_hours(24));
            state = self.0.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the client is closed and all notices have been taken.
    pub fn is_finished(&self) -> bool {
        let state = self.0.lock();
        state.closed && state.notices.is_empty()
    }

    /// Notices dropped because nobody took them: the last 65,536 are kept.
    pub fn lost(&self) -> u64 {
        self.0.lock().lost
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Notices")
            .field("waiting", &state.notices.len())
            .field("closed", &state.closed)
            .finish()
    }
}

/// The side that tells one subscriber. Dropping it tells that no more will come.
pub(crate) struct Subscriber(Weak<Queue>);

/// A new subscription.
pub(crate) fn subscription() -> (Subscriber, Notices) {
    let queue = Arc::new(Queue::default());
    (Subscriber(Arc::downgrade(&queue)), Notices(queue))
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.change(|state| state.closed = true);
        }
    }
}

/// All subscribers.
#[derive(Default)]
pub(crate) struct Listeners(Vec<Subscriber>);

impl Listeners {
    /// One more.
    pub(crate) fn add(&mut self, subscriber: Subscriber) {
        self.0.retain(|subscriber| subscriber.0.strong_count() > 0);
        self.0.push(subscriber);
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, notice: &Notice) {
        for queue in self.0.iter().filter_map(|subscriber| subscriber.0.upgrade()) {
            queue.change(|state| {
                if state.notices.len() >= MOST_KEPT {
                    state.notices.pop_front();
                    state.lost += 1;
                }
                state.notices.push_back(notice.clone());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(text: &str) -> Notice {
        Notice::Remark { upload: None, text: text.into() }
    }

    #[test]
    fn everybody_gets_everything_from_now_on_until_the_end() {
        let mut listeners = Listeners::default();
        listeners.tell(&remark("too early"));
        let (first, one) = subscription();
        let (second, two) = subscription();
        listeners.add(first);
        listeners.add(second);
        listeners.tell(&remark("a"));
        let waiter = std::thread::spawn(move || {
            let mut texts = Vec::new();
            while let Some(Notice::Remark { text, .. }) = one.next_timeout(Duration::MAX) {
                texts.push(text);
            }
            texts
        });
        listeners.tell(&remark("b"));
        drop(listeners);
        assert_eq!(waiter.join().expect("the listener does not panic"), ["a", "b"]);
        assert!(two.try_next().is_some() && two.try_next().is_some() && two.try_next().is_none());
        assert!(two.is_finished() && two.next_timeout(Duration::MAX).is_none());
    }

    #[test]
    fn a_deaf_listener_costs_a_bounded_amount() {
        let mut listeners = Listeners::default();
        let (subscriber, deaf) = subscription();
        listeners.add(subscriber);
        for _ in 0..MOST_KEPT + 3 {
            listeners.tell(&remark(""));
        }
        assert_eq!(deaf.lost(), 3);
    }
}
