//! An upload as the host holds it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use outlast_core::engine::upload::spec::OnFailure;
use outlast_core::native::{self, Outcome, UploadStart};

use crate::client::{outlast_client, truth};
use crate::error::outlast_error;
use crate::guard::{Failure, guard, quietly};
use crate::handle::{self, Handle};
use crate::host::Token;
use crate::hub::Route;
use crate::queue::timeout;
use crate::session::outlast_session;
use crate::status::outlast_status;
use crate::upload_options::{on_failure, outlast_upload_options};
use crate::view::{self, Out, Sized1, Slot, Text, outlast_str};

/// A running or ended upload.
pub struct outlast_upload {
    _opaque: (),
}

impl Handle for outlast_upload {
    type Rust = Upload;
    const NAME: &'static str = "upload";
    const THREADS: bool = true;
}

/// What an upload handle stands for.
pub struct Upload {
    native: native::Upload,
    /// What its options say of stored parts, for whoever cancels without saying.
    on_failure: OnFailure,
    /// The texts of the result, kept where the host can look at them.
    texts: OnceLock<Texts>,
}

/// An object that was made. Texts are as the service sent them, empty where it sent none, and live as long as the upload.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_upload_result {
    /// Set it to `sizeof(outlast_upload_result)` before the call.
    pub size: usize,
    /// Bytes of the object.
    pub object_bytes: u64,
    /// Its parts; 0 for a single request.
    pub parts: u32,
    /// Of these, kept from an earlier run.
    pub parts_reused: u32,
    /// Attempts beyond the first; refusals not counted.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// 1: our checksums were compared with the object's.
    pub verified: u32,
    /// Always 0.
    pub reserved: u32,
    /// `etag`
    pub etag: outlast_str,
    /// The service's id of the multipart upload; empty for a single request.
    pub upload_id: outlast_str,
    /// `version-id`
    pub version_id: outlast_str,
    /// `last-modified`
    pub last_modified: outlast_str,
    /// `opc-content-md5`, base64; of a single request.
    pub content_md5: outlast_str,
    /// `opc-multipart-md5`
    pub multipart_md5: outlast_str,
    /// `opc-content-crc32c`, base64.
    pub crc32c: outlast_str,
    /// `opc-content-sha256`, base64.
    pub sha256: outlast_str,
    /// `opc-content-sha384`, base64.
    pub sha384: outlast_str,
    /// `opc-multipart-sha256`
    pub multipart_sha256: outlast_str,
    /// `opc-multipart-sha384`
    pub multipart_sha384: outlast_str,
}

/// How far an upload is; at most a quarter of a second old.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_progress {
    /// Set it to `sizeof(outlast_progress)` before the call.
    pub size: usize,
    /// Bytes of the object; -1 while a stream goes on.
    pub total_bytes: i64,
    /// Bytes of stored parts.
    pub stored_bytes: u64,
    /// Bytes sent but not acknowledged.
    pub in_flight_bytes: u64,
    /// Parts planned so far.
    pub parts_total: u32,
    /// Parts stored.
    pub parts_stored: u32,
    /// Of these, kept from an earlier run.
    pub parts_reused: u32,
    /// Parts being sent now.
    pub parts_in_flight: u32,
    /// Attempts beyond the first.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// 1: the session waits for somebody to sign in.
    pub parked: u32,
    /// 1: the caller paused it.
    pub paused: u32,
    /// Bytes per second over the last half minute or so; 0 while unknown.
    pub bytes_per_second: f64,
    /// Milliseconds to the end at that rate; -1 while unknown.
    pub eta_ms: i64,
}

// SAFETY: repr(C), size first; integers and pointers that may be NULL.
unsafe impl Sized1 for outlast_upload_result {
    const LEAST: usize = size_of::<outlast_upload_result>();
    const NAME: &'static str = "outlast_upload_result";
}
// SAFETY: repr(C), size first; integers and a double.
unsafe impl Sized1 for outlast_progress {
    const LEAST: usize = size_of::<outlast_progress>();
    const NAME: &'static str = "outlast_progress";
}

struct Texts([Text; 11]);

