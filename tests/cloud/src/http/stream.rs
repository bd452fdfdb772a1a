//! One connection's socket, plain or TLS.

#[cfg(target_os = "linux")]
use rustix::net::RecvFlags;
use std::io;
use std::time::Duration;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How long a client may take for each piece of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
const WRITE_BYTES: usize = 256 << 10;

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    /// Takes bytes off the socket and drops them, at most as many as the buffer could hold.
    pub(crate) async fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // With MSG_TRUNC a Linux TCP socket drops instead of copying: tcp(7).
        #[cfg(target_os = "linux")]
        if let Self::Plain(tcp) = self {
            let take = || Ok(rustix::net::recv(&*tcp, &mut *buffer, RecvFlags::TRUNC)?.1);
            return tcp.async_io(Interest::READABLE, take).await;
        }
        self.read(buffer).await
    }

    /// Writes it all, as long as the client takes some of it now and then.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(WRITE_BYTES) {
            let written = async {
                match self {
                    Self::Plain(stream) => stream.write_all(piece).await,
                    Self::Tls(stream) => {
                        stream.write_all(piece).await?;
                        stream.flush().await
                    }
                }
            };
            tokio::time::timeout(WRITE_TIMEOUT, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        Ok(())
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Says that nothing more will be written.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Makes the drop of this stream a reset instead of an orderly close.
    pub(crate) fn reset_on_drop(&self) {
        let tcp = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Fails only on a socket that is already dead, where there is nothing left to reset.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}
