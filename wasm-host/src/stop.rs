//! Ending a component from outside.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use wasmtime::Engine;

/// Ends one instance from any thread: its call in progress fails, and so does every later one. Clones are the same.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    engine: Engine,
    is_asked: AtomicBool,
    told: Notify,
}

impl Stop {
    pub(crate) fn new(engine: Engine) -> Stop {
        Stop(Arc::new(Inner { engine, is_asked: AtomicBool::new(false), told: Notify::new() }))
    }

    /// Ends the instance: at its next instruction if it computes, within half a second if it waits.
    pub fn stop(&self) {
        self.0.is_asked.store(true, Ordering::Release);
        self.0.engine.increment_epoch();
        self.0.told.notify_waiters();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire)
    }

    /// Waits until it is asked for.
    pub(crate) async fn asked(&self) {
        let told = self.0.told.notified();
        if !self.is_asked() {
            told.await;
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}
