//! An import that takes longer than its access token, on the Eureka-like set-up of the loopback cloud: a plain client
//! fails in its middle, a session of ours does not. (Three minutes and ten in the field; seconds here.)

use outlast_cloud::{Cloud, Config, Platform};
use outlast_core::engine::sessions_file::{Places, SessionsFile};
use outlast_core::native::{Client, ClientOptions, Endpoints, Session, SessionSpec, SourceSpec};
use outlast_idp::web::{self, Answer};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);
const TENANT: (&str, &str) = ("x-okapi-tenant", "diku");
const JSON: (&str, &str) = ("content-type", "application/json");
/// Life of an access token.
const LIFE: Duration = Duration::from_secs(3);
/// What the import does with one record; all of them take more than three lives.
const RECORD: Duration = Duration::from_millis(500);
const RECORDS: u64 = 20;

fn cloud() -> Cloud {
    let mut config = Config::default();
    config.settings.folio.platform = Platform::Eureka;
    config.settings.folio.access_life = LIFE;
    config.settings.folio.record_time = RECORD;
    Cloud::start(config).unwrap()
}

fn send(cloud: &Cloud, target: &str, token: &str, body: &Value) -> Answer {
    let headers = [TENANT, JSON, ("x-okapi-token", token)];
    web::send(&cloud.endpoint(), "POST", target, &headers, &body.to_string()).unwrap()
}

fn job(cloud: &Cloud, token: &str) -> String {
    let answer = send(cloud, "/data-import/jobs", token, &json!({ "records": RECORDS }));
    assert_eq!(answer.status, 201, "{answer:?}");
    format!("/data-import/jobs/{}", answer.json()["id"])
}

fn shown(cloud: &Cloud, job: &str, token: &str) -> Value {
    web::send(&cloud.endpoint(), "GET", job, &[TENANT, ("x-okapi-token", token)], "").unwrap().json()
}

#[test]
fn a_plain_client_fails_when_its_token_ends() {
    let cloud = cloud();
    let body = json!({ "username": "ann", "password": "ann-password" }).to_string();
    let login =
        web::send(&cloud.endpoint(), "POST", "/authn/login-with-expiry", &[TENANT, JSON], &body).unwrap();
    let cookie = login.headers.iter().find_map(|(_, value)| value.strip_prefix("folioAccessToken="));
    let token = cookie.unwrap().split(';').next().unwrap();
    let job = job(&cloud, token);
    let statuses: Vec<u16> = (0..RECORDS)
        .map(|index| send(&cloud, &format!("{job}/records"), token, &json!({ "index": index })).status)
        .collect();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert_eq!(statuses[statuses.len() - 1], 401, "{statuses:?}");
    assert!(statuses.is_sorted(), "once refused, always refused: {statuses:?}");
}

/// A session that signs in by itself and is kept alive while the import holds it.
fn session(cloud: &Cloud, directory: &std::path::Path) -> (Client, Session) {
    std::fs::write(directory.join("password"), "ann-password").unwrap();
    let text = format!(
        "[import]\nprovider = folio-eureka\nurl = {}\ntenant = diku\nusername = ann\npassword_file = password\n\
         vault_key = file:key\n",
        cloud.endpoint()
    );
    let places = Places { home: Some(directory), dir: directory, allow_http: false };
    let def = SessionsFile::parse(&text).unwrap().session("import", places).unwrap();
    let options = ClientOptions { state_dir: Some(directory.to_owned()), ..ClientOptions::default() };
    let client = Client::new(options).unwrap();
    let spec = SessionSpec {
        source: SourceSpec::Defined { def: Box::new(def), vault_key: None },
        endpoints: Endpoints { storage: cloud.endpoint(), auth: cloud.endpoint() },
        wait_for_login: Duration::ZERO,
        timer: false,
    };
    let session = client.session(spec).unwrap();
    session.wait_loaded(PATIENCE).unwrap();
    (client, session)
}

#[test]
fn ours_carries_the_import_to_its_end() {
    let cloud = cloud();
    let directory = tempfile::tempdir().unwrap();
    let (client, session) = session(&cloud, directory.path());
    let hold = session.hold();
    let lease = session.lease_blocking(PATIENCE).unwrap();
    let job = job(&cloud, lease.expose_token());
    let mut generations = std::collections::BTreeSet::new();
    for index in 0..RECORDS {
        // A token may end while a record is worked on: that record is sent once more, under the next token.
        let done = (0..2).any(|_| {
            let lease = session.lease_blocking(PATIENCE).unwrap();
            generations.insert(lease.generation);
            let answer =
                send(&cloud, &format!("{job}/records"), lease.expose_token(), &json!({ "index": index }));
            if answer.status == 401 {
                session.reject(lease.generation);
            } else {
                assert_eq!(answer.status, 201, "record {index}: {answer:?}");
                session.accept(lease.generation);
            }
            answer.status == 201
        });
        assert!(done, "record {index} was refused under two tokens");
    }
    let lease = session.lease_blocking(PATIENCE).unwrap();
    let status = shown(&cloud, &job, lease.expose_token());
    assert_eq!((&status["status"], &status["done"]), (&json!("COMMITTED"), &json!(RECORDS)));
    assert!(generations.len() >= 3, "{generations:?}");
    assert_eq!(cloud.control().violations(), [], "and no rule was broken");
    assert_eq!(cloud.control().oauth_chains().len(), 1, "one sign-in, refreshed");
    drop(hold);
    client.close(PATIENCE).unwrap();
}
