//! What a request is authorised with, and for how long.

use std::fmt;
use std::sync::Arc;

use super::secret::Secret;
use super::sign::SigningKey;
use super::time::UnixMillis;

/// Counts the credentials of a session: each new one gets the next number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The secret material of one generation.
#[derive(Clone, Debug)]
pub enum Credential {
    /// OCI session token with the RSA key it is bound to; signs as `ST$<token>`.
    OciSession {
        /// The compact JWT, without `ST$`.
        token: Secret<String>,
        /// The session's key.
        key: Arc<SigningKey>,
    },
    /// OCI API key; signs as `<tenancy>/<user>/<fingerprint>`.
    OciApiKey {
        /// `<tenancy ocid>/<user ocid>/<fingerprint>`; not a secret.
        key_id: String,
        /// The user's key.
        key: Arc<SigningKey>,
    },
}

impl Credential {
    /// The key that signs.
    pub fn key(&self) -> &Arc<SigningKey> {
        match self {
            Credential::OciSession { key, .. } | Credential::OciApiKey { key, .. } => key,
        }
    }

    /// The `keyId` of the signature; secret for tokens, since it contains the token.
    pub fn key_id(&self) -> Secret<String> {
        match self {
            Credential::OciSession { token, .. } => Secret::new(format!("ST${}", token.expose())),
            Credential::OciApiKey { key_id, .. } => Secret::new(key_id.clone()),
        }
    }

    /// Whether both stand for the same secret, so that nothing would change by switching.
    pub fn same_as(&self, other: &Credential) -> bool {
        let same = match (self, other) {
            (Credential::OciSession { token, .. }, Credential::OciSession { token: others, .. }) => {
                token == others
            }
            (Credential::OciApiKey { key_id, .. }, Credential::OciApiKey { key_id: others, .. }) => {
                key_id == others
            }
            _ => false,
        };
        same && self.key().fingerprint() == other.key().fingerprint()
    }
}

/// One generation's credential with its known ends.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The secret material.
    pub credential: Credential,
    /// When it was issued, if it says so.
    pub issued_at: Option<UnixMillis>,
    /// When it stops working; `None` means it does not expire (API keys).
    pub expires_at: Option<UnixMillis>,
    /// The moment after which the chain cannot be extended without a person, if known.
    pub horizon: Option<UnixMillis>,
}

/// The right to use one generation for one request. A rejection names its generation.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Which generation this is.
    pub generation: Generation,
    /// Its credential.
    pub grant: Arc<Grant>,
}
