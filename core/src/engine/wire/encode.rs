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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    #[test]
    fn paths_are_encoded_as_measured() {
        // oci.md 2.5, the Python SDK's own output.
        for (name, path) in [
            ("a/b", "a%2Fb"),
            ("!*'()", "%21%2A%27%28%29"),
            ("a b", "a%20b"),
            (":@&=,;$", "%3A%40%26%3D%2C%3B%24"),
            ("a+b", "a%2Bb"),
            ("a//b", "a%2F%2Fb"),
            ("ü.bin", "%C3%BC.bin"),
            ("a%2Fb", "a%252Fb"),
            ("/lead", "%2Flead"),
            ("AZaz09-._~", "AZaz09-._~"),
            ("?#[]\\\"<>^`{|}", "%3F%23%5B%5D%5C%22%3C%3E%5E%60%7B%7C%7D"),
            ("\u{7f}\t", "%7F%09"),
            ("😀", "%F0%9F%98%80"),
            ("", ""),
        ] {
            assert_eq!(path_segment(name), path);
        }
    }

    #[test]
    fn queries_are_form_encoded() {
        for (value, query) in [("p/+= x", "p%2F%2B%3D+x"), ("a%20b", "a%2520b"), ("a&b", "a%26b"), ("~", "~")]
        {
            assert_eq!(query_value(value), query);
        }
    }

    #[test]
    fn encoding_loses_nothing_and_leaves_nothing_special() {
        let mut random = Random::new(4);
        for _ in 0..500 {
            let name: String = (0..random.below(40))
                .filter_map(|_| char::from_u32(u32::try_from(random.below(0x3000)).unwrap()))
                .collect();
            let path = path_segment(&name);
            assert!(
                path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)),
                "{path}"
            );
            let decoded = percent_encoding::percent_decode_str(&path).decode_utf8().unwrap();
            assert_eq!(decoded, name);
            assert!(path.split('%').skip(1).all(|piece| piece.get(..2).is_some_and(|hex| {
                hex.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
            })));
        }
    }

    #[test]
    fn header_values_are_checked_and_never_repeated_in_the_error() {
        for value in ["", "x", "a b", "a\tb", "text/plain; charset=utf-8", "\"q\""] {
            assert_eq!(header_value(value).unwrap(), value);
        }
        for (value, problem) in [
            ("a\r\nx: secret", "has control characters"),
            ("secret\0", "has control characters"),
            ("secret\u{7f}", "has control characters"),
            ("secret ü", "has characters outside ASCII"),
            (" secret", "begins or ends with a space"),
            ("secret\t", "begins or ends with a space"),
        ] {
            let error = header_value(value).unwrap_err();
            assert_eq!(error.to_string(), format!("the value {problem}, which a header cannot carry"));
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
