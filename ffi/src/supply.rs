//! Credentials that the host supplies: wishes go out as events, answers come in as calls.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use outlast_core::engine::claims::session_grant;
use outlast_core::engine::command::{ExchangeClass, ExchangeFailure};
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::time::UnixMillis;
use outlast_core::native::source::{Abilities, Source, Wire};
use outlast_core::{Error, ErrorKind};

use crate::error::outlast_error;
use crate::event::{Happening, OUTLAST_EVENT_CREDENTIAL_WANTED};
use crate::guard::{Failure, guard};
use crate::handle;
use crate::hub::Hub;
use crate::session::{outlast_session, secret};
use crate::status::outlast_status;
use crate::view::{self, Sized1, Slot, outlast_str};

/// A credential: a session token with the key it is bound to, a bearer token, or an API key. Copied; wipe yours after the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_credential {
    /// `sizeof(outlast_credential)`
    pub size: usize,
    /// The session token (compact JWT, without `ST$`), whose `exp` and `sess_exp` are read; with `token_type` an access token.
    pub token: outlast_str,
    /// `Bearer`, or another word: `token` signs nothing and goes out as `authorization: <token_type> <token>`. No key then.
    pub token_type: outlast_str,
    /// Instead of a token: an API key's `<tenancy>/<user>/<fingerprint>`.
    pub key_id: outlast_str,
    /// The private key (PEM). Not given: the one of the credential before.
    pub private_key: outlast_str,
    /// The key's passphrase, if it is encrypted.
    pub passphrase: outlast_str,
    /// When the credential ends, milliseconds since 1970 UTC; 0: what the token says. An API key and a bearer token end only
    /// if told here.
    pub expires_unix_ms: i64,
    /// When the chain ends: beyond it a person has to sign in; 0: what the token says.
    pub horizon_unix_ms: i64,
}

// SAFETY: repr(C), size first; integers and pointers that may be NULL.
unsafe impl Sized1 for outlast_credential {
    const LEAST: usize = size_of::<outlast_credential>();
    const NAME: &'static str = "outlast_credential";
}

/// A session's source whose other end is the host.
pub(crate) struct Supply {
    title: String,
    patience: Duration,
    hub: Weak<Hub>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    session: Option<u64>,
    current: Option<Grant>,
    key: Option<Arc<SigningKey>>,
    last_request: u64,
    wanted: Option<u64>,
    answer: Option<Result<Grant, ExchangeFailure>>,
    /// An exchange is under way and takes the answer; otherwise the source has to be looked at again.
    exchanging: bool,
    /// The host's word that only a person can help, until it brings a credential.
    refusal: Option<Error>,
    closed: bool,
}

