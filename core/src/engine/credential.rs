//! What a request is authorised with, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::chain::Chain;
use super::error::{Error, ErrorKind};
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
    /// An access token that is shown as it is (RFC 6750); it signs nothing.
    Bearer(Bearer),
}

/// What signs a request: only OCI credentials have it.
#[derive(Clone, Debug)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a Arc<SigningKey>,
    /// The `keyId` of the signature; secret for tokens, since it contains the token.
    pub key_id: Secret<String>,
}

impl Credential {
    /// What signs with this credential.
    ///
    /// Errors: `InvalidInput`: a bearer token signs nothing.
    pub fn signer(&self) -> Result<Signer<'_>, Error> {
        match self {
            Credential::OciSession { token, key } => {
                Ok(Signer { key, key_id: Secret::new(format!("ST${}", token.expose())) })
            }
            Credential::OciApiKey { key_id, key } => Ok(Signer { key, key_id: Secret::new(key_id.clone()) }),
            Credential::Bearer(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                "this session has a bearer token, which signs nothing; send its authorization headers instead",
            )),
        }
    }

    /// The key that signs.
    ///
    /// Errors: as [`Credential::signer`].
    pub fn key(&self) -> Result<&Arc<SigningKey>, Error> {
        match self {
            Credential::OciSession { key, .. } | Credential::OciApiKey { key, .. } => Ok(key),
            Credential::Bearer(_) => self.signer().map(|signer| signer.key),
        }
    }

    /// The bearer token.
    ///
    /// Errors: `InvalidInput`: OCI credentials sign requests, they are not shown.
    pub fn bearer(&self) -> Result<&Bearer, Error> {
        match self {
            Credential::Bearer(bearer) => Ok(bearer),
            Credential::OciSession { .. } | Credential::OciApiKey { .. } => Err(Error::new(
                ErrorKind::InvalidInput,
                "this session's credential signs requests; it has no bearer token",
            )),
        }
    }

    /// The token as text, for scripts and other tools: the session token without `ST$`, the access token, or for an API
    /// key its id, which is no secret. Every call site is a place where it can leak.
    pub fn expose_token(&self) -> &str {
        match self {
            Credential::OciSession { token, .. } => token.expose(),
            Credential::OciApiKey { key_id, .. } => key_id,
            Credential::Bearer(bearer) => bearer.token.expose(),
        }
    }

    /// Whether both stand for the same secret, so that nothing would change by switching.
    pub fn same_as(&self, other: &Credential) -> bool {
        match (self, other) {
            (
                Credential::OciSession { token, key },
                Credential::OciSession { token: others, key: other_key },
            ) => token == others && key.fingerprint() == other_key.fingerprint(),
            (
                Credential::OciApiKey { key_id, key },
                Credential::OciApiKey { key_id: others, key: other_key },
            ) => key_id == others && key.fingerprint() == other_key.fingerprint(),
            (Credential::Bearer(bearer), Credential::Bearer(other)) => bearer == other,
            _ => false,
        }
    }
}

/// An access token with the headers that carry it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bearer {
    token: Secret<String>,
    token_type: String,
    headers: Vec<(String, Secret<String>)>,
}

