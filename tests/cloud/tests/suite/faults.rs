//! Every way to misbehave, seen from the other side.

use crate::client::{Answer, BUCKET, Lab, part_target, upload_target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use outlast_cloud::{Action, At, Cut, Expect, Fault, Mangle, Op, RetryAfter, Shows};
use std::time::{Duration, Instant};

fn lab(action: Action) -> (Lab, String) {
    let lab = Lab::new();
    let upload = lab.create("o");
    lab.control.add_fault(Fault::on(Op::UploadPart).times(1).act(action));
    (lab, upload)
}

/// The answer to a part that meets the fault, and whether it was stored; then the part again, which succeeds.
fn struck(action: Action) -> (Option<Answer>, bool) {
    let (lab, upload) = lab(action);
    let answer = lab.request("PUT", &part_target("o", &upload, 1)).body(vec![5; 100_000]).try_send();
    let stored = !lab.control.uploads()[0].parts.is_empty();
    assert_eq!(lab.control.log().last().unwrap().faults, [1]);
    assert_eq!(lab.control.faults()[0].fired, 1);
    assert_eq!(lab.put_part("o", &upload, 1, "again").status, 200, "once only");
    assert_eq!(lab.control.stats().parts_in_flight, 0);
    (answer, stored)
}

#[test]
fn errors_before_and_after_the_body() {
    for (at, stored) in [
        (At::Head, false),
        (At::Middle, false),
        (At::BodyBytes(7), false),
        (At::BodyEnd, false),
        (At::Done, true),
    ] {
        let (answer, kept) = struck(Action::answer_at(at, 503, "ServiceUnavailable"));
        assert_eq!(answer.unwrap().code(), (503, "ServiceUnavailable".into()), "{at:?}");
        assert_eq!(kept, stored, "{at:?}");
    }
}

#[test]
fn too_many_requests_with_and_without_advice() {
    let advice = |retry_after| struck(Action::too_many(retry_after)).0.unwrap().get("retry-after").to_owned();
    assert_eq!(advice(None), "");
    assert_eq!(advice(Some(RetryAfter::Seconds(9))), "9");
    let date = httpdate::parse_http_date(&advice(Some(RetryAfter::DateIn(60)))).unwrap();
    let ahead = date.duration_since(std::time::SystemTime::now()).unwrap().as_secs();
    assert!((55..=60).contains(&ahead), "{ahead}");
}

#[test]
fn connections_are_cut() {
    for (at, stored) in [(At::Head, false), (At::Middle, false), (At::BodyEnd, false), (At::Done, true)] {
        for how in [Cut::Reset, Cut::Close] {
            let (answer, kept) = struck(Action::Cut { at, how });
            assert!(answer.is_none(), "{at:?} {how:?}");
            assert_eq!(kept, stored, "{at:?} {how:?}");
        }
    }
}

#[test]
fn lost_answers_of_create_and_commit() {
    let lab = Lab::new();
    lab.control.add_fault(Fault::on(Op::CreateUpload).times(1).act(Action::lose_answer()));
    let create = lab.request("POST", &format!("{BUCKET}/u")).body(r#"{"object":"o"}"#);
    assert!(create.try_send().is_none());
    let upload = lab.control.uploads()[0].id.clone();
    let etag = lab.put_part("o", &upload, 1, "x").get("etag").to_owned();
    lab.control.add_fault(Fault::on(Op::CommitUpload).times(1).act(Action::reset(At::Done)));
    let body = serde_json::json!({ "partsToCommit": [{ "partNum": 1, "etag": etag }], "partsToExclude": [] })
        .to_string();
    assert!(lab.request("POST", &upload_target("o", &upload)).body(&body).try_send().is_none());
    assert_eq!(lab.post(&upload_target("o", &upload), &body).status, 404, "it was committed");
    let head = lab.request("HEAD", &format!("{BUCKET}/o/o")).send();
    assert!(head.get("opc-multipart-md5").ends_with("-1"));
}

#[test]
fn an_early_401_ends_in_a_reset() {
    let (lab, upload) = lab(Action::early_401(1000));
    let mut connection = lab.connect();
    connection.send(&lab.request("PUT", &part_target("o", &upload, 1)).body(vec![0; 8 << 20]).bytes());
    let answer = connection.answer(false);
    assert!(answer.is_none_or(|answer| answer.status == 401) && connection.is_over());
    assert_eq!(lab.control.log().last().unwrap().received, 1000);
    assert_eq!(lab.control.log().last().unwrap().status, 401);
    assert_eq!(lab.control.stats().unauthenticated, 0, "the credentials were good");
}

#[test]
fn waits_of_three_kinds() {
    let time = Duration::from_millis(120);
    for action in [
        Action::Delay { time },
        Action::Stall { at: At::Middle, time },
        Action::Trickle { bytes: 50, every: Duration::from_millis(60) },
    ] {
        let started = Instant::now();
        let (answer, stored) = struck(action.clone());
        assert_eq!(answer.unwrap().status, 200);
        assert!(stored && started.elapsed() >= time, "{action:?} {:?}", started.elapsed());
    }
}

#[test]
fn damage_to_stored_bytes_shows_or_does_not() {
    let (good, bad) = (Md5::digest(b"good"), Md5::digest(b"food"));
    for (shows, part, whole) in
        [(Shows::Always, bad, bad), (Shows::AtCommit, good, bad), (Shows::Never, good, good)]
    {
        let (lab, upload) = lab(Action::Corrupt { shows });
        let answer = lab.put_part("o", &upload, 1, "good");
        assert_eq!(answer.get("opc-content-md5"), STANDARD.encode(part), "{shows:?}");
        assert_eq!(
            lab.get(&upload_target("o", &upload)).json()[0]["md5"],
            STANDARD.encode(part),
            "{shows:?}"
        );
        let answer = lab.commit("o", &upload, &[(1, answer.get("etag"))], &[]);
        let combined = format!("{}-1", STANDARD.encode(Md5::digest(whole)));
        assert_eq!(answer.get("opc-multipart-md5"), combined, "{shows:?}");
        assert_eq!(lab.get(&format!("{BUCKET}/o/o")).body, b"food", "{shows:?}");
    }
}

#[test]
fn answers_lose_and_change_headers() {
    let (lab, upload) =
        lab(Action::OmitHeaders { names: vec!["etag".into(), "opc-content-md5".into(), "date".into()] });
    let set = Action::SetHeader { name: "opc-content-crc32c".into(), value: "AAAAAA==".into() };
    lab.control.add_fault(Fault::on(Op::UploadPart).times(1).act(set));
    let answer = lab.put_part("o", &upload, 1, "x");
    assert_eq!(answer.status, 200);
    assert_eq!([answer.get("etag"), answer.get("opc-content-md5"), answer.get("date")], [""; 3]);
    assert_eq!(answer.get("opc-content-crc32c"), "AAAAAA==");
    assert_eq!(lab.control.stats().faults_fired, 2);
}

#[test]
fn lists_can_lie_about_a_part() {
    let lab = Lab::new();
    let upload = lab.create("o");
    lab.put_part("o", &upload, 1, "x");
    lab.put_part("o", &upload, 2, "x");
    lab.control.add_fault(Fault::on(Op::ListParts).act(Action::WrongListMd5 { part: Some(2) }));
    let list = lab.get(&upload_target("o", &upload)).json();
    assert_ne!(list[0]["md5"], list[1]["md5"]);
    assert_eq!(list[1]["md5"], "AAAAAAAAAAAAAAAAAAAAAA==");
}

#[test]
fn error_bodies_of_every_kind() {
    let body = |how| {
        let Action::Answer { status, code, message, retry_after, at, then, .. } =
            Action::status(500, "InternalServerError")
        else {
            unreachable!("status() makes an answer")
        };
        struck(Action::Answer { status, code, message, retry_after, at, body: Some(how), then }).0
    };
    assert!(body(Mangle::Html).unwrap().body.starts_with(b"<html>"));
    assert_eq!(body(Mangle::Text).unwrap().get("content-type"), "text/plain");
    assert!(body(Mangle::Empty).unwrap().body.is_empty());
    assert!(serde_json::from_slice::<serde_json::Value>(&body(Mangle::BrokenJson).unwrap().body).is_err());
    assert!(body(Mangle::WrongJson).unwrap().json().is_array());
    assert_eq!(body(Mangle::Huge(2 << 20)).unwrap().json()["code"], "InternalServerError");
    assert!(body(Mangle::Truncated).is_none(), "ends before its length");
}

#[test]
fn good_answers_can_be_mangled_too() {
    let lab = Lab::new();
    lab.control
        .add_fault(Fault::on(Op::CreateUpload).times(1).act(Action::Mangle { how: Mangle::Truncated }));
    assert!(lab.request("POST", &format!("{BUCKET}/u")).body(r#"{"object":"o"}"#).try_send().is_none());
    assert_eq!(lab.control.uploads().len(), 1);
}

#[test]
fn an_expectation_can_be_met_differently_once() {
    let (lab, upload) = lab(Action::Expect { mode: Expect::Ignore });
    let request =
        lab.request("PUT", &part_target("o", &upload, 1)).header("expect", "100-continue").body("x");
    let mut connection = lab.connect();
    connection.send(&request.bytes());
    assert_eq!(connection.answer(false).unwrap().status, 200);
    connection.send(&request.bytes());
    assert_eq!(connection.answer(false).unwrap().status, 100);
}

#[test]
fn rules_look_at_generation_part_and_time() {
    let lab = Lab::new();
    let unauthenticated = || Action::status(401, "NotAuthenticated");
    lab.control.add_fault(Fault::on_all().generation(1).act(unauthenticated()));
    lab.control.add_fault(Fault::on(Op::GetNamespace).from(Duration::from_mins(1)).act(unauthenticated()));
    assert_eq!(lab.get("/n").status, 200);
    lab.control.advance_clock(Duration::from_secs(61));
    assert_eq!(lab.get("/n").status, 401, "from a given time on");
    assert_eq!(lab.get(BUCKET).status, 200);
    assert_eq!(lab.control.remove_faults(Some(2)), 1);
    assert_eq!(lab.get("/n").status, 200);
    assert_eq!(lab.control.remove_faults(None), 1);
}

#[test]
fn refused_requests_use_no_fault_up() {
    let (lab, upload) = lab(Action::status(503, "ServiceUnavailable"));
    let mut request = lab.request("PUT", &part_target("o", &upload, 1)).body("x");
    request.key_id = "ST$nonsense".into();
    assert_eq!(request.send().status, 401);
    assert_eq!(lab.put_part("o", &upload, 1, "x").status, 503);
}
