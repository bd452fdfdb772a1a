//! What the command says about itself.

mod common;

use std::process::{Command, Stdio};

use common::run;

fn outlast(arguments: &[&str]) -> common::Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    run(command.env_clear().args(arguments).stdin(Stdio::null()))
}

const COMMANDS: [&[&str]; 10] = [
    &[],
    &["put"],
    &["session"],
    &["session", "show"],
    &["session", "refresh"],
    &["session", "keep"],
    &["uploads", "list"],
    &["uploads", "abort"],
    &["cloud"],
    &["demo"],
];

#[test]
fn help_is_compact_or_complete() {
    for command in COMMANDS {
        let short = outlast(&[command, &["-h"]].concat());
        let long = outlast(&[command, &["--help"]].concat());
        assert_eq!((short.code, long.code), (0, 0), "{command:?}");
        assert!(short.stdout.lines().count() < long.stdout.lines().count() + 2, "{command:?}");
        assert!(long.stdout.contains("Usage: outlast"), "{command:?}");
        assert!(!long.stdout.contains('\x1b'), "no colours in a pipe");
    }
    for command in [&[][..], &["put"], &["session"], &["uploads"], &["demo"]] {
        let long = outlast(&[command, &["--help"]].concat()).stdout;
        assert!(long.contains("\nExamples:\n") && long.contains("\nExit codes:\n"), "{command:?}");
    }
    assert_eq!(outlast(&["put", "-?"]).code, 0);
    assert!(outlast(&["--version"]).stdout.starts_with("outlast "));
}

#[test]
fn man_pages_are_complete() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(outlast(&["man", dir.path().to_str().expect("text")]).code, 0);
    let pages: Vec<_> = std::fs::read_dir(dir.path()).expect("pages").flatten().collect();
    assert_eq!(pages.len(), 16);
    let put = std::fs::read_to_string(dir.path().join("outlast-put.1")).expect("a page");
    for section in [
        ".TH OUTLAST-PUT 1",
        ".SH NAME",
        ".SH SYNOPSIS",
        ".SH EXAMPLES",
        ".SH \"EXIT CODES\"",
        ".SH RESUMING",
    ] {
        assert!(put.contains(section), "{section}");
    }
    assert!(outlast(&["man"]).stdout.contains(".SH ENVIRONMENT"));
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = outlast(&["completions", shell]);
        assert!(script.code == 0 && script.stdout.contains("parallel-upload-count"), "{shell}");
    }
}

#[test]
fn events_are_documented() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/EVENTS.md")).expect("the document");
    let source =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/events.rs")).expect("the source");
    for name in source.split('"').filter(|name| name.ends_with("_ms") || name.ends_with("_bytes")) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in EVENTS.md");
    }
}
