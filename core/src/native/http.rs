//! Sending one signed request: exactly once, exactly as signed, with stalls and breaks told apart.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect, retry};
use zeroize::Zeroizing;

use super::body::Body;
use super::clock;
use super::endpoint::Endpoint;
use super::meter::Meter;
use super::options::ClientOptions;
use crate::engine::credential::Credential;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::sign::authorize;
use crate::engine::wire::web::is_loopback;
use crate::engine::wire::{Method, Reply, Request, TransportFailure, TransportKind, WebRequest};
use crate::tls;

/// Largest answer kept, bytes; the longest page of 1,000 parts has about 150 KiB.
const MAX_REPLY: usize = 1 << 20;
/// How long a refusal's words are waited for once its status is here.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);
/// Idle connections are given up before the service does it, so that requests rarely meet a dead one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// As many idle connections as requests may be in flight.
const MAX_IDLE: usize = 1000;

/// The HTTP clients of one [`super::Client`].
pub(crate) struct Http {
    proxied: Client,
    /// Loopback is never sent through a proxy that only the environment names.
    direct: Client,
    /// The same two for identity providers: each request gets a connection of its own, since one that was kept may be
    /// dead, and a refresh must not be sent twice.
    once: (Client, Client),
    stall: Duration,
}

/// One request, ready to be signed and sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) request: Request,
    pub(crate) credential: &'a Credential,
    /// Server time minus local time in milliseconds.
    pub(crate) skew_ms: i64,
    /// Bytes of a part; without them the request's own JSON is the body.
    pub(crate) body: Option<Body>,
    pub(crate) meter: Arc<Meter>,
}

