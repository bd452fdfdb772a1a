//! A component with bad intentions, and what the host lets it do. `hostile/` says what it tries.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use crate::common::{self, Lab, MIB, await_notice, bytes, parts, put, start, wait};
use outlast_core::engine::Notice;
use outlast_core::engine::config::Endpoint;
use outlast_core::{Error, ErrorKind, Retry};
use outlast_wasm_host::bindings::sessions::{ApiKey, SessionOptions, Source};
use outlast_wasm_host::{Folder, Grants, Instance, Limits, Plugin, PluginOptions, Sender};

fn hostile() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| common::plugin("hostile.wasm")).clone()
}

fn limits() -> Limits {
    Limits { memory_bytes: 32 << 20, overtime: Duration::from_secs(2), resources: 2000, ..Limits::default() }
}

async fn instance(grants: Grants) -> Instance {
    let sender = Sender::new(Duration::from_secs(5), None).expect("no bundle is needed");
    Instance::new(&hostile(), grants, &limits(), &sender).await.expect("it asks for nothing unusual")
}

/// Gives an order; what the component says comes as an error of kind `internal` while the instance lives.
async fn order(instance: &mut Instance, order: &str) -> Error {
    let nothing = ApiKey { key_id: String::new(), key: String::new(), pass_phrase: None };
    let options = SessionOptions {
        source: Source::ApiKey(nothing),
        endpoint: order.to_owned(),
        auth_endpoint: None,
        wait_for_login_ms: None,
        allow_http: None,
    };
    instance.open(&options).await.expect_err("it opens no sessions")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_authorities_are_reached() {
    let (lab, other) = (Lab::start(), Lab::start());
    let granted = Endpoint::parse(&lab.cloud.endpoint(), false).expect("the cloud's URL");
    let mut instance = instance(Grants::default().authority(&granted)).await;
    let here = order(&mut instance, &format!("send {}", lab.cloud.endpoint())).await;
    assert!(here.to_string().starts_with("status "), "{here}");
    let port = granted.host().rsplit(':').next().expect("a port").to_owned();
    for forbidden in [
        other.cloud.endpoint(),
        format!("http://localhost:{port}"),
        format!("http://[::1]:{port}"),
        format!("https://127.0.0.1:{port}"),
        "http://example.com".to_owned(),
    ] {
        let answer = order(&mut instance, &format!("send {forbidden}")).await;
        assert_eq!(answer.to_string(), "ErrorCode::HttpRequestDenied", "{forbidden}");
    }
    assert!(!instance.is_ended());
    assert_eq!((lab.control.stats().requests, other.control.stats().requests), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_folders_are_seen() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let make = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).expect("our folder");
        std::fs::write(path.join("inside"), "x").expect("our folder");
        path
    };
    let (reading, writing, secret) = (make("reading"), make("writing"), make("secret"));
    std::os::unix::fs::symlink(&secret, writing.join("link")).expect("our folder");
    std::os::unix::fs::symlink(secret.join("inside"), reading.join("link")).expect("our folder");
    let folder =
        |host: &Path, name: &str, writable| Folder { host: host.to_owned(), name: name.to_owned(), writable };
    let grants = Grants::default().folder(folder(&reading, "/r", false)).folder(folder(&writing, "/w", true));
    let mut instance = instance(grants).await;
    for (command, answer) in [
        ("folders", "/r /w"),
        ("read inside", "/r: opened, /w: opened"),
        ("write inside", "/r: not-permitted, /w: opened"),
        ("write new", "/r: not-permitted, /w: opened"),
        ("read ../secret/inside", "/r: not-permitted, /w: not-permitted"),
        ("read /etc/passwd", "/r: not-permitted, /w: not-permitted"),
        ("read link", "/r: not-permitted, /w: not-permitted"),
        ("read link/inside", "/r: not-permitted, /w: not-permitted"),
    ] {
        assert_eq!(order(&mut instance, command).await.to_string(), answer, "{command}");
    }
    assert!(writing.join("new").exists() && !reading.join("new").exists());
    instance.grant(folder(&secret, "/s", false)).expect("it can be opened");
    assert_eq!(order(&mut instance, "folders").await.to_string(), "/r /w /s");
    let error = instance.grant(folder(&dir.path().join("none"), "/n", false)).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_computes_waits_allocates_or_hoards_without_end_is_stopped() {
    for (command, reason) in [
        ("loop", "it did not return within 2 s"),
        ("wait", "it did not return within 2 s"),
        ("allocate", "forcing trap when growing memory"),
        ("hoard", "resource table has no free keys"),
        ("trap", "it gave up on a defect of its own"),
    ] {
        let mut instance = instance(Grants::default()).await;
        let stopped = tokio::time::timeout(common::LONG, order(&mut instance, command)).await;
        let error = stopped.unwrap_or_else(|_| panic!("{command} goes on"));
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().starts_with("the component was stopped: "), "{command}: {error}");
        assert!(error.to_string().contains(reason), "{command}: {error}");
        assert!(instance.is_ended());
        let again = order(&mut instance, "folders").await;
        assert_eq!(again.to_string(), error.to_string(), "it is not called again");
    }
}

