//! The component plays `tests/scenarios`, the stories that every language of Outlast plays.
//!
//! What the component has not is skipped, and the list is printed.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{self, LONG, outlast};
use crate::host::Host;
use outlast_cloud::{Cloud, Config};
use outlast_core::engine::Notice;
use outlast_core::engine::config::{Identity, KeySource, Overrides, Settings, Surroundings};
use outlast_core::engine::credential::Generation;
use outlast_core::engine::secret::Secret;
use outlast_core::engine::upload::spec::{OnFailure, Precondition, Target, UploadOptions};
use outlast_core::engine::wire::Method;
use outlast_core::{Error, Retry};
use outlast_wasm_host::{
    Client, ClientOptions, Endpoints, Notices, Request, Session, SessionSpec, SourceSpec, Supplier, Upload,
    UploadSource,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the component can do, by the names of `outlast_has_feature`.
const FEATURES: [&str; 7] = [
    "session.oci",
    "session.sign",
    "session.supplied",
    "session.token",
    "upload.path",
    "upload.pause",
    "upload.read",
];
/// Scenarios played at once; they wait most of the time.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_component_plays_the_scenarios() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("its entries").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(files.len() >= 20, "only {} scenarios", files.len());
    outlast();
    let permits = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut plays = Vec::new();
    let (mut played, mut skipped) = (0, 0);
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("a scenario");
        let scenario: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let needs = list(&scenario["needs"]);
        if let Some(missing) = needs.iter().find(|need| !FEATURES.iter().any(|feature| need == feature)) {
            skipped += 1;
            println!("skipped {name} the component has no {}", missing.as_str().unwrap_or_default());
            continue;
        }
        let permits = Arc::clone(&permits);
        let play = tokio::spawn(async move {
            let _permit = permits.acquire().await;
            play(&scenario).await;
        });
        plays.push((name, play));
    }
    let mut failed = Vec::new();
    for (name, play) in plays {
        match play.await {
            Ok(()) => {
                played += 1;
                println!("played {name}");
            }
            Err(_) => failed.push(name),
        }
    }
    println!("{played} played, {skipped} skipped");
    assert!(failed.is_empty(), "failed: {failed:?}");
    assert!(played >= 24, "only {played} were played");
}

async fn play(scenario: &Value) {
    known("a scenario", scenario, &["name", "about", "needs", "cloud", "steps"]);
    let name = text(&scenario["name"]);
    let mut stage = Stage::new(&scenario["cloud"]).await;
    for (at, step) in list(&scenario["steps"]).iter().enumerate() {
        let step_name = format!("{name}, step {} ({})", at + 1, text(&step["do"]));
        stage.at = step_name;
        stage.step(step).await;
    }
}

/// One cloud, one client, and what the steps leave for each other.
struct Stage {
    cloud: Cloud,
    dir: tempfile::TempDir,
    profile: Value,
    client: Client,
    notices: Notices,
    host: Arc<Host>,
    session: Option<Session>,
    generation: Generation,
    upload: Option<Result<Upload, Error>>,
    began: Instant,
    events: BTreeMap<&'static str, u64>,
    /// Where we are, for messages.
    at: String,
}

impl Stage {
    async fn new(setup: &Value) -> Stage {
        known("cloud", setup, &["settings", "faults", "login", "clock"]);
        let cloud = Cloud::start(Config::default()).expect("loopback ports are free");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = ClientOptions { state_dir: Some(dir.path().join("state")), ..ClientOptions::default() };
        let client = Client::new(outlast(), options).expect("the options are sound");
        let notices = client.subscribe();
        let host = Arc::new(Host {
            control: cloud.control(),
            key_file: Mutex::default(),
            signed_in: AtomicBool::new(true),
            supplied: AtomicU64::new(0),
        });
        let mut stage = Stage {
            host,
            cloud,
            dir,
            profile: Value::Null,
            client,
            notices,
            session: None,
            generation: Generation(0),
            upload: None,
            began: common::now(),
            events: BTreeMap::new(),
            at: "setting up".into(),
        };
        if !setup["settings"].is_null() {
            stage.control("settings", Some(&setup["settings"])).await;
        }
        for fault in setup["faults"].as_array().into_iter().flatten() {
            stage.control("fault", Some(fault)).await;
        }
        stage.login(&setup["login"]).await;
        if !setup["clock"].is_null() {
            stage.control("clock", Some(&setup["clock"])).await;
        }
        stage
    }

