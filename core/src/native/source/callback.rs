//! The host program supplies the next credential.

use std::fmt;

use super::{Abilities, Source, Wire};
use crate::engine::command::ExchangeFailure;
use crate::engine::credential::Grant;
use crate::engine::error::Error;

/// What the host is asked with: the credential at hand, if there is one.
pub type AskHost = dyn Fn(Option<&Grant>) -> Result<Grant, ExchangeFailure> + Send + Sync;

/// A function of the host's. It may block; it is called from one thread at a time.
pub struct HostCallback {
    ask: Box<AskHost>,
    abilities: Abilities,
}

impl HostCallback {
    /// `abilities` says what the host's credentials can do; `can_exchange` is what it is called for.
    pub fn new(
        abilities: Abilities,
        ask: impl Fn(Option<&Grant>) -> Result<Grant, ExchangeFailure> + Send + Sync + 'static,
    ) -> HostCallback {
        HostCallback {
            ask: Box::new(ask),
            abilities: Abilities { can_exchange: true, can_store: false, ..abilities },
        }
    }
}

impl fmt::Debug for HostCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCallback").field("abilities", &self.abilities).finish_non_exhaustive()
    }
}

impl Source for HostCallback {
    fn abilities(&self) -> Abilities {
        self.abilities.clone()
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        (self.ask)(held)
    }
}
