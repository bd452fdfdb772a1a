//! Sessions through the native driver: refreshing under load, refusals, signing in, files shared with others.
#![allow(clippy::disallowed_methods, reason = "tests of a driver read clocks and start threads")]

mod common;

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{LONG, Lab, MIB, await_notice, bytes, close, parts, put, start, until, wait};
use outlast_cloud::{Action, ApiKey, Config, Fault, Login, Op, RefreshMode, Revoke};
use outlast_core::engine::Notice;
use outlast_core::engine::command::{ExchangeFailure, Renewal};
use outlast_core::engine::credential::{Generation, Grant};
use outlast_core::engine::session::SessionState;
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::wire::Method;
use outlast_core::native::source::{Abilities, OciSessionFiles, Wire};
use outlast_core::native::{Endpoints, SessionSpec, Source, SourceSpec};
use outlast_core::{Error, ErrorKind};

/// A refresh in the second of the login moves no end, since ends are whole seconds.
const GAIN: Duration = Duration::from_secs(10);

#[test]
fn an_upload_outlives_its_tokens() {
    let mut config = Config::default().token_life_s(4);
    config.settings.bandwidth_bytes_per_s = Some(3 * MIB);
    let lab = Lab::with(config);
    let client = lab.client();
    let session = lab.session(&client);
    let upload = start(&session, &lab.file("f", 24 * MIB), "o", parts(MIB, 6)).expect("the file is there");
    let outcome = wait(&upload).expect("the session is kept alive");
    lab.assert_stored("o", &bytes("f", 24 * MIB));
    let stats = lab.control.stats();
    assert!(stats.refreshes >= 2, "{stats:?}");
    assert_eq!((stats.max_refreshes_in_flight, stats.unauthenticated), (1, 0), "{stats:?}");
    assert_eq!((outcome.refusals, outcome.retries), (0, 0));
    lab.assert_no_secret_traced();
    close(&client);
}

#[test]
fn a_storm_of_refusals_makes_one_refresh_and_costs_no_retry() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    // Every part under the first token is refused from the fifth on; the token itself still refreshes.
    lab.control.add_fault(
        Fault::on(Op::UploadPart).generation(0).after(4).act(Action::status(401, "NotAuthenticated")),
    );
    let outcome = put(&session, &lab.file("f", 40 * MIB), "o", parts(MIB, 16)).expect("one refresh cures it");
    lab.assert_stored("o", &bytes("f", 40 * MIB));
    assert_eq!(lab.control.stats().refresh_requests, 1);
    assert!(outcome.refusals >= 1);
    assert_eq!(outcome.retries, 0);
    close(&client);
}

#[test]
fn a_token_that_somebody_else_refreshed_is_picked_up() {
    let mut config = Config::default();
    config.settings.bandwidth_bytes_per_s = Some(4 * MIB);
    let lab = Lab::with(config);
    let client = lab.client();
    let session = lab.session(&client);
    let notices = client.subscribe();
    let upload = start(&session, &lab.file("f", 8 * MIB), "o", parts(MIB, 4)).expect("the file is there");
    await_notice(&notices, |notice| matches!(notice, Notice::PartStored { .. }));
    lab.control.refresh_file("LAB").expect("the session is alive");
    lab.control.revoke(&Revoke::UpTo { profile: "LAB".into(), generation: 0 });
    wait(&upload).expect("the new token is in the file");
    lab.assert_stored("o", &bytes("f", 8 * MIB));
    assert_eq!(lab.control.stats().refresh_requests, 0, "reading the file again was enough");
    close(&client);
}

