//! Errors as objects: immutable, usable from any thread, freed by whoever got them.

use outlast_core::{Error, Retry};

use crate::guard::quietly;
use crate::handle::{self, Handle};
use crate::status::{OUTLAST_E_INVALID, outlast_status};
use crate::view::{Text, outlast_str};

/// A failure in detail. Owned by whoever received it through an error slot; free it with `outlast_error_free`.
pub struct outlast_error {
    _opaque: (),
}

/// The same call will fail again.
pub const OUTLAST_RETRY_NEVER: i32 = 0;
/// Try later, after `outlast_error_retry_after_ms` if that is not -1.
pub const OUTLAST_RETRY_LATER: i32 = 1;
/// Sign in, then the same call goes on.
pub const OUTLAST_RETRY_AFTER_SIGN_IN: i32 = 2;
/// Retries were made and did not help; the same call goes on when the cause is gone.
pub const OUTLAST_RETRY_EXHAUSTED: i32 = 3;

/// What an error handle stands for.
pub(crate) struct Told {
    pub(crate) status: outlast_status,
    pub(crate) retry: i32,
    retry_after_ms: i64,
    pub(crate) message: Text,
    http_status: i32,
    service_code: Text,
    request_id: Text,
    part_number: u32,
}

impl Handle for outlast_error {
    type Rust = Told;
    const NAME: &'static str = "error";
    const THREADS: bool = false;
}

impl Told {
    pub(crate) fn new(status: outlast_status, error: &Error) -> Told {
        let (retry, after) = match error.retry() {
            Retry::Never => (OUTLAST_RETRY_NEVER, None),
            Retry::Later(after) => (OUTLAST_RETRY_LATER, after),
            Retry::AfterReauth => (OUTLAST_RETRY_AFTER_SIGN_IN, None),
            Retry::Exhausted => (OUTLAST_RETRY_EXHAUSTED, None),
        };
        let http = error.http();
        let after = after.or_else(|| http.and_then(|http| http.retry_after));
        Told {
            status,
            retry,
            retry_after_ms: after.map_or(-1, |after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            message: Text::new(&words(error)),
            http_status: http.map_or(0, |http| i32::from(http.status)),
            service_code: Text::of(http.and_then(|http| http.code.as_deref())),
            request_id: Text::of(http.and_then(|http| http.request_id.as_deref())),
            part_number: http.and_then(|http| http.part_number).unwrap_or(0),
        }
    }
}

/// The error's own line, and its cause where the service's words do not say it already.
fn words(error: &Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(cause) if error.http().is_none() => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

fn ask<T>(error: *const outlast_error, none: T, answer: impl FnOnce(&Told) -> T) -> T {
    quietly(None, || handle::get(error).ok().map(|told| answer(&told))).unwrap_or(none)
}

/// The status code that the failing call returned; `OUTLAST_E_INVALID` for what is no error.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_code(error: *const outlast_error) -> outlast_status {
    ask(error, OUTLAST_E_INVALID, |told| told.status)
}

/// One line for people: what was attempted, on what, what happened, and what to do when that is known. No secrets.
///
/// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_message(error: *const outlast_error) -> outlast_str {
    ask(error, outlast_str::NONE, |told| told.message.view())
}

/// Whether trying again can help: `OUTLAST_RETRY_*`.
///
/// Threads: any. Errors: `OUTLAST_RETRY_NEVER` for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_retry(error: *const outlast_error) -> i32 {
    ask(error, OUTLAST_RETRY_NEVER, |told| told.retry)
}

/// How long the service wants us to wait, milliseconds; -1 if it did not say.
///
/// Threads: any. Errors: -1 for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_retry_after_ms(error: *const outlast_error) -> i64 {
    ask(error, -1, |told| told.retry_after_ms)
}

/// The HTTP status that the service answered with; 0 if it did not answer.
///
/// Threads: any. Errors: 0 for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_http_status(error: *const outlast_error) -> i32 {
    ask(error, 0, |told| told.http_status)
}

/// The service's own error code, for example `NotAuthenticated`; empty if there is none.
///
/// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_service_code(error: *const outlast_error) -> outlast_str {
    ask(error, outlast_str::NONE, |told| told.service_code.view())
}

/// The service's request id, for a support ticket; empty if there is none.
///
/// Ownership: lives as long as the error. Threads: any. Errors: empty for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_request_id(error: *const outlast_error) -> outlast_str {
    ask(error, outlast_str::NONE, |told| told.request_id.view())
}

/// The number of the part in question, from 1; 0 if there is none.
///
/// Threads: any. Errors: 0 for what is no error.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_part_number(error: *const outlast_error) -> u32 {
    ask(error, 0, |told| told.part_number)
}

/// Frees an error and the texts taken from it. NULL, and what has been freed already, is left alone.
///
/// Threads: any; the last call on it. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_error_free(error: *mut outlast_error) {
    quietly((), || drop(handle::take(error)));
}
