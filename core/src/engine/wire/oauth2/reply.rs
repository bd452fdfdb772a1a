//! What a token endpoint answers, read as leniently as servers differ and no more.
//!
//! | answer                                                | read as                                            |
//! |-------------------------------------------------------|----------------------------------------------------|
//! | JSON with `access_token` and without `error`, 2xx     | a token                                            |
//! | JSON or form with `error`, whatever the status        | that error: some servers say 200                   |
//! | 2xx that is neither (HTML of a portal, a cut body)    | unreadable: the server may have acted              |
//! | any other status without a readable `error`           | that status                                        |
//!
//! Source: RFC 6749 sections 5.1 and 5.2; `oauth2.md` section 1.

use std::time::Duration;

use serde::Deserialize;

use super::form;
use super::text::Text;
use crate::engine::claims::MAX_TOKEN_BYTES;
use crate::engine::error::HttpFacts;
use crate::engine::secret::Secret;
use crate::engine::wire::Reply;
use crate::engine::wire::oci::{harmless, retry_after};

/// Longest answer that is read, bytes; drivers cut there.
const MAX_ANSWER: usize = 1 << 20;
/// Longest words of a server that are passed on, characters.
const MAX_WORDS: usize = 300;
/// Longest error code, characters.
const MAX_CODE: usize = 64;

/// A token, and what came with it.
#[derive(Clone, Debug)]
pub struct TokenReply {
    /// The access token: visible ASCII, at most 64 KiB.
    pub access_token: Secret<String>,
    /// `token_type` as sent, for example `Bearer`.
    pub token_type: String,
    /// `expires_in`; `None` when missing, unreadable, zero or negative.
    pub expires_in: Option<Duration>,
    /// The refresh token that replaces the one before. `None` means: keep that one.
    pub refresh_token: Option<Secret<String>>,
    /// How long the refresh token lives, if the server says so.
    pub refresh_expires_in: Option<Duration>,
    /// `scope`, told when it differs from what was asked for.
    pub scope: Option<String>,
    /// `issued_token_type` of a token exchange.
    pub issued_token_type: Option<String>,
    /// Whether the access token says itself when it ends: seconds since 1970.
    pub claimed_end: Option<i64>,
}

/// An answer that gives no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// `error`
    pub error: Option<String>,
    /// `error_description`, or a `hint` or `message` where a server has one: for people and for rules, cut and harmless.
    pub words: Option<String>,
    /// `Retry-After`
    pub retry_after: Option<Duration>,
    /// Why a success could not be read.
    pub unreadable: Option<&'static str>,
    /// The server wants a DPoP proof with this nonce.
    pub dpop_nonce: bool,
}