    async fn step(&mut self, step: &Value) {
        let keys = |allowed: &[&str]| known(&self.at, step, &[&["do"], allowed].concat());
        match text(&step["do"]) {
            "open" => {
                keys(&["kind", "profile", "wait_for_login_ms", "supply", "expect"]);
                self.open(step).await;
            }
            "start" => {
                keys(&["object", "bucket", "source", "options"]);
                self.start(step).await;
            }
            "await" => {
                keys(&["event", "count"]);
                let (event, count) = (text(&step["event"]), step["count"].as_u64().expect("a count"));
                self.hear(Some((event, count))).await;
            }
            "cancel" => {
                keys(&["on_failure"]);
                self.running().cancel(on_failure(&step["on_failure"]));
            }
            "pause" => self.running().pause(),
            "resume" => self.running().resume(),
            "wait" => {
                keys(&["expect"]);
                self.wait(&step["expect"]).await;
            }
            "token" => {
                let (generation, token) = self.session().token().await.expect("a usable credential");
                let newest = self.control("token?profile=LAB", None).await;
                assert_eq!(token.expose(), text(&newest["token"]), "{}: not the newest token", self.at);
                assert!(generation >= self.generation);
            }
            "sign" => {
                keys(&["method", "target", "content_type", "body", "status", "newer"]);
                self.sign(step).await;
            }
            "reject" => self.session().reject(self.generation),
            "supply" => {
                keys(&["answer"]);
                self.host.choose(&step["answer"]);
            }
            // A host that has one again does not wait to be asked.
            "touch" => {
                let credential = self.host.credential().expect("somebody has signed in");
                self.session().supply(credential).await.expect("the component lives");
            }
            "login" => self.login(step).await,
            "control" => {
                keys(&["path", "body"]);
                self.control(text(&step["path"]), Some(&step["body"])).await;
            }
            "check" => {
                keys(&["objects", "uploads", "stats", "supplied"]);
                self.check(step).await;
            }
            other => panic!("{}: unknown step {other}", self.at),
        }
    }

    fn session(&self) -> &Session {
        self.session.as_ref().unwrap_or_else(|| panic!("{}: no session", self.at))
    }

    fn running(&self) -> &Upload {
        match &self.upload {
            Some(Ok(upload)) => upload,
            Some(Err(error)) => panic!("{}: {error}", self.at),
            None => panic!("{}: no upload", self.at),
        }
    }

    async fn login(&mut self, keys: &Value) {
        let mut body =
            json!({ "profile": "LAB", "dir": self.dir.path().join("oci"), "key_pem": common::key_pem() });
        let mut path = "login";
        for (key, value) in keys.as_object().into_iter().flatten() {
            match key.as_str() {
                "do" => {}
                "kind" if value == "api_key" => path = "api_key",
                _ => body[key] = value.clone(),
            }
        }
        self.profile = self.control(path, Some(&body)).await;
        *self.host.key_file.lock().expect("no holder panics") = text(&self.profile["key_file"]).into();
    }

    async fn open(&mut self, step: &Value) {
        self.session = None;
        let wait_for_login = Duration::from_millis(step["wait_for_login_ms"].as_u64().unwrap_or(0));
        let profile = step["profile"].as_str().unwrap_or("LAB");
        let spec = match text(&step["kind"]) {
            "profile" => self.spec(profile, wait_for_login),
            "supplied" => {
                self.host.choose(&step["supply"]);
                let host = Arc::clone(&self.host);
                let supplier = Supplier::new(move || std::future::ready(host.credential()));
                let source = SourceSpec::Supplied(supplier);
                Ok(SessionSpec { source, endpoints: self.endpoints(), wait_for_login })
            }
            other => panic!("{}: unknown kind {other}", self.at),
        };
        let status = match spec {
            Ok(spec) => match self.client.session(spec).await {
                Ok(session) => {
                    self.session = Some(session);
                    "ok"
                }
                Err(error) => error.kind().name(),
            },
            Err(error) => error.kind().name(),
        };
        assert_eq!(status, step["expect"]["status"].as_str().unwrap_or("ok"), "{}", self.at);
    }

