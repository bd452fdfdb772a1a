//! Requests to the endpoints of an authorization server.

use super::client::Client;
use super::form::{FORM, Form};
use crate::engine::secret::Secret;
use crate::engine::wire::{Method, WebRequest};

/// What is asked of a token endpoint.
#[derive(Clone, Debug)]
pub enum Ask<'a> {
    /// The next token of a chain.
    Refresh {
        /// The newest refresh token.
        refresh_token: &'a Secret<String>,
    },
    /// A token for the client itself.
    ClientCredentials,
    /// The first token pair for a code.
    Code {
        /// The code; single use, never sent twice.
        code: &'a Secret<String>,
        /// The PKCE verifier.
        verifier: &'a Secret<String>,
        /// The very redirect URI that was sent with the authorization request.
        redirect_uri: &'a str,
    },
    /// Whether a person has approved a device code yet.
    Device {
        /// The code.
        device_code: &'a Secret<String>,
        /// The PKCE verifier, if the code was asked for with a challenge.
        verifier: Option<&'a Secret<String>>,
    },
    /// A token in exchange for another (RFC 8693).
    Exchange {
        /// The token that is given.
        subject: &'a Secret<String>,
        /// Its type; see [`token_type_urn`].
        subject_type: &'a str,
        /// The type that is wanted, if not left to the server.
        requested_type: Option<&'a str>,
        /// The token of the one who acts, with its type.
        actor: Option<(&'a Secret<String>, &'a str)>,
    },
}

/// What narrows the token that is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// `scope`, space-separated; empty: the server's default, on refresh the same as before.
    pub scope: &'a str,
    /// `resource` (RFC 8707), repeatable.
    pub resources: &'a [String],
    /// `audience`
    pub audience: Option<&'a str>,
}

/// A request to the token endpoint.
pub fn token(url: &str, client: &Client<'_>, ask: &Ask<'_>, scope: Scope<'_>) -> WebRequest {
    let grant = |name: &str| Form::new().with("grant_type", name);
    let (form, attempt) = match ask {
        Ask::Refresh { refresh_token } => {
            (grant("refresh_token").with("refresh_token", refresh_token.expose()), "refreshing the session")
        }
        Ask::ClientCredentials => (grant("client_credentials"), "asking for a service token"),
        Ask::Code { code, verifier, redirect_uri } => (
            grant("authorization_code")
                .with("code", code.expose())
                .with("code_verifier", verifier.expose())
                .with("redirect_uri", redirect_uri),
            "redeeming the sign-in",
        ),
        Ask::Device { device_code, verifier } => (
            grant("urn:ietf:params:oauth:grant-type:device_code")
                .with("device_code", device_code.expose())
                .with_some("code_verifier", verifier.map(|verifier| verifier.expose().as_str())),
            "waiting for the sign-in",
        ),
        Ask::Exchange { subject, subject_type, requested_type, actor } => {
            let form = grant("urn:ietf:params:oauth:grant-type:token-exchange")
                .with("subject_token", subject.expose())
                .with("subject_token_type", &token_type_urn(subject_type))
                .with_some("requested_token_type", requested_type.map(token_type_urn).as_deref());
            let form = match actor {
                Some((token, kind)) => {
                    form.with("actor_token", token.expose()).with("actor_token_type", &token_type_urn(kind))
                }
                None => form,
            };
            (form, "exchanging the token")
        }
    };
    let mut form = form.with("scope", scope.scope);
    for resource in scope.resources {
        form = form.with("resource", resource);
    }
    post(url, client, form.with_some("audience", scope.audience), attempt)
}

/// Asks for a device code (RFC 8628 section 3.1), with a PKCE challenge where the provider takes one.
pub fn device_authorization(
    url: &str,
    client: &Client<'_>,
    scope: Scope<'_>,
    challenge: Option<&str>,
) -> WebRequest {
    let mut form = Form::new().with("scope", scope.scope);
    if let Some(challenge) = challenge {
        form = form.with("code_challenge", challenge).with("code_challenge_method", "S256");
    }
    for resource in scope.resources {
        form = form.with("resource", resource);
    }
    // The client names itself in the body whatever its proof; an id beside a Basic header is no second mechanism.
    let form = match client.proof {
        super::client::Proof::Basic(_) => form.with("client_id", client.id),
        _ => form,
    };
    post(url, client, form, "starting the sign-in")
}

/// Revokes a token (RFC 7009). `hint` is `refresh_token` or `access_token`.
pub fn revoke(url: &str, client: &Client<'_>, token: &Secret<String>, hint: &str) -> WebRequest {
    let form = Form::new().with("token", token.expose()).with("token_type_hint", hint);
    post(url, client, form, "revoking the session")
}

