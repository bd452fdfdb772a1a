//! The component in the `wasmtime` command, a host that we did not write: the same file as everywhere else.
//!
//! OUTLAST_WASMTIME names the command. Its sender opens a connection for every request and reaches every host; the
//! folders are the ones that `--dir` opens.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{BUCKET, Lab, MIB, bytes, component};
use outlast_cloud::{Action, Config, Fault, Op};

/// Runs `uploads.run` and gives back what the command printed: the result in WAVE.
fn run(lab: &Lab, upload: &str, granted: &[(&Path, &str)]) -> Output {
    let wasmtime = std::env::var_os("OUTLAST_WASMTIME").expect("OUTLAST_WASMTIME names the command");
    let session = format!(
        "{{source: files({{key-file: \"/session/oci_api_key.pem\", security-token-file: \"/session/token\", \
         write: true}}), endpoint: \"{}\", auth-endpoint: \"{}\"}}",
        lab.cloud.endpoint(),
        lab.cloud.auth_endpoint()
    );
    let mut command = Command::new(wasmtime);
    command.args(["run", "-S", "http"]);
    for (folder, name) in granted {
        command.arg("--dir").arg(format!("{}::{name}", folder.display()));
    }
    command.arg("--invoke").arg(format!("run({session}, {upload})")).arg(component("outlast.wasm"));
    command.output().expect("the command runs")
}

fn stored(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.starts_with("ok("), "{told}{words}");
    assert!(told.contains("verified: true"), "{told}");
    told
}

/// The number of a field of a WAVE record.
fn number(told: &str, field: &str) -> u64 {
    let value = told.split(&format!(" {field}: ")).nth(1).unwrap_or_else(|| panic!("no {field}: {told}"));
    let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{field} is no number: {told}"))
}

fn granted(lab: &Lab) -> Vec<(std::path::PathBuf, &'static str)> {
    std::fs::create_dir_all(lab.state_dir()).expect("the directory is ours");
    let session = lab.token_file().parent().expect("a folder").to_owned();
    vec![(lab.dir.path().join("data"), "/data"), (lab.state_dir(), "/state"), (session, "/session")]
}

fn upload(lab: &Lab, options: &str) -> Output {
    let granted = granted(lab);
    let granted: Vec<_> = granted.iter().map(|(folder, name)| (folder.as_path(), *name)).collect();
    let upload = format!(
        "{{namespace-name: \"labns\", bucket-name: \"{BUCKET}\", file: \"/data/blob\", state-dir: \"/state\", {options}}}"
    );
    run(lab, &upload, &granted)
}

#[test]
#[ignore = "needs OUTLAST_WASMTIME; tests/run wasm-cli"]
fn a_file_goes_in_parallel_parts() {
    let lab = Lab::start();
    lab.file("blob", 24 * MIB + 5);
    let told = stored(&upload(&lab, "name: \"dir ö/x\", part-size: 1048576, parallel-upload-count: 15"));
    assert_eq!((number(&told, "parts"), number(&told, "retries")), (25, 0));
    lab.assert_stored("dir ö/x", &bytes("blob", 24 * MIB + 5));
}

#[test]
#[ignore = "needs OUTLAST_WASMTIME; tests/run wasm-cli"]
fn a_small_file_is_one_request() {
    let lab = Lab::start();
    lab.file("blob", 1000);
    let told = stored(&upload(&lab, "content-type: \"text/plain\", metadata: [(\"k\", \"v\")]"));
    assert_eq!((number(&told, "parts"), number(&told, "parts-reused")), (0, 0));
    lab.assert_stored("blob", &bytes("blob", 1000));
}

#[test]
#[ignore = "needs OUTLAST_WASMTIME; tests/run wasm-cli"]
fn an_upload_outlives_its_tokens() {
    // The first token has to live until the command has compiled the component.
    let lab = Lab::with(Config::default().token_life_s(12).horizon_s(24 * 3600));
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(2 << 20));
    lab.file("blob", 48 * MIB);
    let told = stored(&upload(&lab, "part-size: 1048576, parallel-upload-count: 4"));
    assert!(number(&told, "refreshes") >= 2, "{told}");
    let stats = lab.control.stats();
    assert_eq!((stats.unauthenticated, stats.max_refreshes_in_flight), (0, 1));
    lab.assert_stored("blob", &bytes("blob", 48 * MIB));
}

#[test]
#[ignore = "needs OUTLAST_WASMTIME; tests/run wasm-cli"]
fn parts_refused_with_401_are_sent_again() {
    let lab = Lab::start();
    lab.control.add_fault(
        Fault::on(Op::UploadPart).generation(0).after(2).act(Action::status(401, "NotAuthenticated")),
    );
    lab.file("blob", 8 * MIB);
    let told = stored(&upload(&lab, "part-size: 1048576, parallel-upload-count: 4"));
    assert!(number(&told, "refusals") > 0, "{told}");
    assert_eq!((number(&told, "refreshes"), number(&told, "retries")), (1, 0), "{told}");
    lab.assert_stored("blob", &bytes("blob", 8 * MIB));
}

#[test]
#[ignore = "needs OUTLAST_WASMTIME; tests/run wasm-cli"]
fn what_is_not_opened_cannot_be_read() {
    let lab = Lab::start();
    lab.file("blob", 10);
    let session = lab.token_file().parent().expect("a folder");
    let upload = format!("{{namespace-name: \"labns\", bucket-name: \"{BUCKET}\", file: \"/data/blob\"}}");
    let output = run(&lab, &upload, &[(session, "/session")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("err({kind: source,"), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("/data/blob is in no folder that the host has opened"), "{told}");
}
