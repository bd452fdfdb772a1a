//! Flags and values.

use super::{Case, case, put, put_with, way, words};
use crate::common::SESSION;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("no command", |lab| words(lab, &[])),
        case("`outlast putt`", |lab| words(lab, &["putt"])),
        case("`outlast session`", |lab| words(lab, &["session"])),
        case("`outlast os object get`", |lab| words(lab, &["os", "object", "get"])),
        case("a misspelt flag", |lab| put(lab, &["--part-sise", "5"])),
        case("a word too many", |lab| put(lab, &["more"])),
        case("no `--bucket-name`", |lab| {
            put_with(lab, &["--profile", "LAB", "--endpoint", &lab.cloud.endpoint()])
        }),
        case("no `--file`", |lab| words(lab, &["put", "-bn", "b"])),
        case("a flag without its value", |lab| put(lab, &["--part-size"])),
        case("a switch with a value", |lab| put(lab, &["--force=yes"])),
        case("`--part-size 0`", |lab| put(lab, &["--part-size", "0"])),
        case("`--part-size 5M`", |lab| put(lab, &["--part-size", "5M"])),
        case("`--part-size 51201`, above 50 GiB", |lab| put(lab, &["--part-size", "51201"])),
        case("`--parallel-upload-count 0`", |lab| put(lab, &["--parallel-upload-count", "0"])),
        case("`--parallel-upload-count 1001`", |lab| put(lab, &["--parallel-upload-count", "1001"])),
        case("`--part-size` with `--no-multipart`", |lab| put(lab, &["--part-size", "5", "--no-multipart"])),
        case("`--parallel-upload-count` with `--disable-parallel-uploads`", |lab| {
            put(lab, &["--parallel-upload-count", "2", "--disable-parallel-uploads"])
        }),
        case("`--force` with `--no-overwrite`", |lab| put(lab, &["--force", "--no-overwrite"])),
        case("`--no-retry` with `--max-retries`", |lab| put(lab, &["--no-retry", "--max-retries", "3"])),
        case("`--verify-checksum` with `--integrity off`", |lab| {
            put(lab, &["--verify-checksum", "--integrity", "off"])
        }),
        case("a bucket name with a space", |lab| put(lab, &["-bn", "my bucket"])),
        case("a namespace with a slash", |lab| put(lab, &["-ns", "a/b"])),
        case("`--storage-tier cold`", |lab| put(lab, &["--storage-tier", "cold"])),
        case("`--opc-checksum-algorithm MD4`", |lab| put(lab, &["--opc-checksum-algorithm", "MD4"])),
        case("`--limit-rate 4X`", |lab| put(lab, &["--limit-rate", "4X"])),
        case("`--wait-for-login soon`", |lab| put(lab, &["--wait-for-login", "soon"])),
        case("`--mint-session 90`", |lab| put(lab, &["--mint-session", "90"])),
        case("`--read-timeout 0`", |lab| put(lab, &["--read-timeout", "0"])),
        case("`--output yaml`", |lab| put(lab, &["--output", "yaml"])),
        case("a query that is no JMESPath", |lab| put(lab, &["--query", "etag["])),
        case("`uploads abort` without saying which", |lab| words(lab, &["uploads", "abort", "--force"])),
        case("`uploads abort` of an unknown upload", |lab| {
            let way = way(lab, SESSION);
            let mut command = words(lab, &["uploads", "abort", "--upload-id", "none", "--force"]);
            command.args(way);
            command
        }),
        case("`completions tcsh`", |lab| words(lab, &["completions", "tcsh"])),
        case("`demo --seconds 1`", |lab| words(lab, &["demo", "--seconds", "1"])),
        case("`cloud --listen 0.0.0.0`", |lab| words(lab, &["cloud", "--listen", "0.0.0.0"])),
    ]
}
