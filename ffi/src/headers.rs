//! Signed headers as an object.

use outlast_core::native::Signed;

use crate::guard::quietly;
use crate::handle::{self, Handle};
use crate::view::{Text, outlast_str};

/// Headers for one request that the host sends itself. Immutable.
pub struct outlast_headers {
    _opaque: (),
}

impl Handle for outlast_headers {
    type Rust = Headers;
    const NAME: &'static str = "headers";
    const THREADS: bool = false;
}

/// What a headers handle stands for.
pub struct Headers {
    generation: u64,
    list: Vec<(Text, Text)>,
}

impl From<Signed> for Headers {
    fn from(signed: Signed) -> Headers {
        let text = |(name, value): &(String, _)| {
            let value: &outlast_core::engine::secret::Secret<String> = value;
            (Text::new(name), Text::new(value.expose()))
        };
        Headers { generation: signed.generation.0, list: signed.headers.iter().map(text).collect() }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        for (_, value) in &mut self.list {
            value.wipe();
        }
    }
}

/// How many headers there are; 0 for what are no headers.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_headers_count(headers: *const outlast_headers) -> usize {
    quietly(0, || handle::get(headers).map_or(0, |headers| headers.list.len()))
}

/// A header's name, in lower case; empty when `index` is not below the count.
///
/// Ownership: lives as long as the headers. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_headers_name(headers: *const outlast_headers, index: usize) -> outlast_str {
    one(headers, index, |(name, _)| name.view())
}

/// A header's value; empty when `index` is not below the count. That of `authorization` is a secret: do not print it.
///
/// Ownership: lives as long as the headers, and is wiped with them. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_headers_value(headers: *const outlast_headers, index: usize) -> outlast_str {
    one(headers, index, |(_, value)| value.view())
}

fn one(
    headers: *const outlast_headers,
    index: usize,
    which: impl FnOnce(&(Text, Text)) -> outlast_str,
) -> outlast_str {
    let found = || handle::get(headers).ok().and_then(|headers| headers.list.get(index).map(which));
    quietly(None, found).unwrap_or(outlast_str::NONE)
}

/// The generation that signed: name it in `outlast_session_reject` when the service answers 401. 0 for what are no headers.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_headers_generation(headers: *const outlast_headers) -> u64 {
    quietly(0, || handle::get(headers).map_or(0, |headers| headers.generation))
}

/// Frees headers and the texts taken from them. NULL, and what has been freed already, is left alone.
///
/// Threads: any; the last call on them. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_headers_free(headers: *mut outlast_headers) {
    quietly((), || drop(handle::take(headers)));
}
