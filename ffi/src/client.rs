//! The client: sessions and uploads that share threads, connections and a rate limit.

use std::ffi::c_void;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::native::{self, ClientOptions};
use outlast_core::{Error, ErrorKind};

use crate::error::outlast_error;
use crate::guard::{Failure, guard, quietly};
use crate::handle::{self, Handle};
use crate::host::{HostData, OnLine, outlast_debug_fn, outlast_free_fn};
use crate::hub::Hub;
use crate::queue::{outlast_queue, timeout};
use crate::status::outlast_status;
use crate::view::{self, Sized1, Slot, outlast_str};

/// Sessions and uploads that share threads, connections and a rate limit.
pub struct outlast_client {
    _opaque: (),
}

/// How a client is set up. Zero means default everywhere; names are those of the command line's flags.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_client_options {
    /// `sizeof(outlast_client_options)`
    pub size: usize,
    /// Threads that sign, encrypt and send; 0: 2. At most 256.
    pub workers: u32,
    /// 1: allow plain http to other machines; 0: to loopback only.
    pub allow_http: u32,
    /// Longest time for one connection attempt, milliseconds; 0: 10,000.
    pub connection_timeout_ms: u64,
    /// Longest time without a byte in either direction, milliseconds; 0: 60,000. Total time is not limited.
    pub read_timeout_ms: u64,
    /// Bytes per second over all uploads; 0: without limit.
    pub limit_rate: u64,
    /// Block in which sources are read, bytes; 0: 262,144. At most three per request in flight are in memory.
    pub io_buffer_bytes: u64,
    /// Directory of upload journals; not given: `$XDG_STATE_HOME/outlast`, else `~/.local/state/outlast`.
    pub state_dir: outlast_str,
    /// Further certificate authorities (path of a PEM file), besides the machine's own.
    pub cert_bundle: outlast_str,
    /// Proxy for all requests; not given: what the environment says.
    pub proxy: outlast_str,
    /// `--opc-client-request-id`: sent with every request, for finding them in the service's logs; not given: none.
    pub opc_client_request_id: outlast_str,
    /// `--debug`: told a line per request and per decision worth one; NULL: nobody is.
    pub debug_fn: outlast_debug_fn,
    /// Given to `debug_fn`.
    pub debug_data: *mut c_void,
    /// Called with `debug_data` exactly once, after the last call of `debug_fn` or when the call fails; may be NULL.
    pub debug_free_fn: outlast_free_fn,
}

// SAFETY: repr(C), size first; integers, pointers that may be NULL, optional functions.
unsafe impl Sized1 for outlast_client_options {
    const LEAST: usize = size_of::<outlast_client_options>();
    const NAME: &'static str = "outlast_client_options";
}

/// What a client handle stands for.
pub struct Client {
    pub(crate) native: native::Client,
    pub(crate) hub: Arc<Hub>,
}

impl Handle for outlast_client {
    type Rust = Client;
    const NAME: &'static str = "client";
    const THREADS: bool = true;
}

impl Drop for Client {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

impl Client {
    /// Makes a client of options that have been read; the debug function is taken care of already.
    unsafe fn new(
        options: &outlast_client_options,
        debug: Option<OnLine>,
        events: *mut outlast_queue,
    ) -> Result<Client, Failure> {
        let queue = handle::get_optional(events)?;
        if options.workers > 256 {
            return Err(Failure::invalid("workers is more than 256"));
        }
        let defaults = ClientOptions::default();
        let or = |millis: u64, default| if millis == 0 { default } else { Duration::from_millis(millis) };
        // SAFETY: the caller of the exported function promises this for texts.
        let (state_dir, ca_bundle, proxy, request_id) = unsafe {
            (
                view::path(options.state_dir, "state_dir")?,
                view::path(options.cert_bundle, "cert_bundle")?,
                view::text(options.proxy, "proxy")?,
                view::text(options.opc_client_request_id, "opc_client_request_id")?,
            )
        };
        let io_buffer = usize::try_from(options.io_buffer_bytes)
            .ok()
            .filter(|bytes| *bytes <= 1 << 30)
            .ok_or_else(|| Failure::invalid("io_buffer_bytes is more than 1 GiB"))?;
        let native = native::Client::new(ClientOptions {
            workers: if options.workers == 0 { defaults.workers } else { options.workers as usize },
            state_dir,
            limit_rate: (options.limit_rate != 0).then_some(options.limit_rate),
            connect_timeout: or(options.connection_timeout_ms, defaults.connect_timeout),
            stall_timeout: or(options.read_timeout_ms, defaults.stall_timeout),
            ca_bundle,
            proxy: proxy.map(str::to_owned),
            allow_http: truth(options.allow_http, "allow_http")?,
            client_request_id: request_id.map(str::to_owned),
            io_buffer: if io_buffer == 0 { defaults.io_buffer } else { io_buffer },
            seed: None,
            trace: debug.map(|debug| Arc::new(move |line: &str| debug.call(line)) as native::Trace),
        })?;
        let hub = Hub::start(native.clone(), queue).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the thread for events cannot be started: {error}"))
        })?;
        Ok(Client { native, hub })
    }
}

