//! What each server really does, seen by a plain client: the ground that the product's tests stand on.

#![allow(clippy::disallowed_methods, reason = "servers without a clock of ours are waited for")]

use outlast_idp::proxy::Cut;
use outlast_idp::server::{Kind, Lives, SECRET, Server, basic};
use outlast_idp::web::{self, Answer};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn start(kind: Kind, lives: Lives) -> Server {
    Server::start(kind, lives).unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}")).to_owned()
}

fn pair(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let tokens = answer.json();
    (text(&tokens, "access_token"), text(&tokens, "refresh_token"))
}

/// Waits until `moment` after `began`: limits are counted from there.
fn until(began: Instant, moment: Duration) {
    thread::sleep(moment.saturating_sub(began.elapsed()));
}

#[test]
fn oidc_provider() {
    let server = start(Kind::OidcProvider, Lives { access: 5, idle: 10, absolute: 20, grace: 0 });
    let first = text(&server.grant("job").unwrap(), "refresh_token");
    let (access, second) = pair(&server.refresh(&first).unwrap());
    let (newer, _) = pair(&server.refresh(&second).unwrap());
    assert_eq!((server.resource(&access).unwrap(), server.resource(&newer).unwrap()), (200, 200));
    let reuse = server.refresh(&first).unwrap();
    assert_eq!(
        (reuse.told(), text(&reuse.json(), "error_description")),
        ((400, "invalid_grant".into()), "grant request is invalid".into())
    );
    assert_eq!(
        (server.resource(&access).unwrap(), server.resource(&newer).unwrap()),
        (401, 401),
        "the whole grant"
    );

    // A lost answer is a reuse to come.
    let token = text(&server.grant("job").unwrap(), "refresh_token");
    server.proxy.cut_next(Cut::Answer);
    assert!(server.refresh(&token).is_err());
    assert_eq!(server.refresh(&token).unwrap().told(), (400, "invalid_grant".into()));
    server.proxy.cut_next(Cut::Before);
    let token = text(&server.grant("job").unwrap(), "refresh_token");
    assert!(server.refresh(&token).is_err());
    assert_eq!(server.refresh(&token).unwrap().status, 200, "it never arrived");

    // Idle 10 s, absolute 20 s: kept alive every 5 s it ends at 20 s.
    let (mut kept, idle) = (
        text(&server.grant("job").unwrap(), "refresh_token"),
        text(&server.grant("job").unwrap(), "refresh_token"),
    );
    let began = Instant::now();
    for moment in [5, 10, 15] {
        until(began, moment * SECOND);
        kept = pair(&server.refresh(&kept).unwrap()).1;
    }
    assert_eq!(server.refresh(&idle).unwrap().told(), (400, "invalid_grant".into()));
    until(began, 22 * SECOND);
    assert_eq!(server.refresh(&kept).unwrap().told(), (400, "invalid_grant".into()));

    let pairs = [("grant_type", "client_credentials")];
    let own =
        web::form(server.origin(), server.token_path(), &[("authorization", &basic())], &pairs).unwrap();
    assert_eq!((own.status, &own.json()["refresh_token"]), (200, &Value::Null));
    let (honoured, refused) = server.counts().unwrap();
    assert_eq!(honoured, server.proxy.honoured());
    assert!(refused >= 4, "{refused}");
}

#[test]
fn django() {
    let server = start(Kind::Django, Lives { access: 4, idle: 6, absolute: 0, grace: 0 });
    let granted = server.grant("job").unwrap();
    let (first_access, first) = (text(&granted, "access_token"), text(&granted, "refresh_token"));
    assert_eq!(server.resource(&first_access).unwrap(), 200);
    let (access, second) = pair(&server.refresh(&first).unwrap());
    assert_eq!(
        (server.resource(&first_access).unwrap(), server.resource(&access).unwrap()),
        (403, 200),
        "a refresh ends the old"
    );
    assert_eq!(server.refresh(&first).unwrap().json(), serde_json::json!({ "error": "invalid_grant" }));
    assert_eq!(server.refresh(&second).unwrap().told(), (400, "invalid_grant".into()), "the family");
    assert_eq!(server.resource(&access).unwrap(), 403);

    // Idle counts from the end of the access token.
    let (alive, dead) = (
        text(&server.grant("job").unwrap(), "refresh_token"),
        text(&server.grant("job").unwrap(), "refresh_token"),
    );
    let began = Instant::now();
    until(began, 15 * SECOND / 2);
    assert_eq!(server.refresh(&alive).unwrap().status, 200);
    until(began, 12 * SECOND);
    assert_eq!(server.refresh(&dead).unwrap().told(), (400, "invalid_grant".into()));

    let credentials =
        [("client_id", "service"), ("client_secret", SECRET), ("grant_type", "client_credentials")];
    let own = web::form(server.origin(), server.token_path(), &[], &credentials).unwrap();
    assert_eq!((own.status, &own.json()["refresh_token"]), (200, &Value::Null));
}