impl Texts {
    fn of(outcome: &Outcome) -> Texts {
        let facts = &outcome.facts;
        let all = [
            &facts.etag,
            &outcome.upload_id,
            &facts.version_id,
            &facts.last_modified,
            &facts.content_md5,
            &facts.multipart_md5,
            &facts.crc32c,
            &facts.sha256,
            &facts.sha384,
            &facts.multipart_sha256,
            &facts.multipart_sha384,
        ];
        Texts(all.map(|text| Text::of(text.as_deref())))
    }
}

impl Upload {
    fn result(&self, outcome: &Outcome) -> outlast_upload_result {
        let Texts(texts) = self.texts.get_or_init(|| Texts::of(outcome));
        let [etag, upload_id, version_id, last_modified, content_md5, multipart_md5, crc32c, rest @ ..] =
            texts.each_ref().map(Text::view);
        let [sha256, sha384, multipart_sha256, multipart_sha384] = rest;
        outlast_upload_result {
            size: 0,
            object_bytes: outcome.size,
            parts: outcome.parts,
            parts_reused: outcome.parts_reused,
            retries: outcome.retries,
            refusals: outcome.refusals,
            verified: u32::from(outcome.verified),
            reserved: 0,
            etag,
            upload_id,
            version_id,
            last_modified,
            content_md5,
            multipart_md5,
            crc32c,
            sha256,
            sha384,
            multipart_sha256,
            multipart_sha384,
        }
    }
}

/// Starts uploading a source as one object and returns at once: only local files are looked at before.
///
/// Resume: a journal in the client's state directory makes the same call (endpoint, target, name of the source) go on where
/// an earlier one stopped, in this process or another. Streams cannot be resumed.
/// Memory: three blocks of `io_buffer_bytes` per request in flight; for streams `parallel_upload_count` parts and one more.
/// Ownership: free the upload with `outlast_upload_free`. All texts are copied; for `bytes`, `read_fn` and `free_fn` see the
/// options. Threads: any.
/// Errors: `INVALID` (options, target), `SOURCE` (cannot be read), `BUSY` (another process is at it), `STATE` (the journal
/// cannot be used), `CANCELLED` (closed), `FORKED`. All else comes as the upload's result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_start(
    client: *mut outlast_client,
    session: *mut outlast_session,
    options: *const outlast_upload_options,
    out: *mut *mut outlast_upload,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (options, out, err) = unsafe { (view::read(options), Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let options = options?;
        let data = options.host_data();
        let out = out.needed("the upload")?;
        let (client, session) = (handle::get(client)?, handle::get(session)?);
        if !Arc::ptr_eq(&session.client, &client) {
            return Err(Failure::invalid("the session belongs to another client"));
        }
        let queue = handle::get_optional(options.events)?;
        // SAFETY: the caller's promise for texts and bytes.
        let (target, plan) = unsafe { (options.target()?, options.options()?) };
        let kept = plan.on_failure;
        let start = UploadStart { restart: truth(options.restart, "restart")? };
        // Last of all: it takes hold of what the host gave.
        // SAFETY: as above.
        let source = unsafe { options.read_source(data) }?;
        let every = match options.progress_interval_ms {
            0 => Duration::from_millis(250),
            u32::MAX => Duration::ZERO,
            millis => Duration::from_millis(u64::from(millis)),
        };
        // No event is handed out before it is known where this upload's events go.
        let native = client.hub.route(|routes| {
            let native = client.native.upload(&session.native, source, target, plan, start)?;
            let user_data = Token(options.user_data);
            routes.add_upload(Route { upload: native.clone(), queue, user_data, every, told: None });
            Ok::<_, outlast_core::Error>(native)
        })?;
        let upload = Upload { native, on_failure: kept, texts: OnceLock::new() };
        out.set(handle::new::<outlast_upload>(Arc::new(upload)));
        Ok(())
    })
}

