//! What is left after a crash, and who may go on with it.
#![allow(clippy::disallowed_methods, reason = "tests of a driver read clocks and start threads")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use common::{LONG, Lab, MIB, bytes, close, parts, put, start, target, wait};
use outlast_cloud::Config;
use outlast_core::ErrorKind;
use outlast_core::engine::upload::journal::JournalState;
use outlast_core::native::{
    Client, ClientOptions, Endpoints, SessionSpec, SourceSpec, UploadSource, UploadStart, journal,
};

const SIZE: u64 = 16 * MIB;

/// The same upload in a process of its own, to be killed.
fn child(lab: &Lab, path: &Path) -> Child {
    let exe = std::env::current_exe().expect("we run from a file");
    Command::new(exe)
        .args(["--exact", "in_a_process_of_its_own", "--nocapture"])
        .env("OUTLAST_TEST_STORAGE", lab.cloud.endpoint())
        .env("OUTLAST_TEST_AUTH", lab.cloud.auth_endpoint())
        .env("OUTLAST_TEST_KEY", &lab.profile.key_file)
        .env("OUTLAST_TEST_TOKEN", lab.token_file())
        .env("OUTLAST_TEST_STATE", lab.state_dir())
        .env("OUTLAST_TEST_FILE", path)
        .spawn()
        .expect("the test runs again")
}

/// Not a test of its own: what [`child`] runs.
#[test]
fn in_a_process_of_its_own() {
    let Some(storage) = std::env::var_os("OUTLAST_TEST_STORAGE") else { return };
    let path = |name: &str| PathBuf::from(std::env::var_os(name).expect("the parent sets it"));
    let options = ClientOptions { state_dir: Some(path("OUTLAST_TEST_STATE")), ..ClientOptions::default() };
    let client = Client::new(options).expect("the options are sound");
    let spec = SessionSpec {
        source: SourceSpec::OciSessionFiles {
            key_file: path("OUTLAST_TEST_KEY"),
            key_passphrase: None,
            token_file: path("OUTLAST_TEST_TOKEN"),
            write: true,
            title: "the session".into(),
        },
        endpoints: Endpoints {
            storage: storage.into_string().expect("a URL"),
            auth: std::env::var("OUTLAST_TEST_AUTH").expect("the parent sets it"),
        },
        wait_for_login: Duration::ZERO,
        timer: false,
    };
    let session = client.session(spec).expect("the endpoints are sound");
    let upload = start(&session, &path("OUTLAST_TEST_FILE"), "o", parts(MIB, 4)).expect("the file is there");
    wait(&upload).expect("the cloud is well");
}

fn slow() -> Lab {
    let mut config = Config::default();
    config.settings.bandwidth_bytes_per_s = Some(4 * MIB);
    Lab::with(config)
}

fn kill_after(lab: &Lab, path: &Path, parts: u64) -> u64 {
    let mut child = child(lab, path);
    assert!(lab.control.wait(LONG, |stats| stats.parts_stored >= parts), "the child uploads");
    // The service is ahead of the journal by an answer.
    common::until("the journal knows a part", || {
        let listed = journal::list(&lab.state_dir()).expect("readable");
        listed.iter().any(|found| matches!(&found.state, Ok(Some(state)) if !state.parts.is_empty()))
    });
    child.kill().expect("the child runs");
    child.wait().expect("the child was ours");
    let gone = lab.control.wait(LONG, |stats| stats.parts_in_flight == 0);
    assert!(gone, "the cloud notices");
    lab.control.stats().parts_stored
}

#[test]
fn a_killed_upload_goes_on_and_loses_at_most_what_was_in_flight() {
    for parts_before in [1, 5, 12] {
        let lab = slow();
        let path = lab.file("f", SIZE);
        let stored = kill_after(&lab, &path, parts_before);
        lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
        lab.control.reset_stats();
        let client = lab.client();
        let session = lab.session(&client);
        let outcome = put(&session, &path, "o", parts(MIB, 4)).expect("it can be resumed");
        lab.assert_stored("o", &bytes("f", SIZE));
        assert!(outcome.verified);
        let stats = lab.control.stats();
        assert_eq!((stats.created, stats.committed), (0, 1));
        assert_eq!(stats.parts_stored, 16 - stored, "only what was missing is sent");
        assert_eq!(u64::from(outcome.parts_reused), stored);
        assert!(lab.control.uploads().is_empty());
        close(&client);
    }
}

#[test]
fn a_second_process_is_told_who_is_at_it() {
    let lab = slow();
    let path = lab.file("f", SIZE);
    let mut child = child(&lab, &path);
    assert!(lab.control.wait(LONG, |stats| stats.parts_stored >= 1), "the child uploads");
    let client = lab.client();
    let session = lab.session(&client);
    let error = start(&session, &path, "o", parts(MIB, 4)).expect_err("the child is at it");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&format!("pid {}", child.id())), "{error}");
    let listed = journal::list(&lab.state_dir()).expect("readable");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].locked_by.and_then(|by| by.pid), Some(child.id()));
    // Another object from the same file is no conflict.
    put(&session, &path, "other", parts(MIB, 4)).expect("the cloud is well");
    assert!(child.wait().expect("the child was ours").success());
    put(&session, &path, "o", parts(MIB, 4)).expect("nobody is at it any more");
    close(&client);
}

