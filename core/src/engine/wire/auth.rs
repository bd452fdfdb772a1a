//! The auth service's dialect: refreshing a session token, minting one from an API key.
//!
//! Source: `oci.md` sections 5.4 and 5.5.

use serde::Serialize;

use super::{Coverage, Method, Reply, Request, Service, TransportFailure, TransportKind};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::wire::oci::http_facts;

/// Asks for the next token of the same session. Must be signed with the very token that it carries.
pub fn refresh(token: &Secret<String>) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        current_token: &'a str,
    }
    post("/v1/authentication/refresh", &Body { current_token: token.expose() })
}

/// Asks for a session token bound to another key, `minutes` (5 to 60) long; signed with an API key or a live token.
pub fn generate_upst(public_key_pem: &str, minutes: u32) -> Request {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        public_key: &'a str,
        // Text, as the official command line sends it; the published model says integer.
        session_expiration_in_minutes: String,
    }
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

/// Reads the outcome of [`refresh`]: the next token.
pub fn parse_refresh(outcome: &Result<Reply, TransportFailure>) -> Result<Secret<String>, ExchangeFailure> {
    parse(outcome)
}

/// Reads the outcome of [`generate_upst`]: the new token.
pub fn parse_upst(outcome: &Result<Reply, TransportFailure>) -> Result<Secret<String>, ExchangeFailure> {
    parse(outcome)
}

fn parse(outcome: &Result<Reply, TransportFailure>) -> Result<Secret<String>, ExchangeFailure> {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(failure) => {
            let class = if failure.kind == TransportKind::Connect {
                ExchangeClass::Transient
            } else {
                ExchangeClass::Ambiguous
            };
            return Err(ExchangeFailure { class, error: failure.error.clone(), retry_after: None });
        }
    };
    let facts = http_facts(reply);
    let class = match reply.status {
        200..300 => {
            #[derive(serde::Deserialize)]
            struct Body {
                token: String,
            }
            if let Ok(body) = serde_json::from_slice::<Body>(&reply.body) {
                return Ok(Secret::new(body.token));
            }
            ExchangeClass::Ambiguous
        }
        408 | 429 | 500..600 => ExchangeClass::Transient,
        _ => ExchangeClass::Refused,
    };
    let retry_after = facts.retry_after;
    let error = Error::new(ErrorKind::SignInNeeded, "refreshing the session").with_http(facts);
    Err(ExchangeFailure { class, error, retry_after })
}
