//! A loopback cloud, somebody signed in there, the components, and the shorthands that the tests of the host share.
#![allow(unreachable_pub, reason = "shared by the modules of this one program")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use outlast_cloud::{Action, Cloud, Config, Control, Fault, Login, Op, Profile, RetryAfter};
use outlast_core::Error;
use outlast_core::engine::Notice;
use outlast_core::engine::random::Random;
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_wasm_host::{
    Client, ClientOptions, Endpoints, Notices, Outcome, Plugin, PluginOptions, Session, SessionSpec,
    SourceSpec, Upload, UploadSource,
};

/// Longest wait for anything: reached only when something hangs.
pub const LONG: Duration = Duration::from_mins(2);
pub const BUCKET: &str = "mybucket";
pub const MIB: u64 = 1 << 20;

/// A component that `build.sh --tests` has made.
pub fn component(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("build").join(name);
    assert!(path.exists(), "{} is missing: run wasm-host/build.sh --tests first", path.display());
    path
}

/// A component, compiled once for all tests.
pub fn plugin(name: &str) -> Plugin {
    let options = PluginOptions { cache_dir: Some(cache_dir()) };
    Plugin::load(component(name), &options).expect("the component can be loaded")
}

/// Where compiled components are kept.
pub fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("components")
}

/// The component for uploads.
pub fn outlast() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| plugin("outlast.wasm")).clone()
}

/// A cloud and somebody signed in to it.
pub struct Lab {
    pub cloud: Cloud,
    pub control: Control,
    pub dir: tempfile::TempDir,
    pub profile: Profile,
}

impl Lab {
    /// A cloud with ordinary tokens.
    pub fn start() -> Lab {
        Lab::with(Config::default())
    }

    pub fn with(config: Config) -> Lab {
        // Compiled before anybody signs in: on a slow machine that takes longer than a token lives.
        outlast();
        let cloud = Cloud::start(config).expect("loopback ports are free");
        let control = cloud.control();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let login = Login::new("LAB", dir.path().join("oci")).key_pem(key_pem());
        let profile = control.login(&login).expect("the directory is ours");
        std::fs::create_dir(dir.path().join("data")).expect("the directory is ours");
        Lab { cloud, control, dir, profile }
    }

    pub fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    pub fn client_with(&self, adjust: impl FnOnce(&mut ClientOptions)) -> Client {
        let mut options = ClientOptions { state_dir: Some(self.state_dir()), ..ClientOptions::default() };
        adjust(&mut options);
        Client::new(outlast(), options).expect("the options are sound")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn token_file(&self) -> &Path {
        self.profile.token_file.as_deref().expect("the profile is a session")
    }

    pub fn spec(&self) -> SessionSpec {
        SessionSpec {
            source: SourceSpec::OciSessionFiles {
                key_file: self.profile.key_file.clone(),
                key_passphrase: None,
                token_file: self.token_file().to_owned(),
                write: true,
            },
            endpoints: Endpoints { storage: self.cloud.endpoint(), auth: self.cloud.auth_endpoint() },
            wait_for_login: Duration::ZERO,
        }
    }

    pub async fn session(&self, client: &Client) -> Session {
        client.session(self.spec()).await.expect("the session can be opened")
    }

    /// A file of `len` bytes that look random and are the same for the same name.
    pub fn file(&self, name: &str, len: u64) -> PathBuf {
        let path = self.dir.path().join("data").join(name);
        std::fs::write(&path, bytes(name, len)).expect("the directory is ours");
        path
    }

    /// No more than so many parts are stored until `Control::remove_faults`, and nothing of the others is on its way.
    pub fn refuse_parts_after(&self, count: u64) {
        let busy = Action::too_many(Some(RetryAfter::Seconds(60)));
        self.control.add_fault(Fault::on(Op::UploadPart).after(count).act(busy));
    }

    /// Asserts that the object holds exactly these bytes.
    pub fn assert_stored(&self, name: &str, expected: &[u8]) {
        let stored = self.control.object_bytes(BUCKET, name).expect("the object is there");
        assert_eq!(stored.len(), expected.len(), "length of {name}");
        assert!(stored == expected, "{name} holds other bytes");
    }
}

/// The key of the signing vectors: making one takes a debug build half a minute.
pub fn key_pem() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let vectors = include_str!("../../../tests/vectors/oci-signing-vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("the vectors are JSON");
        vectors["test_key"]["private_key_pkcs8_pem"].as_str().expect("the test key").to_owned()
    })
}

pub fn target(name: &str) -> Target {
    Target { namespace: "labns".into(), bucket: BUCKET.into(), object: name.into() }
}

/// Small parts, so that tests are quick.
pub fn parts(part_size: u64, parallel: u32) -> UploadOptions {
    UploadOptions { part_size, parallel, ..UploadOptions::default() }
}

pub async fn start(session: &Session, path: &Path, name: &str, options: UploadOptions) -> Upload {
    let source = UploadSource::Path(path.to_owned());
    let upload = session.client().upload(session, source, target(name), options).await;
    upload.expect("the upload can be started")
}

/// Uploads and waits.
pub async fn put(
    session: &Session,
    path: &Path,
    name: &str,
    options: UploadOptions,
) -> Result<Outcome, Error> {
    wait(&start(session, path, name, options).await).await
}

pub async fn wait(upload: &Upload) -> Result<Outcome, Error> {
    tokio::time::timeout(LONG, upload.wait()).await.expect("the upload ends")
}

pub fn bytes(name: &str, len: u64) -> Vec<u8> {
    let mut random = Random::new(name.bytes().map(u64::from).sum());
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        bytes.extend_from_slice(&random.bits().to_le_bytes());
    }
    bytes.truncate(usize::try_from(len).expect("tests are small"));
    bytes
}

/// The first notice that satisfies `wanted`.
pub async fn await_notice(notices: &mut Notices, wanted: impl Fn(&Notice) -> bool) -> Notice {
    let found = async {
        while let Some(notice) = notices.next().await {
            if wanted(&notice) {
                return notice;
            }
        }
        panic!("the client ended before the notice came");
    };
    tokio::time::timeout(LONG, found).await.expect("the notice comes")
}

/// Everything that was told so far.
pub fn told(notices: &mut Notices) -> Vec<Notice> {
    std::iter::from_fn(|| notices.try_next()).collect()
}

#[expect(clippy::disallowed_methods, reason = "how long an upload took is compared")]
pub fn now() -> std::time::Instant {
    std::time::Instant::now()
}