#[test]
fn django_with_grace_answers_the_same_again() {
    let server = start(Kind::Django, Lives { access: 60, idle: 60, absolute: 0, grace: 600 });
    let first = text(&server.grant("job").unwrap(), "refresh_token");
    server.proxy.cut_next(Cut::Middle);
    assert!(server.refresh(&first).is_err());
    let again = server.refresh(&first).unwrap();
    let (_, second) = pair(&again);
    assert_eq!(pair(&server.refresh(&first).unwrap()), pair(&again), "idempotent");
    server.set_grace(0).unwrap();
    assert_eq!(server.refresh(&first).unwrap().told(), (400, "invalid_grant".into()));
    assert_eq!(server.refresh(&second).unwrap().told(), (400, "invalid_grant".into()));
}

#[test]
fn keycloak() {
    let server = start(Kind::Keycloak, Lives::default());
    let described = |answer: &Answer| text(&answer.json(), "error_description");

    // Reuse 0, a generation back: the client session is detached, access tokens live on for who verifies them locally.
    let first = text(&server.grant("job").unwrap(), "refresh_token");
    thread::sleep(SECOND + SECOND / 10);
    let (_, second) = pair(&server.refresh(&first).unwrap());
    thread::sleep(SECOND + SECOND / 10);
    let (_, third) = pair(&server.refresh(&second).unwrap());
    assert_eq!(described(&server.refresh(&first).unwrap()), "Stale token");
    assert_eq!(described(&server.refresh(&third).unwrap()), "Session doesn't have required client");

    // The same one at once: too often.
    let first = text(&server.grant("job").unwrap(), "refresh_token");
    thread::sleep(SECOND + SECOND / 10);
    pair(&server.refresh(&first).unwrap());
    assert_eq!(described(&server.refresh(&first).unwrap()), "Maximum allowed refresh token reuse exceeded");

    // Reuse 1: a lost answer may be asked for once more, and the newest child is the one to keep.
    server.set_lives(Lives { grace: 1, ..Lives::default() }).unwrap();
    let first = text(&server.grant("job").unwrap(), "refresh_token");
    thread::sleep(SECOND + SECOND / 10);
    server.proxy.cut_next(Cut::Answer);
    assert!(server.refresh(&first).is_err());
    let (_, second) = pair(&server.refresh(&first).unwrap());
    thread::sleep(SECOND + SECOND / 10);
    pair(&server.refresh(&second).unwrap());
    assert_eq!(described(&server.refresh(&first).unwrap()), "Stale token");

    // The absolute end shows in what is left of the refresh token.
    server.set_lives(Lives { access: 5, idle: 10, absolute: 18, grace: 0 }).unwrap();
    let began = Instant::now();
    let granted = server.grant("job").unwrap();
    let mut kept = text(&granted, "refresh_token");
    let mut left = vec![granted["refresh_expires_in"].as_i64().unwrap()];
    for moment in [5, 10, 14] {
        until(began, moment * SECOND);
        let answer = server.refresh(&kept).unwrap();
        kept = pair(&answer).1;
        left.push(answer.json()["refresh_expires_in"].as_i64().unwrap());
    }
    // The idle limit, while the absolute one is further away; a second may end while the server writes its answer.
    let idle = 9..=10;
    assert!(idle.contains(&left[0]) && idle.contains(&left[1]) && left[2] <= 9 && left[3] <= 5, "{left:?}");
    until(began, 20 * SECOND);
    let over = server.refresh(&kept).unwrap();
    assert_eq!(over.told(), (400, "invalid_grant".into()), "{over:?}");

    let pairs = [("grant_type", "client_credentials")];
    let own =
        web::form(server.origin(), server.token_path(), &[("authorization", &basic())], &pairs).unwrap();
    assert_eq!((own.status, &own.json()["refresh_token"]), (200, &Value::Null));
    assert_eq!(server.counts().unwrap().0, server.proxy.honoured(), "the server's own events");
}
