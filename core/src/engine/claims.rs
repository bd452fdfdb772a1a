//! What a session token says about itself. Its signature is not checked: that is the service's business.
//!
//! Token files are written by other programs, not atomically: a reader may see nothing, a part, or a new key beside an
//! old token. So the shape is checked strictly, and a token that names its key is compared with the key at hand.
//! Source: `oci.md` sections 5.1 and 5.2.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::credential::{Credential, Grant};
use super::error::{Error, ErrorKind};
use super::secret::Secret;
use super::sign::SigningKey;
use super::time::UnixMillis;
use super::wire::oci::parse_rfc3339;

/// Longest token that is read, bytes. Real ones have 1 to 4 KiB; front ends cap request headers at 8 to 64 KiB.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// JWS asks for no padding; some writers add it.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The claims that matter for planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `exp`: every official client needs it, so a token without one is refused.
    pub expires_at: UnixMillis,
    /// `iat`
    pub issued_at: Option<UnixMillis>,
    /// `sess_exp`: an upper bound for refreshing, if the token tells one that can be read.
    pub session_ends_at: Option<UnixMillis>,
    /// `sub`
    pub subject: Option<String>,
    /// `tenant`
    pub tenant: Option<String>,
    /// `jwk`: modulus and exponent of the key that the token is bound to, big-endian.
    jwk: Option<(Vec<u8>, Vec<u8>)>,
}

impl Claims {
    /// Reads a compact JWT; spaces and line ends around it are ignored.
    ///
    /// Units: `exp` and `iat` in seconds since 1970, fractions allowed; `sess_exp` as such a number, as an HTTP date
    /// (`GMT` or `UTC`) or as an RFC 3339 date.
    /// Errors: `Config`, one line, never the token itself.
    pub fn parse(token: &str) -> Result<Claims, Error> {
        let token = token.trim();
        if token.is_empty() {
            return Err(problem("is empty; it may be about to be written"));
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(problem("is longer than 64 KiB"));
        }
        if token.starts_with("-----BEGIN ") {
            return Err(problem("is a PEM text; security_token_file and key_file seem to be swapped"));
        }
        let token = token.strip_prefix("ST$").unwrap_or(token);
        let segments: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = segments.as_slice() else {
            return Err(problem(format!(
                "has {} of the three dot-separated segments; it may be written just now",
                segments.len()
            )));
        };
        object(header)
            .ok_or_else(|| problem("has a first segment that is not base64url of a JSON object"))?;
        let claims = object(payload)
            .ok_or_else(|| problem("has a second segment that is not base64url of a JSON object"))?;
        if signature.is_empty() {
            return Err(problem("has no signature; it may be written just now"));
        }
        BASE64URL.decode(signature).map_err(|_| problem("has a signature that is not base64url"))?;
        let expires_at = claims.get("exp").and_then(seconds);
        let text = |name| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Claims {
            expires_at: expires_at
                .ok_or_else(|| problem("does not say when it ends (no numeric \"exp\")"))?,
            issued_at: claims.get("iat").and_then(seconds),
            session_ends_at: claims.get("sess_exp").and_then(moment),
            subject: text("sub"),
            tenant: text("tenant"),
            jwk: claims.get("jwk").and_then(public_numbers),
        })
    }

    /// Whether the token is bound to `key`; `None` when it does not name its key.
    pub fn belongs_to(&self, key: &SigningKey) -> Option<bool> {
        self.jwk.as_ref().map(|(modulus, exponent)| key.has_public_numbers(modulus, exponent))
    }
}

/// Makes a grant of the text of a token file and the session's key.
///
/// The horizon is `sess_exp`, but never before the token's own end.
/// Errors: `Config`: the text is no token, or the token belongs to another key (yet: the key is written first).
pub fn session_grant(token_text: &str, key: Arc<SigningKey>) -> Result<Grant, Error> {
    let claims = Claims::parse(token_text)?;
    if claims.belongs_to(&key) == Some(false) {
        return Err(problem(
            "does not belong to this key (yet); a sign-in may be under way, else sign in again",
        ));
    }
    let token = token_text.trim();
    let token = token.strip_prefix("ST$").unwrap_or(token);
    Ok(Grant {
        issued_at: claims.issued_at,
        expires_at: Some(claims.expires_at),
        horizon: claims.session_ends_at.map(|end| end.max(claims.expires_at)),
        ..Grant::new(Credential::OciSession { token: Secret::new(token.to_owned()), key })
    })
}

fn problem(text: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Config, format!("the session token {}", text.as_ref()))
}

fn object(segment: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64URL.decode(segment).ok()?).ok()
}

/// A JWT NumericDate (RFC 7519 section 2): seconds, possibly with a fraction. After 1970, before 10000.
fn seconds(value: &Value) -> Option<UnixMillis> {
    const END_OF_TIME: f64 = 253_402_300_800.0;
    if let Some(whole) = value.as_i64() {
        return (0..253_402_300_800).contains(&whole).then(|| UnixMillis::from_secs(whole));
    }
    let fraction = value.as_f64().filter(|secs| (0.0..END_OF_TIME).contains(secs))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked, and a fraction of a millisecond may go"
    )]
    Some(UnixMillis((fraction * 1000.0).floor() as i64))
}

