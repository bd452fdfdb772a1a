//! The component in the `wasmtime` command, a host that we did not write: the same file as everywhere else.
//!
//! OUTLAST_WASMTIME names the command. Its sender opens a connection for every request and reaches every host; the
//! folders are the ones that `--dir` opens.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use outlast_cloud::{Action, Cloud, Config, Control, Fault, Login, Op, Profile};

const BUCKET: &str = "mybucket";
const MIB: usize = 1 << 20;

/// A cloud, somebody signed in to it, and folders.
struct Lab {
    cloud: Cloud,
    control: Control,
    dir: tempfile::TempDir,
    profile: Profile,
}

impl Lab {
    fn start() -> Lab {
        Lab::with(Config::default())
    }

    fn with(config: Config) -> Lab {
        // Compiled before anybody signs in: on a slow machine that takes longer than a token lives.
        compiled();
        let cloud = Cloud::start(config).expect("loopback ports are free");
        let control = cloud.control();
        let dir = tempfile::tempdir().expect("a temporary directory");
        // The key of the signing vectors: making one takes a debug build half a minute.
        let vectors = include_str!("../../../tests/vectors/oci-signing-vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("the vectors are JSON");
        let key = vectors["test_key"]["private_key_pkcs8_pem"].as_str().expect("the test key").to_owned();
        let profile = control.login(&Login::new("LAB", dir.path().join("oci")).key_pem(&key));
        for folder in ["data", "state"] {
            std::fs::create_dir(dir.path().join(folder)).expect("the directory is ours");
        }
        Lab { profile: profile.expect("the directory is ours"), cloud, control, dir }
    }

    /// The folder with the session's files.
    fn session(&self) -> &Path {
        self.profile.key_file.parent().expect("a folder")
    }

    /// The file that is sent: `len` bytes, no two kilobytes of them alike.
    fn file(&self, len: usize) -> Vec<u8> {
        let bytes: Vec<u8> =
            (0_u64..).flat_map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).take(len).collect();
        std::fs::write(self.dir.path().join("data/blob"), &bytes).expect("the directory is ours");
        bytes
    }

    fn assert_stored(&self, name: &str, expected: &[u8]) {
        let stored = self.control.object_bytes(BUCKET, name).expect("the object is there");
        assert!(stored == expected, "{name} holds other bytes, {} of them", stored.len());
    }
}

fn wasmtime() -> Command {
    let wasmtime = std::env::var_os("OUTLAST_WASMTIME");
    Command::new(wasmtime.expect("set OUTLAST_WASMTIME to the wasmtime command, or use `tests/run wasm-cli`"))
}

fn component() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/outlast.wasm");
    assert!(path.exists(), "{} is missing: run wasm-host/build.sh first", path.display());
    path
}

/// The component as `wasmtime compile` makes it, once for all tests.
fn compiled() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outlast.cwasm");
        let output = wasmtime().arg("compile").arg(component()).arg("-o").arg(&path).output();
        let output = output.expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    })
}

/// Runs `uploads.run` and gives back what the command printed: the result in WAVE.
fn run(lab: &Lab, component: &Path, upload: &str, granted: &[(&Path, &str)]) -> Output {
    let session = format!(
        "{{source: files({{key-file: \"/session/oci_api_key.pem\", security-token-file: \"/session/token\", \
         write: true}}), endpoint: \"{}\", auth-endpoint: \"{}\"}}",
        lab.cloud.endpoint(),
        lab.cloud.auth_endpoint()
    );
    let mut command = wasmtime();
    command.args(["run", "-S", "http"]);
    if component.extension().is_some_and(|extension| extension == "cwasm") {
        command.arg("--allow-precompiled");
    }
    for (folder, name) in granted {
        command.arg("--dir").arg(format!("{}::{name}", folder.display()));
    }
    command.arg("--invoke").arg(format!("run({session}, {upload})")).arg(component);
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

fn upload(lab: &Lab, component: &Path, options: &str) -> Output {
    let (data, state) = (lab.dir.path().join("data"), lab.dir.path().join("state"));
    let granted = [(data.as_path(), "/data"), (state.as_path(), "/state"), (lab.session(), "/session")];
    let upload = format!(
        "{{namespace-name: \"labns\", bucket-name: \"{BUCKET}\", file: \"/data/blob\", state-dir: \"/state\", {options}}}"
    );
    run(lab, component, &upload, &granted)
}

#[test]
fn a_file_goes_in_parallel_parts() {
    let lab = Lab::start();
    // Slow enough for all of them to meet.
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(8 << 20));
    let bytes = lab.file(24 * MIB + 5);
    let told =
        stored(&upload(&lab, compiled(), "name: \"dir ö/x\", part-size: 1048576, parallel-upload-count: 15"));
    assert_eq!((number(&told, "parts"), number(&told, "retries")), (25, 0));
    assert_eq!(lab.control.stats().max_parts_in_flight, 15);
    lab.assert_stored("dir ö/x", &bytes);
}

#[test]
fn a_small_file_is_one_request() {
    let lab = Lab::start();
    let bytes = lab.file(1000);
    let told =
        stored(&upload(&lab, &component(), "content-type: \"text/plain\", metadata: [(\"k\", \"v\")]"));
    assert_eq!((number(&told, "parts"), number(&told, "parts-reused")), (0, 0));
    lab.assert_stored("blob", &bytes);
}

#[test]
fn an_upload_outlives_its_tokens() {
    let lab = Lab::with(Config::default().token_life_s(12).horizon_s(24 * 3600));
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(2 << 20));
    let bytes = lab.file(48 * MIB);
    let told = stored(&upload(&lab, compiled(), "part-size: 1048576, parallel-upload-count: 4"));
    assert!(number(&told, "refreshes") >= 2, "{told}");
    let stats = lab.control.stats();
    assert_eq!((stats.unauthenticated, stats.max_refreshes_in_flight), (0, 1));
    lab.assert_stored("blob", &bytes);
}

#[test]
fn parts_refused_with_401_are_sent_again() {
    let lab = Lab::start();
    lab.control.add_fault(
        Fault::on(Op::UploadPart).generation(0).after(2).act(Action::status(401, "NotAuthenticated")),
    );
    let bytes = lab.file(8 * MIB);
    let told = stored(&upload(&lab, compiled(), "part-size: 1048576, parallel-upload-count: 4"));
    assert!(number(&told, "refusals") > 0, "{told}");
    assert_eq!((number(&told, "refreshes"), number(&told, "retries")), (1, 0), "{told}");
    lab.assert_stored("blob", &bytes);
}

#[test]
fn what_is_not_opened_cannot_be_read() {
    let lab = Lab::start();
    lab.file(10);
    let upload = format!("{{namespace-name: \"labns\", bucket-name: \"{BUCKET}\", file: \"/data/blob\"}}");
    let output = run(&lab, compiled(), &upload, &[(lab.session(), "/session")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("err({kind: source,"), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("/data/blob is in no folder that the host has opened"), "{told}");
}
