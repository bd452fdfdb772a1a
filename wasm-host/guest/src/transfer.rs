//! One request over `wasi:http`: sent once, exactly as signed, with breaks and stalls told apart.
//!
//! | state      | waits for                         | then                                          |
//! |------------|-----------------------------------|-----------------------------------------------|
//! | sending    | room in the body, or an answer    | next block read, hashed, written; or refused  |
//! | flushing   | the host has taken all bytes      | body finished                                 |
//! | awaiting   | the head of the answer            | its body                                      |
//! | receiving  | bytes of the answer               | reply                                         |

use std::time::Duration;

use outlast_core::engine::checksum::{Digests, Hasher, Wanted};
use outlast_core::engine::config::Endpoint;
use outlast_core::engine::credential::Credential;
use outlast_core::engine::sign::authorize;
use outlast_core::engine::time::{Mono, UnixMillis};
use outlast_core::engine::upload::spec::STALL_TIMEOUT;
use outlast_core::engine::wire::{Method, Reply, Request, TransportFailure, TransportKind};
use outlast_core::{Error, ErrorKind};

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method as HttpMethod,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::limiter::Limiter;
use crate::origin::Origin;

/// Largest answer kept, bytes; the longest page of 1,000 parts has about 150 KiB.
const MAX_REPLY: usize = 1 << 20;
/// How long a refusal's words are waited for once its status is here.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes read, hashed and handed to the host at a time.
const BLOCK: u64 = 256 << 10;
/// How long connecting may take, where the host obeys it. Not shorter than a stall: Node's shim takes it for the longest
/// silence until the answer.
const CONNECT_TIMEOUT: Duration = STALL_TIMEOUT;
/// Hosts bound the time to the answer's first byte, some from before the body goes out; stalls are noticed here instead.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_hours(24);
const USER_AGENT: &str = concat!("outlast-wasm/", env!("CARGO_PKG_VERSION"));

/// The bytes that a request carries.
pub(crate) enum Content {
    /// The request's own JSON, or nothing.
    Json,
    /// A range of a file or stream, hashed on its way.
    Source {
        /// Where it is read.
        origin: Origin,
        /// First byte.
        offset: u64,
        /// How many.
        len: u64,
        /// Which checksums.
        wanted: Wanted,
    },
}

/// What became of a request.
pub(crate) struct Outcome {
    /// The answer.
    pub(crate) reply: Result<Reply, TransportFailure>,
    /// Checksums of the bytes, when all of them went out.
    pub(crate) sent: Option<Digests>,
}

/// What one look at a request gave.
pub(crate) enum Look {
    /// It waits for the host.
    Waiting,
    /// Bytes went out, and more can be tried at once.
    Moved(u64),
    /// It waits for the limiter until then.
    Limited(Mono),
    /// It has ended.
    Ended(Box<Outcome>),
}

/// A request in flight. Fields are dropped in order: what the host made last goes first.
pub(crate) struct Transfer {
    output: Option<Output>,
    input: Option<Input>,
    answer: Answer,
    content: Remaining,
    reply: Option<Reply>,
    /// The last moment at which something moved.
    moved: Mono,
    deadline: Option<Mono>,
}

struct Output {
    ready: Pollable,
    stream: OutputStream,
    body: OutgoingBody,
}

