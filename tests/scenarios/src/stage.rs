//! One scenario's cloud, directory, client, and what a runner has to remember.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outlast_cloud::{ApiKey, Cloud, Config, Control, Login, Profile};
use outlast_core::engine::claims::session_grant;
use outlast_core::engine::command::{ExchangeClass, ExchangeFailure, Notice};
use outlast_core::engine::config::{Identity, KeySource, Overrides, Settings, Surroundings};
use outlast_core::engine::credential::{Generation, Grant};
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::upload::spec::{OnFailure, Precondition, Target, UploadOptions};
use outlast_core::engine::wire::Method;
use outlast_core::native::source::{Abilities, Source, Wire, definition};
use outlast_core::native::{
    Bytes, Client, ClientOptions, Endpoints, Notices, Outcome, Session, SessionSpec, SourceSpec, Upload,
    UploadSource, UploadStart,
};
use outlast_core::{Error, ErrorKind, Retry};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::script::{self, CloudSetup, Expect, Failing, Kind, Shape, Sign, Step, Supply};

/// No step waits longer.
const LIMIT: Duration = Duration::from_mins(2);
const PROFILE: &str = "LAB";
/// Streams are read in uneven pieces.
const PIECE: usize = 70_001;

type Told = Result<(), String>;

pub(crate) struct Stage {
    cloud: Cloud,
    control: Control,
    dir: tempfile::TempDir,
    client: Client,
    profile: Profile,
    session: Option<Session>,
    upload: Option<Running>,
    host: Arc<Host>,
    generation: Generation,
}

struct Running {
    upload: Result<Upload, Error>,
    notices: Notices,
    events: BTreeMap<&'static str, u64>,
    began: Instant,
}

impl Stage {
    pub(crate) fn new(setup: &CloudSetup) -> Result<Stage, String> {
        let cloud = Cloud::start(Config::default()).map_err(text)?;
        let control = cloud.control();
        let dir = tempfile::tempdir().map_err(text)?;
        change(&control, &setup.settings)?;
        for fault in &setup.faults {
            control.add_fault(fault.clone());
        }
        let profile = login(&control, &dir, &setup.login)?;
        control.advance_clock(Duration::from_secs(setup.clock.advance_s));
        let options = ClientOptions { state_dir: Some(dir.path().join("state")), ..ClientOptions::default() };
        let client = Client::new(options).map_err(text)?;
        let host = Arc::new(Host::new(control.clone()));
        let (session, upload, generation) = (None, None, Generation(0));
        Ok(Stage { cloud, control, dir, client, profile, session, upload, host, generation })
    }

    pub(crate) fn close(self) -> Told {
        self.client.close(Duration::from_secs(30)).map_err(|error| format!("close: {error}"))
    }

    pub(crate) fn take(&mut self, step: &Step) -> Told {
        match step {
            Step::Open { kind, profile, name, sessions, wait_for_login_ms, supply, expect } => {
                let wait = Duration::from_millis(*wait_for_login_ms);
                let named = match kind {
                    Kind::Defined => name.as_deref().ok_or("a defined session needs its name")?,
                    _ => profile.as_deref().unwrap_or(PROFILE),
                };
                if let Some(sessions) = sessions {
                    self.write_sessions(sessions)?;
                }
                let opened = self.open(*kind, named, wait, *supply);
                let status = opened.as_ref().map_or_else(|error| error.kind().name(), |_| "ok");
                let wanted = expect.as_ref().map_or("ok", |expect| &expect.status);
                if status != wanted {
                    return Err(format!("opened with {status}, expected {wanted}: {:?}", opened.err()));
                }
                self.session = opened.ok();
            }
            Step::Start { object, bucket, source, options } => {
                self.start(object, bucket.as_deref(), source, options)?;
            }
            Step::Await { event, count } => self.running()?.until(Some((event, *count)))?,
            Step::Cancel { on_failure } => self.uploading()?.cancel(failing(*on_failure)),
            Step::Pause {} => self.uploading()?.pause(),
            Step::Resume {} => self.uploading()?.resume(),
            Step::Wait { expect } => self.running()?.wait(expect)?,
            Step::Supply { answer } => self.host.choose(*answer),
            Step::Touch {} => self.session()?.touch(),
            Step::Token {} => self.token()?,
            Step::Sign(sign) => self.sign(sign)?,
            Step::Reject {} => self.session()?.reject(self.generation),
            Step::Login(more) => self.profile = login(&self.control, &self.dir, more)?,
            Step::Control { path, body } if path == "settings" => change(&self.control, body)?,
            Step::Control { path, body } if path == "fault/remove" => {
                self.control.remove_faults(body.get("id").and_then(Value::as_u64));
            }
            Step::Control { path, .. } => return Err(format!("unknown control {path}")),
            Step::Check { objects, uploads, stats, supplied } => {
                if let Some(objects) = objects {
                    self.check_objects(objects)?;
                }
                if let Some(uploads) = uploads {
                    uploads.compare("uploads", self.control.uploads().len() as u64)?;
                }
                if let Some(supplied) = supplied {
                    supplied.compare("supplied", self.host.supplied.load(Ordering::Relaxed))?;
                }
                let found = serde_json::to_value(self.control.stats()).map_err(text)?;
                for (name, bounds) in stats {
                    let counter = found[name].as_u64().ok_or_else(|| format!("no counter {name}"))?;
                    bounds.compare(name, counter)?;
                }
            }
        }
        Ok(())
    }

