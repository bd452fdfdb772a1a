//! From a reader that may block to an upload of a stream: a thread reads ahead, the session's thread hands on.

use std::io::{self, Read};
use std::task::{Context, Poll};

use bytes::Bytes;
use outlast_core::{Error, ErrorKind};
use tokio::sync::mpsc;

/// Bytes read at a time.
const BLOCK: usize = 256 << 10;
/// Blocks read ahead.
const AHEAD: usize = 4;

/// What is read of a stream and not yet written to the component.
pub(crate) struct Feed {
    blocks: mpsc::Receiver<io::Result<Bytes>>,
    rest: Next,
    name: String,
}

/// What is next.
pub(crate) enum Next {
    /// Nothing yet.
    Nothing,
    /// These bytes.
    Bytes(Bytes),
    /// The stream ends, or has ended.
    End,
    /// The stream cannot be read.
    Failed(Error),
}

impl Feed {
    /// Starts the thread that reads; it ends with the stream or with the feed, except inside a read that never returns.
    ///
    /// Errors: `Internal` (no thread).
    pub(crate) fn start(mut reader: Box<dyn Read + Send>, name: &str) -> Result<Feed, Error> {
        let (sender, blocks) = mpsc::channel(AHEAD);
        let read = move || {
            loop {
                let mut block = vec![0; BLOCK];
                let block = match reader.read(&mut block) {
                    Ok(0) => return,
                    Ok(len) => {
                        block.truncate(len);
                        Ok(block.into())
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = block.is_err();
                if sender.blocking_send(block).is_err() || failed {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("outlast-read".to_owned()).spawn(read).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the reading thread cannot be started: {error}"))
        })?;
        Ok(Feed { blocks, rest: Next::Nothing, name: name.to_owned() })
    }

    /// Ready when there is something new to hand on.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.rest, Next::Nothing) {
            return Poll::Pending;
        }
        let block = std::task::ready!(self.blocks.poll_recv(context));
        self.rest = self.judge(block);
        Poll::Ready(())
    }

    /// What is next, without waiting; given back with [`Feed::put_back`] as far as it is not taken.
    pub(crate) fn take(&mut self) -> Next {
        match std::mem::replace(&mut self.rest, Next::Nothing) {
            Next::Nothing => match self.blocks.try_recv() {
                Err(mpsc::error::TryRecvError::Empty) => Next::Nothing,
                Err(mpsc::error::TryRecvError::Disconnected) => Next::End,
                Ok(block) => self.judge(Some(block)),
            },
            next => next,
        }
    }

    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        self.rest = Next::Bytes(bytes);
    }

    fn judge(&self, block: Option<io::Result<Bytes>>) -> Next {
        match block {
            None => Next::End,
            Some(Ok(bytes)) => Next::Bytes(bytes),
            Some(Err(error)) => {
                let line = format!("{} cannot be read: {error}", self.name);
                Next::Failed(Error::new(ErrorKind::Source, line))
            }
        }
    }
}
