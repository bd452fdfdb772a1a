//! Session tokens: what is in them, how they end, how they are refreshed.

use crate::client::{BUCKET, Lab, key_pem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outlast_cloud::{Cloud, Config, Login, RefreshMode, Revoke};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const REFRESH: &str = "/v1/authentication/refresh";

fn claims(token: &str) -> serde_json::Value {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

/// Refreshes through the endpoint and uses the new token from then on.
fn refresh(lab: &mut Lab) -> u16 {
    let answer = lab.post(REFRESH, &serde_json::json!({ "currentToken": lab.token }).to_string());
    if answer.status == 200 {
        answer.json()["token"].as_str().unwrap().clone_into(&mut lab.token);
    }
    answer.status
}

#[test]
fn a_login_writes_a_profile_like_the_official_tool() {
    let lab = Lab::new();
    let config = std::fs::read_to_string(&lab.profile.config_file).unwrap();
    let keys: Vec<_> = config.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).collect();
    assert_eq!(keys, ["fingerprint", "key_file", "tenancy", "region", "security_token_file"]);
    assert!(config.contains("\n[LAB]\n"));
    assert!(config.contains("fingerprint=f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11\n"));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&lab.profile.config_file), 0o600);
    assert_eq!(mode(&lab.profile.key_file), 0o600);
    assert_eq!(mode(lab.profile.token_file.as_ref().unwrap()), 0o600);
    assert_eq!(mode(lab.profile.key_file.parent().unwrap()), 0o700);
    assert!(!lab.token.ends_with('\n'));

    let again = Login::new("LAB", lab.dir.path()).key_pem(key_pem());
    lab.control.login(&again).unwrap();
    lab.control.login(&Login { profile: "TWO".into(), ..again }).unwrap();
    let config = std::fs::read_to_string(&lab.profile.config_file).unwrap();
    assert_eq!(config.matches("[LAB]").count(), 1);
    assert_eq!(config.matches("[TWO]").count(), 1);
    assert!(lab.control.login(&Login::new("../x", lab.dir.path())).is_err());
}

#[test]
fn claims_are_those_of_the_service() {
    let lab = Lab::new();
    let claims = claims(&lab.token);
    assert_eq!(claims["iss"], "authService.oracle.com");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let horizon = claims["sess_exp"].as_str().unwrap();
    assert!(horizon.ends_with(" UTC"), "{horizon}");
    let jwk: serde_json::Value = serde_json::from_str(claims["jwk"].as_str().unwrap()).unwrap();
    assert_eq!(jwk["kty"], "RSA");
    assert_eq!(claims["jti"], lab.profile.token.as_ref().unwrap().jti);
}

#[test]
fn a_token_ends_at_its_exp_to_the_millisecond() {
    let lab = Lab::new();
    let exp_ms = lab.profile.token.as_ref().unwrap().exp * 1000;
    lab.control.freeze_clock(Some(exp_ms - 1));
    assert_eq!(lab.get("/n").status, 200);
    lab.control.freeze_clock(Some(exp_ms));
    assert_eq!(lab.get("/n").status, 401);
    assert!(lab.last_reason().contains("expired 0 ms ago"), "{}", lab.last_reason());
}

