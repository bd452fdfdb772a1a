//! A running cloud: its listeners, its threads, its end.

use crate::auth::issuer::Issuer;
use crate::config::{Config, Store};
use crate::control::Control;
use crate::error::{Error, ErrorKind};
use crate::exchange::Face;
use crate::http::tls::TlsFace;
use crate::listener::Listener;
use crate::oauth::store::Oauth;
use crate::service::Service;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// A running cloud. It has threads of its own and ends, connections and all, when dropped.
pub struct Cloud {
    service: Arc<Service>,
    storage: Option<Listener>,
    auth: Option<Listener>,
    tls: Option<Listener>,
    runtime: Option<Runtime>,
    /// The authority's file, if nobody asked for a place.
    _ca_dir: Option<TempDir>,
}

impl Cloud {
    /// Starts a cloud and returns once it answers. Works inside and outside of an asynchronous runtime.
    ///
    /// Errors: `Invalid` (an address other machines can reach, without leave), `Listen` (port taken), `File` (CA file or
    /// store directory), `Key`.
    pub fn start(config: Config) -> Result<Self, Error> {
        check(&config)?;
        let issuer = Issuer::new()?;
        let (tls, ca_dir) = match &config.tls {
            Some(tls) => {
                let (face, dir) = TlsFace::new(&config.region, tls.ca_file.as_deref())?;
                (Some(face), dir)
            }
            None => (None, None),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.workers.max(1))
            .thread_name("outlast-cloud")
            .enable_all()
            .build()
            .map_err(|error| Error::io(ErrorKind::Listen, "cannot start the cloud's threads", error))?;
        let service = Arc::new(Service::new(config, issuer, Oauth::new()?, tls));
        // From here on the runtime ends as a cloud's does, whatever fails: it must not be dropped inside another one.
        let mut cloud =
            Self { service, storage: None, auth: None, tls: None, runtime: Some(runtime), _ca_dir: ca_dir };
        cloud.open()?;
        Ok(cloud)
    }

    fn open(&mut self) -> Result<(), Error> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let (service, config) = (&self.service, &self.service.config);
        let face = if config.auth_port.is_some() { Face::Storage } else { Face::All };
        self.storage = Some(Listener::open(runtime, service, config.port, face, false)?);
        if let Some(port) = config.auth_port {
            self.auth = Some(Listener::open(runtime, service, port, Face::Auth, false)?);
        }
        if let Some(tls) = &config.tls {
            self.tls = Some(Listener::open(runtime, service, tls.port, Face::All, true)?);
        }
        Ok(())
    }

    /// Base URL of object storage, without trailing slash; `/_control/` is there too.
    pub fn endpoint(&self) -> String {
        format!("http://{}", address(self.storage.as_ref()))
    }

    /// Base URL of the auth service, without trailing slash; the storage one's unless it has a port of its own.
    pub fn auth_endpoint(&self) -> String {
        format!("http://{}", address(self.auth.as_ref().or(self.storage.as_ref())))
    }

    /// Base URL of the TLS face, which answers everything.
    pub fn tls_endpoint(&self) -> Option<String> {
        self.tls.as_ref().map(|listener| match listener.address {
            address if address.ip().is_loopback() => format!("https://localhost:{}", address.port()),
            address => format!("https://{address}"),
        })
    }

    /// An HTTP proxy (CONNECT) that leads every host to the TLS face: for clients whose endpoints cannot be redirected.
    pub fn proxy(&self) -> Option<String> {
        self.tls.as_ref().map(|_| self.endpoint())
    }

    /// The certificate of the test authority (PEM).
    pub fn ca_file(&self) -> Option<&Path> {
        self.service.tls.as_ref().map(|tls| tls.ca_file.as_path())
    }

    /// What this cloud was started with.
    pub fn config(&self) -> &Config {
        &self.service.config
    }

    /// The handle to look inside and to script faults. It stays usable (and useless) after the cloud has ended.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.service))
    }

    /// Prints the request log on stderr as it grows, one JSON line per request.
    pub(crate) fn follow_log(&self) {
        let control = self.control();
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(async move {
            let mut seen = 0;
            loop {
                for entry in control.log_after(seen) {
                    seen = entry.seq;
                    if let Ok(line) = serde_json::to_string(&entry) {
                        eprintln!("{line}");
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    /// Blocks until SIGTERM or SIGINT arrives, or stdin closes if that counts.
    pub(crate) fn run_until_told(self, with_stdin: bool) -> Result<(), Error> {
        let failed = |error| Error::io(ErrorKind::Listen, "cannot watch for signals", error);
        let Some(runtime) = &self.runtime else { return Ok(()) };
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            let stdin_closes = async {
                let mut stdin = tokio::io::stdin();
                while with_stdin && stdin.read(&mut [0; 256]).await.is_ok_and(|n| n > 0) {}
                if !with_stdin {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stdin_closes => {}
            }
            Ok(())
        })
    }

    /// Ends the cloud; its ports are free again when this returns.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // The listeners first, while there are threads to close them.
        (self.storage, self.auth, self.tls) = (None, None, None);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if !config.listen.is_loopback() && !config.allow_non_loopback {
        let message = format!(
            "will not listen on {}: other machines could reach it (set allow_non_loopback to mean it)",
            shown(config.listen)
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if let Store::Disk(dir) = &config.store {
        std::fs::create_dir_all(dir)
            .map_err(|error| Error::io(ErrorKind::File, format!("cannot make {}", dir.display()), error))?;
    }
    Ok(())
}

/// Where a listener listens; the unspecified address for a cloud that has not got that far.
fn address(listener: Option<&Listener>) -> SocketAddr {
    listener.map_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), |listener| listener.address)
}

fn shown(ip: IpAddr) -> String {
    if ip.is_unspecified() { format!("{ip} (every interface)") } else { ip.to_string() }
}
