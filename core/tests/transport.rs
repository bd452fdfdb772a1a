//! What can go wrong on the wire: broken and stalled connections, early answers, TLS, proxies, strange replies.
#![allow(clippy::disallowed_methods, reason = "tests of a driver read clocks and start threads")]

mod common;

use std::time::{Duration, Instant};

use common::{BUCKET, LONG, Lab, MIB, bytes, close, parts, put};
use outlast_cloud::{Action, At, Config, Cut, Fault, Mangle, Op, RetryAfter, Shows};
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_core::native::{Endpoints, SessionSpec};
use outlast_core::{ErrorKind, native};

/// Uploads eight parts with one fault on the way and looks at the object.
fn survives(
    fault: Fault,
    adjust: impl FnOnce(&mut native::ClientOptions),
) -> (Lab, outlast_core::native::Outcome) {
    let lab = Lab::start();
    lab.control.add_fault(fault);
    let client = lab.client_with(adjust);
    let session = lab.session(&client);
    let outcome = put(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 4)).expect("it is survived");
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    assert!(lab.control.uploads().is_empty());
    lab.assert_no_secret_traced();
    close(&client);
    (lab, outcome)
}

#[test]
fn broken_connections_are_tried_again() {
    for at in [At::Head, At::BodyBytes(1), At::Middle, At::BodyEnd, At::Done] {
        for how in [Cut::Reset, Cut::Close] {
            let fault = Fault::on(Op::UploadPart).part(3).times(1).act(Action::Cut { at, how });
            let (lab, outcome) = survives(fault, |_| {});
            assert!(outcome.retries >= 1, "{at:?} {how:?}");
            assert_eq!(lab.control.stats().committed, 1);
        }
    }
}

#[test]
fn an_early_refusal_is_one_even_when_it_looks_like_a_reset() {
    let lab = Lab::start();
    // What every request of that token is told; in the middle of a part the words may be lost with the connection.
    lab.control.add_fault(Fault::on(Op::UploadPart).generation(0).act(Action::early_401(64 << 10)));
    lab.control
        .add_fault(Fault::on(Op::ListParts).generation(0).act(Action::status(401, "NotAuthenticated")));
    let client = lab.client();
    let session = lab.session(&client);
    let outcome = put(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 4)).expect("one refresh cures it");
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    assert_eq!(lab.control.stats().refresh_requests, 1);
    assert_eq!(outcome.retries, 0, "refusals cost no retry");
    close(&client);
}

#[test]
fn lost_answers_are_followed_by_a_look() {
    for op in [Op::CreateUpload, Op::CommitUpload, Op::UploadPart] {
        let (lab, _) = survives(Fault::on(op).times(1).act(Action::lose_answer()), |_| {});
        let stats = lab.control.stats();
        assert_eq!((stats.created, stats.committed), (1, 1), "{op:?}");
    }
}

#[test]
fn a_server_that_stops_reading_or_answering_is_noticed_by_progress() {
    for action in [
        Action::Stall { at: At::Middle, time: Duration::from_secs(20) },
        Action::Delay { time: Duration::from_secs(20) },
    ] {
        let began = Instant::now();
        let fault = Fault::on(Op::UploadPart).part(2).times(1).act(action);
        let (_, outcome) = survives(fault, |options| options.stall_timeout = Duration::from_secs(1));
        assert!(outcome.retries >= 1);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
}

#[test]
fn a_slow_line_is_no_stall() {
    let mut config = Config::default();
    config.settings.bandwidth_bytes_per_s = Some(8 * MIB);
    let lab = Lab::with(config);
    let client = lab.client_with(|options| options.stall_timeout = Duration::from_secs(2));
    let session = lab.session(&client);
    // Much more than the kernel keeps for a connection, and much longer than the longest silence.
    let outcome = put(&session, &lab.file("f", 48 * MIB), "o", parts(64 * MIB, 1)).expect("it is only slow");
    assert_eq!(outcome.retries, 0);
    // The same for a limit of our own: waiting for it is no stall.
    client.limit_rate(Some(2 * MIB));
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let outcome = put(&session, &lab.file("f", 6 * MIB), "o", parts(MIB, 6)).expect("it is only slow");
    assert_eq!(outcome.retries, 0);
    close(&client);
}

#[test]
fn trouble_is_retried_and_retry_after_obeyed() {
    let after =
        Fault::on(Op::UploadPart).part(2).times(1).act(Action::too_many(Some(RetryAfter::Seconds(2))));
    let began = Instant::now();
    let (_, outcome) = survives(after, |_| {});
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert!(outcome.retries >= 1);
    for fault in [
        Fault::on(Op::UploadPart).part(1).times(2).act(Action::status(503, "ServiceUnavailable")),
        Fault::on(Op::UploadPart).part(1).times(1).act(Action::answer_at(
            At::Middle,
            500,
            "InternalServerError",
        )),
        Fault::on(Op::UploadPart).part(1).times(1).act(Action::Corrupt { shows: Shows::Always }),
        Fault::on(Op::UploadPart).times(2).act(Action::Mangle { how: Mangle::Html }),
        Fault::on(Op::CreateUpload).times(1).act(Action::status(503, "ServiceUnavailable")),
    ] {
        survives(fault, |_| {});
    }
}

#[test]
fn a_failure_for_good_stops_at_once_and_says_what_the_service_said() {
    let lab = Lab::start();
    lab.control.add_fault(Fault::on(Op::UploadPart).part(2).act(Action::status(403, "NotAllowed")));
    let client = lab.client();
    let session = lab.session(&client);
    let error = put(&session, &lab.file("f", 40 * MIB), "o", parts(MIB, 2)).expect_err("it is not allowed");
    assert_eq!(error.kind(), ErrorKind::Permission);
    let http = error.http().expect("the service answered");
    assert_eq!((http.status, http.code.as_deref()), (403, Some("NotAllowed")));
    assert!(http.request_id.is_some());
    assert!(lab.control.stats().parts_stored <= 4, "reading stops at once");
    close(&client);
}

#[test]
fn huge_and_truncated_answers_do_no_harm() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    for how in
        [Mangle::Huge(64 << 20), Mangle::Truncated, Mangle::BrokenJson, Mangle::WrongJson, Mangle::Empty]
    {
        lab.control.remove_faults(None);
        lab.control.add_fault(Fault::on(Op::GetNamespace).act(Action::Mangle { how }));
        let error = client.namespace_blocking(&session).expect_err("there is no name in it");
        assert!([ErrorKind::Protocol, ErrorKind::Network].contains(&error.kind()), "{how:?}: {error}");
    }
    lab.control.remove_faults(None);
    let trickle = Action::Trickle { bytes: 3, every: Duration::from_millis(20) };
    lab.control.add_fault(Fault::on(Op::GetNamespace).act(trickle));
    assert_eq!(client.namespace_blocking(&session).expect("slow, but whole"), "labns");
    close(&client);
}

