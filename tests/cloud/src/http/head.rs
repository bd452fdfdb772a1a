//! Request heads, as received.

/// Largest head (request line and headers) in bytes; a token of 4 KiB and many metadata headers fit well.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 128;

/// Headers whose repetition would make a request ambiguous.
const SINGLE: [&str; 9] = [
    "authorization",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "expect",
    "host",
    "x-content-sha256",
    "x-date",
];

/// A request head. Header names are lower case, values trimmed of outer white space and otherwise untouched.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The request target exactly as it stood on the request line.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    length: Option<u64>,
}

/// Why a head is no request: a status, an error code and a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHead {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) reason: &'static str,
}

const fn bad(reason: &'static str) -> BadHead {
    BadHead { status: 400, code: "CannotParseRequest", reason }
}

impl Head {
    /// Parses one head from the front of `bytes`: `None` while it is incomplete, else the head and its length in bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut slots);
        let used = match request.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD_BYTES => return Err(too_large()),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
            Err(_) => return Err(bad("the head does not parse")),
        };
        if used > MAX_HEAD_BYTES {
            return Err(too_large());
        }
        if bytes[..used].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r') {
            return Err(bad("a line ends without a carriage return"));
        }
        let proxied = request.method == Some("CONNECT");
        // Python's standard library opens tunnels with HTTP/1.0, some others without a host header.
        if request.version != Some(1) && !proxied {
            return Err(BadHead {
                status: 505,
                code: "HTTPVersionNotSupported",
                reason: "only HTTP/1.1 is spoken here",
            });
        }
        let method = request.method.unwrap_or_default().to_owned();
        let target = request.path.unwrap_or_default().to_owned();
        if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(bad("methods are upper case"));
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad("the request target has a byte outside visible ASCII"));
        }
        let mut headers = Vec::with_capacity(request.headers.len());
        for header in request.headers.iter() {
            let value = std::str::from_utf8(header.value).map_err(|_| bad("a header value is not UTF-8"))?;
            headers.push((header.name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let mut head = Self { method, target, headers, length: None };
        if !proxied {
            head.check()?;
        }
        Ok(Some((head, used)))
    }

    fn check(&mut self) -> Result<(), BadHead> {
        if SINGLE.iter().any(|name| self.all(name).count() > 1) {
            return Err(bad("a header that must be single is repeated"));
        }
        if self.get("host").is_none_or(str::is_empty) {
            return Err(bad("no host header"));
        }
        if self.get("transfer-encoding").is_some() {
            return Err(BadHead {
                status: 411,
                code: "ContentLengthRequired",
                reason: "chunked bodies are not accepted",
            });
        }
        if let Some(text) = self.get("content-length") {
            let digits =
                !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
            let length = if digits { text.parse().ok() } else { None };
            let wrong = BadHead {
                status: 400,
                code: "InvalidContentLength",
                reason: "content-length is not a number of bytes",
            };
            self.length = Some(length.ok_or(wrong)?);
        }
        Ok(())
    }

    /// The value of a header (lower-case name), the first if there are several.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All headers in order of arrival.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// `content-length`, if the header is there.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// True if the client waits for `100 Continue`.
    pub(crate) fn expects_continue(&self) -> bool {
        self.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    /// True if the client will close after this exchange.
    pub(crate) fn wants_close(&self) -> bool {
        self.all("connection")
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("close"))
    }
}

const fn too_large() -> BadHead {
    BadHead {
        status: 431,
        code: "RequestHeaderFieldsTooLarge",
        reason: "the head is larger than 64 KiB or has too many headers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, &'static str> {
        Head::parse(text.as_bytes()).map_err(|bad| bad.reason)?.map(|(head, _)| head).ok_or("partial")
    }

    #[test]
    fn the_target_stays_raw() {
        let head =
            parse("GET //n/a%2fb/../c?x=%20+y HTTP/1.1\r\nHost: h:1\r\nX-Y: \t a  b \r\n\r\n").unwrap();
        assert_eq!(head.target, "//n/a%2fb/../c?x=%20+y");
        assert_eq!(head.get("x-y"), Some("a  b"));
    }

    #[test]
    fn hostile_heads_are_refused() {
        for text in [
            "GET /n HTTP/1.1\r\n\r\n",
            "GET /n HTTP/1.0\r\nhost: h\r\n\r\n",
            "get /n HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /n HTTP/1.1\r\nhost: h\n\r\n",
            "GET  /n HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /\u{fc} HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET /n HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
            "GET /n HTTP/1.1\r\nhost: h\r\nA: 1\r\n folded\r\n\r\n",
            "PUT /n HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
            "PUT /n HTTP/1.1\r\nhost: h\r\ncontent-length: +1\r\n\r\n",
            "PUT /n HTTP/1.1\r\nhost: h\r\ncontent-length: 1, 1\r\n\r\n",
            "PUT /n HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "PUT /n HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
        ] {
            let refusal = parse(text).unwrap_err();
            assert_ne!(refusal, "partial", "{text:?}");
        }
        let mut many = String::from("GET /n HTTP/1.1\r\nhost: h\r\n");
        many.push_str(&"a: b\r\n".repeat(200));
        assert_eq!(Head::parse(many.as_bytes()).unwrap_err().status, 431);
        let long = format!("GET /n HTTP/1.1\r\nhost: h\r\nx: {}", "y".repeat(MAX_HEAD_BYTES));
        assert_eq!(Head::parse(long.as_bytes()).unwrap_err().status, 431);
    }
}
