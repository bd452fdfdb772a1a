//! Single objects and buckets over the wire.

use crate::client::{BUCKET, Lab};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

#[test]
fn an_object_comes_back_as_it_went() {
    let lab = Lab::new();
    let target = format!("{BUCKET}/o/dir/a%20b");
    let body = b"hello\n";
    let answer = lab
        .request("PUT", &target)
        .header("opc-meta-k1", "v1")
        .header("storage-tier", "Archive")
        .header("content-language", "de")
        .header("opc-checksum-algorithm", "CRC32C")
        .header("opc-client-request-id", "mine")
        .body(body)
        .send();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.get("opc-content-crc32c"), "NT3Yvg==");
    assert_eq!(answer.get("opc-client-request-id"), "mine");
    assert_eq!(answer.get("opc-request-id").len(), "phx-1:".len() + 64);
    let got = lab.get(&target);
    assert_eq!(got.body, body);
    for (name, value) in [
        ("content-md5", STANDARD.encode(Md5::digest(body))),
        ("opc-content-crc32c", "NT3Yvg==".into()),
        ("opc-meta-k1", "v1".into()),
        ("storage-tier", "Archive".into()),
        ("archival-state", "Archived".into()),
        ("content-language", "de".into()),
        ("content-type", "application/octet-stream".into()),
        ("etag", answer.get("etag").into()),
    ] {
        assert_eq!(got.get(name), value, "{name}");
    }
    assert_eq!(lab.delete(&target).status, 204);
    assert_eq!(lab.delete(&target).code(), (404, "ObjectNotFound".into()));
    let head = lab.request("HEAD", &target).send();
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[test]
fn ranges_and_conditions() {
    let lab = Lab::new();
    let target = format!("{BUCKET}/o/x");
    let etag = lab.put(&target, "0123456789").get("etag").to_owned();
    let get = |name: &str, value: &str| lab.request("GET", &target).header(name, value).send();
    let part = get("range", "bytes=2-4");
    assert_eq!(
        (part.status, part.body.as_slice(), part.get("content-range")),
        (206, &b"234"[..], "bytes 2-4/10")
    );
    assert_eq!(get("range", "bytes=-3").body, b"789");
    assert_eq!(get("range", "bytes=10-").status, 416);
    assert_eq!(get("if-none-match", &etag).status, 304);
    assert_eq!(get("if-match", &etag).status, 200);
    assert_eq!(get("if-match", "other").code(), (412, "IfMatchFailed".into()));
    assert_eq!(lab.get(&format!("{target}?versionId=none")).status, 404);
    let write = |name: &str, value: &str| lab.request("PUT", &target).header(name, value).body("new").send();
    assert_eq!(write("if-none-match", "*").code(), (412, "IfNoneMatchFailed".into()));
    assert_eq!(write("if-match", "other").code(), (412, "IfMatchFailed".into()));
    assert_eq!(write("if-match", &etag).status, 200);
    assert_eq!(lab.control.object_bytes("mybucket", "x").unwrap(), b"new");
}

#[test]
fn an_empty_object_is_an_object() {
    let lab = Lab::new();
    let target = format!("{BUCKET}/o/empty");
    assert_eq!(lab.put(&target, "").status, 200);
    let got = lab.get(&target);
    assert_eq!((got.status, got.body.len()), (200, 0));
    assert_eq!(got.get("content-md5"), "1B2M2Y8AsgTpgAmY7PhCfg==");
}

#[test]
fn wrong_words_about_an_object_are_refused() {
    let lab = Lab::new();
    let put = |name: &str, value: &str| {
        lab.request("PUT", &format!("{BUCKET}/o/x")).header(name, value).body("x").send()
    };
    assert_eq!(put("storage-tier", "standard").code(), (400, "InvalidStorageTier".into()));
    assert_eq!(put("opc-meta-long", &"x".repeat(4000)).code(), (400, "MetadataTooLarge".into()));
    let create = lab.post(&format!("{BUCKET}/u"), r#"{"object":"x","metadata":{"k":"v"}}"#);
    assert_eq!(create.code(), (400, "InvalidMetadata".into()));
    let create = lab.post(&format!("{BUCKET}/u"), r#"{"object":"x","metadata":{"opc-meta-a: b":"v"}}"#);
    assert_eq!(create.code(), (400, "InvalidMetadata".into()));
    let create = lab.post(&format!("{BUCKET}/u"), r#"{"object":"x","contentType":"a\r\nb: c"}"#);
    assert_eq!(create.code(), (400, "InvalidParameter".into()));
    let create = lab.post(&format!("{BUCKET}/u"), r#"{"object":"x","contenttype":"v"}"#);
    assert_eq!(create.code(), (400, "CannotParseRequest".into()));
    assert!(lab.control.objects().is_empty() && lab.control.uploads().is_empty());
}

#[test]
fn what_is_not_there_says_so() {
    let lab = Lab::new();
    assert_eq!(lab.get("/n/labns/b/other/o/x").code(), (404, "BucketNotFound".into()));
    assert_eq!(lab.get("/n/other/b/mybucket").code(), (404, "NamespaceNotFound".into()));
    assert_eq!(lab.get("/n/labns/b/mybucket/x").code(), (404, "NotAuthorizedOrNotFound".into()));
    assert_eq!(lab.get("/nowhere").code(), (404, "NotAuthorizedOrNotFound".into()));
    assert_eq!(lab.get("/n/labns/b/mybucket/o/%zz").status, 400);
    assert_eq!(lab.get("/n/labns/b/mybucket").json()["name"], "mybucket");
    assert_eq!(lab.request("HEAD", "/n/labns/b/mybucket").send().status, 200);
    lab.control.add_bucket("other");
    assert_eq!(lab.get("/n/labns/b/other").status, 200);
}

#[test]
fn objects_are_listed_by_prefix() {
    let lab = Lab::new();
    for name in ["a/1", "a/2", "b/1"] {
        lab.put(&format!("{BUCKET}/o/{name}"), "x");
    }
    let list = lab.get(&format!("{BUCKET}/o?prefix=a%2F&limit=1&fields=name")).json();
    assert_eq!(list["objects"][0]["name"], "a/1");
    assert_eq!(list["nextStartWith"], "a/2");
    assert_eq!(lab.get(&format!("{BUCKET}/o?start=a%2F2")).json()["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn an_unsigned_look_at_the_clock_is_answered() {
    let lab = Lab::new();
    let mut connection = lab.connect();
    connection.send(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = connection.answer(true).unwrap();
    assert_eq!(answer.status, 200);
    assert!(httpdate::parse_http_date(answer.get("date")).is_ok());
}
