//! What the faults have in store for one request, sorted by when it happens.

use crate::clock::{Millis, http_date};
use crate::fault::{Action, At, Cut, Mangle, RetryAfter, Shows};
use crate::http::body::{Body, Mark};
use crate::http::reply::{Fail, Payload, Reply};
use crate::oauth::style::{fault_body, no_store};
use crate::settings::{Expect, Refusal};
use std::time::Duration;

/// Largest damage by size.
const MAX_HUGE_BYTES: u64 = 256 << 20;

/// The actions that befall one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    actions: Vec<Action>,
    pub(crate) ids: Vec<u64>,
    /// Errors take the form of OAuth 2.0.
    oauth: bool,
}

/// How a request ends when a fault ends it.
#[derive(Debug)]
pub(crate) enum End {
    /// With this answer; the second says what happens to the rest of the body.
    Answer(Box<Reply>, Option<Refusal>),
    /// Without one.
    Cut(Cut),
}

impl Plan {
    pub(crate) fn new(actions: Vec<Action>, ids: Vec<u64>, oauth: bool) -> Self {
        Self { actions, ids, oauth }
    }

    /// The end at this point, if there is one. `received` is how much of a body of `length` bytes has come.
    pub(crate) fn end(&self, at: Point, received: u64, length: u64, now: Millis) -> Option<End> {
        self.actions.iter().find_map(|action| match action {
            Action::Answer { at: place, then, .. } if at.covers(*place, received, length) => {
                error_reply(action, now, self.oauth).map(|reply| End::Answer(Box::new(reply), *then))
            }
            Action::Cut { at: place, how } if at.covers(*place, received, length) => Some(End::Cut(*how)),
            _ => None,
        })
    }

    /// Puts stalls and ends into a body.
    pub(crate) fn mark(&self, body: &mut Body<'_>) {
        let length = body.length();
        for action in &self.actions {
            match action {
                Action::Stall { at, time } => body.mark(offset(*at, length).unwrap_or(0), Mark::Stall(*time)),
                Action::Answer { at, .. } | Action::Cut { at, .. } => {
                    if let Some(offset) = offset(*at, length) {
                        body.mark(offset, Mark::Stop);
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn expect(&self) -> Option<Expect> {
        self.actions.iter().find_map(|action| match action {
            Action::Expect { mode } => Some(*mode),
            _ => None,
        })
    }

    pub(crate) fn corrupt(&self) -> Option<Shows> {
        self.actions.iter().find_map(|action| match action {
            Action::Corrupt { shows } => Some(*shows),
            _ => None,
        })
    }

    pub(crate) fn delay(&self) -> Duration {
        let delays = self.actions.iter().map(|action| match action {
            Action::Delay { time } => *time,
            _ => Duration::ZERO,
        });
        delays.sum()
    }

    pub(crate) fn trickle(&self) -> Option<(usize, Duration)> {
        self.actions.iter().find_map(|action| match action {
            Action::Trickle { bytes, every } => Some((*bytes, *every)),
            _ => None,
        })
    }

    /// True if the part list is to show a wrong checksum for this part.
    pub(crate) fn wrong_list_md5(&self, number: u32) -> bool {
        let lies = |action: &Action| matches!(action, Action::WrongListMd5 { part } if part.is_none_or(|part| part == number));
        self.actions.iter().any(lies)
    }

    /// Changes an answer as the faults say; true if the connection cannot go on after it.
    pub(crate) fn touch(&self, reply: &mut Reply) -> bool {
        let mut broken = false;
        for action in &self.actions {
            match action {
                Action::OmitHeaders { names } => names.iter().for_each(|name| reply.omit(name)),
                Action::SetHeader { name, value } => reply.set(name, value),
                Action::Mangle { how } => broken |= mangle(reply, *how),
                Action::Answer { body: Some(how), .. } if reply.status >= 400 => {
                    broken |= mangle(reply, *how);
                }
                _ => {}
            }
        }
        broken
    }
}

/// A moment in a request's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Head,
    Body,
    Done,
}

impl Point {
    fn covers(self, at: At, received: u64, length: u64) -> bool {
        match self {
            Self::Head => at == At::Head,
            Self::Body => offset(at, length).is_some_and(|offset| offset <= received),
            Self::Done => at == At::Done,
        }
    }
}

/// Where in a body of `length` bytes a place is; `None` for places outside.
fn offset(at: At, length: u64) -> Option<u64> {
    match at {
        At::Head | At::Done => None,
        At::BodyBytes(bytes) => Some(bytes.min(length)),
        At::Middle => Some(length / 2),
        At::BodyEnd => Some(length),
    }
}

fn error_reply(action: &Action, now: Millis, oauth: bool) -> Option<Reply> {
    let Action::Answer { status, code, message, retry_after, .. } = action else { return None };
    let stock = match status {
        401 => crate::http::reply::NOT_AUTHENTICATED,
        429 => "The number of requests exceeded the limit for this tenancy",
        _ => "This answer was asked for by a fault rule",
    };
    let message = message.as_deref().unwrap_or(stock);
    let reply = if oauth {
        no_store(Reply::json(*status, &fault_body(code, message)))
    } else {
        Fail::new(*status, code.as_str(), message).reply()
    };
    Some(match retry_after {
        None => reply,
        Some(RetryAfter::Seconds(seconds)) => reply.with("retry-after", seconds.to_string()),
        Some(RetryAfter::DateIn(seconds)) => {
            let ahead = i64::try_from(*seconds).unwrap_or(0).saturating_mul(1000);
            reply.with("retry-after", http_date(now.saturating_add(ahead)))
        }
    })
}

/// Damages an answer's body; true if what follows on the connection would be misread.
fn mangle(reply: &mut Reply, how: Mangle) -> bool {
    let original = match &mut reply.payload {
        Payload::Bytes { bytes, .. } => std::mem::take(bytes),
        Payload::Segments(_) => Vec::new(),
    };
    let (kind, bytes) = match how {
        Mangle::Html => ("text/html", b"<html><head><title>502 Bad Gateway</title></head></html>\n".to_vec()),
        Mangle::Text => ("text/plain", b"upstream connect error or disconnect/reset before headers".to_vec()),
        Mangle::Empty => ("application/json", Vec::new()),
        Mangle::BrokenJson => ("application/json", b"{\"code\":\"InternalServerErr".to_vec()),
        Mangle::WrongJson => ("application/json", b"[1, null]".to_vec()),
        Mangle::Truncated => {
            let length = original.len().max(2);
            let half = original[..original.len() / 2].to_vec();
            reply.payload = Payload::Bytes { bytes: half, claims: Some(length as u64) };
            return true;
        }
        Mangle::Huge(size) => {
            let mut bytes = vec![b' '; usize::try_from(size.min(MAX_HUGE_BYTES)).unwrap_or(0)];
            bytes.extend_from_slice(&original);
            ("application/json", bytes)
        }
    };
    reply.set("content-type", kind);
    reply.payload = Payload::Bytes { bytes, claims: None };
    false
}
