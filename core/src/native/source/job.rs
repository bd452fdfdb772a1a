//! A job's own tokens: taken at its start, kept beside the session's in the vault, revoked at its end.
//!
//! | the session                            | the job's pair comes from                                              |
//! |----------------------------------------|------------------------------------------------------------------------|
//! | signs in by itself (FOLIO, client …)   | one more such sign-in                                                  |
//! | a person's, `job = exchange`           | the person's access token, exchanged once (RFC 8693)                   |
//! | a person's, `job = client_credentials` | the job's client, as a service                                         |
//! | a person's, `job = fork`               | the refresh token that was just used, presented once more in its grace |
//!
//! A fork is of one grant with the person's sign-in: whoever leaves last (the person by signing out, or a job) has it revoked.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::folio::Folio;
use super::kept::{Giver, Kept};
use super::oauth2::{OAuth2, misconfigured};
use super::{Abilities, Patience, Source, Wire};
use crate::engine::chain::Intent;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::provider::JobGrant;
use crate::engine::sessions_file::{GrantDef, Kind, OAuth2Def, SessionDef};
use crate::engine::time::UnixMillis;
use crate::engine::wire::oauth2::Ask;
use crate::native::clock;
use crate::native::session::Session;
use crate::native::vault::{Record, Vault, VaultKey};
use crate::native::web::Post;

/// Longest wait for the person's session, and for another process at the vault.
const PATIENCE: Duration = Duration::from_mins(1);

/// What an exchange asks for unless the session says otherwise: a job needs a pair.
const PAIR: &str = "refresh_token";

/// Where a job's first pair comes from.
enum Begin {
    /// The source signs in once more.
    Anew,
    /// The person's access token is exchanged. The session is let go of once the job has a chain of its own.
    Exchange(Mutex<Option<Session>>),
    /// The person's refresh token is used, and presented once more.
    Fork(Box<Kept>),
}

/// A job's source.
pub struct JobSource {
    name: String,
    kept: Kept,
    begin: Begin,
    requested_type: String,
}

