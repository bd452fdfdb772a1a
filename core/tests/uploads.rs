//! Whole uploads through the native driver: sizes, sources, pausing, cancelling, limits.
#![allow(clippy::disallowed_methods, reason = "tests of a driver read clocks and start threads")]

mod common;

use std::io::Write;
use std::time::{Duration, Instant};

use common::{BUCKET, LONG, Lab, MIB, await_notice, bytes, close, parts, put, start, target, until, wait};
use outlast_cloud::Op;
use outlast_core::ErrorKind;
use outlast_core::engine::Notice;
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, Integrity, ObjectProperties, OnFailure, Precondition, UploadOptions,
};
use outlast_core::native::{Bytes, UploadSource, UploadStart};

#[test]
fn sizes_around_the_part_size_arrive_whole() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    for len in [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 17] {
        let name = format!("dir one/blob+ü{len}.bin");
        let path = lab.file(&len.to_string(), len);
        let outcome = put(&session, &path, &name, parts(MIB, 4)).expect("the cloud is well");
        lab.assert_stored(&name, &bytes(&len.to_string(), len));
        assert_eq!(outcome.size, len);
        assert!(outcome.verified);
        assert_eq!(u64::from(outcome.parts), if len <= MIB { 0 } else { len.div_ceil(MIB) });
    }
    assert!(lab.control.uploads().is_empty());
    assert_eq!(
        std::fs::read_dir(lab.state_dir().join("uploads")).expect("readable").count(),
        0,
        "journals remain"
    );
    assert_eq!(lab.control.stats().unauthenticated, 0);
    lab.assert_no_secret_traced();
    close(&client);
}

#[test]
fn properties_checksums_and_preconditions_reach_the_service() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let properties = ObjectProperties {
        content_type: Some("text/plain".into()),
        metadata: [("k1".to_owned(), "v 1".to_owned())].into(),
        ..ObjectProperties::default()
    };
    for (part_size, checksum) in [
        (4 * MIB, ChecksumAlgorithm::Sha256),
        (MIB, ChecksumAlgorithm::Sha384),
        (MIB, ChecksumAlgorithm::Crc32c),
    ] {
        let options = UploadOptions { properties: properties.clone(), checksum, ..parts(part_size, 3) };
        let path = lab.file("f", 3 * MIB);
        put(&session, &path, "o", options).expect("the cloud is well");
        lab.assert_stored("o", &bytes("f", 3 * MIB));
    }
    let options = UploadOptions { precondition: Precondition::Absent, ..parts(MIB, 3) };
    let error = put(&session, &lab.file("f", 3 * MIB), "o", options).expect_err("the object exists");
    assert_eq!(error.kind(), ErrorKind::Precondition);
    close(&client);
}

#[test]
fn md5_of_many_parts_at_once_is_compared_with_the_services() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let path = lab.file("f", 20 * MIB + 12_345);
    let options = UploadOptions { also_md5: true, ..parts(MIB, 12) };
    let outcome = put(&session, &path, "o", options).expect("the cloud is well");
    assert!(outcome.verified && outcome.retries == 0, "{outcome:?}");
    lab.assert_stored("o", &bytes("f", 20 * MIB + 12_345));
    close(&client);
}

#[test]
fn streams_and_buffers_of_any_length_arrive_whole() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    for len in [0, 5, MIB, 2 * MIB + 1] {
        let content = bytes("s", len);
        let source = UploadSource::Reader {
            reader: Box::new(std::io::Cursor::new(content.clone())),
            name: "pipe".into(),
        };
        let upload = client.upload(&session, source, target("s"), parts(MIB, 2), UploadStart::default());
        let outcome = wait(&upload.expect("a stream can be begun")).expect("the cloud is well");
        assert_eq!(outcome.size, len);
        lab.assert_stored("s", &content);

        let source = UploadSource::Bytes { bytes: Bytes::from(content.clone()), name: "buffer".into() };
        let upload = client.upload(&session, source, target("b"), parts(MIB, 2), UploadStart::default());
        wait(&upload.expect("a buffer can be begun")).expect("the cloud is well");
        lab.assert_stored("b", &content);
    }
    close(&client);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_it_is_written_and_an_open_file_from_its_start() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let (reader, mut writer) = std::io::pipe().expect("pipes can be made");
    let file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
    let source = UploadSource::File { file, name: "<stdin>".into() };
    let upload = client.upload(&session, source, target("p"), parts(MIB, 2), UploadStart::default());
    let upload = upload.expect("a pipe is a stream");
    let content = bytes("p", 3 * MIB);
    let (first, rest) = content.split_at(content.len() / 3);
    writer.write_all(first).expect("the reader reads");
    assert!(
        lab.control.wait(LONG, |stats| stats.by_op.contains_key(&Op::UploadPart)),
        "parts go out while it is written"
    );
    writer.write_all(rest).expect("the reader reads");
    drop(writer);
    wait(&upload).expect("the cloud is well");
    lab.assert_stored("p", &content);

    let path = lab.file("f", 2 * MIB);
    let mut file = std::fs::File::open(&path).expect("just written");
    std::io::Read::read_exact(&mut file, &mut [0; 7]).expect("the file is long enough");
    let source = UploadSource::File { file, name: "fd".into() };
    let upload = client.upload(&session, source, target("fd"), parts(MIB, 2), UploadStart::default());
    wait(&upload.expect("a file can be begun")).expect("the cloud is well");
    lab.assert_stored("fd", &bytes("f", 2 * MIB));
    close(&client);
}

