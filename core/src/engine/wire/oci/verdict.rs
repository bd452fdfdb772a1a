//! What a reply means.

use std::time::Duration;

use serde::Deserialize;

use super::Operation;
use crate::engine::error::{Error, ErrorKind, HttpFacts, Retry, one_line};
use crate::engine::time::UnixMillis;
use crate::engine::wire::{Reply, Verdict};

/// Longest error body that is read as JSON, bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// Longest server message that is passed on, characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// What `reply` means for the request that did `operation`.
pub fn verdict(operation: Operation, reply: &Reply) -> Verdict {
    if (200..300).contains(&reply.status) {
        return Verdict::Done;
    }
    let facts = http_facts(reply);
    let code = facts.code.as_deref().unwrap_or_default();
    match reply.status {
        401 => Verdict::Refused(facts),
        400 if code.starts_with("Unmatched") => Verdict::Again(None, facts),
        404 if operation.names_upload() => Verdict::UploadGone(facts),
        409 if matches!(code, "" | "ConcurrentObjectUpdate" | "IncorrectState" | "LockConflict") => {
            Verdict::Again(facts.retry_after, facts)
        }
        408 | 429 => Verdict::Again(facts.retry_after, facts),
        501 => Verdict::Fatal(fatal(operation, facts)),
        500..=599 => Verdict::Again(facts.retry_after, facts),
        _ => Verdict::Fatal(fatal(operation, facts)),
    }
}

fn fatal(operation: Operation, facts: HttpFacts) -> Error {
    let (kind, advice) = match facts.status {
        403 => (ErrorKind::Permission, "not allowed"),
        404 => (ErrorKind::NotFound, "not found"),
        412 => (ErrorKind::Precondition, "precondition failed"),
        _ => (ErrorKind::Service, "refused"),
    };
    Error::new(kind, format!("{}: {advice}", operation.attempt())).with_retry(Retry::Never).with_http(facts)
}

/// What a reply says about a failure, made harmless: one line, capped, tokens blotted out.
pub fn http_facts(reply: &Reply) -> HttpFacts {
    #[derive(Deserialize, Default)]
    struct Body {
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        message: Option<String>,
    }
    let body: Body = if reply.body.len() <= MAX_ERROR_BYTES {
        serde_json::from_slice(&reply.body).unwrap_or_default()
    } else {
        Body::default()
    };
    let cap = |text: String, chars| one_line(&text).chars().take(chars).collect::<String>();
    HttpFacts {
        status: reply.status,
        code: body.code.map(|code| cap(code, 64)),
        message: body.message.map(|message| cap(message, MAX_MESSAGE_CHARS)),
        request_id: reply.header("opc-request-id").map(|id| cap(id.to_owned(), 128)),
        retry_after: retry_after(reply),
        part_number: None,
    }
}

/// `Retry-After` as a duration: seconds, or a date relative to the reply's own `date`.
///
/// Source: RFC 9110 section 10.2.3.
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.header("retry-after")?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let at = UnixMillis::from_http_date(text)?;
    Some(at.since(reply.date()?))
}
