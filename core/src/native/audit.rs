//! The record of hand-overs: who, when, for which session and work, under which credential and why; never a secret.
//!
//! One JSON object a line, appended and made durable before the credential is used. Whatever a name holds, it is one line:
//! control characters are blanked and the text is capped, and JSON does the rest.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::engine::command::HandOverRecord;
use crate::engine::error::{Error, ErrorKind, one_line};

/// An append-only file of mode 0600.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
}

impl Audit {
    /// Opens the file once, so that what is wrong with it is told before anything depends on it.
    ///
    /// Errors: `State`.
    pub(crate) fn new(path: PathBuf) -> Result<Audit, Error> {
        let audit = Audit { path };
        audit.open().map_err(|error| audit.trouble(&error))?;
        Ok(audit)
    }

    /// Appends a record and makes it durable.
    ///
    /// Errors: `State`; the record may then be there in part, and the next one begins a line of its own.
    pub(crate) fn append(&self, record: &HandOverRecord) -> Result<(), Error> {
        let line = json!({
            "event": "handed-over",
            "time_ms": record.at.0,
            "principal": one_line(&record.principal),
            "credential": one_line(&record.credential),
            "session": record.session.0,
            "work": record.work.iter().map(|work| one_line(work)).collect::<Vec<_>>(),
            "reason": record.reason,
            "estimate_ms": record.estimate.map(|at| at.0),
            "horizon_ms": record.horizon.map(|at| at.0),
            "process": std::process::id(),
        });
        self.write(&line.to_string()).map_err(|error| self.trouble(&error))
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut file = self.open()?;
        // What a crash left of a line must not swallow this one.
        let torn = file.seek(SeekFrom::End(0))? > 0 && {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        let line = format!("{}{line}\n", if torn { "\n" } else { "" });
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }

    fn open(&self) -> io::Result<File> {
        let is_new = !self.path.exists();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(&self.path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if facts.permissions().mode() & 0o077 != 0 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        if is_new {
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
            File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(file)
    }

    fn trouble(&self, error: &io::Error) -> Error {
        let message = format!("the audit log {} cannot be written: {error}", self.path.display());
        Error::new(ErrorKind::State, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SessionId;
    use crate::engine::time::UnixMillis;

    fn record(principal: &str) -> HandOverRecord {
        HandOverRecord {
            at: UnixMillis(1_772_366_400_000),
            principal: principal.to_owned(),
            credential: "nightly".to_owned(),
            session: SessionId(7),
            work: vec!["upload n/b/backup.tar".to_owned(), "job x\ny".to_owned()],
            reason: "session-ended",
            estimate: None,
            horizon: Some(UnixMillis(1_772_366_460_000)),
        }
    }

    #[test]
    fn each_record_is_a_line_of_a_private_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.ndjson");
        let audit = Audit::new(path.clone()).expect("it can be written");
        audit.append(&record("ann")).expect("it is appended");
        // A crash in the middle of a line, and a name that would like to be a line of its own.
        let mut file = OpenOptions::new().append(true).open(&path).expect("it is ours");
        file.write_all(b"{\"event\":\"han").expect("it is ours");
        let hostile = format!("eve\"}}\n{{\"principal\":\"root\u{1b}[2J{}", "x".repeat(5000));
        audit.append(&record(&hostile)).expect("it is appended");
        let text = std::fs::read_to_string(&path).expect("it is text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[1]), (3, "{\"event\":\"han"));
        for (line, who) in [(lines[0], "ann"), (lines[2], "eve\"} {\"principal\":\"root [2J")] {
            let value: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            assert!(value["principal"].as_str().expect("it is text").starts_with(who));
            assert_eq!((&value["credential"], &value["session"]), (&json!("nightly"), &json!(7)));
            assert_eq!(value["work"], json!(["upload n/b/backup.tar", "job x y"]));
            assert_eq!((&value["reason"], &value["estimate_ms"]), (&json!("session-ended"), &json!(null)));
            assert!(line.len() < 2000);
        }
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).expect("a link");
        for path in [link, dir.path().to_owned(), dir.path().join("no/such/dir")] {
            let error = Audit::new(path).expect_err("it cannot be used");
            assert_eq!(error.kind(), ErrorKind::State);
        }
    }
}