    fn session(&self) -> Result<&Session, String> {
        self.session.as_ref().ok_or_else(|| "no session".into())
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        self.upload.as_mut().ok_or_else(|| "no upload".into())
    }

    fn uploading(&mut self) -> Result<&Upload, String> {
        self.running()?.upload.as_ref().map_err(ToString::to_string)
    }

    fn open(
        &self,
        kind: Kind,
        named: &str,
        wait: Duration,
        supply: Option<Supply>,
    ) -> Result<Session, Error> {
        let endpoints = Endpoints { storage: self.cloud.endpoint(), auth: self.cloud.auth_endpoint() };
        let source = match (kind, supply) {
            (Kind::Supplied, Some(answer)) => {
                self.host.choose(answer);
                self.host.key_file.lock().expect("no holder panics").clone_from(&self.profile.key_file);
                SourceSpec::Custom(Arc::<Host>::clone(&self.host))
            }
            (Kind::Supplied, None) => {
                return Err(Error::new(ErrorKind::InvalidInput, "nothing to supply"));
            }
            (Kind::Profile, _) => self.source(named)?,
            (Kind::Defined, _) => SourceSpec::Defined {
                def: Box::new(definition(named, Some(&self.sessions_file()), false)?),
                vault_key: None,
            },
        };
        self.client.session(SessionSpec { source, endpoints, wait_for_login: wait, timer: false })
    }

    fn sessions_file(&self) -> PathBuf {
        self.dir.path().join("sessions.conf")
    }