#[test]
fn a_refresh_extends_up_to_the_horizon() {
    let mut lab = Lab::with(Config::default().token_life_s(100).horizon_s(250));
    let first = lab.profile.token.clone().unwrap();
    lab.control.freeze_clock(Some(lab.control.now_ms()));
    let mut ends = vec![first.exp];
    for _ in 0..4 {
        lab.control.advance_clock(Duration::from_mins(1));
        assert_eq!(refresh(&mut lab), 200);
        ends.push(claims(&lab.token)["exp"].as_i64().unwrap());
    }
    let session = lab.control.sessions().remove(0);
    assert!(ends[1] >= first.exp + 59 && ends[2] == ends[1] + 60, "{ends:?}");
    assert_eq!(ends[3..], [session.horizon, session.horizon], "never beyond the horizon");
    assert_eq!(session.tokens.iter().map(|token| token.generation).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(lab.control.stats().refreshes, 4);
    lab.control.change(|settings| settings.refuse_at_horizon = true);
    assert_eq!(refresh(&mut lab), 401);
    lab.control.advance_clock(Duration::from_mins(1));
    assert_eq!(refresh(&mut lab), 401, "an expired token cannot be refreshed");
}

#[test]
fn an_old_token_lives_on_beside_the_new_one_unless_told_otherwise() {
    let mut lab = Lab::new();
    let old = lab.token.clone();
    assert_eq!(refresh(&mut lab), 200);
    let mut request = lab.request("GET", "/n");
    assert_eq!(request.send().status, 200);
    request.key_id = format!("ST${old}");
    assert_eq!(request.send().status, 200);
    lab.control.change(|settings| settings.refresh_revokes_old = true);
    assert_eq!(refresh(&mut lab), 200);
    assert_eq!(request.send().status, 401);
    assert_eq!(lab.get("/n").status, 200);
    assert_eq!(
        lab.control.stats().by_generation[&0],
        2,
        "two signed by the first: the get and the first refresh"
    );
}

#[test]
fn refresh_modes() {
    let mut lab = Lab::new();
    let exp = |token: &str| claims(token)["exp"].as_i64().unwrap();
    let first = lab.token.clone();
    for (mode, status) in
        [(RefreshMode::Unavailable, 503), (RefreshMode::Refuse, 401), (RefreshMode::SameExpiry, 200)]
    {
        lab.control.change(|settings| settings.refresh = mode);
        lab.control.advance_clock(Duration::from_secs(10));
        assert_eq!(refresh(&mut lab), status, "{mode:?}");
    }
    assert_ne!(lab.token, first);
    assert_eq!(exp(&lab.token), exp(&first), "200 without an extension");
    lab.control.change(|settings| settings.refresh = RefreshMode::LoseAnswer);
    let body = serde_json::json!({ "currentToken": lab.token }).to_string();
    assert!(lab.request("POST", REFRESH).body(body).try_send().is_none());
    assert_eq!(lab.control.sessions()[0].tokens.len(), 3, "minted all the same");
    assert_eq!(lab.control.stats().refreshes, 2);
    assert_eq!(lab.control.stats().refresh_requests, 4);
}

#[test]
fn a_refresh_must_name_the_token_that_signed_it() {
    let lab = Lab::new();
    let answer = lab.post(REFRESH, r#"{"currentToken":"x.y.z"}"#);
    assert_eq!(answer.code(), (401, "NotAuthenticated".into()));
    assert!(answer.json()["message"].as_str().unwrap().ends_with("or was incorrect."));
    assert!(lab.last_reason().contains("currentToken"));
    assert_eq!(lab.post(REFRESH, "{}").status, 400);
}

#[test]
fn refreshes_at_the_same_time_are_counted() {
    let lab = Lab::new();
    lab.control.change(|settings| settings.refresh_delay = Duration::from_secs(1));
    let body = serde_json::json!({ "currentToken": lab.token }).to_string();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(lab.post(REFRESH, &body).status, 200));
        }
    });
    assert_eq!(lab.control.stats().max_refreshes_in_flight, 3);
    assert_eq!(lab.control.stats().refreshes_in_flight, 0);
}

#[test]
fn a_token_serves_only_the_key_it_is_bound_to() {
    let lab = Lab::new();
    let other = lab.control.login(&Login::new("OTHER", lab.dir.path())).unwrap();
    let mut request = lab.request("GET", "/n");
    request.key_id = format!("ST${}", std::fs::read_to_string(other.token_file.unwrap()).unwrap());
    assert_eq!(request.send().status, 401);
    assert_eq!(lab.last_reason(), "the signature does not verify");
}

#[test]
fn forged_and_foreign_tokens_are_refused() {
    let lab = Lab::new();
    let parts: Vec<_> = lab.token.split('.').collect();
    let mut changed = claims(&lab.token);
    changed["exp"] = (changed["exp"].as_i64().unwrap() + 3600).into();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(changed.to_string()), parts[2]);
    let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]);
    for token in [forged.as_str(), none.as_str(), "", "a.b.c", &lab.token[..lab.token.len() - 1]] {
        let mut request = lab.request("GET", "/n");
        request.key_id = format!("ST${token}");
        assert_eq!(request.send().status, 401, "{token}");
        assert!(lab.last_reason().contains("not one of ours"), "{}", lab.last_reason());
    }
    let mut request = lab.request("GET", "/n");
    let elsewhere = Cloud::start(Config::default()).unwrap();
    elsewhere.control().login(&Login::new("LAB", lab.dir.path()).key_pem(key_pem())).unwrap();
    request.key_id = format!("ST${}", elsewhere.control().token("LAB").unwrap().0);
    assert_eq!(request.send().status, 401, "a token of another cloud");
}

