//! The push writer: a stream whose bytes the host writes as they come.
//!
//! A write lends its bytes and waits until the upload has copied them into the buffers it sends from: one copy, and the
//! pace of the network on the writer, as with a pipe.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outlast_core::{Error, ErrorKind};

use crate::error::outlast_error;
use crate::guard::{Failure, guard, quietly};
use crate::handle::{self, Handle};
use crate::queue::timeout;
use crate::status::outlast_status;
use crate::view::{self, Lent, Slot};

/// The writing end of an upload.
pub struct outlast_writer {
    _opaque: (),
}

impl Handle for outlast_writer {
    type Rust = Writer;
    const NAME: &'static str = "writer";
    const THREADS: bool = true;
}

/// What a writer handle stands for.
pub struct Writer(Arc<Pipe>);

struct Pipe {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    lent: Option<Lent>,
    /// A write is under way: writes do not mix.
    busy: bool,
    /// No more will come; `false`: because the host gave up.
    ended: Option<bool>,
    /// An upload reads it, or has.
    taken: bool,
    /// That upload wants no more.
    reader_gone: bool,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, State>, bool) {
        let Some(deadline) = deadline else {
            return (self.moved.wait(state).unwrap_or_else(PoisonError::into_inner), false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (state, true);
        }
        (self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0, false)
    }

    fn write(&self, bytes: &[u8], limit: Option<Duration>, written: &mut usize) -> Result<(), Failure> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.lock();
        while state.busy {
            let late;
            (state, late) = self.wait(state, deadline);
            if late {
                return Err(Failure::timeout("another write did not end"));
            }
        }
        check_open(&state)?;
        if bytes.is_empty() {
            return Ok(());
        }
        // SAFETY: it is withdrawn below, before this function returns, and nothing in between can panic or return.
        state.lent = Some(unsafe { Lent::new(bytes) });
        state.busy = true;
        self.moved.notify_all();
        let result = loop {
            match &state.lent {
                None => break Ok(()),
                Some(_) if state.reader_gone => break check_open(&state),
                Some(_) if state.ended.is_some() => {
                    break Err(Failure::invalid("the writer was ended during the write"));
                }
                Some(_) => {}
            }
            let late;
            (state, late) = self.wait(state, deadline);
            if late {
                break Err(Failure::timeout("the upload did not take all bytes"));
            }
        };
        let left = state.lent.take().map_or(0, |lent| lent.len());
        state.busy = false;
        *written = bytes.len() - left;
        drop(state);
        self.moved.notify_all();
        if left == 0 { Ok(()) } else { result }
    }

    fn end(&self, whole: bool) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.ended.is_some_and(|ended| ended != whole) {
            return Err(Failure::invalid("the writer was ended already, the other way"));
        }
        state.ended = Some(whole);
        drop(state);
        self.moved.notify_all();
        Ok(())
    }
}

fn check_open(state: &State) -> Result<(), Failure> {
    if state.reader_gone {
        return Err(Error::new(ErrorKind::Cancelled, "the upload has ended and takes no more bytes").into());
    }
    if state.ended.is_some() {
        return Err(Failure::invalid("the writer was ended already"));
    }
    Ok(())
}

impl Drop for Writer {
    /// Freed without having been finished: the stream is not whole, so the upload must not become an object.
    fn drop(&mut self) {
        let ended = self.0.lock().ended;
        if ended.is_none() {
            let _ = self.0.end(false);
        }
    }
}

impl Writer {
    /// The reading end, once.
    pub(crate) fn reader(&self) -> Result<Reader, Failure> {
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.taken, true) {
            return Err(Failure::invalid("the writer belongs to another upload already"));
        }
        Ok(Reader(Arc::clone(&self.0)))
    }
}

/// What the upload reads.
pub(crate) struct Reader(Arc<Pipe>);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        loop {
            if let Some(lent) = &mut state.lent {
                let count = lent.copy_to(buffer);
                if lent.len() == 0 {
                    state.lent = None;
                    drop(state);
                    self.0.moved.notify_all();
                }
                return Ok(count);
            }
            match state.ended {
                Some(true) => return Ok(0),
                Some(false) => return Err(io::Error::other("the host gave up writing")),
                None => state = self.0.wait(state, None).0,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.lock().reader_gone = true;
        self.0.moved.notify_all();
    }
}

