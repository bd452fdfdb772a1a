//! The authority that signs session tokens: real RS256 tokens with the claims seen in public samples.

use crate::error::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

pub(crate) const ISSUER: &str = "authService.oracle.com";

/// Modulus size of every key made here, in bits, as the official tool makes them.
pub(crate) const KEY_BITS: usize = 2048;

/// Signs and verifies tokens.
pub(crate) struct Issuer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: String,
}

/// The claims of one token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) iss: String,
    pub(crate) ptype: String,
    pub(crate) ttype: String,
    pub(crate) aud: String,
    pub(crate) tenant: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sess_exp: Option<serde_json::Value>,
    /// A JSON *string* holding the session's public key.
    pub(crate) jwk: String,
}

impl Issuer {
    /// The issuer of this process: one key for all clouds in it, since making one takes a fifth of a second.
    pub(crate) fn new() -> Result<Self, Error> {
        static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
        if KEY.get().is_none() {
            // Two clouds starting at once may both make a key; the first one stays.
            let _ = KEY.set(new_key()?);
        }
        let missing = || Error::new(ErrorKind::Key, "the issuer key was not kept");
        Self::with_key(KEY.get().ok_or_else(missing)?)
    }

    pub(crate) fn with_key(key: &RsaPrivateKey) -> Result<Self, Error> {
        let der = key
            .to_pkcs1_der()
            .map_err(|error| Error::new(ErrorKind::Key, format!("cannot encode the issuer key: {error}")))?;
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        Ok(Self {
            encoding: EncodingKey::from_rsa_der(der.as_bytes()),
            decoding: DecodingKey::from_rsa_raw_components(&n, &e),
            jwk: jwk_text(&key.to_public_key()),
        })
    }

    /// Signs a token.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some("asw_oc1_loopback".into());
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map_err(|error| Error::new(ErrorKind::Key, format!("cannot sign a token: {error}")))
    }

    /// Signs claims of any shape under the key of [`Issuer::public_jwk`].
    pub(crate) fn sign_as(&self, typ: &str, claims: &serde_json::Value) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some("loopback".into());
        header.typ = Some(typ.into());
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map_err(|error| Error::new(ErrorKind::Key, format!("cannot sign a token: {error}")))
    }

    /// The public key, as a key set shows it.
    pub(crate) fn public_jwk(&self) -> serde_json::Value {
        let mut key: serde_json::Value = serde_json::from_str(&self.jwk).unwrap_or_default();
        key["kid"] = "loopback".into();
        key["alg"] = "RS256".into();
        key["use"] = "sig".into();
        key
    }

    /// Verifies a token's form, signature and issuer. Its times are the caller's to judge, by the cloud's own clock.
    pub(crate) fn read(&self, token: &str) -> Result<Claims, String> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&["oci"]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules)
            .map(|data| data.claims)
            .map_err(|error| format!("the token is not one of ours: {error}"))
    }
}

/// A new RSA key of the official tool's size.
pub(crate) fn new_key() -> Result<RsaPrivateKey, Error> {
    RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS)
        .map_err(|error| Error::new(ErrorKind::Key, format!("cannot make an RSA key: {error}")))
}

/// A public key as the text of the `jwk` claim.
pub(crate) fn jwk_text(key: &RsaPublicKey) -> String {
    use base64::Engine as _;
    let url =
        |number: &BigUint| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    serde_json::json!({ "kty": "RSA", "kid": "Ignored", "n": url(key.n()), "e": url(key.e()) }).to_string()
}

/// The public key in a `jwk` claim.
pub(crate) fn jwk_key(text: &str) -> Option<RsaPublicKey> {
    use base64::Engine as _;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let part = |name: &str| {
        let bytes =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value.get(name)?.as_str()?).ok()?;
        Some(BigUint::from_bytes_be(&bytes))
    };
    RsaPublicKey::new(part("n")?, part("e")?).ok()
}
