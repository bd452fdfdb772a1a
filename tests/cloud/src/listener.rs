//! Listening sockets: they let connections in until they are told to close, and then the port is free.

use crate::error::{Error, ErrorKind};
use crate::exchange::{Door, Face, converse};
use crate::http::stream::Stream;
use crate::service::Service;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
    /// Disconnects once the socket is closed. (The lock makes clouds shareable between threads; nobody contends.)
    open: Mutex<mpsc::Receiver<()>>,
}

/// What a listener's task owns; the socket is dropped before `_open` tells.
struct Accepting {
    socket: TcpListener,
    _open: mpsc::Sender<()>,
}

impl Listener {
    /// Binds and starts to accept. Errors: `Listen`.
    pub(crate) fn open(
        runtime: &Runtime,
        service: &Arc<Service>,
        port: u16,
        face: Face,
        tls: bool,
    ) -> Result<Self, Error> {
        let wanted = SocketAddr::new(service.config.listen, port);
        let failed = |error| Error::io(ErrorKind::Listen, format!("cannot listen on {wanted}"), error);
        let socket = bind(wanted, service.config.receive_buffer_bytes).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let socket = {
            let _inside = runtime.enter();
            TcpListener::from_std(socket).map_err(failed)?
        };
        let (sender, open) = mpsc::channel();
        let accepting = Accepting { socket, _open: sender };
        let task = runtime.spawn(accept(accepting, Arc::clone(service), face, tls)).abort_handle();
        Ok(Self { address, task, open: Mutex::new(open) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
        // The runtime's own threads drop the socket; a second is for ever there.
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = open.recv_timeout(Duration::from_secs(1));
    }
}

async fn accept(accepting: Accepting, service: Arc<Service>, face: Face, tls: bool) {
    loop {
        let Ok((stream, peer)) = accepting.socket.accept().await else {
            // Out of descriptors, most likely: let some close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let connection = service.connections.fetch_add(1, Ordering::Relaxed) + 1;
        service.ledger.count(|stats| stats.connections += 1);
        let _ = stream.set_nodelay(true);
        tokio::spawn(admit(Arc::clone(&service), stream, Door { face, peer, connection, secure: tls }, tls));
    }
}

async fn admit(service: Arc<Service>, stream: TcpStream, door: Door, tls: bool) {
    let stream = if tls { service.handshake(stream).await } else { Some(Stream::Plain(stream)) };
    if let Some(stream) = stream {
        converse(&service, stream, door).await;
    }
}

/// A small receive buffer makes a server that stops reading felt sooner; connections inherit it from the listener.
fn bind(address: SocketAddr, receive_buffer_bytes: Option<usize>) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
