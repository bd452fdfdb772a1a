//! The base URL of a service, taken apart so that nothing has to be put together by guess.

use std::net::{IpAddr, Ipv6Addr};

use crate::engine::error::{Error, ErrorKind};

/// A service's base URL: scheme, authority and a path that stands in front of every target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    origin: String,
    prefix: String,
    host: String,
    loopback: bool,
}

impl Endpoint {
    /// Reads a base URL: `https://host[:port][/prefix]`; slashes at the end are dropped. Plain http is for loopback only,
    /// unless `allow_http`.
    ///
    /// Errors: `InvalidInput` for other schemes, user info, query, fragment, and host labels of other characters than
    /// letters, digits, `_` and `-`. The text is not repeated, for it may hold credentials.
    pub fn parse(text: &str, allow_http: bool) -> Result<Endpoint, Error> {
        let text = text.trim();
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| invalid("must begin with https:// (or http:// for loopback)"))?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(invalid("must begin with https:// (or http:// for loopback)")),
        };
        let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        if authority.contains('@') {
            return Err(invalid("must not hold a user name or password"));
        }
        let (name, port) = split_port(authority)?;
        let loopback = check_host(&name)?;
        if scheme == "http" && !loopback && !allow_http {
            return Err(invalid("uses plain http to another machine; use https"));
        }
        let prefix = path.trim_end_matches('/');
        check_prefix(prefix)?;
        let host = match port.filter(|port| *port != default_port) {
            Some(port) => format!("{name}:{port}"),
            None => name,
        };
        Ok(Endpoint { origin: format!("{scheme}://{host}"), prefix: prefix.to_owned(), host, loopback })
    }

    /// The `host` header: host, and port if it is not the scheme's own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The path in front of every target: empty, or with a slash in front and none behind.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The base URL in one spelling, without a slash behind.
    pub fn base(&self) -> String {
        format!("{}{}", self.origin, self.prefix)
    }

    /// The target as it will stand on the request line; this is what has to be signed.
    pub fn full_target(&self, target: &str) -> String {
        format!("{}{target}", self.prefix)
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the endpoint URL {problem}"))
}

fn split_port(authority: &str) -> Result<(String, Option<u16>), Error> {
    let bracket = authority.rfind(']').unwrap_or(0);
    let Some((name, port)) = authority.rsplit_once(':').filter(|(name, _)| name.len() > bracket) else {
        return Ok((authority.to_ascii_lowercase(), None));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits && number != 0 => Ok((name.to_ascii_lowercase(), Some(number))),
        _ => Err(invalid("has a port that is not a number from 1 to 65535")),
    }
}

/// Whether the host is this machine.
fn check_host(name: &str) -> Result<bool, Error> {
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| invalid("has an unreadable IPv6 address"))?;
        return Ok(address.is_loopback());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(invalid("has a host whose labels are not made of letters, digits, '_' and '-'"));
    }
    Ok(name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

fn check_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.contains(['?', '#']) {
        return Err(invalid("must end with the host or a path"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    let bent = prefix.split('/').skip(1).any(|segment| matches!(segment, "" | "." | ".."));
    if bent || !prefix.bytes().all(legal) {
        return Err(invalid("has a path that HTTP software would rewrite"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_taken_apart() {
        for (text, base, host, prefix, loopback) in [
            (
                "https://objectstorage.us-phoenix-1.oraclecloud.com",
                "https://objectstorage.us-phoenix-1.oraclecloud.com",
                "objectstorage.us-phoenix-1.oraclecloud.com",
                "",
                false,
            ),
            (" HTTPS://Example.COM:443/ ", "https://example.com", "example.com", "", false),
            ("https://example.com:8443///", "https://example.com:8443", "example.com:8443", "", false),
            (
                "http://127.0.0.1:18080/some/prefix/",
                "http://127.0.0.1:18080/some/prefix",
                "127.0.0.1:18080",
                "/some/prefix",
                true,
            ),
            ("http://127.9.8.7:80", "http://127.9.8.7", "127.9.8.7", "", true),
            ("http://localhost:5", "http://localhost:5", "localhost:5", "", true),
            ("http://[::1]:99", "http://[::1]:99", "[::1]:99", "", true),
            ("https://[2001:DB8::1]", "https://[2001:db8::1]", "[2001:db8::1]", "", false),
            ("https://under_score.x", "https://under_score.x", "under_score.x", "", false),
        ] {
            let endpoint = Endpoint::parse(text, false).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(endpoint.base(), base);
            assert_eq!(
                (endpoint.host(), endpoint.prefix(), endpoint.is_loopback()),
                (host, prefix, loopback),
                "{text}"
            );
            assert_eq!(endpoint.full_target("/n"), format!("{prefix}/n"));
            assert_eq!(Endpoint::parse(&endpoint.base(), false).unwrap(), endpoint);
        }
        assert!(Endpoint::parse("http://10.0.0.1", true).is_ok());
    }

    #[test]
    fn unsafe_endpoints_are_refused_without_being_repeated() {
        const SCHEME: &str = "must begin with https:// (or http:// for loopback)";
        const LABELS: &str = "has a host whose labels are not made of letters, digits, '_' and '-'";
        const REWRITE: &str = "has a path that HTTP software would rewrite";
        const PORT: &str = "has a port that is not a number from 1 to 65535";
        for (text, problem) in [
            ("", SCHEME),
            ("hunter2.example.com", SCHEME),
            ("ftp://hunter2", SCHEME),
            ("https:/hunter2", SCHEME),
            ("https://user:hunter2@h", "must not hold a user name or password"),
            ("http://127.0.0.1@hunter2", "must not hold a user name or password"),
            ("http://hunter2.example.com", "uses plain http to another machine; use https"),
            ("http://localhost.hunter2", "uses plain http to another machine; use https"),
            ("https://h?hunter2", "must end with the host or a path"),
            ("https://h/p#hunter2", "must end with the host or a path"),
            ("https://", LABELS),
            ("https://.hunter2", LABELS),
            ("https://hunter2.", LABELS),
            ("https://hunter2 x", LABELS),
            ("https://hünter2", LABELS),
            ("https://h%41", LABELS),
            ("https://a\r\nb", LABELS),
            ("https://[::1", LABELS),
            ("https://[hunter2]", "has an unreadable IPv6 address"),
            ("https://h:", PORT),
            ("https://h:0", PORT),
            ("https://h:65536", PORT),
            ("https://h:+5", PORT),
            ("https://h:x", PORT),
            ("https://h/a//b", REWRITE),
            ("https://h/./b", REWRITE),
            ("https://h/..", REWRITE),
            ("https://h\\b", REWRITE),
            ("https://h/a b", REWRITE),
        ] {
            let error = Endpoint::parse(text, false).expect_err(text);
            assert_eq!(error.to_string(), format!("the endpoint URL {problem}"), "{text}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