fn left_behind(lab: &Lab) -> (PathBuf, JournalState) {
    let mut listed = journal::list(&lab.state_dir()).expect("readable");
    assert_eq!(listed.len(), 1);
    let found = listed.remove(0);
    assert_eq!(found.locked_by, None);
    (found.path, found.state.expect("sound").expect("recorded"))
}

#[test]
fn another_source_is_refused_and_a_restart_begins_anew() {
    let lab = slow();
    let path = lab.file("f", SIZE);
    kill_after(&lab, &path, 3);
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let (_, state) = left_behind(&lab);
    assert_eq!(state.target, target("o"));
    assert!(state.upload_id.is_some());
    std::fs::write(&path, bytes("g", SIZE)).expect("the file is ours");
    let client = lab.client();
    let session = lab.session(&client);
    let error = put(&session, &path, "o", parts(MIB, 4)).expect_err("these are other bytes");
    assert_eq!(error.kind(), ErrorKind::SourceChanged, "{error}");
    assert_eq!(lab.control.uploads().len(), 1, "what was stored is left alone");
    let source = UploadSource::Path(path.clone());
    let upload = client.upload(&session, source, target("o"), parts(MIB, 4), UploadStart { restart: true });
    let outcome = wait(&upload.expect("the journal is discarded")).expect("the cloud is well");
    assert_eq!(outcome.parts_reused, 0);
    lab.assert_stored("o", &bytes("g", SIZE));
    common::until("the old upload is aborted", || lab.control.uploads().is_empty());
    close(&client);
}

#[test]
fn the_same_size_and_time_do_not_deceive() {
    let lab = slow();
    let path = lab.file("f", SIZE);
    kill_after(&lab, &path, 6);
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let before = std::fs::metadata(&path).expect("readable").modified().expect("there is a time");
    let mut content = bytes("f", SIZE);
    content[10] ^= 1;
    // In place, so that even the inode is the same, and with the old time put back.
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file is ours");
    std::os::unix::fs::FileExt::write_all_at(&file, &content[10..11], 10).expect("the disk has room");
    file.set_modified(before).expect("the file is ours");
    let client = lab.client();
    let session = lab.session(&client);
    match put(&session, &path, "o", parts(MIB, 4)) {
        Ok(_) => lab.assert_stored("o", &content),
        Err(error) => assert_eq!(error.kind(), ErrorKind::SourceChanged, "{error}"),
    }
    close(&client);
}

#[test]
fn a_damaged_journal_is_told_and_a_restart_aborts_what_it_names() {
    let lab = slow();
    let path = lab.file("f", SIZE);
    kill_after(&lab, &path, 3);
    lab.control.change(|settings| settings.bandwidth_bytes_per_s = None);
    let (journal, _) = left_behind(&lab);
    let mut text = std::fs::read(&journal).expect("readable");
    let middle = text.iter().rposition(|byte| *byte == b'\n').expect("lines") - 20;
    text[middle] ^= 1;
    text.extend_from_slice(b"00000000 {}\n00000000 {}\n");
    std::fs::write(&journal, &text).expect("the directory is ours");
    let client = lab.client();
    let session = lab.session(&client);
    let error = put(&session, &path, "o", parts(MIB, 4)).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains(&journal.display().to_string()), "{error}");
    let source = UploadSource::Path(path.clone());
    let upload = client.upload(&session, source, target("o"), parts(MIB, 4), UploadStart { restart: true });
    wait(&upload.expect("the journal is discarded")).expect("the cloud is well");
    lab.assert_stored("o", &bytes("f", SIZE));
    common::until("the old upload is aborted", || lab.control.uploads().is_empty());
    close(&client);
}

#[test]
fn a_cut_off_stream_leaves_nothing_behind_once_it_is_sent_again() {
    let lab = slow();
    let client = lab.client();
    let session = lab.session(&client);
    let begin = || {
        let reader = Box::new(std::io::Cursor::new(bytes("s", 8 * MIB)));
        let source = UploadSource::Reader { reader, name: "<stdin>".into() };
        client
            .upload(&session, source, target("s"), parts(MIB, 2), UploadStart::default())
            .expect("nobody is at it")
    };
    let upload = begin();
    assert!(lab.control.wait(LONG, |stats| stats.parts_stored >= 2), "parts go out");
    upload.cancel(outlast_core::engine::upload::spec::OnFailure::Retain);
    assert_eq!(wait(&upload).expect_err("cancelled").kind(), ErrorKind::Cancelled);
    assert!(!upload.is_resumable(), "a stream cannot be read again");
    wait(&begin()).expect("the cloud is well");
    lab.assert_stored("s", &bytes("s", 8 * MIB));
    common::until("nothing is left", || lab.control.uploads().is_empty());
    assert!(journal::list(&lab.state_dir()).expect("readable").is_empty());
    close(&client);
}
