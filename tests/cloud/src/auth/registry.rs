//! Sessions, their tokens, API keys, and the judgement over a request's credentials.

use super::issuer::{Claims, ISSUER, Issuer, jwk_key, jwk_text};
use super::signature::{Authorization, BODY_SET, HEAD_SET};
use crate::clock::{Millis, http_date, whole_seconds};
use crate::error::{Error, ErrorKind};
use crate::http::head::Head;
use crate::op::{Op, Signing};
use crate::random::uuid;
use crate::settings::{SessExp, Settings};
use rsa::RsaPublicKey;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a session came to be, and so how far it can be carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// Browser login: refreshable up to the horizon.
    #[default]
    Browser,
    /// `--no-browser` (a token for oneself): a refresh answers 200 and does not move the end.
    NoBrowser,
}

/// One token of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// Its `jti` claim.
    pub jti: String,
    /// 0 for the token of the login, then one more with every refresh.
    pub generation: u32,
    /// `iat`, seconds since 1970.
    pub iat: i64,
    /// `exp`, seconds since 1970.
    pub exp: i64,
    /// Refused before its `exp`.
    pub revoked: bool,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// Number of the session in this cloud, from 0.
    pub id: usize,
    /// Profile it was made for; a name chosen by the caller of login.
    pub profile: String,
    /// How it came to be.
    pub kind: SessionKind,
    /// When, in milliseconds since 1970.
    pub login_ms: i64,
    /// No token of it outlives this, seconds since 1970.
    pub horizon: i64,
    /// Its tokens, oldest first.
    pub tokens: Vec<TokenFacts>,
}

/// Which tokens stop being accepted, whatever their `exp` says. In JSON: `{"jti": "..."}`, `{"issued_before": 1772366400}`, `"all"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
    /// The token with this `jti`.
    Jti(String),
    /// All tokens whose `iat` is before this, seconds since 1970.
    IssuedBefore(i64),
    /// The generations of a profile's session up to and including this one.
    UpTo {
        /// Profile name.
        profile: String,
        /// Generation.
        generation: u32,
    },
    /// A profile's session, so that it cannot be refreshed either.
    Session(String),
    /// Every token there is. Later logins and refreshes of other tokens are not affected.
    All,
}

/// Who made a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody: the operation needs no signature.
    Nobody,
    /// An API key.
    Key { user: String, tenancy: String },
    /// A session token.
    Token { session: usize, facts: TokenFacts, jwt: Arc<str> },
}

/// Why credentials were refused, for the log, and whose token they named if it is one of ours.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) token: Option<(usize, TokenFacts)>,
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self { reason, token: None }
    }
}

impl From<&str> for Refused {
    fn from(reason: &str) -> Self {
        Self::from(reason.to_owned())
    }
}

/// A minted token.
#[derive(Clone, Debug)]
pub(crate) struct Minted {
    pub(crate) jwt: Arc<str>,
    pub(crate) facts: TokenFacts,
    pub(crate) session: usize,
}

/// What a new session is made of.
pub(crate) struct Opening<'a> {
    pub(crate) profile: &'a str,
    pub(crate) kind: SessionKind,
    pub(crate) user: &'a str,
    pub(crate) tenancy: &'a str,
    pub(crate) key: RsaPublicKey,
    pub(crate) token_life: Duration,
    pub(crate) horizon: Duration,
}

/// What became of a refresh.
pub(crate) enum Refreshed {
    Token(Minted),
    AtHorizon,
    Gone,
}

struct Session {
    facts: SessionFacts,
    user: String,
    tenancy: String,
    key: RsaPublicKey,
    token_life: Duration,
}

struct Known {
    session: usize,
    generation: usize,
    /// Verified once by signature; the text is compared after that.
    key: Option<RsaPublicKey>,
}

struct ApiKey {
    key: RsaPublicKey,
    user: String,
    tenancy: String,
}

#[derive(Default)]
struct State {
    sessions: Vec<Session>,
    tokens: HashMap<Arc<str>, Known>,
    api_keys: HashMap<String, ApiKey>,
}

pub(crate) struct Registry {
    issuer: Issuer,
    state: Mutex<State>,
}