    /// What a host application does with a profile of the configuration file.
    fn spec(&self, profile: &str, wait_for_login: Duration) -> Result<SessionSpec, Error> {
        let overrides = Overrides {
            config_file: Some(text(&self.profile["config_file"]).into()),
            profile: Some(profile.to_owned()),
            endpoint: Some(self.cloud.endpoint()),
            auth_endpoint: Some(self.cloud.auth_endpoint()),
            ..Overrides::default()
        };
        let read = |path: &Path| Ok(std::fs::read_to_string(path).ok());
        let around = Surroundings { env: &|_| None, read: &read, home: None };
        let source = match Settings::resolve(&overrides, &around)?.identity {
            Identity::Session(session) => SourceSpec::OciSessionFiles {
                key_file: session.key_file,
                key_passphrase: session.passphrase,
                token_file: session.token_file,
                write: true,
            },
            Identity::ApiKey(api) => {
                let KeySource::File(path) = &api.key else { panic!("the key is in a file") };
                let key = std::fs::read_to_string(path).expect("the key file");
                let key = Secret::new(key);
                SourceSpec::OciApiKey { key_id: api.key_id(), key, key_passphrase: api.passphrase.clone() }
            }
        };
        Ok(SessionSpec { source, endpoints: self.endpoints(), wait_for_login })
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { storage: self.cloud.endpoint(), auth: self.cloud.auth_endpoint() }
    }

