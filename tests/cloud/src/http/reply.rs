//! Answers.

use crate::storage::segment::Slice;
use serde_json::json;
use std::fmt::Write as _;

/// One answer: status, headers (lower-case names, in order) and body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
    /// For the log only.
    pub(crate) note: Option<String>,
    /// The refresh this is the answer to: under way until the answer has left.
    pub(crate) flying: Option<crate::oauth::rotation::Flying>,
}

#[derive(Debug)]
pub(crate) enum Payload {
    /// Bytes at hand; `claims` announces another length than there is.
    Bytes { bytes: Vec<u8>, claims: Option<u64> },
    /// Stored bytes, sent from where they are.
    Segments(Vec<Slice>),
}

/// A refusal: what the client is told, and what only the log is told.
#[derive(Clone, Debug)]
pub(crate) struct Fail {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) note: Option<String>,
}

/// Message of Object Storage for whatever is wrong with a request's credentials.
pub(crate) const NOT_AUTHENTICATED: &str =
    "The required information to complete authentication was not provided.";
/// The same at the identity and auth services.
pub(crate) const NOT_AUTHENTICATED_IDENTITY: &str =
    "The required information to complete authentication was not provided or was incorrect.";

impl Fail {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), note: None }
    }

    /// 401 in the service's words; `reason` goes to the log.
    pub(crate) fn unauthenticated(identity: bool, reason: impl Into<String>) -> Self {
        let message = if identity { NOT_AUTHENTICATED_IDENTITY } else { NOT_AUTHENTICATED };
        Self::new(401, "NotAuthenticated", message).noted(reason)
    }

    /// The same with words for the log.
    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::json(self.status, &json!({ "code": self.code, "message": self.message }))
    }
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        let payload = Payload::Bytes { bytes: Vec::new(), claims: None };
        Self { status, headers: Vec::new(), payload, note: None, flying: None }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        let mut reply = Self::empty(status).with("content-type", "application/json");
        reply.payload = Payload::Bytes { bytes: value.to_string().into_bytes(), claims: None };
        reply
    }

    /// The same with one more header, or with another value for it.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// The same with a header if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// One more header of that name.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn omit(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    /// Announces a length without having the bytes: for answers to HEAD.
    #[must_use]
    pub(crate) fn claiming(mut self, length: u64) -> Self {
        self.payload = Payload::Bytes { bytes: Vec::new(), claims: Some(length) };
        self
    }

    /// Status line, headers and, unless it is stored or not wanted, the body as they go out.
    pub(crate) fn front_bytes(&self, bodiless: bool, close: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {}\r\n", value.replace(['\r', '\n'], " "));
        }
        if self.status != 204 && self.status != 304 {
            let _ = write!(head, "content-length: {}\r\n", self.length());
        }
        head.push_str(if close { "connection: close\r\n\r\n" } else { "connection: keep-alive\r\n\r\n" });
        let mut front = head.into_bytes();
        if let (Payload::Bytes { bytes, .. }, false) = (&self.payload, bodiless) {
            front.extend_from_slice(bytes);
        }
        front
    }

    /// The announced length of the body.
    pub(crate) fn length(&self) -> u64 {
        match &self.payload {
            Payload::Bytes { bytes, claims } => claims.unwrap_or(bytes.len() as u64),
            Payload::Segments(slices) => slices.iter().map(Slice::len).sum(),
        }
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unspecified",
    }
}