    /// It may hold secrets, so it is its owner's alone.
    fn write_sessions(&self, text: &str) -> Told {
        let text_of_file = text.replace("{endpoint}", &self.cloud.endpoint());
        std::fs::write(self.sessions_file(), text_of_file).map_err(self::text)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.sessions_file(), mode).map_err(self::text)
    }

    /// What a profile of the configuration file comes to.
    fn source(&self, profile: &str) -> Result<SourceSpec, Error> {
        let overrides = Overrides {
            config_file: Some(self.profile.config_file.clone()),
            profile: Some(profile.to_owned()),
            endpoint: Some(self.cloud.endpoint()),
            ..Overrides::default()
        };
        let read = |path: &std::path::Path| match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::new(ErrorKind::Config, error.to_string())),
        };
        let around = Surroundings { env: &|_| None, read: &read, home: None };
        Ok(match Settings::resolve(&overrides, &around)?.identity {
            Identity::Session(session) => SourceSpec::OciSessionFiles {
                key_file: session.key_file,
                key_passphrase: session.passphrase,
                token_file: session.token_file,
                write: true,
                title: format!("the session of profile {profile}"),
            },
            Identity::ApiKey(identity) => {
                let KeySource::File(path) = &identity.key else {
                    return Err(Error::new(ErrorKind::Config, "the cloud writes keys to files"));
                };
                SourceSpec::OciApiKey { key_id: identity.key_id(), key: Arc::new(read_key(path)?) }
            }
        })
    }

    fn start(
        &mut self,
        object: &str,
        bucket: Option<&str>,
        source: &script::Source,
        options: &script::Options,
    ) -> Told {
        let content: Vec<u8> =
            (0..source.bytes).map(|at| low(source.seed + at + 7 * (at >> 8) + 13 * (at >> 16))).collect();
        let path = self.dir.path().join(format!("source-{}-{}", source.seed, source.bytes));
        if matches!(source.kind, Shape::Path | Shape::Fd) && !path.exists() {
            std::fs::write(&path, &content).map_err(text)?;
        }
        let name = path.display().to_string();
        let what = match source.kind {
            Shape::Path => UploadSource::Path(path),
            Shape::Fd => UploadSource::File { file: std::fs::File::open(&path).map_err(text)?, name },
            Shape::Bytes => UploadSource::Bytes { bytes: Bytes::from(content), name },
            Shape::Stream => {
                UploadSource::Reader { reader: Box::new(Pieces(std::io::Cursor::new(content))), name }
            }
            // Whoever pushes in Rust has a pipe: any Read is a source.
            Shape::Writer => {
                let (reader, mut writer) = std::io::pipe().map_err(text)?;
                std::thread::spawn(move || {
                    content.chunks(PIECE).try_for_each(|piece| writer.write_all(piece))
                });
                UploadSource::Reader { reader: Box::new(reader), name }
            }
        };
        let precondition = match (&options.if_match, options.no_overwrite) {
            (Some(etag), _) => Precondition::Etag(etag.clone()),
            (None, true) => Precondition::Absent,
            (None, false) => Precondition::None,
        };
        let options = UploadOptions {
            part_size: options.part_size_bytes,
            parallel: options.parallel_upload_count,
            single: options.no_multipart,
            precondition,
            on_failure: failing(options.on_failure),
            ..UploadOptions::default()
        };
        let bucket = bucket.unwrap_or("mybucket").to_owned();
        let target = Target { namespace: "labns".into(), bucket, object: object.to_owned() };
        let notices = self.client.subscribe();
        let began = Instant::now();
        let upload = self.client.upload(self.session()?, what, target, options, UploadStart::default());
        self.upload = Some(Running { upload, notices, events: BTreeMap::new(), began });
        Ok(())
    }

    fn token(&mut self) -> Told {
        let lease = self.session()?.lease_blocking(LIMIT).map_err(text)?;
        let newest = self.control.token(PROFILE).map_err(text)?.0;
        self.generation = lease.generation;
        if lease.grant.credential.expose_token() == newest {
            Ok(())
        } else {
            Err("not the newest token".into())
        }
    }

    fn sign(&mut self, sign: &Sign) -> Told {
        let method = match sign.method.as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => return Err(format!("unknown method {other}")),
        };
        let session = self.session()?;
        let lease = session.lease_blocking(LIMIT).map_err(text)?;
        let url = format!("{}{}", self.cloud.endpoint(), sign.target);
        let body = sign.body.as_ref().map(String::as_bytes);
        let signed =
            session.sign_url(&lease, method, &url, sign.content_type.as_deref(), body).map_err(text)?;
        let status = self.send(sign, &signed.headers).map_err(text)?;
        if status != 401 {
            session.accept(signed.generation);
        }
        if sign.newer && signed.generation <= self.generation {
            return Err(format!("still generation {}", signed.generation.0));
        }
        self.generation = signed.generation;
        if status == sign.status {
            Ok(())
        } else {
            Err(format!("status is {status}, expected {}", sign.status))
        }
    }

    /// One request on a connection of its own, as plainly as HTTP allows; the answer's status.
    fn send(
        &self,
        sign: &Sign,
        headers: &[(String, outlast_core::engine::secret::Secret<String>)],
    ) -> std::io::Result<u16> {
        let endpoint = self.cloud.endpoint();
        let host = endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "{} {} HTTP/1.1\r\nconnection: close\r\n", sign.method, sign.target)?;
        for (name, value) in headers {
            write!(stream, "{name}: {}\r\n", value.expose())?;
        }
        // A bearer token's headers say nothing of the request.
        if !headers.iter().any(|(name, _)| name == "host") {
            write!(stream, "host: {host}\r\n")?;
        }
        if let Some(kind) =
            sign.content_type.as_ref().filter(|_| !headers.iter().any(|(name, _)| name == "content-type"))
        {
            write!(stream, "content-type: {kind}\r\n")?;
        }
        write!(stream, "\r\n{}", sign.body.as_deref().unwrap_or_default())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| std::io::Error::other("no status"))
    }

    fn check_objects(&self, expected: &BTreeMap<String, String>) -> Told {
        let mut found = BTreeMap::new();
        for object in self.control.objects() {
            let bytes = self.control.object_bytes(&object.bucket, &object.name).map_err(text)?;
            let digest = format!("{:x}", Sha256::digest(&bytes));
            found.insert(object.name, digest);
        }
        if found == *expected { Ok(()) } else { Err(format!("objects are {found:?}, expected {expected:?}")) }
    }
}

