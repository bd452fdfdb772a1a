//! Uploads by the component in this host: the story of `core::native`'s tests, told once more.

use std::time::Duration;

use crate::common::{
    self, BUCKET, LONG, Lab, MIB, await_notice, bytes, parts, put, start, target, told, wait,
};
use outlast_cloud::{Action, At, Config, Fault, Op};
use outlast_core::engine::Notice;
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, ObjectProperties, OnFailure, Precondition, StorageTier, UploadOptions,
};
use outlast_core::engine::wire::{Method, oci};
use outlast_core::{ErrorKind, Retry};
use outlast_wasm_host::{
    Client, ClientOptions, Credential, Request, SessionSecret, SessionSpec, SourceSpec, UploadSource,
};

#[tokio::test]
async fn sizes_around_the_part_size_arrive_whole() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    for (size, count) in [(0, 0), (1, 0), (MIB, 0), (MIB + 1, 2), (3 * MIB, 3)] {
        let name = format!("dir ö/{size}+x");
        let path = lab.file(&format!("{size}.bin"), size);
        let outcome = put(&session, &path, &name, parts(MIB, 3)).await.expect("it is stored");
        assert_eq!((outcome.size, outcome.parts, outcome.verified), (size, count, true), "{size}");
        lab.assert_stored(&name, &bytes(&format!("{size}.bin"), size));
    }
    let left = std::fs::read_dir(lab.state_dir().join("component/uploads")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "journals go with their uploads");
}

#[tokio::test]
async fn fifteen_requests_are_in_flight_on_connections_that_are_kept() {
    let lab = Lab::start();
    // Slow enough that a part takes longer than signing the next one, on a busy machine too.
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(8 << 20));
    let client = lab.client();
    let session = lab.session(&client).await;
    let path = lab.file("large", 48 * MIB + 5);
    let outcome = put(&session, &path, "large", parts(MIB, 15)).await.expect("it is stored");
    assert_eq!((outcome.parts, outcome.retries), (49, 0));
    lab.assert_stored("large", &bytes("large", 48 * MIB + 5));
    let stats = lab.control.stats();
    assert_eq!(stats.max_parts_in_flight, 15);
    let requests: u64 = stats.by_op.values().sum();
    assert!(
        stats.connections <= 17 && requests > 50,
        "{} connections for {requests} requests",
        stats.connections
    );
}

#[tokio::test]
async fn properties_checksums_and_preconditions_reach_the_service() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client).await;
    let path = lab.file("p", 2 * MIB + 1);
    let customer_key = oci::customer_key("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").expect("32 bytes");
    let options = UploadOptions {
        checksum: ChecksumAlgorithm::Sha256,
        properties: ObjectProperties {
            content_type: Some("text/plain".into()),
            storage_tier: Some(StorageTier::Archive),
            metadata: [("k1".to_owned(), "v1".to_owned())].into(),
            customer_key: Some(customer_key),
            ..ObjectProperties::default()
        },
        precondition: Precondition::Absent,
        ..parts(MIB, 2)
    };
    let outcome = put(&session, &path, "p", options.clone()).await.expect("it is stored");
    assert!(outcome.facts.multipart_sha256.is_some(), "{:?}", outcome.facts);
    let object = lab.control.object(BUCKET, "p").expect("it is there");
    assert_eq!(object.content_type.as_deref(), Some("text/plain"));
    let error = put(&session, &path, "p", options).await.expect_err("it exists");
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
}

#[tokio::test]
async fn an_upload_outlives_its_tokens() {
    let lab = Lab::with(Config::default().token_life_s(8).horizon_s(24 * 3600));
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(1 << 20));
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let before = std::fs::read_to_string(lab.token_file()).expect("the token");
    let path = lab.file("long", 24 * MIB);
    let outcome = put(&session, &path, "long", parts(MIB, 4)).await.expect("it is stored");
    assert!(outcome.verified);
    lab.assert_stored("long", &bytes("long", 24 * MIB));
    let stats = lab.control.stats();
    assert!(stats.refreshes >= 2, "{} refreshes", stats.refreshes);
    assert_eq!((stats.unauthenticated, stats.max_refreshes_in_flight), (0, 1));
    let refreshed = told(&mut notices).iter().filter(|told| matches!(told, Notice::Refreshed { .. })).count();
    assert_eq!(refreshed as u64, stats.refreshes + 1, "one notice a generation");
    let after = std::fs::read_to_string(lab.token_file()).expect("the token");
    assert_ne!(before, after, "the refreshed token is in its file for everybody");
}

