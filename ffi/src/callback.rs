//! The callback form of events.

use std::ffi::c_void;

use crate::client::outlast_client;
use crate::error::outlast_error;
use crate::guard::guard;
use crate::handle;
use crate::host::{HostData, OnEvent, outlast_event_fn, outlast_free_fn};
use crate::status::outlast_status;
use crate::view::Slot;

/// Has all events of a client told to a function, in addition to its queue. A second call replaces the function, NULL
/// removes it.
///
/// Ownership: `free_fn` (may be NULL) is called with `user_data` exactly once, after the last call of `event_fn`: when the
/// function was replaced or removed, the client was closed or freed, or this call failed. It may be called on any thread.
/// Threads: any; see `outlast_event_fn` for those of the function. It may be called inside the function.
/// Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_client_on_event(
    client: *mut outlast_client,
    event_fn: outlast_event_fn,
    user_data: *mut c_void,
    free_fn: outlast_free_fn,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    let callback = OnEvent::new(event_fn, HostData::new(user_data, free_fn));
    guard(&err, || {
        handle::get(client)?.hub.set_callback(callback);
        Ok(())
    })
}
