//! The authorization server: who asks, the grants, the resource, and what no client may do.

use crate::client::key_pem;
use crate::web::{JOB, Web, basic, described, told};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use outlast_cloud::{ClientSpec, ErrorStyle, ExpiresIn, Preset, Rule};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

const OWN: &str = "grant_type=client_credentials";
const FAR_FUTURE_MS: i64 = 1_800_000_000_000;

#[test]
fn a_client_proves_itself_in_one_way() {
    let web = Web::new(|_| {});
    assert_eq!(web.token(OWN).status, 200);
    assert_eq!(
        web.form("/oauth/token", None, &format!("{OWN}&client_id=job&client_secret=job-secret")).status,
        200
    );
    let wrong = web.form("/oauth/token", Some(&basic("job", "wrong")), OWN);
    assert_eq!(told(&wrong), (401, "invalid_client".into()));
    assert!(wrong.get("www-authenticate").starts_with("Basic realm="));
    let wrong = web.form("/oauth/token", None, &format!("{OWN}&client_id=job&client_secret=wrong"));
    assert_eq!((told(&wrong), wrong.get("www-authenticate")), ((401, "invalid_client".into()), ""));
    assert_eq!(told(&web.form("/oauth/token", None, OWN)), (400, "invalid_request".into()));
    assert_eq!(
        told(&web.form("/oauth/token", None, &format!("{OWN}&client_id=job"))),
        (401, "invalid_client".into())
    );
    assert_eq!(web.rules(), []);
    assert_eq!(told(&web.token(&format!("{OWN}&client_secret=job-secret"))), (400, "invalid_request".into()));
    assert_eq!(web.rules(), [Rule::TwoClientCredentials]);
}

#[test]
fn basic_credentials_are_form_encoded_first() {
    let web = Web::new(|_| {});
    let right = basic("odd+client", "p%252B%2B+%3A%C3%BC%2F");
    assert_eq!(web.form("/oauth/token", Some(&right), OWN).status, 200);
    assert_eq!(web.rules(), []);
    for wrong in [basic("odd client", "p%2B+ :\u{fc}/"), basic("job", "job secret")] {
        assert_ne!(web.form("/oauth/token", Some(&wrong), OWN).status, 200);
    }
    assert_eq!(web.rules(), [Rule::Encoding, Rule::Encoding]);
}

#[test]
fn forms_are_exact() {
    let web = Web::new(|_| {});
    assert_eq!(told(&web.token("")), (400, "invalid_request".into()));
    assert_eq!(told(&web.token("grant_type=nonsense")), (400, "unsupported_grant_type".into()));
    assert_eq!(
        described(&web.token(&format!("{OWN}&{OWN}"))),
        "'grant_type' parameter must not be provided twice"
    );
    let json = [("content-type", "application/json"), ("authorization", JOB)];
    assert_eq!(told(&web.send("POST", "/oauth/token", &json, "{}")), (400, "invalid_request".into()));
    assert_eq!(web.get("/oauth/token").status, 404);
    assert_eq!(web.rules(), []);
    assert_eq!(web.token(&format!("{OWN}&scope=openid profile")).status, 400);
    assert_eq!(web.rules(), [Rule::Encoding]);
    assert_eq!(web.token(&format!("{OWN}&scope=openid+profile&state=")).status, 200);
    assert_eq!(told(&web.token(&format!("{OWN}&scope=admin"))), (400, "invalid_scope".into()));
}

