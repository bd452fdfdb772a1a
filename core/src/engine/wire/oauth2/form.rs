//! `application/x-www-form-urlencoded`, both ways.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::engine::secret::Secret;

/// The content type of every request to a token endpoint.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// What a form leaves as it is (WHATWG URL section 5.2); a space becomes `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// One value, encoded.
pub fn encode(value: &str) -> Zeroizing<String> {
    let encoded = Zeroizing::new(utf8_percent_encode(value, ENCODED).to_string());
    Zeroizing::new(encoded.replace("%20", "+"))
}

/// A form being filled in. Grows by copies that are wiped.
pub struct Form(Zeroizing<String>);

impl Form {
    /// An empty one, with room for a usual token so that filling it in leaves few copies.
    pub fn new() -> Form {
        Form(Zeroizing::new(String::with_capacity(4 << 10)))
    }

    /// Adds a parameter. An empty value counts as absent (RFC 6749 section 3.2), so it is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Form {
        if value.is_empty() {
            return self;
        }
        let (name, value) = (encode(name), encode(value));
        let needed = self.0.len() + name.len() + value.len() + 2;
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(String::with_capacity(needed * 2));
            larger.push_str(&self.0);
            self.0 = larger;
        }
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&name);
        self.0.push('=');
        self.0.push_str(&value);
        self
    }

    /// Adds a parameter if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Form {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The body of a request.
    pub fn into_body(mut self) -> Secret<Vec<u8>> {
        Secret::new(std::mem::take(&mut *self.0).into_bytes())
    }
}

impl Default for Form {
    fn default() -> Self {
        Form::new()
    }
}

/// The first value of a parameter in a form; `None` when it is missing, empty, or not UTF-8.
pub fn find(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let text = |part: &str| {
            let part = part.replace('+', " ");
            percent_decode_str(&part).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        (text(key)? == name).then(|| text(value))?.filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_as_forms_are() {
        // The example of RFC 6749 appendix B: " %&+£€".
        assert_eq!(*encode(" %&+\u{a3}\u{20ac}"), "+%25%26%2B%C2%A3%E2%82%AC");
        assert_eq!(*encode("AZaz09*-._"), "AZaz09*-._");
        assert_eq!(*encode("~:/?#[]@!$'()"), "%7E%3A%2F%3F%23%5B%5D%40%21%24%27%28%29");
        let form = Form::new().with("a", "1 2").with("b", "").with_some("c", None).with_some("d", Some("&="));
        assert_eq!(form.as_str(), "a=1+2&d=%26%3D");
        let long = "x".repeat(9000);
        assert_eq!(Form::new().with("a", &long).with("b", &long).as_str().len(), 18_005);
    }

    #[test]
    fn what_was_encoded_is_found_again() {
        for value in ["a b", "%", "+", "\u{fc}&=\n", "a%20b"] {
            let form = Form::new().with("x", "y").with("n m", value);
            assert_eq!(find(form.as_str(), "n m").as_deref(), Some(value));
        }
        assert_eq!(find("error=a&error=b", "error").as_deref(), Some("a"));
        for form in ["", "error", "error=", "x=1", "error=%ff"] {
            assert_eq!(find(form, "error"), None, "{form}");
        }
    }
}
