//! FOLIO's two cookies.

use super::settings::Platform;
use crate::clock::{Millis, rfc3339};
use crate::http::head::Head;
use crate::http::reply::Reply;

pub(crate) const ACCESS: &str = "folioAccessToken";
pub(crate) const REFRESH: &str = "folioRefreshToken";

/// All values of a cookie in a request.
pub(crate) fn values<'a>(head: &'a Head, name: &str) -> Vec<&'a str> {
    let pairs = head.get("cookie").unwrap_or_default().split(';');
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value)
        .collect()
}

/// Sets both cookies.
pub(crate) fn set(
    reply: &mut Reply,
    platform: Platform,
    now: Millis,
    access: (&str, Millis),
    refresh: (&str, Millis),
) {
    let same_site = match platform {
        Platform::Okapi => "Lax",
        Platform::Eureka => "None",
    };
    for (name, path, (value, ends)) in [(ACCESS, "/", access), (REFRESH, "/authn", refresh)] {
        let age = (ends - now).div_euclid(1000).max(1);
        let cookie =
            format!("{name}={value}; Max-Age={age}; Path={path}; Secure; HttpOnly; SameSite={same_site}");
        reply.add("set-cookie", cookie);
    }
}

/// Clears both.
pub(crate) fn clear(reply: &mut Reply, platform: Platform) {
    for (name, path) in [(ACCESS, "/"), (REFRESH, "/authn")] {
        let how = match platform {
            Platform::Okapi => "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            Platform::Eureka => "Max-Age=0",
        };
        reply.add("set-cookie", format!("{name}=; {how}; Path={path}; Secure; HttpOnly; SameSite=None"));
    }
}

/// `2024-01-23T15:15:49Z`
pub(crate) fn date(at: Millis) -> String {
    format!("{}Z", &rfc3339(at)[..19])
}
