//! `outlast uploads`

mod common;

use common::{BUCKET, Lab, Running, SESSION, bytes, run};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

/// Leaves an unfinished upload behind.
fn leave(lab: &Lab, name: &str) {
    let file = lab.file("f", bytes(8 * MIB));
    let flags = ["--part-size", "1", "--limit-rate", "3M", "--events", "-", "--name", name];
    let mut running = Running::start(&mut lab.put(SESSION, &file, &flags));
    running.wait_for_parts(1);
    running.process.kill().expect("it runs");
    running.end();
}

fn uploads(lab: &Lab, arguments: &[&str]) -> std::process::Command {
    let mut command = lab.outlast();
    command.arg("uploads").args(arguments).args(lab.way(SESSION));
    command
}

#[test]
fn lists_what_is_kept_here_and_what_is_open_there() {
    let lab = Lab::new();
    leave(&lab, "mine");
    let here = run(&mut uploads(&lab, &["list"])).json();
    assert_eq!((&here[0]["object"], &here[0]["open"]), (&"mine".into(), &Value::Null));
    // A record may be lost with the process; the service knows the part all the same.
    assert!(here[0]["parts-stored"].is_u64(), "{here}");
    assert_eq!(here[0]["running"], false);
    let there = run(&mut uploads(&lab, &["list", "-bn", BUCKET])).json();
    assert_eq!((&there[0]["object"], &there[0]["open"]), (&"mine".into(), &true.into()));
    std::fs::remove_dir_all(lab.path("state")).expect("journals");
    let foreign = run(&mut uploads(&lab, &["list", "-bn", BUCKET])).json();
    assert_eq!((&foreign[0]["open"], &foreign[0]["journal"]), (&true.into(), &Value::Null));
    let table = run(&mut uploads(&lab, &["list", "-bn", BUCKET, "--output", "table"]));
    assert!(table.stdout.contains("| mine"), "{table:?}");
}

#[test]
fn aborts_by_id_by_name_and_all() {
    let lab = Lab::new();
    for how in ["id", "name", "all", "foreign"] {
        leave(&lab, how);
        let id = lab.control().uploads()[0].id.clone();
        let arguments = match how {
            "id" => vec!["abort", "--upload-id", &id],
            "name" => vec!["abort", "--name", "name", "-bn", BUCKET],
            "all" => vec!["abort", "--all-of-ours"],
            _ => {
                std::fs::remove_dir_all(lab.path("state")).expect("journals");
                vec!["abort", "-bn", BUCKET, "--upload-id", &id]
            }
        };
        let asked = run(&mut uploads(&lab, &arguments));
        assert!(asked.line(1).contains("--force"), "{asked:?}");
        let aborted = run(uploads(&lab, &arguments).arg("--force")).json();
        assert_eq!((&aborted[0]["upload-id"], &aborted[0]["aborted"]), (&id.as_str().into(), &true.into()));
        assert!(lab.control().uploads().is_empty(), "{how}");
        assert_eq!(run(&mut uploads(&lab, &["list"])).json(), json!([]));
    }
    let none = run(&mut uploads(&lab, &["abort", "--all-of-ours", "--force"]));
    assert_eq!(none.json(), json!([]));
}

#[test]
fn what_is_running_is_not_aborted() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(8 * MIB));
    let flags = ["--part-size", "1", "--limit-rate", "2M", "--events", "-"];
    let mut running = Running::start(&mut lab.put(SESSION, &file, &flags));
    running.wait_for_parts(1);
    let refused = run(&mut uploads(&lab, &["abort", "--all-of-ours", "--force"]));
    assert!(refused.line(1).contains("is uploading it"), "{refused:?}");
    running.end().json();
}

#[test]
fn a_wrong_account_does_not_pass_for_success() {
    let lab = Lab::new();
    leave(&lab, "mine");
    let other = Lab::with(outlast_cloud::Config { buckets: Vec::new(), ..outlast_cloud::Config::default() });
    let mut command = other.outlast();
    command.args(["uploads", "abort", "--all-of-ours", "--force"]).args(other.way(SESSION));
    command.arg("--state-dir").arg(lab.path("state"));
    let refused = run(&mut command);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(lab.control().uploads().len(), 1);
    assert_eq!(run(&mut uploads(&lab, &["list"])).json().as_array().map(Vec::len), Some(1));
}
