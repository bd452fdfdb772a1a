//! The examples say what the command line takes.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Lab, run};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read_to_string(path).expect("the example is there")
}

/// The command of a line that has `outlast` in it, with its session's name put in.
fn words(line: &str) -> Vec<String> {
    let command = &line[line.find("outlast ").expect("it calls outlast") + "outlast ".len()..];
    let end = command.find([';', '&', '|', '>']).unwrap_or(command.len());
    command[..end].split_whitespace().map(|word| word.replace("%t", "/run").replace("%i", "work")).collect()
}

#[test]
fn every_example_is_a_command_line_that_is_taken() {
    let lab = Lab::new();
    let mut tried = 0;
    for name in ["outlast-keep@.service", "outlast-oci@.service", "outlast.cron"] {
        let text = example(name);
        for line in text.lines().filter(|line| !line.starts_with('#') && line.contains(" outlast ")) {
            let words = words(line);
            let mut command = lab.outlast();
            command.args(&words);
            let ended = run(&mut command);
            // Taken, and then there is no such session or profile here: said in words of the configuration.
            assert!(
                ended.stderr.contains("sessions.conf") || ended.stderr.contains("profile"),
                "{words:?}: {ended:?}"
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 4);
}

#[test]
fn units_are_what_systemd_takes() {
    for name in ["outlast-keep@.service", "outlast-oci@.service"] {
        let text = example(name);
        let mut section = "";
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => section = name,
                None => assert!(
                    line.split_once('=').is_some_and(|(key, value)| {
                        key.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !value.is_empty()
                    }),
                    "{section}: {line}"
                ),
            }
        }
        assert!(text.contains("RestartPreventExitStatus=2 75"), "a sign-in is not waited for by restarting");
        // Where systemd is at hand it has the last word.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        if let Ok(verified) = Command::new("systemd-analyze").args(["--user", "verify"]).arg(&path).output() {
            let words = String::from_utf8_lossy(&verified.stderr);
            let ours: Vec<&str> = words.lines().filter(|line| line.contains("outlast-")).collect();
            assert!(
                ours.iter().all(|line| !line.contains("Unknown") && !line.contains("Failed to parse")),
                "{ours:?}"
            );
        }
    }
}

#[test]
fn the_sessions_of_the_manual_are_read() {
    let lab = Lab::new();
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("SESSIONS.md");
    let manual = std::fs::read_to_string(manual).expect("the manual is there");
    let blocks: Vec<&str> = manual.split("```\n").skip(1).step_by(2).collect();
    assert_eq!(blocks.len(), 2, "sessions, and a provider");
    let own = "[own]\nprovider = ours\nissuer = https://as.example.com\nclient_id = c\n";
    lab.file("s.conf", format!("{}{own}{}", blocks[0], blocks[1]));
    for (name, words) in [
        ("work", "nobody is signed in"),
        ("backup", "nobody is signed in"),
        ("library", "nobody is signed in"),
        ("own", "nobody is signed in"),
        ("helper", "has a program or a file"),
        ("pod", "has a program or a file"),
    ] {
        let mut command = lab.outlast();
        let ended = run(command.args(["session", "show", name, "--sessions-file", "s.conf"]));
        assert!(format!("{ended:?}").contains(words), "{name}: {ended:?}");
    }
}