#[test]
fn parked_uploads_go_on_when_somebody_signs_in() {
    let mut config = Config::default().token_life_s(3);
    config.settings.refresh = RefreshMode::Refuse;
    config.settings.bandwidth_bytes_per_s = Some(2 * MIB);
    let lab = Lab::with(config);
    let client = lab.client();
    let mut spec = lab.spec();
    spec.wait_for_login = LONG;
    let session = client.session(spec).expect("the endpoints are sound");
    let notices = client.subscribe();
    let upload = start(&session, &lab.file("f", 12 * MIB), "o", parts(MIB, 2)).expect("the file is there");
    await_notice(&notices, |notice| matches!(notice, Notice::Parked { .. }));
    until("the progress says so", || upload.progress().parked);
    lab.control.change(|settings| {
        settings.refresh = RefreshMode::Extend;
        settings.token_life = Duration::from_hours(1);
        settings.bandwidth_bytes_per_s = None;
    });
    // A new login has a new key; the profile's files are written one after the other.
    lab.control.login(&Login::new("LAB", lab.dir.path().join("oci"))).expect("the directory is ours");
    await_notice(&notices, |notice| matches!(notice, Notice::Resumed { .. }));
    wait(&upload).expect("the session is usable again");
    lab.assert_stored("o", &bytes("f", 12 * MIB));
    assert!(notices.try_next().is_some());
    close(&client);
}

#[test]
fn without_waiting_the_end_of_the_session_is_told_and_the_upload_resumes() {
    let mut config = Config::default().token_life_s(3);
    config.settings.refresh = RefreshMode::Refuse;
    config.settings.bandwidth_bytes_per_s = Some(2 * MIB);
    let lab = Lab::with(config);
    let client = lab.client();
    let session = lab.session(&client);
    let path = lab.file("f", 12 * MIB);
    let upload = start(&session, &path, "o", parts(MIB, 2)).expect("the file is there");
    let error = wait(&upload).expect_err("the token ends and cannot be refreshed");
    assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
    assert!(error.to_string().contains("oci session authenticate"), "{error}");
    assert!(upload.is_resumable());
    lab.control.change(|settings| {
        settings.token_life = Duration::from_hours(1);
        settings.bandwidth_bytes_per_s = None;
    });
    lab.control.login(&Login::new("LAB", lab.dir.path().join("oci"))).expect("the directory is ours");
    let session = lab.session(&client);
    let outcome = put(&session, &path, "o", parts(MIB, 2)).expect("signed in again");
    assert!(outcome.parts_reused > 0);
    lab.assert_stored("o", &bytes("f", 12 * MIB));
    close(&client);
}

#[test]
fn many_callers_share_one_refresh_and_a_fresh_lease_is_cheap() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    let first = session.lease_blocking(LONG).expect("the token is good");
    lab.control.change(|settings| settings.refresh_delay = Duration::from_millis(300));
    session.reject(first.generation);
    session.reject(first.generation);
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let session = session.clone();
            std::thread::spawn(move || session.lease_blocking(LONG).map(|lease| lease.generation))
        })
        .collect();
    for caller in callers {
        let generation = caller.join().expect("callers do not panic").expect("the refresh succeeds");
        assert!(generation > first.generation);
    }
    assert_eq!(lab.control.stats().refresh_requests, 1);
    // A late refusal of the old generation changes nothing.
    session.reject(first.generation);
    assert!(session.lease_blocking(LONG).is_ok());
    assert_eq!(lab.control.stats().refresh_requests, 1);

    let began = std::time::Instant::now();
    for _ in 0..10_000 {
        session.lease_blocking(LONG).expect("the token is good");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "10,000 leases took {:?}", began.elapsed());
    close(&client);
}

#[test]
fn two_processes_with_one_token_refresh_once() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.refresh_delay = Duration::from_millis(500));
    lab.control.advance_clock(GAIN);
    let (one, two) = (lab.client(), lab.client());
    let (first, second) = (lab.session(&one), lab.session(&two));
    assert_eq!(first.wait_loaded(LONG).expect("readable").state, SessionState::Fresh);
    assert_eq!(second.wait_loaded(LONG).expect("readable").state, SessionState::Fresh);
    let other = std::thread::spawn(move || second.refresh_blocking(LONG).map(|status| status.generation));
    let mine = first.refresh_blocking(LONG).expect("the service extends it");
    assert_eq!(mine.generation, Generation(2));
    assert_eq!(other.join().expect("no panic").expect("the other's refresh counts"), Generation(2));
    let stats = lab.control.stats();
    // Both may have begun before either had the lock; whoever came second found the new token in the file.
    assert_eq!((stats.refresh_requests, stats.max_refreshes_in_flight), (1, 1));
    close(&one);
    close(&two);
}

