//! What came back.

use std::time::Duration;

use crate::engine::error::{Error, HttpFacts};
use crate::engine::time::UnixMillis;

/// An answer of the service. Drivers cap the body (1 MiB is plenty: the longest page is 1,000 parts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers in wire order, names in lower case; values that are not UTF-8 are left out.
    pub headers: Vec<(String, String)>,
    /// Body, possibly cut by the driver's cap.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// The server's clock, from `date`.
    pub fn date(&self) -> Option<UnixMillis> {
        self.header("date").and_then(UnixMillis::from_http_date)
    }
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// Name resolution or connecting failed: nothing was sent.
    Connect,
    /// TLS could not be set up (wrong certificate, wrong protocol): trying again is useless.
    Tls,
    /// The connection broke while the request was being sent. An early refusal can look like this.
    BrokenWhileSending,
    /// The connection broke after the request was sent whole: its effect is unknown.
    BrokenAfterSending,
    /// No progress in either direction for the configured time.
    Stalled,
    /// The local source could not be read; see the error.
    Source,
    /// The request could not be built or the answer was not HTTP: a defect or a hostile server.
    Protocol,
}

/// A request that got no answer.
#[derive(Clone, Debug)]
pub struct TransportFailure {
    /// Why.
    pub kind: TransportKind,
    /// In words, without secrets or query strings.
    pub error: Error,
}

impl TransportFailure {
    /// Whether the service may have carried the request out.
    pub fn is_ambiguous(&self) -> bool {
        matches!(
            self.kind,
            TransportKind::BrokenAfterSending | TransportKind::Stalled | TransportKind::Protocol
        )
    }
}

/// What an answer means for the request it belongs to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// 2xx.
    Done,
    /// 401: the credential was refused, not the request.
    Refused(HttpFacts),
    /// Worth trying again, after this long if the service said so.
    Again(Option<Duration>, HttpFacts),
    /// 404 on a request that names an upload id: the upload is gone (or was committed).
    UploadGone(HttpFacts),
    /// Will fail again.
    Fatal(Error),
}
