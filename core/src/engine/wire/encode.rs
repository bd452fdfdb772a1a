//! Text on the wire: path segments, query values, header values.
//!
//! The rule that matters is "sign the bytes you send": every name is encoded once, here, and the result stands
//! unchanged on the request line and in the signing string.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::engine::error::{Error, ErrorKind};

/// RFC 3986 section 2.3: what needs no encoding anywhere.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a name as one path segment: everything but `A-Za-z0-9-._~` becomes `%XX`, `/` too.
///
/// Source: measured on the Python SDK (strict mode, 2.170.0 and later).
pub fn path_segment(name: &str) -> String {
    utf8_percent_encode(name, NOT_UNRESERVED).to_string()
}

/// Encodes a query value as a form does: a space becomes `+`, the rest as in [`path_segment`].
pub fn query_value(value: &str) -> String {
    path_segment(value).replace("%20", "+")
}

/// Checks that a value can stand in a header: visible ASCII, spaces and tabs, none at the ends.
///
/// Errors: `InvalidInput`, without the value (it may be a secret).
pub fn header_value(value: &str) -> Result<String, Error> {
    let problem = if value.bytes().any(|byte| byte != b'\t' && byte < 0x20 || byte == 0x7f) {
        "has control characters"
    } else if !value.is_ascii() {
        "has characters outside ASCII"
    } else if value.trim_matches([' ', '\t']).len() != value.len() {
        "begins or ends with a space"
    } else {
        return Ok(value.to_owned());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("the value {problem}, which a header cannot carry")))
}
