//! `outlast put` where all goes well.

mod common;

use std::process::Stdio;

use common::{BUCKET, KEY, Lab, SESSION, bytes, run, run_with_stdin};
use outlast_cloud::{Config, Op};

const MIB: usize = 1 << 20;

#[test]
fn a_small_file_is_one_request() {
    let lab = Lab::new();
    let content = bytes(100_000);
    let file = lab.file("small.txt", &content);
    let ended = run(&mut lab.put(SESSION, &file, &["--content-type", "auto", "--storage-tier", "archive"]));
    let result = ended.json();
    let keys: Vec<&String> = result.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["etag", "last-modified", "opc-content-crc32c", "opc-content-md5"]);
    assert_eq!(lab.object("small.txt"), content);
    let object = lab.control().object(BUCKET, "small.txt").expect("stored");
    assert_eq!((object.parts, object.content_type.as_deref()), (0, Some("text/plain")));
    assert_eq!(object.storage_tier, "Archive");
    assert!(ended.stderr.contains("in one request"), "{ended:?}");
}

#[test]
fn a_large_file_is_sent_in_parts_and_its_checksum_shown() {
    let lab = Lab::new();
    let content = bytes(5 * MIB + 17);
    let file = lab.file("large", &content);
    let flags =
        ["--part-size", "1", "--parallel-upload-count", "3", "--verify-checksum", "--name", "dir one/ü.bin"];
    let ended = run(&mut lab.put(SESSION, &file, &flags));
    let result = ended.json();
    assert!(result["opc-multipart-md5"].as_str().is_some_and(|sum| sum.ends_with("-6")), "{result}");
    assert_eq!(lab.object("dir one/ü.bin"), content);
    let sum = result["opc-content-crc32c"].as_str().expect("the cloud tells it");
    assert!(ended.stderr.contains(&format!("crc32c checksum matches [Local: {sum}]")), "{ended:?}");
    assert!(ended.stderr.lines().any(|line| line.starts_with("Upload ID: ")), "{ended:?}");
    assert!(lab.control().stats().max_parts_in_flight <= 3);
    assert!(lab.control().uploads().is_empty());
    let journals = std::fs::read_dir(lab.path("state/uploads")).expect("the state directory").count();
    assert_eq!(journals, 0, "nothing is left to resume");
}

#[test]
fn empty_files_are_stored() {
    let lab = Lab::new();
    let file = lab.file("empty", "");
    run(&mut lab.put(SESSION, &file, &["--part-size", "1"])).json();
    assert_eq!(lab.object("empty"), b"");
}

#[test]
fn stdin_is_a_stream() {
    let lab = Lab::new();
    for (size, parts) in [(0, 0), (300_000, 0), (3 * MIB + 5, 4)] {
        let name = format!("stream {size}");
        let content = bytes(size);
        let mut command = lab.put(SESSION, "-".as_ref(), &["--name", &name, "--part-size", "1"]);
        let ended = run_with_stdin(&mut command, &content);
        ended.json();
        assert_eq!(lab.object(&name), content);
        assert_eq!(lab.control().object(BUCKET, &name).expect("stored").parts, parts);
    }
}

#[test]
fn metadata_and_headers_go_both_ways() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(2 * MIB));
    let metadata = lab.file("meta.json", r#"{"Colour": "blue", "opc-meta-size": "ü"}"#);
    let metadata = format!("file://{}", metadata.display());
    for (name, part) in [("single", "8"), ("parts", "1")] {
        let flags =
            ["--name", name, "--part-size", part, "--metadata", &metadata, "--cache-control", "no-store"];
        let flags = if part == "8" {
            [&flags[..5], &[r#"{"Colour": "blue"}"#], &flags[6..]].concat()
        } else {
            flags.to_vec()
        };
        run(&mut lab.put(SESSION, &file, &flags)).json();
        let object = lab.control().object(BUCKET, name).expect("stored");
        assert_eq!(object.metadata.get("opc-meta-colour").map(String::as_str), Some("blue"));
    }
}

#[test]
fn what_exists_is_left_alone_unless_forced() {
    let lab = Lab::new();
    let first = lab.file("f", "first");
    let etag = run(&mut lab.put(SESSION, &first, &["--query", "etag", "--raw-output"]));
    assert_eq!(etag.code, 0, "{etag:?}");
    let etag = etag.stdout.trim().to_owned();
    let second = lab.file("f", "second");

    let kept = run(&mut lab.put(SESSION, &second, &["--no-overwrite"]));
    assert_eq!((kept.code, kept.stdout.as_str()), (0, ""));
    assert!(kept.stderr.contains("The object already exists and was not overwritten"), "{kept:?}");

    let asked = run(&mut lab.put(SESSION, &second, &[]));
    assert!(asked.line(1).contains("--force"), "{asked:?}");

    let other = run(&mut lab.put(SESSION, &second, &["--force", "--if-match", "other"]));
    assert_eq!(other.code, 1, "{other:?}");
    assert_eq!(lab.object("f"), b"first");

    run(&mut lab.put(SESSION, &second, &["--force", "--if-match", &etag])).json();
    assert_eq!(lab.object("f"), b"second");
}

#[test]
fn an_object_that_appears_in_the_meantime_is_not_replaced() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(3 * MIB));
    let other = lab.file("other", "other");
    let mut first = common::Running::start(&mut lab.put(
        SESSION,
        &file,
        &["--part-size", "1", "--limit-rate", "2M", "--no-overwrite", "--events", "-"],
    ));
    first.wait_for(|event| event["event"] == "part-started");
    run(&mut lab.put(SESSION, &other, &["--name", "f", "--force", "--state-dir", "elsewhere"]));
    let ended = first.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("was not overwritten"), "{ended:?}");
    assert_eq!(lab.object("f"), b"other");
    assert!(lab.control().uploads().is_empty(), "what was stored in vain is aborted");
}

