//! Refusals of the authorization server in the words of the servers they are modelled on.
//!
//! Sources: bodies recorded from oidc-provider 9.13 and django-oauth-toolkit 3.4, texts of Keycloak 26 and Dex 2.45.

use super::settings::ErrorStyle;
use crate::http::reply::Reply;
use serde_json::{Map, Value, json};

/// Why the authorization server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The refresh token was never issued, or not as it stands.
    UnknownRefresh,
    /// It is past its end.
    ExpiredRefresh,
    /// It was presented again.
    Reused,
    /// It is older than the newest that was presented.
    Stale,
    /// Its chain was ended by a reuse.
    Detached,
    /// Its session was ended, by a logout, a revocation or its limit.
    SessionEnded,
    /// It belongs to another client.
    ForeignRefresh,
    /// A client nobody knows; whether it came in the `Authorization` header.
    UnknownClient(bool),
    /// The wrong secret; likewise.
    WrongSecret(bool),
    /// The assertion is no good.
    Assertion(&'static str),
    NoClient,
    TwoWays,
    GrantUnknown,
    GrantNotAllowed,
    Missing(&'static str),
    Twice(String),
    NoForm,
    Encoding(String),
    Scope(String),
    Code,
    Verifier,
    RedirectUri,
    DeviceUnknown,
    DevicePending,
    DeviceSlow,
    DeviceExpired,
    DeviceDenied,
    Subject(&'static str),
}

impl Why {
    /// True if the refresh token it is about will never be good again.
    pub(crate) fn is_terminal_for_refresh(&self) -> bool {
        matches!(
            self,
            Self::UnknownRefresh
                | Self::ExpiredRefresh
                | Self::Reused
                | Self::Stale
                | Self::Detached
                | Self::SessionEnded
                | Self::ForeignRefresh
        )
    }

    /// The reason as it goes to the log, the same in every style.
    pub(crate) fn note(&self) -> String {
        match self {
            Self::Assertion(text) | Self::Subject(text) => (*text).to_owned(),
            Self::Encoding(text) => format!("the form is not encoded as it must be: {text}"),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn reply(&self, style: ErrorStyle, issuer: &str) -> Reply {
        let (status, error, description) = self.told(style);
        let mut body = Map::new();
        body.insert("error".into(), error.into());
        if style != ErrorStyle::Dot && !description.is_empty() {
            body.insert("error_description".into(), description.as_str().into());
        }
        if let (Self::Scope(scope), ErrorStyle::OidcProvider) = (self, style) {
            body.insert("scope".into(), scope.as_str().into());
        }
        let mut reply = no_store(Reply::json(status, &Value::Object(body)));
        if matches!(self, Self::UnknownClient(true) | Self::WrongSecret(true)) && status == 401 {
            let challenge = match style {
                ErrorStyle::Dot => format!("Bearer error=\"{error}\""),
                _ => format!(
                    "Basic realm=\"{issuer}\", error=\"{error}\", error_description=\"{description}\""
                ),
            };
            reply.set("www-authenticate", challenge);
        }
        reply.note = Some(self.note());
        reply
    }

    fn told(&self, style: ErrorStyle) -> (u16, &'static str, String) {
        let stock = |status, error, text: &str| (status, error, text.to_owned());
        match (self, style) {
            (Self::ExpiredRefresh, ErrorStyle::Dex) => {
                stock(400, "invalid_request", "Refresh token expired.")
            }
            (why, ErrorStyle::Dex) if why.is_terminal_for_refresh() => stock(
                400,
                "invalid_request",
                "Refresh token is invalid or has already been claimed by another client.",
            ),
            (why, ErrorStyle::Keycloak) if why.is_terminal_for_refresh() => {
                stock(400, "invalid_grant", keycloak_text(why))
            }
            (why, _) if why.is_terminal_for_refresh() => {
                stock(400, "invalid_grant", "grant request is invalid")
            }
            (Self::WrongSecret(_), ErrorStyle::Keycloak) => {
                stock(401, "unauthorized_client", "Invalid client or Invalid client credentials")
            }
            (Self::UnknownClient(_) | Self::NoClient, ErrorStyle::Keycloak) => {
                stock(401, "invalid_client", "Invalid client or Invalid client credentials")
            }
            (Self::Assertion(text), ErrorStyle::Keycloak) => stock(400, "invalid_client", text),
            (Self::UnknownClient(_) | Self::WrongSecret(_) | Self::Assertion(_), _) => {
                stock(401, "invalid_client", "client authentication failed")
            }
            (Self::NoClient, _) => {
                stock(400, "invalid_request", "no client authentication mechanism provided")
            }
            (Self::TwoWays, _) => stock(
                400,
                "invalid_request",
                "client authentication must only be provided using one mechanism",
            ),
            (Self::GrantUnknown, _) => {
                stock(400, "unsupported_grant_type", "unsupported grant_type requested")
            }
            (Self::GrantNotAllowed, ErrorStyle::Keycloak) => {
                stock(401, "unauthorized_client", "Client not allowed for this grant")
            }
            (Self::GrantNotAllowed, _) => {
                stock(400, "invalid_request", "requested grant type is not allowed for this client")
            }
            (Self::Missing(name), _) => {
                (400, "invalid_request", format!("missing required parameter '{name}'"))
            }
            (Self::Twice(name), _) => {
                (400, "invalid_request", format!("'{name}' parameter must not be provided twice"))
            }
            (Self::NoForm, _) => stock(
                400,
                "invalid_request",
                "only application/x-www-form-urlencoded content-type bodies are supported on POST /token",
            ),
            (Self::Encoding(text), _) => {
                (400, "invalid_request", format!("failed to parse the request body: {text}"))
            }
            (Self::Scope(scope), ErrorStyle::Keycloak) => {
                (400, "invalid_scope", format!("Invalid scopes: {scope}"))
            }
            (Self::Scope(_), _) => stock(400, "invalid_scope", "refresh token missing requested scope"),
            (Self::Code, ErrorStyle::Keycloak) => stock(400, "invalid_grant", "Code not valid"),
            (Self::Verifier, ErrorStyle::Keycloak) => {
                stock(400, "invalid_grant", "PKCE verification failed: Code mismatch")
            }
            (Self::RedirectUri, ErrorStyle::Keycloak) => {
                stock(400, "invalid_grant", "Incorrect redirect_uri")
            }
            (Self::DeviceUnknown, ErrorStyle::Keycloak) => {
                stock(400, "invalid_grant", "Device code not valid")
            }
            (Self::Code | Self::Verifier | Self::RedirectUri | Self::DeviceUnknown, _) => {
                stock(400, "invalid_grant", "grant request is invalid")
            }
            (Self::DevicePending, ErrorStyle::Keycloak) => {
                stock(400, "authorization_pending", "The authorization request is still pending")
            }
            (Self::DevicePending, _) => stock(
                400,
                "authorization_pending",
                "authorization request is still pending as the end-user hasn't yet completed the user interaction steps",
            ),
            (Self::DeviceSlow, _) => stock(400, "slow_down", "Slow down"),
            (Self::DeviceExpired, _) => stock(400, "expired_token", "Device code is expired"),
            (Self::DeviceDenied, _) => {
                stock(400, "access_denied", "The end user denied the authorization request")
            }
            (Self::Subject(text), _) => stock(400, "invalid_request", text),
            // Every other reason is terminal for a refresh token and was told above.
            _ => stock(400, "invalid_grant", "grant request is invalid"),
        }
    }
}

fn keycloak_text(why: &Why) -> &'static str {
    match why {
        Why::ExpiredRefresh => "Token is not active",
        Why::Reused => "Maximum allowed refresh token reuse exceeded",
        Why::Stale => "Stale token",
        Why::Detached => "Session doesn't have required client",
        Why::SessionEnded => "Session not active",
        Why::ForeignRefresh => "Invalid refresh token. Token client and authorized client don't match",
        _ => "Invalid refresh token",
    }
}

/// What every answer of a token endpoint carries.
pub(crate) fn no_store(reply: Reply) -> Reply {
    reply.with("cache-control", "no-store").with("pragma", "no-cache")
}

/// The error of a fault rule, in this protocol's form.
pub(crate) fn fault_body(code: &str, message: &str) -> Value {
    json!({ "error": code, "error_description": message })
}
