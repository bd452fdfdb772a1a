//! The command `outlast-wasm` and the example, run as a user runs them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::{self, BUCKET, Lab, MIB, bytes, component};
use outlast_cloud::Config;

/// `outlast-wasm put` to this cloud, with nothing of this machine's surroundings.
fn put(lab: &Lab, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast-wasm"));
    command.env_clear().env("HOME", lab.dir.path()).stdin(Stdio::null());
    command.args(["put", "-ns", "labns", "-bn", BUCKET, "--profile", "LAB", "--auth", "security_token"]);
    command.arg("--config-file").arg(&lab.profile.config_file);
    command.args(["--endpoint", &lab.cloud.endpoint(), "--auth-endpoint", &lab.cloud.auth_endpoint()]);
    command.arg("--component").arg(component("outlast.wasm"));
    command.arg("--cache-dir").arg(common::cache_dir()).args(more);
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_file_is_stored_and_told_in_the_official_words() {
    let lab = Lab::start();
    let path = lab.file("file", 3 * MIB + 1);
    let path = path.to_str().expect("UTF-8");
    let flags =
        ["--file", path, "--part-size", "1", "--parallel-upload-count", "3", "--metadata", r#"{"k":"v"}"#];
    let (code, out, told) = run(&mut put(&lab, &flags));
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "outlast-wasm: stored 3 MiB in 4 parts; checksums agree\n"),
        "{out}"
    );
    let result: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let object = lab.control.object(BUCKET, "file").expect("it is there");
    assert_eq!(result["etag"].as_str(), Some(object.etag.as_str()));
    lab.assert_stored("file", &bytes("file", 3 * MIB + 1));

    let (code, _, told) = run(&mut put(&lab, &["--file", path, "--no-overwrite"]));
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn many_requests_share_a_slow_rate_while_the_token_is_renewed() {
    // Compiled before anybody signs in: the token is short.
    let other = Lab::start();
    let small = other.file("small", 1);
    assert_eq!(run(&mut put(&other, &["--file", small.to_str().expect("UTF-8")])).0, Some(0));
    let lab = Lab::with(Config::default().token_life_s(8));
    let path = lab.file("slow", 24 * MIB);
    let flags = ["--part-size", "1", "--parallel-upload-count", "15", "--limit-rate", "2M"];
    let began = common::now();
    let (code, _, told) = run(put(&lab, &flags).arg("--file").arg(path));
    assert_eq!(code, Some(0), "{told}");
    assert!(began.elapsed().as_secs() >= 11, "{:?}", began.elapsed());
    assert!(lab.control.stats().refreshes >= 1);
    lab.assert_stored("slow", &bytes("slow", 24 * MIB));
    let mode = std::fs::metadata(lab.token_file()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a token that was rewritten");
}

#[test]
fn standard_input_is_a_stream() {
    let lab = Lab::start();
    let path = lab.file("piped", 3 * MIB + 1);
    let mut command = put(&lab, &["--file", "-", "--name", "piped", "--part-size", "1"]);
    command.stdin(std::fs::File::open(path).expect("it was written"));
    let (code, out, told) = run(&mut command);
    assert_eq!(code, Some(0), "{out}{told}");
    lab.assert_stored("piped", &bytes("piped", 3 * MIB + 1));
}

#[test]
fn what_cannot_be_done_is_told_in_one_line() {
    let lab = Lab::start();
    let path = lab.file("file", 10);
    let path = path.to_str().expect("UTF-8");
    for (flags, code, words) in [
        (&["--file", path, "--events", "-"][..], 2, "--events is not taken over by outlast-wasm"),
        (&["--file", path, "--part-size", "0"], 2, "--part-size"),
        (&["--file", path, "--collour", "x"], 2, "there is no flag --collour"),
        (&["--file", "/nowhere/file"], 2, "/nowhere/file cannot be read"),
        (&["--file", path, "--component", "/nowhere.wasm"], 2, "/nowhere.wasm cannot be loaded"),
        (&["--file", path, "-bn", "nobucket"], 1, "BucketNotFound"),
    ] {
        let (found, out, told) = run(&mut put(&lab, flags));
        assert_eq!((found, out.as_str()), (Some(code), ""), "{flags:?}: {told}");
        assert!(told.contains(words) && told.lines().count() == 1, "{flags:?}: {told}");
    }
}

#[test]
fn the_example_uploads_and_tells() {
    let lab = Lab::start();
    let path = lab.file("example.bin", MIB);
    // Beside the command: where cargo puts examples.
    let folder = Path::new(env!("CARGO_BIN_EXE_outlast-wasm")).parent().expect("a folder").join("examples");
    let example: PathBuf = folder.join(format!("embed{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(example);
    command.env("TMPDIR", lab.dir.path()).arg(component("outlast.wasm"));
    command.arg(&lab.profile.key_file).arg(lab.token_file()).arg(lab.cloud.endpoint());
    command.args(["labns", BUCKET]).arg(&path);
    let (code, out, told) = run(&mut command);
    assert_eq!(code, Some(0), "{out}{told}");
    assert!(out.contains("1048576 bytes in 0 parts"), "{out}");
    lab.assert_stored("example.bin", &bytes("example.bin", MIB));
}
