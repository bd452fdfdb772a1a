//! FOLIO on both platforms, and the import that outlives its token.

use crate::client::Answer;
use crate::web::Web;
use outlast_cloud::{Action, Config, Fault, FolioSettings, Op, Platform, Rule};
use serde_json::json;
use std::time::Duration;

const TENANT: (&str, &str) = ("x-okapi-tenant", "diku");
const JSON: (&str, &str) = ("content-type", "application/json");

fn web(platform: Platform, change: impl FnOnce(&mut FolioSettings)) -> Web {
    let mut config = Config::default();
    config.settings.oauth.earliest_refresh = 0.0;
    config.settings.folio.platform = platform;
    change(&mut config.settings.folio);
    let web = Web::with(config);
    web.control.freeze_clock(Some(1_800_000_000_000));
    web
}

/// The cookies of an answer: access, refresh.
fn cookies(answer: &Answer) -> (String, String) {
    let value = |name: &str| {
        let cookie =
            answer.headers.iter().find(|(key, value)| key == "set-cookie" && value.starts_with(name));
        let cookie = &cookie.unwrap_or_else(|| panic!("no {name}: {answer:?}")).1;
        cookie.split([';', '=']).nth(1).unwrap().to_owned()
    };
    (value("folioAccessToken"), value("folioRefreshToken"))
}