/// A moment in any of the spellings that issuers have used.
fn moment(value: &Value) -> Option<UnixMillis> {
    let Some(text) = value.as_str().map(str::trim) else { return seconds(value) };
    if let Ok(number) = serde_json::from_str::<Value>(text) {
        return seconds(&number);
    }
    let http = text.strip_suffix("UTC").map(|date| format!("{date}GMT"));
    UnixMillis::from_http_date(http.as_deref().unwrap_or(text)).or_else(|| parse_rfc3339(text))
}

/// A JWK, as an object or as text that holds one. One that cannot be read is no reason to refuse the token.
fn public_numbers(jwk: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let parsed;
    let jwk = match jwk.as_str() {
        Some(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        None => jwk,
    };
    let number =
        |name: &str| BASE64URL.decode(jwk.get(name)?.as_str()?).ok().filter(|bytes| !bytes.is_empty());
    Some((number("n")?, number("e")?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sign::vectors;
    use super::*;

    fn segment(value: &Value) -> String {
        BASE64URL.encode(value.to_string()).trim_end_matches('=').to_owned()
    }

    fn token(claims: &Value) -> String {
        format!("{}.{}.c2lnbmF0dXJl", segment(&json!({"alg": "RS256", "kid": "k"})), segment(claims))
    }

    fn key() -> Arc<SigningKey> {
        let vectors = vectors::read();
        let pem = vectors["test_key"]["private_key_pkcs8_pem"].as_str().unwrap();
        Arc::new(SigningKey::from_pem(pem.as_bytes(), None).unwrap())
    }

    /// The vectors' key as the service writes it into tokens.
    fn jwk() -> Value {
        let vectors = vectors::read();
        let pem = vectors["test_key"]["public_key_pem"].as_str().unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(base64).unwrap();
        // SPKI of a 2048-bit key: 33 bytes before the modulus, exponent 65537 in the last three.
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes).trim_end_matches('=').to_owned();
        json!({"kty": "RSA", "kid": "Ignored", "n": encode(&der[33..289]), "e": encode(&der[der.len() - 3..])})
    }

    #[test]
    fn reads_the_token_of_the_vectors() {
        let vectors = vectors::read();
        let claims = Claims::parse(vectors["session_token"].as_str().unwrap()).unwrap();
        assert_eq!(claims.issued_at, Some(UnixMillis::from_secs(1_772_364_000)));
        assert_eq!(claims.expires_at, UnixMillis::from_secs(1_772_367_600));
        assert_eq!(claims.subject.as_deref(), Some("ocid1.user.oc1..aaaaaaaatestvectoruser"));
        assert_eq!(claims.tenant.as_deref(), Some("ocid1.tenancy.oc1..aaaaaaaatestvectortenancy"));
        assert_eq!(claims.belongs_to(&key()), None);
    }

    #[test]
    fn ends_are_read_in_every_spelling() {
        let end = UnixMillis::from_secs(1_762_622_395);
        for sess_exp in [
            json!("Sat, 08 Nov 2025 17:19:55 UTC"),
            json!("Sat, 08 Nov 2025 17:19:55 GMT"),
            json!("2025-11-08T17:19:55Z"),
            json!(1_762_622_395),
            json!(1_762_622_395.0),
            json!("1762622395"),
            json!(" 1762622395 "),
        ] {
            let claims = Claims::parse(&token(&json!({"exp": 1, "sess_exp": sess_exp}))).unwrap();
            assert_eq!(claims.session_ends_at, Some(end), "{sess_exp}");
        }
        for sess_exp in [
            json!(null),
            json!("soon"),
            json!(-5),
            json!({}),
            json!([1]),
            json!(true),
            json!(1e300),
            json!(""),
        ] {
            let claims = Claims::parse(&token(&json!({"exp": 1, "sess_exp": sess_exp}))).unwrap();
            assert_eq!(claims.session_ends_at, None, "{sess_exp}");
        }
        for (exp, millis) in [(json!(0), 0), (json!(10.25), 10_250), (json!(1e3), 1_000_000)] {
            assert_eq!(Claims::parse(&token(&json!({"exp": exp}))).unwrap().expires_at, UnixMillis(millis));
        }
        let odd = Claims::parse(&token(&json!({"exp": 5, "iat": "x", "sub": 7, "tenant": null, "jwk": "{"})))
            .unwrap();
        assert_eq!((odd.issued_at, odd.subject, odd.tenant, odd.jwk), (None, None, None, None));
    }

    #[test]
    fn unusable_tokens_get_one_clear_line() {
        let good = token(&json!({"exp": 1_762_622_395}));
        let (head, rest) = good.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        let huge = "x".repeat(MAX_TOKEN_BYTES + 1);
        let array = segment(&json!([1]));
        let deep = BASE64URL.encode("[".repeat(5000));
        let not_json = "bm90IGpzb24";
        let no_exp = |exp: Value| token(&json!({ "exp": exp }));
        let cases = [
            (String::new(), "is empty; it may be about to be written"),
            (" \r\n".into(), "is empty; it may be about to be written"),
            (huge, "is longer than 64 KiB"),
            (
                "-----BEGIN PRIVATE KEY-----".into(),
                "is a PEM text; security_token_file and key_file seem to be swapped",
            ),
            ("hello".into(), "has 1 of the three dot-separated segments; it may be written just now"),
            (
                format!("{head}.{payload}"),
                "has 2 of the three dot-separated segments; it may be written just now",
            ),
            (format!("{good}.x.y"), "has 5 of the three dot-separated segments; it may be written just now"),
            (format!("{head}.{payload}."), "has no signature; it may be written just now"),
            (format!("{head}.{payload}.%%%"), "has a signature that is not base64url"),
            (format!(".{payload}.{signature}"), "has a first segment that is not base64url of a JSON object"),
            (
                format!("{array}.{payload}.{signature}"),
                "has a first segment that is not base64url of a JSON object",
            ),
            (format!("{head}..{signature}"), "has a second segment that is not base64url of a JSON object"),
            (format!("{head}.é.{signature}"), "has a second segment that is not base64url of a JSON object"),
            (
                format!("{head}.a b.{signature}"),
                "has a second segment that is not base64url of a JSON object",
            ),
            (
                format!("{head}.{not_json}.{signature}"),
                "has a second segment that is not base64url of a JSON object",
            ),
            (
                format!("{head}.{deep}.{signature}"),
                "has a second segment that is not base64url of a JSON object",
            ),
            (token(&json!({})), "does not say when it ends (no numeric \"exp\")"),
            (no_exp(json!("1762622395")), "does not say when it ends (no numeric \"exp\")"),
            (no_exp(json!(-1)), "does not say when it ends (no numeric \"exp\")"),
            (no_exp(json!(1e20)), "does not say when it ends (no numeric \"exp\")"),
            (no_exp(json!(u64::MAX)), "does not say when it ends (no numeric \"exp\")"),
            (no_exp(json!(null)), "does not say when it ends (no numeric \"exp\")"),
        ];
        for (text, expected) in cases {
            let error = Claims::parse(&text).unwrap_err();
            assert_eq!(error.to_string(), format!("the session token {expected}"));
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn every_prefix_of_a_token_is_refused_or_complete() {
        // A reader may see any prefix of a file that is being written. Only the signature can be cut unnoticed.
        let whole = token(&json!({"exp": 1_762_622_395, "sub": "ü"}));
        let before_signature = whole.rfind('.').unwrap() + 1;
        for cut in 0..=before_signature {
            Claims::parse(&whole[..cut]).unwrap_err();
        }
    }

    #[test]
    fn grants_trim_the_text_and_keep_the_horizon_after_the_end() {
        let grant = |claims: &Value| session_grant(&format!("\n{}\r\n", token(claims)), key()).unwrap();
        let plain = grant(&json!({"exp": 100, "iat": 40}));
        assert_eq!(
            (plain.expires_at, plain.issued_at, plain.horizon),
            (Some(UnixMillis::from_secs(100)), Some(UnixMillis::from_secs(40)), None)
        );
        let key_id = plain.credential.signer().unwrap().key_id;
        assert!(key_id.expose().starts_with("ST$eyJ") && key_id.expose().ends_with("c2lnbmF0dXJl"));
        assert!(!format!("{plain:?}").contains("eyJ"));
        assert_eq!(grant(&json!({"exp": 100, "sess_exp": 500})).horizon, Some(UnixMillis::from_secs(500)));
        assert_eq!(grant(&json!({"exp": 100, "sess_exp": 5})).horizon, Some(UnixMillis::from_secs(100)));
        let prefixed = session_grant(&format!("ST${}", token(&json!({"exp": 100}))), key()).unwrap();
        assert_eq!(
            prefixed.credential.signer().unwrap().key_id.expose(),
            &format!("ST${}", token(&json!({"exp": 100})))
        );
    }

    #[test]
    fn a_token_of_another_key_is_refused() {
        let ours = jwk();
        for jwk in [ours.clone(), json!(ours.to_string())] {
            session_grant(&token(&json!({"exp": 100, "jwk": jwk})), key()).unwrap();
        }
        let mut other = ours.clone();
        other["e"] = json!("Aw");
        let mut truncated = ours.clone();
        truncated["n"] = json!("AQAB");
        for jwk in [other, truncated] {
            let error =
                session_grant(&token(&json!({"exp": 100, "jwk": jwk.to_string()})), key()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the session token does not belong to this key (yet); a sign-in may be under way, else sign in again"
            );
        }
        for unreadable in
            [json!("{"), json!(7), json!({"n": "%", "e": "AQAB"}), json!({"n": "AQAB"}), json!("null")]
        {
            session_grant(&token(&json!({"exp": 100, "jwk": unreadable})), key()).unwrap();
        }
    }
}
