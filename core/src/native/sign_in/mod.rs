//! Signing in and out of a session of the sessions file. What is obtained goes into the vault, under the session's lock,
//! before anybody uses it.

mod device;
mod loopback;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

pub use crate::engine::wire::oauth2::device::DeviceCode;

use super::clock;
use super::source::{Giver, Kept, OAuth2, Patience, began};
use super::vault::{Record, StoredIntent};
use super::web::Web;
use crate::engine::chain::{Chain, Intent, Spent};
use crate::engine::command::ExchangeClass;
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::sessions_file::GrantDef;
use crate::engine::wire::oauth2::request::{Authorization, authorization_url};
use crate::engine::wire::oauth2::{Ask, Endpoints, pkce};

/// Longest wait for another process that is refreshing the session.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// How a person signs in.
#[derive(Debug)]
pub enum Way {
    /// With a browser on this machine: a redirect to loopback, with PKCE (RFC 8252).
    Browser,
    /// With any browser anywhere: a code (RFC 8628).
    Device,
    /// With a refresh token that was obtained elsewhere; it is used at once, and then it is ours.
    Brought(Secret<String>),
    /// With a name and a password (FOLIO).
    Password(String, Secret<String>),
}

/// What a person is shown while signing in, and how they stop it.
pub trait Guide {
    /// Open this in a browser of this machine.
    fn open(&self, url: &str);
    /// Open the address anywhere and type the code.
    fn code(&self, code: &DeviceCode);
    /// Whether to give up.
    fn stopped(&self) -> bool;
}

/// Signs in within `limit` and stores the result. Gives what was stored.
///
/// Errors: `InvalidInput` (not this way), `Config`, `SignInNeeded` (refused), `Timeout` (nobody came), `Cancelled`, `Network`,
/// `State` (the vault).
pub fn sign_in(
    kept: &Kept,
    web: &Web,
    way: Way,
    limit: Duration,
    guide: &impl Guide,
) -> Result<Record, Error> {
    // First of all: what is obtained must have its place, and the vault's key must be there.
    match kept.record() {
        Err(error) if error.kind() != ErrorKind::Config => return Err(error),
        _ => {}
    }
    let grant = match (&*kept.giver, way) {
        (Giver::OAuth2(oauth2), Way::Brought(refresh)) => {
            return brought(kept, oauth2, web, refresh);
        }
        (Giver::OAuth2(oauth2), way) => {
            let GrantDef::SignIn { redirect_port, redirect_path, prompt } = &oauth2.def.grant else {
                return Err(unfit("this session needs no sign-in: its credentials come by themselves"));
            };
            let endpoints = oauth2.endpoints(web).map_err(|failure| failure.error)?;
            match way {
                Way::Browser => {
                    let at = loopback::Redirect { port: *redirect_port, path: redirect_path };
                    browser(oauth2, web, &endpoints, at, prompt, limit, guide)?
                }
                Way::Device => device::sign_in(oauth2, web, &endpoints, limit, guide)?,
                Way::Password(..) => {
                    return Err(unfit("this session signs in with a browser or a device code"));
                }
                Way::Brought(_) => unreachable!("matched above"),
            }
        }
        (Giver::Folio(folio), Way::Password(username, password)) => {
            folio.log_in_as(&username, &password, web).map_err(|failure| failure.error)?
        }
        (Giver::Folio(_), _) => {
            return Err(unfit("FOLIO signs in with a name and a password"));
        }
    };
    let _lock = lock(kept)?;
    store(kept, grant, false)
}

/// What has become of a sign-in that was to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedOut {
    /// Nobody was signed in.
    Nobody,
    /// Its server has ended it.
    Revoked,
    /// It is forgotten here; its server was not told: on request, it has no way to be told, or somebody else has the
    /// sign-in as well.
    Forgotten,
    /// It is forgotten here; these jobs have forked it and go on. The last of them to end has it revoked.
    LeftToJobs(Vec<String>),
}

