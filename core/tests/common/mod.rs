//! A loopback cloud, a signed-in profile, and the shorthands that the tests of the native driver share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use outlast_cloud::{Cloud, Config, Control, Login, Profile};
use outlast_core::engine::Notice;
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, Notices, Outcome, Session, SessionSpec, SourceSpec, Upload,
    UploadSource, UploadStart,
};
use outlast_core::{Error, native};

/// Longest wait for anything: reached only when something hangs.
pub const LONG: Duration = Duration::from_mins(1);
pub const BUCKET: &str = "mybucket";
pub const MIB: u64 = 1 << 20;

/// A cloud and somebody signed in to it.
pub struct Lab {
    pub cloud: Cloud,
    pub control: Control,
    pub dir: tempfile::TempDir,
    pub profile: Profile,
    /// Lines of every client's trace.
    pub lines: Arc<Mutex<Vec<String>>>,
}

impl Lab {
    /// A cloud with ordinary tokens.
    pub fn start() -> Lab {
        Lab::with(Config::default())
    }

    pub fn with(config: Config) -> Lab {
        Lab::login(config, |login| login)
    }

    pub fn login(config: Config, adjust: impl FnOnce(Login) -> Login) -> Lab {
        let cloud = Cloud::start(config).expect("loopback ports are free");
        let control = cloud.control();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let login = Login::new("LAB", dir.path().join("oci")).key_pem(key_pem());
        let profile = control.login(&adjust(login)).expect("the directory is ours");
        Lab { cloud, control, dir, profile, lines: Arc::default() }
    }

    pub fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    pub fn client_with(&self, adjust: impl FnOnce(&mut ClientOptions)) -> Client {
        let lines = Arc::clone(&self.lines);
        let mut options = ClientOptions {
            state_dir: Some(self.state_dir()),
            seed: Some(1),
            trace: Some(Arc::new(move |line: &str| {
                lines.lock().expect("no test panics here").push(line.to_owned());
            })),
            ..ClientOptions::default()
        };
        adjust(&mut options);
        Client::new(options).expect("the options are sound")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn token_file(&self) -> &Path {
        self.profile.token_file.as_deref().expect("the profile is a session")
    }

    pub fn source(&self) -> SourceSpec {
        SourceSpec::OciSessionFiles {
            key_file: self.profile.key_file.clone(),
            key_passphrase: None,
            token_file: self.token_file().to_owned(),
            write: true,
            title: "the session of profile LAB".into(),
        }
    }

    pub fn endpoints(&self) -> Endpoints {
        Endpoints { storage: self.cloud.endpoint(), auth: self.cloud.auth_endpoint() }
    }

    pub fn spec(&self) -> SessionSpec {
        SessionSpec {
            source: self.source(),
            endpoints: self.endpoints(),
            wait_for_login: Duration::ZERO,
            timer: false,
        }
    }

    pub fn session(&self, client: &Client) -> Session {
        client.session(self.spec()).expect("the endpoints are sound")
    }

    /// A file of `len` bytes that look random and are the same for the same name.
    pub fn file(&self, name: &str, len: u64) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes(name, len)).expect("the directory is ours");
        path
    }

    /// Asserts that the object holds exactly these bytes.
    pub fn assert_stored(&self, name: &str, expected: &[u8]) {
        let stored = self.control.object_bytes(BUCKET, name).expect("the object is there");
        assert_eq!(stored.len(), expected.len(), "length of {name}");
        assert!(stored == expected, "{name} holds other bytes");
    }

    /// Asserts that nothing in the traces is part of a token, a signature or a query.
    pub fn assert_no_secret_traced(&self) {
        let token = std::fs::read_to_string(self.token_file()).unwrap_or_default();
        let signature = token.rsplit('.').next().unwrap_or_default().to_owned();
        for line in self.lines.lock().expect("no test panics here").iter() {
            assert!(!line.contains("Signature") && !line.contains("ST$") && !line.contains('?'), "{line}");
            assert!(signature.is_empty() || !line.contains(&signature), "{line}");
        }
    }
}

/// An RSA key, made once per test binary.
fn key_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut random = rsa::rand_core::OsRng;
        let key =
            outlast_core::engine::sign::SigningKey::generate(&mut random).expect("the system has randomness");
        key.to_pkcs8_pem().expose().clone()
    })
}

pub fn target(name: &str) -> Target {
    Target { namespace: "labns".into(), bucket: BUCKET.into(), object: name.into() }
}

/// Small parts, so that tests are quick.
pub fn parts(part_size: u64, parallel: u32) -> UploadOptions {
    UploadOptions { part_size, parallel, ..UploadOptions::default() }
}

pub fn start(session: &Session, path: &Path, name: &str, options: UploadOptions) -> Result<Upload, Error> {
    let source = UploadSource::Path(path.to_owned());
    session.client().upload(session, source, target(name), options, UploadStart::default())
}

/// Uploads and waits.
pub fn put(session: &Session, path: &Path, name: &str, options: UploadOptions) -> Result<Outcome, Error> {
    wait(&start(session, path, name, options)?)
}

pub fn wait(upload: &Upload) -> Result<Outcome, Error> {
    upload.wait_timeout(LONG).expect("the upload ends")
}

pub fn bytes(name: &str, len: u64) -> Vec<u8> {
    let mut random = outlast_core::engine::random::Random::new(name.bytes().map(u64::from).sum());
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        bytes.extend_from_slice(&random.bits().to_le_bytes());
    }
    bytes.truncate(usize::try_from(len).expect("tests are small"));
    bytes
}

/// The first notice that satisfies `wanted`.
pub fn await_notice(notices: &Notices, wanted: impl Fn(&Notice) -> bool) -> Notice {
    let deadline = std::time::Instant::now() + LONG;
    while let Some(notice) =
        notices.next_timeout(deadline.saturating_duration_since(std::time::Instant::now()))
    {
        if wanted(&notice) {
            return notice;
        }
    }
    panic!("the notice never came");
}

/// Waits until `done`, looking every few milliseconds: for conditions that nobody announces.
pub fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + LONG;
    while !done() {
        assert!(std::time::Instant::now() < deadline, "{what} never happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn close(client: &native::Client) {
    client.close(LONG).expect("the client comes to rest");
}
