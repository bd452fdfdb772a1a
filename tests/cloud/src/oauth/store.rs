//! Who is known, who is signed in, and every token ever issued.

use super::settings::{ExpiresIn, LifetimeMember, OauthSettings, RefreshAnswer, TokenForm};
use super::style::Why;
use super::watch::Watch;
use crate::auth::issuer::Issuer;
use crate::clock::{Millis, whole_seconds};
use crate::error::{Error, ErrorKind};
use crate::random::{url_safe, uuid};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The authorization server of one cloud.
pub(crate) struct Oauth {
    pub(crate) watch: Watch,
    pub(crate) issuer: Issuer,
    state: Arc<Mutex<State>>,
}

/// How a client proves who it is.
#[derive(Clone)]
pub(crate) enum Proof {
    /// Not at all: a public client.
    Nothing,
    Secret(String),
    Key(Arc<jsonwebtoken::DecodingKey>, jsonwebtoken::Algorithm),
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) proof: Proof,
    /// Scopes it may ask for.
    pub(crate) scope: String,
    /// Grant types it may use; empty for all.
    pub(crate) grants: Vec<String>,
}

/// One sign-in of a user.
pub(crate) struct UserSession {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) started: Millis,
    pub(crate) ended: bool,
}

/// One grant: everything that descends from one code, login or device.
pub(crate) struct Chain {
    pub(crate) client: String,
    pub(crate) session: Option<usize>,
    pub(crate) scope: String,
    /// Who acts, where a token exchange named one.
    pub(crate) actor: Option<String>,
    pub(crate) started: Millis,
    /// Why none of its refresh tokens is good any more.
    pub(crate) ended: Option<Why>,
    pub(crate) generation: u32,
    pub(crate) refreshes: u64,
    pub(crate) in_flight: u32,
    /// The newest access token.
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    /// Keycloak's memory: the `jti` presented last, how often, and when the newest token was issued (whole seconds).
    pub(crate) last_id: Option<String>,
    pub(crate) count: u32,
    pub(crate) last_refresh: i64,
}

pub(crate) struct Refresh {
    pub(crate) chain: usize,
    pub(crate) jti: String,
    pub(crate) generation: u32,
    pub(crate) issued: Millis,
    pub(crate) ends: Millis,
    pub(crate) used: Option<Millis>,
    /// The newest one issued for it, and the answer that carried it.
    pub(crate) child: Option<String>,
    pub(crate) answer: Option<Value>,
    pub(crate) revoked: bool,
    /// Its holder was told that it is no good.
    pub(crate) refused: bool,
}

pub(crate) struct Access {
    pub(crate) chain: Option<usize>,
    pub(crate) client: String,
    pub(crate) user: Option<String>,
    pub(crate) scope: String,
    pub(crate) generation: u32,
    pub(crate) issued: Millis,
    pub(crate) ends: Millis,
    pub(crate) revoked: bool,
    /// The resource has refused it.
    pub(crate) refused: bool,
}

pub(crate) struct Code {
    pub(crate) client: String,
    pub(crate) user: String,
    pub(crate) scope: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<String>,
    pub(crate) ends: Millis,
    /// The chain that came of it.
    pub(crate) chain: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved(String),
    Denied,
}

pub(crate) struct Device {
    pub(crate) client: String,
    pub(crate) scope: String,
    pub(crate) user_code: String,
    pub(crate) ends: Millis,
    pub(crate) interval_ms: i64,
    pub(crate) polled: Option<Millis>,
    pub(crate) decision: Decision,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) users: BTreeMap<String, String>,
    pub(crate) sessions: Vec<UserSession>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) refresh: HashMap<String, Refresh>,
    pub(crate) access: HashMap<String, Access>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) devices: HashMap<String, Device>,
    pub(crate) assertions: HashSet<String>,
}

/// One chain, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainFacts {
    /// Number of the chain, from 0.
    pub chain: usize,
    /// Client it was granted to.
    pub client: String,
    /// User who granted it; `None` for a client's own.
    pub user: Option<String>,
    /// Scope of the grant.
    pub scope: String,
    /// Who acts for the user (the client or user of the `actor_token` of an exchange).
    pub actor: Option<String>,
    /// Generation of its newest access token (0 = from the grant).
    pub generation: u32,
    /// Refreshes that issued something.
    pub refreshes: u64,
    /// When it was granted, in milliseconds since 1970.
    pub started_ms: i64,
    /// When its newest refresh token ends.
    pub refresh_ends_ms: Option<i64>,
    /// Why it is dead, in the server's own words; `None` while it lives.
    pub ended: Option<String>,
}

