//! From an answer to what it means.

use std::borrow::Cow;
use std::time::Duration;

use super::{GENERIC_RULES, Provider};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::error::{Error, ErrorKind, Retry};
use crate::engine::wire::oauth2::Rejection;
use crate::engine::wire::{TransportFailure, TransportKind};

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What was asked with is dead: expired, revoked, unknown, or used before without the server saying so.
    Dead,
    /// The server says that it had been used before.
    Reused,
    /// Who asks, or what is asked for, is refused; what was asked with is as good as before.
    Misconfigured,
    /// The server did not act; later it may.
    Busy,
    /// Whether the server acted is unknown.
    Unknown,
    /// Device flow: not approved yet.
    Pending,
    /// Device flow: not approved yet, and asked too often.
    SlowDown,
    /// The person said no.
    Denied,
    /// The code for signing in has ended.
    CodeExpired,
}

impl Meaning {
    const NAMES: [(&'static str, Meaning); 9] = [
        ("dead", Meaning::Dead),
        ("reused", Meaning::Reused),
        ("misconfigured", Meaning::Misconfigured),
        ("busy", Meaning::Busy),
        ("unknown", Meaning::Unknown),
        ("pending", Meaning::Pending),
        ("slow-down", Meaning::SlowDown),
        ("denied", Meaning::Denied),
        ("code-expired", Meaning::CodeExpired),
    ];

    /// The meaning of that name in a sessions file.
    pub fn from_name(name: &str) -> Option<Meaning> {
        Meaning::NAMES.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
    }

    /// All names, for messages.
    pub fn names() -> String {
        Meaning::NAMES.map(|(name, _)| name).join(", ")
    }

    fn class(self) -> ExchangeClass {
        match self {
            Meaning::Dead | Meaning::Denied | Meaning::CodeExpired => ExchangeClass::Refused,
            Meaning::Reused => ExchangeClass::Reused,
            Meaning::Misconfigured => ExchangeClass::Misconfigured,
            Meaning::Busy | Meaning::Pending | Meaning::SlowDown => ExchangeClass::Transient,
            Meaning::Unknown => ExchangeClass::Ambiguous,
        }
    }
}

/// Status, error code and words, and what they mean together. Empty (or 0) fits anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// HTTP status; 0: any.
    pub status: u16,
    /// `error`, or FOLIO's `code`, in any case.
    pub error: Cow<'static, str>,
    /// A part of the server's words, in any case.
    pub words: Cow<'static, str>,
    /// What it means.
    pub meaning: Meaning,
}

impl Rule {
    /// A row of a table.
    pub const fn new(status: u16, error: &'static str, words: &'static str, meaning: Meaning) -> Rule {
        Rule { status, error: Cow::Borrowed(error), words: Cow::Borrowed(words), meaning }
    }

    fn fits(&self, rejection: &Rejection) -> bool {
        let error = rejection.error.as_deref().unwrap_or_default();
        let words = || rejection.words.as_deref().unwrap_or_default().to_lowercase();
        (self.status == 0 || self.status == rejection.status)
            && (self.error.is_empty() || self.error.eq_ignore_ascii_case(error))
            && (self.words.is_empty() || words().contains(&self.words.to_lowercase()))
    }
}

impl Provider {
    /// What an answer without a token means.
    pub fn meaning(&self, rejection: &Rejection) -> Meaning {
        if rejection.unreadable.is_some() {
            return Meaning::Unknown;
        }
        let rules = self.rules.iter().chain(GENERIC_RULES);
        rules.into_iter().find(|rule| rule.fits(rejection)).map_or_else(
            || match rejection.status {
                // An intermediary's sign-in page, or a moved server: not the server that rotates.
                300..=399 | 408 | 425 | 429 | 503 => Meaning::Busy,
                // A success with an error nobody knows has been acted on in some way.
                200..=299 | 500..=599 => Meaning::Unknown,
                _ => Meaning::Misconfigured,
            },
            |rule| rule.meaning,
        )
    }

    /// The failure of an exchange. `remedy` is what a person does to sign in.
    pub fn failure(&self, rejection: &Rejection, attempt: &str, remedy: &str) -> ExchangeFailure {
        let meaning = self.meaning(rejection);
        let (kind, words) = words(meaning, rejection, remedy);
        let error = Error::new(kind, format!("{attempt}: {words}"));
        let retry = match meaning.class() {
            ExchangeClass::Transient | ExchangeClass::Ambiguous => Retry::Later(rejection.retry_after),
            _ => error.retry(),
        };
        ExchangeFailure {
            class: meaning.class(),
            error: error.with_retry(retry).with_http(rejection.facts()),
            retry_after: rejection.retry_after,
        }
    }
}