/// Waits for the end, at most `timeout_ms` (0: only looks; below 0: without limit). May be repeated, by several threads.
///
/// `result` (may be NULL) is filled on success; its texts live as long as the upload.
/// Errors: `TIMEOUT` (it goes on; not worth an error object: pass NULL as `err`). Those of the upload: `INVALID`,
/// `SIGN_IN_NEEDED`, `AUTH`, `CONFIG`, `PERMISSION`, `NOT_FOUND`, `PRECONDITION`, `INTEGRITY`, `SOURCE`, `SOURCE_CHANGED`,
/// `NETWORK`, `SERVICE`, `PROTOCOL`, `STATE`, `CANCELLED`. `FORKED`. An upload that stalled for good ends with `TIMEOUT`, too:
/// `OUTLAST_EVENT_FINISHED` and the `err` of a wait without limit tell the two apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_wait(
    upload: *mut outlast_upload,
    timeout_ms: i64,
    result: *mut outlast_upload_result,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (out, err) =
        unsafe { (if result.is_null() { Ok(None) } else { Out::new(result).map(Some) }, Slot::new(err)) };
    guard(&err, || {
        let out = out?;
        let upload = handle::get(upload)?;
        let outcome = match timeout(timeout_ms) {
            None => upload.native.wait_blocking(),
            Some(limit) => {
                upload.native.wait_timeout(limit).ok_or_else(|| Failure::timeout("the upload did not end"))?
            }
        }?;
        if let Some(out) = out {
            out.fill(&upload.result(&outcome));
        }
        Ok(())
    })
}

/// Looks how far an upload is. Never blocks.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_progress(
    upload: *const outlast_upload,
    progress: *mut outlast_progress,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (out, err) = unsafe { (Out::new(progress), Slot::new(err)) };
    guard(&err, || {
        let out = out?;
        let progress = handle::get(upload)?.native.progress();
        out.fill(&outlast_progress {
            size: 0,
            total_bytes: progress.total.map_or(-1, |total| i64::try_from(total).unwrap_or(i64::MAX)),
            stored_bytes: progress.stored,
            in_flight_bytes: progress.in_flight,
            parts_total: progress.parts_total,
            parts_stored: progress.parts_stored,
            parts_reused: progress.parts_reused,
            parts_in_flight: progress.parts_in_flight,
            retries: progress.retries,
            refusals: progress.refusals,
            parked: u32::from(progress.parked),
            paused: u32::from(progress.paused),
            bytes_per_second: progress.rate,
            eta_ms: progress.eta.map_or(-1, |eta| i64::try_from(eta.as_millis()).unwrap_or(i64::MAX)),
        });
        Ok(())
    })
}

/// Begins no further parts; those in flight are finished. The session is kept alive meanwhile.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_pause(
    upload: *mut outlast_upload,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(upload)?.native.pause();
        Ok(())
    })
}

/// Goes on after a pause.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_resume(
    upload: *mut outlast_upload,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(upload)?.native.resume();
        Ok(())
    })
}

/// Stops an upload and returns at once; its end still follows, usually `CANCELLED`. `on_failure` (`OUTLAST_ON_FAILURE_*`, 0:
/// as its options say) says what becomes of what is stored. An upload that has ended is left as it is.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_upload_cancel(
    upload: *mut outlast_upload,
    on_failure_choice: u32,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        let upload = handle::get(upload)?;
        let choice = match on_failure_choice {
            0 => upload.on_failure,
            choice => on_failure(choice)?,
        };
        upload.native.cancel(choice);
        Ok(())
    })
}

/// Whether the same call, made again, goes on where this one stopped: 1 or 0. Meaningful once it has failed.
///
/// Threads: any. Errors: 0 for what is no upload.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_upload_is_resumable(upload: *const outlast_upload) -> i32 {
    quietly(0, || handle::get(upload).map_or(0, |upload| i32::from(upload.native.is_resumable())))
}

/// The upload's number in events; 0 for what is no upload.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_upload_number(upload: *const outlast_upload) -> u64 {
    quietly(0, || handle::get(upload).map_or(0, |upload| upload.native.number().0))
}

/// Frees an upload and the texts of its result. A running upload goes on until it ends or its client is closed or freed;
/// its events still come. NULL, and what has been freed already, is left alone. Never blocks. In a forked child nothing but
/// the handle is freed.
///
/// Threads: any; the last call on it. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_upload_free(upload: *mut outlast_upload) {
    quietly((), || drop(handle::take(upload)));
}