impl Oauth {
    pub(crate) fn new() -> Result<Self, Error> {
        let oauth = Self {
            watch: Watch::default(),
            issuer: Issuer::new()?,
            state: Arc::new(Mutex::new(State::default())),
        };
        oauth.clear();
        Ok(oauth)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared(&self) -> Arc<Mutex<State>> {
        Arc::clone(&self.state)
    }

    /// Forgets everything but who is there at the start.
    pub(crate) fn clear(&self) {
        let scope = "openid profile offline_access files.read files.write";
        let client = |proof| Client { proof, scope: scope.into(), grants: Vec::new() };
        let mut fresh = State::default();
        fresh.clients.insert("job".into(), client(Proof::Secret("job-secret".into())));
        // What a client that skips the form-encoding before Basic gets wrong.
        fresh.clients.insert("odd client".into(), client(Proof::Secret("p%2B+ :\u{fc}/".into())));
        fresh.clients.insert("cli".into(), client(Proof::Nothing));
        // What a Eureka realm has from the start.
        for id in ["diku-login-application", "sidecar-module-access-client"] {
            fresh.clients.insert(id.into(), client(Proof::Secret(format!("{id}-secret"))));
        }
        fresh.users.insert("ann".into(), "ann-password".into());
        *self.state() = fresh;
        self.watch.clear();
    }

    pub(crate) fn chains(&self) -> Vec<ChainFacts> {
        let state = self.state();
        let facts = |(number, chain): (usize, &Chain)| ChainFacts {
            chain: number,
            client: chain.client.clone(),
            user: state.user_of(number),
            scope: chain.scope.clone(),
            actor: chain.actor.clone(),
            generation: chain.generation,
            refreshes: chain.refreshes,
            started_ms: chain.started,
            refresh_ends_ms: chain
                .refresh
                .as_ref()
                .and_then(|id| state.refresh.get(id))
                .map(|token| token.ends),
            ended: state.why_ended(number).map(|why| why.note()),
        };
        state.chains.iter().enumerate().map(facts).collect()
    }

    /// The kind of secret that stands in a request target.
    pub(crate) fn secret_in_target(&self, target: &str) -> Option<&'static str> {
        let state = self.state();
        let kind = |piece: &str| {
            if state.access.contains_key(piece) {
                Some("access token")
            } else if state.refresh.contains_key(piece) {
                Some("refresh token")
            } else {
                state.devices.contains_key(piece).then_some("device code")
            }
        };
        target.split(['/', '?', '&', '=', ';']).find_map(kind)
    }

    /// Which of the secrets issued or configured here occur in a text: kinds, never the secrets.
    pub(crate) fn secrets_in(&self, text: &str) -> Vec<&'static str> {
        let state = self.state();
        let has = |mut keys: Box<dyn Iterator<Item = &str> + '_>| keys.any(|key| text.contains(key));
        let mut found = Vec::new();
        if has(Box::new(state.access.keys().map(String::as_str))) {
            found.push("access token");
        }
        if has(Box::new(state.refresh.keys().map(String::as_str))) {
            found.push("refresh token");
        }
        if has(Box::new(state.codes.keys().map(String::as_str))) {
            found.push("authorization code");
        }
        if has(Box::new(state.devices.keys().map(String::as_str))) {
            found.push("device code");
        }
        let secret = |client: &Client| matches!(&client.proof, Proof::Secret(secret) if text.contains(secret.as_str()));
        if state.clients.values().any(secret) {
            found.push("client secret");
        }
        if has(Box::new(state.users.values().map(String::as_str))) {
            found.push("password");
        }
        found
    }
}

impl State {
    pub(crate) fn user_of(&self, chain: usize) -> Option<String> {
        let session = self.chains.get(chain)?.session?;
        self.sessions.get(session).map(|session| session.user.clone())
    }

    /// Why nothing of this chain can be refreshed any more.
    pub(crate) fn why_ended(&self, chain: usize) -> Option<Why> {
        let chain = self.chains.get(chain)?;
        let session = chain.session.and_then(|session| self.sessions.get(session));
        match session {
            Some(session) if session.ended => Some(Why::SessionEnded),
            _ => chain.ended.clone(),
        }
    }

    /// Signs a user in.
    pub(crate) fn open_session(&mut self, user: &str, now: Millis) -> usize {
        self.sessions.push(UserSession { id: uuid(), user: user.into(), started: now, ended: false });
        self.sessions.len() - 1
    }