/// Another instance of the same engine is not stopped with the one that is late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_late_stops_alone() {
    let late = tokio::task::spawn_blocking(|| {
        tokio::runtime::Handle::current().block_on(async {
            let mut instance = instance(Grants::default()).await;
            order(&mut instance, "loop").await
        })
    });
    let mut patient = instance(Grants::default()).await;
    while !late.is_finished() {
        assert_eq!(order(&mut patient, "folders").await.to_string(), "");
        tokio::task::yield_now().await;
    }
    assert!(late.await.expect("no panic").to_string().contains("did not return"));
    assert!(!patient.is_ended());
}

#[test]
fn a_component_that_wants_more_is_not_instantiated() {
    let error = Plugin::from_bytes(&wants_environment(), &PluginOptions::default()).expect_err("not granted");
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("wasi:cli/environment"), "{error}");

    let error = Plugin::from_bytes(b"\0asm\x0d\0\x01\0", &PluginOptions::default()).expect_err("it is empty");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let error = Plugin::load("/nonexistent.wasm", &PluginOptions::default()).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// A component that imports an instance `wasi:cli/environment@0.2.0` with one function.
fn wants_environment() -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // Section 7, one type: an instance with a type (a function without parameters and results) that it exports.
    let instance = [&[0x42, 2, 0x01, 0x40, 0, 1, 0, 0x04, 0x00, 3][..], b"get", &[0x01, 0]].concat();
    section(&mut bytes, 7, &[&[1][..], &instance].concat());
    // Section 10, one import: the instance of that type.
    let name = b"wasi:cli/environment@0.2.0";
    let len = u8::try_from(name.len()).expect("a short name");
    section(&mut bytes, 10, &[&[1, 0x00, len][..], name, &[0x05, 0]].concat());
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.extend([id, u8::try_from(content.len()).expect("a short section")]);
    bytes.extend(content);
}

#[tokio::test]
async fn a_trap_leaves_a_resumable_upload() {
    let lab = Lab::start();
    lab.refuse_parts_after(3);
    let path = lab.file("trapped", 8 * MIB);
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let upload = start(&session, &path, "trapped", parts(MIB, 3)).await;
    for _ in 0..3 {
        await_notice(&mut notices, |told| matches!(told, Notice::PartStored { .. })).await;
    }
    session.stop();
    let error = wait(&upload).await.expect_err("the component has trapped");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Internal, Retry::Later(None)), "{error}");
    assert!(upload.is_resumable());
    assert!(session.status().await.is_err(), "the session ended with its component");
    lab.control.remove_faults(None);

    let session = lab.session(&client).await;
    let outcome = put(&session, &path, "trapped", parts(MIB, 3)).await.expect("it is stored");
    assert!(outcome.parts_reused >= 3, "{} reused", outcome.parts_reused);
    assert_eq!(lab.control.stats().created, 1);
    lab.assert_stored("trapped", &bytes("trapped", 8 * MIB));
}
