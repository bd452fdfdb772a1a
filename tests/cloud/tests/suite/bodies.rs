//! Bodies: how they are framed, awaited, cut short and shared out.

use crate::client::{BUCKET, Lab, part_target};
use outlast_cloud::{Config, Expect, Refusal};
use std::time::{Duration, Instant};

const CONTINUE: u16 = 100;

#[test]
fn connections_are_kept_and_pipelines_work() {
    let lab = Lab::new();
    let mut connection = lab.connect();
    let put = lab.request("PUT", &format!("{BUCKET}/o/x")).body(vec![1; 300_000]).bytes();
    let get = lab.request("GET", &format!("{BUCKET}/o/x")).bytes();
    connection.send(&[put, get.clone(), get].concat());
    assert_eq!(connection.answer(false).unwrap().status, 200);
    assert_eq!(connection.answer(false).unwrap().body.len(), 300_000);
    assert_eq!(connection.answer(false).unwrap().get("connection"), "keep-alive");
    connection.send(&lab.request("GET", "/n").header("connection", "close").bytes());
    assert_eq!(connection.answer(false).unwrap().get("connection"), "close");
    assert!(connection.is_over());
    assert_eq!(lab.control.stats().connections, 1);
}

#[test]
fn a_length_is_needed_and_chunks_are_not_taken() {
    let lab = Lab::new();
    let head = |header: &str| {
        let head = String::from_utf8(lab.request("PUT", &format!("{BUCKET}/o/x")).head()).unwrap();
        head.replace("content-length: 0\r\n", header)
    };
    for header in
        ["", "transfer-encoding: chunked\r\n", "content-length: 3\r\ntransfer-encoding: chunked\r\n"]
    {
        let mut connection = lab.connect();
        connection.send(head(header).as_bytes());
        let answer = connection.answer(false).unwrap();
        assert_eq!(answer.code(), (411, "ContentLengthRequired".into()), "{header}");
    }
    assert!(lab.control.objects().is_empty());
}

#[test]
fn a_body_cut_short_stores_nothing() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let mut request = lab.request("PUT", &part_target("o", &upload, 1)).body(vec![1; 1000]);
    let head = request.head();
    request.body.truncate(400);
    let mut connection = lab.connect();
    connection.send(&[head, request.body].concat());
    connection.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(connection.answer(false).is_none());
    assert!(lab.control.wait(Duration::from_secs(5), |stats| stats.by_status.contains_key(&0)));
    assert!(lab.last_reason().contains("after 400 of 1000 body bytes"), "{}", lab.last_reason());
    assert!(lab.control.uploads()[0].parts.is_empty());
    assert_eq!(lab.control.stats().bytes_received, 400);
    assert_eq!(lab.control.stats().parts_in_flight, 0);
}

#[test]
fn a_silent_client_is_given_up() {
    let lab = Lab::new();
    lab.control.change(|settings| {
        settings.body_timeout = Duration::from_millis(80);
        settings.head_timeout = Duration::from_millis(80);
    });
    let head = lab.request("PUT", &format!("{BUCKET}/o/x")).header("content-length", "9").head();
    let mut connection = lab.connect();
    connection.send(&head);
    assert!(connection.answer(false).is_none());
    assert!(lab.last_reason().contains("fell silent"), "{}", lab.last_reason());
    let mut idle = lab.connect();
    assert!(idle.is_over());
    let mut partial = lab.connect();
    partial.send(b"GET /n HTT");
    assert!(partial.is_over());
}