#[test]
fn pausing_stops_new_parts_and_resuming_goes_on() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(4 * MIB));
    let client = lab.client();
    let session = lab.session(&client);
    let notices = client.subscribe();
    let upload = start(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 2)).expect("the file is there");
    await_notice(&notices, |notice| matches!(notice, Notice::PartStored { .. }));
    upload.pause();
    await_notice(&notices, |notice| matches!(notice, Notice::Paused { paused: true, .. }));
    // As the engine counts them: one may not have reached the service yet.
    until("the parts in flight ended", || upload.progress().parts_in_flight == 0);
    let stored = lab.control.stats().parts_stored;
    assert!(stored < 8);
    assert!(upload.wait_timeout(Duration::from_millis(300)).is_none());
    assert!(upload.progress().paused);
    assert_eq!(lab.control.stats().parts_stored, stored);
    upload.resume();
    wait(&upload).expect("the cloud is well");
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    let progress = upload.progress();
    assert_eq!((progress.stored, progress.parts_stored), (8 * MIB, 8));
    close(&client);
}

#[test]
fn cancelling_leaves_an_aborted_or_a_resumable_upload() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(4 * MIB));
    let client = lab.client();
    let session = lab.session(&client);
    let path = lab.file("f", 8 * MIB);
    for (on_failure, left) in [(OnFailure::Abort, 0), (OnFailure::Retain, 1)] {
        let notices = client.subscribe();
        let upload = start(&session, &path, "o", parts(MIB, 2)).expect("the file is there");
        await_notice(&notices, |notice| matches!(notice, Notice::PartStored { .. }));
        upload.cancel(on_failure);
        assert_eq!(wait(&upload).expect_err("it was cancelled").kind(), ErrorKind::Cancelled);
        assert_eq!(lab.control.uploads().len(), left);
        assert_eq!(upload.is_resumable(), left == 1);
        assert_eq!(
            upload.result().expect("it has ended").expect_err("it was cancelled").kind(),
            ErrorKind::Cancelled
        );
    }
    // What had left us when it was cancelled may still be on its way to the store.
    until("the parts in flight ended", || lab.control.stats().parts_in_flight == 0);
    let stored = lab.control.stats().parts_stored;
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let outcome = put(&session, &path, "o", parts(MIB, 2)).expect("the cloud is well");
    assert!(outcome.parts_reused >= 1 && u64::from(outcome.parts_reused) <= stored);
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    close(&client);
}

#[test]
fn the_rate_limit_holds_over_all_parts_and_can_be_lifted() {
    let lab = Lab::start();
    let client = lab.client_with(|options| options.limit_rate = Some(2 * MIB));
    let session = lab.session(&client);
    let notices = client.subscribe();
    let began = Instant::now();
    let upload = start(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 8)).expect("the file is there");
    await_notice(&notices, |notice| matches!(notice, Notice::PartStored { .. }));
    let first = began.elapsed();
    // Eight parts share the line, so the first is done about when all are.
    assert!(first > Duration::from_millis(400), "a part was stored after {first:?}");
    let due = u128::from(2 * MIB) * first.as_millis() / 1000;
    assert!(u128::from(lab.control.stats().bytes_received) <= u128::from(3 * MIB) + due);
    client.limit_rate(None);
    wait(&upload).expect("the cloud is well");
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    close(&client);
}