fn login(web: &Web) -> (String, String) {
    let body = json!({ "username": "ann", "password": "ann-password" }).to_string();
    let answer = web.send("POST", "/authn/login-with-expiry", &[TENANT, JSON], &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    let ends = answer.json()["accessTokenExpiration"].as_str().unwrap().to_owned();
    assert!(ends.ends_with('Z') && ends.len() == 20, "{ends}");
    cookies(&answer)
}

fn refresh(web: &Web, token: &str) -> Answer {
    let cookie = format!("other=1; folioRefreshToken={token}");
    web.send("POST", "/authn/refresh", &[TENANT, ("cookie", &cookie)], "")
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap().to_owned()
}

fn job(web: &Web, access: &str, records: u64) -> Answer {
    let body = json!({ "records": records }).to_string();
    web.send("POST", "/data-import/jobs", &[TENANT, JSON, ("x-okapi-token", access)], &body)
}

fn record(web: &Web, access: &str, index: u64) -> Answer {
    let body = json!({ "index": index }).to_string();
    web.send("POST", "/data-import/jobs/0/records", &[TENANT, JSON, ("x-okapi-token", access)], &body)
}

#[test]
fn okapi_sets_cookies_and_rotates() {
    let web = web(Platform::Okapi, |_| {});
    let wrong =
        web.send("POST", "/authn/login-with-expiry", &[TENANT, JSON], r#"{"username":"ann","password":"x"}"#);
    assert_eq!(
        (wrong.status, code(&wrong).as_str()),
        (422, "wrong.username.or.wrong.password.or.account.blocked")
    );
    assert_eq!(web.send("POST", "/authn/login-with-expiry", &[JSON], "{}").status, 400);
    let (access, first) = login(&web);
    assert_eq!((access.split('.').count(), first.split('.').count()), (3, 5));
    let answer = refresh(&web, &first);
    assert_eq!(answer.status, 201);
    let cookie = answer.headers.iter().find(|(_, value)| value.starts_with("folioRefreshToken")).unwrap();
    assert!(
        cookie.1.ends_with("; Max-Age=604800; Path=/authn; Secure; HttpOnly; SameSite=Lax"),
        "{}",
        cookie.1
    );
    assert_eq!(code(&web.send("POST", "/authn/refresh", &[TENANT], "")), "token.parse.failure");
    assert_eq!(web.rules(), []);
    let two = format!("folioRefreshToken={first}; folioRefreshToken={first}");
    assert_eq!(
        code(&web.send("POST", "/authn/refresh", &[TENANT, ("cookie", &two)], "")),
        "token.parse.failure"
    );
}

#[test]
fn okapi_revokes_everything_of_a_user_on_reuse() {
    let web = web(Platform::Okapi, |_| {});
    web.control.oauth_user("bob", "b");
    let (access, browser) = login(&web);
    let (_, job) = login(&web);
    let body = json!({ "username": "bob", "password": "b" }).to_string();
    let (_, bob) = cookies(&web.send("POST", "/authn/login-with-expiry", &[TENANT, JSON], &body));
    let (_, newer) = cookies(&refresh(&web, &browser));
    let reuse = refresh(&web, &browser);
    assert_eq!((reuse.status, code(&reuse).as_str()), (422, "token.refresh.unprocessable"));
    assert_eq!(web.rules(), [Rule::RefreshTokenReused]);
    assert_eq!(
        (refresh(&web, &newer).status, refresh(&web, &job).status),
        (422, 422),
        "every session of the user"
    );
    assert_eq!(refresh(&web, &bob).status, 201);
    assert_eq!(self::job(&web, &access, 1).status, 201, "access tokens cannot be taken back");

    // A refresh after a plain logout does the same to the others.
    let (access, gone) = login(&web);
    let (_, other) = login(&web);
    let cookie = format!("folioRefreshToken={gone}");
    let logout =
        web.send("POST", "/authn/logout", &[TENANT, ("cookie", &cookie), ("x-okapi-token", &access)], "");
    assert_eq!(logout.status, 204);
    let (_, other) = cookies(&refresh(&web, &other));
    assert_eq!(refresh(&web, &gone).status, 422);
    assert_eq!(refresh(&web, &other).status, 422);
}

#[test]
fn trouble_behind_the_login_module_looks_like_a_bad_token() {
    let web = web(Platform::Okapi, |_| {});
    let (_, token) = login(&web);
    web.control.change(|settings| settings.folio.inner_failure = true);
    assert_eq!(code(&refresh(&web, &token)), "token.refresh.unprocessable");
    web.control.change(|settings| settings.folio.inner_failure = false);
    web.control.add_fault(Fault::on(Op::FolioRefresh).times(1).act(Action::lose_answer()));
    let cookie = format!("folioRefreshToken={token}");
    assert!(web.try_send("POST", "/authn/refresh", &[TENANT, ("cookie", &cookie)], "").is_none());
    assert_eq!(refresh(&web, &token).status, 422, "the old one was consumed first");
    assert_eq!(web.send("POST", "/authn/refresh", &[TENANT, JSON, ("cookie", &cookie)], "{}").status, 422);
    assert!(web.rules().contains(&Rule::UnaskedBody));
}

#[test]
fn gateways_refuse_in_their_own_ways() {
    let okapi = web(Platform::Okapi, |folio| folio.gateway_cache = Duration::from_mins(3));
    let (access, _) = login(&okapi);
    let missing = okapi.send("GET", "/data-import/jobs/0", &[TENANT], "");
    assert_eq!(missing.status, 400);
    assert!(
        String::from_utf8_lossy(&missing.body).starts_with("Token missing, access requires permission: ")
    );
    let conflict = [TENANT, ("cookie", "folioAccessToken=x"), ("x-okapi-token", access.as_str())];
    assert_eq!(okapi.send("GET", "/data-import/jobs/0", &conflict, "").status, 400);
    assert_eq!(job(&okapi, &access, 3).status, 201);
    assert_eq!(record(&okapi, &access, 0).status, 201);
    okapi.control.advance_clock(Duration::from_secs(599));
    assert_eq!(record(&okapi, &access, 1).status, 201);
    okapi.control.advance_clock(Duration::from_secs(2));
    assert_eq!(record(&okapi, &access, 2).status, 201, "open for three more minutes");
    let new_path = okapi.send("GET", "/data-import/jobs/0", &[TENANT, ("x-okapi-token", &access)], "");
    assert_eq!((new_path.status, new_path.body.as_slice()), (401, b"Invalid token".as_slice()));

    let eureka = web(Platform::Eureka, |_| {});
    let (access, _) = login(&eureka);
    let conflict = [TENANT, ("cookie", "folioAccessToken=x"), ("x-okapi-token", access.as_str())];
    assert_eq!(eureka.send("GET", "/data-import/jobs/0", &conflict, "").status, 404);
    assert_eq!(eureka.send("GET", "/data-import/jobs/0", &[TENANT, ("authorization", "x")], "").status, 404);
    let missing = eureka.send("GET", "/data-import/jobs/0", &[TENANT], "");
    assert_eq!((missing.status, code(&missing).as_str()), (401, "authorization_error"));
}

#[test]
fn an_import_longer_than_its_token_fails_a_plain_client_on_eureka() {
    // Three minutes of access token, ten of import.
    let web = web(Platform::Eureka, |folio| folio.access_life = Duration::from_mins(3));
    let (access, token) = login(&web);
    assert_eq!(job(&web, &access, 10).status, 201);
    let mut plain = Vec::new();
    for index in 0..10 {
        plain.push(record(&web, &access, index).status);
        web.control.advance_clock(Duration::from_mins(1));
    }
    assert_eq!(plain, [201, 201, 201, 401, 401, 401, 401, 401, 401, 401]);
    let shown = web.send("GET", "/data-import/jobs/0", &[TENANT, ("x-okapi-token", &access)], "");
    assert_eq!(shown.status, 401);
    let (access, _) = cookies(&refresh(&web, &token));
    let shown = web.send("GET", "/data-import/jobs/0", &[TENANT, ("x-okapi-token", &access)], "").json();
    assert_eq!(shown, json!({ "id": 0, "status": "RUNNING", "records": 10, "done": 3, "refused": 7 }));
    for index in 3..6 {
        assert_eq!(record(&web, &access, index).status, 201);
    }
}

#[test]
fn a_token_may_end_between_the_gateway_and_the_next_module() {
    let web = web(Platform::Eureka, |folio| {
        folio.access_life = Duration::from_secs(2);
        folio.record_time = Duration::from_secs(3);
    });
    web.control.freeze_clock(None);
    let (access, _) = login(&web);
    assert_eq!(job(&web, &access, 1).status, 201);
    assert_eq!(code(&record(&web, &access, 0)), "authorization_error");
    let set = |change: fn(&mut FolioSettings)| web.control.change(|settings| change(&mut settings.folio));
    set(|folio| folio.egress_answers_503 = true);
    let (access, _) = login(&web);
    let answer = record(&web, &access, 0);
    assert_eq!((answer.status, answer.get("retry-after")), (503, "1"));
    set(|folio| folio.nested_calls_check_expiry = false);
    let (access, _) = login(&web);
    assert_eq!(record(&web, &access, 0).status, 201, "a system token vouches since November 2024");
}

#[test]
fn eureka_logs_out_at_once_and_says_so() {
    let web = web(Platform::Eureka, |folio| folio.max_reuse = 1);
    let ((access, token), (own, other)) = (login(&web), login(&web));
    assert_eq!(job(&web, &access, 1).status, 201);
    let cookie = format!("folioRefreshToken={token}");
    let headers = [TENANT, ("cookie", cookie.as_str()), ("x-okapi-token", access.as_str())];
    assert_eq!(web.send("POST", "/authn/logout", &headers, "").status, 204);
    assert_eq!(web.control.folio_events(), [json!({ "type": "LOGOUT", "userId": "diku/ann" })]);
    assert_eq!((record(&web, &access, 0).status, refresh(&web, &token).status), (401, 422));
    web.control.advance_clock(Duration::from_secs(1));
    assert_eq!(
        (refresh(&web, &other).status, refresh(&web, &other).status),
        (201, 201),
        "one reuse is granted"
    );
    assert_eq!(record(&web, &own, 0).status, 201, "a login of one's own survives");
    web.control.advance_clock(Duration::from_hours(24));
    let (_, fresh) = login(&web);
    assert_eq!(refresh(&web, &other).status, 422, "24 hours are the end");
    assert_eq!(refresh(&web, &fresh).status, 201);
}

#[test]
fn legacy_tokens_and_restarts() {
    let web = web(Platform::Okapi, |_| {});
    let body = json!({ "username": "ann", "password": "ann-password" }).to_string();
    let legacy = || web.send("POST", "/authn/login", &[TENANT, JSON], &body);
    let answer = legacy();
    assert_eq!(
        (answer.status, answer.get("x-okapi-token")),
        (201, answer.json()["okapiToken"].as_str().unwrap())
    );
    web.control.advance_clock(Duration::from_hours(1000));
    assert_eq!(job(&web, answer.get("x-okapi-token"), 1).status, 201);
    web.control.change(|settings| settings.folio.legacy_tokens = false);
    assert_eq!(legacy().status, 404);
    let (access, token) = login(&web);
    web.control.folio_restart();
    assert_eq!((record(&web, &access, 0).status, refresh(&web, &token).status), (401, 422));
}