    async fn start(&mut self, step: &Value) {
        let (source, chosen) = (&step["source"], &step["options"]);
        known(&self.at, source, &["kind", "bytes", "seed"]);
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} is no number"));
        let (size, seed) = (number(&source["bytes"]), number(&source["seed"]));
        let source = match text(&source["kind"]) {
            "path" => {
                let path = self.dir.path().join(format!("source-{seed}-{size}"));
                if !path.exists() {
                    std::fs::write(&path, content(size, seed)).expect("the directory is ours");
                }
                UploadSource::Path(path)
            }
            "stream" => {
                let reader = Box::new(std::io::Cursor::new(content(size, seed)));
                UploadSource::Reader { reader, name: "stream".into() }
            }
            other => panic!("{}: unknown source {other}", self.at),
        };
        let mut options = UploadOptions::default();
        for (key, value) in chosen.as_object().into_iter().flatten() {
            match key.as_str() {
                "part_size_bytes" => options.part_size = number(value),
                "parallel_upload_count" => options.parallel = u32::try_from(number(value)).expect("a count"),
                "no_multipart" => options.single = value == true,
                "no_overwrite" if value == true => options.precondition = Precondition::Absent,
                "if_match" => options.precondition = Precondition::Etag(text(value).to_owned()),
                "on_failure" => options.on_failure = on_failure(value),
                _ => panic!("{}: unknown option {key}", self.at),
            }
        }
        let bucket = step["bucket"].as_str().unwrap_or(&self.cloud.config().buckets[0]).to_owned();
        let namespace = self.cloud.config().namespace.clone();
        let target = Target { namespace, bucket, object: text(&step["object"]).to_owned() };
        self.events.clear();
        while self.notices.try_next().is_some() {}
        self.began = common::now();
        self.upload = Some(self.client.upload(self.session(), source, target, options).await);
    }

    /// Counts events until so many of one kind have come, or until the upload has ended.
    async fn hear(&mut self, wanted: Option<(&str, u64)>) {
        if matches!(self.upload, Some(Err(_))) {
            return;
        }
        let is_there = |events: &BTreeMap<&str, u64>| {
            wanted.is_some_and(|(event, count)| events.get(event).copied().unwrap_or(0) >= count)
        };
        while !is_there(&self.events) {
            let told = tokio::time::timeout(LONG, self.notices.next()).await;
            let told = told.unwrap_or_else(|_| panic!("{}: nothing happened: {:?}", self.at, self.events));
            let name = event(&told.expect("the client lives"));
            *self.events.entry(name).or_default() += 1;
            if name == "finished" {
                assert!(wanted.is_none() || is_there(&self.events), "{}: the upload ended before", self.at);
                return;
            }
        }
    }

    async fn wait(&mut self, expect: &Value) {
        self.hear(None).await;
        let mut found = json!({ "status": "ok", "took_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX) });
        let ended = match self.upload.as_ref().expect("an upload") {
            Ok(upload) => (common::wait(upload).await, upload.is_resumable()),
            Err(error) => (Err(error.clone()), false),
        };
        let mut said = String::new();
        match ended {
            (Ok(outcome), _) => {
                found["bytes"] = outcome.size.into();
                found["parts"] = outcome.parts.into();
                found["parts_reused"] = outcome.parts_reused.into();
                found["retries"] = outcome.retries.into();
                found["refusals"] = outcome.refusals.into();
                found["verified"] = outcome.verified.into();
            }
            (Err(error), resumable) => {
                said = error.to_string();
                found["status"] = error.kind().name().into();
                found["resumable"] = resumable.into();
                found["http_status"] = error.http().map(|http| http.status).into();
                found["retry"] = match error.retry() {
                    Retry::Never => "never",
                    Retry::Later(_) => "later",
                    Retry::AfterReauth => "after-sign-in",
                    Retry::Exhausted => "exhausted",
                }
                .into();
            }
        }
        for (name, wanted) in expect.as_object().expect("expectations") {
            if name == "events" {
                for (kind, number) in wanted.as_object().expect("events") {
                    let count = self.events.get(kind.as_str()).copied().unwrap_or(0);
                    self.compare(&format!("events {kind}"), &count.into(), number);
                }
            } else {
                let have = found.get(name).unwrap_or_else(|| panic!("{}: no {name} ({said})", self.at));
                self.compare(&format!("{name} ({said})"), have, wanted);
            }
        }
    }

    async fn sign(&mut self, step: &Value) {
        let method = match text(&step["method"]) {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            other => panic!("{}: unknown method {other}", self.at),
        };
        let body = step["body"].as_str().map(|body| body.as_bytes().to_vec());
        let request = Request {
            method,
            host: self.host(),
            target: text(&step["target"]).to_owned(),
            body: body.clone(),
            content_type: step["content_type"].as_str().map(str::to_owned),
        };
        let signed = self.session().sign(request).await.expect("a usable credential");
        assert!(step["newer"] != true || signed.generation > self.generation, "{}: not newer", self.at);
        self.generation = signed.generation;
        let headers: Vec<(String, String)> =
            signed.headers.iter().map(|(name, value)| (name.clone(), value.expose().clone())).collect();
        let (status, _) =
            self.http(text(&step["method"]), text(&step["target"]), &headers, body.unwrap_or_default()).await;
        if status != 401 {
            self.session().accept(signed.generation);
        }
        self.compare("status", &status.into(), &step["status"]);
    }

    async fn check(&self, step: &Value) {
        if let Some(wanted) = step.get("objects") {
            let mut found = json!({});
            for object in list(&self.control("objects", None).await) {
                let (bucket, name) = (text(&object["bucket"]), text(&object["name"]));
                let target = format!("/_control/bytes?bucket={bucket}&name={name}");
                let (status, bytes) = self.http("GET", &target, &[], Vec::new()).await;
                assert_eq!(status, 200, "{}: {target}", self.at);
                found[name] = format!("{:x}", Sha256::digest(&bytes)).into();
            }
            assert_eq!(found, *wanted, "{}", self.at);
        }
        if let Some(wanted) = step.get("uploads") {
            let found = list(&self.control("uploads", None).await).len();
            self.compare("uploads", &found.into(), wanted);
        }
        if let Some(wanted) = step.get("supplied") {
            self.compare("supplied", &self.host.supplied.load(Ordering::Relaxed).into(), wanted);
        }
        let stats = self.control("stats", None).await;
        for (name, number) in step["stats"].as_object().into_iter().flatten() {
            self.compare(&format!("stats {name}"), &stats[name], number);
        }
    }

    fn compare(&self, what: &str, found: &Value, wanted: &Value) {
        let agrees = match wanted.as_object() {
            Some(range) => {
                known(what, wanted, &["at_least", "at_most"]);
                let found = found.as_u64().unwrap_or_else(|| panic!("{}: {what}: {found}", self.at));
                let bound = |name: &str| range.get(name).and_then(Value::as_u64);
                bound("at_least").is_none_or(|least| found >= least)
                    && bound("at_most").is_none_or(|most| found <= most)
            }
            None => found == wanted,
        };
        assert!(agrees, "{}: {what} is {found}, expected {wanted}; told: {:?}", self.at, self.events);
    }

    fn host(&self) -> String {
        self.cloud.endpoint().trim_start_matches("http://").to_owned()
    }

    async fn control(&self, path: &str, body: Option<&Value>) -> Value {
        let (method, body) = match body {
            Some(body) => ("POST", body.to_string().into_bytes()),
            None => ("GET", Vec::new()),
        };
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let (status, answer) = self.http(method, &format!("/_control/{path}"), &headers, body).await;
        let words = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{}: {path}: {words}", self.at);
        serde_json::from_str(&words).unwrap_or_else(|error| panic!("{path}: {error}: {words}"))
    }

    /// One request to the cloud, by a client that is none of ours.
    async fn http(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        let host = self.host();
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers.iter().filter(|(name, _)| name != "host" && name != "content-length") {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = body.len().to_string();
        head.extend(["host: ", &host, "\r\ncontent-length: ", &length, "\r\n\r\n"]);
        let method = method.to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(host).expect("the cloud listens");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).expect("it is read");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("it answers");
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
            let status = std::str::from_utf8(&answer[9..12]).expect("a status").parse().expect("a status");
            let content = if method == "HEAD" { Vec::new() } else { answer.split_off(end) };
            (status, content)
        });
        asked.await.expect("no panic")
    }
}