#[test]
fn assertions_are_fresh_every_time() {
    let web = Web::new(|settings| settings.style = ErrorStyle::Keycloak);
    web.control.freeze_clock(Some(FAR_FUTURE_MS));
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(key_pem()).unwrap();
    let pem = key.to_public_key().to_public_key_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    let spec = ClientSpec { id: "signer".into(), public_key_pem: Some(pem), ..ClientSpec::default() };
    web.control.oauth_client(&spec).unwrap();
    let der = rsa::pkcs1::EncodeRsaPrivateKey::to_pkcs1_der(&key).unwrap();
    let signing = EncodingKey::from_rsa_der(der.as_bytes());
    let issuer = format!("{}/oauth", web.cloud.endpoint());
    let now = FAR_FUTURE_MS / 1000;
    let send = |change: Value| {
        let mut claims = json!({ "iss": "signer", "sub": "signer", "aud": issuer, "iat": now, "exp": now + 60, "jti": "one" });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let jwt = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signing).unwrap();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        web.form("/oauth/token", None, &format!("{OWN}&client_assertion_type={kind}&client_assertion={jwt}"))
    };
    assert_eq!(send(json!({})).status, 200);
    assert_eq!(web.rules(), []);
    assert_eq!(described(&send(json!({}))), "Token reuse detected");
    assert_eq!(web.rules(), [Rule::AssertionReplayed]);
    for (change, text) in [
        (json!({ "aud": format!("{issuer}/token"), "jti": "2" }), "Invalid token audience"),
        (json!({ "aud": [issuer, "x"], "jti": "3" }), "Multiple audiences not allowed"),
        (json!({ "exp": now - 20, "jti": "4" }), "Token is not active"),
        (json!({ "iat": now - 100, "jti": "5" }), "Token was issued too far in the past to be used now"),
        (json!({ "iat": now + 100, "jti": "6" }), "Token was issued in the future"),
        (json!({ "jti": null }), "Token jti claim is required"),
        (json!({ "exp": null, "jti": "7" }), "Token exp claim is required"),
        (json!({ "iss": "other", "jti": "8" }), "Issuer mismatch: iss is not the client"),
    ] {
        let answer = send(change);
        assert_eq!((answer.status, described(&answer).as_str()), (400, text));
    }
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"),
        URL_SAFE_NO_PAD.encode("{\"sub\":\"signer\"}")
    );
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    let body = format!("{OWN}&client_assertion_type={kind}&client_assertion={unsigned}");
    assert_ne!(web.form("/oauth/token", None, &body).status, 200);
}

/// Signs in as the client `cli`, and says code and redirect target.
fn code(web: &Web, verifier: &str) -> (String, String) {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let redirect = "http%3A%2F%2F127.0.0.1%3A9999%2Fdone";
    let answer = web.get(&format!(
        "/oauth/authorize?response_type=code&client_id=cli&redirect_uri={redirect}&state=xyz&code_challenge={challenge}&code_challenge_method=S256"
    ));
    assert_eq!(answer.status, 302, "{answer:?}");
    let target = answer.get("location").to_owned();
    assert!(target.starts_with("http://127.0.0.1:9999/done?code="), "{target}");
    assert!(target.contains("&state=xyz&iss=http%3A%2F%2F127"), "{target}");
    let code = target.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let code = percent_encoding::percent_decode_str(code).decode_utf8().unwrap().into_owned();
    (code, format!("grant_type=authorization_code&client_id=cli&redirect_uri={redirect}"))
}

#[test]
fn a_code_is_good_once_and_with_its_verifier() {
    let web = Web::new(|_| {});
    let verifier = "v".repeat(43);
    let (code, body) = code(&web, &verifier);
    let send = |verifier: &str| {
        web.form("/oauth/token", None, &format!("{body}&code={code}&code_verifier={verifier}"))
    };
    assert_eq!(told(&send(&"w".repeat(43))), (400, "invalid_grant".into()));
    let answer = send(&verifier);
    assert_eq!(answer.status, 200);
    let tokens = answer.json();
    assert_eq!(web.userinfo(&tokens), 200);
    assert_eq!(told(&send(&verifier)), (400, "invalid_grant".into()));
    assert_eq!(web.rules(), [Rule::CodeReplayed]);
    assert_eq!(web.userinfo(&tokens), 401, "what came of it is dead");
    for query in [
        "client_id=cli",
        "client_id=nobody&response_type=code",
        "client_id=cli&response_type=code&redirect_uri=http%3A%2F%2Fevil.example%2F",
    ] {
        assert_eq!(web.get(&format!("/oauth/authorize?{query}")).status, 400, "{query}");
    }
}