#[test]
fn a_refreshed_token_is_written_through_a_link_in_one_step() {
    let lab = Lab::start();
    let real = lab.token_file().to_owned();
    let moved = lab.dir.path().join("elsewhere");
    std::fs::create_dir(&moved).expect("the directory is ours");
    let target = moved.join("token.real");
    std::fs::rename(&real, &target).expect("the directory is ours");
    symlink(&target, &real).expect("the directory is ours");
    let client = lab.client();
    let session = lab.session(&client);
    lab.control.advance_clock(GAIN);
    let before = std::fs::read_to_string(&target).expect("readable");
    let inode = std::fs::metadata(&target).expect("readable").ino();
    session.refresh_blocking(LONG).expect("the service extends it");
    let after = std::fs::read_to_string(&target).expect("readable");
    assert_ne!(before, after);
    assert_eq!(after.trim(), after, "no newline");
    assert_eq!(after, lab.control.token("LAB").expect("the session is known").0);
    let facts = std::fs::metadata(&target).expect("readable");
    assert_eq!(facts.mode() & 0o777, 0o600);
    assert_ne!(facts.ino(), inode, "written beside it and renamed");
    assert!(std::fs::symlink_metadata(&real).expect("readable").is_symlink());
    let names: Vec<PathBuf> =
        std::fs::read_dir(&moved).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{names:?}");
    close(&client);
}

#[test]
fn what_a_refresh_comes_to_is_told() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    lab.control.advance_clock(GAIN);
    // Asked for while the first credential is still being read: it is done after that.
    assert_eq!(session.refresh_blocking(LONG).expect("the service extends it").refreshes, 1);
    for (mode, kind) in [
        (RefreshMode::Unavailable, ErrorKind::Service),
        (RefreshMode::SameExpiry, ErrorKind::SignInNeeded),
        (RefreshMode::Refuse, ErrorKind::SignInNeeded),
    ] {
        lab.control.change(|settings| settings.refresh = mode);
        lab.control.advance_clock(GAIN);
        let error = session.refresh_blocking(LONG).expect_err("there is no refresh");
        // The words differ with the service's mood; what matters is that the token in hand stays in use.
        assert!(
            [kind, ErrorKind::Auth, ErrorKind::SignInNeeded].contains(&error.kind()),
            "{mode:?}: {error}"
        );
        assert!(session.lease_blocking(LONG).is_ok(), "{mode:?}");
    }
    assert!(session.status().expect("the client is open").horizon.is_some());
    close(&client);
}

#[test]
fn idle_sessions_are_lazy_unless_held() {
    let lab = Lab::with(Config::default().token_life_s(6));
    let client = lab.client();
    let session = lab.session(&client);
    session.wait_loaded(LONG).expect("readable");
    // Its window opens after three to four seconds.
    std::thread::sleep(Duration::from_millis(4200));
    assert_eq!(lab.control.stats().refresh_requests, 0, "nobody asked");
    let hold = session.hold();
    assert!(lab.control.wait(LONG, |stats| stats.refresh_requests >= 1), "held sessions are renewed");
    drop(hold);
    close(&client);
}