/// A switch of an option struct: 0 or 1.
pub(crate) fn truth(value: u32, what: &str) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::invalid(&format!("{what} is {value}; it is 0 or 1"))),
    }
}

/// Starts a client and its threads. They block all signals; no handler is installed, nothing is written to stdout.
///
/// `options` may be NULL. `events` (may be NULL) is told everything that happens from now on; it can be freed before.
/// Ownership: free the client with `outlast_client_free`, in any order with its sessions and uploads. Threads: any.
/// Errors: `INVALID` (an option), `CONFIG` (certificate file), `INTERNAL` (no thread left), `FORKED` (the queue is).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_client_new(
    options: *const outlast_client_options,
    events: *mut outlast_queue,
    out: *mut *mut outlast_client,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (options, out, err) = unsafe { (view::read(options), Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let options = options?;
        let debug = OnLine::new(options.debug_fn, HostData::new(options.debug_data, options.debug_free_fn));
        let out = out.needed("the client")?;
        // SAFETY: the caller's promise for texts.
        let client = unsafe { Client::new(&options, debug, events) }?;
        out.set(handle::new::<outlast_client>(Arc::new(client)));
        Ok(())
    })
}

/// Puts all uploads to rest (kept for resuming), waits for what is under way, and ends the threads. The last events are
/// queued when it returns, `OUTLAST_EVENT_CLOSED` as the last.
///
/// `timeout_ms` below 0 is without limit. May be repeated, from several threads, and inside a callback (where the last
/// events follow after the callback has returned). Calls made on the client, its sessions and uploads afterwards fail with
/// `CANCELLED`; results that have come stay available.
/// Errors: `TIMEOUT` (what was left is cut off), `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_client_close(
    client: *mut outlast_client,
    timeout_ms: i64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        let client = handle::get(client)?;
        client.hub.closing();
        client.native.close(timeout(timeout_ms).unwrap_or(Duration::MAX))?;
        // All is decided; what is left is telling it, which a callback that never returns could hold up for ever.
        if !client.hub.is_own_thread() && !client.hub.wait_ended(Duration::from_secs(10)) {
            return Err(Failure::timeout("the last events were not taken by the callback"));
        }
        Ok(())
    })
}

/// Frees a client. Without `outlast_client_close` before, its uploads are cancelled (kept for resuming) and its threads end
/// in the background; this call does not wait. NULL, and what has been freed already, is left alone. In a forked child
/// nothing but the handle is freed.
///
/// Threads: any; the last call on it. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_client_free(client: *mut outlast_client) {
    quietly((), || {
        if let Some(client) = handle::take(client) {
            client.hub.stop();
        }
    });
}

/// Gives a descriptor that holds the client: when it, and every copy of it, has been closed, the client ends as by
/// `outlast_client_free`.
///
/// For hosts whose threads can be ended from outside, so that nothing of theirs is left to call (worker threads of a JavaScript
/// engine): what closes their descriptors puts their uploads to rest (kept for resuming) and ends the client's threads. Handles
/// stay and cost some bytes each. Nothing is ever written to it; it is readable, at its end, once the client has ended.
/// Ownership: yours, `close` it; it is closed on exec. Threads: any.
/// Errors: `INTERNAL` (no descriptor or thread left), `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_client_lifeline(
    client: *mut outlast_client,
    fd: *mut i32,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let (fd, err) = unsafe { (Slot::new(fd), Slot::new(err)) };
    guard(&err, || {
        let fd = fd.needed("the descriptor")?;
        let line = handle::get(client)?.hub.lifeline().map_err(|error| {
            Error::new(ErrorKind::Internal, format!("no descriptor or thread for a lifeline: {error}"))
        })?;
        fd.set(line.into_raw_fd());
        Ok(())
    })
}

/// Changes the rate limit over all uploads of a client, bytes per second; 0 is without limit. Takes effect at once.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_client_limit_rate(
    client: *mut outlast_client,
    bytes_per_second: u64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(client)?.native.limit_rate((bytes_per_second != 0).then_some(bytes_per_second));
        Ok(())
    })
}
