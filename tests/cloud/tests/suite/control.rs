//! The control interface, over HTTP and in Rust.

use crate::client::{BUCKET, Connection, Lab, upload_target};
use outlast_cloud::{Cloud, Config, ErrorKind};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

fn get(lab: &Lab, path: &str) -> Value {
    let mut connection = lab.connect();
    connection.send(format!("GET /_control/{path} HTTP/1.1\r\nhost: {}\r\n\r\n", lab.address()).as_bytes());
    let answer = connection.answer(false).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn post_status(lab: &Lab, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let mut connection = lab.connect();
    let head = format!(
        "POST /_control/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.send(format!("{head}{body}").as_bytes());
    let answer = connection.answer(false).unwrap();
    (answer.status, answer.json())
}

fn post(lab: &Lab, path: &str, body: &Value) -> Value {
    let (status, answer) = post_status(lab, path, body);
    assert_eq!(status, 200, "{path} {answer}");
    answer
}

#[test]
fn everything_can_be_asked_for() {
    let lab = Lab::new();
    let upload = lab.create("o");
    lab.put_part("o", &upload, 1, "x");
    lab.put(&format!("{BUCKET}/o/y"), "yy");
    let index = get(&lab, "");
    for line in index["control"].as_array().unwrap() {
        let line = line.as_str().unwrap();
        let Some(path) = line.strip_prefix("GET /_control/") else { continue };
        let path = path
            .replace("SEQ", "1")
            .replace("counter=NAME", "counter=requests")
            .replace("at_least=N", "at_least=1")
            .replace("timeout_s=S", "timeout_s=1");
        if !path.starts_with("bytes") && !path.starts_with("token") {
            get(&lab, &path);
        }
    }
    assert_eq!(get(&lab, "stats")["parts_stored"], 1);
    assert_eq!(get(&lab, "stats")["stored_by_part"]["1"], 1);
    assert_eq!(get(&lab, "log?after=2").as_array().unwrap().len(), 1);
    assert_eq!(get(&lab, "log")[1]["op"], "upload_part");
    assert_eq!(get(&lab, "uploads")[0]["parts"][0]["size"], 1);
    assert_eq!(get(&lab, "objects")[0]["name"], "y");
    assert_eq!(get(&lab, "token?profile=LAB")["token"], lab.token.as_str());
    assert_eq!(get(&lab, "sessions")[0]["tokens"][0]["generation"], 0);
    let mut connection = lab.connect();
    connection.send(b"GET /_control/bytes?bucket=mybucket&name=y HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    assert_eq!(connection.answer(false).unwrap().body, b"yy");
    assert_eq!(lab.control.stats().requests, 3, "control requests are not counted");
}

#[test]
fn everything_can_be_told() {
    let lab = Lab::new();
    let settings =
        post(&lab, "settings", &json!({ "page_size": 2, "token_life_s": 7, "refresh": "same_expiry" }));
    assert_eq!(settings["page_size"], 2);
    assert_eq!(lab.control.settings().token_life, Duration::from_secs(7));
    assert_eq!(post_status(&lab, "settings", &json!({ "pages": 2 })).0, 400);
    assert_eq!(post_status(&lab, "settings", &json!([])).0, 400);

    let rule = json!({ "on": { "ops": ["get_namespace"] }, "when": { "count": 1 },
        "do": { "kind": "answer", "status": 429, "code": "TooManyRequests", "retry_after": { "seconds": 3 } } });
    assert_eq!(post(&lab, "fault", &rule)["id"], 1);
    assert_eq!(lab.get("/n").get("retry-after"), "3");
    assert_eq!(get(&lab, "faults")[0]["fired"], 1);
    assert_eq!(post(&lab, "fault/remove", &json!({ "id": 1 }))["removed"], 1);
    assert_eq!(post_status(&lab, "fault", &json!({ "do": { "kind": "explode" } })).0, 400);

    let profile =
        post(&lab, "login", &json!({ "profile": "P", "dir": lab.dir.path().join("p"), "token_life_s": 100 }));
    assert!(std::path::Path::new(profile["token_file"].as_str().unwrap()).exists());
    assert_eq!(post(&lab, "refresh", &json!({ "profile": "P" }))["generation"], 1);
    assert_eq!(post_status(&lab, "refresh", &json!({ "profile": "Q" })).0, 404);
    assert_eq!(post(&lab, "revoke", &json!({ "up_to": { "profile": "P", "generation": 0 } }))["revoked"], 1);
    assert_eq!(post(&lab, "revoke", &json!("all"))["revoked"], 2);
    let key = post(&lab, "api_key", &json!({ "profile": "K", "dir": lab.dir.path().join("p") }));
    assert!(key["key_id"].as_str().unwrap().contains(key["fingerprint"].as_str().unwrap()));

    assert_eq!(post(&lab, "clock", &json!({ "freeze_ms": 1000 }))["now_ms"], 1000);
    assert_eq!(post(&lab, "clock", &json!({ "advance_s": 1.5 }))["now_ms"], 2500);
    assert_eq!(post(&lab, "clock", &json!({ "run": true, "shift_s": -60 }))["shift_ms"], -60_000);
    post(&lab, "bucket", &json!({ "name": "more" }));
    post(&lab, "reset", &json!({ "what": "stats" }));
    assert_eq!(lab.control.stats().requests, 0);
    post(&lab, "reset", &json!({}));
    assert_eq!(lab.control.settings(), Config::default().settings);
    assert!(lab.control.sessions().is_empty() && lab.control.log().is_empty());
    assert_eq!(get(&lab, "clock")["shift_ms"], 0);
    assert_eq!(post_status(&lab, "nonsense", &json!({})).0, 404);
}

#[test]
fn a_counter_can_be_waited_for() {
    let lab = Lab::new();
    assert_eq!(get(&lab, "wait?counter=created&at_least=1&timeout_s=0.05")["reached"], false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&lab, "wait?counter=created&at_least=1&timeout_s=5"));
        lab.create("o");
        assert_eq!(waiting.join().unwrap(), json!({ "reached": true, "value": 1 }));
    });
    assert!(!lab.control.wait(Duration::from_millis(10), |stats| stats.committed > 0));
}