#[test]
fn devices_wait_for_a_person() {
    let web = Web::new(|settings| settings.auto_approve = false);
    web.control.freeze_clock(Some(FAR_FUTURE_MS));
    let start = || web.form("/oauth/device_authorization", None, "client_id=cli&scope=openid").json();
    let poll = |device: &Value| {
        let code = device["device_code"].as_str().unwrap();
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        web.form("/oauth/token", None, &format!("grant_type={grant}&client_id=cli&device_code={code}"))
    };
    let wait = |seconds| web.control.advance_clock(Duration::from_secs(seconds));
    let device = start();
    assert_eq!((&device["interval"], &device["expires_in"]), (&json!(5), &json!(600)));
    assert_eq!(told(&poll(&device)), (400, "authorization_pending".into()));
    assert_eq!(told(&poll(&device)), (400, "slow_down".into()));
    wait(6);
    assert_eq!(told(&poll(&device)), (400, "slow_down".into()), "the interval has grown for good");
    assert_eq!(web.rules(), [Rule::PolledTooFast, Rule::PolledTooFast]);
    wait(15);
    let page = format!("/oauth/device?user_code={}", device["user_code"].as_str().unwrap());
    assert_eq!(web.get(&page).status, 200);
    assert_eq!(told(&poll(&device)), (400, "authorization_pending".into()));
    let credentials = "username=ann&password=ann-password";
    assert_eq!(web.form(&page, None, credentials).status, 200);
    wait(15);
    let tokens = poll(&device).json();
    assert_eq!((web.userinfo(&tokens), &tokens["scope"]), (200, &json!("openid")));
    let denied = start();
    assert!(web.control.oauth_device(denied["user_code"].as_str().unwrap(), None));
    assert_eq!(told(&poll(&denied)), (400, "access_denied".into()));
    let late = start();
    wait(600);
    assert_eq!(told(&poll(&late)), (400, "expired_token".into()));
}