impl Running {
    /// Counts events until there are so many of one kind; `None`: to the upload's last.
    fn until(&mut self, wanted: Option<(&str, u64)>) -> Told {
        let Ok(upload) = &self.upload else { return Ok(()) };
        let deadline = Instant::now() + LIMIT;
        while wanted.is_none_or(|(event, count)| self.events.get(event).is_none_or(|have| *have < count)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let notice = self.notices.next_timeout(left).ok_or("no event for two minutes")?;
            let Some(name) = name_of(&notice) else { continue };
            *self.events.entry(name).or_default() += 1;
            if matches!(&notice, Notice::Finished { upload: which, .. } if *which == upload.number()) {
                return match wanted {
                    None => Ok(()),
                    Some((event, _)) => Err(format!("the upload ended before {event}")),
                };
            }
        }
        Ok(())
    }

    fn wait(&mut self, expect: &Expect) -> Told {
        self.until(None)?;
        let (ended, resumable) = match &self.upload {
            Ok(upload) => (upload.wait_timeout(LIMIT).ok_or("it has not ended")?, upload.is_resumable()),
            Err(error) => (Err(error.clone()), false),
        };
        let status = ended.as_ref().map_or_else(|error| error.kind().name(), |_| "ok");
        if status != expect.status {
            return Err(format!("status is {status}, expected {}: {ended:?}", expect.status));
        }
        match &ended {
            Ok(outcome) => compare_outcome(outcome, expect)?,
            Err(error) => compare_failure(error, resumable, expect)?,
        }
        for (event, bounds) in &expect.events {
            bounds.compare(event, self.events.get(event.as_str()).copied().unwrap_or(0))?;
        }
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        expect.took_ms.map_or(Ok(()), |bounds| bounds.compare("took_ms", took))
    }
}

fn compare_outcome(outcome: &Outcome, expect: &Expect) -> Told {
    let numbers = [
        ("bytes", expect.bytes, outcome.size),
        ("parts", expect.parts, outcome.parts.into()),
        ("parts_reused", expect.parts_reused, outcome.parts_reused.into()),
        ("retries", expect.retries, outcome.retries.into()),
        ("refusals", expect.refusals, outcome.refusals.into()),
    ];
    for (name, bounds, found) in numbers {
        bounds.map_or(Ok(()), |bounds| bounds.compare(name, found))?;
    }
    if expect.verified.is_some_and(|wanted| wanted != outcome.verified) {
        return Err(format!("verified is {}", outcome.verified));
    }
    Ok(())
}

fn compare_failure(error: &Error, resumable: bool, expect: &Expect) -> Told {
    let retry = match error.retry() {
        Retry::Never => "never",
        Retry::Later(_) => "later",
        Retry::AfterReauth => "after-sign-in",
        Retry::Exhausted => "exhausted",
    };
    if expect.retry.as_ref().is_some_and(|wanted| wanted != retry) {
        return Err(format!("retry is {retry}: {error}"));
    }
    if expect.resumable.is_some_and(|wanted| wanted != resumable) {
        return Err(format!("resumable is {resumable}: {error}"));
    }
    let status = error.http().map_or(0, |http| http.status);
    expect.http_status.map_or(Ok(()), |bounds| bounds.compare("http_status", status))
}

