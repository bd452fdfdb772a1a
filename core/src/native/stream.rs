//! Streams: read once, in order, into buffers that are kept until their part is stored.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::buffer::Pool;
use super::content::unreadable;
use crate::engine::checksum::{Hasher, Wanted};
use crate::engine::command::Filled;
use crate::engine::error::{Error, ErrorKind};

/// Opens the stream; called on the reading thread, since opening a FIFO waits for its writer.
pub(crate) type Opener = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// A source that can be read only once.
///
/// A thread of its own reads it: a read of a pipe may wait for ever and must not take one of the shared threads.
/// The thread ends with the stream, except inside a read that never returns.
pub(crate) struct Stream {
    name: String,
    reader: Mutex<Reader>,
    buffers: Arc<Mutex<BTreeMap<u64, Vec<Bytes>>>>,
}

enum Reader {
    Closed(Opener),
    Running(Sender<Request>),
    Failed,
}

struct Request {
    pool: Pool,
    offset: u64,
    len: u64,
    wanted: Wanted,
    reply: oneshot::Sender<Result<Filled, Error>>,
}

impl Stream {
    /// A stream that is opened when its first bytes are wanted.
    pub(crate) fn new(name: String, open: Opener) -> Self {
        Stream { name, reader: Mutex::new(Reader::Closed(open)), buffers: Arc::default() }
    }

    /// Reads the next `len` bytes into a buffer known by `offset`; fewer at the end of the stream.
    pub(crate) async fn fill(
        &self,
        pool: &Pool,
        offset: u64,
        len: u64,
        wanted: Wanted,
    ) -> Result<Filled, Error> {
        let (reply, answer) = oneshot::channel();
        let request = Request { pool: pool.clone(), offset, len, wanted, reply };
        let stopped =
            || Error::new(ErrorKind::Source, format!("{} cannot be read: its reader has stopped", self.name));
        self.requests().ok_or_else(stopped)?.send(request).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// `len` bytes or fewer from `offset`, out of a filled buffer.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Bytes, Error> {
        let missing =
            || Error::new(ErrorKind::Internal, "the bytes of a stream were wanted after their release");
        let buffers = lock(&self.buffers);
        let (start, blocks) = buffers.range(..=offset).next_back().ok_or_else(missing)?;
        let mut skip = usize::try_from(offset - start).map_err(|_| missing())?;
        for block in blocks {
            if skip < block.len() {
                return Ok(block.slice(skip..block.len().min(skip + len)));
            }
            skip -= block.len();
        }
        Err(missing())
    }

    /// The buffer at `offset` is no longer needed.
    pub(crate) fn release(&self, offset: u64) {
        lock(&self.buffers).remove(&offset);
    }

