//! The signing vectors of the official signer: each verifies, and no single bit of what is signed can change.

use super::signature::{Authorization, BODY_SET, HEAD_SET, check_body};
use crate::clock::parse_http_date;
use crate::http::head::Head;
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../../vectors/oci-signing-vectors.json");

/// Instance principals sign `host` nowhere.
const FEDERATION_SET: &[&str] = &["(request-target)", "content-length", "content-type", "x-content-sha256"];

#[derive(Deserialize)]
struct File {
    date: String,
    test_key: TestKey,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct TestKey {
    public_key_pem: String,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    request_target: String,
    body_utf8: String,
    signed_headers: String,
    headers: BTreeMap<String, String>,
    key_id: String,
    signing_string: String,
    authorization: String,
}

struct Judge {
    key: RsaPublicKey,
    now: i64,
}

impl Judge {
    fn new(file: &File) -> Self {
        let key = RsaPublicKey::from_public_key_pem(&file.test_key.public_key_pem).unwrap();
        Self { key, now: parse_http_date(&file.date).unwrap() }
    }

    /// The whole of what the server checks, but for where the key comes from.
    fn accept(&self, vector: &Vector, head: &[u8], body: &[u8]) -> Result<(), String> {
        let parsed = Head::parse(head).map_err(|bad| bad.reason.to_owned())?;
        let whole = parsed.filter(|(_, used)| *used == head.len());
        let (head, _) = whole.ok_or("the head ends early or late")?;
        let authorization = Authorization::parse(head.get("authorization").ok_or("no authorization")?)?;
        let required = vector.required();
        authorization.check_scope(&head, required, self.now, 300_000)?;
        if authorization.key_id != vector.key_id {
            return Err("unknown key".into());
        }
        if required.len() > HEAD_SET.len() {
            check_body(&head, body)?;
        }
        authorization.verify(&head, &self.key)
    }
}

impl Vector {
    fn required(&self) -> &'static [&'static str] {
        match self.signed_headers.split(' ').count() {
            3 => HEAD_SET,
            5 => FEDERATION_SET,
            _ => BODY_SET,
        }
    }
}

/// The request as it would arrive, reduced to what is signed.
fn head_of(vector: &Vector) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", vector.method, vector.request_target);
    for (name, value) in &vector.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if !vector.headers.contains_key("host") {
        text.push_str("host: unsigned\r\n");
    }
    text.extend(["authorization: ", &vector.authorization, "\r\n\r\n"]);
    text.into_bytes()
}

fn file() -> File {
    serde_json::from_str(FILE).unwrap()
}

#[test]
fn the_ten_vectors_verify() {
    let file = file();
    let judge = Judge::new(&file);
    assert_eq!(file.vectors.len(), 10);
    for vector in &file.vectors {
        let head = head_of(vector);
        let (parsed, _) = Head::parse(&head).unwrap().unwrap();
        let authorization = Authorization::parse(&vector.authorization).unwrap();
        assert_eq!(authorization.signing_string(&parsed).unwrap(), vector.signing_string, "{}", vector.name);
        judge.accept(vector, &head, vector.body_utf8.as_bytes()).unwrap();
    }
}

#[test]
fn a_late_or_early_date_fails() {
    let file = file();
    for (shift, good) in [(-300_000, true), (300_000, true), (-301_000, false), (301_000, false)] {
        let mut judge = Judge::new(&file);
        judge.now += shift;
        let vector = &file.vectors[0];
        assert_eq!(judge.accept(vector, &head_of(vector), b"").is_ok(), good, "{shift}");
    }
}

/// Flips every bit of one vector's head and, where it is signed, of its body.
fn every_bit(index: usize) {
    let file = file();
    let judge = Judge::new(&file);
    let vector = &file.vectors[index];
    let (head, body) = (head_of(vector), vector.body_utf8.as_bytes().to_vec());
    let unsigned_host = find(&head, b"host: unsigned\r\n").map(|at| at..at + b"host: unsigned\r\n".len());
    let names = name_bytes(&head);
    for bit in 0..head.len() * 8 {
        let (at, mask) = (bit / 8, 1_u8 << (bit % 8));
        let case_of_a_name = mask == 0x20 && names.contains(&at);
        if case_of_a_name || unsigned_host.as_ref().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let mut changed = head.clone();
        changed[at] ^= mask;
        let accepted = judge.accept(vector, &changed, &body).is_ok();
        assert!(!accepted, "{}: bit {bit}: {}", vector.name, String::from_utf8_lossy(&changed));
    }
    if vector.required().len() > HEAD_SET.len() {
        for bit in 0..body.len() * 8 {
            let mut changed = body.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(judge.accept(vector, &head, &changed).is_err(), "{}: body bit {bit}", vector.name);
        }
    }
}

/// Positions of letters in header names, where only the case may change.
fn name_bytes(head: &[u8]) -> Vec<usize> {
    let mut positions = Vec::new();
    let mut start = find(head, b"\r\n").unwrap() + 2;
    while let Some(end) = find(&head[start..], b"\r\n").filter(|length| *length > 0) {
        let colon = find(&head[start..], b":").unwrap();
        positions.extend((start..start + colon).filter(|at| head[*at].is_ascii_alphabetic()));
        start += end + 2;
    }
    positions
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

macro_rules! every_bit_counts {
    ($($name:ident: $index:literal),* $(,)?) => { $(#[test] fn $name() { every_bit($index); })* };
}

every_bit_counts! {
    every_bit_of_vector_0_counts: 0,
    every_bit_of_vector_1_counts: 1,
    every_bit_of_vector_2_counts: 2,
    every_bit_of_vector_3_counts: 3,
    every_bit_of_vector_4_counts: 4,
    every_bit_of_vector_5_counts: 5,
    every_bit_of_vector_6_counts: 6,
    every_bit_of_vector_7_counts: 7,
    every_bit_of_vector_8_counts: 8,
    every_bit_of_vector_9_counts: 9,
}
