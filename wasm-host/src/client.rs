//! The front door: a component, threads for its requests, and what it may use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outlast_core::engine::SessionId;
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_core::{Error, ErrorKind};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::driver::{self, Opening, StartSource};
use crate::feed::Feed;
use crate::limits::Limits;
use crate::lock::Lock;
use crate::notices::{Listeners, Notices};
use crate::plugin::Plugin;
use crate::sender::Sender;
use crate::session::Session;
use crate::spec::{SessionSpec, SourceSpec, absolute, parent, text};
use crate::upload::{Upload, UploadSource};

/// Options of a [`Client`]. Nothing is taken from the environment.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Threads that encrypt and send. Each session has a further one, on which its component runs. Default 2.
    pub workers: usize,
    /// Where uploads are made resumable: the component gets the folder `component` in it. `None` (default): nothing can
    /// be resumed.
    pub state_dir: Option<PathBuf>,
    /// Bytes per second of each upload; `None` (default) is without limit.
    pub limit_rate: Option<u64>,
    /// Longest time for one connection attempt. Default 10 s.
    pub connect_timeout: Duration,
    /// Further certificate authorities (PEM), besides the machine's own.
    pub ca_bundle: Option<PathBuf>,
    /// Allow plain http to other machines. Default: loopback only.
    pub allow_http: bool,
    /// How much each session's component may use.
    pub limits: Limits,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            workers: 2,
            state_dir: None,
            limit_rate: None,
            connect_timeout: Duration::from_secs(10),
            ca_bundle: None,
            allow_http: false,
            limits: Limits::default(),
        }
    }
}

/// Runs sessions and uploads in components. Clones share it.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    plugin: Plugin,
    options: ClientOptions,
    /// Taken when the client goes: a runtime must not be dropped where one is entered.
    runtime: Option<Runtime>,
    sender: Sender,
    listeners: Arc<Listeners>,
    sessions: AtomicU64,
    uploads: Arc<AtomicU64>,
}

impl Client {
    /// Starts the threads that send.
    ///
    /// Errors: `Config` (CA bundle), `InvalidInput` (no workers), `Internal` (no threads).
    pub fn new(plugin: Plugin, options: ClientOptions) -> Result<Client, Error> {
        if options.workers == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "a client needs at least one worker"));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.workers)
            .thread_name("outlast-send")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, format!("threads cannot be started: {error}"))
            })?;
        let sender = {
            let _entered = runtime.enter();
            Sender::new(options.connect_timeout, options.ca_bundle.as_deref())?
        };
        Ok(Client(Arc::new(Inner {
            plugin,
            options,
            runtime: Some(runtime),
            sender,
            listeners: Arc::default(),
            sessions: AtomicU64::new(1),
            uploads: Arc::new(AtomicU64::new(1)),
        })))
    }

    /// How it was set up.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// Opens a session in a component of its own, which is granted the session's endpoints and folders.
    ///
    /// Errors: `InvalidInput` (endpoints, folders), `Config` (a key or token that cannot be used), `Internal`.
    pub async fn session(&self, spec: SessionSpec) -> Result<Session, Error> {
        let (options, grants) = spec.wire(self.0.options.allow_http)?;
        let id = SessionId(self.0.sessions.fetch_add(1, Ordering::Relaxed));
        let endpoint = options.endpoint.clone();
        let supplier = match spec.source {
            SourceSpec::Supplied(supplier) => Some(supplier),
            _ => None,
        };
        let opened = driver::open(Opening {
            id,
            client: self.clone(),
            grants,
            sender: self.0.sender.clone(),
            listeners: Arc::clone(&self.0.listeners),
            uploads: Arc::clone(&self.0.uploads),
            options,
            supplier,
        });
        let (inbox, stop) = opened.await?;
        Ok(Session::new(id, endpoint, inbox, stop, self.clone()))
    }

    /// Every notice of its sessions from now on.
    pub fn subscribe(&self) -> Notices {
        self.0.listeners.subscribe()
    }

    /// Starts an upload. Of a file, the component is granted the folder, for reading, and the state folder.
    ///
    /// Errors: `InvalidInput` (the component keeps sessions only; a name; a path that cannot be granted; a stream whose
    /// parts in flight do not fit into the component's memory), `Source` (unreadable file), `State`, `Busy` (another
    /// process is at it), `Internal`.
    /// Cancel: dropping the future may leave the upload running; it ends with its session.
    pub async fn upload(
        &self,
        session: &Session,
        source: UploadSource,
        target: Target,
        options: UploadOptions,
    ) -> Result<Upload, Error> {
        let source = match source {
            UploadSource::Path(path) => self.file(session, &path, &target)?,
            UploadSource::Reader { reader, name } => {
                self.has_room(&options)?;
                StartSource::Stream { feed: Feed::start(reader, &name)?, name }
            }
        };
        session.start(source, target, options).await
    }

    fn file(&self, session: &Session, path: &Path, target: &Target) -> Result<StartSource, Error> {
        let path = absolute(path)?;
        let (file, folder) = (text(&path)?, parent(&path)?.to_owned());
        let state = self.0.options.state_dir.as_deref().map(absolute).transpose()?;
        let lock =
            state.as_deref().map(|dir| Lock::take(dir, session.endpoint(), target, &file)).transpose()?;
        let journals = state.map(|dir| dir.join("component"));
        Ok(StartSource::File { folder, file, journals, lock })
    }

    /// Whether the parts of a stream, kept until they are stored, fit into the component's memory.
    fn has_room(&self, options: &UploadOptions) -> Result<(), Error> {
        let needed = options.part_size.saturating_mul(options.parallel.into());
        let room = self.0.options.limits.stream_bytes();
        if needed <= room {
            return Ok(());
        }
        let line = format!(
            "{} parts of {} bytes at once need more memory than the component's limit leaves ({room} bytes); choose smaller \
             parts, fewer requests in flight, or a higher limit",
            options.parallel, options.part_size
        );
        Err(Error::new(ErrorKind::InvalidInput, line))
    }

    pub(crate) fn plugin_and_limits(&self) -> (&Plugin, &Limits) {
        (&self.0.plugin, &self.0.options.limits)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.runtime.as_ref().expect("it is taken when nobody can ask any more").handle().clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.0.options).finish_non_exhaustive()
    }
}