impl Supply {
    pub(crate) fn new(title: Option<&str>, patience: Duration, hub: &Arc<Hub>) -> Supply {
        Supply {
            title: title.unwrap_or("the supplied session").to_owned(),
            patience,
            hub: Arc::downgrade(hub),
            state: Mutex::default(),
            moved: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the session's number, without which no wish can be told.
    pub(crate) fn name(&self, session: u64) {
        self.lock().session = Some(session);
        self.moved.notify_all();
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }

    /// Asks the host anew after it said that only a person can help. `false`: it said no such thing.
    pub(crate) fn ask_again(&self) -> bool {
        let mut state = self.lock();
        match (&state.refusal, state.wanted, state.session) {
            (None, ..) => false,
            (Some(_), None, Some(session)) => {
                let request = state.wish();
                drop(state);
                self.tell(session, request);
                true
            }
            (Some(_), ..) => true,
        }
    }

    fn tell(&self, session: u64, request: u64) {
        if let Some(hub) = self.hub.upgrade() {
            hub.post(Happening { session, request, ..Happening::new(OUTLAST_EVENT_CREDENTIAL_WANTED) });
        }
    }

    /// Answers a wish, or brings a credential unasked (`request` 0). Says whether an exchange takes it.
    fn answer(&self, request: u64, answer: Result<Grant, ExchangeFailure>) -> Result<bool, Failure> {
        let mut state = self.lock();
        if request != 0 && state.wanted != Some(request) {
            return Err(Failure::invalid("nobody waits for this request (any more)"));
        }
        if let Ok(grant) = &answer {
            state.key = grant.credential.key().ok().cloned();
            state.current = Some(grant.clone());
            state.refusal = None;
        }
        if let Err(ExchangeFailure { class: ExchangeClass::Refused, error, .. }) = &answer {
            state.refusal = Some(error.clone());
        }
        let taken = state.exchanging && state.wanted.is_some() && (request != 0 || answer.is_ok());
        if request != 0 || answer.is_ok() {
            state.wanted = None;
        }
        if taken {
            state.answer = Some(answer);
        }
        drop(state);
        self.moved.notify_all();
        Ok(taken)
    }

    fn exchanged(&self) -> Result<Grant, ExchangeFailure> {
        self.lock().exchanging = true;
        let answer = self.wait();
        self.lock().exchanging = false;
        answer
    }

    fn wait(&self) -> Result<Grant, ExchangeFailure> {
        let deadline = Instant::now() + self.patience;
        let mut state = self.lock();
        state.answer = None;
        let mut told = false;
        loop {
            if let Some(answer) = state.answer.take() {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                state.wanted = None;
                let why =
                    if state.closed { "the session was closed" } else { "the host supplied none in time" };
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!("waiting for a credential of {}: {why}", self.title),
                );
                return Err(ExchangeFailure { class: ExchangeClass::Transient, error, retry_after: None });
            }
            if let Some(session) = state.session
                && !told
            {
                told = true;
                let request = state.wish();
                drop(state);
                self.tell(session, request);
                state = self.lock();
                continue;
            }
            // In slices: a client that is being closed tells nobody here.
            let slice = left.min(Duration::from_millis(200));
            state = self.moved.wait_timeout(state, slice).unwrap_or_else(PoisonError::into_inner).0;
            if self.hub.strong_count() == 0 || self.hub.upgrade().is_some_and(|hub| hub.is_closing()) {
                state.closed = true;
            }
        }
    }
}

impl Source for Supply {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: self.title.clone(),
            remedy: "supply a new credential".into(),
            can_exchange: true,
            can_store: false,
            can_sign_in: true,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let state = self.lock();
        match &state.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(state.current.clone()),
        }
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        self.exchanged()
    }
}

impl State {
    fn wish(&mut self) -> u64 {
        self.last_request += 1;
        self.wanted = Some(self.last_request);
        self.last_request
    }
}

/// # Safety
/// As `view::text` for all texts of the credential.
unsafe fn read_grant(supply: &Supply, given: &outlast_credential) -> Result<Grant, Failure> {
    // SAFETY: the caller's promise is the same.
    let (token, token_type, key_id, pem, passphrase) = unsafe {
        (
            secret(given.token, "token")?,
            view::text(given.token_type, "token_type")?,
            view::text(given.key_id, "key_id")?,
            view::bytes(given.private_key)?,
            secret(given.passphrase, "passphrase")?,
        )
    };
    let moment = |millis: i64| (millis != 0).then_some(UnixMillis(millis));
    if let Some(token_type) = token_type {
        let (Some(token), None, true) = (token, key_id, pem.is_empty()) else {
            return Err(Failure::invalid("a token_type belongs to a token, and to no key"));
        };
        let bearer = Bearer::new(token, token_type)
            .map_err(|_| Failure::invalid("token or token_type cannot stand in a header"))?;
        return Ok(Grant {
            expires_at: moment(given.expires_unix_ms),
            horizon: moment(given.horizon_unix_ms),
            ..Grant::new(Credential::Bearer(bearer))
        });
    }
    let key = if pem.is_empty() {
        let before = supply.lock().key.clone();
        before.ok_or_else(|| Failure::invalid("the first credential needs its private_key"))?
    } else {
        let passphrase = passphrase.as_ref().map(|secret| secret.expose().as_str());
        Arc::new(SigningKey::from_pem(pem, passphrase)?)
    };
    let mut grant = match (token, key_id) {
        (Some(token), None) => session_grant(token.expose(), key)?,
        (None, Some(key_id)) => {
            let credential = Credential::OciApiKey { key_id: key_id.to_owned(), key };
            Grant::new(credential)
        }
        _ => return Err(Failure::invalid("a credential has either a token or a key_id")),
    };
    grant.expires_at = moment(given.expires_unix_ms).or(grant.expires_at);
    grant.horizon = moment(given.horizon_unix_ms).or(grant.horizon);
    Ok(grant)
}