struct Input {
    ready: Pollable,
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

struct Answer {
    ready: Pollable,
    future: FutureIncomingResponse,
}

struct Remaining {
    origin: Option<Origin>,
    json: Vec<u8>,
    offset: u64,
    left: u64,
    hasher: Hasher,
    flushing: bool,
    /// The host takes no more bytes; the answer will say why.
    broken: bool,
}

impl Transfer {
    /// Signs and hands the request to the host.
    pub(crate) fn start(
        endpoint: &Endpoint,
        mut request: Request,
        credential: &Credential,
        date: UnixMillis,
        content: Content,
        now: Mono,
    ) -> Result<Transfer, TransportFailure> {
        request.target = endpoint.full_target(&request.target);
        // A credential that signs nothing does not sign when it is asked again: a failure that lasts.
        let signed = authorize(&request, endpoint.host(), date, credential)
            .map_err(|error| TransportFailure { kind: TransportKind::Tls, error })?;
        let json = std::mem::take(&mut request.json);
        let (origin, offset, left, wanted) = match content {
            Content::Json => (None, 0, json.len() as u64, Wanted::default()),
            Content::Source { origin, offset, len, wanted } => (Some(origin), offset, len, wanted),
        };
        let headers = Fields::new();
        let put =
            |name: &str, value: &str| headers.append(name, value.as_bytes()).map_err(|_| unbuildable(name));
        put("user-agent", USER_AGENT)?;
        for (name, value) in &request.headers {
            put(name, value)?;
        }
        for (name, value) in &request.metadata {
            put(name, value)?;
        }
        let mut has_length = false;
        // The host sets `host` from the authority, and it is the same text that was signed.
        for (name, value) in signed.headers.iter().filter(|(name, _)| *name != "host") {
            has_length |= *name == "content-length";
            put(name, value.expose())?;
        }
        if !has_length && matches!(request.method, Method::Post | Method::Put) {
            put("content-length", &left.to_string())?;
        }
        let outgoing = OutgoingRequest::new(headers);
        let scheme = if endpoint.base().starts_with("https:") { Scheme::Https } else { Scheme::Http };
        let set = outgoing
            .set_method(&method(request.method))
            .and_then(|()| outgoing.set_scheme(Some(&scheme)))
            .and_then(|()| outgoing.set_authority(Some(endpoint.host())))
            .and_then(|()| outgoing.set_path_with_query(Some(&request.target)));
        set.map_err(|()| unbuildable("the request line"))?;
        let output = if left > 0 { Some(Output::new(&outgoing)?) } else { None };
        let future =
            outgoing_handler::handle(outgoing, Some(options())).map_err(|code| failure(&code, false))?;
        Ok(Transfer {
            output,
            input: None,
            answer: Answer { ready: future.subscribe(), future },
            content: Remaining {
                origin,
                json,
                offset,
                left,
                hasher: Hasher::new(wanted),
                flushing: false,
                broken: false,
            },
            reply: None,
            moved: now,
            deadline: None,
        })
    }

    /// The same, given up at this moment whatever happens.
    #[must_use]
    pub(crate) fn until(mut self, deadline: Mono) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What it waits for, besides time.
    pub(crate) fn pollables<'a>(&'a self, limited: bool, list: &mut Vec<&'a Pollable>) {
        if let Some(input) = &self.input {
            list.push(&input.ready);
            return;
        }
        list.push(&self.answer.ready);
        if let Some(output) = &self.output
            && !self.content.broken
            && !limited
        {
            list.push(&output.ready);
        }
    }

    /// When it stalls.
    pub(crate) fn due(&self) -> Mono {
        let patience = match &self.reply {
            Some(reply) if !is_success(reply.status) => REFUSAL_PATIENCE,
            _ => STALL_TIMEOUT,
        };
        let stalled = self.moved + patience;
        self.deadline.map_or(stalled, |deadline| deadline.min(stalled))
    }

    /// Nobody has looked at it for this long; that is not its fault.
    pub(crate) fn excuse(&mut self, gap: Duration) {
        self.moved = self.moved + gap;
        self.deadline = self.deadline.map(|deadline| deadline + gap);
    }

    /// Does what can be done without waiting, one block at a time.
    pub(crate) fn look(&mut self, limiter: Option<&mut Limiter>, now: Mono) -> Look {
        if self.input.is_none() {
            match self.answer.future.get() {
                Some(Ok(Ok(response))) => match self.head(response, now) {
                    Ok(()) => {}
                    Err(failure) => return ended(Err(failure), None),
                },
                Some(Ok(Err(code))) => return ended(Err(failure(&code, self.is_whole())), None),
                Some(Err(())) => return ended(Err(defect("the host gave the answer twice")), None),
                None => {}
            }
        }
        if self.input.is_some() {
            return self.receive(now);
        }
        let look = self.send(limiter, now);
        if matches!(look, Look::Waiting) && now >= self.due() {
            return ended(Err(self.stalled(now)), None);
        }
        look
    }