#[test]
fn revocation_comes_before_expiry() {
    let mut lab = Lab::new();
    let refused = |lab: &Lab| {
        let status = lab.get("/n").status;
        assert!(status == 200 || lab.last_reason().contains("revoked"), "{}", lab.last_reason());
        status == 401
    };
    let jti = lab.profile.token.as_ref().unwrap().jti.clone();
    assert_eq!(lab.control.revoke(&Revoke::Jti(jti)), 1);
    assert!(refused(&lab));
    assert_eq!(refresh(&mut lab), 401, "a revoked token cannot be refreshed");

    lab = Lab::new();
    refresh(&mut lab);
    assert_eq!(lab.control.revoke(&Revoke::UpTo { profile: "LAB".into(), generation: 0 }), 1);
    assert!(!refused(&lab));
    assert_eq!(lab.control.revoke(&Revoke::IssuedBefore(lab.control.now_ms() / 1000 + 1)), 1);
    assert!(refused(&lab));

    lab = Lab::new();
    assert_eq!(lab.control.revoke(&Revoke::Session("LAB".into())), 1);
    assert!(refused(&lab));
}

#[test]
fn the_token_file_can_be_refreshed_from_outside() {
    let mut lab = Lab::new();
    let facts = lab.control.refresh_file("LAB").unwrap();
    lab.token = std::fs::read_to_string(lab.profile.token_file.as_ref().unwrap()).unwrap();
    assert_eq!(facts.generation, 1);
    assert_eq!(claims(&lab.token)["jti"], facts.jti);
    assert_eq!(lab.get("/n").status, 200);
    assert_eq!(lab.control.log().last().unwrap().generation, Some(1));
    lab.control.advance_clock(Duration::from_hours(2));
    assert!(lab.control.refresh_file("LAB").is_err(), "it has expired");
    assert!(lab.control.refresh_file("NOBODY").is_err());
}

#[test]
fn a_token_for_oneself_is_bound_to_the_key_that_was_sent() {
    let mut lab = Lab::new();
    let pem = std::fs::read_to_string(lab.profile.key_file.with_file_name("oci_api_key_public.pem")).unwrap();
    let target = "/v1/token/upst/actions/GenerateUpst";
    let body = |minutes: serde_json::Value| {
        serde_json::json!({ "publicKey": pem, "sessionExpirationInMinutes": minutes }).to_string()
    };
    for wrong in [body(4.into()), body(61.into()), body("many".into()), r#"{"publicKey":"x"}"#.to_owned()] {
        assert_eq!(lab.post(target, &wrong).status, 400);
    }
    let answer = lab.post(target, &body("5".into()));
    answer.json()["token"].as_str().unwrap().clone_into(&mut lab.token);
    let minted = claims(&lab.token);
    assert_eq!(minted["exp"].as_i64().unwrap() - minted["iat"].as_i64().unwrap(), 300);
    lab.control.advance_clock(Duration::from_mins(1));
    assert_eq!(refresh(&mut lab), 200);
    assert_eq!(claims(&lab.token)["exp"], minted["exp"], "its end never moves");
    assert_eq!(lab.get(&format!("{BUCKET}/u")).status, 200);
}

#[test]
fn validation_asks_for_the_regions() {
    let lab = Lab::new();
    assert_eq!(lab.get("/20160918/regions").json()[0]["name"], "us-phoenix-1");
    lab.control.revoke(&Revoke::All);
    assert_eq!(lab.get("/20160918/regions").status, 401);
}

#[test]
fn the_auth_face_can_have_a_port_of_its_own() {
    let lab = Lab::with(Config { auth_port: Some(0), ..Config::default() });
    assert_ne!(lab.cloud.endpoint(), lab.cloud.auth_endpoint());
    let body = serde_json::json!({ "currentToken": lab.token }).to_string();
    assert_eq!(lab.post(REFRESH, &body).status, 404, "not here");
    let mut request = lab.request("POST", REFRESH).body(body);
    request.address = lab.cloud.auth_endpoint().trim_start_matches("http://").to_owned();
    assert_eq!(request.send().status, 200);
    let mut request = lab.request("GET", "/n");
    request.address = lab.cloud.auth_endpoint().trim_start_matches("http://").to_owned();
    assert_eq!(request.send().status, 404);
}