#[test]
fn a_token_in_an_odd_state_is_read_when_it_is_whole() {
    let lab = Lab::start();
    let token = std::fs::read_to_string(lab.token_file()).expect("readable");
    let source = || {
        OciSessionFiles::new(
            lab.profile.key_file.clone(),
            None,
            lab.token_file().into(),
            true,
            "t".into(),
            None,
        )
    };
    let write = |text: &str| std::fs::write(lab.token_file(), text).expect("the file is ours");
    write(&format!("{token}\n"));
    assert!(source().load().expect("a newline is no harm").is_some());
    let torn: [(&str, String); 3] =
        [("empty", String::new()), ("half", token[..token.len() / 2].into()), ("garbage", "<html>".into())];
    for (name, text) in torn {
        write(&text);
        let error = source().load().expect_err(name);
        assert!([ErrorKind::Config, ErrorKind::SignInNeeded].contains(&error.kind()), "{name}: {error}");
        assert!(!error.to_string().contains(&token[..20]), "{error}");
        // Whoever was writing finishes while it is looked at again.
        let (path, whole) = (lab.token_file().to_owned(), token.clone());
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(120));
            std::fs::write(path, whole).expect("the file is ours");
        });
        assert!(source().load().expect("it is whole by now").is_some(), "{name}");
        writer.join().expect("the writer does not panic");
    }
    std::fs::remove_file(lab.token_file()).expect("the file is ours");
    assert_eq!(source().load().expect_err("it is gone").kind(), ErrorKind::SignInNeeded);
}

#[test]
fn a_new_key_before_its_token_is_waited_out() {
    let lab = Lab::start();
    let token = std::fs::read_to_string(lab.token_file()).expect("readable");
    let other = tempfile::tempdir().expect("a temporary directory");
    let profile = lab.control.login(&Login::new("LAB", other.path())).expect("the directory is ours");
    let new_token = std::fs::read_to_string(profile.token_file.expect("a session")).expect("readable");
    std::fs::copy(&profile.key_file, &lab.profile.key_file).expect("the file is ours");
    let source = OciSessionFiles::new(
        lab.profile.key_file.clone(),
        None,
        lab.token_file().into(),
        true,
        "t".into(),
        None,
    );
    assert_eq!(source.load().expect_err("the token is of the old key").kind(), ErrorKind::Config);
    let path = lab.token_file().to_owned();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(120));
        std::fs::write(path, new_token).expect("the file is ours");
    });
    let grant = source.load().expect("the pair is whole by now").expect("there is a token");
    writer.join().expect("the writer does not panic");
    assert_eq!(grant.credential.key().expect("it signs").fingerprint(), profile.fingerprint);
    assert!(!format!("{grant:?}").contains(&token[..20]));
}

#[test]
fn api_keys_and_minted_sessions_work_without_a_person() {
    let lab = Lab::start();
    lab.control.change(|settings| settings.upst_life = Some(Duration::from_secs(6)));
    let dir = lab.dir.path().join("api");
    let profile = lab.control.api_key(&ApiKey::new("API", &dir)).expect("the directory is ours");
    let pem = std::fs::read(&profile.key_file).expect("readable");
    let key = Arc::new(SigningKey::from_pem(&pem, None).expect("the key is sound"));
    let key_id = profile.key_id.expect("an API key has one");
    let client = lab.client();
    let sources = [
        SourceSpec::OciApiKey { key_id: key_id.clone(), key: Arc::clone(&key) },
        SourceSpec::OciGenerateUpst { key_id, key, minutes: 5 },
    ];
    for source in sources {
        let name = format!("{source:?}");
        let spec =
            SessionSpec { source, endpoints: lab.endpoints(), wait_for_login: Duration::ZERO, timer: false };
        let session = client.session(spec).expect("the endpoints are sound");
        put(&session, &lab.file("f", 16 * MIB), "o", parts(MIB, 3)).expect(&name);
        lab.assert_stored("o", &bytes("f", 16 * MIB));
        lab.control.change(|settings| settings.bandwidth_bytes_per_s = Some(2 * MIB));
    }
    let minted = lab.control.stats().by_op[&Op::GenerateUpst];
    assert!(minted >= 2, "{minted} minted");
    assert_eq!(lab.control.stats().unauthenticated, 0);
    close(&client);
}

