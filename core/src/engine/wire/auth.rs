//! The auth service's dialect: refreshing a session token, minting one from an API key.
//!
//! | outcome                                              | what the caller makes of it                        |
//! |------------------------------------------------------|----------------------------------------------------|
//! | 200 with a token                                     | the next token                                     |
//! | 2xx without one (a captive portal, a cut body)       | ambiguous: the service may have acted              |
//! | 401                                                  | refused: only signing in again helps               |
//! | other 4xx                                            | refused: asking again the same way is useless      |
//! | 408, 429, 5xx, 3xx                                   | transient, after `Retry-After`                     |
//! | not connected, TLS not set up, broken while sending  | transient                                          |
//! | broken after sending, stalled, not HTTP              | ambiguous                                          |
//!
//! Nothing is used up by these calls (the old token stays valid until its own end), so a caller may ask again after an
//! ambiguous outcome; the class is told because other identity services differ.
//!
//! Source: `oci.md` sections 5.4 and 5.5.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::oci::http_facts;
use super::{Coverage, Method, Reply, Request, Service, TransportFailure};
use crate::engine::claims::MAX_TOKEN_BYTES;
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::error::{Error, ErrorKind, HttpFacts, Retry};
use crate::engine::secret::Secret;

/// Shortest and longest session that can be minted, minutes. Source: `oci.md` 5.4.
pub const UPST_MINUTES: std::ops::RangeInclusive<u32> = 5..=60;

/// Asks for the next token of the same session. Must be signed with the very token that it carries.
///
/// The body holds the token; whoever is done with the request should wipe `json`.
pub fn refresh(token: &Secret<String>) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        current_token: &'a str,
    }
    post("/v1/authentication/refresh", &Body { current_token: token.expose() })
}

/// Asks for a session token bound to another key, `minutes` long (brought into 5 to 60); signed with an API key or a
/// live token.
pub fn generate_upst(public_key_pem: &str, minutes: u32) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        public_key: &'a str,
        // Text, as the official command line sends it; the published model says integer.
        session_expiration_in_minutes: String,
    }
    let minutes = minutes.clamp(*UPST_MINUTES.start(), *UPST_MINUTES.end());
    let body = Body { public_key: public_key_pem, session_expiration_in_minutes: minutes.to_string() };
    post("/v1/token/upst/actions/GenerateUpst", &body)
}

fn post(target: &str, body: &impl Serialize) -> Request {
    Request {
        method: Method::Post,
        service: Service::Auth,
        target: target.to_owned(),
        headers: vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
        ],
        metadata: Vec::new(),
        json: serde_json::to_vec(body).expect("bodies hold no maps with non-string keys"),
        coverage: Coverage::HeadAndBody,
    }
}

/// Reads the outcome of [`refresh`]: the next token. That it really ends later is for the caller to see.
pub fn parse_refresh(outcome: &Result<Reply, TransportFailure>) -> Result<Secret<String>, ExchangeFailure> {
    const REFUSED: &str =
        "the session cannot be refreshed any more; sign in again (\"oci session authenticate\")";
    parse(outcome, "refreshing the session", (ErrorKind::SignInNeeded, REFUSED))
}

/// Reads the outcome of [`generate_upst`]: the new token.
pub fn parse_upst(outcome: &Result<Reply, TransportFailure>) -> Result<Secret<String>, ExchangeFailure> {
    const REFUSED: &str = "the service refuses the credential that signs for it; check user, fingerprint and key, and \
                           the clock of this machine";
    parse(outcome, "asking for a session token", (ErrorKind::Auth, REFUSED))
}

fn parse(
    outcome: &Result<Reply, TransportFailure>,
    attempt: &str,
    refused: (ErrorKind, &str),
) -> Result<Secret<String>, ExchangeFailure> {
    let reply = outcome.as_ref().map_err(|failure| {
        let class = if failure.is_ambiguous() { ExchangeClass::Ambiguous } else { ExchangeClass::Transient };
        ExchangeFailure { class, error: failure.error.clone().during(attempt), retry_after: None }
    })?;
    if (200..300).contains(&reply.status) {
        return token(&reply.body).ok_or_else(|| {
            let error = Error::new(ErrorKind::Protocol, format!("{attempt}: the answer holds no token"));
            failure(ExchangeClass::Ambiguous, error.with_retry(Retry::Later(None)), http_facts(reply))
        });
    }
    let facts = http_facts(reply);
    let (class, kind, words) = match reply.status {
        401 => (ExchangeClass::Refused, refused.0, refused.1),
        408 | 429 | 500..=599 => {
            (ExchangeClass::Transient, ErrorKind::Service, "the service cannot answer just now")
        }
        300..=399 => (
            ExchangeClass::Transient,
            ErrorKind::Protocol,
            "the answer is a redirection; a network's sign-in page may be in between, or the auth endpoint is wrong",
        ),
        403 => (ExchangeClass::Refused, ErrorKind::Permission, "the service does not allow this"),
        404 => (
            ExchangeClass::Refused,
            ErrorKind::Config,
            "there is no such service; check region and auth endpoint",
        ),
        _ => (ExchangeClass::Refused, ErrorKind::Service, "the service does not accept the request"),
    };
    let error = Error::new(kind, format!("{attempt}: {words}"));
    let retry = match class {
        ExchangeClass::Refused => error.retry(),
        _ => Retry::Later(facts.retry_after),
    };
    Err(failure(class, error.with_retry(retry), facts))
}

fn failure(class: ExchangeClass, error: Error, facts: HttpFacts) -> ExchangeFailure {
    let retry_after: Option<Duration> = facts.retry_after;
    ExchangeFailure { class, error: error.with_http(facts), retry_after }
}

