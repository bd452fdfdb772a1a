//! What library this is.

use std::ffi::c_char;

use crate::status::{NAMES, outlast_status};
use crate::view::{self, outlast_str};

/// The ABI this header describes. It changes when something that exists changes its meaning or layout; additions do not
/// change it.
pub const OUTLAST_ABI_VERSION: u32 = 1;

const FEATURES: [&str; 16] = [
    "session.oci",
    "session.defined",
    "session.service",
    "session.supplied",
    "session.sign",
    "session.sign-digest",
    "session.token",
    "upload.path",
    "upload.fd",
    "upload.bytes",
    "upload.read",
    "upload.writer",
    "upload.resume",
    "upload.pause",
    "events.queue",
    "events.callback",
];

/// The ABI of the library that was loaded. Compare it with `OUTLAST_ABI_VERSION` before anything else.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_abi_version() -> u32 {
    OUTLAST_ABI_VERSION
}

/// The library's version, for example `0.1.0`; static text.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Whether this library can do something: 1 or 0. Names that are not known are 0.
///
/// Names: `session.oci`, `session.defined`, `session.service`, `session.supplied`, `session.sign`, `session.sign-digest`,
/// `session.token`, `upload.path`, `upload.fd`, `upload.bytes`, `upload.read`, `upload.writer`, `upload.resume`,
/// `upload.pause`, `events.queue`, `events.callback`.
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_has_feature(name: outlast_str) -> i32 {
    // SAFETY: the caller's promise for texts.
    let name = unsafe { view::bytes(name) };
    i32::from(name.is_ok_and(|name| FEATURES.iter().any(|feature| feature.as_bytes() == name)))
}

/// A status code's stable lower-case name, for example `sign-in-needed`; `unknown` for other numbers. Static text.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_status_name(status: outlast_status) -> *const c_char {
    NAMES.iter().find(|(code, _)| *code == status).map_or(c"unknown", |(_, name)| name).as_ptr()
}