impl Registry {
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self { issuer, state: Mutex::default() }
    }

    /// Opens a session and mints its first token.
    pub(crate) fn open(
        &self,
        opening: Opening<'_>,
        settings: &Settings,
        now: Millis,
    ) -> Result<Minted, Error> {
        let horizon = match opening.kind {
            SessionKind::Browser => opening.horizon,
            SessionKind::NoBrowser => opening.token_life,
        };
        let mut state = self.state();
        let id = state.sessions.len();
        state.sessions.push(Session {
            facts: SessionFacts {
                id,
                profile: opening.profile.to_owned(),
                kind: opening.kind,
                login_ms: now,
                horizon: whole_seconds(now.saturating_add(millis(horizon))),
                tokens: Vec::new(),
            },
            user: opening.user.to_owned(),
            tenancy: opening.tenancy.to_owned(),
            key: opening.key,
            token_life: opening.token_life,
        });
        self.mint(&mut state, id, None, settings, now)
    }

    /// Extends a session whose newest or any older token is at hand. `move_exp` false answers with the old `exp`.
    pub(crate) fn refresh(
        &self,
        caller: &Minted,
        move_exp: bool,
        settings: &Settings,
        now: Millis,
    ) -> Result<Refreshed, Error> {
        let mut state = self.state();
        let Some(session) = state.sessions.get(caller.session) else { return Ok(Refreshed::Gone) };
        let at_horizon = caller.facts.exp >= session.facts.horizon;
        if at_horizon && settings.refuse_at_horizon {
            return Ok(Refreshed::AtHorizon);
        }
        let exp = (!move_exp || session.facts.kind == SessionKind::NoBrowser).then_some(caller.facts.exp);
        if settings.refresh_revokes_old {
            state.sessions[caller.session].facts.tokens.iter_mut().for_each(|token| token.revoked = true);
        }
        self.mint(&mut state, caller.session, exp, settings, now).map(Refreshed::Token)
    }

    fn mint(
        &self,
        state: &mut State,
        id: usize,
        exp: Option<i64>,
        settings: &Settings,
        now: Millis,
    ) -> Result<Minted, Error> {
        let session = &mut state.sessions[id];
        let horizon = session.facts.horizon;
        let exp =
            exp.unwrap_or_else(|| whole_seconds(now.saturating_add(millis(session.token_life)))).min(horizon);
        let generation = session.facts.tokens.len();
        let facts = TokenFacts {
            jti: uuid(),
            generation: u32::try_from(generation).unwrap_or(u32::MAX),
            iat: whole_seconds(now),
            exp,
            revoked: false,
        };
        let claims = Claims {
            sub: session.user.clone(),
            iss: ISSUER.into(),
            ptype: "user".into(),
            ttype: "login".into(),
            aud: "oci".into(),
            tenant: session.tenancy.clone(),
            iat: facts.iat,
            exp,
            jti: facts.jti.clone(),
            sess_exp: match settings.sess_exp {
                SessExp::Text => Some(http_date(horizon.saturating_mul(1000)).replace("GMT", "UTC").into()),
                SessExp::Number => Some(horizon.into()),
                SessExp::Absent => None,
            },
            jwk: jwk_text(&session.key),
        };
        let jwt: Arc<str> = self.issuer.sign(&claims)?.into();
        session.facts.tokens.push(facts.clone());
        state.tokens.insert(Arc::clone(&jwt), Known { session: id, generation, key: None });
        Ok(Minted { jwt, facts, session: id })
    }

    /// Judges the credentials of a request by its head alone.
    pub(crate) fn judge(
        &self,
        head: &Head,
        op: Op,
        settings: &Settings,
        now: Millis,
    ) -> Result<(Caller, Option<Authorization>), Refused> {
        let required = match op.signing() {
            Signing::None => return Ok((Caller::Nobody, None)),
            Signing::Head => HEAD_SET,
            Signing::Body => BODY_SET,
        };
        let value = head.get("authorization").ok_or("no authorization header")?;
        let authorization = Authorization::parse(value)?;
        authorization.check_scope(head, required, now, millis(settings.date_tolerance))?;
        let (caller, key) = self.credential(&authorization.key_id, now)?;
        authorization.verify(head, &key).map_err(|reason| {
            let token = match &caller {
                Caller::Token { session, facts, .. } => Some((*session, facts.clone())),
                Caller::Nobody | Caller::Key { .. } => None,
            };
            Refused { reason, token }
        })?;
        Ok((caller, Some(authorization)))
    }

    /// The key behind a keyId, and whose it is.
    fn credential(&self, key_id: &str, now: Millis) -> Result<(Caller, RsaPublicKey), Refused> {
        if let Some(known) = self.state().api_keys.get(key_id) {
            let caller = Caller::Key { user: known.user.clone(), tenancy: known.tenancy.clone() };
            return Ok((caller, known.key.clone()));
        }
        let token = key_id.strip_prefix("ST$").ok_or("the keyId names no registered key")?;
        let minted = self.token(token, now)?;
        let bound = self.state().tokens.get(token).and_then(|known| known.key.clone());
        let key = if let Some(key) = bound { key } else { self.bind(token)? };
        Ok((Caller::Token { session: minted.session, facts: minted.facts, jwt: minted.jwt }, key))
    }

    /// Verifies a token by its signature, the first time it is seen, and notes the key it is bound to.
    fn bind(&self, token: &str) -> Result<RsaPublicKey, String> {
        let claims = self.issuer.read(token)?;
        let key = jwk_key(&claims.jwk).ok_or("the token's jwk is no RSA key")?;
        if let Some(known) = self.state().tokens.get_mut(token) {
            known.key = Some(key.clone());
        }
        Ok(key)
    }

    /// Judges a token at this moment: minted here, not revoked, not expired.
    pub(crate) fn token(&self, token: &str, now: Millis) -> Result<Minted, Refused> {
        let state = self.state();
        let Some((jwt, known)) = state.tokens.get_key_value(token) else {
            drop(state);
            self.issuer.read(token)?;
            return Err("the token is ours but of a session that was forgotten".into());
        };
        let facts = &state.sessions[known.session].facts.tokens[known.generation];
        let refused = |reason| Err(Refused { reason, token: Some((known.session, facts.clone())) });
        if facts.revoked {
            return refused(format!("token generation {} was revoked", facts.generation));
        }
        let left_ms = facts.exp.saturating_mul(1000).saturating_sub(now);
        if left_ms <= 0 {
            return refused(format!("token generation {} expired {} ms ago", facts.generation, -left_ms));
        }
        Ok(Minted { jwt: Arc::clone(jwt), facts: facts.clone(), session: known.session })
    }

    /// Registers a public key under a keyId: an API key, or anything a test wants accepted.
    pub(crate) fn trust(&self, key_id: &str, key: RsaPublicKey, user: &str, tenancy: &str) {
        let entry = ApiKey { key, user: user.to_owned(), tenancy: tenancy.to_owned() };
        self.state().api_keys.insert(key_id.to_owned(), entry);
    }

    /// Forgets a keyId; says whether it was known.
    pub(crate) fn distrust(&self, key_id: &str) -> bool {
        self.state().api_keys.remove(key_id).is_some()
    }

    /// Marks tokens as refused; says how many were not before.
    pub(crate) fn revoke(&self, which: &Revoke) -> usize {
        let mut state = self.state();
        let newest = |profile: &str, sessions: &[Session]| {
            sessions.iter().rposition(|session| session.facts.profile == profile)
        };
        let only = match which {
            Revoke::UpTo { profile, .. } | Revoke::Session(profile) => match newest(profile, &state.sessions)
            {
                Some(id) => Some(id),
                None => return 0,
            },
            Revoke::Jti(_) | Revoke::IssuedBefore(_) | Revoke::All => None,
        };
        let mut count = 0;
        for session in
            state.sessions.iter_mut().filter(|session| only.is_none_or(|id| session.facts.id == id))
        {
            for token in session.facts.tokens.iter_mut().filter(|token| !token.revoked) {
                token.revoked = match which {
                    Revoke::Jti(jti) => token.jti == *jti,
                    Revoke::IssuedBefore(time) => token.iat < *time,
                    Revoke::UpTo { generation, .. } => token.generation <= *generation,
                    Revoke::Session(_) | Revoke::All => true,
                };
                count += usize::from(token.revoked);
            }
        }
        count
    }

    /// The user and tenancy of a session.
    pub(crate) fn owner(&self, session: usize) -> Option<(String, String)> {
        self.state().sessions.get(session).map(|session| (session.user.clone(), session.tenancy.clone()))
    }

    /// The newest token of a profile's newest session, valid or not.
    pub(crate) fn newest(&self, profile: &str) -> Result<Minted, Error> {
        let state = self.state();
        let missing = || Error::new(ErrorKind::Missing, format!("no session of profile {profile:?}"));
        let session =
            state.sessions.iter().rfind(|session| session.facts.profile == profile).ok_or_else(missing)?;
        let facts = session.facts.tokens.last().ok_or_else(missing)?;
        let generation = session.facts.tokens.len() - 1;
        let id = session.facts.id;
        let found =
            state.tokens.iter().find(|(_, known)| known.session == id && known.generation == generation);
        let (jwt, _) = found.ok_or_else(missing)?;
        Ok(Minted { jwt: Arc::clone(jwt), facts: facts.clone(), session: id })
    }

    pub(crate) fn sessions(&self) -> Vec<SessionFacts> {
        self.state().sessions.iter().map(|session| session.facts.clone()).collect()
    }

    /// Forgets all sessions and keys.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
