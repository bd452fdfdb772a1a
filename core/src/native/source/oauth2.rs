//! A client of an authorization server: where its endpoints are, how it proves who it is, what it makes of answers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::rand_core::{OsRng, RngCore};

use crate::engine::chain::Chain;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::{Bearer, Credential, Grant};
use crate::engine::error::{Error, ErrorKind, Retry};
use crate::engine::provider::{Audience, Provider, no_answer};
use crate::engine::secret::Secret;
use crate::engine::sessions_file::{ClientAuthDef, GrantDef, OAuth2Def};
use crate::engine::time::UnixMillis;
use crate::engine::wire::oauth2::client::assertion_claims;
use crate::engine::wire::oauth2::discovery::{self, Expectation};
use crate::engine::wire::oauth2::reply::claimed_start;
use crate::engine::wire::oauth2::{Ask, Client, Endpoints, Proof, Scope, TokenReply, reply, request};
use crate::native::clock;
use crate::native::secrets;
use crate::native::web::Post;

/// A client of an authorization server.
#[derive(Debug)]
pub struct OAuth2 {
    pub(in crate::native) def: OAuth2Def,
    pub(in crate::native) provider: Provider,
    /// What a person does to sign in.
    pub(in crate::native) remedy: String,
    allow_http: bool,
    found: Mutex<Option<Endpoints>>,
}

/// What proves the client, as long as one request takes.
enum Material {
    None,
    Basic(Secret<String>),
    Post(Secret<String>),
    Assertion(Secret<String>),
}

impl OAuth2 {
    /// A client; nothing is sent or read yet.
    pub fn new(def: OAuth2Def, provider: Provider, remedy: String, allow_http: bool) -> OAuth2 {
        OAuth2 { def, provider, remedy, allow_http, found: Mutex::new(None) }
    }

    /// Whether credentials come without a person.
    pub fn mints(&self) -> bool {
        !matches!(self.def.grant, GrantDef::SignIn { .. })
    }