#[test]
fn tls_is_verified_and_a_bundle_adds_to_whom_we_trust() {
    let lab = Lab::with(Config::default().with_tls());
    let endpoint = lab.cloud.tls_endpoint().expect("there is a TLS face");
    let endpoints = Endpoints { storage: endpoint.clone(), auth: endpoint };
    let strangers = lab.client();
    let session =
        strangers.session(SessionSpec { endpoints: endpoints.clone(), ..lab.spec() }).expect("sound");
    let began = Instant::now();
    let error = strangers.namespace_blocking(&session).expect_err("its authority is unknown");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.to_string().contains("TLS"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "trying again is useless");
    close(&strangers);

    let ca = lab.cloud.ca_file().expect("the authority's certificate is written").to_owned();
    let client = lab.client_with(|options| options.ca_bundle = Some(ca));
    let session = client.session(SessionSpec { endpoints, ..lab.spec() }).expect("sound");
    put(&session, &lab.file("f", 5 * MIB), "o", parts(MIB, 3)).expect("the cloud is well");
    lab.assert_stored("o", &bytes("f", 5 * MIB));
    close(&client);
}

#[test]
fn a_proxy_is_used_when_it_is_named() {
    let lab = Lab::with(Config::default().with_tls());
    let (Some(proxy), Some(ca)) = (lab.cloud.proxy(), lab.cloud.ca_file()) else {
        panic!("a cloud with TLS has a proxy");
    };
    let ca = ca.to_owned();
    let client = lab.client_with(|options| {
        options.ca_bundle = Some(ca);
        options.proxy = Some(proxy);
    });
    // Names that only the proxy leads anywhere.
    let endpoints = Endpoints {
        storage: "https://objectstorage.us-phoenix-1.oraclecloud.com".into(),
        auth: "https://auth.us-phoenix-1.oraclecloud.com".into(),
    };
    let session = client.session(SessionSpec { endpoints, ..lab.spec() }).expect("sound");
    put(&session, &lab.file("f", 3 * MIB), "o", parts(MIB, 3)).expect("the proxy leads to the cloud");
    lab.control.advance_clock(Duration::from_secs(10));
    session.refresh_blocking(LONG).expect("the auth service is reached the same way");
    lab.assert_stored("o", &bytes("f", 3 * MIB));
    close(&client);
}

#[test]
fn nobody_there_is_told_after_few_attempts_or_by_the_upload() {
    let lab = Lab::start();
    let client = lab.client_with(|options| options.connect_timeout = Duration::from_millis(500));
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback ports are free");
    let storage = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let endpoints = Endpoints { storage, ..lab.endpoints() };
    let session = client.session(SessionSpec { endpoints, ..lab.spec() }).expect("sound");
    let error = client.namespace_blocking(&session).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    close(&client);
}

#[test]
fn what_the_server_stored_wrongly_never_counts() {
    for shows in [Shows::Always, Shows::AtCommit] {
        let lab = Lab::start();
        lab.control.add_fault(Fault::on(Op::UploadPart).part(2).act(Action::Corrupt { shows }));
        let client = lab.client();
        let session = lab.session(&client);
        let options = UploadOptions { max_attempts: 3, ..parts(MIB, 2) };
        let error = put(&session, &lab.file("f", 4 * MIB), "o", options).expect_err("the bytes are wrong");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{shows:?}: {error}");
        if shows == Shows::Always {
            assert!(lab.control.object(BUCKET, "o").is_none());
        }
        close(&client);
    }
}