impl Bearer {
    /// A token that goes out as `authorization: <token type> <token>`.
    ///
    /// Errors: `Protocol` when token or type cannot stand in a header; neither is repeated in the message.
    pub fn new(token: Secret<String>, token_type: &str) -> Result<Bearer, Error> {
        // RFC 6750 section 2.1 writes `Bearer`; servers answer it in any case.
        let token_type = if token_type.eq_ignore_ascii_case("bearer") { "Bearer" } else { token_type };
        let value = Secret::new(format!("{token_type} {}", token.expose()));
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(token.expose()) || !is_word(token_type) {
            let message = "the service gave an access token that cannot stand in a header";
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        Ok(Bearer {
            token,
            token_type: token_type.to_owned(),
            headers: vec![("authorization".to_owned(), value)],
        })
    }

    /// The same token with a further header on each request, for example `x-okapi-tenant`; one of the same name is
    /// replaced. Names are kept in lower case.
    ///
    /// Errors: `InvalidInput` when name or value cannot stand in a request.
    pub fn with_header(mut self, name: &str, value: Secret<String>) -> Result<Bearer, Error> {
        let name = name.to_ascii_lowercase();
        let legal_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let legal_value = value.expose().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !legal_name || !legal_value {
            let message = format!("the header {name:?} has a name or value that cannot stand in a request");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        Ok(self)
    }

    /// The same token without its `authorization` header: some gateways want it in a header of their own only.
    #[must_use]
    pub fn without_authorization(mut self) -> Bearer {
        self.headers.retain(|(name, _)| name != "authorization");
        self
    }

    /// The access token.
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// The word before it, `Bearer` as a rule.
    pub fn token_type(&self) -> &str {
        &self.token_type
    }

    /// All headers that authorise a request, names in lower case, values legal header text.
    pub fn headers(&self) -> &[(String, Secret<String>)] {
        &self.headers
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
    /// In the answer to an exchange: for how long it works, reckoned from the arrival of the answer (`expires_in` less
    /// half of the round trip). The engine makes the end of it; a stated `expires_at` stays the upper bound.
    pub lives_for: Option<Duration>,
    /// The moment after which the chain cannot be extended without a person, if known.
    pub horizon: Option<UnixMillis>,
    /// What the next credential is asked for with, when that is not the credential itself.
    pub chain: Option<Box<Chain>>,
}

impl Grant {
    /// A credential of which nothing else is known: without an end.
    pub fn new(credential: Credential) -> Grant {
        Grant { credential, issued_at: None, expires_at: None, lives_for: None, horizon: None, chain: None }
    }

    /// Whether asking with `other` would spend the same secret as asking with this one.
    pub fn spends_same(&self, other: &Grant) -> bool {
        match (&self.chain, &other.chain) {
            (Some(chain), Some(other)) => chain.refresh == other.refresh,
            (None, None) => self.credential.same_as(&other.credential),
            _ => false,
        }
    }

    /// The moment after which nothing extends this credential, as far as its own and its chain's limits tell.
    pub fn reach(&self) -> Option<UnixMillis> {
        let chain = self.chain.as_ref().and_then(|chain| chain.absolute_end.as_ref()).map(|end| end.value);
        [self.horizon, chain].into_iter().flatten().min()
    }
}

/// The right to use one generation for one request. A rejection names its generation.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Which generation this is.
    pub generation: Generation,
    /// Its credential.
    pub grant: Arc<Grant>,
}

impl Lease {
    /// The token as text ([`Credential::expose_token`]).
    pub fn expose_token(&self) -> &str {
        self.grant.credential.expose_token()
    }

    /// The headers that authorise a request with a bearer token: `authorization`, and what the provider wants beside it.
    ///
    /// Errors: `InvalidInput`: an OCI credential signs each request instead.
    pub fn authorization(&self) -> Result<&[(String, Secret<String>)], Error> {
        self.grant.credential.bearer().map(Bearer::headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_bearer_token_is_shown_and_signs_nothing() {
        let bearer = Bearer::new(secret("tok.en"), "bearer").unwrap();
        let bearer = bearer.with_header("X-Okapi-Tenant", secret("diku")).unwrap();
        let bearer = bearer.with_header("x-okapi-tenant", secret("other")).unwrap();
        let shown = |bearer: &Bearer| -> Vec<String> {
            bearer.headers().iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect()
        };
        assert_eq!(shown(&bearer), ["authorization: Bearer tok.en", "x-okapi-tenant: other"]);
        assert_eq!(shown(&bearer.clone().without_authorization()), ["x-okapi-tenant: other"]);
        let grant = Arc::new(Grant::new(Credential::Bearer(bearer)));
        let lease = Lease { generation: Generation(1), grant };
        assert_eq!((lease.expose_token(), lease.authorization().unwrap().len()), ("tok.en", 2));
        for error in [lease.grant.credential.key().unwrap_err(), lease.grant.credential.signer().unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert!(!format!("{lease:?}").contains("tok.en"));
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_no_token() {
        for (token, kind) in
            [("", "Bearer"), ("a b", "Bearer"), ("a\r\nx: y", "Bearer"), ("é", "Bearer"), ("a", "")]
        {
            let error = Bearer::new(secret(token), kind).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(token.is_empty() || !error.message().contains(token) || token == "a");
        }
        let bearer = Bearer::new(secret("a"), "DPoP").unwrap();
        for (name, value) in [("", "x"), ("a b", "x"), ("a:b", "x"), ("x", "a\nb")] {
            assert!(bearer.clone().with_header(name, secret(value)).is_err(), "{name} {value}");
        }
    }
}