#[test]
fn stored_parts_can_be_damaged_over_http() {
    let lab = Lab::new();
    let upload = lab.create("o");
    lab.put_part("o", &upload, 1, "x");
    let before = lab.get(&upload_target("o", &upload)).json()[0]["md5"].clone();
    post(&lab, "corrupt", &json!({ "upload": upload, "part": 1 }));
    assert_ne!(lab.get(&upload_target("o", &upload)).json()[0]["md5"], before);
    assert_eq!(post_status(&lab, "corrupt", &json!({ "upload": upload, "part": 2 })).0, 404);
}

#[test]
fn strangers_are_kept_out() {
    let lab = Lab::new();
    let status = |bytes: &str| {
        let mut connection = Connection::new(&lab.address());
        connection.send(bytes.as_bytes());
        connection.answer(false).unwrap().status
    };
    assert_eq!(status("GET /_control/stats HTTP/1.1\r\nhost: rebound.example\r\n\r\n"), 403);
    assert_eq!(
        status(
            "POST /_control/reset HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}"
        ),
        415
    );
    assert_eq!(status("POST /_control/reset HTTP/1.1\r\nhost: localhost\r\n\r\n"), 415);
    assert_eq!(status("PUT /_control/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"), 405);
    let open = Config { listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Config::default() };
    assert_eq!(Cloud::start(open).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_port_in_use_is_an_error_and_a_stopped_cloud_is_silent() {
    let lab = Lab::new();
    let port: u16 = lab.address().rsplit(':').next().unwrap().parse().unwrap();
    let error = Cloud::start(Config { port, ..Config::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Listen);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    let (control, address) = (lab.control.clone(), lab.address());
    lab.cloud.stop();
    assert_eq!(control.stats().requests, 0);
    assert!(std::net::TcpStream::connect(&address).is_err());
    let again = Cloud::start(Config { port, ..Config::default() }).unwrap();
    assert!(again.endpoint().ends_with(&address));
}

#[test]
fn the_test_authority_goes_away_with_its_cloud() {
    let cloud = Cloud::start(Config::default().with_tls()).unwrap();
    let (file, control) = (cloud.ca_file().unwrap().to_owned(), cloud.control());
    assert!(file.exists());
    drop(cloud);
    assert!(!file.exists());
    drop(control);
}

#[tokio::test]
async fn a_cloud_can_live_inside_a_runtime() {
    let cloud = Cloud::start(Config::default()).unwrap();
    assert!(cloud.endpoint().starts_with("http://127.0.0.1:"));
    let port = cloud.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    assert!(Cloud::start(Config { port, ..Config::default() }).is_err());
    drop(cloud);
}
