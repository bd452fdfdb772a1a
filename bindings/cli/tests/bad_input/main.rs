//! What cannot work, and the one line each case gets. The table is `bad_input.md`, beside this directory.
//!
//! `OUTLAST_BLESS=1 cargo test -p outlast-cli --test bad_input` writes the table anew; read it before you commit it.

#[path = "../common/mod.rs"]
mod common;

mod command_line;
mod keys;
mod service;
mod sessions;
mod settings;
mod sources;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use common::{BUCKET, Ended, Lab, SESSION, run};
use outlast_cloud::{Config, Settings};

/// One thing that cannot work.
pub(crate) struct Case {
    /// What is wrong, for people.
    what: &'static str,
    /// Makes it so; gives the command.
    prepare: fn(&Lab) -> Command,
}

/// A case.
pub(crate) fn case(what: &'static str, prepare: fn(&Lab) -> Command) -> Case {
    Case { what, prepare }
}

/// A good `outlast put` of a small file, with further arguments.
pub(crate) fn put(lab: &Lab, more: &[&str]) -> Command {
    let file = lab.file("f.bin", common::bytes(1000));
    lab.put(SESSION, &file, more)
}

/// A command from its words alone.
pub(crate) fn words(lab: &Lab, words: &[&str]) -> Command {
    let mut command = lab.outlast();
    command.args(words);
    command
}

/// `outlast put` with words in place of the good ones but for the file.
pub(crate) fn put_with(lab: &Lab, words: &[&str]) -> Command {
    let file = lab.file("f.bin", common::bytes(1000));
    let mut command = lab.outlast();
    command.arg("put").args(words).arg("--file").arg(file);
    command
}

/// The words that lead to the cloud, as text.
pub(crate) fn way(lab: &Lab, profile: &str) -> Vec<String> {
    let text = |word: OsString| word.into_string().expect("the words are text");
    lab.way(profile).into_iter().map(text).chain(["-bn".to_owned(), BUCKET.to_owned()]).collect()
}

#[test]
fn each_bad_input_gets_one_clear_line() {
    let groups: [(&str, Vec<Case>); 6] = [
        ("The command line", command_line::cases()),
        ("Files and names", sources::cases()),
        ("Configuration and connection", settings::cases()),
        ("Keys and tokens", keys::cases()),
        ("What the service answers", service::cases()),
        ("Sessions file, sign-ins and tokens", sessions::cases()),
    ];
    let mut table = String::from(HEAD);
    let mut count = 0;
    let lab = Lab::with(Config::default());
    let settings = lab.control().settings();
    for (title, cases) in groups {
        let _ = write!(table, "\n## {title}\n\n| what is wrong | exit | the line |\n|---|---|---|\n");
        for case in cases {
            restore(&lab, &settings);
            let ended = run(&mut (case.prepare)(&lab));
            check(case.what, &ended);
            let line = normal(ended.line(ended.code).trim_start_matches("outlast: "), &lab);
            let _ = writeln!(table, "| {} | {} | {} |", cell(case.what), ended.code, cell(&line));
            count += 1;
        }
    }
    assert!(count >= 40, "{count} cases");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input.md");
    if std::env::var_os("OUTLAST_BLESS").is_some() {
        std::fs::write(&golden, &table).expect("the table can be written");
    }
    let written = std::fs::read_to_string(&golden).unwrap_or_default();
    for (now, then) in table.lines().zip(written.lines()) {
        assert_eq!(now, then, "a line has changed; OUTLAST_BLESS=1 accepts it");
    }
    assert_eq!(table.lines().count(), written.lines().count(), "OUTLAST_BLESS=1 writes the table anew");
}

const HEAD: &str = "\
# Bad input, and what `outlast` says

Each case gets exactly one line on stderr that begins with `outlast: `, and the exit code. Nothing panics, nothing is
printed on stdout, and no secret is repeated. This table is checked by `tests/bad_input/main.rs`; `DIR` is the working
directory; `PORT`, `ID` and `TIME` stand for what differs from run to run.
";

/// Back to a good lab.
fn restore(lab: &Lab, settings: &Settings) {
    let control = lab.control();
    control.remove_faults(None);
    control.change(|current| current.clone_from(settings));
    control.set_clock_shift_ms(0);
    for entry in std::fs::read_dir(lab.dir.path()).expect("the directory is ours").flatten() {
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.expect("the directory is ours");
    }
    lab.write_profiles();
}

/// What holds for every case.
fn check(what: &str, ended: &Ended) {
    assert!([1, 2, 75].contains(&ended.code), "{what}: {ended:?}");
    assert_eq!(ended.stdout, "", "{what}");
    for secret in ["hunter2", "eyJ"] {
        assert!(!ended.stderr.contains(secret), "{what}: {ended:?}");
    }
    let line = ended.line(ended.code);
    assert!(line.chars().count() < 600, "{what}: {line}");
}

/// The line without what differs from run to run.
fn normal(line: &str, lab: &Lab) -> String {
    let dir = lab.dir.path().display().to_string();
    let port = lab.cloud.endpoint().rsplit(':').next().unwrap_or_default().to_owned();
    let mut text = line.replace(&dir, "DIR").replace(&format!(":{port}"), ":PORT");
    text = after(&text, "request id ", |c| c.is_ascii_alphanumeric() || "/-:_".contains(c), "ID");
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let mut normal: Vec<String> = Vec::new();
    for word in words {
        let bare = word.trim_end_matches([';', ',', ')']);
        let tail = &word[bare.len()..];
        let is_date = bare.len() == 10
            && bare.starts_with("20")
            && bare.bytes().filter(|byte| *byte == b'-').count() == 2;
        let is_clock =
            bare.len() == 9 && bare.ends_with('Z') && bare.bytes().filter(|byte| *byte == b':').count() == 2;
        let is_fingerprint = bare.bytes().filter(|byte| *byte == b':').count() == 15;
        match () {
            () if is_date => {}
            () if is_clock => normal.push(format!("TIME{tail}")),
            () if is_fingerprint => normal.push(format!("ID{tail}")),
            () if bare.len() == 36 && bare.bytes().filter(|byte| *byte == b'-').count() == 4 => {
                normal.push(format!("ID{tail}"));
            }
            () => normal.push(word.clone()),
        }
    }
    normal.join(" ")
}

/// Replaces what follows a text.
fn after(text: &str, lead: &str, belongs: fn(char) -> bool, with: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(lead) {
        let (head, tail) = rest.split_at(at + lead.len());
        result.push_str(head);
        result.push_str(with);
        rest = tail.trim_start_matches(belongs);
    }
    result.push_str(rest);
    result
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