#[tokio::test]
async fn parts_refused_at_once_make_one_refresh_and_cost_no_retry() {
    let lab = Lab::start();
    lab.control.add_fault(
        Fault::on(Op::UploadPart).generation(0).after(2).act(Action::status(401, "NotAuthenticated")),
    );
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let path = lab.file("refused", 20 * MIB);
    let outcome = put(&session, &path, "refused", parts(MIB, 15)).await.expect("it is stored");
    assert_eq!(outcome.retries, 0);
    assert!(outcome.refusals > 0);
    assert_eq!(lab.control.stats().refreshes, 1);
    let told = told(&mut notices);
    let count = |wanted: fn(&Notice) -> bool| told.iter().filter(|told| wanted(told)).count();
    assert_eq!(count(|told| matches!(told, Notice::Rejected { .. })), 1);
    assert_eq!(count(|told| matches!(told, Notice::PartHeld { .. })), outcome.refusals as usize);
    lab.assert_stored("refused", &bytes("refused", 20 * MIB));
}

#[tokio::test]
async fn refusals_in_the_middle_of_a_body_are_understood() {
    let lab = Lab::start();
    lab.control.add_fault(Fault::on(Op::UploadPart).generation(0).after(1).act(Action::early_401(64 << 10)));
    let client = lab.client();
    let session = lab.session(&client).await;
    let path = lab.file("early", 12 * MIB);
    let outcome = put(&session, &path, "early", parts(2 * MIB, 3)).await.expect("it is stored");
    assert!(outcome.verified);
    assert_eq!(lab.control.stats().refreshes, 1);
    lab.assert_stored("early", &bytes("early", 12 * MIB));
}

#[tokio::test]
async fn broken_connections_and_busy_services_are_tried_again() {
    let lab = Lab::start();
    lab.control
        .add_fault(Fault::on(Op::UploadPart).part(2).times(2).act(Action::reset(At::BodyBytes(100_000))));
    lab.control
        .add_fault(Fault::on(Op::UploadPart).part(3).times(1).act(Action::status(503, "ServiceUnavailable")));
    lab.control.add_fault(Fault::on(Op::CommitUpload).times(1).act(Action::lose_answer()));
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let path = lab.file("rough", 4 * MIB);
    let outcome = put(&session, &path, "rough", parts(MIB, 2)).await.expect("it is stored");
    assert!(outcome.retries >= 3, "{}", outcome.retries);
    assert!(told(&mut notices).iter().any(|told| matches!(told, Notice::Retrying { part: Some(2), .. })));
    assert_eq!(lab.control.stats().committed, 1);
    lab.assert_stored("rough", &bytes("rough", 4 * MIB));
}

#[tokio::test]
async fn a_session_that_ends_parks_and_goes_on_when_somebody_signs_in() {
    let lab = Lab::with(Config::default().token_life_s(8).horizon_s(8));
    lab.control.change(|settings| {
        settings.bandwidth_bytes_per_s = Some(2 << 20);
        settings.refuse_at_horizon = true;
    });
    let client = lab.client();
    let mut notices = client.subscribe();
    let spec = SessionSpec { wait_for_login: LONG, ..lab.spec() };
    let session = client.session(spec).await.expect("the session can be opened");
    let path = lab.file("parked", 16 * MIB);
    let upload = start(&session, &path, "parked", parts(MIB, 2)).await;
    await_notice(&mut notices, |told| matches!(told, Notice::Parked { .. })).await;
    assert!(upload.result().is_none(), "it waits");
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let login = outlast_cloud::Login::new("LAB", lab.dir.path().join("oci"))
        .key_pem(common::key_pem())
        .token_life(Duration::from_hours(1))
        .horizon(Duration::from_hours(2));
    lab.control.login(&login).expect("the directory is ours");
    await_notice(&mut notices, |told| matches!(told, Notice::Resumed { .. })).await;
    wait(&upload).await.expect("it is stored");
    lab.assert_stored("parked", &bytes("parked", 16 * MIB));
}

