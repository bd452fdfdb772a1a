//! The binary: one line when it listens, gone when its stdin closes or it is told to end.

use crate::client::Connection;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Starts it and reads its line.
fn start(flags: &[&str]) -> (Child, serde_json::Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outlast-cloud"))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap_or_default())
}

fn end(mut child: Child) -> ExitStatus {
    drop(child.stdin.take());
    child.wait().unwrap()
}

#[test]
fn it_says_where_it_listens_and_ends_with_its_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let (child, ready) =
        start(&["--login", "LAB", "--dir", home, "--token-life", "45s", "--auth-port", "0", "--tls"]);
    let token = &ready["profiles"][0]["token"];
    assert_eq!(token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(), 45);
    assert_ne!(ready["endpoint"], ready["auth_endpoint"]);
    assert!(std::path::Path::new(ready["ca_file"].as_str().unwrap()).exists());
    let mut connection = Connection::new(ready["endpoint"].as_str().unwrap().trim_start_matches("http://"));
    connection.send(b"GET /_control/sessions HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(connection.answer(false).unwrap().json()[0]["profile"], "LAB");
    assert!(end(child).success());
    assert!(!std::path::Path::new(ready["ca_file"].as_str().unwrap()).exists());
}

#[test]
fn a_signal_ends_it_even_if_it_is_to_stay() {
    let (mut child, ready) = start(&["--stay", "--log"]);
    drop(child.stdin.take());
    let mut connection = Connection::new(ready["endpoint"].as_str().unwrap().trim_start_matches("http://"));
    connection.send(b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(connection.answer(true).unwrap().status, 200, "it stays");
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["op"], "probe");
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success() && child.wait().unwrap().success());
}

#[test]
fn what_it_cannot_do_it_says() {
    for flags in [&["--listen", "0.0.0.0"][..], &["--set", "nonsense=1"], &["--fault", "{}"]] {
        let (child, ready) = start(flags);
        assert!(ready.is_null());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("outlast-cloud: ") && said.lines().count() == 1, "{said}");
    }
}
