//! How a client proves to the token endpoint who it is: by exactly one means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::form::{Form, encode};
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;

/// Lifetime of an assertion. Keycloak refuses what was issued more than 60 s ago.
const ASSERTION_SECS: i64 = 60;

/// A client and the proof that goes with one request.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    /// `client_id`
    pub id: &'a str,
    /// The proof.
    pub proof: Proof<'a>,
}

/// The means of proof.
#[derive(Clone, Debug)]
pub enum Proof<'a> {
    /// A public client: only its id goes into the body.
    None,
    /// `client_secret_basic`: a header.
    Basic(&'a Secret<String>),
    /// `client_secret_post`: in the body.
    Post(&'a Secret<String>),
    /// `private_key_jwt`: a signed assertion, single use: every attempt needs a new one.
    Assertion(Secret<String>),
}

impl Client<'_> {
    /// Adds the proof to a form and gives the header that goes with it, if any.
    pub(super) fn prove(&self, form: Form) -> (Form, Option<(&'static str, Secret<String>)>) {
        match &self.proof {
            Proof::None => (form.with("client_id", self.id), None),
            Proof::Basic(secret) => {
                // Both are form-encoded before base64 (RFC 6749 section 2.3.1): a secret with `%`, `+` or `:` needs it.
                let pair = Secret::new(format!("{}:{}", *encode(self.id), *encode(secret.expose())));
                let header = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
                (form, Some(("authorization", header)))
            }
            Proof::Post(secret) => {
                (form.with("client_id", self.id).with("client_secret", secret.expose()), None)
            }
            Proof::Assertion(jwt) => {
                let form = form
                    .with("client_id", self.id)
                    .with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .with("client_assertion", jwt.expose());
                (form, None)
            }
        }
    }
}

/// The claims of an assertion (RFC 7523 section 3): one audience, one minute, used once.
///
/// `now` is the server's time as far as known; `id` must never have been used before.
pub fn assertion_claims(client_id: &str, audience: &str, now: UnixMillis, id: &str) -> Value {
    let now = now.0.div_euclid(1000);
    json!({
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + ASSERTION_SECS,
        "jti": id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(proof: Proof<'_>) -> (String, Option<String>) {
        let (form, header) = Client { id: "the client", proof }.prove(Form::new().with("grant_type", "x"));
        (form.as_str().to_owned(), header.map(|(_, value)| value.expose().clone()))
    }

    #[test]
    fn each_proof_is_one_mechanism() {
        let secret = Secret::new("p%+:\u{20ac} ".to_owned());
        assert_eq!(sent(Proof::None), ("grant_type=x&client_id=the+client".into(), None));
        let (form, header) = sent(Proof::Basic(&secret));
        let header = header.unwrap();
        let pair = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(form, "grant_type=x");
        assert_eq!(String::from_utf8(pair).unwrap(), "the+client:p%25%2B%3A%E2%82%AC+");
        let (form, header) = sent(Proof::Post(&secret));
        assert_eq!(form, "grant_type=x&client_id=the+client&client_secret=p%25%2B%3A%E2%82%AC+");
        assert_eq!(header, None);
        let (form, header) = sent(Proof::Assertion(Secret::new("a.b.c".into())));
        assert!(
            form.ends_with(
                "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                 &client_assertion=a.b.c"
            ),
            "{form}"
        );
        assert_eq!(header, None);
    }

    #[test]
    fn assertions_live_a_minute() {
        let claims = assertion_claims("c", "https://as", UnixMillis(1_700_000_000_999), "j1");
        assert_eq!(
            claims,
            json!({"iss": "c", "sub": "c", "aud": "https://as", "iat": 1_700_000_000, "exp": 1_700_000_060, "jti": "j1"})
        );
    }
}
