//! Multipart uploads over the wire.

use crate::client::{BUCKET, Lab, part_target, upload_target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use outlast_cloud::{Checks, Config, Shows, Store};
use serde_json::json;
use sha2::Sha256;

fn etag(lab: &Lab, upload: &str, part: u32, body: &str) -> String {
    let answer = lab.put_part("o", upload, part, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.get("etag").to_owned()
}

fn md5(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn crc32c(bytes: &[u8]) -> String {
    STANDARD.encode(crc32c::crc32c(bytes).to_be_bytes())
}

#[test]
fn parts_become_an_object() {
    let lab = Lab::new();
    let answer = lab.post(
        &format!("{BUCKET}/u"),
        r#"{"object":"o","contentType":"text/plain","storageTier":"InfrequentAccess","cacheControl":"no-cache","metadata":{"opc-meta-K":"v"}}"#,
    );
    assert_eq!(answer.status, 200);
    assert!(answer.get("location").ends_with(answer.json()["uploadId"].as_str().unwrap()));
    assert_eq!(answer.json()["storageTier"], "InfrequentAccess");
    let upload = answer.json()["uploadId"].as_str().unwrap().to_owned();
    let first = lab.put_part("o", &upload, 7, "first ");
    assert_eq!(first.get("opc-content-md5"), md5(b"first "));
    assert_eq!(first.get("opc-content-crc32c"), "", "nobody asked");
    let second = lab.put_part("o", &upload, 9, "second");
    let answer = lab.commit("o", &upload, &[(9, second.get("etag")), (7, first.get("etag"))], &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.is_empty());
    let both = [Md5::digest(b"first "), Md5::digest(b"second")].concat();
    let multipart_md5 = format!("{}-2", md5(&both));
    assert_eq!(answer.get("opc-multipart-md5"), multipart_md5);
    assert!(!answer.get("version-id").is_empty() && !answer.get("last-modified").is_empty());

    let head = lab.request("HEAD", &format!("{BUCKET}/o/o")).send();
    for (name, value) in [
        ("content-length", "12"),
        ("content-type", "text/plain"),
        ("storage-tier", "InfrequentAccess"),
        ("cache-control", "no-cache"),
        ("opc-meta-k", "v"),
        ("opc-multipart-md5", multipart_md5.as_str()),
        ("content-md5", ""),
        ("opc-content-crc32c", ""),
        ("etag", answer.get("etag")),
    ] {
        assert_eq!(head.get(name), value, "{name}");
    }
    assert_eq!(lab.get(&format!("{BUCKET}/o/o")).body, b"first second");
    let again = lab.commit("o", &upload, &[(9, second.get("etag")), (7, first.get("etag"))], &[]);
    assert_eq!(again.code(), (404, "NoSuchUpload".into()), "a second commit");
}

#[test]
fn additional_checksums() {
    let lab = Lab::new();
    let (a, b) = ("hello ", "world");
    let upload = lab.create_with("o", &[("opc-checksum-algorithm", "CRC32C")]);
    let part = |number, body: &str| {
        let answer = lab
            .request("PUT", &part_target("o", &upload, number))
            .header("opc-checksum-algorithm", "CRC32C")
            .header("opc-content-crc32c", &crc32c(body.as_bytes()))
            .body(body)
            .send();
        assert_eq!(answer.get("opc-content-crc32c"), crc32c(body.as_bytes()));
        answer.get("etag").to_owned()
    };
    let (first, second) = (part(1, a), part(2, b));
    let answer = lab.commit("o", &upload, &[(1, &first), (2, &second)], &[]);
    assert_eq!(answer.get("opc-content-crc32c"), crc32c(b"hello world"), "of the whole object");
    assert_eq!(
        lab.request("HEAD", &format!("{BUCKET}/o/o")).send().get("opc-content-crc32c"),
        crc32c(b"hello world")
    );

    let upload = lab.create_with("o", &[("opc-checksum-algorithm", "SHA256")]);
    let answer = lab.put_part("o", &upload, 1, a);
    assert_eq!(
        answer.get("opc-content-sha256"),
        STANDARD.encode(Sha256::digest(a)),
        "named at create is enough"
    );
    let answer = lab.commit("o", &upload, &[(1, answer.get("etag"))], &[]);
    let over = STANDARD.encode(Sha256::digest(Sha256::digest(a)));
    assert_eq!(answer.get("opc-multipart-sha256"), format!("{over}-1"));

    let upload = lab.create_with("o", &[("opc-checksum-algorithm", "CRC32C")]);
    let mixed = lab
        .request("PUT", &part_target("o", &upload, 1))
        .header("opc-checksum-algorithm", "SHA256")
        .body("x");
    assert_eq!(mixed.send().status, 400);
    let unknown = lab
        .request("POST", &format!("{BUCKET}/u"))
        .header("opc-checksum-algorithm", "crc64")
        .body(r#"{"object":"o"}"#);
    assert_eq!(unknown.send().code(), (400, "InvalidParameter".into()));
}

#[test]
fn wrong_checksums_store_nothing() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let put = |headers: &[(&str, &str)]| {
        let mut request = lab.request("PUT", &part_target("o", &upload, 1)).body("x");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().code()
    };
    assert_eq!(put(&[("content-md5", &md5(b"y"))]), (400, "UnmatchedContentMD5".into()));
    assert_eq!(put(&[("content-md5", "short")]), (400, "InvalidContentMD5".into()));
    let crc = [("opc-checksum-algorithm", "CRC32C"), ("opc-content-crc32c", "AAAAAA==")];
    assert_eq!(put(&crc), (400, "UnmatchedContentCRC32C".into()));
    let sha = [("opc-checksum-algorithm", "SHA256"), ("opc-content-sha256", "AAAA")];
    assert_eq!(put(&sha), (400, "UnmatchedContentSHA256".into()));
    assert!(lab.control.uploads()[0].parts.is_empty());

    let idle =
        lab.request("PUT", &part_target("o", &upload, 1)).header("opc-content-crc32c", "AAAAAA==").body("x");
    assert_eq!(idle.send().status, 200, "without its algorithm the value does not count");
    assert!(lab.last_reason().contains("does not count"));
}

#[test]
fn a_part_sent_again_replaces_the_first() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let old = etag(&lab, &upload, 1, "old");
    let new = etag(&lab, &upload, 1, "new");
    assert_ne!(old, new);
    assert_eq!(lab.commit("o", &upload, &[(1, &old)], &[]).code(), (400, "InvalidUploadPart".into()));
    assert_eq!(lab.commit("o", &upload, &[(1, &new)], &[]).status, 200);
    assert_eq!(lab.control.object_bytes("mybucket", "o").unwrap(), b"new");
    assert_eq!(lab.control.stats().stored_by_part[&1], 2);
}

#[test]
fn every_part_is_in_exactly_one_list() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let (one, two) = (etag(&lab, &upload, 1, "1"), etag(&lab, &upload, 2, "2"));
    let refused = |parts: &[(u32, &str)], exclude: &[u32]| {
        assert_eq!(lab.commit("o", &upload, parts, exclude).code(), (400, "InvalidUploadPart".into()));
    };
    refused(&[], &[]);
    refused(&[], &[1, 2]);
    refused(&[(1, &one)], &[]);
    refused(&[(1, &one), (2, &one)], &[]);
    refused(&[(1, &one), (1, &one), (2, &two)], &[]);
    refused(&[(1, &one), (2, &two)], &[2]);
    refused(&[(1, &one), (2, &two)], &[3]);
    refused(&[(1, &one), (2, &two), (3, "x")], &[]);
    let target = upload_target("o", &upload);
    assert_eq!(lab.post(&target, "{").code(), (400, "CannotParseRequest".into()));
    assert_eq!(lab.post(&target, r#"{"partsToCommit":[{"partNumber":1,"etag":"x"}]}"#).status, 400);
    assert_eq!(lab.commit("o", &upload, &[(2, &two)], &[1]).status, 200);
    assert_eq!(lab.control.object_bytes("mybucket", "o").unwrap(), b"2");
}

#[test]
fn lists_come_in_pages() {
    let lab = Lab::with(Config::default());
    lab.control.change(|settings| settings.page_size = 2);
    let upload = lab.create("o");
    for part in 1..=5 {
        etag(&lab, &upload, part, "x");
    }
    let mut parts = Vec::new();
    let mut page = String::new();
    loop {
        let answer = lab.get(&format!("{}{page}", upload_target("o", &upload)));
        parts.extend(
            answer.json().as_array().unwrap().iter().map(|item| item["partNumber"].as_u64().unwrap()),
        );
        let next = answer.get("opc-next-page");
        if next.is_empty() {
            break;
        }
        let encoded = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
        page = format!("&limit=100&page={encoded}");
    }
    assert_eq!(parts, [1, 2, 3, 4, 5]);
    let item = &lab.get(&upload_target("o", &upload)).json()[0];
    assert_eq!(item["md5"], md5(b"x"));
    assert_eq!(item["size"], 1);
    assert_eq!(item.as_object().unwrap().len(), 4);

    let more = [lab.create("a"), lab.create("z"), lab.create("o")];
    let answer = lab.get(&format!("{BUCKET}/u"));
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    assert_eq!(answer.json()[0]["uploadId"], more[0].as_str());
    assert!(!answer.get("opc-next-page").is_empty());
    assert_eq!(lab.get(&format!("{BUCKET}/u?limit=none")).code(), (400, "InvalidLimit".into()));
    assert_eq!(lab.get(&format!("{BUCKET}/u?page=2")).code(), (400, "InvalidPage".into()));
}

#[test]
fn an_aborted_upload_is_gone() {
    let lab = Lab::new();
    let upload = lab.create("o");
    etag(&lab, &upload, 1, "x");
    assert_eq!(lab.delete(&upload_target("other", &upload)).status, 404, "of another object");
    assert_eq!(lab.delete(&upload_target("o", &upload)).status, 204);
    assert_eq!(lab.delete(&upload_target("o", &upload)).status, 404);
    assert_eq!(lab.put_part("o", &upload, 1, "x").status, 404);
    assert_eq!(lab.get(&upload_target("o", &upload)).status, 404);
    assert!(lab.control.uploads().is_empty());
    assert_eq!(lab.control.stats().aborted, 1);
}

#[test]
fn preconditions_hold_at_create_and_again_at_commit() {
    let lab = Lab::new();
    let create = |name: &str, value: &str| {
        lab.request("POST", &format!("{BUCKET}/u")).header(name, value).body(r#"{"object":"o"}"#).send()
    };
    let answer = create("if-none-match", "*");
    let upload = answer.json()["uploadId"].as_str().unwrap().to_owned();
    let one = etag(&lab, &upload, 1, "mine");
    lab.put(&format!("{BUCKET}/o/o"), "theirs");
    assert_eq!(create("if-none-match", "*").code(), (412, "IfNoneMatchFailed".into()));
    assert_eq!(create("if-none-match", "etag").code(), (400, "InvalidConditionalHeaders".into()));
    assert_eq!(create("if-match", "other").code(), (412, "IfMatchFailed".into()));
    assert_eq!(lab.commit("o", &upload, &[(1, &one)], &[]).code(), (412, "IfNoneMatchFailed".into()));
    assert_eq!(lab.control.object_bytes("mybucket", "o").unwrap(), b"theirs");
    lab.control.change(|settings| settings.preconditions_at_commit = false);
    assert_eq!(lab.commit("o", &upload, &[(1, &one)], &[]).status, 200);
}

#[test]
fn part_numbers_sizes_and_names_have_limits() {
    let lab = Lab::new();
    let upload = lab.create("o");
    for number in ["0", "10001", "-1", "x", "4294967296", ""] {
        let target = format!("{}&uploadPartNum={number}", upload_target("o", &upload));
        assert_eq!(lab.put(&target, "x").code(), (400, "InvalidUploadPartNumber".into()), "{number}");
    }
    assert_eq!(lab.put_part("o", &upload, 10_000, "x").status, 200);
    lab.control.change(|settings| settings.max_part_bytes = 3);
    assert_eq!(lab.put_part("o", &upload, 1, "four").code(), (413, "RequestEntityTooLarge".into()));
    let without = lab.put(&format!("{BUCKET}/u/o?uploadPartNum=1"), "x");
    assert_eq!(without.code(), (400, "MissingUploadId".into()));
    let typo = lab.put(&format!("{BUCKET}/u/o?uploadId={upload}&partNum=1"), "x");
    assert_eq!(typo.code(), (400, "InvalidParameter".into()));
    let long = json!({ "object": "x".repeat(1025) }).to_string();
    assert_eq!(lab.post(&format!("{BUCKET}/u"), &long).code(), (400, "InvalidObjectName".into()));
    lab.control.change(|settings| settings.min_part_bytes = 2);
    let one = lab.put_part("o", &upload, 1, "x").get("etag").to_owned();
    let last = lab.put_part("o", &upload, 10_000, "y").get("etag").to_owned();
    let short = lab.commit("o", &upload, &[(1, &one), (10_000, &last)], &[]);
    assert_eq!(short.code(), (400, "InvalidUploadPart".into()));
    assert_eq!(lab.commit("o", &upload, &[(10_000, &last)], &[1]).status, 200, "the last may be short");
}

#[test]
fn customer_keys_must_be_the_same_throughout() {
    let lab = Lab::new();
    let headers = |byte: u8| {
        let key = [byte; 32];
        [
            ("opc-sse-customer-algorithm", "AES256".to_owned()),
            ("opc-sse-customer-key", STANDARD.encode(key)),
            ("opc-sse-customer-key-sha256", STANDARD.encode(Sha256::digest(key))),
        ]
    };
    let (right, wrong) = (headers(1), headers(2));
    let borrowed: Vec<_> = right.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let upload = lab.create_with("o", &borrowed);
    let put = |headers: &[(&str, String)]| {
        let mut request = lab.request("PUT", &part_target("o", &upload, 1)).body("x");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send()
    };
    assert_eq!(put(&[]).status, 400);
    assert_eq!(put(&wrong).status, 400);
    assert_eq!(put(&right[..2]).status, 400);
    assert_eq!(put(&[right[0].clone(), right[1].clone(), wrong[2].clone()]).status, 400);
    let answer = put(&right);
    assert_eq!(lab.commit("o", &upload, &[(1, answer.get("etag"))], &[]).status, 200);
    let head = lab.request("HEAD", &format!("{BUCKET}/o/o"));
    assert_eq!(head.send().status, 400, "reading needs the key");
    let head = right.iter().fold(head, |head, (name, value)| head.header(name, value));
    assert_eq!(head.send().status, 200);
    assert!(
        !lab.control.log().iter().any(|entry| entry.headers.contains_key("opc-sse-customer-key")),
        "a secret"
    );
}

#[test]
fn a_sink_has_checksums_and_no_bytes() {
    let lab = Lab::with(Config { store: Store::Sink, ..Config::default() });
    let upload = lab.create_with("o", &[("opc-checksum-algorithm", "CRC32C")]);
    let body = vec![7_u8; 3 << 20];
    let first = lab.put_part("o", &upload, 1, &body);
    let second = lab.put_part("o", &upload, 2, b"end");
    let answer = lab.commit("o", &upload, &[(1, first.get("etag")), (2, second.get("etag"))], &[]);
    assert_eq!(answer.get("opc-content-crc32c"), crc32c(&[&body[..], b"end"].concat()));
    assert_eq!(lab.request("HEAD", &format!("{BUCKET}/o/o")).send().get("content-length"), "3145731");
    assert_eq!(lab.get(&format!("{BUCKET}/o/o")).status, 501);
    assert!(lab.control.object_bytes("mybucket", "o").is_err());

    lab.control.change(|settings| settings.checks = Checks::Crc32c);
    let upload = lab.create("p");
    assert_eq!(lab.put_part("p", &upload, 1, "x").get("opc-content-md5"), "");
    let asked =
        lab.request("PUT", &part_target("p", &upload, 1)).header("content-md5", &md5(b"x")).body("x").send();
    assert_eq!(asked.get("opc-content-md5"), md5(b"x"));
    lab.control.change(|settings| settings.checks = Checks::None);
    let nothing = lab
        .request("PUT", &part_target("p", &upload, 1))
        .header("content-md5", &md5(b"y"))
        .body(&body)
        .send();
    assert_eq!(nothing.status, 200, "nothing is compared");
    assert_eq!(lab.control.uploads()[0].parts[0].size, 3 << 20);
}

#[test]
fn a_disk_store_keeps_one_file_per_part() {
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let lab = Lab::with(Config { store: Store::Disk(dir.path().join("store")), ..Config::default() });
    let store = dir.path().join("store");
    let stored = || std::fs::read_dir(&store).unwrap().count();
    assert_eq!(files(), 1);
    let upload = lab.create("o");
    let old = etag(&lab, &upload, 1, "old");
    let new = etag(&lab, &upload, 1, "new ");
    assert_ne!(old, new);
    let end = etag(&lab, &upload, 2, "end");
    assert_eq!(stored(), 2, "the replaced part's file is gone");
    assert_eq!(lab.commit("o", &upload, &[(1, &new), (2, &end)], &[]).status, 200);
    assert_eq!(lab.get(&format!("{BUCKET}/o/o")).body, b"new end");
    let middle = lab.request("GET", &format!("{BUCKET}/o/o")).header("range", "bytes=2-5").send();
    assert_eq!(middle.body, b"w en");
    assert_eq!(lab.delete(&format!("{BUCKET}/o/o")).status, 204);
    assert_eq!(stored(), 0);
}

#[test]
fn stored_parts_can_be_damaged_afterwards() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let one = etag(&lab, &upload, 1, "good");
    lab.control.corrupt_part(&upload, 1, Shows::AtCommit).unwrap();
    assert_eq!(lab.get(&upload_target("o", &upload)).json()[0]["md5"], md5(b"good"), "the list lies");
    let answer = lab.commit("o", &upload, &[(1, &one)], &[]);
    assert_eq!(answer.get("opc-multipart-md5"), format!("{}-1", md5(&Md5::digest(b"food"))));
    assert_eq!(lab.control.object_bytes("mybucket", "o").unwrap(), b"food");
    assert!(lab.control.corrupt_part(&upload, 1, Shows::Always).is_err());
}