#[test]
fn a_thousand_requests_at_once_are_sent() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let options = UploadOptions { integrity: Integrity::Verify, ..parts(4096, 1000) };
    let content = bytes("f", 300 * 4096);
    put(&session, &lab.file("f", 300 * 4096), "o", options).expect("the cloud is well");
    lab.assert_stored("o", &content);
    close(&client);
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is_sent() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let path = lab.file("f", 10);
    for name in [".", "..", "", "a\nb"] {
        let result = start(&session, &path, name, parts(MIB, 1)).and_then(|upload| wait(&upload));
        assert_eq!(result.expect_err("the name is impossible").kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    let error = start(&session, lab.dir.path(), "o", parts(MIB, 1)).expect_err("a directory");
    assert_eq!(error.kind(), ErrorKind::Source);
    let error = put(&session, &path, "o", parts(MIB, 0)).expect_err("no requests at all");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(lab.control.log().is_empty(), "{:?}", lab.control.log());
    close(&client);
}

/// Of "hello world".
const MD5: &str = "XrY7u+Ae7tCTyyK7j1rNww==";
const SHA256: &str = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";

fn vouching(md5: Option<&str>, sha256: Option<&str>, options: UploadOptions) -> UploadOptions {
    let properties = ObjectProperties {
        content_md5: md5.map(str::to_owned),
        content_checksum: sha256.map(|text| (ChecksumAlgorithm::Sha256, text.to_owned())),
        ..ObjectProperties::default()
    };
    let checksum = sha256.map_or(options.checksum, |_| ChecksumAlgorithm::Sha256);
    UploadOptions { properties, checksum, ..options }
}

#[test]
fn bytes_without_the_checksum_that_was_vouched_for_are_not_stored() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let file = lab.dir.path().join("hello");
    std::fs::write(&file, "hello world").expect("the directory is ours");
    let source = |name: &str| match name {
        "file" => UploadSource::Path(file.clone()),
        _ => UploadSource::Reader { reader: Box::new(&b"hello world"[..]), name: name.into() },
    };
    let zeros = ("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let unread = UploadOptions { integrity: Integrity::Off, max_attempts: 1, ..parts(MIB, 1) };
    for name in ["file", "stream"] {
        let upload = |options: UploadOptions| {
            wait(&client.upload(&session, source(name), target(name), options, UploadStart::default())?)
        };
        for (options, wrong) in [
            (vouching(Some(zeros.0), None, parts(MIB, 1)), "the bytes do not have the MD5"),
            (vouching(None, Some(zeros.1), parts(MIB, 1)), "the bytes do not have the SHA256"),
            (vouching(Some(MD5), Some(zeros.1), parts(MIB, 1)), "the bytes do not have the SHA256"),
            // Nothing is computed here, so only the service knows.
            (vouching(Some(zeros.0), None, unread.clone()), "UnmatchedContentMD5"),
        ] {
            let before = lab.control.stats().requests;
            let error = upload(options).expect_err("the service compares");
            assert_eq!(error.kind(), ErrorKind::Integrity, "{name}: {error}");
            assert!(error.to_string().contains(wrong), "{name}: {error}");
            assert_eq!(lab.control.stats().requests, before + 1, "{name}: it was sent again");
            assert!(lab.control.object_bytes(BUCKET, name).is_err(), "{name} was stored");
        }
        for options in
            [vouching(Some(MD5), Some(SHA256), parts(MIB, 1)), vouching(Some(MD5), None, unread.clone())]
        {
            upload(options).expect("the cloud is well");
            lab.assert_stored(name, b"hello world");
        }
    }
    close(&client);
}

#[test]
fn nobody_vouches_for_an_object_that_goes_in_parts() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let content = bytes("f", 2 * MIB);
    let path = lab.file("f", 2 * MIB);
    let stream =
        UploadSource::Reader { reader: Box::new(std::io::Cursor::new(content)), name: "pipe".into() };
    for source in [UploadSource::Path(path), stream] {
        let options = vouching(Some(MD5), None, parts(MIB, 2));
        let upload = client.upload(&session, source, target("o"), options, UploadStart::default());
        let error = wait(&upload.expect("it is begun")).expect_err("the service would not compare");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("is sent in parts"), "{error}");
    }
    for options in [vouching(Some("short"), None, parts(MIB, 1)), vouching(None, Some(MD5), parts(MIB, 1))] {
        let error = put(&session, &lab.file("g", 1), "o", options).expect_err("it cannot be right");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert!(lab.control.log().is_empty(), "{:?}", lab.control.log());
    close(&client);
}