impl JobSource {
    /// The source of the job `name` of a session. `user` is that session, opened; without it only what needs no person's
    /// token can be begun.
    ///
    /// Errors: `InvalidInput` (name; the session has no tokens of its own to give), `Config` (it has no way to, or does not
    /// say which), `State` (no home directory for the vault's key).
    pub fn new(
        def: &SessionDef,
        key: Option<VaultKey>,
        place: (&std::path::Path, bool),
        name: &str,
        user: Option<Session>,
    ) -> Result<JobSource, Error> {
        let (state_dir, allow_http) = place;
        let open = |key: Option<VaultKey>| key.map_or_else(|| VaultKey::of(&def.vault_key), Ok);
        let vault = Vault::of_job(&def.name, name, state_dir, open(key.clone())?)?;
        let title = format!("the job {name} of the session [{}]", def.name);
        let remedy =
            format!("check the settings of [{}] in the sessions file, and begin the job again", def.name);
        let no_way = |why: &str| Err(Error::new(ErrorKind::Config, format!("[{}] {why}", def.name)));
        let provider = def.provider.clone();
        let (giver, begin) = match &def.kind {
            Kind::Folio(folio) if folio.credentials.is_some() => {
                (Giver::Folio(Box::new(Folio::new(folio.clone(), provider, remedy.clone()))), Begin::Anew)
            }
            Kind::Folio(_) => {
                return no_way("has no username and password_file, and a job of FOLIO signs in with them");
            }
            Kind::OAuth2(oauth2) => {
                let client = |def| OAuth2::new(def, provider.clone(), remedy.clone(), allow_http);
                let begin = match (&oauth2.grant, def.job.grant) {
                    (GrantDef::ClientCredentials | GrantDef::TokenExchange { .. }, _)
                    | (_, Some(JobGrant::ClientCredentials)) => Begin::Anew,
                    (GrantDef::SignIn { .. }, Some(JobGrant::Exchange)) => Begin::Exchange(Mutex::new(user)),
                    (GrantDef::SignIn { .. }, Some(JobGrant::Fork)) => {
                        let vault = Vault::new(&def.name, state_dir, open(key)?)?;
                        let giver = Giver::OAuth2(Box::new(client((**oauth2).clone())));
                        let remedy = format!("sign in with `outlast login {}`", def.name);
                        Begin::Fork(Box::new(Kept::new(def, Arc::new(giver), Arc::new(vault), remedy)))
                    }
                    (GrantDef::SignIn { .. }, None) => {
                        return no_way(
                            "does not say how a job gets tokens of its own; set job = exchange, client_credentials or fork",
                        );
                    }
                };
                (Giver::OAuth2(Box::new(client(job_client(def, oauth2, &begin)))), begin)
            }
            Kind::Command(_) | Kind::File(_) => {
                let message = format!(
                    "the session [{}] has a program or a file for its tokens; a job has no others",
                    def.name
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        };
        let kept = Kept::of_job(def, Arc::new(giver), Arc::new(vault), title, remedy);
        let requested_type = def.job.requested_type.clone().unwrap_or_else(|| PAIR.to_owned());
        Ok(JobSource { name: name.to_owned(), kept, begin, requested_type })
    }

    /// Ends the pair at its server and forgets it. `Ok(None)`: there was none; else whether the server was told.
    ///
    /// Errors: why it is not revoked; it is kept then, so that the same can be tried again.
    pub fn end(&self, post: &impl Post) -> Result<Option<bool>, Error> {
        let _lock = self.kept.vault.lock(&patience())?;
        let Some(record) = self.kept.record()? else { return Ok(None) };
        // One grant with the person's session and perhaps other jobs: revoking it ends them all, so the last one does.
        // What was brought along is somebody else's as well.
        let _persons = match &self.begin {
            Begin::Fork(person) => Some(person.vault.lock(&patience())?),
            Begin::Anew | Begin::Exchange(_) => None,
        };
        let told = !record.shared && !self.is_shared(&record)? && self.kept.end(record, post)?;
        self.kept.vault.remove()?;
        Ok(Some(told))
    }

    /// Whether the person or another job goes on with the grant that this pair is of.
    fn is_shared(&self, record: &Record) -> Result<bool, Error> {
        let (Begin::Fork(person), Some(grant)) = (&self.begin, record.fork_of) else { return Ok(false) };
        if person.record()?.is_some_and(|record| began(&record) == grant) {
            return Ok(true);
        }
        Ok(person
            .vault
            .jobs()?
            .iter()
            .any(|(name, other)| *name != self.name && other.fork_of == Some(grant)))
    }

    fn exchange_for(&self, user: &Mutex<Option<Session>>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let held = user.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(session), Giver::OAuth2(oauth2)) = (held, &*self.kept.giver) else {
            let message = "the job's own tokens have ended, and there is no person's to exchange for others";
            return Err(refused(Error::new(ErrorKind::Auth, message)));
        };
        let lease = session.lease_blocking(PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::SignInNeeded | ErrorKind::Auth => refused(error),
            _ => passing(error),
        })?;
        let bearer = lease.grant.credential.bearer().map_err(misconfigured)?;
        let ask = Ask::Exchange {
            subject: bearer.token(),
            subject_type: "access_token",
            requested_type: Some(&self.requested_type),
            actor: None,
        };
        let (reply, took) = oauth2.ask(&ask, wire)?;
        let grant = oauth2.grant(reply, None, took)?;
        if grant.chain.is_some() {
            // From here on the job does without the person.
            *user.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(grant)
    }
}

/// The person's refresh token is used (and the person's next link stored), then presented once more: a provider with
/// such a grace gives a second chain.
fn fork(user: &Kept, job: &Kept, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
    let Giver::OAuth2(oauth2) = &*user.giver else { unreachable!("only these fork") };
    let _lock = user.vault.lock(&patience()).map_err(passing)?;
    let nobody =
        || Error::new(ErrorKind::SignInNeeded, "nobody is signed in whose session the job could fork");
    let held = user.load().map_err(passing)?.ok_or_else(|| refused(nobody()))?;
    let Some(chain) = held.chain.as_deref() else { return Err(refused(nobody())) };
    if chain.intent.is_some() {
        let message =
            "the last refresh of the person's session had no answer; the job begins once that is settled";
        return Err(passing(Error::new(ErrorKind::Busy, message)));
    }
    let next = user.advance(&held, clock::wall().offset(wire.skew_ms()), wire)?;
    let (reply, took) = oauth2.ask(&Ask::Refresh { refresh_token: &chain.refresh }, wire)?;
    let own = oauth2.grant(reply, None, took)?;
    let same = |own: &Grant, next: &Grant| {
        own.chain.as_ref().map(|chain| &chain.refresh) == next.chain.as_ref().map(|chain| &chain.refresh)
    };
    if same(&own, &next) {
        let message = "the identity provider gives the same pair again instead of a second chain; set job = exchange \
                       or client_credentials";
        return Err(misconfigured(Error::new(ErrorKind::Config, message)));
    }
    // Before the person's lock is let go of: whoever signs out from here on sees that the grant has another user.
    let persons = user.record().map_err(passing)?.unwrap_or_default();
    let stored = job.dated(own.clone(), None);
    job.put(&stored, |record| (record.fork_of, record.shared) = (Some(began(&persons)), persons.shared))
        .map_err(passing)?;
    Ok(own)
}

/// Which grant a record is of: that of the sign-in at this moment.
pub(in crate::native) fn began(record: &Record) -> UnixMillis {
    record.started_at.unwrap_or(UnixMillis(0))
}

/// The client that asks for the job's tokens.
fn job_client(def: &SessionDef, session: &OAuth2Def, begin: &Begin) -> OAuth2Def {
    let mut client = session.clone();
    // What forks stays the same client's; what signs in by itself needs no other.
    if matches!(session.grant, GrantDef::SignIn { .. }) && !matches!(begin, Begin::Fork(_)) {
        if let Some((id, proof)) = &def.job.client {
            (client.client_id, client.client_auth) = (id.clone(), proof.clone());
        }
        client.scope.clone_from(&def.job.scope);
        if matches!(begin, Begin::Anew) {
            client.grant = GrantDef::ClientCredentials;
        }
    }
    client
}

fn patience() -> Patience {
    Patience::new(PATIENCE, Arc::new(AtomicBool::new(false)))
}

fn passing(error: Error) -> ExchangeFailure {
    ExchangeFailure { class: ExchangeClass::Transient, error, retry_after: None }
}

fn refused(error: Error) -> ExchangeFailure {
    ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None }
}

impl Source for JobSource {
    fn abilities(&self) -> Abilities {
        // A person's later sign-in is another session: it does not bring the job's back.
        Abilities { can_sign_in: false, mints: matches!(self.begin, Begin::Anew), ..self.kept.abilities() }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        self.kept.load()
    }

    fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        self.kept.lock(patience)
    }

    fn intend(&self, grant: &Grant, intent: Option<&Intent>) -> Result<(), Error> {
        self.kept.intend(grant, intent)
    }

    fn exchange(&self, held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        match &self.begin {
            _ if held.is_some_and(|held| held.chain.is_some()) => self.kept.exchange(held, wire),
            Begin::Anew => self.kept.exchange(held, wire),
            Begin::Exchange(user) => self.exchange_for(user, wire),
            Begin::Fork(user) => fork(user, &self.kept, wire),
        }
    }

    fn store(&self, grant: &Grant) -> Result<(), Error> {
        self.kept.store(grant)
    }

    fn release(&self, wire: &Wire<'_>) -> Result<bool, Error> {
        self.end(wire).map(|told| told.unwrap_or(false))
    }

    fn watch(&self) -> Vec<std::path::PathBuf> {
        self.kept.watch()
    }
}
