//! A loopback cloud, a directory, and the built binary.
#![allow(dead_code, reason = "each test binary uses its share")]

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::OnceLock;

use outlast_cloud::{ApiKey, Cloud, Config, Control, Login};
use serde_json::Value;
use tempfile::TempDir;

/// Profile of a session.
pub(crate) const SESSION: &str = "LAB";
/// Profile of an API key.
pub(crate) const KEY: &str = "KEY";
/// The bucket that exists.
pub(crate) const BUCKET: &str = "mybucket";

/// A cloud with a session and an API key, and a directory that takes the part of home.
pub(crate) struct Lab {
    pub(crate) cloud: Cloud,
    pub(crate) dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    /// With tokens of an hour.
    pub(crate) fn new() -> Lab {
        Lab::with(Config::default())
    }

    /// With a cloud of one's own.
    pub(crate) fn with(config: Config) -> Lab {
        let cloud = Cloud::start(config).expect("the loopback cloud starts");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let lab = Lab { cloud, dir };
        lab.write_profiles();
        lab
    }

    /// Writes both profiles, with a sign-in of this moment.
    pub(crate) fn write_profiles(&self) {
        let key_pem = Some(key_pem().to_owned());
        let api_key = ApiKey { key_pem, ..ApiKey::new(KEY, self.path(".oci")) };
        let profile = self.control().api_key(&api_key).expect("an API key");
        self.file("key-id", profile.key_id.expect("an API key has one"));
        self.sign_in();
    }

    /// Signs in (again), with the lifetimes of the cloud.
    pub(crate) fn sign_in(&self) {
        self.sign_in_as(Login::new(SESSION, self.path(".oci")));
    }

    /// Signs in as the request says, with a key that is at hand.
    pub(crate) fn sign_in_as(&self, login: Login) {
        self.control().login(&login.key_pem(key_pem())).expect("signing in");
    }

    pub(crate) fn control(&self) -> Control {
        self.cloud.control()
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the directory is ours");
        path
    }

    /// The binary, in a clean environment.
    pub(crate) fn outlast(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// The arguments that lead to the cloud.
    pub(crate) fn way(&self, profile: &str) -> Vec<OsString> {
        let endpoint = self.cloud.endpoint();
        ["--profile", profile, "--endpoint", &endpoint, "--auth-endpoint", &endpoint, "--state-dir", "state"]
            .map(OsString::from)
            .to_vec()
    }

    /// `outlast put` of a file under a profile, with further arguments.
    pub(crate) fn put(&self, profile: &str, file: &Path, more: &[&str]) -> Command {
        let mut command = self.outlast();
        command.arg("put").args(self.way(profile)).args(["-bn", BUCKET]).arg("--file").arg(file).args(more);
        command
    }

    /// The bytes of an object.
    pub(crate) fn object(&self, name: &str) -> Vec<u8> {
        self.control().object_bytes(BUCKET, name).expect("the object is there")
    }
}

/// A key for all, since making one takes its time.
fn key_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cloud = Cloud::start(Config::default()).expect("the loopback cloud starts");
        let profile = cloud.control().api_key(&ApiKey::new(KEY, dir.path())).expect("an API key");
        std::fs::read_to_string(profile.key_file).expect("it was just written")
    })
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    ended(&command.output().expect("the binary runs"))
}

/// Runs a command that reads stdin.
pub(crate) fn run_with_stdin(command: &mut Command, bytes: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // It may refuse before it reads.
    let _ = stdin.write_all(bytes);
    drop(stdin);
    ended(&child.wait_with_output().expect("the binary ends"))
}

pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ended {
    /// The result on stdout, after success.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one line of a failure.
    #[track_caller]
    pub(crate) fn line(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        let mut lines = self.stderr.lines().filter(|line| line.starts_with("outlast: "));
        let line = lines.next().unwrap_or_else(|| panic!("no line: {self:?}"));
        assert_eq!(lines.next(), None, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        line
    }

    /// The events of `--events -`.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A running command whose events are heard one by one.
pub(crate) struct Running {
    pub(crate) process: Child,
    lines: BufReader<ChildStderr>,
    pub(crate) heard: Vec<Value>,
}

impl Running {
    /// Starts a command that has `--events -`.
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(process.stderr.take().expect("stderr is a pipe"));
        Running { process, lines, heard: Vec::new() }
    }

    /// Waits for an event that fits.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.lines.read_line(&mut line).expect("stderr is text");
            assert!(read > 0, "the command ended without that event: {:?}", self.heard);
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            self.heard.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    /// Waits for so many stored parts.
    #[track_caller]
    pub(crate) fn wait_for_parts(&mut self, count: usize) {
        for _ in 0..count {
            self.wait_for(|event| event["event"] == "part-stored");
        }
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let done = Command::new("kill").args([OsStr::new("-s"), OsStr::new(name), OsStr::new(&id)]).status();
        assert!(done.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut rest).expect("stderr is text");
        let output = self.process.wait_with_output().expect("the binary ends");
        Ended { stderr: rest, ..ended(&output) }
    }
}

/// Bytes without a pattern, the same each time.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut step).flatten().take(count).collect()
}
