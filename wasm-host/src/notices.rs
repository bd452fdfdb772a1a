//! What callers are told, fanned out to whoever listens.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use outlast_core::engine::Notice;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Every notice of a client from the moment of subscribing, in order. Progress is not a notice: ask the upload for it.
///
/// Dropping it ends the subscription. Notices are kept until they are taken: take them, or drop it.
pub struct Notices(UnboundedReceiver<Notice>);

impl Notices {
    /// The next notice, waiting for it on any executor; `None` once the client and its sessions are gone.
    ///
    /// Cancel: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        self.0.recv().await
    }

    /// The next notice if one is waiting.
    pub fn try_next(&mut self) -> Option<Notice> {
        self.0.try_recv().ok()
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").field("waiting", &self.0.len()).finish()
    }
}

/// All subscribers.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<UnboundedSender<Notice>>>);

impl Listeners {
    /// One more.
    pub(crate) fn subscribe(&self) -> Notices {
        let (sender, receiver) = unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Notices(receiver)
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, notice: &Notice) {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|sender| sender.send(notice.clone()).is_ok());
    }
}