/// The `token` member, if it is text that can stand in a header. No words of a parser: they might repeat it.
fn token(body: &[u8]) -> Option<Secret<String>> {
    #[derive(Deserialize)]
    struct Body {
        token: String,
    }
    if body.len() > 2 * MAX_TOKEN_BYTES || !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let text = Zeroizing::new(body.token);
    let token = text.trim();
    let legal = !token.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte));
    legal.then(|| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::wire::TransportKind;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = vec![("retry-after".to_owned(), "3".to_owned())];
        Reply { status, headers, body: body.into() }
    }

    #[test]
    fn requests_are_the_official_ones() {
        let request = refresh(&Secret::new("a.b.c".into()));
        assert_eq!((request.target.as_str(), request.service), ("/v1/authentication/refresh", Service::Auth));
        assert_eq!(request.json, br#"{"currentToken":"a.b.c"}"#);
        assert_eq!(request.coverage, Coverage::HeadAndBody);
        assert!(!format!("{request:?}").contains("a.b.c"));
        let request = generate_upst("-----BEGIN\nx\n", 60);
        assert_eq!(request.target, "/v1/token/upst/actions/GenerateUpst");
        assert_eq!(request.json, br#"{"publicKey":"-----BEGIN\nx\n","sessionExpirationInMinutes":"60"}"#);
        for (asked, sent) in [(0, "\"5\""), (1000, "\"60\""), (7, "\"7\"")] {
            let body = String::from_utf8(generate_upst("", asked).json).unwrap();
            assert!(body.contains(sent), "{body}");
        }
    }

    #[test]
    fn tokens_are_taken_out_of_good_answers_only() {
        for body in [r#"{"token":"a.b-_=.c"}"#, " {\"token\":\" a.b-_=.c\\n\",\"more\":[]}\n"] {
            assert_eq!(parse_refresh(&Ok(reply(200, body))).unwrap().expose(), "a.b-_=.c");
            assert_eq!(parse_upst(&Ok(reply(201, body))).unwrap().expose(), "a.b-_=.c");
        }
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_TOKEN_BYTES + 1));
        for body in [
            "",
            "{}",
            "null",
            "<html>sign in to our wi-fi</html>",
            r#"["secret.x.y"]"#,
            r#"{"token":""}"#,
            r#"{"token":7}"#,
            r#"{"token":"secret x"}"#,
            r#"{"token":"secret\r\nx: y"}"#,
            r#"{"token":"secret"#,
            r#"{"token":"se\"cret"}"#,
            &long,
        ] {
            let failure = parse_refresh(&Ok(reply(200, body))).unwrap_err();
            assert_eq!(failure.class, ExchangeClass::Ambiguous, "{body}");
            assert_eq!(
                failure.error.to_string(),
                "refreshing the session: the answer holds no token (HTTP 200)"
            );
            assert_eq!(failure.error.retry(), Retry::Later(None));
        }
    }

    #[test]
    fn statuses_are_classified() {
        use ErrorKind::{Auth, Config, Permission, Protocol, Service, SignInNeeded};
        use ExchangeClass::{Refused, Transient};
        let three = Some(Duration::from_secs(3));
        for (status, class, refresh_kind, upst_kind) in [
            (401, Refused, SignInNeeded, Auth),
            (400, Refused, Service, Service),
            (403, Refused, Permission, Permission),
            (404, Refused, Config, Config),
            (405, Refused, Service, Service),
            (302, Transient, Protocol, Protocol),
            (408, Transient, Service, Service),
            (429, Transient, Service, Service),
            (500, Transient, Service, Service),
            (503, Transient, Service, Service),
            (504, Transient, Service, Service),
        ] {
            let body = r#"{"code":"C","message":"m"}"#;
            let refresh = parse_refresh(&Ok(reply(status, body))).unwrap_err();
            let upst = parse_upst(&Ok(reply(status, body))).unwrap_err();
            assert_eq!((refresh.class, refresh.error.kind()), (class, refresh_kind), "{status}");
            assert_eq!((upst.class, upst.error.kind()), (class, upst_kind), "{status}");
            assert_eq!(refresh.retry_after, three);
            assert_eq!(refresh.error.http().unwrap().code.as_deref(), Some("C"));
            if class == Transient {
                assert_eq!(refresh.error.retry(), Retry::Later(three), "{status}");
            }
        }
        let refused = parse_refresh(&Ok(reply(401, r#"{"code":"NotAuthenticated"}"#))).unwrap_err().error;
        assert_eq!(
            refused.to_string(),
            "refreshing the session: the session cannot be refreshed any more; sign in again \
             (\"oci session authenticate\") (HTTP 401 NotAuthenticated)"
        );
        assert_eq!(refused.retry(), Retry::AfterReauth);
    }

    #[test]
    fn lost_answers_are_told_from_requests_never_sent() {
        for (kind, class) in [
            (TransportKind::Connect, ExchangeClass::Transient),
            (TransportKind::Tls, ExchangeClass::Transient),
            (TransportKind::BrokenWhileSending, ExchangeClass::Transient),
            (TransportKind::BrokenAfterSending, ExchangeClass::Ambiguous),
            (TransportKind::Stalled, ExchangeClass::Ambiguous),
            (TransportKind::Protocol, ExchangeClass::Ambiguous),
        ] {
            let error = Error::new(ErrorKind::Network, "no route");
            let failure = parse_refresh(&Err(TransportFailure { kind, error })).unwrap_err();
            assert_eq!(failure.class, class, "{kind:?}");
            assert_eq!(failure.error.to_string(), "refreshing the session: no route");
            assert_eq!(failure.error.kind(), ErrorKind::Network);
        }
    }
}
