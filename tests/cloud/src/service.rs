//! Everything the requests of one cloud share, and what one request carries through its handlers.

use crate::auth::issuer::Issuer;
use crate::auth::registry::{Caller, Registry};
use crate::auth::signature::Authorization;
use crate::clock::{Clock, Millis};
use crate::config::Config;
use crate::error::Error;
use crate::fault::{Cut, Faults};
use crate::folio::Folio;
use crate::http::body::BodyCut;
use crate::http::head::Head;
use crate::http::reply::{Fail, Reply};
use crate::http::stream::Stream;
use crate::http::throttle::Throttle;
use crate::http::tls::TlsFace;
use crate::ledger::Ledger;
use crate::oauth::store::Oauth;
use crate::plan::Plan;
use crate::route::Route;
use crate::settings::Settings;
use crate::storage::Storage;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use tokio::net::TcpStream;

pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    pub(crate) storage: Storage,
    pub(crate) faults: Faults,
    pub(crate) ledger: Ledger,
    pub(crate) oauth: Oauth,
    pub(crate) folio: Folio,
    pub(crate) throttle: Throttle,
    pub(crate) tls: Option<TlsFace>,
    pub(crate) profiles: crate::control::profile::Profiles,
    /// Connections accepted so far.
    pub(crate) connections: AtomicU64,
    settings: RwLock<Arc<Settings>>,
}

impl Service {
    pub(crate) fn new(config: Config, issuer: Issuer, oauth: Oauth, tls: Option<TlsFace>) -> Self {
        let clock = Clock::default();
        let now = clock.now();
        let faults = Faults::default();
        for fault in &config.faults {
            faults.add(fault.clone(), now);
        }
        Self {
            storage: Storage::new(config.store.clone(), &config.buckets, now),
            registry: Registry::new(issuer),
            faults,
            ledger: Ledger::new(config.log_entries),
            oauth,
            folio: Folio::default(),
            throttle: Throttle::default(),
            connections: AtomicU64::new(0),
            settings: RwLock::new(Arc::new(config.settings.clone())),
            profiles: crate::control::profile::Profiles::default(),
            clock,
            config,
            tls,
        }
    }

    /// Speaks TLS on a fresh connection; `None` if there is no TLS face or the client does not manage in time.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> Option<Stream> {
        let accepted = self.tls.as_ref()?.acceptor.accept(stream);
        let accepted = tokio::time::timeout(self.settings().head_timeout, accepted).await;
        Some(Stream::Tls(Box::new(accepted.ok()?.ok()?)))
    }

    /// The settings as they are now; a request keeps the ones it started with.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
    }
}

/// One request on its way through a handler.
pub(crate) struct Call<'a> {
    pub(crate) service: &'a Service,
    pub(crate) settings: &'a Settings,
    pub(crate) head: &'a Head,
    pub(crate) route: &'a Route<'a>,
    pub(crate) caller: &'a Caller,
    pub(crate) authorization: Option<&'a Authorization>,
    pub(crate) plan: &'a Plan,
    /// The request came over TLS.
    pub(crate) secure: bool,
}

impl Call<'_> {
    pub(crate) fn now(&self) -> Millis {
        self.service.clock.now()
    }
}

/// Why a handler gives no answer of its own.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The body did not come to its end.
    Body(BodyCut),
    /// The request is refused.
    Fail(Box<Fail>),
    /// The connection is cut without an answer.
    Cut(Cut),
}

pub(crate) type Handled = Result<Reply, Stop>;

impl From<BodyCut> for Stop {
    fn from(cut: BodyCut) -> Self {
        Self::Body(cut)
    }
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Self {
        Self::Fail(Box::new(fail))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Fail::new(500, "InternalServerError", error.to_string()).into()
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Fail::new(500, "InternalServerError", format!("the store failed: {error}")).into()
    }
}
