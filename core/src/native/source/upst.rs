//! Session tokens minted with an API key: the source for machines without a person.

use std::sync::Arc;

use rsa::rand_core::OsRng;

use super::{Abilities, Source, Wire};
use crate::engine::claims::session_grant;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::sign::SigningKey;
use crate::engine::wire::auth;

/// Mints session tokens; each is bound to a new key that never leaves memory.
///
/// Source: service API reference "GenerateUserSecurityToken"; lifetimes of 5 to 60 minutes.
#[derive(Debug)]
pub struct OciGenerateUpst {
    signer: Credential,
    minutes: u32,
}

impl OciGenerateUpst {
    /// `key_id` is `<tenancy ocid>/<user ocid>/<fingerprint>`.
    ///
    /// Errors: `InvalidInput` when `minutes` is not 5 to 60.
    pub fn new(key_id: String, key: Arc<SigningKey>, minutes: u32) -> Result<Self, Error> {
        if !(5..=60).contains(&minutes) {
            let message = format!("a minted session lasts 5 to 60 minutes, not {minutes}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(OciGenerateUpst { signer: Credential::OciApiKey { key_id, key }, minutes })
    }
}

impl Source for OciGenerateUpst {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: "the session minted with the API key".into(),
            remedy: "check user, tenancy, fingerprint and key file of the profile".into(),
            can_exchange: true,
            mints: true,
            can_store: false,
            can_sign_in: false,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let passing = |error| ExchangeFailure { class: ExchangeClass::Transient, error, retry_after: None };
        let key = Arc::new(SigningKey::generate(&mut OsRng).map_err(passing)?);
        let request = auth::generate_upst(&key.public_key_pem(), self.minutes);
        let token = wire.ask(request, &self.signer, auth::parse_upst)?;
        let grant = session_grant(token.expose(), key)
            .map_err(|error| passing(error.during("minting a session token")))?;
        // Each token ends its own session; the chain of them is as long as the API key is accepted.
        Ok(Grant { horizon: None, ..grant })
    }

    fn check(&self, grant: &Grant, wire: &Wire<'_>) -> Result<(), Error> {
        wire.check_storage(&grant.credential)
    }
}
