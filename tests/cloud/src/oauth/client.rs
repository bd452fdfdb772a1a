//! Which client is asking: one proof, and only one.

use super::form::{BadForm, Form, decode};
use super::settings::{AssertionAudience, ErrorStyle, OauthSettings};
use super::store::{Client, Proof, State};
use super::style::Why;
use super::watch::{Rule, Watch};
use crate::clock::{Millis, whole_seconds};
use crate::error::{Error, ErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Oldest `iat` of an assertion, and the furthest `exp` of one without (Keycloak's defaults).
const ASSERTION_AGE_S: i64 = 60;
/// How far an assertion's times may be from the cloud's clock (Keycloak's default).
const ASSERTION_SKEW_S: i64 = 15;

/// A client to be registered. Without secret and key it is a public one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSpec {
    /// `client_id`.
    pub id: String,
    /// Secret, for Basic or the body.
    pub secret: Option<String>,
    /// RSA public key (SPKI PEM) its RS256 or PS256 assertions are signed with.
    pub public_key_pem: Option<String>,
    /// Or a public key as JWK, which says the algorithm in `alg`.
    pub jwk: Option<serde_json::Value>,
    /// Scopes it may ask for; `None` for the usual ones.
    pub scope: Option<String>,
    /// Grant types it may use; empty for all.
    pub grants: Vec<String>,
}

impl ClientSpec {
    /// The client as it is kept. Errors: `Invalid` (no id, two proofs), `Key`.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        if self.id.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a client needs an id"));
        }
        let wrong = |why: String| Error::new(ErrorKind::Key, format!("the key of client {}: {why}", self.id));
        let proof = match (&self.secret, &self.public_key_pem, &self.jwk) {
            (None, None, None) => Proof::Nothing,
            (Some(secret), None, None) => Proof::Secret(secret.clone()),
            (None, Some(pem), None) => {
                let key = crate::auth::face::public_key(pem)?;
                let key =
                    DecodingKey::from_rsa_raw_components(&key.n().to_bytes_be(), &key.e().to_bytes_be());
                Proof::Key(Arc::new(key), Algorithm::RS256)
            }
            (None, None, Some(jwk)) => {
                let alg = jwk["alg"].as_str().unwrap_or("RS256");
                let alg = alg.parse().map_err(|_| wrong(format!("unknown algorithm {alg}")))?;
                let jwk = serde_json::from_value(jwk.clone()).map_err(|error| wrong(error.to_string()))?;
                let key = DecodingKey::from_jwk(&jwk).map_err(|error| wrong(error.to_string()))?;
                Proof::Key(Arc::new(key), alg)
            }
            _ => {
                let what = format!("client {} has two proofs; give it one", self.id);
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        };
        let scope = self
            .scope
            .clone()
            .unwrap_or_else(|| "openid profile offline_access files.read files.write".into());
        Ok(Client { proof, scope, grants: self.grants.clone() })
    }
}

/// What authentication looks at.
pub(crate) struct Asking<'a> {
    pub(crate) authorization: Option<&'a str>,
    pub(crate) form: &'a Form,
    pub(crate) issuer: &'a str,
    pub(crate) token_url: &'a str,
    pub(crate) settings: &'a OauthSettings,
    pub(crate) watch: &'a Watch,
    pub(crate) now: Millis,
}

