//! Form bodies, read to the letter.

use percent_encoding::percent_decode_str;

/// The parameters of a form in order, names unique, empty values left out (they count as absent).
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// Why a body is no form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadForm {
    /// A byte that should have been escaped, or a broken escape.
    Encoding(String),
    /// A parameter given twice.
    Twice(String),
}

impl Form {
    /// Parses `application/x-www-form-urlencoded`. `repeatable` parameters may come more than once; the first one counts.
    pub(crate) fn parse(bytes: &[u8], repeatable: &[&str]) -> Result<Self, BadForm> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadForm::Encoding("it is not ASCII".into()))?;
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| BadForm::Encoding("a pair has no '='".into()))?;
            let (name, value) = (decode(name)?, decode(value)?);
            if pairs.iter().any(|(known, _)| *known == name) {
                if repeatable.contains(&name.as_str()) {
                    continue;
                }
                return Err(BadForm::Twice(name));
            }
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes one name or value. Only what the encoding leaves as it is may stand unescaped; `~`, which older rules escape and
/// newer ones do not, may.
pub(crate) fn decode(raw: &str) -> Result<String, BadForm> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._~+%".contains(&byte);
    if let Some(byte) = raw.bytes().find(|byte| !plain(*byte)) {
        return Err(BadForm::Encoding(format!("byte 0x{byte:02x} is not escaped")));
    }
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
        if byte == b'%' && !(hex(bytes.next()) && hex(bytes.next())) {
            return Err(BadForm::Encoding("an escape is broken".into()));
        }
    }
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| BadForm::Encoding("an escape is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_to_the_letter() {
        let form = Form::parse(b"a=x%2Fy&b=1+2%2B3&empty=&r=1&r=2", &["r"]).unwrap();
        assert_eq!(form.get("a"), Some("x/y"));
        assert_eq!(form.get("b"), Some("1 2+3"));
        assert_eq!(form.get("empty"), None);
        assert_eq!(form.get("r"), Some("1"));
        assert_eq!(Form::parse(b"a=1&a=2", &[]).unwrap_err(), BadForm::Twice("a".into()));
        for bad in ["a=x/y", "a=b c", "a=%2", "a=%zz", "a=%ff", "a", "a=\u{fc}", "a=b=c"] {
            assert!(matches!(Form::parse(bad.as_bytes(), &[]), Err(BadForm::Encoding(_))), "{bad}");
        }
    }
}
