//! `outlast demo`, shorter than it is for people.

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use common::run;

fn demo(dir: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    command.env_clear().env("HOME", dir).env("TMPDIR", dir).current_dir(dir).stdin(Stdio::null());
    command.args(["demo", "--size", "32", "--seconds", "16"]);
    command
}

/// What the demonstration leaves in the directory that takes the part of `/tmp`.
fn left(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the directory is ours").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_story_is_told_and_drawn() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ended = run(demo(dir.path()).args(["--svg", "run.svg"]));
    assert_eq!(ended.code, 0, "{ended:?}");
    for told in [
        "signed in: token 1",
        "the service refuses token",
        "kill -9",
        "the same command again",
        "every checksum agrees",
        "object and file are the same",
        "The official CLI reads its token once",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {ended:?}");
    }
    assert!(!ended.stdout.contains('\x1b'), "no colours in a pipe");
    assert_eq!(left(dir.path()), ["run.svg"], "everything else is cleaned up");
    let picture = std::fs::read_to_string(dir.path().join("run.svg")).expect("the picture");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for drawn in [
        "kill −9",
        "same command again",
        "the official CLI ends here",
        "refused",
        "seconds since the sign-in",
    ] {
        assert!(picture.contains(drawn), "{drawn}");
    }
    for open in ["<text", "<rect", "<line", "<path"] {
        assert!(picture.matches(open).count() > 3, "{open}");
    }
}

#[test]
fn an_interrupted_story_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut child =
        demo(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let begun = lines.map_while(Result::ok).find(|line| line.contains("uploading"));
    assert!(begun.is_some());
    let done = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(done.success());
    let ended = common::ended(&child.wait_with_output().expect("it ends"));
    assert!(ended.line(130).contains("interrupted"), "{ended:?}");
    assert_eq!(left(dir.path()), [""; 0]);
}
