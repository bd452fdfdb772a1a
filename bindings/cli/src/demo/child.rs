//! `outlast put` as a process of its own, and its events.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use super::stage::{BUCKET, PARALLEL, PROFILE, Stage};
use crate::exit::{Code, Failure, Outcome};

/// A running `outlast put`. Dropping it kills it.
pub(super) struct Put {
    process: Child,
    lines: Receiver<String>,
}

/// What is heard of it.
pub(super) enum Heard {
    /// An event.
    Event(Value),
    /// A line that is none, for example the last line of a failure.
    Line(String),
    /// Nothing for a while.
    Silence,
    /// It will say no more.
    End,
}

impl Put {
    /// Starts the upload; the same call resumes it.
    pub(super) fn start(stage: &Stage) -> Outcome<Put> {
        let failed = |error: std::io::Error| {
            Failure::new(Code::Failure, format!("the uploading process cannot be started: {error}"))
        };
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("put").args(["--profile", PROFILE, "--auth", "security_token", "--events", "-"]);
        command.arg("--config-file").arg(&stage.config_file);
        command.args(["--endpoint", &stage.endpoint(), "--auth-endpoint", &stage.endpoint()]);
        command.args(["--bucket-name", BUCKET, "--name", &stage.object()]).arg("--file").arg(&stage.file);
        command.args(["--part-size", &stage.part_mib.to_string()]);
        command.args(["--parallel-upload-count", &PARALLEL.to_string()]);
        command.args(["--limit-rate", &stage.rate.to_string()]);
        command.arg("--state-dir").arg(stage.dir().join("state"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OCI_") {
                command.env_remove(name);
            }
        }
        // A group of its own: Ctrl-C is for us, who then end it.
        command.env("HOME", stage.dir()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let stderr = process.stderr.take();
        let (sender, lines) = channel();
        let hear = move || {
            let Some(stderr) = stderr else { return };
            for line in BufReader::new(stderr.take(1 << 30)).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("outlast-demo".into()).spawn(hear).map_err(failed)?;
        Ok(Put { process, lines })
    }

    /// The next thing it says.
    pub(super) fn hear(&self, within: Duration) -> Heard {
        match self.lines.recv_timeout(within) {
            Ok(line) => serde_json::from_str(&line).map_or(Heard::Line(line), Heard::Event),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for its end; its exit code.
    pub(super) fn wait(&mut self) -> Option<i32> {
        self.process.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        self.kill();
    }
}
