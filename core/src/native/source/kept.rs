//! A session of the sessions file whose tokens are kept in the vault: OAuth 2.0 and FOLIO.
//!
//! The vault's record is what all processes share. Under the session's lock it is read again before anything is asked,
//! the intent is written before a refresh token goes out, the new pair before it is used.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::folio::Folio;
use super::oauth2::OAuth2;
use super::{Abilities, Patience, Source, Wire};
use crate::engine::chain::{Chain, Intent, Spent};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Bearer, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::provider::Provider;
use crate::engine::secret::Secret;
use crate::engine::sessions_file::SessionDef;
use crate::engine::time::UnixMillis;
use crate::native::clock;
use crate::native::vault::{Record, StoredIntent, Vault};
use crate::native::web::Post;

/// An access token with less than that left is not counted on for a request that cannot be repeated.
const NEARLY_OVER: Duration = Duration::from_secs(10);

/// Who gives the tokens.
#[derive(Debug)]
pub enum Giver {
    /// An authorization server.
    OAuth2(Box<OAuth2>),
    /// FOLIO.
    Folio(Box<Folio>),
}

impl Giver {
    /// Whether credentials come without a person.
    pub fn mints(&self) -> bool {
        match self {
            Giver::OAuth2(oauth2) => oauth2.mints(),
            Giver::Folio(folio) => folio.mints(),
        }
    }

    fn dress(&self, token: Secret<String>, token_type: &str) -> Result<Bearer, Error> {
        match self {
            Giver::OAuth2(_) => Bearer::new(token, token_type),
            Giver::Folio(folio) => folio.dress(token),
        }
    }

    fn renew(&self, held: Option<&Grant>, post: &impl Post) -> Result<Grant, ExchangeFailure> {
        match self {
            Giver::OAuth2(oauth2) => oauth2.renew(held, post),
            Giver::Folio(folio) => folio.renew(held, post),
        }
    }

    /// Ends a stored sign-in at its server. `Ok(false)`: there is nothing to end it with.
    ///
    /// Errors: why it has not ended.
    fn end(&self, record: &Record, post: &impl Post) -> Result<bool, Error> {
        match (self, &record.access_token, &record.refresh_token) {
            (Giver::OAuth2(oauth2), _, Some(refresh)) => oauth2.revoke(refresh, "refresh_token", post),
            (Giver::OAuth2(oauth2), Some(access), None) => oauth2.revoke(access, "access_token", post),
            (Giver::Folio(folio), Some(access), refresh) => folio.log_out(access, refresh.as_ref(), post),
            _ => Ok(false),
        }
    }
}

/// The session.
#[derive(Debug)]
pub struct Kept {
    pub(in crate::native) giver: Arc<Giver>,
    pub(in crate::native) vault: Arc<Vault>,
    provider: Provider,
    title: String,
    remedy: String,
    origin: String,
    /// It can begin a chain anew without a person.
    begins: bool,
}

impl Kept {
    /// A session of the file, with its place in the vault.
    pub fn new(def: &SessionDef, giver: Arc<Giver>, vault: Arc<Vault>, remedy: String) -> Kept {
        let begins = giver.mints();
        let title = format!("the session [{}]", def.name);
        Kept { giver, vault, provider: def.provider.clone(), title, remedy, origin: def.origin(), begins }
    }

    /// A job of a session of the file, with its own place in the vault.
    pub(super) fn of_job(
        def: &SessionDef,
        giver: Arc<Giver>,
        vault: Arc<Vault>,
        title: String,
        remedy: String,
    ) -> Kept {
        // The job's client may be another.
        let origin = match &*giver {
            Giver::OAuth2(oauth2) => oauth2.def.origin(),
            Giver::Folio(_) => def.origin(),
        };
        Kept { title, origin, begins: true, ..Kept::new(def, giver, vault, remedy) }
    }

