//! Answers as they come over the wire.

use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::wire::Reply;

/// An answer with a date and without a body.
pub(crate) fn bare(status: u16, now: UnixMillis) -> Reply {
    Reply {
        status,
        headers: vec![
            ("date".to_owned(), now.to_http_date()),
            ("opc-request-id".to_owned(), "phx-1:sim".to_owned()),
        ],
        body: Vec::new(),
    }
}

/// An answer with JSON.
pub(crate) fn json(status: u16, body: String, now: UnixMillis) -> Reply {
    let mut reply = bare(status, now);
    reply.headers.push(("content-type".to_owned(), "application/json".to_owned()));
    push(&mut reply, "content-length", body.len().to_string());
    reply.body = body.into_bytes();
    reply
}

/// An error as the service words it.
pub(crate) fn failure(status: u16, code: &str, now: UnixMillis) -> Reply {
    json(status, format!("{{\"code\":\"{code}\",\"message\":\"as the simulation wants it\"}}"), now)
}

/// Adds a header.
pub(crate) fn push(reply: &mut Reply, name: &str, value: String) {
    reply.headers.push((name.to_owned(), value));
}

/// Takes a header away.
pub(crate) fn strip(reply: &mut Reply, unwanted: impl Fn(&str) -> bool) {
    reply.headers.retain(|(name, _)| !unwanted(name));
}
