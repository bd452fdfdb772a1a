//! Uploads that stop and go on.

mod common;

use common::{BUCKET, Lab, Running, SESSION, bytes, run};
use std::time::Duration;

use outlast_cloud::{Config, RefreshMode};

const MIB: usize = 1 << 20;

fn slow(lab: &Lab, file: &std::path::Path) -> std::process::Command {
    lab.put(
        SESSION,
        file,
        &["--part-size", "1", "--parallel-upload-count", "2", "--limit-rate", "4M", "--events", "-"],
    )
}

#[test]
fn after_a_kill_the_same_command_goes_on() {
    let lab = Lab::new();
    let content = bytes(12 * MIB);
    let file = lab.file("f", &content);
    let mut first = Running::start(&mut slow(&lab, &file));
    first.wait_for_parts(4);
    first.process.kill().expect("it runs");
    assert_ne!(first.end().code, 0);

    let second = run(&mut lab.put(SESSION, &file, &["--events", "-"]));
    second.json();
    assert_eq!(lab.object("f"), content);
    let events = second.events();
    let started = events.iter().find(|event| event["event"] == "started").expect("it starts");
    assert_eq!(started["part_size_bytes"], 1 << 20, "the part size is remembered");
    let finished = events.iter().find(|event| event["event"] == "finished").expect("it ends");
    assert!(finished["parts_reused"].as_u64() >= Some(4), "{finished}");
    let sent_twice = lab.control().stats().stored_by_part.values().filter(|times| **times > 1).count();
    assert!(sent_twice <= 2, "at most what was in flight is sent again");
    assert!(lab.control().uploads().is_empty());
}

#[test]
fn a_signal_stops_in_order_and_the_same_command_goes_on() {
    let lab = Lab::new();
    let content = bytes(12 * MIB);
    let file = lab.file("f", &content);
    for name in ["INT", "TERM"] {
        let mut running = Running::start(&mut slow(&lab, &file));
        running.wait_for(|event| event["event"] == "part-stored" && event["reused"] == false);
        running.signal(name);
        let ended = running.end();
        let line = ended.line(130);
        assert!(
            line.contains("the same command goes on") && line.contains("of 12 parts are stored"),
            "{line}"
        );
        let exit = ended.events().pop().expect("events");
        assert_eq!((&exit["event"], &exit["code"]), (&"exit".into(), &130.into()));
    }
    run(&mut lab.put(SESSION, &file, &[])).json();
    assert_eq!(lab.object("f"), content);
}

#[test]
fn abort_on_failure_leaves_nothing() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(12 * MIB));
    let mut running = Running::start(slow(&lab, &file).arg("--abort-on-failure"));
    running.wait_for_parts(1);
    running.signal("INT");
    let ended = running.end();
    assert!(ended.line(130).contains("nothing is left"), "{ended:?}");
    assert!(lab.control().uploads().is_empty());
}

#[test]
fn restart_begins_anew_when_the_file_has_changed() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(12 * MIB));
    let mut running = Running::start(&mut slow(&lab, &file));
    running.wait_for_parts(2);
    running.process.kill().expect("it runs");
    running.end();
    let mut content = bytes(12 * MIB);
    content[5] ^= 1;
    lab.file("f", &content);
    let refused = run(&mut lab.put(SESSION, &file, &[]));
    assert!(refused.line(1).contains("--restart"), "{refused:?}");
    run(&mut lab.put(SESSION, &file, &["--restart", "--part-size", "2"])).json();
    assert_eq!(lab.object("f"), content);
    assert!(lab.control().uploads().is_empty(), "the earlier upload is aborted");
}

#[test]
fn a_session_that_ends_parks_and_the_same_command_goes_on() {
    let lab = Lab::with(Config::default().token_life_s(5));
    lab.control().change(|settings| settings.refresh = RefreshMode::SameExpiry);
    let content = bytes(32 * MIB);
    let file = lab.file("f", &content);
    lab.sign_in();
    let ended = run(&mut slow(&lab, &file));
    let line = ended.line(75);
    assert!(line.contains("then the same command goes on"), "{line}");
    let events = ended.events();
    assert!(events.iter().any(|event| event["event"] == "will-outlive-session"), "{events:?}");
    assert!(events.iter().any(|event| event["event"] == "horizon-learned"), "{events:?}");

    lab.control().change(|settings| settings.refresh = RefreshMode::Extend);
    lab.control().change(|settings| settings.token_life = Duration::from_mins(1));
    lab.sign_in();
    let second = run(&mut lab.put(SESSION, &file, &["--events", "-"]));
    second.json();
    assert_eq!(lab.object("f"), content);
    let finished = second.events().into_iter().find(|event| event["event"] == "finished").expect("an end");
    assert!(finished["parts_reused"].as_u64() >= Some(1), "{finished}");
}

#[test]
fn somebody_signs_in_while_it_waits() {
    let lab = Lab::with(Config::default().token_life_s(3));
    lab.control().change(|settings| settings.refresh = RefreshMode::SameExpiry);
    let content = bytes(16 * MIB);
    let file = lab.file("f", &content);
    lab.sign_in();
    let mut running = Running::start(slow(&lab, &file).args(["--wait-for-login", "2m"]));
    let parked = running.wait_for(|event| event["event"] == "parked");
    assert!(parked["until_ms"].as_i64() > parked["time_ms"].as_i64(), "{parked}");
    lab.control().change(|settings| settings.refresh = RefreshMode::Extend);
    lab.control().change(|settings| settings.token_life = Duration::from_mins(1));
    lab.sign_in();
    running.wait_for(|event| event["event"] == "resumed");
    let ended = running.end();
    ended.json();
    assert_eq!(lab.object("f"), content);
}

#[test]
fn a_second_process_is_told_that_it_is_one_too_many() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(12 * MIB));
    let mut running = Running::start(&mut slow(&lab, &file));
    running.wait_for_parts(1);
    let second = run(&mut lab.put(SESSION, &file, &[]));
    let id = running.process.id().to_string();
    assert!(second.line(1).contains(&id), "{second:?}");
    running.end().json();
    assert!(lab.control().object(BUCKET, "f").is_some());
}
