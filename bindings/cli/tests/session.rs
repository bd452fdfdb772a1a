//! `outlast session`

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use common::{KEY, Lab, SESSION, run};
use outlast_cloud::{Config, Login, RefreshMode};
use serde_json::Value;

fn session(lab: &Lab, verb: &str) -> std::process::Command {
    let mut command = lab.outlast();
    command.args(["session", verb]).args(lab.way(SESSION));
    command
}

#[test]
fn show_asks_no_service() {
    let lab = Lab::with(Config::default().token_life_s(600).horizon_s(7200));
    let shown = run(session(&lab, "show").args(["--output", "json"])).json();
    assert_eq!((&shown["profile"], &shown["state"]), (&SESSION.into(), &"fresh".into()));
    let left = shown["seconds_left"].as_u64().expect("a number");
    assert!((500..=600).contains(&left), "{shown}");
    assert!(shown["horizon_ms"].as_i64() > shown["expires_at_ms"].as_i64(), "{shown}");
    let lines = run(&mut session(&lab, "show"));
    assert!(lines.stdout.contains("state    usable") && lines.stdout.contains("horizon"), "{lines:?}");
    assert_eq!(lab.control().stats().requests, 0);
}

#[test]
fn show_tells_an_ended_session() {
    let lab = Lab::with(Config::default().token_life_s(60));
    lab.control().set_clock_shift_ms(-3_600_000);
    lab.sign_in();
    let ended = run(&mut session(&lab, "show"));
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(ended.stdout.contains("sign in again"), "{ended:?}");
}

#[test]
fn refresh_tells_what_it_changed() {
    let lab = Lab::with(Config::default().token_life_s(600));
    lab.sign_in_as(Login::new(SESSION, lab.path(".oci")).token_life(Duration::from_secs(100)));
    let before = std::fs::read(lab.path(".oci/sessions/LAB/token")).expect("a token");
    lab.control().change(|settings| settings.refresh = RefreshMode::SameExpiry);
    let same = run(&mut session(&lab, "refresh"));
    assert_eq!(same.code, 0, "{same:?}");
    assert!(
        same.stdout.contains("now     the same") && same.stdout.contains("cannot be extended"),
        "{same:?}"
    );

    lab.control().change(|settings| settings.refresh = RefreshMode::Extend);
    lab.sign_in_as(Login::new(SESSION, lab.path(".oci")));
    // A refresh within the same second as the sign-in would not move an end of whole seconds.
    lab.control().advance_clock(Duration::from_secs(5));
    let moved = run(session(&lab, "refresh").args(["--output", "json"])).json();
    assert_eq!(moved["moved"], true, "{moved}");
    assert_ne!(std::fs::read(lab.path(".oci/sessions/LAB/token")).expect("a token"), before);
}

#[test]
fn keep_rewrites_the_token_file_until_told() {
    let lab = Lab::with(Config::default().token_life_s(4));
    let token = lab.path(".oci/sessions/LAB/token");
    lab.sign_in();
    let before = std::fs::read(&token).expect("a token");
    let mut keeper =
        session(&lab, "keep").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary runs");
    let lines = BufReader::new(keeper.stderr.take().expect("a pipe")).lines();
    let refreshed = lines.map_while(Result::ok).find(|line| line.contains("token refreshed: good until"));
    assert!(refreshed.is_some());
    assert_ne!(std::fs::read(&token).expect("a token"), before);
    let done = std::process::Command::new("kill").arg(keeper.id().to_string()).status().expect("kill runs");
    assert!(done.success());
    assert_eq!(keeper.wait().expect("it ends").code(), Some(130));
}

#[test]
fn keep_ends_after_its_time_and_with_the_session() {
    let lab = Lab::with(Config::default().token_life_s(60));
    let ended = run(session(&lab, "keep").args(["--for", "1s"]));
    assert_eq!(ended.code, 0, "{ended:?}");
    lab.sign_in_as(Login::new(SESSION, lab.path(".oci")).no_browser().token_life(Duration::from_secs(3)));
    let ended = run(&mut session(&lab, "keep"));
    assert!(ended.line(75).contains("sign in again"), "{ended:?}");
}

#[test]
fn api_keys_are_no_sessions() {
    let lab = Lab::new();
    for verb in ["show", "refresh", "keep"] {
        let mut command = lab.outlast();
        command.args(["session", verb]).args(lab.way(KEY));
        assert!(run(&mut command).line(2).contains("API key"));
    }
}

#[test]
fn results_can_be_queried() {
    let lab = Lab::new();
    let ended = run(session(&lab, "show").args(["--query", "[profile, state]"]));
    assert_eq!(ended.json(), Value::from(vec![SESSION, "fresh"]));
}