fn post(url: &str, client: &Client<'_>, form: Form, attempt: &'static str) -> WebRequest {
    let (form, header) = client.prove(form);
    let mut headers = vec![
        ("accept", Secret::new("application/json".to_owned())),
        ("content-type", Secret::new(FORM.to_owned())),
    ];
    headers.extend(header);
    WebRequest { method: Method::Post, url: url.to_owned(), headers, body: form.into_body(), attempt }
}

/// A token type as RFC 8693 spells it: short names get their prefix, anything with a colon stands as it is.
pub fn token_type_urn(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("urn:ietf:params:oauth:token-type:{name}") }
}

/// What an authorization request carries besides its scope.
#[derive(Clone, Copy, Debug)]
pub struct Authorization<'a> {
    /// `client_id`
    pub client_id: &'a str,
    /// Where the answer goes: `http://127.0.0.1:PORT/callback`.
    pub redirect_uri: &'a str,
    /// What the answer must bring back.
    pub state: &'a str,
    /// The PKCE challenge.
    pub challenge: &'a str,
    /// For OpenID Connect servers that want one.
    pub nonce: &'a str,
    /// `prompt`, for example `consent`; empty: none.
    pub prompt: &'a str,
}

/// The URL that a browser is sent to. It holds no secret: the verifier stays here.
pub fn authorization_url(endpoint: &str, ask: Authorization<'_>, scope: Scope<'_>) -> String {
    let form = Form::new()
        .with("response_type", "code")
        .with("client_id", ask.client_id)
        .with("redirect_uri", ask.redirect_uri)
        .with("scope", scope.scope)
        .with("state", ask.state)
        .with("code_challenge", ask.challenge)
        .with("code_challenge_method", "S256")
        .with("prompt", ask.prompt);
    let openid = scope.scope.split(' ').any(|part| part == "openid");
    let mut form = if openid { form.with("nonce", ask.nonce) } else { form };
    for resource in scope.resources {
        form = form.with("resource", resource);
    }
    let form = form.with_some("audience", scope.audience);
    let joint = if endpoint.contains('?') { '&' } else { '?' };
    // Spaces as %20: a browser's address bar and every server's query parser agree on that one.
    format!("{endpoint}{joint}{}", form.as_str().replace('+', "%20"))
}

