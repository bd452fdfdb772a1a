//! Input that no honest client sends: answered or cut off, never a panic, and the cloud goes on.

use crate::client::{BUCKET, Connection, Lab};
use std::time::Duration;

/// Sends bytes, closes that side, and says the status of the answer, if any.
fn status(lab: &Lab, bytes: &[u8]) -> Option<u16> {
    let mut connection = lab.connect();
    connection.send(bytes);
    let _ = connection.stream.shutdown(std::net::Shutdown::Write);
    connection.answer(false).map(|answer| answer.status)
}

/// After whatever came before, an honest request is served.
fn alive(lab: &Lab) {
    assert_eq!(lab.get("/n").status, 200);
}

#[test]
fn garbage_is_answered_with_400() {
    let lab = Lab::new();
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /n\r\n\r\n",
        b"GET /n HTTP/9.9\r\n\r\n",
        b"GET /n HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /n HTTP/1.1\r\nhost: h\r\n : x\r\n\r\n",
        b"GET /n HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n",
        b"GET /n HTTP/1.1\nhost: h\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ] {
        let got = status(&lab, garbage);
        assert!(matches!(got, Some(400 | 505)), "{got:?} {:?}", String::from_utf8_lossy(garbage));
    }
    alive(&lab);
}

#[test]
fn lengths_are_numbers() {
    let lab = Lab::new();
    for length in
        ["-1", "+1", "1.0", "0x10", "", "18446744073709551616", "99999999999999999999999", "1,1", "1 1"]
    {
        let head = format!("PUT {BUCKET}/o/x HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
        assert_eq!(status(&lab, head.as_bytes()), Some(400), "{length:?}");
    }
    let twice = "PUT /x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n";
    assert_eq!(status(&lab, twice.as_bytes()), Some(400));
    alive(&lab);
}

#[test]
fn a_huge_claim_costs_nothing() {
    let lab = Lab::new();
    let request =
        |length: &str| lab.request("PUT", &format!("{BUCKET}/o/x")).header("content-length", length);
    let mut connection = lab.connect();
    connection.send(&request("9223372036854775807").head());
    assert_eq!(connection.answer(false).unwrap().status, 413);
    let mut connection = lab.connect();
    connection.send(&request("53687091200").head());
    connection.send(b"x");
    drop(connection);
    assert!(lab.control.wait(Duration::from_secs(5), |stats| stats.by_status.contains_key(&0)));
    assert!(lab.control.objects().is_empty());
    let post = lab.request("POST", &format!("{BUCKET}/u")).header("content-length", "1000000000");
    let mut connection = lab.connect();
    connection.send(&post.head());
    assert_eq!(connection.answer(false).unwrap().status, 413);
    alive(&lab);
}

#[test]
fn heads_have_a_limit() {
    let lab = Lab::new();
    let long_target = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(70_000));
    let long_header = format!("GET /n HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET /n HTTP/1.1\r\nhost: h\r\n{}\r\n", "a: b\r\n".repeat(500));
    let endless = format!("GET /n HTTP/1.1\r\nhost: h\r\nx: {}", "a".repeat(400_000));
    for head in [long_target, long_header, many, endless] {
        assert_eq!(status(&lab, head.as_bytes()), Some(431));
    }
    alive(&lab);
}

#[test]
fn partial_requests_leave_nothing_behind() {
    let lab = Lab::new();
    let whole = lab.request("PUT", &format!("{BUCKET}/o/x")).body("0123456789").bytes();
    for cut in (0..whole.len()).step_by(7) {
        assert_eq!(status(&lab, &whole[..cut]), None, "{cut} of {}", whole.len());
    }
    assert!(lab.control.objects().is_empty());
    alive(&lab);
}

#[test]
fn one_byte_at_a_time_is_slow_and_fine() {
    let lab = Lab::new();
    let mut connection = lab.connect();
    for byte in lab.request("PUT", &format!("{BUCKET}/o/x")).body("0123456789").bytes() {
        connection.send(&[byte]);
    }
    assert_eq!(connection.answer(false).unwrap().status, 200);
    assert_eq!(lab.control.object_bytes("mybucket", "x").unwrap(), b"0123456789");
}

#[test]
fn a_slow_head_is_given_up() {
    let lab = Lab::new();
    lab.control.change(|settings| settings.head_timeout = Duration::from_millis(150));
    let mut connection = lab.connect();
    for _ in 0..20 {
        connection.send(b"x-slow: 1\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(connection.answer(false).is_none_or(|answer| answer.status == 400));
    alive(&lab);
}

#[test]
fn spoilt_signatures_never_panic() {
    let lab = Lab::new();
    for value in [
        "Signature",
        "Signature =",
        "Signature version=\"1\"",
        "Signature version=\"1\",,,",
        "Signature version=\"1\",keyId=\"ST$\",algorithm=\"rsa-sha256\",headers=\"(request-target) host date\",signature=\"\"",
        "Signature version=\"1\",keyId=\"ST$..\",algorithm=\"rsa-sha256\",headers=\"(request-target) host date\",signature=\"AA==\"",
        "Basic dXNlcjpwYXNz",
        "\"\"\"\"",
    ] {
        let answer = lab.request("GET", "/n").header("authorization", value).send();
        assert_eq!(answer.status, 401, "{value}");
    }
    alive(&lab);
}

#[test]
fn noise_from_a_seed_never_panics() {
    let lab = Lab::new();
    let template = lab.request("PUT", &format!("{BUCKET}/o/x")).body("0123456789").bytes();
    let mut seed = 0x5eed_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..300 {
        let mut bytes = template.clone();
        for _ in 0..=random(8) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n: /%\0\xff"[random(8)]),
            }
        }
        status(&lab, &bytes);
    }
    alive(&lab);
}

#[test]
fn many_connections_at_once_are_served() {
    let lab = Lab::new();
    let idle: Vec<Connection> = (0..200).map(|_| lab.connect()).collect();
    alive(&lab);
    drop(idle);
    alive(&lab);
}