    fn requests(&self) -> Option<Sender<Request>> {
        let mut reader = lock(&self.reader);
        *reader = match std::mem::replace(&mut *reader, Reader::Failed) {
            Reader::Closed(open) => {
                let (requests, receiver) = mpsc::channel();
                let (name, buffers) = (self.name.clone(), Arc::clone(&self.buffers));
                // Started from one of our threads, so that signals are blocked in it too.
                let thread = std::thread::Builder::new().name("outlast-read".into());
                match thread.spawn(move || serve(&name, open, &receiver, &buffers)) {
                    Ok(_) => Reader::Running(requests),
                    Err(_) => Reader::Failed,
                }
            }
            other => other,
        };
        match &*reader {
            Reader::Running(requests) => Some(requests.clone()),
            _ => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(name: &str, open: Opener, requests: &Receiver<Request>, buffers: &Mutex<BTreeMap<u64, Vec<Bytes>>>) {
    let mut source = None;
    let mut open = Some(open);
    for request in requests {
        if let Some(open) = open.take() {
            source = match open() {
                Ok(reader) => Some(reader),
                Err(error) => {
                    let _ = request.reply.send(Err(unreadable(name, &error)));
                    return;
                }
            };
        }
        let source = source.as_mut().expect("opened with the first request");
        let mut hasher = Hasher::new(request.wanted);
        match gather(source, &request, &mut hasher) {
            Ok((blocks, len)) => {
                lock(buffers).insert(request.offset, blocks);
                let _ = request.reply.send(Ok(Filled { len, digests: hasher.finish() }));
            }
            Err(error) => {
                let _ = request.reply.send(Err(unreadable(name, &error)));
                return;
            }
        }
    }
}

fn gather(source: &mut dyn Read, request: &Request, hasher: &mut Hasher) -> io::Result<(Vec<Bytes>, u64)> {
    let mut blocks = Vec::new();
    let mut total = 0;
    loop {
        let room = usize::try_from(request.len - total).unwrap_or(usize::MAX).min(request.pool.block_size());
        if room == 0 || request.reply.is_closed() {
            return Ok((blocks, total));
        }
        let mut buffer = request.pool.take();
        let read = read_full(source, &mut buffer.memory()[..room])?;
        let block = buffer.freeze(read);
        hasher.update(&block);
        total += read as u64;
        if read > 0 {
            blocks.push(block);
        }
        if read < room {
            return Ok((blocks, total));
        }
    }
}

/// Fills `memory` unless the stream ends before.
fn read_full(source: &mut dyn Read, memory: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < memory.len() {
        match source.read(&mut memory[filled..]) {
            Ok(0) => break,
            // A reader that claims more than there was room for must not make us panic.
            Ok(read) => filled = memory.len().min(filled + read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte, then two, then three …, as pipes do.
    struct Dribble(Vec<u8>, usize);

    impl Read for Dribble {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            let len = self.1.min(self.0.len()).min(out.len());
            for (to, from) in out.iter_mut().zip(self.0.drain(..len)) {
                *to = from;
            }
            Ok(len)
        }
    }

    fn stream(content: &[u8]) -> Stream {
        let reader = Dribble(content.to_vec(), 0);
        Stream::new("pipe".into(), Box::new(move || Ok(Box::new(reader))))
    }

    #[tokio::test]
    async fn fills_in_order_and_forgets_what_is_released() {
        let (pool, wanted) = (Pool::new(4), Wanted { crc32c: true, ..Wanted::default() });
        let stream = stream(b"0123456789abcdef!");
        let first = stream.fill(&pool, 0, 10, wanted).await.expect("readable");
        assert_eq!((first.len, first.digests.crc32c), (10, Some(crc32c::crc32c(b"0123456789"))));
        let second = stream.fill(&pool, 10, 10, wanted).await.expect("readable");
        assert_eq!(second.len, 7);
        assert_eq!(&stream.read(6, 100).expect("kept")[..], b"67");
        assert_eq!(&stream.read(8, 1).expect("kept")[..], b"8");
        assert_eq!(&stream.read(14, 2).expect("kept")[..], b"ef");
        assert_eq!(&stream.read(16, 9).expect("kept")[..], b"!");
        stream.release(0);
        assert!(stream.read(6, 1).is_err());
        assert_eq!(stream.fill(&pool, 17, 10, wanted).await.expect("at the end").len, 0);
    }

    /// Notes where it was asked to put its bytes.
    struct Noting(Arc<Mutex<Vec<std::ops::Range<usize>>>>);

    impl Read for Noting {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let start = out.as_ptr().addr();
            self.0.lock().expect("no holder panics").push(start..start + out.len());
            out.fill(7);
            Ok(out.len())
        }
    }

    /// What a host writes is copied into these buffers and nowhere else: the bytes that are sent are the bytes read.
    #[tokio::test]
    async fn what_is_sent_lies_where_the_reader_put_it() {
        let noted = Arc::default();
        let reader = Noting(Arc::clone(&noted));
        let stream = Stream::new("pipe".into(), Box::new(move || Ok(Box::new(reader))));
        let wanted = Wanted { crc32c: true, md5: true, ..Wanted::default() };
        assert_eq!(stream.fill(&Pool::new(16), 0, 40, wanted).await.expect("readable").len, 40);
        let mut at = 0;
        while at < 40 {
            let sent = stream.read(at, 100).expect("kept");
            let start = sent.as_ptr().addr();
            let places = noted.lock().expect("no holder panics");
            assert!(places.iter().any(|place| place.start <= start && start + sent.len() <= place.end));
            at += sent.len() as u64;
        }
    }

    #[tokio::test]
    async fn a_reader_that_fails_or_panics_is_an_error_not_a_hang() {
        let (pool, wanted) = (Pool::new(4), Wanted::default());
        let failing = Stream::new("pipe".into(), Box::new(|| Err(io::Error::other("no such luck"))));
        for _ in 0..2 {
            let error = failing.fill(&pool, 0, 1, wanted).await.expect_err("it cannot be opened");
            assert_eq!(error.kind(), ErrorKind::Source);
        }
        let panicking = Stream::new("pipe".into(), Box::new(|| panic!("the host's reader is broken")));
        assert!(panicking.fill(&pool, 0, 1, wanted).await.is_err());
    }
}
