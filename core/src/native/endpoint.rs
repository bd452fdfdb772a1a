//! Where requests go. What is signed is what is sent: a URL that any layer would rewrite is refused here.

use std::net::IpAddr;

use reqwest::Url;

use crate::engine::error::{Error, ErrorKind};

/// A service's base URL, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `scheme://host[:port]`
    origin: String,
    /// Path in front of every target, without a trailing slash; mostly empty.
    prefix: String,
    /// The `host` header: host, and port if it is not the scheme's own.
    host: String,
    loopback: bool,
}

impl Endpoint {
    /// Reads a base URL. Plain http is for loopback only, unless `allow_http`.
    ///
    /// Errors: `InvalidInput` for other schemes, user info, query or fragment.
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Endpoint, Error> {
        // The text itself may hold credentials, so it is shown only once it is known not to.
        let url = Url::parse(text.trim()).map_err(|error| {
            invalid(format!("the endpoint URL cannot be used ({error}); it looks like https://host"))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the endpoint URL must not contain user name or password".into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(format!(
                "the endpoint URL must end with the host or a path: {}",
                url.as_str().split(['?', '#']).next().unwrap_or_default()
            )));
        }
        let name = url.host_str().unwrap_or_default();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if loopback || allow_http => {}
            "http" => {
                return Err(invalid(format!("plain http is for loopback only; use https for {name}")));
            }
            other => {
                return Err(invalid(format!("the endpoint URL must begin with https://, not {other}://")));
            }
        }
        // `Url` leaves out the scheme's own port, as HTTP clients do in the `host` header.
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Endpoint {
            origin: format!("{}://{host}", url.scheme()),
            prefix: url.path().trim_end_matches('/').to_owned(),
            host,
            loopback,
        })
    }

    /// The `host` header.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The base URL in one spelling, for telling journals of different services apart.
    pub(crate) fn base(&self) -> String {
        format!("{}{}", self.origin, self.prefix)
    }

    /// The target as it will stand on the request line.
    pub(crate) fn full_target(&self, target: &str) -> String {
        format!("{}{target}", self.prefix)
    }

    /// The URL that puts exactly `full_target` on the request line.
    ///
    /// Errors: `Protocol` when the URL rules would change it (names `.` and `..`).
    pub(crate) fn url(&self, full_target: &str) -> Result<Url, Error> {
        let refused = || {
            Error::new(
                ErrorKind::Protocol,
                "the request target would be rewritten on the way (names '.' and '..' cannot be sent)",
            )
        };
        let url = Url::parse(&format!("{}{full_target}", self.origin)).map_err(|_| refused())?;
        let sent =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        if sent == full_target && url.fragment().is_none() { Ok(url) } else { Err(refused()) }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_the_target_or_nothing() {
        let endpoint =
            Endpoint::parse("https://objectstorage.us-phoenix-1.oraclecloud.com", false).expect("a good URL");
        for target in [
            "/n/ns/b/bk/o/dir%20one%2Fblob%2B33.bin",
            "/n/ns/b/bk/u/a%2F%2Fb%252Fc?uploadId=a%2Fb&uploadPartNum=1",
            "/n/ns/b/bk/o/!%27%28%29",
            "/n/ns/b/bk/u?page=x+y%3D%3D&limit=1000",
            "/n",
        ] {
            let url = endpoint.url(target).expect("the target is left alone");
            assert_eq!(url.as_str(), format!("https://objectstorage.us-phoenix-1.oraclecloud.com{target}"));
        }
        for target in [
            "/n/ns/b/bk/o/.",
            "/n/ns/b/bk/o/..",
            "/n/ns/b/bk/o/%2e%2E",
            "/a/./b",
            "/a#b",
            "/a?b'c",
            "/a b",
            "/a\\b",
        ] {
            let error = endpoint.url(target).expect_err(target);
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }

    #[test]
    fn host_and_prefix_are_as_sent() {
        let endpoint =
            Endpoint::parse("http://127.0.0.1:18080/some/prefix/", false).expect("loopback may be http");
        assert_eq!((endpoint.host(), endpoint.is_loopback()), ("127.0.0.1:18080", true));
        assert_eq!(endpoint.full_target("/n"), "/some/prefix/n");
        let url = endpoint.url(&endpoint.full_target("/n")).expect("the prefix is part of the target");
        assert_eq!(url.as_str(), "http://127.0.0.1:18080/some/prefix/n");
        let standard = Endpoint::parse("https://Example.com:443/", false).expect("a good URL");
        assert_eq!((standard.host(), standard.base().as_str()), ("example.com", "https://example.com"));
        let six = Endpoint::parse("http://[::1]:99", false).expect("loopback may be http");
        assert_eq!(six.host(), "[::1]:99");
    }

    #[test]
    fn unsafe_bases_are_refused_without_showing_them() {
        for text in [
            "http://example.com",
            "ftp://example.com",
            "https://u:hunter2@h",
            "https://h?q=hunter2",
            "https://h#f",
            "",
            "h",
        ] {
            let error = Endpoint::parse(text, false).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(Endpoint::parse("http://example.com", true).is_ok());
    }
}
