//! Requests that are authorised by what they carry (a form, a header, a cookie) instead of by a signature.

use std::fmt;

use super::Method;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;

/// Longest URL that is sent, bytes: front ends refuse longer ones.
const MAX_URL: usize = 8 << 10;

/// A request to an identity provider, sent once and exactly as it stands here.
#[derive(Clone)]
pub struct WebRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL. It never holds a secret.
    pub url: String,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, Secret<String>)>,
    /// The body; empty for GET.
    pub body: Secret<Vec<u8>>,
    /// What is being attempted, for messages and the trace.
    pub attempt: &'static str,
}

/// Method and URL without its query only: headers and body are secrets.
impl fmt::Debug for WebRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), without_query(&self.url))
    }
}

/// The URL as it may be shown.
pub fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Checks that a URL of an identity provider can be used: https (http for this machine, or when allowed), a host, no user
/// information, no fragment, no spaces.
///
/// Errors: `Config`, without a query.
pub fn check_url(url: &str, allow_http: bool) -> Result<(), Error> {
    let shown = without_query(url);
    let wrong = |why: &str| Err(Error::new(ErrorKind::Config, format!("the URL {shown:.200} {why}")));
    if url.is_empty() || url.len() > MAX_URL || url.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
        return Err(Error::new(
            ErrorKind::Config,
            "a URL is empty, longer than 8 KiB, or has spaces or signs outside ASCII",
        ));
    }
    let Some((scheme, rest)) = url.split_once("://") else { return wrong("does not begin with https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        // Not shown: it may be a password.
        return Err(Error::new(ErrorKind::Config, "a URL must not contain user name or password"));
    }
    if url.contains('#') {
        return wrong("must not have a fragment");
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return wrong("names no host");
    }
    match scheme {
        "https" => Ok(()),
        "http" if allow_http || is_loopback(host) => Ok(()),
        "http" => wrong("is plain http, which is for this machine only; use https"),
        _ => wrong("does not begin with https://"),
    }
}

/// Whether a host name is this machine by its very form.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_without_showing_secrets() {
        for url in [
            "https://h/token",
            "http://127.0.0.1:8080/t",
            "http://[::1]/t",
            "http://localhost/t",
            "https://h/t?x=1",
        ] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        assert!(check_url("http://h/token", true).is_ok());
        for url in [
            "",
            "h/token",
            "http://h/token",
            "ftp://h/",
            "https://",
            "https:///x",
            "https://u:hunter2@h/",
            "https://h/#hunter2",
            "https://h/a b",
            "https://h/\u{fc}",
            "https://h/\r\nx: hunter2",
            "http://h/t?hunter2",
        ] {
            let error = check_url(url, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(check_url(&format!("https://h/{}", "x".repeat(MAX_URL)), false).is_err());
    }
}