#[tokio::test]
async fn a_session_that_ends_says_that_somebody_has_to_sign_in() {
    let lab = Lab::with(Config::default().token_life_s(8).horizon_s(8));
    lab.control.change(|settings| {
        settings.bandwidth_bytes_per_s = Some(1 << 20);
        settings.refuse_at_horizon = true;
    });
    let client = lab.client();
    let session = lab.session(&client).await;
    let path = lab.file("ends", 32 * MIB);
    let upload = start(&session, &path, "ends", parts(MIB, 2)).await;
    let error = wait(&upload).await.expect_err("the session ends first");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::SignInNeeded, Retry::AfterReauth), "{error}");
    assert!(upload.is_resumable());
}

#[tokio::test]
async fn a_cancelled_upload_is_resumed_without_sending_stored_parts_again() {
    let lab = Lab::start();
    lab.refuse_parts_after(4);
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let path = lab.file("again", 12 * MIB);
    let upload = start(&session, &path, "again", parts(MIB, 3)).await;
    for _ in 0..4 {
        await_notice(&mut notices, |told| matches!(told, Notice::PartStored { .. })).await;
    }
    assert!(upload.progress().total == Some(12 * MIB));
    upload.cancel(OnFailure::Retain);
    let error = wait(&upload).await.expect_err("it was cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(upload.is_resumable());
    lab.control.remove_faults(None);
    let outcome = put(&session, &path, "again", parts(MIB, 3)).await.expect("it is stored");
    assert!(outcome.parts_reused >= 4, "{} reused", outcome.parts_reused);
    let stats = lab.control.stats();
    assert_eq!((stats.created, stats.committed), (1, 1));
    lab.assert_stored("again", &bytes("again", 12 * MIB));
}

#[tokio::test]
async fn cancelling_can_abort_pausing_stops_new_parts_and_two_do_not_do_the_same() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(2 << 20));
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let path = lab.file("both", 12 * MIB);
    let upload = start(&session, &path, "both", parts(MIB, 2)).await;
    let source = UploadSource::Path(path.clone());
    let second = client.upload(&session, source, target("both"), parts(MIB, 2)).await;
    assert_eq!(second.expect_err("it is going on").kind(), ErrorKind::Busy);
    upload.pause();
    await_notice(&mut notices, |told| matches!(told, Notice::Paused { paused: true, .. })).await;
    upload.resume();
    await_notice(&mut notices, |told| matches!(told, Notice::Paused { paused: false, .. })).await;
    await_notice(&mut notices, |told| matches!(told, Notice::PartStored { .. })).await;
    upload.cancel(OnFailure::Abort);
    assert_eq!(wait(&upload).await.expect_err("it was cancelled").kind(), ErrorKind::Cancelled);
    assert!(!upload.is_resumable());
    assert!(lab.control.uploads().is_empty(), "nothing is left at the service");
}

#[tokio::test]
async fn dropping_every_handle_puts_the_upload_to_rest() {
    let lab = Lab::start();
    lab.refuse_parts_after(2);
    let client = lab.client();
    let mut notices = client.subscribe();
    let session = lab.session(&client).await;
    let path = lab.file("dropped", 12 * MIB);
    let upload = start(&session, &path, "dropped", parts(MIB, 2)).await;
    for _ in 0..2 {
        await_notice(&mut notices, |told| matches!(told, Notice::PartStored { .. })).await;
    }
    drop((upload, session));
    let ended = await_notice(&mut notices, |told| matches!(told, Notice::Finished { .. })).await;
    assert!(matches!(ended, Notice::Finished { resumable: true, .. }), "{ended:?}");
    lab.control.remove_faults(None);
    let session = lab.session(&client).await;
    let outcome = put(&session, &path, "dropped", parts(MIB, 2)).await.expect("it is stored");
    assert!(outcome.parts_reused >= 2);
}