/// What came back to the loopback redirect.
#[derive(Debug)]
pub enum Redirected {
    /// The code to redeem.
    Code(Secret<String>),
    /// The server, or the person, said no: error code and description.
    Refused(String, Option<String>),
    /// Not the answer to our request: a stray or hostile call. It is told to whoever called, and waited on.
    Foreign(&'static str),
}

/// Reads the query of the redirect. `issuer`: what the answer's `iss` must be when it has one (RFC 9207);
/// `needs_iss`: the server promises one.
pub fn redirected(query: &str, state: &str, issuer: Option<&str>, needs_iss: bool) -> Redirected {
    let value = |name| super::form::find(query, name);
    if value("state").as_deref() != Some(state) {
        return Redirected::Foreign("the answer does not belong to this sign-in (its state differs)");
    }
    match (value("iss"), issuer) {
        (Some(iss), Some(issuer)) if iss != issuer => {
            return Redirected::Foreign("the answer comes from another issuer");
        }
        (None, Some(_)) if needs_iss => {
            return Redirected::Foreign("the answer does not say which issuer it comes from");
        }
        _ => {}
    }
    if let Some(error) = value("error") {
        return Redirected::Refused(error, value("error_description"));
    }
    match value("code") {
        Some(code) => Redirected::Code(Secret::new(code)),
        None => Redirected::Foreign("the answer has neither code nor error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::wire::oauth2::client::Proof;

    fn body(request: &WebRequest) -> String {
        String::from_utf8(request.body.expose().clone()).unwrap()
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    const PUBLIC: Client<'_> = Client { id: "cli", proof: Proof::None };

    #[test]
    fn grants_carry_what_they_need_and_nothing_twice() {
        let resources = ["https://a/".to_owned(), "https://b/".to_owned()];
        let scope = Scope { scope: "x y", resources: &resources, audience: Some("aud") };
        let (rt, code, verifier) = (secret("r/t+"), secret("c"), secret("v"));
        for (ask, expected) in [
            (Ask::Refresh { refresh_token: &rt }, "grant_type=refresh_token&refresh_token=r%2Ft%2B"),
            (Ask::ClientCredentials, "grant_type=client_credentials"),
            (
                Ask::Code { code: &code, verifier: &verifier, redirect_uri: "http://127.0.0.1:1/cb" },
                "grant_type=authorization_code&code=c&code_verifier=v&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb",
            ),
            (
                Ask::Device { device_code: &code, verifier: None },
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=c",
            ),
            (
                Ask::Exchange {
                    subject: &rt,
                    subject_type: "access_token",
                    requested_type: Some("urn:x:y"),
                    actor: Some((&code, "jwt")),
                },
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=r%2Ft%2B\
                 &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
                 &requested_token_type=urn%3Ax%3Ay&actor_token=c\
                 &actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt",
            ),
        ] {
            let request = token("https://as/token", &PUBLIC, &ask, scope);
            let tail = "&scope=x+y&resource=https%3A%2F%2Fa%2F&resource=https%3A%2F%2Fb%2F&audience=aud&client_id=cli";
            assert_eq!(body(&request), format!("{expected}{tail}"));
            let text = body(&request);
            let mut names: Vec<&str> = text
                .split('&')
                .filter_map(|pair| pair.split('=').next())
                .filter(|name| *name != "resource")
                .collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), text.split('&').count() - 2);
            assert_eq!(format!("{request:?}"), "POST https://as/token");
        }
    }

    #[test]
    fn secrets_of_a_client_go_one_way_only() {
        let (key, rt) = (secret("k"), secret("rt"));
        let client = Client { id: "c", proof: Proof::Basic(&key) };
        let request = token("https://as/t", &client, &Ask::Refresh { refresh_token: &rt }, Scope::default());
        assert_eq!(body(&request), "grant_type=refresh_token&refresh_token=rt");
        assert_eq!(request.headers.iter().filter(|(name, _)| *name == "authorization").count(), 1);
        let request = revoke("https://as/r", &client, &rt, "refresh_token");
        assert_eq!(body(&request), "token=rt&token_type_hint=refresh_token");
        let request =
            device_authorization("https://as/d", &client, Scope { scope: "a", ..Scope::default() }, None);
        assert_eq!(body(&request), "scope=a&client_id=c");
        let request = device_authorization(
            "https://as/d",
            &PUBLIC,
            Scope { scope: "a", ..Scope::default() },
            Some("ch"),
        );
        assert_eq!(body(&request), "scope=a&code_challenge=ch&code_challenge_method=S256&client_id=cli");
    }

    #[test]
    fn the_browser_is_sent_with_a_challenge() {
        let ask = Authorization {
            client_id: "c d",
            redirect_uri: "http://127.0.0.1:9/callback",
            state: "st",
            challenge: "ch",
            nonce: "no",
            prompt: "",
        };
        let url = authorization_url("https://as/auth", ask, Scope { scope: "openid a", ..Scope::default() });
        assert_eq!(
            url,
            "https://as/auth?response_type=code&client_id=c%20d&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback\
             &scope=openid%20a&state=st&code_challenge=ch&code_challenge_method=S256&nonce=no"
        );
        let url = authorization_url("https://as/auth?x=1", ask, Scope::default());
        assert!(url.starts_with("https://as/auth?x=1&response_type=code") && !url.contains("nonce"), "{url}");
    }

    #[test]
    fn redirects_are_believed_with_state_and_issuer_only() {
        let issuer = Some("https://as");
        let code = |answer| match answer {
            Redirected::Code(code) => Some(code.expose().clone()),
            _ => None,
        };
        assert_eq!(code(redirected("code=a%2Bb&state=s", "s", issuer, false)).as_deref(), Some("a+b"));
        assert_eq!(
            code(redirected("state=s&iss=https%3A%2F%2Fas&code=x", "s", issuer, true)).as_deref(),
            Some("x")
        );
        for (query, needs) in [
            ("code=x", false),
            ("code=x&state=t", false),
            ("code=x&state=", false),
            ("code=x&state=s&iss=https%3A%2F%2Fevil", false),
            ("error=access_denied&state=s&iss=https%3A%2F%2Fevil", false),
            ("code=x&state=s", true),
            ("state=s", false),
            ("code=&state=s", false),
            ("", false),
        ] {
            assert!(matches!(redirected(query, "s", issuer, needs), Redirected::Foreign(_)), "{query}");
        }
        let Redirected::Refused(error, words) =
            redirected("error=access_denied&error_description=no+thanks&state=s", "s", issuer, false)
        else {
            panic!("a refusal");
        };
        assert_eq!((error.as_str(), words.as_deref()), ("access_denied", Some("no thanks")));
    }
}