impl Http {
    /// Errors: `Config` (CA bundle), `InvalidInput` (proxy).
    pub(crate) fn new(options: &ClientOptions) -> Result<Http, Error> {
        let config = tls::client_config(options.ca_bundle.as_deref())?;
        let mut always = HeaderMap::new();
        if let Some(id) = &options.client_request_id {
            let value = HeaderValue::from_str(id).map_err(|_| illegal("the client request id"))?;
            always.insert(HeaderName::from_static("opc-client-request-id"), value);
        }
        let builder = || {
            let builder = Client::builder()
                .tls_backend_preconfigured(config.clone())
                .http1_only()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(MAX_IDLE)
                .tcp_nodelay(true)
                .user_agent(concat!("outlast/", env!("CARGO_PKG_VERSION")))
                .default_headers(always.clone());
            // The kernel sees acknowledgements, which we do not: it ends connections whose peer has gone silent.
            #[cfg(target_os = "linux")]
            let builder = builder.tcp_user_timeout(options.stall_timeout);
            builder
        };
        let proxied = || match &options.proxy {
            None => Ok(builder()),
            Some(proxy) => {
                let proxy = reqwest::Proxy::all(proxy).map_err(|_| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        "the proxy URL cannot be used; it looks like http://host:port",
                    )
                })?;
                Ok(builder().proxy(proxy.no_proxy(reqwest::NoProxy::from_env())))
            }
        };
        let direct = || if options.proxy.is_some() { None } else { Some(builder().no_proxy()) };
        let build = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the HTTP client cannot be built: {}", innermost(&error)),
                )
            })
        };
        let pair = |change: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder| {
            let far = build(change(proxied()?))?;
            let near = direct().map(change).map(build).transpose()?.unwrap_or_else(|| far.clone());
            Ok::<_, Error>((far, near))
        };
        let (proxied, direct) = pair(|builder| builder)?;
        let once = pair(|builder| builder.pool_max_idle_per_host(0))?;
        Ok(Http { proxied, direct, once, stall: options.stall_timeout })
    }

    /// Signs and sends; returns when the head of the answer is here, which may be before the body is out.
    pub(crate) async fn start(&self, outgoing: Outgoing<'_>) -> Result<Response, TransportFailure> {
        let (endpoint, meter) = (outgoing.endpoint, Arc::clone(&outgoing.meter));
        let has_body = outgoing.body.is_some() || !outgoing.request.json.is_empty();
        let request =
            build(outgoing).map_err(|error| TransportFailure { kind: TransportKind::Protocol, error })?;
        let client = if endpoint.is_loopback() { &self.direct } else { &self.proxied };
        tokio::select! {
            biased;
            answer = client.execute(request) => answer.map_err(|error| classify(&error, endpoint.host(), has_body, &meter)),
            () = meter.stalled(self.stall) => Err(self.stalled()),
        }
    }

    /// Reads the rest of the answer, up to a cap.
    pub(crate) async fn finish(
        &self,
        mut response: Response,
        meter: &Meter,
    ) -> Result<Reply, TransportFailure> {
        let mut reply = Reply {
            status: response.status().as_u16(),
            headers: headers(response.headers()),
            body: Vec::new(),
        };
        let success = response.status().is_success();
        let body = async {
            while let Some(chunk) = response.chunk().await? {
                meter.touch();
                let room = MAX_REPLY - reply.body.len();
                reply.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() >= room {
                    break;
                }
            }
            Ok::<(), reqwest::Error>(())
        };
        let patience = if success { self.stall } else { REFUSAL_PATIENCE.min(self.stall) };
        let ended = tokio::select! {
            biased;
            ended = body => Some(ended),
            () = meter.stalled(patience) => None,
        };
        match ended {
            Some(Ok(())) => Ok(reply),
            // A refusal counts even if its words are lost.
            _ if !success => Ok(reply),
            Some(Err(error)) => Err(failure(
                TransportKind::BrokenAfterSending,
                format!("the answer broke off: {}", innermost(&error)),
            )),
            None => Err(self.stalled()),
        }
    }

    /// Both, for requests without file bytes.
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Reply, TransportFailure> {
        let meter = Arc::clone(&outgoing.meter);
        let response = self.start(outgoing).await?;
        self.finish(response, &meter).await
    }

    /// Sends a request to an identity provider.
    pub(crate) async fn send_web(
        &self,
        request: WebRequest,
        meter: &Arc<Meter>,
    ) -> Result<Reply, TransportFailure> {
        let protocol = |error| TransportFailure { kind: TransportKind::Protocol, error };
        let url = reqwest::Url::parse(&request.url).map_err(|_| {
            protocol(Error::new(ErrorKind::Config, "the identity provider's URL cannot be used"))
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let near = is_loopback(host.trim_matches(['[', ']']));
        let mut sent = reqwest::Request::new(method(request.method), url);
        for (name, value) in &request.headers {
            let value = secret(value.expose()).map_err(protocol)?;
            sent.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if request.method == Method::Post {
            let body = Body::whole(request.body.expose().clone(), Arc::clone(meter));
            sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.remaining()));
            *sent.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let client = if near { &self.once.1 } else { &self.once.0 };
        let response = tokio::select! {
            biased;
            answer = client.execute(sent) => answer.map_err(|error| classify(&error, &host, false, meter))?,
            () = meter.stalled(self.stall) => return Err(self.stalled()),
        };
        self.finish(response, meter).await
    }

    fn stalled(&self) -> TransportFailure {
        let error =
            Error::new(ErrorKind::Timeout, format!("nothing moved for {} s", self.stall.as_secs_f32()));
        TransportFailure { kind: TransportKind::Stalled, error }
    }
}

/// Signs at the last moment and puts the request together.
fn build(outgoing: Outgoing<'_>) -> Result<reqwest::Request, Error> {
    let Outgoing { endpoint, mut request, credential, skew_ms, body, meter } = outgoing;
    request.target = endpoint.full_target(&request.target);
    let url = endpoint.url(&request.target)?;
    let signed = match credential {
        Credential::Bearer(_) => None,
        signs => Some(authorize(&request, endpoint.host(), clock::wall().offset(skew_ms), signs)?),
    };
    let mut sent = reqwest::Request::new(method(request.method), url);
    let headers = sent.headers_mut();
    for (name, value) in &request.headers {
        headers.insert(HeaderName::from_static(name), secret(value)?);
    }
    for (name, value) in &request.metadata {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal(name))?;
        headers.insert(name, secret(value)?);
    }
    for (name, value) in signed.iter().flat_map(|signed| &signed.headers) {
        headers.insert(HeaderName::from_static(name), secret(value.expose())?);
    }
    if let Credential::Bearer(bearer) = credential {
        for (name, value) in bearer.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal(name))?;
            headers.insert(name, secret(value.expose())?);
        }
    }
    let carries = matches!(request.method, Method::Post | Method::Put);
    let body = body.unwrap_or_else(|| Body::whole(std::mem::take(&mut request.json), meter));
    if carries {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.remaining()));
    }
    if carries || body.remaining() > 0 {
        *sent.body_mut() = Some(reqwest::Body::wrap(body));
    }
    Ok(sent)
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// A header value that is neither shown in debug output nor left in memory by us.
fn secret(value: &str) -> Result<HeaderValue, Error> {
    let wiped = Bytes::from_owner(Zeroizing::new(value.as_bytes().to_vec()));
    let mut value = HeaderValue::from_maybe_shared(wiped).map_err(|_| illegal("a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn illegal(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{name} has characters that cannot stand in a header"))
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    map.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// What a failed request means.
fn classify(error: &reqwest::Error, host: &str, has_body: bool, meter: &Meter) -> TransportFailure {
    let cause = innermost(error);
    if error.is_builder() {
        return failure(TransportKind::Protocol, format!("the request cannot be built: {cause}"));
    }
    if error.is_connect() {
        if let Some(tls) = find::<rustls::Error>(error).filter(|tls| is_lasting(tls)) {
            let is_certificate = matches!(tls, rustls::Error::InvalidCertificate(_));
            let hint = if is_certificate { "; a further CA can be given as a bundle" } else { "" };
            return failure(TransportKind::Tls, format!("no TLS connection: {tls}{hint}"));
        }
        let what = if error.is_timeout() {
            format!("connecting to {host} took too long")
        } else {
            format!("{host} cannot be reached")
        };
        return failure(TransportKind::Connect, format!("{what}: {cause}"));
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return failure(TransportKind::Protocol, format!("the answer is not HTTP as we know it: {cause}"));
    }
    if has_body && !meter.is_whole() {
        return failure(
            TransportKind::BrokenWhileSending,
            format!("the connection broke while sending: {cause}"),
        );
    }
    failure(TransportKind::BrokenAfterSending, format!("the connection broke before the answer: {cause}"))
}

/// Whether a handshake that failed like this will fail again. A peer in trouble of its own may recover.
fn is_lasting(error: &rustls::Error) -> bool {
    use rustls::{AlertDescription, Error};
    !matches!(
        error,
        Error::AlertReceived(AlertDescription::InternalError) | Error::General(_) | Error::Other(_)
    )
}

fn failure(kind: TransportKind, message: String) -> TransportFailure {
    let error_kind = match kind {
        TransportKind::Protocol => ErrorKind::Protocol,
        _ => ErrorKind::Network,
    };
    TransportFailure { kind, error: Error::new(error_kind, message) }
}

/// Looks for an error of one type in a chain, also inside `io::Error`, whose `source` skips its own content.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The words of the last error of a chain; the outer ones repeat the URL.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
