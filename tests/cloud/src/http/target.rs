//! Request targets: split while raw, decoded once.

use percent_encoding::percent_decode_str;

/// A target taken apart: the raw path, and the query as decoded pairs in order.
pub(crate) struct Target<'a> {
    pub(crate) path: &'a str,
    query: Vec<(String, String)>,
}

impl<'a> Target<'a> {
    /// Splits a raw target. `None` if it has no absolute path or its query does not decode or repeats a name.
    pub(crate) fn split(raw: &'a str) -> Option<Self> {
        if !raw.starts_with('/') {
            return None;
        }
        let (path, query_text) = raw.split_once('?').map_or((raw, ""), |(path, query)| (path, query));
        let mut query: Vec<(String, String)> = Vec::new();
        for pair in query_text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = form_decode(name)?;
            if query.iter().any(|(known, _)| *known == name) {
                return None;
            }
            query.push((name, form_decode(value)?));
        }
        Some(Self { path, query })
    }

    /// The decoded value of a query parameter; an empty one counts as present.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names of the query parameters that are not in `known`.
    pub(crate) fn unknown_query(&self, known: &[&str]) -> Option<&str> {
        self.query.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }
}

/// Decodes percent escapes of a path segment once. `None` on a broken escape or text that is not UTF-8.
pub(crate) fn path_decode(raw: &str) -> Option<String> {
    if !escapes_are_whole(raw) {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Decodes a form-encoded value: `+` is a space.
fn form_decode(raw: &str) -> Option<String> {
    path_decode(&raw.replace('+', " "))
}

fn escapes_are_whole(raw: &str) -> bool {
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
            if !hex(bytes.next()) || !hex(bytes.next()) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once() {
        assert_eq!(path_decode("a%252Fb").as_deref(), Some("a%2Fb"));
        assert_eq!(path_decode("%C3%BC+x").as_deref(), Some("ü+x"));
        assert_eq!(path_decode("%C3"), None);
        assert_eq!(path_decode("%4"), None);
        assert_eq!(path_decode("%zz"), None);
        let target = Target::split("/n/x?page=p%2F%2B%3D+x&empty=").unwrap();
        assert_eq!(target.query("page"), Some("p/+= x"));
        assert_eq!(target.query("empty"), Some(""));
        assert!(Target::split("/n?a=1&a=2").is_none());
        assert!(Target::split("http://x/n").is_none());
    }
}
