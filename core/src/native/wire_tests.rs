//! Requests against a server that shows what was on the wire and answers what it is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::buffer::Pool;
use super::carry::{Bytes, Sending, Tools, send};
use super::content::Content;
use super::endpoint::Endpoint;
use super::http::Http;
use super::limiter::Limiter;
use super::message::Message;
use super::options::ClientOptions;
use super::upload::UploadSource;
use crate::engine::checksum::{Digests, Wanted};
use crate::engine::credential::{Credential, Generation, Grant, Lease};
use crate::engine::secret::Secret;
use crate::engine::sign::SigningKey;
use crate::engine::upload::spec::{ObjectProperties, Precondition, Target};
use crate::engine::wire::oci::{self, ObjectFacts};
use crate::engine::wire::{Reply, Request, TransportFailure, TransportKind};
use crate::engine::{CommandId, Event};

type Outcome = (Result<Reply, TransportFailure>, Option<Digests>);

fn key() -> Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    let make =
        || Arc::new(SigningKey::generate(&mut rsa::rand_core::OsRng).expect("the system has randomness"));
    Arc::clone(KEY.get_or_init(make))
}

fn lease() -> Lease {
    let credential = Credential::OciSession { token: Secret::new("a.b.c".into()), key: key() };
    let grant = Grant::new(credential);
    Lease { generation: Generation(1), grant: Arc::new(grant) }
}

/// Serves connections one after the other with `serve`, which gets the head and the connection.
fn server(connections: usize, mut serve: impl FnMut(&str, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback ports are free");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for _ in 0..connections {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                head.push(byte[0]);
            }
            serve(&String::from_utf8_lossy(&head), &mut stream);
        }
    });
    format!("http://{address}")
}

/// A driver's tools, and the bytes that were reported as sent.
struct Bench {
    tools: Tools,
    events: std::sync::mpsc::Receiver<Message>,
}

impl Bench {
    fn new(adjust: impl FnOnce(&mut ClientOptions)) -> Bench {
        let mut options =
            ClientOptions { stall_timeout: Duration::from_secs(10), ..ClientOptions::default() };
        adjust(&mut options);
        let (sender, events) = std::sync::mpsc::channel();
        let tools = Tools {
            http: Http::new(&options).expect("the options are sound"),
            batcher: super::md5::Batcher::default(),
            limiter: Arc::new(Limiter::new(options.limit_rate)),
            trace: None,
            runtime: tokio::runtime::Handle::current(),
            events: sender,
            closing: Arc::new(AtomicBool::new(false)),
        };
        Bench { tools, events }
    }

    async fn send(&self, base: &str, request: Request, bytes: Option<&[u8]>) -> Outcome {
        let bytes = bytes.map(|bytes| {
            let source = UploadSource::Bytes { bytes: bytes.to_vec().into(), name: "b".into() };
            Bytes {
                content: Arc::new(Content::open(source).expect("buffers are always readable")),
                pool: Pool::new(64 << 10),
                range: (0, bytes.len() as u64),
                wanted: Wanted { crc32c: true, ..Wanted::default() },
            }
        });
        let sending = Sending {
            id: CommandId(1),
            endpoint: Arc::new(Endpoint::parse(base, false).expect("loopback may be http")),
            lease: lease(),
            skew_ms: 0,
            request,
            part: None,
            bytes,
        };
        send(&self.tools, sending).await
    }

    fn reported(&self) -> u64 {
        let sent = |message| match message {
            Message::Event(Event::Progressed { bytes, .. }) => bytes,
            _ => 0,
        };
        self.events.try_iter().map(sent).sum()
    }
}

fn target() -> Target {
    Target { namespace: "ns".into(), bucket: "b".into(), object: "dir one/+ü%2F.bin".into() }
}

fn part(number: u32) -> Request {
    oci::upload_part(&target(), "id/1+2", number, None, None, None)
}

fn kind(outcome: Outcome) -> TransportKind {
    outcome.0.expect_err("there is no answer").kind
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    })
}