#[test]
fn callers_sign_their_own_requests() {
    let lab = Lab::start();
    let client = lab.client();
    let session = lab.session(&client);
    assert_eq!(client.namespace_blocking(&session).expect("the cloud is well"), "labns");
    assert!(client.head_object_blocking(&session, &common::target("none"), None).expect("well").is_none());
    assert_eq!(
        client.check_bucket_blocking(&session, "labns", "no-such").expect_err("there is none").kind(),
        ErrorKind::NotFound
    );
    let lease = session.lease_blocking(LONG).expect("the token is good");
    let url = format!("{}/n/labns/b/mybucket/u", lab.cloud.endpoint());
    let body = br#"{"object":"by hand"}"#;
    let signed =
        session.sign_url(&lease, Method::Post, &url, Some("application/json"), Some(body)).expect("sound");
    let mut text = "POST /n/labns/b/mybucket/u HTTP/1.1\r\ncontent-type: application/json\r\n".to_owned();
    for (name, value) in &signed.headers {
        text.extend([name, ": ", value.expose(), "\r\n"]);
    }
    text += "connection: close\r\n\r\n";
    let address = lab.cloud.endpoint().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).expect("the cloud listens");
    std::io::Write::write_all(&mut stream, &[text.as_bytes(), body].concat()).expect("the cloud reads");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("the cloud answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let uploads = client.list_uploads_blocking(&session, "labns", "mybucket").expect("well");
    assert_eq!(uploads.len(), 1);
    let target = common::target("by hand");
    client.abort_upload_blocking(&session, &target, &uploads[0].upload_id).expect("well");
    client.abort_upload_blocking(&session, &target, &uploads[0].upload_id).expect("gone is fine");
    for url in ["http://example.com/n", "https://u:p@example.com/n", "https://h/a/../b", "nonsense"] {
        assert!(session.sign_url(&lease, Method::Get, url, None, None).is_err(), "{url}");
    }
    close(&client);
}

/// A host's own source, which fails, panics, then gives a credential.
struct Custom(std::sync::atomic::AtomicUsize, Grant);

impl Source for Custom {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: "the host's session".into(),
            remedy: "ask the host".into(),
            can_exchange: true,
            can_store: false,
            can_sign_in: false,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => panic!("the host's code is broken"),
            _ => Ok(self.1.clone()),
        }
    }
}

#[test]
fn a_hosts_source_may_panic_once_and_the_session_goes_on() {
    let lab = Lab::start();
    let files = OciSessionFiles::new(
        lab.profile.key_file.clone(),
        None,
        lab.token_file().into(),
        false,
        "t".into(),
        None,
    );
    let grant = files.load().expect("readable").expect("there is a token");
    let client = lab.client();
    let notices = client.subscribe();
    let spec = SessionSpec {
        source: SourceSpec::Custom(Arc::new(Custom(0.into(), grant))),
        endpoints: lab.endpoints(),
        wait_for_login: Duration::ZERO,
        timer: false,
    };
    let session = client.session(spec).expect("the endpoints are sound");
    assert!(session.lease_blocking(LONG).is_ok());
    let told = await_notice(&notices, |notice| matches!(notice, Notice::Refreshed { .. }));
    assert!(matches!(told, Notice::Refreshed { how: Renewal::Exchanged, .. }));
    put(&session, &lab.file("f", MIB), "o", parts(MIB, 1)).expect("the credential works");
    close(&client);
}

#[test]
fn endpoints_that_cannot_be_used_are_refused() {
    let lab = Lab::start();
    let client = lab.client();
    for (storage, auth) in [("http://example.com", "https://h"), ("https://h", "ftp://h"), ("", "https://h")]
    {
        let endpoints = Endpoints { storage: storage.into(), auth: auth.into() };
        let error = client.session(SessionSpec { endpoints, ..lab.spec() }).expect_err("not sound");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    close(&client);
}