#[test]
fn api_keys_sign_and_mint() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(2 * MIB));
    run(&mut lab.put(KEY, &file, &["--auth", "api_key", "--part-size", "1"])).json();
    run(&mut lab.put(KEY, &file, &["--mint-session", "5", "--part-size", "1", "--name", "minted"])).json();
    let stats = lab.control().stats();
    assert_eq!(stats.by_op.get(&Op::GenerateUpst), Some(&1));
    assert_eq!(lab.object("f"), lab.object("minted"));
}

#[test]
fn tokens_end_while_parts_are_sent() {
    let lab = Lab::with(Config::default().token_life_s(4));
    let file = lab.file("f", bytes(12 * MIB));
    lab.sign_in();
    let flags = ["--part-size", "1", "--parallel-upload-count", "4", "--limit-rate", "2M", "--events", "-"];
    let ended = run(&mut lab.put(SESSION, &file, &flags));
    ended.json();
    assert_eq!(lab.object("f"), bytes(12 * MIB));
    let refreshed = ended.events().iter().filter(|event| event["how"] == "exchanged").count();
    assert!(refreshed >= 2, "{ended:?}");
    let finished = ended.events().into_iter().find(|event| event["event"] == "finished").expect("an end");
    assert_eq!((&finished["ok"], &finished["retries"]), (&true.into(), &0.into()));
    assert_eq!(ended.events().last().expect("events")["event"], "exit");
    assert_eq!(lab.control().stats().max_refreshes_in_flight, 1);
}

#[test]
fn the_official_command_line_is_understood() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(100));
    let mut command = lab.outlast();
    command.args(["--auth", "security_token"]).args(lab.way(SESSION)).args(["os", "object", "put"]);
    command.args(["-ns", "labns", "-bn", BUCKET, "--file"]).arg(&file);
    command.args(["--storage-tier", "Archive", "--no-overwrite", "--part-size", "128"]);
    command.args(["--parallel-upload-count", "15", "--verify-checksum"]);
    run(&mut command).json();
    assert_eq!(lab.object("f"), bytes(100));
}

#[test]
fn values_come_from_json_and_from_the_file_of_defaults() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(2 * MIB));
    let json = lab
        .file("put.json", format!(r#"{{"name": "by json", "partSize": 1, "file": "{}"}}"#, file.display()));
    lab.file(
        ".oci/oci_cli_rc",
        format!("[{SESSION}]\nos.object.put.bucket-name={BUCKET}\nnamespace=labns\n"),
    );
    let mut command = lab.outlast();
    command.arg("put").args(lab.way(SESSION)).arg("--from-json").arg(format!("file://{}", json.display()));
    run(&mut command).json();
    assert_eq!(lab.control().object(BUCKET, "by json").expect("stored").parts, 2);
    assert_eq!(lab.control().stats().by_op.get(&Op::GetNamespace), None);
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let lab = Lab::new();
    let file = lab.file("f", "x");
    let mut child =
        lab.put(SESSION, &file, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let ended = common::ended(&child.wait_with_output().expect("ends"));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stderr.contains("outlast: "), "{ended:?}");
}

#[test]
fn requests_carry_the_callers_id_and_debug_tells_them_without_secrets() {
    let lab = Lab::new();
    let file = lab.file("f", bytes(2 * MIB));
    let flags = ["--part-size", "1", "--request-id", "night-7", "--debug"];
    let ended = run(&mut lab.put(SESSION, &file, &flags));
    ended.json();
    let log = lab.control().log();
    assert!(
        log.iter().all(|entry| entry.headers.get("opc-client-request-id").is_some_and(|id| id == "night-7"))
    );
    let told = ended.stderr.lines().filter(|line| line.starts_with("debug: ")).count();
    assert!(told >= log.len(), "{ended:?}");
    let token = std::fs::read_to_string(lab.path(".oci/sessions/LAB/token")).expect("a token");
    assert!(!ended.stderr.contains(&token[..40]), "{ended:?}");
}
