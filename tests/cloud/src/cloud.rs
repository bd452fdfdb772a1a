//! A running cloud: its listeners, its threads, its end.

use crate::auth::issuer::Issuer;
use crate::config::{Config, Store};
use crate::control::Control;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Door, Face, converse};
use crate::http::stream::Stream;
use crate::http::tls::TlsFace;
use crate::service::Service;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// A running cloud. It has threads of its own and ends, connections and all, when dropped.
pub struct Cloud {
    service: Arc<Service>,
    runtime: Option<Runtime>,
    storage: SocketAddr,
    auth: Option<SocketAddr>,
    tls: Option<SocketAddr>,
}

impl Cloud {
    /// Starts a cloud and returns once it answers. Works inside and outside of an asynchronous runtime.
    ///
    /// Errors: `Invalid` (an address other machines can reach, without leave), `Listen` (port taken), `File` (CA file or
    /// store directory), `Key`.
    pub fn start(config: Config) -> Result<Self, Error> {
        check(&config)?;
        let issuer = Issuer::new()?;
        let tls = match &config.tls {
            Some(tls) => Some(TlsFace::new(&config.region, tls.ca_file.as_deref())?),
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.workers.max(1))
            .thread_name("outlast-cloud")
            .enable_all()
            .build()
            .map_err(|error| Error::io(ErrorKind::Listen, "cannot start the cloud's threads", error))?;
        let service = Arc::new(Service::new(config, issuer, tls));
        let config = &service.config;
        let gate = Gate { service: Arc::clone(&service), connections: Arc::new(AtomicU64::new(0)) };
        let face = if config.auth_port.is_some() { Face::Storage } else { Face::All };
        let storage = gate.open(&runtime, config.port, face, false)?;
        let auth = config.auth_port.map(|port| gate.open(&runtime, port, Face::Auth, false)).transpose()?;
        let tls_port = config.tls.as_ref().map(|tls| tls.port);
        let tls = tls_port.map(|port| gate.open(&runtime, port, Face::All, true)).transpose()?;
        Ok(Self { service, runtime: Some(runtime), storage, auth, tls })
    }

    /// Base URL of object storage, without trailing slash; `/_control/` is there too.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.storage)
    }

    /// Base URL of the auth service, without trailing slash; the storage one's unless it has a port of its own.
    pub fn auth_endpoint(&self) -> String {
        format!("http://{}", self.auth.unwrap_or(self.storage))
    }

    /// Base URL of the TLS face, which answers everything.
    pub fn tls_endpoint(&self) -> Option<String> {
        self.tls.map(|address| match address.ip() {
            ip if ip.is_loopback() => format!("https://localhost:{}", address.port()),
            _ => format!("https://{address}"),
        })
    }

    /// An HTTP proxy (CONNECT) that leads every host to the TLS face: for clients whose endpoints cannot be redirected.
    pub fn proxy(&self) -> Option<String> {
        self.tls.map(|_| self.endpoint())
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
    pub(crate) fn run_until_told(mut self, with_stdin: bool) -> Result<(), Error> {
        let failed = |error| Error::io(ErrorKind::Listen, "cannot watch for signals", error);
        let Some(runtime) = self.runtime.take() else { return Ok(()) };
        let told = runtime.block_on(async {
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
        });
        runtime.shutdown_background();
        told
    }

    /// Ends the cloud at once.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cloud")
            .field("storage", &self.storage)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Lets connections in.
struct Gate {
    service: Arc<Service>,
    connections: Arc<AtomicU64>,
}

impl Gate {
    fn open(&self, runtime: &Runtime, port: u16, face: Face, tls: bool) -> Result<SocketAddr, Error> {
        let address = SocketAddr::new(self.service.config.listen, port);
        let failed = |error| Error::io(ErrorKind::Listen, format!("cannot listen on {address}"), error);
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(failed)?
        };
        let (service, connections) = (Arc::clone(&self.service), Arc::clone(&self.connections));
        runtime.spawn(async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    // Out of descriptors, most likely: let some close.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let connection = connections.fetch_add(1, Ordering::Relaxed) + 1;
                service.ledger.count(|stats| stats.connections += 1);
                let _ = stream.set_nodelay(true);
                let (service, door) = (Arc::clone(&service), Door { face, peer, connection });
                tokio::spawn(async move {
                    let stream = match service.tls.as_ref().filter(|_| tls) {
                        None => Stream::Plain(stream),
                        Some(tls) => match tls.acceptor.accept(stream).await {
                            Ok(stream) => Stream::Tls(Box::new(stream)),
                            Err(_) => return,
                        },
                    };
                    converse(&service, stream, door).await;
                });
            }
        });
        Ok(bound)
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

fn shown(ip: IpAddr) -> String {
    if ip.is_unspecified() { format!("{ip} (every interface)") } else { ip.to_string() }
}
