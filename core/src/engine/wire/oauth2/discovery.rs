//! Where an authorization server has its endpoints: OpenID Connect Discovery 1.0 and RFC 8414.

use serde::Deserialize;

use super::text::Text;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::wire::oci::harmless;
use crate::engine::wire::web::check_url;
use crate::engine::wire::{Method, Reply, WebRequest};

/// The endpoints of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// The issuer, as it names itself.
    pub issuer: String,
    /// The token endpoint.
    pub token: String,
    /// Where browsers are sent.
    pub authorization: Option<String>,
    /// Where device codes come from.
    pub device: Option<String>,
    /// Where tokens are revoked.
    pub revocation: Option<String>,
    /// The answer to an authorization request names its issuer (RFC 9207).
    pub names_issuer: bool,
}

/// Which rules a server's document keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The issuer that was asked.
    pub issuer: &'a str,
    /// The issuer the document may name instead; Oracle's identity domains all name one.
    pub alias: Option<&'a str>,
    /// Endpoints may be paths relative to the issuer; Oracle's are.
    pub relative: bool,
    /// Plain http to other machines is allowed.
    pub allow_http: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    issuer: Text,
    token_endpoint: Text,
    authorization_endpoint: Text,
    device_authorization_endpoint: Text,
    revocation_endpoint: Text,
    authorization_response_iss_parameter_supported: Text,
}

/// The addresses to ask, in this order, until one answers with a document.
pub fn addresses(issuer: &str) -> Vec<String> {
    let issuer = issuer.trim_end_matches('/');
    let mut list = vec![format!("{issuer}/.well-known/openid-configuration")];
    // RFC 8414 section 3.1 puts the well-known part between host and path.
    if let Some((scheme, rest)) = issuer.split_once("://") {
        let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        list.push(format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"));
    }
    list
}

/// The request for a document.
pub fn request(address: &str) -> WebRequest {
    WebRequest {
        method: Method::Get,
        url: address.to_owned(),
        headers: vec![("accept", Secret::new("application/json".to_owned()))],
        body: Secret::new(Vec::new()),
        attempt: "looking up the identity provider",
    }
}

/// Reads a document.
///
/// Errors: `Config` when it is none or names another issuer (a document of somebody else's must not direct our secrets),
/// or when an endpoint is no URL that may be used.
pub fn parse(reply: &Reply, expected: Expectation<'_>) -> Result<Endpoints, Error> {
    let issuer = expected.issuer.trim_end_matches('/');
    let failed = |why: &str| {
        Error::new(ErrorKind::Config, format!("the identity provider {issuer} cannot be looked up: {why}"))
    };
    if reply.status != 200 {
        let status = reply.status;
        return Err(failed(&format!(
            "its discovery document is answered with HTTP {status}; check issuer, or name token_endpoint yourself"
        )));
    }
    let document: Document = serde_json::from_slice(&reply.body)
        .map_err(|_| failed("what it answers is no discovery document; check issuer"))?;
    let named = document.issuer.get().unwrap_or_default();
    let same = |other: &str| named.trim_end_matches('/') == other.trim_end_matches('/');
    if named.is_empty() || !(same(issuer) || expected.alias.is_some_and(same)) {
        let named = harmless(named, 200);
        return Err(failed(&format!(
            "its document is of another issuer, \"{named}\"; set issuer to what it names itself"
        )));
    }
    let url = |text: &Text| -> Result<Option<String>, Error> {
        let Some(text) = text.get() else { return Ok(None) };
        let url = match text.strip_prefix('/') {
            Some(path) if expected.relative => format!("{issuer}/{path}"),
            _ => text.to_owned(),
        };
        check_url(&url, expected.allow_http).map_err(|error| failed(error.message()))?;
        Ok(Some(url))
    };
    Ok(Endpoints {
        issuer: named.to_owned(),
        token: url(&document.token_endpoint)?
            .ok_or_else(|| failed("its document names no token endpoint"))?,
        authorization: url(&document.authorization_endpoint)?,
        device: url(&document.device_authorization_endpoint)?,
        revocation: url(&document.revocation_endpoint)?,
        names_issuer: document.authorization_response_iss_parameter_supported.get() == Some("true"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, expected: Expectation<'_>) -> Result<Endpoints, Error> {
        parse(&Reply { status: 200, headers: Vec::new(), body: body.into() }, expected)
    }

    const PLAIN: Expectation<'_> =
        Expectation { issuer: "https://kc/realms/R", alias: None, relative: false, allow_http: false };

    #[test]
    fn both_addresses_are_tried() {
        assert_eq!(
            addresses("https://kc/realms/R/"),
            [
                "https://kc/realms/R/.well-known/openid-configuration",
                "https://kc/.well-known/oauth-authorization-server/realms/R"
            ]
        );
        assert_eq!(addresses("https://as")[1], "https://as/.well-known/oauth-authorization-server");
    }

    #[test]
    fn keycloaks_document_is_read() {
        let found = read(
            r#"{"issuer":"https://kc/realms/R","authorization_endpoint":"https://kc/realms/R/protocol/openid-connect/auth",
                "token_endpoint":"https://kc/realms/R/protocol/openid-connect/token",
                "revocation_endpoint":"https://kc/realms/R/protocol/openid-connect/revoke",
                "device_authorization_endpoint":"https://kc/realms/R/protocol/openid-connect/auth/device",
                "authorization_response_iss_parameter_supported":true,"grant_types_supported":["x"]}"#,
            PLAIN,
        )
        .unwrap();
        assert!(found.token.ends_with("/token") && found.names_issuer);
        assert!(found.device.unwrap().ends_with("/device") && found.revocation.unwrap().ends_with("/revoke"));
    }

    #[test]
    fn oracles_document_is_relative_and_of_one_issuer() {
        let body = r#"{"issuer":"https://identity.oraclecloud.com/","token_endpoint":"/oauth2/v1/token",
                       "authorization_endpoint":"/oauth2/v1/authorize"}"#;
        let domain = Expectation {
            issuer: "https://idcs-1.identity.oraclecloud.com",
            alias: Some("https://identity.oraclecloud.com/"),
            relative: true,
            allow_http: false,
        };
        let found = read(body, domain).unwrap();
        assert_eq!(found.token, "https://idcs-1.identity.oraclecloud.com/oauth2/v1/token");
        assert!(read(body, Expectation { alias: None, ..domain }).is_err());
        assert!(read(body, Expectation { relative: false, ..domain }).is_err());
    }

    #[test]
    fn documents_of_others_direct_nothing() {
        for (body, words) in [
            ("<html>", "no discovery document"),
            ("{}", "another issuer, \"\""),
            (
                r#"{"issuer":"https://evil","token_endpoint":"https://evil/t"}"#,
                "another issuer, \"https://evil\"",
            ),
            (r#"{"issuer":"https://kc/realms/R"}"#, "no token endpoint"),
            (r#"{"issuer":"https://kc/realms/R","token_endpoint":"http://kc/t"}"#, "plain http"),
            (r#"{"issuer":"https://kc/realms/R","token_endpoint":"/t"}"#, "does not begin with"),
            (r#"{"issuer":"https://kc/realms/R","token_endpoint":"https://u:p@kc/t"}"#, "user name"),
        ] {
            let error = read(body, PLAIN).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        let reply = Reply { status: 404, ..Reply::default() };
        assert!(parse(&reply, PLAIN).unwrap_err().to_string().contains("HTTP 404"));
    }
}