    /// Where the endpoints are: what the session names, else the discovery document's, else the provider's paths.
    pub fn endpoints(&self, post: &impl Post) -> Result<Endpoints, ExchangeFailure> {
        if let Some(known) = &*self.found.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(known.clone());
        }
        let named = |found: Endpoints| Endpoints {
            token: self.def.token_endpoint.clone().unwrap_or(found.token),
            authorization: self.def.authorization_endpoint.clone().or(found.authorization),
            device: self.def.device_endpoint.clone().or(found.device),
            revocation: self.def.revocation_endpoint.clone().or(found.revocation),
            ..found
        };
        let found = match &self.def.issuer {
            Some(issuer) if self.provider.discovers && self.def.token_endpoint.is_none() => {
                self.discover(issuer, post)?
            }
            Some(issuer) => {
                let paths = &self.provider.paths;
                let at = |path: &str| (!path.is_empty()).then(|| format!("{issuer}{path}"));
                Endpoints {
                    issuer: issuer.clone(),
                    token: at(&paths.token).unwrap_or_default(),
                    authorization: at(&paths.authorization),
                    device: at(&paths.device),
                    revocation: at(&paths.revocation),
                    names_issuer: false,
                }
            }
            None => Endpoints::default(),
        };
        let endpoints = named(found);
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoints.clone());
        Ok(endpoints)
    }

    fn discover(&self, issuer: &str, post: &impl Post) -> Result<Endpoints, ExchangeFailure> {
        let alias = &self.provider.issuer_alias;
        let expected = Expectation {
            issuer,
            alias: (!alias.is_empty()).then_some(alias),
            relative: self.provider.relative_endpoints,
            allow_http: self.allow_http,
        };
        let mut last = None;
        for address in discovery::addresses(issuer) {
            let request = discovery::request(&address);
            let attempt = request.attempt;
            let answer = post.post(request, |outcome| match outcome {
                // Nothing that could be used up has been sent.
                Err(failure) => {
                    Err(ExchangeFailure { class: ExchangeClass::NotSent, ..no_answer(failure, attempt) })
                }
                Ok(reply) if matches!(reply.status, 429 | 500..=599) => {
                    let status = reply.status;
                    let message = format!("{attempt}: {issuer} cannot answer just now (HTTP {status})");
                    let error = Error::new(ErrorKind::Service, message).with_retry(Retry::Later(None));
                    Err(ExchangeFailure { class: ExchangeClass::Transient, error, retry_after: None })
                }
                Ok(reply) => discovery::parse(reply, expected).map_err(misconfigured),
            });
            match answer {
                Ok(endpoints) => return Ok(endpoints),
                Err(failure) if failure.class == ExchangeClass::Misconfigured => {
                    // The first address' words: it is the usual one.
                    last.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.expect("there are two addresses"))
    }

    fn material(&self, endpoints: &Endpoints, skew_ms: i64) -> Result<Material, ExchangeFailure> {
        Ok(match &self.def.client_auth {
            ClientAuthDef::None => Material::None,
            ClientAuthDef::Basic(secret) => {
                Material::Basic(secrets::resolve(secret, "client_secret").map_err(misconfigured)?)
            }
            ClientAuthDef::Post(secret) => {
                Material::Post(secrets::resolve(secret, "client_secret").map_err(misconfigured)?)
            }
            ClientAuthDef::PrivateKeyJwt { key, algorithm, key_id, audience } => {
                let key = secrets::resolve(key, "client_key").map_err(misconfigured)?;
                let audience = match (audience.as_deref(), self.provider.assertion_audience) {
                    (Some("issuer"), _) | (None, Audience::Issuer) if !endpoints.issuer.is_empty() => {
                        &endpoints.issuer
                    }
                    (Some("issuer" | "token_endpoint") | None, _) => &endpoints.token,
                    (Some(other), _) => other,
                };
                let mut id = [0; 16];
                OsRng.fill_bytes(&mut id);
                // Used once: every attempt makes its own.
                let id = URL_SAFE_NO_PAD.encode(id);
                let now = clock::wall().offset(skew_ms);
                let claims = assertion_claims(&self.def.client_id, audience, now, &id);
                Material::Assertion(
                    sign_assertion(&key, algorithm, key_id.as_deref(), &claims).map_err(misconfigured)?,
                )
            }
        })
    }

    /// A scope, for sign-in and tokens alike.
    pub(in crate::native) fn scope(&self) -> Scope<'_> {
        Scope {
            scope: &self.def.scope,
            resources: &self.def.resources,
            audience: self.def.audience.as_deref(),
        }
    }

    /// Asks the token endpoint once.
    ///
    /// Gives the answer and how long it took.
    pub(in crate::native) fn ask(
        &self,
        ask: &Ask<'_>,
        post: &impl Post,
    ) -> Result<(TokenReply, Duration), ExchangeFailure> {
        let endpoints = self.endpoints(post)?;
        let scope = match ask {
            // The same as before: a server may refuse what it calls something else.
            Ask::Refresh { .. } | Ask::Code { .. } | Ask::Device { .. } => Scope::default(),
            _ => self.scope(),
        };
        self.send(&endpoints, post, |client| request::token(&endpoints.token, client, ask, scope))
    }

    fn send(
        &self,
        endpoints: &Endpoints,
        post: &impl Post,
        make: impl FnOnce(&Client<'_>) -> crate::engine::wire::WebRequest,
    ) -> Result<(TokenReply, Duration), ExchangeFailure> {
        let request = self.with_client(endpoints, post, make)?;
        let attempt = request.attempt;
        let begun = Instant::now();
        post.post(request, |outcome| match outcome {
            Ok(answer) => reply::token(answer)
                .map(|token| (token, begun.elapsed()))
                .map_err(|rejection| self.provider.failure(&rejection, attempt, &self.remedy)),
            Err(failure) => Err(no_answer(failure, attempt)),
        })
    }

    /// A request with the client's proof in it.
    pub(in crate::native) fn with_client<T>(
        &self,
        endpoints: &Endpoints,
        post: &impl Post,
        make: impl FnOnce(&Client<'_>) -> T,
    ) -> Result<T, ExchangeFailure> {
        let material = self.material(endpoints, post.skew_ms())?;
        let proof = match &material {
            Material::None => Proof::None,
            Material::Basic(secret) => Proof::Basic(secret),
            Material::Post(secret) => Proof::Post(secret),
            Material::Assertion(jwt) => Proof::Assertion(jwt.clone()),
        };
        Ok(make(&Client { id: &self.def.client_id, proof }))
    }

    /// The next credential.
    pub(in crate::native) fn renew(
        &self,
        held: Option<&Grant>,
        post: &impl Post,
    ) -> Result<Grant, ExchangeFailure> {
        let chain = held.and_then(|held| held.chain.as_deref());
        if let (Some(chain), false) = (chain, matches!(self.def.grant, GrantDef::ClientCredentials)) {
            let (reply, took) = self.ask(&Ask::Refresh { refresh_token: &chain.refresh }, post)?;
            return self.grant(reply, Some(chain), took);
        }
        match &self.def.grant {
            GrantDef::SignIn { .. } => Err(ExchangeFailure {
                class: ExchangeClass::Refused,
                error: Error::new(
                    ErrorKind::SignInNeeded,
                    format!(
                        "the sign-in came without a refresh token (does scope need offline_access?); {}",
                        self.remedy
                    ),
                ),
                retry_after: None,
            }),
            GrantDef::ClientCredentials => {
                let (mut reply, took) = self.ask(&Ask::ClientCredentials, post)?;
                // Renewing is asking again; what some servers add must not make a chain.
                reply.refresh_token = None;
                self.grant(reply, None, took)
            }
            GrantDef::TokenExchange { subject, subject_type, requested_type, actor } => {
                let subject = secrets::resolve(subject, "subject_token").map_err(misconfigured)?;
                let actor = actor
                    .as_ref()
                    .map(|(actor, kind)| Ok((secrets::resolve(actor, "actor_token")?, kind)))
                    .transpose()
                    .map_err(misconfigured)?;
                let ask = Ask::Exchange {
                    subject: &subject,
                    subject_type,
                    requested_type: requested_type.as_deref(),
                    actor: actor.as_ref().map(|(actor, kind)| (actor, kind.as_str())),
                };
                let (reply, took) = self.ask(&ask, post)?;
                self.grant(reply, None, took)
            }
        }
    }

    /// The grant that an answer makes. `took`: the round trip.
    pub(in crate::native) fn grant(
        &self,
        reply: TokenReply,
        before: Option<&Chain>,
        took: Duration,
    ) -> Result<Grant, ExchangeFailure> {
        if reply.token_type.eq_ignore_ascii_case("dpop") {
            return Err(misconfigured(Error::new(
                ErrorKind::Config,
                "the identity provider binds tokens to a key (DPoP), which is not supported; switch it off for this client",
            )));
        }
        let word = if reply.token_type == "N_A" { "Bearer" } else { &reply.token_type };
        let claimed = (reply.claimed_end, claimed_start(reply.access_token.expose()));
        let bearer = Bearer::new(reply.access_token, word).map_err(|error| ExchangeFailure {
            class: ExchangeClass::Ambiguous,
            error,
            retry_after: None,
        })?;
        let told = reply.expires_in.map(|life| life.saturating_sub(took / 2));
        let lives_for = match (told, claimed.0) {
            (None, None) => Some(self.provider.default_life),
            (told, _) => told,
        };
        let chain = match (before, reply.refresh_token) {
            (Some(before), refresh) => Some(before.next(refresh, reply.refresh_expires_in)),
            (None, Some(refresh)) => Some(Chain::first(refresh, reply.refresh_expires_in)),
            (None, None) => None,
        };
        Ok(Grant {
            lives_for,
            expires_at: claimed.0.map(UnixMillis::from_secs),
            issued_at: claimed.1.filter(|_| told.is_none()).map(UnixMillis::from_secs),
            chain: chain.map(Box::new),
            ..Grant::new(Credential::Bearer(bearer))
        })
    }

    /// Revokes a refresh token, or an access token where there is none. `Ok(false)`: the server has no such endpoint.
    ///
    /// Errors: why it is not revoked.
    pub fn revoke(&self, token: &Secret<String>, hint: &str, post: &impl Post) -> Result<bool, Error> {
        let endpoints = self.endpoints(post).map_err(|failure| failure.error)?;
        let Some(url) = &endpoints.revocation else { return Ok(false) };
        let request = self
            .with_client(&endpoints, post, |client| request::revoke(url, client, token, hint))
            .map_err(|failure| failure.error)?;
        let attempt = request.attempt;
        post.post(request, |outcome| match outcome {
            Ok(answer) => reply::nothing(answer)
                .map_err(|rejection| self.provider.failure(&rejection, attempt, &self.remedy).error),
            Err(failure) => Err(failure.error.clone().during(attempt)),
        })?;
        Ok(true)
    }
}

pub(in crate::native) fn misconfigured(error: Error) -> ExchangeFailure {
    ExchangeFailure { class: ExchangeClass::Misconfigured, error, retry_after: None }
}

fn sign_assertion(
    pem: &Secret<String>,
    algorithm: &str,
    key_id: Option<&str>,
    claims: &serde_json::Value,
) -> Result<Secret<String>, Error> {
    let config = |message: String| Error::new(ErrorKind::Config, message);
    let algorithm: Algorithm = algorithm
        .parse()
        .map_err(|_| config(format!("client_key_algorithm {algorithm} is not supported")))?;
    let pem = pem.expose().as_bytes();
    let key = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem),
        _ => EncodingKey::from_rsa_pem(pem),
    };
    let key = key.map_err(|_| {
        config(format!(
            "client_key is no private key in PEM form that {algorithm:?} can use (PKCS#8, not encrypted)"
        ))
    })?;
    let header = Header { kid: key_id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &key)
        .map(Secret::new)
        .map_err(|_| config(format!("client_key cannot sign with {algorithm:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sign::SigningKey;

    #[test]
    fn assertions_are_signed_and_each_is_new() {
        let key = SigningKey::generate(&mut OsRng).expect("a key");
        let pem = Secret::new(key.to_pkcs8_pem().expose().clone());
        let claims = assertion_claims("c", "https://as", UnixMillis(1_700_000_000_000), "j");
        let jwt = sign_assertion(&pem, "RS256", Some("kid-1"), &claims).expect("a good key");
        let header = jsonwebtoken::decode_header(jwt.expose()).expect("a JWT");
        assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::RS256, Some("kid-1")));
        for (pem, algorithm) in
            [(pem.clone(), "ES256"), (Secret::new("hunter2".into()), "RS256"), (pem, "HS256x")]
        {
            let error = sign_assertion(&pem, algorithm, None, &claims).expect_err(algorithm);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
