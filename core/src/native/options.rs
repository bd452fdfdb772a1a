//! How a client is set up.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::trace::Trace;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::spec::STALL_TIMEOUT;

/// Options of a [`super::Client`]; the defaults suit one upload from one machine.
#[derive(Clone)]
pub struct ClientOptions {
    /// Threads that sign, encrypt and send; reading and hashing happen on further ones. Default 2.
    pub workers: usize,
    /// Where journals are kept; default `$XDG_STATE_HOME/outlast`, else `~/.local/state/outlast`.
    pub state_dir: Option<PathBuf>,
    /// Bytes per second over all uploads of the client; `None` (default, as 0) is without limit.
    pub limit_rate: Option<u64>,
    /// Longest time for one connection attempt. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest time without a byte in either direction. Default 60 s. There is no limit on a request's total time.
    pub stall_timeout: Duration,
    /// Further certificate authorities (PEM), besides the machine's own.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy for all requests, for example `http://host:3128`; default: what the environment says
    /// (`HTTPS_PROXY`, `NO_PROXY`), which is not asked for loopback.
    pub proxy: Option<String>,
    /// Sent as `opc-client-request-id` with every request, for finding them in the service's logs.
    pub client_request_id: Option<String>,
    /// Allow plain http to other machines. Default: loopback only.
    pub allow_http: bool,
    /// Block in which sources are read, bytes. At most three of them per part in flight are in memory. Default 256 KiB;
    /// smaller blocks are used for uploads with so many requests in flight that this would exceed 64 MiB.
    pub io_buffer: usize,
    /// Seed of the jitter, for reproducible runs; default: from the operating system.
    pub seed: Option<u64>,
    /// Told a line per request and per decision worth one.
    pub trace: Option<Trace>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            workers: 2,
            state_dir: None,
            limit_rate: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: STALL_TIMEOUT,
            ca_bundle: None,
            proxy: None,
            client_request_id: None,
            allow_http: false,
            io_buffer: 256 << 10,
            seed: None,
            trace: None,
        }
    }
}

/// A proxy URL may hold a password, so it is not shown.
impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("workers", &self.workers)
            .field("state_dir", &self.state_dir)
            .field("limit_rate", &self.limit_rate)
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("ca_bundle", &self.ca_bundle)
            .field("proxy", &self.proxy.is_some())
            .field("client_request_id", &self.client_request_id)
            .field("allow_http", &self.allow_http)
            .field("io_buffer", &self.io_buffer)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    /// The state directory: the given one, or the user's.
    ///
    /// Errors: `State` when none is given and the environment names no home directory.
    pub fn state_dir(&self) -> Result<PathBuf, Error> {
        self.state_dir.clone().map_or_else(default_state_dir, Ok)
    }
}

/// `$XDG_STATE_HOME/outlast`, else `~/.local/state/outlast` (XDG base directory specification 0.8).
///
/// Errors: `State` when neither variable names an absolute path.
pub fn default_state_dir() -> Result<PathBuf, Error> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("outlast")).ok_or_else(|| {
        Error::new(
            ErrorKind::State,
            "there is no home directory to keep upload journals in; name a state directory",
        )
    })
}