fn on_failure(value: &Value) -> OnFailure {
    match text(value) {
        "retain" => OnFailure::Retain,
        "abort" => OnFailure::Abort,
        other => panic!("unknown on_failure {other}"),
    }
}

/// The pattern of the sources: parts that change places are noticed.
fn content(size: u64, seed: u64) -> Vec<u8> {
    (0..size).map(|at| (seed + at + 7 * (at / 256) + 13 * (at / 65_536)).to_le_bytes()[0]).collect()
}

/// Notices by the names of events.
fn event(notice: &Notice) -> &'static str {
    match notice {
        Notice::Refreshed { .. } => "refreshed",
        Notice::Rejected { .. } => "rejected",
        Notice::RefreshFailed { .. } => "refresh-failed",
        Notice::HorizonLearned { .. } => "horizon-learned",
        Notice::Expiring { .. } => "expiring",
        Notice::WillOutliveSession { .. } => "will-outlive-session",
        Notice::Parked { .. } => "parked",
        Notice::Resumed { .. } => "resumed",
        Notice::ChainEnded { .. } => "chain-ended",
        Notice::ClockSkew { .. } => "clock-skew",
        Notice::Started { .. } => "started",
        Notice::PartStarted { .. } => "part-started",
        Notice::PartStored { .. } => "part-stored",
        Notice::Retrying { .. } => "retrying",
        Notice::PartHeld { .. } => "part-held",
        Notice::Remark { .. } => "remark",
        Notice::Paused { paused: true, .. } => "paused",
        Notice::Paused { paused: false, .. } => "unpaused",
        Notice::HandedOver { .. } => "handed-over",
        Notice::Finished { .. } => "finished",
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or_else(|| panic!("{value} is no list"), Vec::as_slice)
}

/// A misspelt expectation must not pass in silence.
fn known(what: &str, value: &Value, keys: &[&str]) {
    for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
        assert!(keys.contains(&key.as_str()), "{what}: unknown key {key}");
    }
}
