//! A raw HTTP client that signs like the official ones, and a cloud with somebody signed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outlast_cloud::{Cloud, Config, Control, Login, Profile};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use sha2::{Digest as _, Sha256};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

pub(crate) const BUCKET: &str = "/n/labns/b/mybucket";
const VECTORS: &str = include_str!("../../../vectors/oci-signing-vectors.json");

/// The throwaway key of the vectors: making a new one for every test would take longer than the tests.
pub(crate) fn key_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        vectors["test_key"]["private_key_pkcs8_pem"].as_str().unwrap().to_owned()
    })
}

/// A cloud, a profile, and the means to sign as it.
pub(crate) struct Lab {
    pub(crate) cloud: Cloud,
    pub(crate) control: Control,
    pub(crate) profile: Profile,
    pub(crate) token: String,
    pub(crate) dir: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let cloud = Cloud::start(config).unwrap();
        let (control, dir) = (cloud.control(), tempfile::tempdir().unwrap());
        let profile = control.login(&Login::new("LAB", dir.path()).key_pem(key_pem())).unwrap();
        let token = std::fs::read_to_string(profile.token_file.as_ref().unwrap()).unwrap();
        Self { cloud, control, profile, token, dir }
    }

    pub(crate) fn address(&self) -> String {
        self.cloud.endpoint().trim_start_matches("http://").to_owned()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::new(&self.address())
    }

    /// A request signed with the session token, ready to be spoilt.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request {
            address: self.address(),
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            key_id: format!("ST${}", self.token),
            key: RsaPrivateKey::from_pkcs8_pem(key_pem()).unwrap(),
            date_ms: self.control.now_ms(),
            sign_body: method == "POST",
            signed: None,
        }
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.request("GET", target).send()
    }

    pub(crate) fn post(&self, target: &str, json: &str) -> Answer {
        self.request("POST", target).body(json).send()
    }

    pub(crate) fn put(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request("PUT", target).body(body).send()
    }

    pub(crate) fn delete(&self, target: &str) -> Answer {
        self.request("DELETE", target).send()
    }

    /// Creates an upload and says its id.
    pub(crate) fn create(&self, object: &str) -> String {
        self.create_with(object, &[])
    }

    pub(crate) fn create_with(&self, object: &str, headers: &[(&str, &str)]) -> String {
        let body = serde_json::json!({ "object": object }).to_string();
        let mut request = self.request("POST", &format!("{BUCKET}/u")).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["uploadId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn put_part(&self, object: &str, upload: &str, part: u32, body: impl AsRef<[u8]>) -> Answer {
        self.put(&part_target(object, upload, part), body)
    }

    pub(crate) fn commit(
        &self,
        object: &str,
        upload: &str,
        parts: &[(u32, &str)],
        exclude: &[u32],
    ) -> Answer {
        let parts: Vec<_> =
            parts.iter().map(|(n, etag)| serde_json::json!({ "partNum": n, "etag": etag })).collect();
        let body = serde_json::json!({ "partsToCommit": parts, "partsToExclude": exclude });
        self.post(&upload_target(object, upload), &body.to_string())
    }

    /// The reason the log gives for the latest request.
    pub(crate) fn last_reason(&self) -> String {
        self.control.log().last().and_then(|entry| entry.reason.clone()).unwrap_or_default()
    }
}

pub(crate) fn upload_target(object: &str, upload: &str) -> String {
    format!("{BUCKET}/u/{object}?uploadId={upload}")
}

pub(crate) fn part_target(object: &str, upload: &str, part: u32) -> String {
    format!("{}&uploadPartNum={part}", upload_target(object, upload))
}

pub(crate) struct Request {
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) key: RsaPrivateKey,
    pub(crate) date_ms: i64,
    pub(crate) sign_body: bool,
    /// Names to sign instead of the usual ones.
    pub(crate) signed: Option<Vec<String>>,
}

impl Request {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn signing(mut self, names: &str) -> Self {
        self.signed = Some(names.split(' ').map(str::to_owned).collect());
        self
    }

    /// Head and body as they go out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.date_ms).unwrap());
        let mut headers = vec![
            ("date".to_owned(), httpdate::fmt_http_date(date)),
            ("host".to_owned(), self.address.clone()),
        ];
        let mut names = vec!["date", "(request-target)", "host"];
        if self.sign_body {
            names.extend(["content-length", "content-type", "x-content-sha256"]);
            headers.push(("x-content-sha256".into(), STANDARD.encode(Sha256::digest(&self.body))));
        }
        if self.sign_body || self.method == "PUT" {
            let kind = if self.sign_body { "application/json" } else { "application/octet-stream" };
            headers.push(("content-type".into(), kind.into()));
            headers.push(("content-length".into(), self.body.len().to_string()));
        }
        for (name, value) in &self.headers {
            headers.retain(|(known, _)| known != name);
            headers.push((name.clone(), value.clone()));
        }
        let names: Vec<String> =
            self.signed.clone().unwrap_or_else(|| names.into_iter().map(str::to_owned).collect());
        let value = |name: &str| {
            headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
        };
        let line = |name: &String| {
            if name == "(request-target)" {
                format!("{name}: {} {}", self.method.to_lowercase(), self.target)
            } else {
                format!("{name}: {}", value(name))
            }
        };
        let string = names.iter().map(line).collect::<Vec<_>>().join("\n");
        let signature = SigningKey::<Sha256>::new(self.key.clone()).sign(string.as_bytes()).to_bytes();
        let signature = STANDARD.encode(signature);
        let authorization = format!(
            "Signature algorithm=\"rsa-sha256\",headers=\"{}\",keyId=\"{}\",signature=\"{signature}\",version=\"1\"",
            names.join(" "),
            self.key_id
        );
        if !headers.iter().any(|(name, _)| name == "authorization") {
            headers.push(("authorization".into(), authorization));
        }
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(&self) -> Answer {
        self.try_send().expect("an answer")
    }

    /// The same where no answer may come.
    pub(crate) fn try_send(&self) -> Option<Answer> {
        let mut connection = Connection::new(&self.address);
        connection.send(&self.bytes());
        connection.answer(self.method == "HEAD")
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Status and error code.
    pub(crate) fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A connection on which anything can be sent.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends what it can; a peer that is gone shows when reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next answer; `None` if the connection ends before one is complete.
    pub(crate) fn answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let headers: Vec<_> = lines.map(header).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length: usize =
            if to_head || status < 200 { 0 } else { answer.get("content-length").parse().unwrap_or(0) };
        while self.buffer.len() < length {
            self.fill()?;
        }
        answer.body = self.buffer.drain(..length).collect();
        Some(answer)
    }

    /// True if the other side has ended the connection with nothing more to say.
    pub(crate) fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && self.fill().is_none()
    }

    fn fill(&mut self) -> Option<()> {
        let mut chunk = vec![0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => None,
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Some(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the cloud said nothing for ten seconds")
            }
            Err(_) => None,
        }
    }
}