#[tokio::test]
async fn secrets_can_be_handed_over_without_a_folder() {
    let lab = Lab::start();
    let client = lab.client();
    let read =
        |path| std::fs::read_to_string(path).expect("the profile's file").trim().to_owned().into_secret();
    let secret = SessionSecret {
        key: read(lab.profile.key_file.as_path()),
        key_passphrase: None,
        token: read(lab.token_file()),
    };
    let spec = SessionSpec { source: SourceSpec::OciSession(secret.clone()), ..lab.spec() };
    let session = client.session(spec).await.expect("the session can be opened");
    let path = lab.file("secret", 2 * MIB);
    put(&session, &path, "secret", parts(MIB, 2)).await.expect("it is stored");
    session.supply(Credential::OciSession(secret)).await.expect("a credential of the same kind");

    let request = Request {
        method: Method::Get,
        host: lab.cloud.endpoint().trim_start_matches("http://").to_owned(),
        target: "/n".to_owned(),
        body: None,
        content_type: None,
    };
    let signed = session.sign(request.clone()).await.expect("a usable credential");
    assert!(signed.headers.iter().any(|(name, _)| name == "authorization"));
    assert!(!format!("{signed:?}").contains("Signature"), "headers are not shown");
    session.reject(signed.generation);
    let next = session.sign(request).await.expect("the next credential");
    assert!(next.generation > signed.generation);
    assert_eq!(lab.control.stats().refreshes, 1);
}

#[tokio::test]
async fn tls_is_verified_against_the_bundle() {
    let lab = Lab::with(Config::default().with_tls());
    let storage = lab.cloud.tls_endpoint().expect("the cloud has TLS");
    let bundle = lab.cloud.ca_file().expect("the cloud has a CA").to_owned();
    let path = lab.file("tls", 3 * MIB);
    let spec = || {
        let mut spec = lab.spec();
        spec.endpoints.storage.clone_from(&storage);
        spec
    };
    let trusting = lab.client_with(|options| options.ca_bundle = Some(bundle));
    let session = trusting.session(spec()).await.expect("the session can be opened");
    put(&session, &path, "tls", parts(MIB, 2)).await.expect("it is stored");

    let client = lab.client();
    let session = client.session(spec()).await.expect("the session can be opened");
    let error = put(&session, &path, "untrusted", parts(MIB, 2)).await.expect_err("nobody vouches for it");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_used_is_told_in_one_line() {
    let lab = Lab::start();
    let client = lab.client();
    let mut spec = lab.spec();
    spec.endpoints.storage = "http://storage.example.com".into();
    let error = client.session(spec).await.expect_err("plain http to another machine");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("storage endpoint: "), "{error}");

    let mut spec = lab.spec();
    let SourceSpec::OciSessionFiles { token_file, .. } = &mut spec.source else { unreachable!() };
    *token_file = lab.dir.path().join("nowhere/token");
    let error = client.session(spec).await.expect_err("no such folder");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");

    let session = lab.session(&client).await;
    let missing = UploadSource::Path(lab.dir.path().join("data/none"));
    let error = client.upload(&session, missing, target("x"), parts(MIB, 1)).await.expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    let folder = UploadSource::Path(lab.dir.path().join("data"));
    let error = client.upload(&session, folder, target("x"), parts(MIB, 1)).await.expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    assert!(error.to_string().contains("regular file"), "{error}");

    let none = ClientOptions { workers: 0, ..ClientOptions::default() };
    let error = Client::new(common::outlast(), none).expect_err("nobody to send");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Texts as secrets.
trait IntoSecret {
    fn into_secret(self) -> outlast_core::engine::secret::Secret<String>;
}

impl IntoSecret for String {
    fn into_secret(self) -> outlast_core::engine::secret::Secret<String> {
        outlast_core::engine::secret::Secret::new(self)
    }
}