    /// What is stored, if it may be sent to whom the session names now.
    ///
    /// Errors: `State` (cannot be opened), `Config` (it is another provider's or client's).
    pub fn record(&self) -> Result<Option<Record>, Error> {
        let Some(record) = self.vault.read()? else { return Ok(None) };
        if record.origin != self.origin {
            let message = format!(
                "the stored sign-in of {} belongs to \"{}\", not to \"{}\"; undo the change of the sessions file, or \
                 move {} away and sign in again",
                self.title.trim_start_matches("the session "),
                record.origin,
                self.origin,
                self.vault.path().display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Some(record))
    }

    /// Changes what is stored; a stored sign-in of another provider is replaced.
    ///
    /// Errors: of the vault.
    pub(in crate::native) fn put_record(&self, change: impl FnOnce(&mut Record)) -> Result<(), Error> {
        let before = match self.record() {
            Ok(before) => before.unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Config => Record::default(),
            Err(error) => return Err(error),
        };
        let mut record = Record { origin: self.origin.clone(), ..before };
        change(&mut record);
        self.vault.write(&record)
    }

    /// What has just come from the server, its ends reckoned from now. `before`: the link that it follows.
    pub(in crate::native) fn dated(&self, mut grant: Grant, before: Option<&Chain>) -> Grant {
        let now = clock::wall();
        if let Some(life) = grant.lives_for.take() {
            let end = now + life;
            grant.expires_at = Some(grant.expires_at.map_or(end, |claimed| claimed.min(end)));
            grant.issued_at = grant.issued_at.or(Some(now));
        }
        if let Some(chain) = &mut grant.chain {
            chain.arrived(before, &self.provider.chain_profile(), now);
        }
        grant
    }

    /// Uses a refresh token under the session's lock, which the caller holds: recorded, sent once, its successor stored.
    pub(super) fn advance(
        &self,
        held: &Grant,
        at: UnixMillis,
        post: &impl Post,
    ) -> Result<Grant, ExchangeFailure> {
        let chain = held.chain.as_deref();
        let storing = |error| ExchangeFailure { class: ExchangeClass::Transient, error, retry_after: None };
        let serial = chain.map_or(0, |chain| chain.serial);
        let intent = Intent { serial, began_at: at, attempts: 1, outcome: Spent::Unknown };
        self.intend(held, Some(&intent)).map_err(storing)?;
        let next = match self.giver.renew(Some(held), post) {
            Ok(next) => next,
            Err(failure) => {
                if matches!(
                    failure.class,
                    ExchangeClass::NotSent | ExchangeClass::Transient | ExchangeClass::Misconfigured
                ) {
                    self.intend(held, None).map_err(storing)?;
                }
                return Err(failure);
            }
        };
        let next = self.dated(next, chain);
        self.put(&next, |_| ()).map_err(storing)?;
        Ok(next)
    }

    /// Ends what is stored at its server; the caller holds the lock and removes it then. `Ok(false)`: the server has no
    /// way to be told.
    ///
    /// Errors: why it has not ended.
    pub(in crate::native) fn end(&self, record: Record, post: &impl Post) -> Result<bool, Error> {
        // FOLIO asks for a living access token even to sign out.
        let living = match &*self.giver {
            Giver::OAuth2(_) => true,
            Giver::Folio(_) => record.expires_at.is_none_or(|end| end > clock::wall() + NEARLY_OVER),
        };
        if living {
            match (&*self.giver, self.giver.end(&record, post)) {
                (Giver::Folio(_), Err(error)) if error.http().is_some_and(|http| http.status == 401) => {}
                (_, ended) => return ended,
            }
        }
        let held = record.grant(|token, kind| self.giver.dress(token, kind))?;
        let record = match held.filter(|held| held.chain.is_some()) {
            Some(held) => {
                self.advance(&held, clock::wall(), post).map_err(|failure| failure.error)?;
                self.record()?.unwrap_or(record)
            }
            None => record,
        };
        self.giver.end(&record, post)
    }

    /// Stores a first or next credential.
    ///
    /// Errors: of the vault.
    pub fn put(&self, grant: &Grant, change: impl FnOnce(&mut Record)) -> Result<(), Error> {
        self.put_record(|record| {
            *record = Record::of(grant, std::mem::take(record));
            change(record);
        })
    }
}

impl Source for Kept {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: self.title.clone(),
            remedy: self.remedy.clone(),
            can_exchange: true,
            mints: self.giver.mints(),
            can_store: true,
            can_sign_in: !self.giver.mints(),
            chain: self.provider.chain_profile(),
            windows: self.provider.windows,
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let Some(record) = self.record()? else {
            if self.begins {
                return Ok(None);
            }
            let message = format!("nobody is signed in to {}; {}", self.title, self.remedy);
            return Err(Error::new(ErrorKind::SignInNeeded, message));
        };
        let spent = record.intent.is_some();
        let mut grant = record.grant(|token, kind| self.giver.dress(token, kind))?;
        // Who can begin anew does not ask with a refresh token that somebody may have used up.
        if self.begins && self.provider.rotates && spent {
            let alive = |grant: &Grant| grant.expires_at.is_none_or(|end| end > clock::wall());
            grant = grant.filter(alive).map(|grant| Grant { chain: None, ..grant });
        }
        Ok(grant)
    }

    fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        self.vault.lock(patience)
    }

    fn intend(&self, grant: &Grant, intent: Option<&Intent>) -> Result<(), Error> {
        let Some(chain) = &grant.chain else { return Ok(()) };
        let stored = self.record()?;
        if let Some(record) = &stored
            && record.refresh_token.as_ref() != Some(&chain.refresh)
        {
            let message = format!("another process has gone on with {} in this moment", self.title);
            return Err(Error::new(ErrorKind::State, message));
        }
        let mut record = match stored {
            Some(record) => record,
            None => Record { origin: self.origin.clone(), ..Record::of(grant, Record::default()) },
        };
        record.intent = intent.map(|intent| StoredIntent::of(&chain.refresh, intent));
        self.vault.write(&record)
    }

    fn exchange(&self, held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        self.giver.renew(held, wire)
    }

    fn store(&self, grant: &Grant) -> Result<(), Error> {
        self.put(grant, |_| ())
    }

    fn watch(&self) -> Vec<PathBuf> {
        vec![self.vault.path()]
    }
}
