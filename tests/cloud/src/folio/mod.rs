//! FOLIO front ends: the library platform's login cookies, on Okapi and on Eureka, and an import that takes longer than
//! a token lives.
//!
//! - `settings`  the switches
//! - `face`, `cookies`  the addresses under `/authn`, `/bl-users` and `/data-import`
//! - `authn`  sign in, refresh, sign out; tokens live in the authorization server's store, by its rules
//! - `gateway`  whose token a request carries, and how each platform says no
//! - `import`  a job of many calls, each with a nested call between modules

mod authn;
mod cookies;
pub(crate) mod face;
mod gateway;
mod import;
pub(crate) mod settings;

use crate::clock::Millis;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What only FOLIO keeps.
#[derive(Default)]
pub(crate) struct Folio(Mutex<State>);

#[derive(Default)]
struct State {
    /// Key of Okapi's access tokens, made when first needed.
    key: String,
    /// Okapi's cache of authorizations: until when a method and path are open to a token.
    admitted: HashMap<String, Millis>,
    jobs: Vec<import::Job>,
    events: Vec<Value>,
}

impl Folio {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that signs Okapi's access tokens.
    pub(crate) fn key(&self) -> String {
        let mut state = self.state();
        if state.key.is_empty() {
            state.key = crate::random::url_safe(32);
        }
        state.key.clone()
    }

    /// The messages a Eureka platform would have published, oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    /// What a restart of mod-authtoken without a configured key does: a new key, an empty cache.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.key.clear();
        state.admitted.clear();
    }
}