    fn is_whole(&self) -> bool {
        self.output.is_none()
    }

    fn stalled(&self, now: Mono) -> TransportFailure {
        let message = format!("nothing moved for {} s", (now - self.moved).as_secs());
        TransportFailure { kind: TransportKind::Stalled, error: Error::new(ErrorKind::Timeout, message) }
    }

    fn send(&mut self, limiter: Option<&mut Limiter>, now: Mono) -> Look {
        let Some(output) = &self.output else { return Look::Waiting };
        let content = &mut self.content;
        if content.broken {
            return Look::Waiting;
        }
        let room = match output.stream.check_write() {
            Ok(0) => return Look::Waiting,
            Ok(room) => room,
            Err(_) => {
                content.broken = true;
                return Look::Waiting;
            }
        };
        if content.flushing {
            self.moved = now;
            return match self.output.take().map_or(Ok(()), Output::finish) {
                Ok(()) => Look::Moved(0),
                Err(code) => ended(Err(failure(&code, false)), None),
            };
        }
        let wanted = room.min(BLOCK).min(content.left);
        let granted = match limiter {
            Some(limiter) => match limiter.grant(wanted, now) {
                0 => {
                    self.moved = now;
                    return Look::Limited(limiter.next());
                }
                granted => granted,
            },
            None => wanted,
        };
        let block = match content.next(granted) {
            Ok(block) => block,
            Err(error) => return ended(Err(TransportFailure { kind: TransportKind::Source, error }), None),
        };
        let len = block.len() as u64;
        if output.stream.write(&block).is_err() {
            content.broken = true;
            return Look::Waiting;
        }
        content.hasher.update(&block);
        content.offset += len;
        content.left -= len;
        self.moved = now;
        if content.left == 0 {
            content.flushing = true;
            content.broken = output.stream.flush().is_err();
        }
        Look::Moved(len)
    }

    /// The head of the answer is here, which may be before the body is out.
    fn head(&mut self, response: IncomingResponse, now: Mono) -> Result<(), TransportFailure> {
        self.moved = now;
        let text = |value: Vec<u8>| String::from_utf8(value).ok();
        let headers = response.headers().entries();
        self.reply = Some(Reply {
            status: response.status(),
            headers: headers
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?)))
                .collect(),
            body: Vec::new(),
        });
        let body = response.consume().map_err(|()| defect("the answer has no body"))?;
        let stream = body.stream().map_err(|()| defect("the answer's body cannot be read"))?;
        self.input = Some(Input { ready: stream.subscribe(), stream, _body: body, _response: response });
        Ok(())
    }

    fn receive(&mut self, now: Mono) -> Look {
        let (Some(input), Some(reply)) = (&self.input, &mut self.reply) else { return Look::Waiting };
        loop {
            match input.stream.read(64 << 10) {
                Ok(bytes) if bytes.is_empty() => {
                    return if now >= self.due() { self.conclude(false, now) } else { Look::Waiting };
                }
                Ok(bytes) => {
                    self.moved = now;
                    let room = MAX_REPLY - reply.body.len();
                    reply.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    if bytes.len() >= room {
                        return self.conclude(true, now);
                    }
                }
                Err(StreamError::Closed) => return self.conclude(true, now),
                Err(StreamError::LastOperationFailed(_)) => return self.conclude(false, now),
            }
        }
    }

    /// The answer ends here; `whole` unless it broke off or stalled.
    fn conclude(&mut self, whole: bool, now: Mono) -> Look {
        let Some(reply) = self.reply.take() else { return Look::Waiting };
        // A refusal counts even if its words are lost.
        if !whole && is_success(reply.status) {
            let error = if now >= self.due() {
                self.stalled(now)
            } else {
                let error = Error::new(ErrorKind::Network, "the answer broke off");
                TransportFailure { kind: TransportKind::BrokenAfterSending, error }
            };
            return ended(Err(error), None);
        }
        if is_success(reply.status) && !self.is_whole() && self.content.left > 0 {
            return ended(Err(defect("the service was satisfied before it had all bytes")), None);
        }
        let all = self.content.left == 0;
        let hasher = std::mem::take(&mut self.content.hasher);
        let sent = (all && self.content.origin.is_some()).then(|| hasher.finish());
        ended(Ok(reply), sent)
    }
}

