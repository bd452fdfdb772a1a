//! Requests of components: sent to granted authorities only, over connections that are kept and used again.
//!
//! wasmtime's own sender opens a connection for every request and reaches every host.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use outlast_core::engine::upload::spec::STALL_TIMEOUT;
use outlast_core::{Error, tls};
use wasmtime_wasi_http::{Error as HttpError, RequestOptions, WasiBody, WasiHttpHooks};

use crate::grants::Grants;

/// Idle connections are given up before the service does it, so that requests rarely meet a dead one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// As many idle connections as requests may be in flight.
const MAX_IDLE: usize = 1000;
/// Largest block that a component may hand over at once, bytes.
const BLOCK: usize = 1 << 20;

/// The connections of one client, shared by its instances.
#[derive(Clone, Debug)]
pub struct Sender(Client<HttpsConnector<HttpConnector>, WasiBody>);

impl Sender {
    /// Must be called where a tokio runtime is entered; connections belong to it.
    ///
    /// Errors: `Config` (CA bundle).
    pub fn new(connect_timeout: Duration, ca_bundle: Option<&Path>) -> Result<Sender, Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        // The kernel sees acknowledgements, which nobody else does: it ends connections whose peer has gone silent.
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(STALL_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(ca_bundle)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Sender(client))
    }
}

/// What one instance may send, and through what.
pub(crate) struct Hooks {
    sender: Sender,
    grants: Arc<Grants>,
    response_bytes: usize,
}

impl Hooks {
    pub(crate) fn new(sender: Sender, grants: Arc<Grants>, response_bytes: usize) -> Hooks {
        Hooks { sender, grants, response_bytes }
    }
}

type Wait<T> = Box<dyn Future<Output = Result<T, HttpError>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Wait<()>,
    ) -> Wait<(Response<WasiBody>, Wait<()>)> {
        if !self.grants.allows(request.uri()) {
            return Box::new(std::future::ready(Err(HttpError::HttpRequestDenied)));
        }
        let (sender, limit) = (self.sender.clone(), self.response_bytes);
        Box::new(async move {
            let answer = sender.0.request(request);
            let answer = match options.and_then(|options| options.first_byte_timeout) {
                Some(patience) => tokio::time::timeout(patience, answer)
                    .await
                    .map_err(|_| HttpError::HttpResponseTimeout)?,
                None => answer.await,
            };
            let response = answer.map_err(|error| classify(&error, error.is_connect()))?;
            let response = response.map(|body: Incoming| {
                Limited::new(body, limit)
                    .map_err(move |error| {
                        if error.is::<LengthLimitError>() {
                            HttpError::HttpResponseBodySize(u64::try_from(limit).ok())
                        } else {
                            classify(&*error, false)
                        }
                    })
                    .boxed_unsync()
            });
            // The pool drives the connection.
            let done: Wait<()> = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BLOCK
    }
}

/// What became of a request, in the words of WASI.
fn classify(error: &(dyn StdError + 'static), connecting: bool) -> HttpError {
    if let Some(error) = find::<rustls::Error>(error) {
        return match error {
            rustls::Error::InvalidCertificate(_) => HttpError::TlsCertificateError,
            rustls::Error::AlertReceived(alert) => HttpError::TlsAlertReceived {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(format!("{alert:?}")),
            },
            _ => HttpError::TlsProtocolError,
        };
    }
    let cause = find::<io::Error>(error).map(io::Error::kind);
    if connecting {
        return match cause {
            Some(io::ErrorKind::ConnectionRefused) => HttpError::ConnectionRefused,
            Some(io::ErrorKind::TimedOut) => HttpError::ConnectionTimeout,
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                HttpError::DestinationUnavailable
            }
            _ if innermost(error).contains("dns error") || innermost(error).contains("lookup address") => {
                HttpError::DnsError { rcode: None, info_code: None }
            }
            _ => HttpError::DestinationUnavailable,
        };
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_parse_too_large() => HttpError::HttpResponseHeaderSectionSize(None),
        Some(error) if error.is_parse() => HttpError::HttpResponseIncomplete,
        _ => HttpError::ConnectionTerminated,
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|mut error| {
        // An I/O error that carries another shows that one's cause as its own, and hides the carried one.
        while !error.is::<E>() {
            error = error.downcast_ref::<io::Error>()?.get_ref()?;
        }
        error.downcast_ref::<E>()
    })
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