fn supply_of(session: *mut outlast_session) -> Result<(Arc<crate::session::Session>, Arc<Supply>), Failure> {
    let session = handle::get(session)?;
    let supply = session.supply.clone();
    let supply =
        supply.ok_or_else(|| Failure::invalid("the credentials of this session are not supplied"))?;
    Ok((session, supply))
}

/// Supplies a credential: `request` is that of an `OUTLAST_EVENT_CREDENTIAL_WANTED`, or 0 to bring one unasked.
///
/// Everything is copied before the call returns. Threads: any, also inside a callback.
/// Errors: `INVALID` (nobody waits for `request` any more; not a supplied session), `CONFIG` (token or key cannot be read, or
/// do not belong together; the wish stands, answer again), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_supply(
    session: *mut outlast_session,
    request: u64,
    credential: *const outlast_credential,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (given, err) = unsafe { (view::read(credential), Slot::new(err)) };
    guard(&err, || {
        let given = given?;
        let (session, supply) = supply_of(session)?;
        // SAFETY: the caller's promise for texts.
        let grant = unsafe { read_grant(&supply, &given) }?;
        if !supply.answer(request, Ok(grant))? {
            session.native.touch();
        }
        Ok(())
    })
}

/// Tells that there is no credential for a wish. `sign_in_needed` 1: only a person can get one, the session is parked or ends;
/// 0: passing trouble, it is asked for again later (not before `retry_after_ms`, if that is not 0).
///
/// `message` says why, for people, without secrets. Threads: any, also inside a callback.
/// Errors: `INVALID` (nobody waits for `request` any more; not a supplied session), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_supply_failed(
    session: *mut outlast_session,
    request: u64,
    sign_in_needed: u32,
    retry_after_ms: u64,
    message: outlast_str,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for texts and out parameters.
    let (message, err) = unsafe { (view::text(message, "message"), Slot::new(err)) };
    guard(&err, || {
        let message = message?.unwrap_or("the host has no credential");
        let (_session, supply) = supply_of(session)?;
        let (class, kind) = if crate::client::truth(sign_in_needed, "sign_in_needed")? {
            (ExchangeClass::Refused, ErrorKind::SignInNeeded)
        } else {
            (ExchangeClass::Transient, ErrorKind::Network)
        };
        if request == 0 {
            return Err(Failure::invalid("there is no request 0"));
        }
        supply.answer(
            request,
            Err(ExchangeFailure {
                class,
                error: Error::new(kind, message),
                retry_after: (retry_after_ms != 0).then(|| Duration::from_millis(retry_after_ms)),
            }),
        )?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_without_an_answer_ends() {
        let supply = Supply {
            title: "t".into(),
            patience: Duration::from_millis(1),
            hub: Weak::new(),
            state: Mutex::default(),
            moved: Condvar::new(),
        };
        supply.name(1);
        let failure = supply.exchanged().expect_err("nobody answers");
        assert_eq!(failure.class, ExchangeClass::Transient);
        assert!(supply.answer(1, Err(failure)).is_err());
    }
}