    /// Begins a chain; nothing is issued yet.
    pub(crate) fn open_chain(
        &mut self,
        client: &str,
        session: Option<usize>,
        scope: &str,
        now: Millis,
    ) -> usize {
        self.chains.push(Chain {
            client: client.into(),
            session,
            scope: scope.into(),
            actor: None,
            started: now,
            ended: None,
            generation: 0,
            refreshes: 0,
            in_flight: 0,
            access: String::new(),
            refresh: None,
            last_id: None,
            count: 0,
            last_refresh: 0,
        });
        self.chains.len() - 1
    }

    /// Ends a chain; with `access` its access tokens are refused from now on.
    pub(crate) fn end_chain(&mut self, number: usize, why: Why, access: bool) {
        if let Some(chain) = self.chains.get_mut(number) {
            chain.ended.get_or_insert(why);
        }
        if access {
            self.revoke_access(number);
        }
    }

    pub(crate) fn revoke_access(&mut self, chain: usize) {
        for token in self.access.values_mut().filter(|token| token.chain == Some(chain)) {
            token.revoked = true;
        }
    }

    /// Ends a user session with all its chains.
    pub(crate) fn end_session(&mut self, session: usize, access: bool) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.ended = true;
        }
        let of_it = |chain: &Chain| chain.session == Some(session);
        let numbers: Vec<_> = (0..self.chains.len()).filter(|number| of_it(&self.chains[*number])).collect();
        for number in numbers {
            self.end_chain(number, Why::SessionEnded, access);
        }
    }
}

/// What a token is issued with.
pub(crate) struct Mint<'a> {
    pub(crate) settings: &'a OauthSettings,
    pub(crate) issuer: &'a Issuer,
    /// The issuer's URL.
    pub(crate) url: &'a str,
    pub(crate) now: Millis,
    /// Okapi's signing key and tenant, when tokens take its form.
    pub(crate) okapi: Option<(&'a str, &'a str)>,
}

