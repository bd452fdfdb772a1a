//! An API key as a session: always the same credential, without an end.

use std::sync::Arc;

use super::{Abilities, Source, Wire};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::sign::SigningKey;

/// An API key.
#[derive(Debug)]
pub struct OciApiKey {
    key_id: String,
    key: Arc<SigningKey>,
}

impl OciApiKey {
    /// `key_id` is `<tenancy ocid>/<user ocid>/<fingerprint>`.
    pub fn new(key_id: String, key: Arc<SigningKey>) -> Self {
        OciApiKey { key_id, key }
    }
}

impl Source for OciApiKey {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: "the API key".into(),
            remedy: "check user, tenancy, fingerprint and key file of the profile".into(),
            can_exchange: false,
            can_store: false,
            can_sign_in: false,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let credential = Credential::OciApiKey { key_id: self.key_id.clone(), key: Arc::clone(&self.key) };
        Ok(Some(Grant::new(credential)))
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let error = Error::new(ErrorKind::Auth, "an API key cannot be renewed");
        Err(ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None })
    }

    fn check(&self, grant: &Grant, wire: &Wire<'_>) -> Result<(), Error> {
        wire.check_storage(&grant.credential)
    }
}
