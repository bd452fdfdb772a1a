//! The addresses of the authorization server, in the three shapes that clients know.

use super::pages;
use super::resource;
use super::token;
use super::watch::Rule;
use crate::http::reply::{Fail, Reply};
use crate::op::Op;
use crate::service::{Call, Handled};
use serde_json::json;

/// The servers whose addresses are spoken here: our own, a Keycloak realm's, an identity domain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Own,
    Realm,
    Domain,
}

/// Where a request came in, as absolute URLs.
#[derive(Debug)]
pub(crate) struct Place {
    shape: Shape,
    pub(crate) issuer: String,
    pub(crate) token_url: String,
    /// What the protocol's addresses begin with.
    base: String,
}

/// The operation at a path, if it is one of this server's.
pub(crate) fn find(path: &str) -> Option<Op> {
    Some(match split(path)?.2 {
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => Op::OauthDiscovery,
        "/jwks" | "/certs" => Op::OauthKeys,
        "/authorize" | "/auth" => Op::OauthAuthorize,
        "/token" => Op::OauthToken,
        "/revoke" => Op::OauthRevoke,
        "/introspect" | "/token/introspect" => Op::OauthIntrospect,
        "/userinfo" => Op::OauthUserinfo,
        "/logout" | "/userlogout" => Op::OauthLogout,
        "/device_authorization" | "/auth/device" => Op::OauthDeviceStart,
        "/device" => Op::OauthDevicePage,
        "/trap" => Op::OauthTrap,
        _ => Op::OauthUnknown,
    })
}

/// Shape, issuer path and the rest of a path.
fn split(path: &str) -> Option<(Shape, &str, &str)> {
    if let Some(rest) = path.strip_prefix("/oauth2/v1/") {
        return Some((Shape::Domain, "", &path[path.len() - rest.len() - 1..]));
    }
    if path == "/.well-known/openid-configuration" {
        return Some((Shape::Domain, "", path));
    }
    if path == "/.well-known/oauth-authorization-server/oauth" {
        return Some((Shape::Own, "/oauth", "/.well-known/oauth-authorization-server"));
    }
    if let Some(rest) = path.strip_prefix("/realms/") {
        let end = rest.find('/')? + "/realms/".len();
        let (issuer, rest) = path.split_at(end);
        return Some((Shape::Realm, issuer, rest.strip_prefix("/protocol/openid-connect").unwrap_or(rest)));
    }
    path.strip_prefix("/oauth").filter(|rest| rest.starts_with('/')).map(|rest| (Shape::Own, "/oauth", rest))
}

impl Place {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        let scheme = if call.secure { "https" } else { "http" };
        let origin = format!("{scheme}://{}", call.head.get("host").unwrap_or_default());
        let (shape, issuer, _) = split(call.route.target.path).unwrap_or((Shape::Own, "/oauth", ""));
        let issuer = format!("{origin}{issuer}");
        let base = match shape {
            Shape::Own => issuer.clone(),
            Shape::Realm => format!("{issuer}/protocol/openid-connect"),
            Shape::Domain => format!("{origin}/oauth2/v1"),
        };
        Self { shape, token_url: format!("{base}/token"), issuer, base }
    }

    /// Our own server's addresses.
    pub(crate) fn own(origin: &str) -> Self {
        let issuer = format!("{origin}/oauth");
        Self { shape: Shape::Own, token_url: format!("{issuer}/token"), base: issuer.clone(), issuer }
    }

    /// A realm as FOLIO's modules see it.
    pub(crate) fn realm(origin: &str, realm: &str) -> Self {
        let issuer = format!("{origin}/realms/{realm}");
        let base = format!("{issuer}/protocol/openid-connect");
        Self { shape: Shape::Realm, token_url: format!("{base}/token"), issuer, base }
    }

    fn url(&self, own: &str, realm: &str, domain: &str) -> String {
        let end = match self.shape {
            Shape::Own => own,
            Shape::Realm => realm,
            Shape::Domain => domain,
        };
        format!("{}{end}", self.base)
    }

    /// Where a person approves a device.
    pub(crate) fn device_page(&self) -> String {
        match self.shape {
            Shape::Realm => format!("{}/device", self.issuer),
            Shape::Own | Shape::Domain => format!("{}/device", self.base),
        }
    }
}

/// Serves one request of the authorization server. `body` is all of it.
pub(crate) fn serve(call: &Call<'_>, body: &[u8]) -> Handled {
    let place = Place::of(call);
    let allowed: &[&str] = match call.route.op {
        Op::OauthToken | Op::OauthRevoke | Op::OauthIntrospect | Op::OauthDeviceStart => &["POST"],
        Op::OauthDiscovery | Op::OauthKeys => &["GET"],
        _ => &["GET", "POST"],
    };
    if call.route.op == Op::OauthUnknown
        || (call.route.op != Op::OauthTrap && !allowed.contains(&call.head.method.as_str()))
    {
        return Ok(nothing());
    }
    match call.route.op {
        Op::OauthDiscovery => Ok(discovery(&place)),
        Op::OauthKeys => Ok(Reply::json(200, &json!({ "keys": [call.service.oauth.issuer.public_jwk()] }))),
        Op::OauthAuthorize => Ok(pages::authorize(call, &place, body)),
        Op::OauthToken => token::serve(call, &place, body),
        Op::OauthRevoke => Ok(resource::revoke(call, &place, body)),
        Op::OauthIntrospect => Ok(resource::introspect(call, &place, body)),
        Op::OauthUserinfo => Ok(resource::userinfo(call, &place)),
        Op::OauthLogout => Ok(resource::logout(call, &place, body)),
        Op::OauthDeviceStart => Ok(pages::device_start(call, &place, body)),
        Op::OauthDevicePage => Ok(pages::device_page(call, &place, body)),
        _ => {
            call.service.oauth.watch.note(call.now(), Rule::RedirectFollowed, "the token endpoint's 307");
            Ok(nothing())
        }
    }
}

fn nothing() -> Reply {
    let fail = Fail::new(404, "not_found", "There is nothing here");
    Reply::json(404, &json!({ "error": fail.code, "error_description": fail.message }))
}

fn discovery(place: &Place) -> Reply {
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let grants = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ];
    let document = json!({
        "issuer": place.issuer,
        "authorization_endpoint": place.url("/authorize", "/auth", "/authorize"),
        "token_endpoint": place.token_url,
        "revocation_endpoint": place.url("/revoke", "/revoke", "/revoke"),
        "introspection_endpoint": place.url("/introspect", "/token/introspect", "/introspect"),
        "userinfo_endpoint": place.url("/userinfo", "/userinfo", "/userinfo"),
        "end_session_endpoint": place.url("/logout", "/logout", "/userlogout"),
        "device_authorization_endpoint": place.url("/device_authorization", "/auth/device", "/device_authorization"),
        "jwks_uri": place.url("/jwks", "/certs", "/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    Reply::json(200, &document)
}
