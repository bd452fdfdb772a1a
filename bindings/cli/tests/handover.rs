//! `outlast put --service-profile`: a session that will end before the upload does, and who goes on.

mod common;

use std::time::Duration;

use common::{KEY, Lab, SESSION, bytes};
use outlast_cloud::{Config, Login, RefreshMode};
use serde_json::Value;

const MIB: usize = 1 << 20;
const SIZE: usize = 32 * MIB;

/// A cloud so slow that the upload would take far longer than the session lives, whose refresh moves nothing.
fn lab(life: Duration) -> Lab {
    let mut config = Config::default();
    config.settings.bandwidth_bytes_per_s = Some(400 << 10);
    config.settings.refresh = RefreshMode::SameExpiry;
    let lab = Lab::with(config);
    lab.sign_in_as(Login::new(SESSION, lab.path(".oci")).token_life(life));
    lab
}

fn audit(lab: &Lab) -> Vec<Value> {
    let text = std::fs::read_to_string(lab.path("state/audit.ndjson")).expect("the record");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const HURRY: [&str; 6] = ["--part-size", "1", "--parallel-upload-count", "2", "--events", "-"];

#[test]
fn the_service_takes_over_as_soon_as_the_forecast_says_so() {
    let lab = lab(Duration::from_mins(1));
    let file = lab.file("f", bytes(SIZE));
    let more = [&HURRY[..], &["--service-profile", KEY]].concat();
    let mut running = common::Running::start(&mut lab.put(SESSION, &file, &more));
    let told = running.wait_for(|event| event["event"] == "will-outlive-session");
    let taken = running.wait_for(|event| event["event"] == "handed-over");
    assert_eq!(taken["horizon_ms"], told["horizon_ms"]);
    // It has been told, checked and recorded while the user's token was good; now the rest may go fast.
    lab.control().change(|settings| settings.bandwidth_bytes_per_s = None);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(lab.object("f"), bytes(SIZE));
    let records = audit(&lab);
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(record["reason"], "will-outlive-session");
    assert_eq!(record["credential"], format!("profile {KEY}"));
    let who = record["principal"].as_str().expect("who");
    assert!(who.starts_with("ocid1.user.") && who.ends_with("(profile LAB)"), "{who}");
    assert_eq!(record["work"], serde_json::json!(["upload labns/mybucket/f"]));
    assert!(record["time_ms"].is_i64() && record["estimate_ms"].as_i64() > record["horizon_ms"].as_i64());
    let (secret, _) = lab.control().token(SESSION).expect("the session is known");
    assert!(!format!("{records:?}{ended:?}").contains(&secret));
}

#[test]
fn when_neither_works_it_is_told_parked_and_resumed_by_the_same_command() {
    let lab = lab(Duration::from_secs(10));
    let key_id = std::fs::read_to_string(lab.path("key-id")).expect("just written");
    assert!(lab.control().distrust(&key_id));
    let file = lab.file("f", bytes(SIZE));
    let more = [&HURRY[..], &["--service-profile", KEY, "--audit-log", "who.ndjson"]].concat();
    let mut running = common::Running::start(&mut lab.put(SESSION, &file, &more));
    // Early, by the forecast, or when the session has ended: each is told, in whatever order.
    let refused = |event: &Value| {
        let text = event["text"].as_str().unwrap_or_default();
        event["event"] == "remark" && text.contains("profile KEY cannot take over")
    };
    let parked = |event: &Value| event["event"] == "parked";
    let first = running.wait_for(|event| refused(event) || parked(event));
    running.wait_for(|event| if refused(&first) { parked(event) } else { refused(event) });
    let ended = running.end();
    let line = ended.line(75);
    assert!(line.contains("goes on") && line.contains("oci session authenticate"), "{line}");
    assert_eq!(
        std::fs::read_to_string(lab.path("who.ndjson")).expect("it is made"),
        "",
        "nothing was handed over"
    );
    // Somebody signs in: the same command goes on.
    lab.control().change(|settings| {
        settings.bandwidth_bytes_per_s = None;
        settings.refresh = RefreshMode::Extend;
    });
    lab.sign_in();
    let resumed = common::run(&mut lab.put(SESSION, &file, &more));
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(lab.object("f"), bytes(SIZE));
}

#[test]
fn what_cannot_take_over_is_refused_at_once() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(1000));
    let line = |profile: &str, more: &[&str]| {
        let ended = common::run(&mut lab.put(profile, &file, more));
        ended.line(2).to_owned()
    };
    assert!(line(KEY, &["--service-profile", KEY]).contains("an API key does not end"));
    assert!(line(SESSION, &["--service-profile", "NOBODY"]).contains("NOBODY"));
    assert!(!line(SESSION, &["--service-profile", SESSION]).is_empty(), "it has no API key");
    let closed = line(SESSION, &["--service-profile", KEY, "--audit-log", "/no/such/dir/x"]);
    assert!(closed.contains("the audit log /no/such/dir/x"), "{closed}");
}