/// Whether the signature fits what stands on the wire.
fn is_signed(head: &str) -> bool {
    let (method, rest) = head.split_once(' ').expect("a request line");
    let target = rest.split_once(' ').expect("a request line").0;
    let authorization = header(head, "authorization").expect("it is signed");
    let names = authorization.split("headers=\"").nth(1).expect("names").split('"').next().expect("names");
    let lines: Vec<String> = names
        .split(' ')
        .map(|name| match name {
            "(request-target)" => format!("(request-target): {} {target}", method.to_lowercase()),
            name => format!("{name}: {}", header(head, name).expect("what is signed is sent")),
        })
        .collect();
    // PKCS#1 v1.5 signatures are deterministic: ours must be the same.
    let expected = key().sign(lines.join("\n").as_bytes()).expect("the key signs");
    authorization.contains(&STANDARD.encode(expected))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_what_is_sent() {
    let (heads, seen) = std::sync::mpsc::channel();
    let base = server(usize::MAX, move |head, stream| {
        let length = header(head, "content-length").map_or(0, |text| text.parse().expect("a number"));
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the body is as long as announced");
        heads.send((head.to_owned(), body)).expect("the test waits");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .expect("it reads");
    });
    let bench = Bench::new(|_| {});
    let create = || oci::create_upload(&target(), &ObjectProperties::default(), &Precondition::None, None);
    for base in [base.clone(), format!("{base}/some/prefix")] {
        for (request, bytes) in [
            (oci::namespace(), None),
            (oci::head_object(&target(), None), None),
            (create(), None),
            (part(1), Some(vec![7; 300_000])),
            (part(2), Some(Vec::new())),
            (oci::abort(&target(), "id/1+2"), None),
        ] {
            let json = request.json.clone();
            let expected = format!(
                "{} {}",
                request.method.as_str(),
                Endpoint::parse(&base, false).expect("sound").full_target(&request.target)
            );
            let (reply, sent) = bench.send(&base, request, bytes.as_deref()).await;
            assert_eq!(reply.expect("it is answered").status, 200);
            let (head, body) = seen.recv_timeout(Duration::from_secs(10)).expect("it was served");
            assert!(head.starts_with(&format!("{expected} HTTP/1.1\r\n")), "{head}");
            assert!(is_signed(&head), "{head}");
            assert_eq!(
                header(&head, "host"),
                Some(base.trim_start_matches("http://").split('/').next().expect("host"))
            );
            assert!(
                header(&head, "transfer-encoding").is_none() && header(&head, "accept-encoding").is_none(),
                "{head}"
            );
            assert_eq!(body, bytes.clone().unwrap_or(json));
            assert_eq!(sent.map(|digests| digests.len), bytes.as_ref().map(|bytes| bytes.len() as u64));
            assert_eq!(bench.reported(), bytes.map_or(0, |bytes| bytes.len() as u64));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_be_rewritten_are_not_sent() {
    let touched = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&touched);
    let base = server(1, move |_, _| seen.store(true, Ordering::Relaxed));
    let bench = Bench::new(|_| {});
    for object in [".", ".."] {
        let request = oci::head_object(&Target { object: object.into(), ..target() }, None);
        assert_eq!(kind(bench.send(&base, request, None).await), TransportKind::Protocol);
    }
    assert!(!touched.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_the_answer_and_ends_the_reading() {
    // The rest of the body is never read: without an end to the sending this would hang.
    let base = server(1, |_, stream| {
        stream.read_exact(&mut [0; 1000]).expect("some of the body comes");
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").expect("it reads");
        let mut rest = Vec::new();
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
        while stream.read(&mut [0; 1]).is_ok_and(|read| read > 0 && rest.len() < 10) {
            rest.push(0);
        }
        std::thread::sleep(Duration::from_secs(5));
    });
    let bench = Bench::new(|_| {});
    let began = std::time::Instant::now();
    let (reply, sent) = bench.send(&base, part(1), Some(&vec![1; 64 << 20])).await;
    let reply = reply.expect("the refusal arrives");
    assert_eq!((reply.status, reply.body.as_slice(), sent), (401, &b"{}"[..], None));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(bench.reported() < 32 << 20, "most of the body was never read");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart() {
    let bench = Bench::new(|options| options.stall_timeout = Duration::from_secs(1));
    let large = vec![1; 32 << 20];
    let small = vec![1; 10_000];

    let base = server(1, |_, stream| stream.read_exact(&mut [0; 1000]).expect("some of the body comes"));
    let outcome = bench.send(&base, part(1), Some(&large)).await;
    assert_eq!(kind(outcome), TransportKind::BrokenWhileSending);

    let base = server(1, |_, stream| stream.read_exact(&mut [0; 10_000]).expect("the body comes"));
    let outcome = bench.send(&base, part(1), Some(&small)).await;
    assert_eq!(kind(outcome), TransportKind::BrokenAfterSending);

    let base = server(1, |_, stream| {
        stream.read_exact(&mut [0; 10_000]).expect("the body comes");
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").expect("it reads");
    });
    assert_eq!(kind(bench.send(&base, part(1), Some(&small)).await), TransportKind::Protocol);

    let base = server(1, |_, _| std::thread::sleep(Duration::from_secs(5)));
    assert_eq!(kind(bench.send(&base, part(1), Some(&large)).await), TransportKind::Stalled);
    let base = server(1, |_, _| std::thread::sleep(Duration::from_secs(5)));
    assert_eq!(kind(bench.send(&base, oci::namespace(), None).await), TransportKind::Stalled);

    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback ports are free");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    assert_eq!(kind(bench.send(&base, oci::namespace(), None).await), TransportKind::Connect);

    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback ports are free");
    let secure = format!("https://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        stream.write_all(b"not TLS at all\r\n\r\n").expect("it reads");
        let _ = stream.read(&mut [0; 1000]);
    });
    assert_eq!(kind(bench.send(&secure, oci::namespace(), None).await), TransportKind::Tls);

    // A success that comes before the body cannot be one.
    let base = server(1, |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("it reads");
        std::thread::sleep(Duration::from_secs(5));
    });
    assert_eq!(kind(bench.send(&base, part(1), Some(&large)).await), TransportKind::Protocol);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_answers_and_nothing_is_sent_twice() {
    let (heads, seen) = std::sync::mpsc::channel();
    let base = server(usize::MAX, move |head, stream| {
        heads.send(head.to_owned()).expect("the test waits");
        let answer = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).expect("it reads");
    });
    let bench = Bench::new(|_| {});
    let (reply, _) = bench.send(&base, oci::namespace(), None).await;
    assert_eq!(reply.expect("it is answered").status, 307);
    assert_eq!(seen.try_iter().count(), 1);

    let (heads, seen) = std::sync::mpsc::channel();
    let base = server(usize::MAX, move |head, _| heads.send(head.to_owned()).expect("the test waits"));
    for _ in 0..3 {
        assert_eq!(kind(bench.send(&base, oci::namespace(), None).await), TransportKind::BrokenAfterSending);
    }
    assert_eq!(seen.try_iter().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_its_exact_length_at_any_pace() {
    let base = server(usize::MAX, |head, stream| {
        let length: usize =
            header(head, "content-length").expect("it is announced").parse().expect("a number");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the body is as long as announced");
        let crc = oci_crc(&body);
        let answer = format!(
            "HTTP/1.1 200 OK\r\netag: e\r\nopc-content-crc32c: {crc}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).expect("it reads");
    });
    let bytes: Vec<u8> = (0..600_001u32).flat_map(u32::to_le_bytes).take(600_001).collect();
    for rate in [None, Some(4 << 20)] {
        let bench = Bench::new(|options| options.limit_rate = rate);
        for len in [0, 1, 65_535, 65_536, 65_537, 600_001] {
            let (reply, sent) = bench.send(&base, part(1), Some(&bytes[..len])).await;
            let facts: ObjectFacts = oci::object_facts(&reply.expect("it is answered"));
            assert_eq!(facts.crc32c, sent.expect("all of it went out").crc32c_base64(), "{len} at {rate:?}");
        }
    }
}

fn oci_crc(bytes: &[u8]) -> String {
    crate::engine::checksum::crc32c_base64(crc32c::crc32c(bytes))
}
