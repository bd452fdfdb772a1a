//! What a signature has to be, over the wire.

use crate::client::{BUCKET, Lab, Request};
use outlast_cloud::{ApiKey, Config};

const SIX: &str = "date (request-target) host content-length content-type x-content-sha256";

/// Sends a request that must be refused, and says why the log thinks it was.
fn refused(lab: &Lab, request: &Request) -> String {
    let answer = request.send();
    assert_eq!(answer.code(), (401, "NotAuthenticated".into()), "{answer:?}");
    let told = answer.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(told, "The required information to complete authentication was not provided.");
    lab.last_reason()
}

#[test]
fn the_usual_requests_pass() {
    let lab = Lab::new();
    assert_eq!(lab.get("/n").json(), "labns");
    assert_eq!(lab.get("/n/").json(), "labns");
    assert_eq!(lab.put(&format!("{BUCKET}/o/a%2Fb%20c"), "x").status, 200);
    assert_eq!(lab.put(&format!("{BUCKET}/o/a/b+d"), "x").status, 200);
    let names: Vec<_> = lab.control.objects().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["a/b c", "a/b+d"]);
    let order = "host x-date (request-target)";
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    assert_eq!(lab.request("GET", "/n").header("x-date", &date).signing(order).send().status, 200);
    assert_eq!(lab.control.stats().unauthenticated, 0);
}

#[test]
fn an_api_key_passes_once_registered() {
    let lab = Lab::new();
    let key = lab.control.api_key(&ApiKey::new("KEY", lab.dir.path())).unwrap();
    let pem = std::fs::read_to_string(&key.key_file).unwrap();
    let mut request = lab.request("GET", "/n");
    request.key_id = key.key_id.clone().unwrap();
    assert!(refused(&lab, &request).contains("does not verify"), "the key of another");
    let end = "-----END PRIVATE KEY-----\n";
    assert!(pem.ends_with("OCI_API_KEY"), "the label of the official tool");
    let pem = &pem[..pem.find(end).unwrap() + end.len()];
    request.key = rsa::pkcs8::DecodePrivateKey::from_pkcs8_pem(pem).unwrap();
    assert_eq!(request.send().status, 200);
    assert!(lab.control.distrust(&request.key_id));
    assert!(refused(&lab, &request).contains("no registered key"));
}

#[test]
fn what_must_be_signed_must_be_signed() {
    let lab = Lab::new();
    for names in ["date host", "date (request-target)", "(request-target) host"] {
        assert!(refused(&lab, &lab.request("GET", "/n").signing(names)).contains("signed"), "{names}");
    }
    for missing in ["content-length", "content-type", "x-content-sha256"] {
        let names = SIX.replace(&format!(" {missing}"), "");
        let request = lab.request("POST", &format!("{BUCKET}/u")).body("{}").signing(&names);
        assert_eq!(refused(&lab, &request), format!("{missing} is not signed"));
    }
    let request = lab.request("GET", "/n").signing("date (request-target) host x-more");
    assert_eq!(refused(&lab, &request), "x-more is signed but not sent");
}

#[test]
fn bodies_are_hashed_again() {
    let lab = Lab::new();
    let mut request = lab.request("POST", &format!("{BUCKET}/u")).body(r#"{"object":"a"}"#);
    let head = request.head();
    request.body = br#"{"object":"b"}"#.to_vec();
    let mut connection = lab.connect();
    connection.send(&[head, request.body.clone()].concat());
    assert_eq!(connection.answer(false).unwrap().status, 401);
    assert_eq!(lab.last_reason(), "x-content-sha256 is not the hash of the body");
    assert!(lab.control.uploads().is_empty());
}

#[test]
fn a_part_may_sign_its_body_and_then_has_to_be_right() {
    let lab = Lab::new();
    let target = format!("{BUCKET}/o/x");
    let mut request = lab.request("PUT", &target).body("right");
    request.sign_body = true;
    assert_eq!(request.send().status, 200);
    let head = request.head();
    let mut connection = lab.connect();
    connection.send(&[&head[..], b"wrong"].concat());
    assert_eq!(connection.answer(false).unwrap().status, 401);
    assert_eq!(lab.control.object_bytes("mybucket", "x").unwrap(), b"right");
}

#[test]
fn the_raw_target_is_what_is_signed() {
    let lab = Lab::new();
    for (signed, sent) in [
        ("/n/labns/b/mybucket/o/a%2Fb", "/n/labns/b/mybucket/o/a/b"),
        ("/n/labns/b/mybucket/o/a%2fb", "/n/labns/b/mybucket/o/a%2Fb"),
        ("/n", "//n"),
        ("/n", "/n?"),
    ] {
        let request = lab.request("GET", signed);
        let head = String::from_utf8(request.head()).unwrap().replacen(signed, sent, 1);
        let mut connection = lab.connect();
        connection.send(head.as_bytes());
        assert_eq!(connection.answer(false).unwrap().status, 401, "{signed} {sent}");
    }
}

#[test]
fn dates_are_near_and_in_one_form() {
    let lab = Lab::new();
    for shift in [-310_000, 310_000] {
        let mut request = lab.request("GET", "/n");
        request.date_ms += shift;
        assert!(refused(&lab, &request).contains("away from the clock"));
    }
    let asctime = lab.request("GET", "/n").header("date", "Sun Mar  1 12:00:00 2026");
    assert!(refused(&lab, &asctime).contains("not an RFC 1123 date"));
    lab.control.set_clock_shift_ms(400_000);
    let mut late = lab.request("GET", "/n");
    late.date_ms -= 400_000;
    assert!(refused(&lab, &late).contains("away from the clock"));
    assert_eq!(lab.get("/n").status, 200);
    let shown = httpdate::parse_http_date(lab.get("/n").get("date")).unwrap();
    let ahead = shown.duration_since(std::time::SystemTime::now()).unwrap();
    assert!((395..405).contains(&ahead.as_secs()), "{ahead:?}");
}

#[test]
fn the_vectors_pass_a_running_cloud() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../vectors/oci-signing-vectors.json")).unwrap();
    let lab = Lab::with(Config {
        namespace: "testns".into(),
        buckets: vec!["test-bucket".into()],
        ..Config::default()
    });
    lab.control.freeze_clock(Some(1_772_366_400_000));
    for vector in vectors["vectors"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        if text("name") == "x509_federation" {
            continue; // there is no such endpoint here; the unit tests verify its signature
        }
        lab.control
            .trust_pem(text("key_id"), vectors["test_key"]["public_key_pem"].as_str().unwrap())
            .unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", text("method"), text("request_target"));
        for (name, value) in vector["headers"].as_object().unwrap() {
            head.extend([name, ": ", value.as_str().unwrap(), "\r\n"]);
        }
        let body = text("body_utf8");
        if !head.contains("content-length") {
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        head.extend(["authorization: ", text("authorization"), "\r\n\r\n", body]);
        let mut connection = lab.connect();
        connection.send(head.as_bytes());
        let answer = connection.answer(text("method") == "HEAD").unwrap();
        // What is asked for does not exist, but for the namespace and what can be made.
        let wanted = match text("name") {
            "get_namespace_api_key" | "create_multipart_session_token" | "put_object_empty_api_key" => 200,
            "list_parts_session_token" => 400, // its page token is invented
            "session_refresh" => 401,          // a keyId registered by hand is no session
            _ => 404,
        };
        assert_eq!(answer.status, wanted, "{}: {answer:?} {}", text("name"), lab.last_reason());
    }
}