impl Output {
    fn new(request: &OutgoingRequest) -> Result<Output, TransportFailure> {
        let body = request.body().map_err(|()| unbuildable("the body"))?;
        let stream = body.write().map_err(|()| unbuildable("the body"))?;
        Ok(Output { ready: stream.subscribe(), stream, body })
    }

    fn finish(self) -> Result<(), ErrorCode> {
        let Output { ready, stream, body } = self;
        drop(ready);
        drop(stream);
        OutgoingBody::finish(body, None)
    }
}

impl Remaining {
    fn next(&self, len: u64) -> Result<Vec<u8>, Error> {
        if let Some(origin) = &self.origin {
            return origin.read(self.offset, len);
        }
        let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        let block = self.json.get(start..end);
        block.map(<[u8]>::to_vec).ok_or_else(|| Error::new(ErrorKind::Internal, "the body ends too early"))
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn ended(reply: Result<Reply, TransportFailure>, sent: Option<Digests>) -> Look {
    Look::Ended(Box::new(Outcome { reply, sent }))
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Head => HttpMethod::Head,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn options() -> RequestOptions {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).ok();
    let options = RequestOptions::new();
    // A host may support none of them.
    let _ = options.set_connect_timeout(nanos(CONNECT_TIMEOUT));
    let _ = options.set_first_byte_timeout(nanos(FIRST_BYTE_TIMEOUT));
    let _ = options.set_between_bytes_timeout(nanos(STALL_TIMEOUT));
    options
}

fn unbuildable(what: &str) -> TransportFailure {
    let message = format!("the host does not accept {what} as a part of a request");
    TransportFailure { kind: TransportKind::Protocol, error: Error::new(ErrorKind::Protocol, message) }
}

fn defect(message: &str) -> TransportFailure {
    TransportFailure { kind: TransportKind::Protocol, error: Error::new(ErrorKind::Protocol, message) }
}

/// What the host's report means for the request.
fn failure(code: &ErrorCode, whole: bool) -> TransportFailure {
    let (kind, error_kind, message) = match code {
        ErrorCode::HttpRequestDenied => (
            // Nothing that trying again could change.
            TransportKind::Tls,
            ErrorKind::Permission,
            "the host application does not let the component reach this authority".to_owned(),
        ),
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached => (
            TransportKind::Connect,
            ErrorKind::Network,
            format!("the service cannot be reached: {}", words(code)),
        ),
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            (TransportKind::Tls, ErrorKind::Network, format!("no TLS connection: {}", words(code)))
        }
        ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => {
            (TransportKind::Stalled, ErrorKind::Timeout, format!("nothing moved: {}", words(code)))
        }
        ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpResponseBodySize(_)
        | ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_) => (
            TransportKind::Protocol,
            ErrorKind::Protocol,
            format!("the request or its answer: {}", words(code)),
        ),
        // Hosts report resets as one of several protocol errors.
        _ if whole => (
            TransportKind::BrokenAfterSending,
            ErrorKind::Network,
            format!("the connection broke before the answer: {}", words(code)),
        ),
        _ => (
            TransportKind::BrokenWhileSending,
            ErrorKind::Network,
            format!("the connection broke while sending: {}", words(code)),
        ),
    };
    TransportFailure { kind, error: Error::new(error_kind, message) }
}

/// A host's report in words.
fn words(code: &ErrorCode) -> String {
    match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "the name cannot be resolved".to_owned(),
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::ConnectionTimeout => "connecting took too long".to_owned(),
        ErrorCode::ConnectionTerminated => "the connection was closed".to_owned(),
        ErrorCode::TlsCertificateError => "the certificate is not trusted".to_owned(),
        ErrorCode::InternalError(Some(text)) => text.chars().take(200).collect(),
        other => format!("{other:?}").trim_start_matches("ErrorCode::").to_owned(),
    }
}