/// The failure of an exchange that got no answer.
pub fn no_answer(failure: &TransportFailure, attempt: &str) -> ExchangeFailure {
    let class = match failure.kind {
        TransportKind::Connect | TransportKind::Tls => ExchangeClass::NotSent,
        _ => ExchangeClass::Ambiguous,
    };
    let retry_after: Option<Duration> = None;
    ExchangeFailure { class, error: failure.error.clone().during(attempt), retry_after }
}

fn words(meaning: Meaning, rejection: &Rejection, remedy: &str) -> (ErrorKind, String) {
    let error = rejection.error.as_deref().unwrap_or_default();
    match meaning {
        Meaning::Dead => (
            ErrorKind::SignInNeeded,
            format!("the identity provider does not accept the stored sign-in any more; {remedy}"),
        ),
        Meaning::Reused => (
            ErrorKind::SignInNeeded,
            format!(
                "the identity provider says that the refresh token had been used before: a copy of it is in use \
                 elsewhere, or an answer was lost; {remedy}"
            ),
        ),
        Meaning::Misconfigured => (
            ErrorKind::Config,
            match error {
                "invalid_client" | "unauthorized_client" => {
                    "the identity provider refuses the client; check client_id, its secret or key, and which grants it may use"
                }
                "invalid_scope" => "the identity provider refuses the scope; check scope",
                "invalid_target" => "the identity provider refuses the resource; check resource and audience",
                "unsupported_grant_type" => "the identity provider does not support this grant; check grant",
                _ if matches!(rejection.status, 404 | 405) => {
                    "there is no such endpoint; check issuer or the endpoint's URL"
                }
                _ => "the identity provider refuses the request; check the session's settings",
            }
            .to_owned(),
        ),
        Meaning::Busy => (
            ErrorKind::Service,
            match rejection.status {
                300..=399 => {
                    "the answer is a redirection, which is not followed; a network's sign-in page may be in between, or the URL is wrong"
                }
                _ => "the identity provider cannot answer just now",
            }
            .to_owned(),
        ),
        Meaning::Unknown => (
            ErrorKind::Protocol,
            match rejection.unreadable {
                Some(why) => why.to_owned(),
                None => "the identity provider failed, and whether it acted is unknown".to_owned(),
            },
        ),
        Meaning::Pending => (ErrorKind::Service, "the sign-in is not approved yet".to_owned()),
        Meaning::SlowDown => (ErrorKind::Service, "the sign-in is not approved yet; asked too often".to_owned()),
        Meaning::Denied => (ErrorKind::SignInNeeded, format!("the sign-in was refused; {remedy}")),
        Meaning::CodeExpired => {
            (ErrorKind::SignInNeeded, format!("nobody signed in while the code was good; {remedy}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::find;
    use crate::engine::wire::Reply;
    use crate::engine::wire::oauth2::reply;

    fn rejected(status: u16, body: &str) -> Rejection {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        reply::failure(&Reply { status, headers, body: body.into() })
    }

    fn meaning(provider: &str, status: u16, body: &str) -> Meaning {
        find(provider).expect(provider).meaning(&rejected(status, body))
    }

    fn oauth(error: &str, description: &str) -> String {
        format!(r#"{{"error":"{error}","error_description":"{description}"}}"#)
    }

    #[test]
    fn golden_answers_mean_what_they_do() {
        use Meaning::{Busy, Dead, Misconfigured, Pending, Reused, SlowDown, Unknown};
        for (provider, status, body, expected) in [
            // oidc-provider 9.13.3, as seen live (oauth2.md section 7).
            ("oidc-provider", 400, oauth("invalid_grant", "grant request is invalid"), Dead),
            ("oidc-provider", 401, oauth("invalid_client", "client authentication failed"), Misconfigured),
            (
                "oidc-provider",
                400,
                oauth("invalid_scope", "refresh token missing requested scope"),
                Misconfigured,
            ),
            (
                "oidc-provider",
                400,
                oauth("unsupported_grant_type", "unsupported grant_type requested"),
                Misconfigured,
            ),
            ("oidc-provider", 400, oauth("authorization_pending", "…"), Pending),
            // django-oauth-toolkit 3.4.1.
            ("django-oauth-toolkit", 400, r#"{"error":"invalid_grant"}"#.into(), Dead),
            ("django-oauth-toolkit", 500, "<html>locked</html>".into(), Unknown),
            // Keycloak 26 (section 8).
            ("keycloak", 400, oauth("invalid_grant", "Maximum allowed refresh token reuse exceeded"), Reused),
            ("keycloak", 400, oauth("invalid_grant", "Stale token"), Reused),
            ("keycloak", 400, oauth("invalid_grant", "Token is not active"), Dead),
            ("keycloak", 400, oauth("invalid_grant", "Session doesn't have required client"), Dead),
            (
                "keycloak",
                401,
                oauth("unauthorized_client", "Invalid client or Invalid client credentials"),
                Misconfigured,
            ),
            ("keycloak", 400, oauth("invalid_client", "Token reuse detected"), Busy),
            ("keycloak", 400, oauth("slow_down", "Slow down"), SlowDown),
            ("keycloak", 400, oauth("invalid_grant", "Account is not fully set up"), Dead),
            // fosite and Hydra.
            (
                "hydra",
                400,
                r#"{"error":"invalid_grant","error_hint":"The refresh token was already used."}"#.into(),
                Reused,
            ),
            (
                "hydra",
                400,
                oauth(
                    "invalid_request",
                    "Failed to refresh token because of multiple concurrent requests using the same token.",
                ),
                Busy,
            ),
            // Dex 2.45.
            (
                "dex",
                400,
                oauth(
                    "invalid_request",
                    "Refresh token is invalid or has already been claimed by another client.",
                ),
                Dead,
            ),
            ("dex", 400, oauth("invalid_request", "Refresh token expired."), Dead),
            ("dex", 500, oauth("invalid_request", ""), Unknown),
            ("dex", 400, oauth("invalid_request", "Required param: code."), Misconfigured),
            // Anybody.
            ("generic", 400, oauth("temporarily_unavailable", ""), Busy),
            ("generic", 500, oauth("server_error", ""), Unknown),
            ("generic", 400, oauth("server_error", ""), Busy),
            ("generic", 429, String::new(), Busy),
            ("generic", 503, "<html>".into(), Busy),
            ("generic", 502, "<html>".into(), Unknown),
            ("generic", 504, String::new(), Unknown),
            ("generic", 302, String::new(), Busy),
            ("generic", 401, String::new(), Misconfigured),
            ("generic", 404, "<html>".into(), Misconfigured),
            ("oracle-iot", 400, oauth("invalid_grant", "expired"), Dead),
        ] {
            assert_eq!(meaning(provider, status, &body), expected, "{provider} {status} {body}");
        }
    }

    #[test]
    fn folios_422_is_no_verdict() {
        use crate::engine::wire::folio;
        let body = r#"{"errors":[{"message":"m","code":"token.refresh.unprocessable"}]}"#;
        let reply = Reply { status: 422, headers: Vec::new(), body: body.into() };
        let rejection = folio::pair(&reply).unwrap_err();
        for name in ["folio-okapi", "folio-eureka"] {
            assert_eq!(find(name).unwrap().meaning(&rejection), Meaning::Unknown);
        }
        let body =
            r#"{"errors":[{"message":"m","code":"wrong.username.or.wrong.password.or.account.blocked"}]}"#;
        let reply = Reply { status: 422, headers: Vec::new(), body: body.into() };
        let rejection = folio::pair(&reply).unwrap_err();
        assert_eq!(find("folio-okapi").unwrap().meaning(&rejection), Meaning::Misconfigured);
    }

    #[test]
    fn failures_say_what_to_do() {
        let generic = find("generic").unwrap();
        let failure = generic.failure(
            &rejected(400, &oauth("invalid_grant", "gone")),
            "refreshing the session",
            "sign in again with `outlast login x`",
        );
        assert_eq!(
            failure.error.to_string(),
            "refreshing the session: the identity provider does not accept the stored sign-in any more; sign in again \
             with `outlast login x` (HTTP 400 invalid_grant: gone)"
        );
        assert_eq!((failure.class, failure.error.kind()), (ExchangeClass::Refused, ErrorKind::SignInNeeded));
        let failure = generic.failure(&rejected(401, &oauth("invalid_client", "")), "x", "y");
        assert_eq!((failure.class, failure.error.kind()), (ExchangeClass::Misconfigured, ErrorKind::Config));
    }

    #[test]
    fn requests_that_were_not_sent_are_told_apart() {
        for (kind, class) in [
            (TransportKind::Connect, ExchangeClass::NotSent),
            (TransportKind::Tls, ExchangeClass::NotSent),
            (TransportKind::BrokenWhileSending, ExchangeClass::Ambiguous),
            (TransportKind::BrokenAfterSending, ExchangeClass::Ambiguous),
            (TransportKind::Stalled, ExchangeClass::Ambiguous),
            (TransportKind::Protocol, ExchangeClass::Ambiguous),
        ] {
            let failure = TransportFailure { kind, error: Error::new(ErrorKind::Network, "no route") };
            let failure = no_answer(&failure, "refreshing the session");
            assert_eq!((failure.class, failure.error.message()), (class, "refreshing the session: no route"));
        }
    }
}