/// Makes a writer. Name it in an upload's options (`OUTLAST_SOURCE_WRITER`), start the upload, write, finish.
///
/// Ownership: free it with `outlast_writer_free`. Threads: any. Errors: `INVALID` (`out` is NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_writer_new(
    out: *mut *mut outlast_writer,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let (out, err) = unsafe { (Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let out = out.needed("the writer")?;
        let pipe = Pipe { state: Mutex::default(), moved: Condvar::new() };
        out.set(handle::new::<outlast_writer>(Arc::new(Writer(Arc::new(pipe)))));
        Ok(())
    })
}

/// Writes bytes, waiting at most `timeout_ms` (below 0: without limit) for the upload to take them. They are copied once,
/// into the buffers that are sent from, and are yours again when the call returns.
///
/// `written` (may be NULL) is set on success and on failure: after `TIMEOUT` go on from there.
/// The upload keeps `parallel_upload_count` parts in memory and takes no more while these are under way.
/// Threads: any; concurrent writes follow one another in no particular order. Do not call it on the thread that the upload's
/// events need: it blocks.
/// Errors: `TIMEOUT`, `CANCELLED` (the upload has ended: `outlast_upload_wait` says why), `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_writer_write(
    writer: *mut outlast_writer,
    data: *const u8,
    len: usize,
    timeout_ms: i64,
    written: *mut usize,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for buffers and out parameters.
    let (data, written, err) = unsafe { (view::slice(data, len), Slot::new(written), Slot::new(err)) };
    guard(&err, || {
        let mut count = 0;
        let result =
            data.and_then(|data| handle::get(writer)?.0.write(data, timeout(timeout_ms), &mut count));
        written.set(count);
        result
    })
}

/// Tells that all bytes have been written: the upload can become an object. May be repeated.
///
/// Threads: any. Errors: `INVALID` (also: it was abandoned), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_writer_finish(
    writer: *mut outlast_writer,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || handle::get(writer)?.0.end(true))
}

/// Tells that the rest will not come: the upload fails with `SOURCE` and no object is made. May be repeated.
///
/// Threads: any. Errors: `INVALID` (also: it was finished), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_writer_abandon(
    writer: *mut outlast_writer,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || handle::get(writer)?.0.end(false))
}

/// Frees a writer; one that was not finished is abandoned. NULL, and what has been freed already, is left alone.
///
/// Threads: any; the last call on it. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_writer_free(writer: *mut outlast_writer) {
    quietly((), || drop(handle::take(writer)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Writer, Reader) {
        let pipe = Arc::new(Pipe { state: Mutex::default(), moved: Condvar::new() });
        (Writer(Arc::clone(&pipe)), Reader(pipe))
    }

    #[test]
    fn what_is_written_is_read_in_order_to_the_end() {
        let (writer, mut reader) = pair();
        let thread = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        let mut written = 0;
        for chunk in [&b"one "[..], b"", b"two "] {
            assert!(writer.0.write(chunk, None, &mut written).is_ok());
        }
        assert!(writer.0.end(true).is_ok() && writer.0.end(true).is_ok() && writer.0.end(false).is_err());
        assert_eq!(thread.join().expect("the reader does not panic").ok(), Some(b"one two ".to_vec()));
        assert!(writer.0.write(b"x", None, &mut written).is_err());
    }

    /// The other half of "copied once" is a test of the core: what is sent lies where the reader put it.
    #[test]
    fn each_byte_is_copied_once_and_straight_to_where_it_is_wanted() {
        let (writer, mut reader) = pair();
        let given: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mut taken = vec![0; given.len()];
        let expected = given.clone();
        let thread = std::thread::spawn(move || {
            let mut written = 0;
            writer.0.write(&given, None, &mut written).is_ok() && written == given.len()
        });
        let mut reads = 0;
        // Each read fills all of its buffer from the writer's own memory; nothing is collected in between.
        for piece in taken.chunks_mut(30_000) {
            assert_eq!(reader.read(piece).ok(), Some(piece.len()));
            reads += 1;
        }
        assert!(thread.join().expect("the writer does not panic"));
        assert_eq!((reads, taken), (4, expected));
    }

    #[test]
    fn a_write_ends_in_time_and_says_how_far_it_got() {
        let (writer, mut reader) = pair();
        let mut written = 7;
        let late = writer.0.write(b"abc", Some(Duration::ZERO), &mut written).err();
        assert_eq!((late.map(|late| late.status), written), (Some(crate::status::OUTLAST_E_TIMEOUT), 0));
        drop(writer);
        assert!(reader.read(&mut [0; 4]).is_err());
        let (writer, reader) = pair();
        drop(reader);
        let gone = writer.0.write(b"abc", None, &mut written).err();
        assert_eq!(gone.map(|gone| gone.status), Some(crate::status::OUTLAST_E_CANCELLED));
    }
}
