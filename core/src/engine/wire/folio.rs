//! FOLIO's sign-in: the same paths on Okapi (mod-login and mod-authtoken) and on Eureka (mod-login-keycloak).
//!
//! | call                           | success                        | what else there is                                  |
//! |--------------------------------|--------------------------------|-----------------------------------------------------|
//! | `POST /authn/login-with-expiry`| 201, two cookies, two dates    | 422: name, password or a blocked account            |
//! | `POST /authn/refresh`          | 201, two cookies, two dates    | 422: refused *or* any trouble behind the front end  |
//! | `POST /authn/logout`           | 204                            | without a refresh cookie it would end *all* sessions|
//! | `POST /authn/login` (legacy)   | 201, `x-okapi-token`           | 404 where legacy tokens are switched off            |
//!
//! A refresh token goes out as a cookie and nowhere else; `Secure` cookies are read by us, not by a jar.
//!
//! Source: `folio.md` sections 1 to 4.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::oauth2::Rejection;
use super::oauth2::reply::is_token;
use super::oci::{harmless, parse_rfc3339, retry_after};
use super::{Method, Reply, WebRequest};
use crate::engine::secret::Secret;
use crate::engine::time::UnixMillis;

/// Cookie of the access token.
const ACCESS: &str = "folioAccessToken";
/// Cookie of the refresh token.
const REFRESH: &str = "folioRefreshToken";

/// A gateway and a tenant of it.
#[derive(Clone, Copy, Debug)]
pub struct Gateway<'a> {
    /// Base URL of Okapi or Kong, without a slash at its end.
    pub base: &'a str,
    /// `X-Okapi-Tenant`
    pub tenant: &'a str,
}

/// A token with its end.
#[derive(Clone, Debug)]
pub struct Dated {
    /// The token.
    pub token: Secret<String>,
    /// How long the cookie says that it lives.
    pub life: Option<Duration>,
    /// When it ends by the body's date, in the server's time.
    pub end: Option<UnixMillis>,
}

/// What a login or refresh gives.
#[derive(Clone, Debug)]
pub struct Pair {
    /// For requests: `X-Okapi-Token`.
    pub access: Dated,
    /// For the next refresh; a legacy login gives none.
    pub refresh: Option<Dated>,
}

/// Signs in: a chain of our own, that nobody else rotates.
pub fn login(at: Gateway<'_>, username: &str, password: &Secret<String>) -> WebRequest {
    let attempt = "signing in to FOLIO";
    post(at, "/authn/login-with-expiry", credentials(username, password), attempt)
}

/// Signs in the old way: one token without an end, where the tenant still allows it.
pub fn login_legacy(at: Gateway<'_>, username: &str, password: &Secret<String>) -> WebRequest {
    post(at, "/authn/login", credentials(username, password), "signing in to FOLIO (legacy)")
}

/// Asks for the next pair. The token is used up by this, whatever comes back.
pub fn refresh(at: Gateway<'_>, token: &Secret<String>) -> WebRequest {
    let mut request = post(at, "/authn/refresh", Secret::new(Vec::new()), "refreshing the FOLIO session");
    request.headers.push(("cookie", Secret::new(format!("{REFRESH}={}", token.expose()))));
    request
}

/// Ends this session and no other: `None` without a refresh token, since the call would then end all of the user's.
pub fn logout(
    at: Gateway<'_>,
    access: &Secret<String>,
    refresh: Option<&Secret<String>>,
) -> Option<WebRequest> {
    let refresh = refresh?;
    let mut request = post(at, "/authn/logout", Secret::new(Vec::new()), "signing out of FOLIO");
    // The token header and the cookie must agree, so both are the same token.
    let cookies = format!("{ACCESS}={}; {REFRESH}={}", access.expose(), refresh.expose());
    request.headers.push(("cookie", Secret::new(cookies)));
    request.headers.push(("x-okapi-token", access.clone()));
    Some(request)
}

fn credentials(username: &str, password: &Secret<String>) -> Secret<Vec<u8>> {
    let body = json!({ "username": username, "password": password.expose() });
    Secret::new(body.to_string().into_bytes())
}