impl Rejection {
    /// What may be shown of it.
    pub fn facts(&self) -> HttpFacts {
        HttpFacts {
            status: self.status,
            code: self.error.clone(),
            message: self.words.clone(),
            retry_after: self.retry_after,
            ..HttpFacts::default()
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    access_token: Text,
    token_type: Text,
    expires_in: Text,
    refresh_token: Text,
    /// Keycloak
    refresh_expires_in: Text,
    /// Several other vendors
    refresh_token_expires_in: Text,
    scope: Text,
    issued_token_type: Text,
    error: Text,
    error_description: Text,
    /// Fosite
    error_hint: Text,
    hint: Text,
    message: Text,
}

/// Reads an answer of the token endpoint.
pub fn token(reply: &Reply) -> Result<TokenReply, Rejection> {
    let success = (200..300).contains(&reply.status);
    let Some(body) = json(&reply.body) else {
        return Err(without_json(reply));
    };
    if body.error.get().is_some() || !success {
        return Err(rejection(reply, &body));
    }
    let unreadable = |why| Rejection { unreadable: Some(why), ..rejection(reply, &body) };
    let access_token = body.access_token.get().ok_or_else(|| unreadable("the answer holds no token"))?;
    if !is_token(access_token) {
        return Err(unreadable("the answer holds a token that no header can carry"));
    }
    let refresh_token = body.refresh_token.get().map(str::to_owned).map(Secret::new);
    if refresh_token.as_ref().is_some_and(|token| !is_token(token.expose())) {
        return Err(unreadable("the answer holds a refresh token that cannot be one"));
    }
    Ok(TokenReply {
        access_token: Secret::new(access_token.to_owned()),
        // Required, but some servers forget it, and there is one usual answer.
        token_type: body
            .token_type
            .get()
            .map_or_else(|| "Bearer".to_owned(), |text| harmless(text, MAX_CODE)),
        expires_in: body.expires_in.seconds(),
        refresh_token,
        refresh_expires_in: body.refresh_expires_in.seconds().or(body.refresh_token_expires_in.seconds()),
        scope: body.scope.get().map(|scope| harmless(scope, 2000)),
        issued_token_type: body.issued_token_type.get().map(|kind| harmless(kind, 200)),
        claimed_end: claimed_end(access_token),
    })
}

/// Reads an answer that carries nothing but success or failure (revocation, logout).
pub fn nothing(reply: &Reply) -> Result<(), Rejection> {
    if (200..300).contains(&reply.status) && json(&reply.body).is_none_or(|body| body.error.get().is_none()) {
        return Ok(());
    }
    Err(failure(reply))
}

/// An answer that is known to be a failure.
pub fn failure(reply: &Reply) -> Rejection {
    json(&reply.body).map_or_else(|| without_json(reply), |body| rejection(reply, &body))
}

/// A JSON object that is not too long. The words of a parser are not passed on: they might repeat a token.
fn json(body: &[u8]) -> Option<Body> {
    let text = body.trim_ascii();
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text).trim_ascii_start();
    if text.len() >= MAX_ANSWER || !text.starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(text).ok()
}

fn rejection(reply: &Reply, body: &Body) -> Rejection {
    let words = [&body.error_description, &body.error_hint, &body.hint, &body.message];
    let mut told: Vec<&str> = words.into_iter().filter_map(Text::get).collect();
    told.dedup();
    let error = body.error.get().map(|code| harmless(code, MAX_CODE));
    Rejection {
        status: reply.status,
        dpop_nonce: error.as_deref() == Some("use_dpop_nonce"),
        error,
        words: (!told.is_empty()).then(|| harmless(&told.join(" "), MAX_WORDS)),
        retry_after: retry_after(reply),
        unreadable: None,
    }
}

fn without_json(reply: &Reply) -> Rejection {
    let kind = reply.header("content-type").unwrap_or_default();
    let text = std::str::from_utf8(&reply.body).unwrap_or_default().trim();
    let is_form = text.len() < 64 << 10 && !text.starts_with('<') && !text.starts_with('{');
    let error = if is_form { form::find(text, "error") } else { None };
    let words = match &error {
        Some(_) => form::find(text, "error_description"),
        None if text.is_empty() => None,
        // Plain words are passed on (FOLIO, Kong); a page is not.
        None if kind.starts_with("text/plain") => Some(text.chars().take(MAX_WORDS).collect()),
        None => Some(format!("the answer is {}", if kind.is_empty() { "of no named type" } else { kind })),
    };
    let success = (200..300).contains(&reply.status);
    Rejection {
        status: reply.status,
        unreadable: (success && error.is_none())
            .then_some("the answer is not the JSON of a token; a network's sign-in page may be in between"),
        error: error.map(|code| harmless(&code, MAX_CODE)),
        words: words.map(|words| harmless(&words, MAX_WORDS)),
        retry_after: retry_after(reply),
        dpop_nonce: false,
    }
}

/// Whether a text can be a token: visible ASCII, not too long.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TOKEN_BYTES
        && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// `exp` of a token that is a signed JWT; seconds since 1970. Only for planning: nothing is verified.
pub fn claimed_end(token: &str) -> Option<i64> {
    claim(token, "exp")
}

/// `iat` of a token that is a signed JWT; seconds since 1970.
pub fn claimed_start(token: &str) -> Option<i64> {
    claim(token, "iat")
}

fn claim(token: &str, name: &str) -> Option<i64> {
    use base64::Engine as _;
    let mut segments = token.split('.');
    let (payload, rest) = (segments.nth(1)?, segments.count());
    if rest != 1 {
        return None;
    }
    let payload =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&payload).ok()?;
    let value = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let seconds = value.as_i64().or_else(|| value.as_f64().filter(|at| at.abs() < 1e12).map(|at| at as i64));
    seconds.filter(|at| (0..253_402_300_800).contains(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, kind: &str, body: &str) -> Reply {
        let headers =
            vec![("content-type".to_owned(), kind.to_owned()), ("retry-after".to_owned(), "7".to_owned())];
        Reply { status, headers, body: body.into() }
    }

    fn good(body: &str) -> TokenReply {
        token(&reply(200, "application/json", body))
            .unwrap_or_else(|rejection| panic!("{rejection:?}: {body}"))
    }

    fn bad(status: u16, kind: &str, body: &str) -> Rejection {
        token(&reply(status, kind, body)).expect_err(body)
    }

    #[test]
    fn real_answers_are_read() {
        // oidc-provider 9.13.3, client credentials.
        let token = good(r#"{"access_token":"WZ2nJ-x","expires_in":5,"token_type":"Bearer"}"#);
        assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", Some(Duration::from_secs(5))));
        assert!(token.refresh_token.is_none() && token.scope.is_none() && token.claimed_end.is_none());
        // Keycloak 26, client credentials: no refresh token, and its life is 0.
        let token = good(
            r#"{"access_token":"a.b.c","expires_in":300,"refresh_expires_in":0,"token_type":"Bearer",
                "not-before-policy":0,"scope":"profile email"}"#,
        );
        assert_eq!((token.refresh_expires_in, token.scope.as_deref()), (None, Some("profile email")));
        // Keycloak 26, refresh.
        let token = good(
            r#"{"access_token":"a","expires_in":300,"refresh_expires_in":1799,"refresh_token":"r","token_type":"bearer",
                "not-before-policy":0,"session_state":"x","scope":""}"#,
        );
        assert_eq!(token.refresh_expires_in, Some(Duration::from_secs(1799)));
        assert_eq!(token.refresh_token.unwrap().expose(), "r");
        assert_eq!(token.scope, None);
        // django-oauth-toolkit 3.4.1.
        let token = good(
            r#"{"access_token": "KcX", "expires_in": 36000, "token_type": "Bearer", "scope": "read write", "refresh_token": "jmV"}"#,
        );
        assert_eq!(token.expires_in, Some(Duration::from_hours(10)));
    }