impl Asking<'_> {
    /// The client that is asking.
    pub(crate) fn client(&self, state: &mut State) -> Result<(String, Client), Why> {
        let basic =
            self.authorization.filter(|value| value.len() > 6 && value[..6].eq_ignore_ascii_case("basic "));
        let secret = self.form.get("client_secret");
        let assertion = self.form.get("client_assertion");
        let ways = usize::from(self.authorization.is_some())
            + usize::from(secret.is_some())
            + usize::from(assertion.is_some());
        if ways > 1 {
            self.watch.note(self.now, Rule::TwoClientCredentials, "at the token endpoint");
            return Err(Why::TwoWays);
        }
        if let Some(value) = basic {
            return self.basic(state, &value[6..]);
        }
        if let Some(assertion) = assertion {
            return self.assertion(state, assertion);
        }
        let id = self.form.get("client_id").ok_or(Why::NoClient)?;
        let known = state.clients.get(id).cloned().ok_or(Why::UnknownClient(false))?;
        match (&known.proof, secret) {
            (Proof::Nothing, None) => Ok((id.into(), known)),
            (Proof::Secret(expected), Some(secret)) if expected == secret => Ok((id.into(), known)),
            (Proof::Secret(_), Some(_)) => Err(Why::WrongSecret(false)),
            _ => Err(Why::UnknownClient(false)),
        }
    }

    fn basic(&self, state: &State, encoded: &str) -> Result<(String, Client), Why> {
        let broken = |why: &str| {
            self.watch.note(self.now, Rule::Encoding, format!("Basic credentials: {why}"));
            Why::Encoding(format!("invalid authorization header value: {why}"))
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| broken("no base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| broken("not form-encoded before base64"))?;
        let (id, secret) = text.split_once(':').ok_or_else(|| broken("no colon"))?;
        let part = |raw: &str| {
            decode(raw).map_err(|bad| match bad {
                BadForm::Encoding(why) | BadForm::Twice(why) => {
                    broken(&format!("not form-encoded before base64 ({why})"))
                }
            })
        };
        let (id, secret) = (part(id)?, part(secret)?);
        let known = state.clients.get(&id).cloned().ok_or(Why::UnknownClient(true))?;
        if self.form.get("client_id").is_some_and(|other| other != id) {
            return Err(Why::UnknownClient(true));
        }
        match &known.proof {
            Proof::Secret(expected) if *expected == secret => Ok((id, known)),
            _ => Err(Why::WrongSecret(true)),
        }
    }

    fn assertion(&self, state: &mut State, assertion: &str) -> Result<(String, Client), Why> {
        if self.form.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(Why::Missing("client_assertion_type"));
        }
        let claims = unverified(assertion).ok_or(Why::Assertion("the assertion is no JWT"))?;
        let id = claims["sub"].as_str().ok_or(Why::Assertion("Token sub claim is required"))?.to_owned();
        if self.form.get("client_id").is_some_and(|other| other != id) {
            return Err(Why::Assertion("client_id parameter does not match sub claim"));
        }
        let known = state.clients.get(&id).cloned().ok_or(Why::UnknownClient(false))?;
        let Proof::Key(key, algorithm) = &known.proof else {
            return Err(Why::Assertion("the client has no key"));
        };
        let mut rules = Validation::new(*algorithm);
        if *algorithm == Algorithm::RS256 {
            rules.algorithms.push(Algorithm::PS256);
        }
        // The times are judged by the cloud's own clock, the audience by its own rules.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        jsonwebtoken::decode::<serde_json::Value>(assertion, key, &rules).map_err(|_| {
            Why::Assertion(
                "Client authentication with signed JWT failed: Signature on JWT token failed validation",
            )
        })?;
        self.check_claims(&claims, &id)?;
        let jti = claims["jti"].as_str().ok_or(Why::Assertion("Token jti claim is required"))?;
        if !state.assertions.insert(format!("{id} {jti}")) {
            self.watch.note(self.now, Rule::AssertionReplayed, format!("client {id}"));
            return Err(Why::Assertion("Token reuse detected"));
        }
        Ok((id, known))
    }

    fn check_claims(&self, claims: &serde_json::Value, id: &str) -> Result<(), Why> {
        if claims["iss"].as_str() != Some(id) {
            return Err(Why::Assertion("Issuer mismatch: iss is not the client"));
        }
        let audiences: Vec<&str> = match &claims["aud"] {
            serde_json::Value::String(one) => vec![one],
            serde_json::Value::Array(all) => all.iter().filter_map(serde_json::Value::as_str).collect(),
            _ => Vec::new(),
        };
        if audiences.len() > 1 && self.settings.style == ErrorStyle::Keycloak {
            return Err(Why::Assertion("Multiple audiences not allowed"));
        }
        let names_us = |audience: &str| match self.settings.assertion_audience {
            AssertionAudience::Issuer => audience == self.issuer,
            AssertionAudience::Lenient => audience == self.issuer || audience == self.token_url,
        };
        let one_string =
            claims["aud"].is_string() || self.settings.assertion_audience == AssertionAudience::Lenient;
        if !one_string || !audiences.iter().any(|audience| names_us(audience)) {
            return Err(Why::Assertion("Invalid token audience"));
        }
        let now = whole_seconds(self.now);
        let exp = claims["exp"].as_i64().ok_or(Why::Assertion("Token exp claim is required"))?;
        if exp + ASSERTION_SKEW_S < now
            || claims["nbf"].as_i64().is_some_and(|nbf| nbf - ASSERTION_SKEW_S > now)
        {
            return Err(Why::Assertion("Token is not active"));
        }
        match claims["iat"].as_i64() {
            Some(iat) if iat - ASSERTION_SKEW_S > now => {
                Err(Why::Assertion("Token was issued in the future"))
            }
            Some(iat) if iat + ASSERTION_AGE_S + ASSERTION_SKEW_S < now => {
                Err(Why::Assertion("Token was issued too far in the past to be used now"))
            }
            None if exp > now + ASSERTION_AGE_S + ASSERTION_SKEW_S => Err(Why::Assertion(
                "Token expiration is too far in the future and iat claim not present in token",
            )),
            _ => Ok(()),
        }
    }
}

/// The claims of a JWT, before anything is known about its signature.
fn unverified(jwt: &str) -> Option<serde_json::Value> {
    let mut parts = jwt.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    parts.next().is_none().then(|| serde_json::from_slice(&bytes).ok())?
}
