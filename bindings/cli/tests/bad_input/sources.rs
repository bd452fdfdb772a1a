//! Files, names and what describes an object.

use std::os::unix::net::UnixListener;
use std::process::Command;

use super::{Case, Lab, SESSION, case, put, words};
use crate::common::bytes;

fn put_file(lab: &Lab, path: &str, more: &[&str]) -> Command {
    lab.put(SESSION, path.as_ref(), more)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a file that does not exist", |lab| put_file(lab, "missing.bin", &[])),
        case("a directory", |lab| put_file(lab, ".oci", &[])),
        case("a socket", |lab| {
            UnixListener::bind(lab.path("socket")).expect("the directory is ours");
            put_file(lab, "socket", &[])
        }),
        case("stdin without `--name`", |lab| put_file(lab, "-", &[])),
        case("stdin with `--no-multipart`", |lab| put_file(lab, "-", &["--name", "n", "--no-multipart"])),
        case("an object name that is empty", |lab| put(lab, &["--name", ""])),
        case("an object name with a line feed", |lab| put(lab, &["--name", "a\nb"])),
        case("an object called `..`", |lab| put(lab, &["--name", ".."])),
        case("an object name of 1025 bytes", |lab| put(lab, &["--name", &"n".repeat(1025)])),
        case("metadata that is no JSON", |lab| put(lab, &["--metadata", "colour=blue"])),
        case("metadata that is a list", |lab| put(lab, &["--metadata", "[1]"])),
        case("a metadata value that is a number", |lab| put(lab, &["--metadata", r#"{"size": 1}"#])),
        case("a metadata name with a space", |lab| put(lab, &["--metadata", r#"{"my colour": "blue"}"#])),
        case("a metadata value with a line feed", |lab| put(lab, &["--metadata", r#"{"c": "a\nb"}"#])),
        case("metadata in a file that does not exist", |lab| put(lab, &["--metadata", "file://none.json"])),
        case("`--from-json` of a file that does not exist", |lab| {
            put(lab, &["--from-json", "file://none.json"])
        }),
        case("`--from-json` with an unknown key", |lab| put(lab, &["--from-json", r#"{"colour": "blue"}"#])),
        case("`--from-json` with a list where a text belongs", |lab| {
            put(lab, &["--from-json", r#"{"contentType": []}"#])
        }),
        case("`--content-md5` that is no MD5", |lab| put(lab, &["--content-md5", "hello"])),
        case("`--opc-content-sha256` with `--opc-checksum-algorithm CRC32C`", |lab| {
            put(lab, &["--opc-content-sha256", "x", "--opc-checksum-algorithm", "CRC32C"])
        }),
        case("two checksums of the whole file", |lab| {
            put(lab, &["--opc-content-sha256", "x", "--opc-content-crc32c", "y"])
        }),
        case("a content type with a line feed", |lab| put(lab, &["--content-type", "text/plain\nx: y"])),
        case("an encryption key file that does not exist", |lab| {
            put(lab, &["--encryption-key-file", "none"])
        }),
        case("an encryption key that is too short", |lab| {
            lab.file("key", "aHVudGVyMg==");
            put(lab, &["--encryption-key-file", "key"])
        }),
        case("a customer key and a KMS key", |lab| {
            lab.file("key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            put(lab, &["--encryption-key-file", "key", "--opc-sse-kms-key-id", "ocid1.key.oc1..x"])
        }),
        case("an events file in a directory that does not exist", |lab| {
            put(lab, &["--events", "none/events"])
        }),
        case("a state directory that is a file", |lab| {
            lab.file("state", "");
            let file = lab.file("large.bin", bytes(3 << 20));
            lab.put(SESSION, &file, &["--part-size", "1"])
        }),
        case("an object that exists, and nobody to ask", |lab| {
            let mut first = put(lab, &["--force"]);
            assert!(first.output().expect("the binary runs").status.success());
            put(lab, &[])
        }),
        case("`--if-match` of another etag", |lab| put(lab, &["--if-match", "other"])),
        case("`--if-match` where nothing is", |lab| put(lab, &["--if-match", "other", "--name", "nothing"])),
        case("a demonstration with a file that is too small", |lab| {
            lab.file("small", "x");
            words(lab, &["demo", "--file", "small"])
        }),
        case("a demonstration whose picture cannot be written", |lab| {
            words(lab, &["demo", "--svg", "none/x.svg"])
        }),
    ]
}