/// The names of `OUTLAST_EVENT_*`; `None` for what no scenario counts.
fn name_of(notice: &Notice) -> Option<&'static str> {
    Some(match notice {
        Notice::Refreshed { .. } => "refreshed",
        Notice::Rejected { .. } => "rejected",
        Notice::Parked { .. } => "parked",
        Notice::Resumed { .. } => "resumed",
        Notice::Started { .. } => "started",
        Notice::PartStarted { .. } => "part-started",
        Notice::PartStored { .. } => "part-stored",
        Notice::Retrying { .. } => "retrying",
        Notice::PartHeld { .. } => "part-held",
        Notice::Paused { paused: true, .. } => "paused",
        Notice::Paused { paused: false, .. } => "unpaused",
        Notice::Finished { .. } => "finished",
        _ => return None,
    })
}

/// A host that supplies credentials.
struct Host {
    control: Control,
    key_file: Mutex<PathBuf>,
    signed_in: AtomicBool,
    current: Mutex<Option<Grant>>,
    supplied: AtomicU64,
}

impl Host {
    fn new(control: Control) -> Host {
        Host {
            control,
            key_file: Mutex::default(),
            signed_in: AtomicBool::new(true),
            current: Mutex::default(),
            supplied: AtomicU64::new(0),
        }
    }

    fn choose(&self, answer: Supply) {
        self.signed_in.store(answer == Supply::Fresh, Ordering::Relaxed);
    }

    fn nobody() -> Error {
        Error::new(ErrorKind::SignInNeeded, "nobody is signed in")
    }

    fn fresh(&self) -> Result<Grant, Error> {
        let broken = |error: outlast_cloud::Error| Error::new(ErrorKind::Network, error.to_string());
        self.control.refresh_file(PROFILE).map_err(broken)?;
        let token = self.control.token(PROFILE).map_err(broken)?.0;
        let key = read_key(&self.key_file.lock().expect("no holder panics"))?;
        self.supplied.fetch_add(1, Ordering::Relaxed);
        session_grant(&token, Arc::new(key))
    }
}

impl Source for Host {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: "the host's session".into(),
            remedy: "supply a credential".into(),
            can_exchange: true,
            can_store: false,
            can_sign_in: true,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let mut current = self.current.lock().expect("no holder panics");
        let now = self.control.now_ms();
        let ended = current.as_ref().is_some_and(|grant| grant.expires_at.is_some_and(|end| end.0 <= now));
        match (self.signed_in.load(Ordering::Relaxed), ended) {
            (false, true) => Err(Self::nobody()),
            (true, true) => {
                *current = Some(self.fresh()?);
                Ok(current.clone())
            }
            _ => Ok(current.clone()),
        }
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let failed = |class| move |error| ExchangeFailure { class, error, retry_after: None };
        if !self.signed_in.load(Ordering::Relaxed) {
            return Err(failed(ExchangeClass::Refused)(Self::nobody()));
        }
        let grant = self.fresh().map_err(failed(ExchangeClass::Transient))?;
        *self.current.lock().expect("no holder panics") = Some(grant.clone());
        Ok(grant)
    }
}

/// A reader that gives uneven pieces.
struct Pieces(std::io::Cursor<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(PIECE);
        self.0.read(&mut buffer[..len])
    }
}

fn login(control: &Control, dir: &tempfile::TempDir, more: &Map<String, Value>) -> Result<Profile, String> {
    let mut body = more.clone();
    body.insert("profile".into(), PROFILE.into());
    body.insert("dir".into(), json!(dir.path().join("oci")));
    if body.get("kind").is_some_and(|kind| kind == "api_key") {
        body.remove("kind");
        let request: ApiKey = serde_json::from_value(body.into()).map_err(text)?;
        return control.api_key(&request).map_err(text);
    }
    let request: Login = serde_json::from_value(body.into()).map_err(text)?;
    control.login(&request).map_err(text)
}

/// Changes the named settings and no others.
fn change(control: &Control, changes: &Map<String, Value>) -> Told {
    let mut whole = serde_json::to_value(control.settings()).map_err(text)?;
    whole.as_object_mut().ok_or("settings are an object")?.extend(changes.clone());
    let settings = serde_json::from_value(whole).map_err(text)?;
    control.change(|current| *current = settings);
    Ok(())
}

fn failing(failing: Failing) -> OnFailure {
    match failing {
        Failing::Retain => OnFailure::Retain,
        Failing::Abort => OnFailure::Abort,
    }
}

fn read_key(path: &std::path::Path) -> Result<SigningKey, Error> {
    let pem = std::fs::read(path).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
    SigningKey::from_pem(&pem, None)
}

fn low(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