/// What somebody does to a file behind our back.
type Change = fn(&std::path::Path);

#[test]
fn a_source_that_changes_is_an_error_and_never_an_object() {
    let lab = Lab::start();
    let client = lab.client_with(|options| options.limit_rate = Some(4 * MIB));
    let session = lab.session(&client);
    let changes: [(&str, Change); 3] = [
        ("grown", |path| {
            let file = std::fs::OpenOptions::new().append(true).open(path);
            file.and_then(|mut file| file.write_all(b"x")).expect("the file is ours");
        }),
        ("shrunk", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.set_len(MIB)).expect("the file is ours");
        }),
        ("replaced", |path| {
            let other = path.with_extension("new");
            std::fs::write(&other, bytes("other", 6 * MIB)).expect("the directory is ours");
            std::fs::rename(&other, path).expect("the directory is ours");
        }),
    ];
    for (name, change) in changes {
        let path = lab.file(name, 6 * MIB);
        let notices = client.subscribe();
        let upload = start(&session, &path, name, parts(MIB, 2)).expect("the file is there");
        await_notice(&notices, |notice| matches!(notice, Notice::PartStored { .. }));
        change(&path);
        let error = wait(&upload).expect_err("the source changed");
        assert_eq!(error.kind(), ErrorKind::SourceChanged, "{name}: {error}");
        assert!(lab.control.object(BUCKET, name).is_none());
    }
    close(&client);
}

#[test]
fn closing_puts_uploads_to_rest_and_ends_the_threads() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(MIB));
    let client = lab.client();
    let session = lab.session(&client);
    let notices = client.subscribe();
    let upload = start(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 2)).expect("the file is there");
    await_notice(&notices, |notice| matches!(notice, Notice::PartStarted { .. }));
    let began = Instant::now();
    close(&client);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(wait(&upload).expect_err("it was cancelled").kind(), ErrorKind::Cancelled);
    until("the notices end", || notices.next_timeout(Duration::ZERO).is_none() && notices.is_finished());
    // Everything after it fails and nothing hangs.
    assert_eq!(
        session.lease_blocking(LONG).err().or(Some(session.status().unwrap_err())).map(|e| e.kind()),
        Some(ErrorKind::Cancelled)
    );
    assert!(start(&session, &lab.file("f", 1), "o", parts(MIB, 1)).is_err());
    close(&client);
}

#[cfg(target_os = "linux")]
#[test]
fn threads_are_named_block_signals_and_go_away() {
    let names = || -> Vec<(String, u64)> {
        let tasks = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
        tasks
            .filter_map(|task| {
                let dir = task.ok()?.path();
                let name = std::fs::read_to_string(dir.join("comm")).ok()?.trim().to_owned();
                let status = std::fs::read_to_string(dir.join("status")).ok()?;
                let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?.trim().to_owned();
                Some((name, u64::from_str_radix(&mask, 16).ok()?))
            })
            .filter(|(name, _)| {
                ["outlast-engine", "outlast-io", "outlast-read"].iter().any(|ours| name.starts_with(ours))
            })
            .collect()
    };
    // Other tests of this binary have clients too: look at a process of our own.
    if std::env::var_os("OUTLAST_TEST_CHILD").is_none() {
        let exe = std::env::current_exe().expect("we run from a file");
        let status = std::process::Command::new(exe)
            .args(["--exact", "threads_are_named_block_signals_and_go_away", "--nocapture"])
            .env("OUTLAST_TEST_CHILD", "1")
            .status();
        assert!(status.expect("the test runs again").success());
        return;
    }
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    put(&session, &lab.file("f", 2 * MIB), "o", parts(MIB, 2)).expect("the cloud is well");
    let threads = names();
    assert!(threads.iter().any(|(name, _)| name == "outlast-engine"), "{threads:?}");
    assert!(threads.iter().any(|(name, _)| name == "outlast-io-1"), "{threads:?}");
    for (name, mask) in &threads {
        // SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGTERM and SIGCHLD.
        for signal in [1, 2, 13, 14, 15, 17] {
            assert_ne!(mask & (1 << (signal - 1)), 0, "{name} does not block {signal}");
        }
    }
    close(&client);
    until("the threads ended", || names().is_empty());
    // Dropping the handles instead of closing ends them too, a moment later.
    let client = lab.client();
    let session = lab.session(&client);
    drop((client, session));
    until("the threads ended", || names().is_empty());
}
