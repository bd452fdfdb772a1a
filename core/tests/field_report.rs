//! The field report, end to end over sockets: 1,463 parts, 15 at a time, under tokens that each live a twenty-fifth
//! of the upload. (The same with sixty-minute tokens and 128 MiB parts runs on virtual time in `tests/simulation`.)
#![cfg(feature = "native")]

use std::time::{Duration, Instant};

use outlast_cloud::{Cloud, Config, Login, Op};
use outlast_core::engine::Notice;
use outlast_core::engine::upload::spec::{StorageTier, Target, UploadOptions};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, SessionSpec, SourceSpec, UploadSource, UploadStart,
};

const PARTS: u32 = 1463;
const PART_SIZE: u64 = 32 * 1024;
const PARALLEL: u32 = 15;
/// Claims are whole seconds, so this is about as short as a token can be on a busy machine.
const TOKEN_LIFE_S: u64 = 3;
const LIVES: u64 = 25;

#[test]
#[expect(clippy::disallowed_methods, reason = "the length of an upload in token lives is measured")]
fn the_upload_outlives_twenty_five_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let size = u64::from(PARTS - 1) * PART_SIZE + 777;
    let file = dir.path().join("backup.tar");
    let bytes: Vec<u8> = (0..size).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[5]).collect();
    std::fs::write(&file, &bytes).unwrap();
    let cloud = Cloud::start(Config::default().token_life_s(TOKEN_LIFE_S).horizon_s(24 * 3600)).unwrap();
    let control = cloud.control();
    control.change(|settings| settings.bandwidth_bytes_per_s = Some(size / (TOKEN_LIFE_S * LIVES)));
    let profile = control.login(&Login::new("LAB", dir.path().join("oci"))).unwrap();
    let client =
        Client::new(ClientOptions { state_dir: Some(dir.path().join("state")), ..ClientOptions::default() })
            .unwrap();
    let notices = client.subscribe();
    let session = client
        .session(SessionSpec {
            source: SourceSpec::OciSessionFiles {
                key_file: profile.key_file.clone(),
                key_passphrase: None,
                token_file: profile.token_file.clone().unwrap(),
                write: true,
                title: "the session of profile LAB".into(),
            },
            endpoints: Endpoints { storage: cloud.endpoint(), auth: cloud.auth_endpoint() },
            wait_for_login: Duration::ZERO,
            timer: false,
        })
        .unwrap();
    let lab = cloud.config();
    let target = Target {
        namespace: lab.namespace.clone(),
        bucket: lab.buckets[0].clone(),
        object: "nightly/backup 2025-11-07.tar".into(),
    };
    let mut options = UploadOptions { part_size: PART_SIZE, parallel: PARALLEL, ..UploadOptions::default() };
    options.properties.storage_tier = Some(StorageTier::Archive);
    let began = Instant::now();
    let upload = client
        .upload(&session, UploadSource::Path(file), target.clone(), options, UploadStart::default())
        .unwrap();
    let outcome = upload.wait_blocking().unwrap_or_else(|error| {
        let told: Vec<Notice> = std::iter::from_fn(|| notices.try_next())
            .filter(|notice| !matches!(notice, Notice::PartStarted { .. } | Notice::PartStored { .. }))
            .collect();
        panic!("{error}\n{told:#?}\n{:?}", control.stats())
    });
    let lives = began.elapsed().as_secs_f64() / f64::from(u32::try_from(TOKEN_LIFE_S).unwrap());

    assert_eq!((outcome.parts, outcome.retries, outcome.size), (PARTS, 0, size));
    assert!(outcome.verified);
    // A refresh may be on its way when the last part is stored.
    let refreshed = |notice: &Notice| u64::from(matches!(notice, Notice::Refreshed { .. }));
    let mut told: u64 = std::iter::from_fn(|| notices.try_next()).map(|notice| refreshed(&notice)).sum();
    let mut stats = control.stats();
    while (stats.refreshes_in_flight > 0 || told <= stats.refreshes)
        && let Some(notice) = notices.next_timeout(Duration::from_secs(10))
    {
        told += refreshed(&notice);
        stats = control.stats();
    }
    assert_eq!(stats.parts_stored, u64::from(PARTS), "every part is stored once");
    assert!(stats.stored_by_part.values().all(|count| *count == 1));
    assert_eq!(stats.unauthenticated, 0, "no request went out under an ended token");
    assert_eq!(stats.max_refreshes_in_flight, 1);
    assert_eq!(stats.max_parts_in_flight, u64::from(PARALLEL));
    assert!(lives >= 24.0, "the throttle makes the upload last {lives} token lives");
    assert_eq!(told, stats.refreshes + 1, "one notice a generation");
    assert_eq!(stats.refresh_requests, stats.refreshes, "no refresh was in vain");
    assert!(stats.refreshes >= 24, "{}", stats.refreshes);
    // Tokens this short are renewed at about half of their life, and never more than once a second.
    assert!(stats.refreshes <= began.elapsed().as_secs() + 1, "{}", stats.refreshes);
    let object = control.object(&target.bucket, &target.object).unwrap();
    assert_eq!(object.size, size);
    assert!(control.object_bytes(&target.bucket, &target.object).unwrap() == bytes, "the object is the file");
    assert_eq!(stats.by_op.get(&Op::CommitUpload), Some(&1));
    println!(
        "{PARTS} parts over {lives:.1} token lives: {} refreshes, at most {} in flight, {} refused",
        stats.refreshes, stats.max_refreshes_in_flight, stats.unauthenticated
    );
    client.close(Duration::from_secs(5)).unwrap();
}