#[test]
fn exchanged_tokens_live_in_the_subjects_session() {
    let web = Web::new(|settings| settings.take_over(Preset::Keycloak));
    let user = web.grant();
    let exchange = |kind: &str| {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        let types = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A";
        let body = format!(
            "grant_type={grant}&subject_token={}&subject_token_type={types}access_token&requested_token_type={types}{kind}",
            user["access_token"].as_str().unwrap()
        );
        web.form(
            "/oauth/token",
            Some(&basic("diku-login-application", "diku-login-application-secret")),
            &body,
        )
    };
    let access = exchange("access_token").json();
    assert_eq!(access["refresh_token"], Value::Null);
    assert_eq!(access["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let own = exchange("refresh_token").json();
    assert_eq!(told(&exchange("saml2")), (400, "invalid_request".into()));
    let logout = format!("refresh_token={}", user["refresh_token"].as_str().unwrap());
    assert_eq!(web.form("/oauth/logout", Some(JOB), &logout).status, 204);
    let body = format!("grant_type=refresh_token&refresh_token={}", own["refresh_token"].as_str().unwrap());
    let answer = web.form(
        "/oauth/token",
        Some(&basic("diku-login-application", "diku-login-application-secret")),
        &body,
    );
    assert_eq!(described(&answer), "Session not active", "a logout ends it too");
    assert_eq!(told(&exchange("access_token")), (400, "invalid_request".into()));
}

#[test]
fn revocation_and_introspection() {
    let web = Web::new(|_| {});
    let tokens = web.grant();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let active =
        || web.form("/oauth/introspect", Some(JOB), &format!("token={refresh}")).json()["active"].clone();
    assert_eq!(active(), true);
    assert_eq!(web.form("/oauth/revoke", Some(JOB), "token=nonsense").status, 200);
    assert_eq!(told(&web.form("/oauth/revoke", Some(JOB), "")), (400, "invalid_request".into()));
    assert_eq!(
        web.form("/oauth/revoke", Some(JOB), &format!("token={refresh}&token_type_hint=refresh_token"))
            .status,
        200
    );
    assert_eq!(active(), false);
    assert_eq!((told(&web.refresh(&tokens)).0, web.userinfo(&tokens)), (400, 401));
}

#[test]
fn lives_are_told_in_many_ways() {
    for (mode, shown) in [
        (ExpiresIn::Number, json!(300)),
        (ExpiresIn::Text, json!("300")),
        (ExpiresIn::Missing, Value::Null),
        (ExpiresIn::Zero, json!(0)),
        (ExpiresIn::Negative, json!(-1)),
    ] {
        let web = Web::new(|settings| {
            settings.expires_in = mode;
            settings.token_type = "bearer".into();
        });
        let tokens = web.token(OWN).json();
        assert_eq!((&tokens["expires_in"], &tokens["token_type"]), (&shown, &json!("bearer")));
        assert_eq!(tokens["refresh_token"], Value::Null, "clients ask anew");
    }
}

#[test]
fn redirects_lead_into_a_trap() {
    let web = Web::new(|settings| settings.redirect = true);
    let answer = web.token(OWN);
    assert_eq!(answer.status, 307);
    assert_eq!(web.rules(), []);
    web.send("POST", "/oauth/trap", &[], OWN);
    assert_eq!(web.rules(), [Rule::RedirectFollowed]);
}

#[test]
fn no_secret_stands_in_a_target_or_in_the_log() {
    let web = Web::new(|_| {});
    let tokens = web.grant();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(web.get(&format!("/oauth/userinfo?access_token={access}")).status, 401);
    assert_eq!(web.rules(), [Rule::SecretInTarget]);
    web.refresh(&tokens);
    let cookie = format!("folioAccessToken={access}");
    web.send(
        "GET",
        "/data-import/jobs/0",
        &[("cookie", &cookie), ("x-okapi-token", access), ("dpop", access)],
        "",
    );
    let log = serde_json::to_string(&web.control.log()).unwrap();
    assert_eq!(web.control.secrets_in(&log), Vec::<&str>::new());
    assert_eq!(
        web.control.secrets_in(&format!("{tokens} ann-password")),
        ["access token", "refresh token", "password"]
    );
}

#[test]
fn discovery_knows_three_shapes() {
    let web = Web::new(|_| {});
    let origin = web.cloud.endpoint();
    for (address, issuer, token) in [
        ("/oauth/.well-known/openid-configuration", "/oauth", "/oauth/token"),
        ("/.well-known/oauth-authorization-server/oauth", "/oauth", "/oauth/token"),
        (
            "/realms/lab/.well-known/openid-configuration",
            "/realms/lab",
            "/realms/lab/protocol/openid-connect/token",
        ),
        ("/.well-known/openid-configuration", "", "/oauth2/v1/token"),
    ] {
        let document = web.get(address).json();
        assert_eq!(document["issuer"], format!("{origin}{issuer}"), "{address}");
        assert_eq!(document["token_endpoint"], format!("{origin}{token}"));
        assert_eq!(web.form(token, Some(JOB), OWN).status, 200);
        let keys = document["jwks_uri"].as_str().unwrap().trim_start_matches(&origin);
        assert_eq!(web.get(keys).json()["keys"][0]["kty"], "RSA");
    }
    assert_eq!(web.get("/oauth/nonsense").status, 404);
}

#[test]
fn control_over_http_reaches_it() {
    let web = Web::new(|_| {});
    let post = |path: &str, body: &str| {
        web.send("POST", &format!("/_control/{path}"), &[("content-type", "application/json")], body)
    };
    assert_eq!(post("oauth/preset", r#"{"name":"dot"}"#).json()["style"], "dot");
    assert_eq!(post("oauth/client", r#"{"id":"new","secret":"s"}"#).status, 200);
    assert_eq!(post("oauth/client", r#"{"id":"new","secret":"s","public_key_pem":"x"}"#).status, 400);
    assert_eq!(post("oauth/user", r#"{"name":"bob","password":"b"}"#).status, 200);
    let tokens = post("oauth/grant", r#"{"client":"new","user":"bob"}"#).json();
    assert_eq!(web.userinfo(&tokens), 200);
    assert_eq!(web.get("/_control/oauth/chains").json()[0]["user"], "bob");
    assert_eq!(post("oauth/end", r#"{"user":"bob"}"#).json()["ended"], 1);
    assert_eq!(web.userinfo(&tokens), 403);
    assert_eq!(post("oauth/grant", r#"{"client":"nobody"}"#).status, 404);
    assert_eq!(web.get("/_control/violations").json(), json!([]));
    assert_eq!(post("reset", "{}").status, 200);
    assert_eq!(web.get("/_control/oauth/chains").json(), json!([]));
}