    #[test]
    fn odd_members_hide_nothing() {
        for (life, expected) in [
            ("\"3600\"", Some(3600)),
            ("3600.7", Some(3600)),
            ("0", None),
            ("-1", None),
            ("\"\"", None),
            ("\"soon\"", None),
            ("null", None),
            ("[1]", None),
            ("{\"a\":[{}]}", None),
            ("1e300", Some(100 * 366 * 86_400)),
            ("\"NaN\"", None),
        ] {
            let token = good(&format!(r#"{{"access_token":"t","expires_in":{life},"refresh_token":""}}"#));
            assert_eq!(token.expires_in.map(|life| life.as_secs()), expected, "{life}");
            assert!(token.refresh_token.is_none(), "an empty refresh token keeps the old one");
            assert_eq!(token.token_type, "Bearer");
        }
        let token = good(
            "\u{feff} {\"access_token\":\"t\",\"issued_token_type\":\"urn:x\",\"token_type\":\"N_A\"}\n",
        );
        assert_eq!((token.issued_token_type.as_deref(), token.token_type.as_str()), (Some("urn:x"), "N_A"));
    }

    #[test]
    fn errors_are_found_whatever_the_status_and_the_form() {
        let oidc = r#"{"error":"invalid_grant","error_description":"grant request is invalid"}"#;
        for status in [200, 400, 401, 500] {
            let found = bad(status, "application/json", oidc);
            assert_eq!(found.error.as_deref(), Some("invalid_grant"));
            assert_eq!(found.words.as_deref(), Some("grant request is invalid"));
            assert_eq!((found.status, found.unreadable), (status, None));
            assert_eq!(found.retry_after, Some(Duration::from_secs(7)));
        }
        // An error beside a token is an error.
        assert!(bad(200, "application/json", r#"{"access_token":"t","error":"x"}"#).error.is_some());
        let form = bad(
            400,
            "application/x-www-form-urlencoded",
            "error=bad_verification_code&error_description=It+expired",
        );
        assert_eq!(
            (form.error.as_deref(), form.words.as_deref()),
            (Some("bad_verification_code"), Some("It expired"))
        );
        let fosite = bad(
            400,
            "application/json",
            r#"{"error":"invalid_grant","error_description":"The provided grant is invalid.","error_hint":"The refresh token was already used."}"#,
        );
        assert!(fosite.words.unwrap().contains("already used"));
        let nonce = bad(400, "application/json", r#"{"error":"use_dpop_nonce"}"#);
        assert!(nonce.dpop_nonce);
    }

    #[test]
    fn what_is_no_token_answer_is_never_success_and_never_a_dead_grant() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(MAX_TOKEN_BYTES + 1));
        let cut = format!(r#"{{"access_token":"{}"#, "x".repeat(MAX_ANSWER));
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "\"secret\"",
            "<html>sign in to our wi-fi</html>",
            r#"{"access_token":""}"#,
            r#"{"access_token":["secret"]}"#,
            r#"{"access_token":"secret\r\nx: y"}"#,
            r#"{"access_token":"sec ret"}"#,
            r#"{"access_token":"secret"#,
            r#"{"access_token":"t","refresh_token":"sec\nret"}"#,
            &long,
            &cut,
        ] {
            let found = bad(200, "text/html", body);
            assert!(found.unreadable.is_some() && found.error.is_none(), "{found:?}");
            assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        }
        let gateway = bad(502, "text/html; charset=utf-8", "<html>bad gateway</html>");
        assert_eq!((gateway.error, gateway.unreadable), (None, None));
        assert_eq!(gateway.words.as_deref(), Some("the answer is text/html; charset=utf-8"));
        let plain = bad(401, "text/plain", "Invalid token");
        assert_eq!(plain.words.as_deref(), Some("Invalid token"));
        let echo = bad(
            400,
            "application/json",
            r#"{"error":"x","error_description":"no eyJhbGciOiJIUzI1NiJ9.e30.sig"}"#,
        );
        assert_eq!(echo.words.as_deref(), Some("no ***"));
    }

    #[test]
    fn tokens_may_tell_their_end() {
        // {"exp":1729780408,"iat":1729780348}
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3Mjk3ODA0MDgsImlhdCI6MTcyOTc4MDM0OH0.sig";
        assert_eq!((claimed_end(jwt), claimed_start(jwt)), (Some(1_729_780_408), Some(1_729_780_348)));
        for token in ["opaque", "a.b", "a.b.c", "a.eyJleHAiOjF9.c.d", "", "..", "a.bnVsbA.c", "a.b.c.d.e"] {
            assert_eq!(claimed_end(token), None, "{token}");
        }
    }

    #[test]
    fn revocation_is_done_by_any_success() {
        assert!(nothing(&reply(200, "text/html", "")).is_ok());
        assert!(nothing(&reply(204, "", "")).is_ok());
        assert!(nothing(&reply(200, "application/json", "{}")).is_ok());
        assert_eq!(nothing(&reply(503, "", "")).unwrap_err().status, 503);
        assert!(nothing(&reply(200, "application/json", r#"{"error":"x"}"#)).is_err());
    }
}