#[test]
fn expectations_are_met_in_three_ways() {
    let lab = Lab::new();
    let upload = lab.create("o");
    let request = |upload: &str| {
        lab.request("PUT", &part_target("o", upload, 1)).header("expect", "100-continue").body("body")
    };
    let start = |upload: &str| {
        let mut connection = lab.connect();
        connection.send(&request(upload).head());
        connection
    };

    let mut good = start(&upload);
    assert_eq!(good.answer(false).unwrap().status, CONTINUE);
    good.send(b"body");
    assert_eq!(good.answer(false).unwrap().status, 200);
    let mut gone = start("gone");
    let answer = gone.answer(false).unwrap();
    assert_eq!((answer.status, answer.get("connection")), (404, "close"), "judged by its head");
    assert!(gone.is_over());

    lab.control.change(|settings| settings.expect = Expect::ContinueFirst);
    let mut gone = start("gone");
    assert_eq!(gone.answer(false).unwrap().status, CONTINUE);
    gone.send(b"body");
    assert_eq!(gone.answer(false).unwrap().status, 404);

    lab.control.change(|settings| settings.expect = Expect::Ignore);
    let mut good = start(&upload);
    good.send(b"body");
    assert_eq!(good.answer(false).unwrap().status, 200, "no 100 before it");
}

#[test]
fn a_refused_body_is_drained_or_not() {
    let body = vec![0_u8; 4 << 20];
    for refusal in [Refusal::Drain, Refusal::Close, Refusal::Reset] {
        let mut config = Config::default();
        config.settings.refusal = refusal;
        let lab = Lab::with(config);
        let request = lab.request("PUT", &part_target("o", "gone", 1)).body(&body);
        let mut connection = lab.connect();
        connection.send(&request.bytes());
        let answer = connection.answer(false);
        match refusal {
            Refusal::Drain => {
                assert_eq!(answer.unwrap().get("connection"), "keep-alive");
                connection.send(&lab.request("GET", "/n").bytes());
                assert_eq!(connection.answer(false).unwrap().status, 200);
            }
            Refusal::Close => assert_eq!(answer.unwrap().get("connection"), "close"),
            // Whether the answer outruns the reset is luck; that there is nothing after it is not.
            Refusal::Reset => {
                assert!(answer.is_none_or(|answer| answer.status == 404) && connection.is_over());
            }
        }
        assert!(lab.control.log().iter().any(|entry| entry.part == Some(1) && entry.status == 404));
    }
}

#[test]
fn bandwidth_is_shared() {
    let mut config = Config::default();
    config.settings.bandwidth_bytes_per_s = Some(4 << 20);
    let lab = Lab::with(config);
    let upload = lab.create("o");
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in 1..=4 {
            let (lab, upload) = (&lab, &upload);
            scope.spawn(move || assert_eq!(lab.put_part("o", upload, part, vec![0; 512 << 10]).status, 200));
        }
    });
    let took = started.elapsed();
    assert!(took.as_millis() >= 450, "2 MiB at 4 MiB/s took {took:?}");
    assert!(lab.control.stats().max_parts_in_flight >= 2);
}

#[test]
fn operations_without_a_body_take_none() {
    let lab = Lab::new();
    let answer = lab.request("DELETE", &format!("{BUCKET}/o/x")).header("content-length", "0").send();
    assert_eq!(answer.status, 404, "the official tool announces an empty body");
    let answer = lab.request("GET", "/n").header("content-length", "1").body("x").send();
    assert_eq!(answer.code(), (400, "InvalidContentLength".into()));
}

#[test]
fn tls_and_the_proxy_lead_to_the_same_cloud() {
    let lab = Lab::with(Config::default().with_tls());
    assert!(
        std::fs::read_to_string(lab.cloud.ca_file().unwrap())
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    assert!(lab.cloud.tls_endpoint().unwrap().starts_with("https://localhost:"));
    let mut proxied = lab.connect();
    proxied.send(b"CONNECT auth.us-phoenix-1.oraclecloud.com:443 HTTP/1.1\r\nhost: auth.us-phoenix-1.oraclecloud.com:443\r\n\r\n");
    assert_eq!(proxied.answer(true).unwrap().status, 200);
    proxied.send(b"GET /n HTTP/1.1\r\n\r\n");
    let rest = proxied.answer(false);
    assert!(rest.is_none(), "no TLS, no service: {rest:?}");
    let plain = Lab::new();
    let mut refused = plain.connect();
    refused.send(b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n");
    assert_eq!(refused.answer(false).unwrap().status, 405);
}
