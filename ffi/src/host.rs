//! Functions that the host gives, and the data it gives with them.
//!
//! What the calls here rely on is promised at the head of the header, under "Callbacks": a function may be called from a
//! thread of this library with its `user_data` until `free_fn` has been called, and returns without unwinding.

use std::ffi::{c_char, c_void};
use std::io::{self, Read};

use crate::event::outlast_event;
use crate::view::outlast_str;

/// Frees what a host gave with a callback: called exactly once, when the callback will not be called any more.
pub type outlast_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Takes an event. The event and its texts live until the function returns; do not clear it.
///
/// Called on one thread of this library, without locks, never inside a call of the host, one event at a time. It may call
/// any function of this library but should not block: no further event is told meanwhile. It must not unwind.
pub type outlast_event_fn = Option<unsafe extern "C" fn(event: *const outlast_event, user_data: *mut c_void)>;

/// Reads the next bytes of a source into `buffer`, 1 to `capacity` of them: how many, 0 at the end, below 0 for a failure,
/// which ends the upload with `OUTLAST_E_SOURCE`.
///
/// Called on one thread of this library, one call at a time. It may block; a call that never returns keeps that thread,
/// not the client. It must not unwind.
pub type outlast_read_fn =
    Option<unsafe extern "C" fn(buffer: *mut u8, capacity: usize, user_data: *mut c_void) -> i64>;

/// Takes a line about what the library does: never a secret, no line end. The text lives until the function returns.
///
/// Called from several threads of this library at once. It must not block for long, nor unwind.
pub type outlast_debug_fn = Option<unsafe extern "C" fn(line: outlast_str, user_data: *mut c_void)>;

/// What the host gave with a function; freed exactly once, when this is dropped.
pub(crate) struct HostData {
    data: *mut c_void,
    free: outlast_free_fn,
}

// SAFETY: the host promises that its data may be used from this library's threads ("Callbacks").
unsafe impl Send for HostData {}
// SAFETY: the same; functions that are called by several threads at once say so.
unsafe impl Sync for HostData {}

impl HostData {
    pub(crate) fn new(data: *mut c_void, free: outlast_free_fn) -> HostData {
        HostData { data, free }
    }
}

impl Drop for HostData {
    fn drop(&mut self) {
        if let Some(free) = self.free.take() {
            // SAFETY: the host promises that `free_fn` takes this data, and it is called this once.
            unsafe { free(self.data) };
        }
    }
}

/// A pointer of the host's that is only ever given back to it.
#[derive(Clone, Copy)]
pub(crate) struct Token(pub(crate) *mut c_void);

// SAFETY: it is never dereferenced here.
unsafe impl Send for Token {}
// SAFETY: the same.
unsafe impl Sync for Token {}

/// An event callback.
pub(crate) struct OnEvent {
    call: unsafe extern "C" fn(*const outlast_event, *mut c_void),
    data: HostData,
}

impl OnEvent {
    pub(crate) fn new(call: outlast_event_fn, data: HostData) -> Option<OnEvent> {
        Some(OnEvent { call: call?, data })
    }

    pub(crate) fn call(&self, event: &outlast_event) {
        // SAFETY: the event is alive, and the data has not been freed since we hold it.
        unsafe { (self.call)(std::ptr::from_ref(event), self.data.data) };
    }
}

/// A line callback.
pub(crate) struct OnLine {
    call: unsafe extern "C" fn(outlast_str, *mut c_void),
    data: HostData,
}

impl OnLine {
    pub(crate) fn new(call: outlast_debug_fn, data: HostData) -> Option<OnLine> {
        Some(OnLine { call: call?, data })
    }

    pub(crate) fn call(&self, line: &str) {
        let line = outlast_str { data: line.as_ptr().cast::<c_char>(), len: line.len() };
        // SAFETY: the line is alive, and the data has not been freed since we hold it.
        unsafe { (self.call)(line, self.data.data) };
    }
}

/// A source that the host reads for us.
pub(crate) struct HostReader {
    call: unsafe extern "C" fn(*mut u8, usize, *mut c_void) -> i64,
    data: HostData,
}

impl HostReader {
    pub(crate) fn new(call: outlast_read_fn, data: HostData) -> Option<HostReader> {
        Some(HostReader { call: call?, data })
    }
}

impl Read for HostReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the buffer is ours and as long as we say; the data has not been freed since we hold it.
        let read = unsafe { (self.call)(buffer.as_mut_ptr(), buffer.len(), self.data.data) };
        match usize::try_from(read) {
            Ok(read) if read <= buffer.len() => Ok(read),
            Ok(_) => {
                Err(io::Error::other("the host's read function claims more bytes than there was room for"))
            }
            Err(_) => Err(io::Error::other(format!("the host's read function failed with {read}"))),
        }
    }
}

/// Bytes of the host's that are used after the call that gave them, until the host is told through its `free_fn`.
pub(crate) struct HostBytes {
    bytes: *const u8,
    len: usize,
    _data: HostData,
}

// SAFETY: the host promises that the bytes do not change and are readable from any thread until `free_fn` is called.
unsafe impl Send for HostBytes {}

impl HostBytes {
    /// # Safety
    /// `bytes` is valid for reads of `len` bytes, unchanged, until the free function of `data` is called. `len` is not 0
    /// when `bytes` is NULL, and fits into memory.
    pub(crate) unsafe fn new(bytes: *const u8, len: usize, data: HostData) -> HostBytes {
        HostBytes { bytes, len, _data: data }
    }
}

impl AsRef<[u8]> for HostBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the promise of `new`: alive as long as the data has not been freed, which we hold.
        unsafe { std::slice::from_raw_parts(self.bytes, self.len) }
    }
}
