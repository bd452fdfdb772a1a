//! The auth service: who is signed in until when, and what a refresh is answered with.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::wire::Reply;

use crate::reply;

/// Stands in every token. Wherever it shows up outside a request, a secret has leaked.
pub const MARKER: &str = "s3cr3tOfTheSimulation";
/// Differences of clocks up to this are accepted, as the service does.
const TOLERANCE_MS: u64 = 5 * 60 * 1000;

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The compact JWT.
    pub text: String,
    /// Its end.
    pub expires: UnixMillis,
    /// Which sign-in it descends from.
    pub chain: usize,
    /// The storage service refuses it, though it has not ended.
    pub refused_by_storage: bool,
    /// Neither service takes it any more.
    pub revoked: bool,
}

/// The auth service.
#[derive(Debug)]
pub struct Issuer {
    /// Life of a token.
    pub life: Duration,
    /// Longest life of a chain of refreshes; `None`: for ever.
    pub chain_life: Option<Duration>,
    /// Tokens tell the end of their chain (`sess_exp`).
    pub tells_horizon: bool,
    /// Refreshing answers 200 with a token of the same end.
    pub moves_nothing: bool,
    tokens: Vec<Token>,
    by_text: BTreeMap<String, usize>,
    /// The last moment of each chain.
    chains: Vec<Option<UnixMillis>>,
    /// Refreshes that gave a token.
    pub refreshes: u64,
    /// Refreshes that were refused.
    pub refusals: u64,
}

impl Default for Issuer {
    fn default() -> Self {
        Issuer {
            life: Duration::from_hours(1),
            chain_life: None,
            tells_horizon: false,
            moves_nothing: false,
            tokens: Vec::new(),
            by_text: BTreeMap::new(),
            chains: Vec::new(),
            refreshes: 0,
            refusals: 0,
        }
    }
}

impl Issuer {
    /// A person signs in: a new chain with its first token.
    pub fn sign_in(&mut self, now: UnixMillis) -> String {
        self.chains.push(self.chain_life.map(|life| now + life));
        self.issue(self.chains.len() - 1, now, now + self.life)
    }

    /// Mints a token for an API key; each is a chain of its own.
    pub fn mint(&mut self, date: UnixMillis, now: UnixMillis) -> Reply {
        if !in_tolerance(date, now) {
            self.refusals += 1;
            return reply::failure(401, "NotAuthenticated", now);
        }
        self.chains.push(None);
        let token = self.issue(self.chains.len() - 1, now, now + self.life);
        self.refreshes += 1;
        reply::json(200, format!("{{\"token\":\"{token}\"}}"), now)
    }

    fn issue(&mut self, chain: usize, now: UnixMillis, end: UnixMillis) -> String {
        // Claims are whole seconds.
        let horizon = self.chains[chain];
        let expires =
            UnixMillis::from_secs(horizon.map_or(end, |horizon| end.min(horizon)).0.div_euclid(1000));
        let number = self.tokens.len();
        let told = horizon.filter(|_| self.tells_horizon).map_or(String::new(), |horizon| {
            format!(",\"sess_exp\":\"{}\"", horizon.to_http_date().replace("GMT", "UTC"))
        });
        let claims = format!(
            "{{\"iat\":{},\"exp\":{},\"jti\":\"{number}\"{told}}}",
            now.0.div_euclid(1000),
            expires.0.div_euclid(1000)
        );
        let text = format!("eyJhbGciOiJSUzI1NiJ9.{}.{MARKER}-{number:010}", URL_SAFE_NO_PAD.encode(claims));
        self.by_text.insert(text.clone(), number);
        self.tokens.push(Token {
            text: text.clone(),
            expires,
            chain,
            refused_by_storage: false,
            revoked: false,
        });
        text
    }

    /// A token by its text.
    pub fn token(&mut self, text: &str) -> Option<&mut Token> {
        let number = *self.by_text.get(text)?;
        self.tokens.get_mut(number)
    }

    /// The number of a token, for traces.
    pub fn number(&self, text: &str) -> Option<usize> {
        self.by_text.get(text).copied()
    }

    /// Ends a chain: none of its tokens is taken any more, by nobody.
    pub fn revoke_chain_of(&mut self, text: &str) {
        let Some(chain) = self.token(text).map(|token| token.chain) else { return };
        for token in self.tokens.iter_mut().filter(|token| token.chain == chain) {
            token.revoked = true;
        }
    }

    /// Whether the storage service takes a request signed with this token and dated `date`.
    pub fn admits(&mut self, text: &str, date: UnixMillis, now: UnixMillis) -> bool {
        in_tolerance(date, now)
            && self
                .token(text)
                .is_some_and(|token| !token.revoked && !token.refused_by_storage && now < token.expires)
    }

    /// `POST /v1/authentication/refresh`, signed with the very token.
    pub fn refresh(&mut self, text: &str, date: UnixMillis, now: UnixMillis) -> Reply {
        let usable = in_tolerance(date, now)
            && self.token(text).is_some_and(|token| !token.revoked && now < token.expires);
        if !usable {
            self.refusals += 1;
            return reply::failure(401, "NotAuthenticated", now);
        }
        let token = self.token(text).expect("found above").clone();
        let end = if self.moves_nothing { token.expires } else { now + self.life };
        let next = self.issue(token.chain, now, end);
        self.refreshes += 1;
        reply::json(200, format!("{{\"token\":\"{next}\"}}"), now)
    }
}

fn in_tolerance(date: UnixMillis, now: UnixMillis) -> bool {
    date.0.abs_diff(now.0) <= TOLERANCE_MS
}
