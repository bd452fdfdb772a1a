//! Requests to identity providers: one connection each, never repeated, never redirected.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use zeroize::Zeroize;

use super::http::Http;
use super::meter::Meter;
use super::options::ClientOptions;
use super::os;
use super::source::Wire;
use super::trace::Trace;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::wire::web::without_query;
use crate::engine::wire::{Reply, TransportFailure, TransportKind, WebRequest};

/// Longest time for one exchange, from connecting to the last byte of the answer. A provider may rotate and only then be
/// slow, so this is longer than anything a caller waits for a token.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Whatever sends a request once.
pub trait Post {
    /// Sends it, waits, and hands the answer to `read`; the answer's body is wiped afterwards.
    fn post<T>(&self, request: WebRequest, read: impl FnOnce(&Result<Reply, TransportFailure>) -> T) -> T;

    /// Server time minus local time in milliseconds, as far as known.
    fn skew_ms(&self) -> i64 {
        0
    }
}

impl Post for Wire<'_> {
    fn post<T>(&self, request: WebRequest, read: impl FnOnce(&Result<Reply, TransportFailure>) -> T) -> T {
        let outcome = self.runtime.block_on(send(self.http, request, self.trace));
        self.note_date(&outcome);
        read_and_wipe(outcome, read)
    }

    fn skew_ms(&self) -> i64 {
        self.skew_ms
    }
}

/// A sender of its own, for signing in and out, where there is no session yet.
pub struct Web {
    http: Http,
    pub(super) runtime: Runtime,
    trace: Option<Trace>,
}

impl Web {
    /// Errors: `Config` (CA bundle), `InvalidInput` (proxy), `Internal` (no thread can be started).
    pub fn new(options: &ClientOptions) -> Result<Web, Error> {
        let http = Http::new(options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("outlast-web")
            .on_thread_start(|| {
                os::block_signals();
            })
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, format!("threads cannot be started: {error}"))
            })?;
        Ok(Web { http, runtime, trace: options.trace.clone() })
    }
}

impl Post for Web {
    fn post<T>(&self, request: WebRequest, read: impl FnOnce(&Result<Reply, TransportFailure>) -> T) -> T {
        read_and_wipe(self.runtime.block_on(send(&self.http, request, self.trace.as_ref())), read)
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

fn read_and_wipe<T>(
    mut outcome: Result<Reply, TransportFailure>,
    read: impl FnOnce(&Result<Reply, TransportFailure>) -> T,
) -> T {
    let result = read(&outcome);
    if let Ok(reply) = &mut outcome {
        reply.body.zeroize();
        // Cookies are tokens, too.
        reply.headers.iter_mut().for_each(|(_, value)| value.zeroize());
    }
    result
}

async fn send(http: &Http, request: WebRequest, trace: Option<&Trace>) -> Result<Reply, TransportFailure> {
    let what = format!("{} {}", request.method.as_str(), without_query(&request.url));
    let meter = Arc::new(Meter::start());
    let sent = tokio::time::timeout(TIMEOUT, http.send_web(request, &meter)).await;
    let outcome = sent.unwrap_or_else(|_| {
        let message = format!("the identity provider did not answer within {} s", TIMEOUT.as_secs());
        Err(TransportFailure { kind: TransportKind::Stalled, error: Error::new(ErrorKind::Timeout, message) })
    });
    if let Some(trace) = trace {
        let ended = match &outcome {
            Ok(reply) => reply.status.to_string(),
            Err(failure) => failure.error.to_string(),
        };
        trace(&format!("{what}: {ended} after {} ms", meter.elapsed().as_millis()));
    }
    outcome
}
