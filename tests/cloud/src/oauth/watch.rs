//! What no client may ever do, noted when one does it, whether or not it is also refused.

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing a client did that it must not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// When, by the cloud's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// Which rule.
    pub rule: Rule,
    /// On what. Never a secret.
    pub detail: String,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// A refresh token was presented again, beyond what the server grants.
    RefreshTokenReused,
    /// Two refreshes of one chain were under way at once.
    RefreshesInFlight,
    /// A refresh token came again after it had been refused for good.
    RefreshAfterInvalidGrant,
    /// A chain was refreshed although its access token was new and had not been refused.
    NeedlessRefresh,
    /// A token, code or secret stood in a request target.
    SecretInTarget,
    /// A form or a Basic credential was not encoded as it must be.
    Encoding,
    /// Client credentials came in two ways at once.
    TwoClientCredentials,
    /// A client assertion came twice.
    AssertionReplayed,
    /// The token endpoint's redirect was followed.
    RedirectFollowed,
    /// An authorization code came again.
    CodeReplayed,
    /// A device code was polled faster than allowed.
    PolledTooFast,
    /// FOLIO's refresh has no body, and one was sent.
    UnaskedBody,
}

/// All violations of a cloud.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Vec<Violation>>);

impl Watch {
    pub(crate) fn note(&self, time_ms: i64, rule: Rule, detail: impl Into<String>) {
        self.all_mut().push(Violation { time_ms, rule, detail: detail.into() });
    }

    pub(crate) fn all(&self) -> Vec<Violation> {
        self.all_mut().clone()
    }

    pub(crate) fn clear(&self) {
        self.all_mut().clear();
    }

    fn all_mut(&self) -> MutexGuard<'_, Vec<Violation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