/// Ends the stored sign-in: revokes it at its server, unless it is shared, forked by jobs that go on, or `local`, and
/// forgets it.
///
/// Errors: the sign-in is kept then, so that the same call can be made again.
pub fn sign_out(kept: &Kept, web: &Web, local: bool) -> Result<SignedOut, Error> {
    let _lock = lock(kept)?;
    let Some(record) = kept.record()? else { return Ok(SignedOut::Nobody) };
    let grant = began(&record);
    let jobs = kept.vault.jobs()?.into_iter().filter(|(_, job)| job.fork_of == Some(grant));
    let jobs: Vec<String> = jobs.map(|(name, _)| name).collect();
    let ended = if record.shared || local {
        SignedOut::Forgotten
    } else if !jobs.is_empty() {
        SignedOut::LeftToJobs(jobs)
    } else if kept.end(record, web)? {
        SignedOut::Revoked
    } else {
        SignedOut::Forgotten
    };
    kept.vault.remove()?;
    Ok(ended)
}

fn browser(
    oauth2: &OAuth2,
    web: &Web,
    endpoints: &Endpoints,
    at: loopback::Redirect<'_>,
    prompt: &str,
    limit: Duration,
    guide: &impl Guide,
) -> Result<Grant, Error> {
    let Some(authorization) = &endpoints.authorization else {
        return Err(unfit("the identity provider has no authorization endpoint; use --device"));
    };
    let verifier = pkce::verifier(&random());
    let (state, nonce) = (token(), token());
    let listener = web.runtime.block_on(loopback::Listener::bind(at))?;
    let redirect_uri = listener.redirect_uri();
    let ask = Authorization {
        client_id: &oauth2.def.client_id,
        redirect_uri: &redirect_uri,
        state: &state,
        challenge: &pkce::challenge(&verifier),
        nonce: &nonce,
        prompt,
    };
    guide.open(&authorization_url(authorization, ask, oauth2.scope()));
    let issuer = (!endpoints.issuer.is_empty()).then_some(endpoints.issuer.as_str());
    let expected = loopback::Expected {
        state: state.clone(),
        issuer: issuer.map(str::to_owned),
        needs_iss: endpoints.names_issuer,
    };
    let code = web.runtime.block_on(listener.wait(expected, limit, || guide.stopped()))?;
    // Once: a code that is presented twice ends everything that came of it.
    let ask = Ask::Code { code: &code, verifier: &verifier, redirect_uri: &redirect_uri };
    let (reply, took) = oauth2.ask(&ask, web).map_err(|failure| failure.error)?;
    oauth2.grant(reply, None, took).map_err(|failure| failure.error)
}

/// Uses a refresh token from elsewhere: recorded before it goes out, as every other.
fn brought(kept: &Kept, oauth2: &OAuth2, web: &Web, refresh: Secret<String>) -> Result<Record, Error> {
    if oauth2.mints() {
        return Err(unfit("this session needs no refresh token: its credentials come by themselves"));
    }
    // Looked up before anything is recorded: what fails here has used nothing up.
    oauth2.endpoints(web).map_err(|failure| failure.error)?;
    let _lock = lock(kept)?;
    let chain = Chain::first(refresh, None);
    let intent = Intent { serial: 1, began_at: clock::wall(), attempts: 1, outcome: Spent::Unknown };
    kept.put_record(|record| {
        *record = Record {
            origin: record.origin.clone(),
            refresh_token: Some(chain.refresh.clone()),
            serial: 1,
            started_at: Some(clock::wall()),
            intent: Some(StoredIntent::of(&chain.refresh, &intent)),
            shared: true,
            ..Record::default()
        };
    })?;
    let answer = oauth2.ask(&Ask::Refresh { refresh_token: &chain.refresh }, web);
    let (reply, took) = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            // Not used up, or dead: nothing is worth keeping. Otherwise the record tells what happened.
            if failure.class != ExchangeClass::Ambiguous {
                kept.vault.remove()?;
            }
            return Err(failure.error);
        }
    };
    let grant = oauth2.grant(reply, Some(&chain), took).map_err(|failure| failure.error)?;
    store(kept, grant, true)
}

fn store(kept: &Kept, grant: Grant, shared: bool) -> Result<Record, Error> {
    kept.put(&kept.dated(grant, None), |record| record.shared = shared)?;
    kept.record()?.ok_or_else(|| Error::new(ErrorKind::State, "the sign-in was stored and is gone again"))
}

fn lock(kept: &Kept) -> Result<Box<dyn Send>, Error> {
    kept.vault.lock(&Patience::new(LOCK_PATIENCE, Arc::new(AtomicBool::new(false))))
}

fn unfit(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn random() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *bytes);
    bytes
}

/// Something nobody can guess.
fn token() -> String {
    URL_SAFE_NO_PAD.encode(*random())
}