fn post(at: Gateway<'_>, path: &str, body: Secret<Vec<u8>>, attempt: &'static str) -> WebRequest {
    let mut headers = vec![
        ("accept", Secret::new("application/json, text/plain".to_owned())),
        ("x-okapi-tenant", Secret::new(at.tenant.to_owned())),
    ];
    if !body.expose().is_empty() {
        headers.push(("content-type", Secret::new("application/json".to_owned())));
    }
    let url = format!("{}{path}", at.base.trim_end_matches('/'));
    WebRequest { method: Method::Post, url, headers, body, attempt }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Ends {
    access_token_expiration: Option<String>,
    refresh_token_expiration: Option<String>,
}

/// Reads the answer of a login or refresh.
pub fn pair(reply: &Reply) -> Result<Pair, Rejection> {
    if !(200..300).contains(&reply.status) {
        return Err(rejection(reply));
    }
    let ends: Ends = serde_json::from_slice(&reply.body).unwrap_or_default();
    let end = |text: &Option<String>| text.as_deref().and_then(parse_rfc3339);
    let unreadable = |why| Rejection { unreadable: Some(why), ..rejection(reply) };
    let mut access = cookie(reply, ACCESS).ok_or_else(|| {
        unreadable("the answer sets no access token; a network's sign-in page may be in between")
    })?;
    access.end = end(&ends.access_token_expiration);
    let refresh = cookie(reply, REFRESH).map(|mut token| {
        token.end = end(&ends.refresh_token_expiration);
        token
    });
    if refresh.is_none() {
        return Err(unreadable("the answer sets no refresh token"));
    }
    Ok(Pair { access, refresh })
}

/// Reads the answer of a legacy login.
pub fn legacy(reply: &Reply) -> Result<Pair, Rejection> {
    if !(200..300).contains(&reply.status) {
        return Err(rejection(reply));
    }
    let token = reply.header("x-okapi-token").filter(|token| is_token(token)).ok_or_else(|| Rejection {
        unreadable: Some("the answer has no x-okapi-token"),
        ..rejection(reply)
    })?;
    let access = Dated { token: Secret::new(token.to_owned()), life: None, end: None };
    Ok(Pair { access, refresh: None })
}

/// Reads the answer of a logout.
pub fn logged_out(reply: &Reply) -> Result<(), Rejection> {
    if (200..300).contains(&reply.status) { Ok(()) } else { Err(rejection(reply)) }
}

/// A cookie that is set, not cleared.
fn cookie(reply: &Reply, name: &str) -> Option<Dated> {
    let mut found = None;
    for header in reply.headers.iter().filter(|(key, _)| key == "set-cookie").map(|(_, value)| value) {
        let mut parts = header.split(';').map(str::trim);
        let Some((key, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
        let value = value.trim().trim_matches('"');
        if key.trim() != name || !is_token(value) {
            continue;
        }
        let life = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.eq_ignore_ascii_case("max-age").then(|| value.trim().parse::<u64>().ok())?
        });
        found = Some(Dated {
            token: Secret::new(value.to_owned()),
            life: life.filter(|life| *life > 0).map(Duration::from_secs),
            end: None,
        });
    }
    found
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OneError {
    message: Option<String>,
    code: Option<String>,
}

fn rejection(reply: &Reply) -> Rejection {
    let first =
        serde_json::from_slice::<Errors>(&reply.body).ok().and_then(|body| body.errors.into_iter().next());
    let plain = std::str::from_utf8(&reply.body).unwrap_or_default().trim();
    let words = match &first {
        Some(error) => error.message.clone(),
        None if plain.is_empty() || plain.starts_with(['<', '{', '[']) || plain.len() > 500 => None,
        None => Some(plain.to_owned()),
    };
    Rejection {
        status: reply.status,
        error: first
            .and_then(|error| error.code)
            .map(|code| harmless(&code, 100))
            .filter(|code| !code.is_empty()),
        words: words.map(|words| harmless(&words, 300)).filter(|words| !words.is_empty()),
        retry_after: retry_after(reply),
        unreadable: None,
        dpop_nonce: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Gateway<'_> = Gateway { base: "https://okapi/", tenant: "diku" };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn header(request: &WebRequest, name: &str) -> Option<String> {
        request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.expose().clone())
    }

    fn reply(status: u16, cookies: &[&str], body: &str) -> Reply {
        let headers = cookies.iter().map(|cookie| ("set-cookie".to_owned(), (*cookie).to_owned())).collect();
        Reply { status, headers, body: body.into() }
    }

    #[test]
    fn requests_are_the_modules_own() {
        let request = login(AT, "diku_admin", &secret("a\"b"));
        assert_eq!(request.url, "https://okapi/authn/login-with-expiry");
        assert_eq!(request.body.expose(), br#"{"password":"a\"b","username":"diku_admin"}"#);
        assert_eq!(header(&request, "x-okapi-tenant").as_deref(), Some("diku"));
        let request = refresh(AT, &secret("e.y.J.w.E"));
        assert!(request.body.expose().is_empty() && header(&request, "content-type").is_none());
        assert_eq!(header(&request, "cookie").as_deref(), Some("folioRefreshToken=e.y.J.w.E"));
        assert_eq!(header(&request, "x-okapi-token"), None);
        assert!(!format!("{request:?}").contains("e.y.J"));
        assert_eq!(login_legacy(AT, "u", &secret("p")).url, "https://okapi/authn/login");
    }

    #[test]
    fn a_logout_ends_one_session_or_is_not_sent() {
        let request = logout(AT, &secret("at"), Some(&secret("rt"))).unwrap();
        assert_eq!(header(&request, "cookie").as_deref(), Some("folioAccessToken=at; folioRefreshToken=rt"));
        assert_eq!(header(&request, "x-okapi-token").as_deref(), Some("at"));
        assert!(logout(AT, &secret("at"), None).is_none());
    }

    #[test]
    fn pairs_are_read_from_cookies_and_dates() {
        let body = r#"{"accessTokenExpiration":"2024-01-23T15:15:49Z","refreshTokenExpiration":"2024-01-30T15:05:49Z"}"#;
        let pair = pair(&reply(
            201,
            &[
                "other=1",
                "folioRefreshToken=a.b.c.d.e; Max-Age=604800; Path=/authn; Secure; HttpOnly; SameSite=Lax",
                "folioAccessToken=h.p.s; max-age=600; Expires=Tue, 23 Jan 2024 15:15:49 GMT; Path=/; Secure; HttpOnly",
            ],
            body,
        ))
        .unwrap();
        assert_eq!(
            (pair.access.token.expose().as_str(), pair.access.life),
            ("h.p.s", Some(Duration::from_mins(10)))
        );
        assert_eq!(pair.access.end.unwrap().to_string(), "2024-01-23 15:15:49Z");
        let refresh = pair.refresh.unwrap();
        assert_eq!(
            (refresh.token.expose().as_str(), refresh.life.unwrap().as_secs()),
            ("a.b.c.d.e", 604_800)
        );
        assert_eq!(refresh.end.unwrap().to_string(), "2024-01-30 15:05:49Z");
    }

    #[test]
    fn what_sets_no_pair_is_no_success() {
        for cookies in [
            &[][..],
            &["folioAccessToken=a"],
            &["folioRefreshToken=r"],
            &["folioAccessToken=; Max-Age=0", "folioRefreshToken=; Max-Age=0"],
            &["folioAccessToken=a b", "folioRefreshToken=r"],
            &["folioAccessToken", "folioRefreshToken=r"],
        ] {
            let found = pair(&reply(201, cookies, "{}")).unwrap_err();
            assert!(found.unreadable.is_some(), "{cookies:?}");
        }
    }

    #[test]
    fn errors_keep_their_codes() {
        let body = r#"{"errors":[{"message":"Authorization server unable to process token refresh request","type":"error","code":"token.refresh.unprocessable"}],"total_records":1}"#;
        let found = pair(&reply(422, &[], body)).unwrap_err();
        assert_eq!((found.status, found.error.as_deref()), (422, Some("token.refresh.unprocessable")));
        assert!(found.words.unwrap().contains("unable to process"));
        let found = pair(&reply(400, &[], "Missing header: X-Okapi-Url")).unwrap_err();
        assert_eq!((found.error, found.words.as_deref()), (None, Some("Missing header: X-Okapi-Url")));
        let found = pair(&reply(502, &[], "<html>x</html>")).unwrap_err();
        assert_eq!((found.error, found.words), (None, None));
        assert!(logged_out(&reply(204, &[], "")).is_ok());
        assert_eq!(logged_out(&reply(422, &[], body)).unwrap_err().status, 422);
    }

    #[test]
    fn legacy_tokens_come_in_a_header() {
        let mut answer = reply(201, &[], r#"{"okapiToken":"a.b.c"}"#);
        answer.headers.push(("x-okapi-token".into(), "a.b.c".into()));
        let pair = legacy(&answer).unwrap();
        assert!(pair.refresh.is_none() && pair.access.token.expose() == "a.b.c");
        assert_eq!(legacy(&reply(404, &[], "Not found")).unwrap_err().status, 404);
        assert!(legacy(&reply(201, &[], "{}")).unwrap_err().unreadable.is_some());
    }
}