impl Mint<'_> {
    /// Issues the next generation of a chain and says what the token endpoint answers. `parent` is the refresh token that
    /// was presented; `with_refresh` says whether the grant comes with one at all.
    pub(crate) fn issue(
        &self,
        state: &mut State,
        number: usize,
        scope: &str,
        parent: Option<&str>,
        with_refresh: bool,
    ) -> Result<Value, Error> {
        let first = parent.is_none();
        let (generation, client, started) = {
            let chain = &mut state.chains[number];
            if !first {
                chain.generation += 1;
                chain.refreshes += 1;
            }
            (chain.generation, chain.client.clone(), chain.started)
        };
        // A chain that was exchanged for lives in a session that began earlier.
        let session = state.chains[number].session.map(|session| state.sessions[session].started);
        let started = session.map_or(started, |session| session.min(started));
        let user = state.user_of(number);
        if !first && self.settings.refresh_revokes_access {
            state.revoke_access(number);
        }
        let session_id = state.chains[number].session.map(|session| state.sessions[session].id.clone());
        let (access, ends) = self.access_token(&client, user.as_deref(), scope, session_id.as_deref())?;
        let record = Access {
            chain: Some(number),
            client: client.clone(),
            user,
            scope: scope.into(),
            generation,
            issued: self.now,
            ends,
            revoked: false,
            refused: false,
        };
        state.access.insert(access.clone(), record);
        state.chains[number].access.clone_from(&access);
        let mut body = self.body(&access, scope);
        let keeps = !first && self.settings.refresh_answer != RefreshAnswer::New;
        if with_refresh && !keeps {
            let (token, record) = self.refresh_token(number, started, generation, session_id.as_deref())?;
            if let Some(parent) = parent.and_then(|parent| state.refresh.get_mut(parent)) {
                parent.child = Some(token.clone());
            }
            let left = record.ends.saturating_sub(self.now).div_euclid(1000);
            match self.settings.lifetime_member {
                LifetimeMember::None => {}
                LifetimeMember::RefreshExpiresIn => {
                    body.insert("refresh_expires_in".into(), left.into());
                }
                LifetimeMember::RefreshTokenExpiresIn => {
                    body.insert("refresh_token_expires_in".into(), left.into());
                }
            }
            body.insert("refresh_token".into(), token.as_str().into());
            state.chains[number].last_refresh = whole_seconds(record.issued);
            state.chains[number].refresh = Some(token.clone());
            state.refresh.insert(token, record);
        } else if with_refresh && self.settings.refresh_answer == RefreshAnswer::Empty {
            body.insert("refresh_token".into(), "".into());
        } else if self.settings.lifetime_member == LifetimeMember::RefreshExpiresIn && !with_refresh {
            body.insert("refresh_expires_in".into(), 0.into());
        }
        if let Some(id) =
            session_id.filter(|_| self.settings.lifetime_member == LifetimeMember::RefreshExpiresIn)
        {
            body.insert("session_state".into(), id.into());
            body.insert("not-before-policy".into(), 0.into());
        }
        let body = Value::Object(body);
        if let Some(parent) = parent.and_then(|parent| state.refresh.get_mut(parent)) {
            parent.answer = Some(body.clone());
        }
        Ok(body)
    }

    fn body(&self, access: &str, scope: &str) -> Map<String, Value> {
        let seconds = self.settings.access_life.as_secs();
        let mut body = Map::new();
        body.insert("access_token".into(), access.into());
        body.insert("token_type".into(), self.settings.token_type.as_str().into());
        let expires_in = match self.settings.expires_in {
            ExpiresIn::Number => Some(seconds.into()),
            ExpiresIn::Text => Some(seconds.to_string().into()),
            ExpiresIn::Missing => None,
            ExpiresIn::Zero => Some(0.into()),
            ExpiresIn::Negative => Some((-1).into()),
        };
        if let Some(value) = expires_in {
            body.insert("expires_in".into(), value);
        }
        body.insert("scope".into(), scope.into());
        body
    }

    /// Start of the current second: lives are counted from there, as servers with whole-second claims do.
    fn second(&self) -> Millis {
        whole_seconds(self.now) * 1000
    }

    fn access_token(
        &self,
        client: &str,
        user: Option<&str>,
        scope: &str,
        session: Option<&str>,
    ) -> Result<(String, Millis), Error> {
        let ends = self.second().saturating_add(millis(self.settings.access_life));
        if let Some((key, tenant)) = self.okapi {
            let user = user.and_then(|user| user.split_once('/')).map_or("", |(_, user)| user);
            let claims = json!({
                "type": "access", "sub": user, "user_id": user, "tenant": tenant, "jti": uuid(),
                "iat": whole_seconds(self.now), "exp": whole_seconds(ends),
            });
            return Ok((okapi_token(key, &claims)?, ends));
        }
        let token = match self.settings.access_form {
            TokenForm::Opaque => url_safe(32),
            TokenForm::Jwt => self.issuer.sign_as("JWT", &json!({
                "iss": self.url, "sub": user.unwrap_or(client), "aud": "account", "azp": client, "client_id": client,
                "typ": "Bearer", "scope": scope, "jti": uuid(), "iat": whole_seconds(self.now),
                "exp": whole_seconds(ends), "sid": session,
            }))?,
        };
        Ok((token, ends))
    }

    fn refresh_token(
        &self,
        chain: usize,
        started: Millis,
        generation: u32,
        session: Option<&str>,
    ) -> Result<(String, Refresh), Error> {
        let idle = self.second().saturating_add(millis(self.settings.idle));
        let absolute = self.settings.absolute.map(|limit| started.saturating_add(millis(limit)));
        let ends = absolute.map_or(idle, |absolute| idle.min(absolute));
        let jti = uuid();
        let token = match self.settings.refresh_form {
            // Five parts, as the real one has, which is encrypted.
            _ if self.okapi.is_some() => {
                format!("{}..{}.{}.{}", url_safe(27), url_safe(12), url_safe(90), url_safe(16))
            }
            TokenForm::Opaque => url_safe(32),
            TokenForm::Jwt => self.issuer.sign_as("JWT", &json!({
                "iss": self.url, "aud": self.url, "typ": "Refresh", "jti": jti, "sid": session,
                "reuse_id": format!("chain-{chain}"), "iat": whole_seconds(self.now), "exp": whole_seconds(ends),
            }))?,
        };
        let record = Refresh {
            chain,
            jti,
            generation,
            issued: self.now,
            ends,
            used: None,
            child: None,
            answer: None,
            revoked: false,
            refused: false,
        };
        Ok((token, record))
    }
}

/// An access token as mod-authtoken signs it.
fn okapi_token(key: &str, claims: &Value) -> Result<String, Error> {
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let key = jsonwebtoken::EncodingKey::from_secret(key.as_bytes());
    jsonwebtoken::encode(&header, claims, &key)
        .map_err(|error| Error::new(ErrorKind::Key, format!("cannot sign a token: {error}")))
}

pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
