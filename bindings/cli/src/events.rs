//! `--events`: what happens, as one JSON object per line. The fields are documented in `EVENTS.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use outlast_core::Error;
use outlast_core::engine::Notice;
use outlast_core::engine::command::Renewal;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::{Outcome as Upload, Progress};
use serde_json::{Map, Value, json};

use crate::exit::{Failure, Outcome};
use crate::screen::Screen;
use crate::words;

/// Where events go. Writing is best effort: an upload does not fail for a full disk or a reader that has gone.
pub(crate) struct Events {
    sink: Mutex<Sink>,
    screen: Screen,
}

enum Sink {
    File(File),
    Stderr,
    Broken,
}

impl Events {
    /// Opens the file for appending, or stderr for `-`.
    ///
    /// Errors: usage, when the file cannot be opened.
    pub(crate) fn open(path: &Path, screen: &Screen) -> Outcome<Self> {
        let sink = if path == Path::new("-") {
            Sink::Stderr
        } else {
            let file = OpenOptions::new().append(true).create(true).open(path);
            Sink::File(file.map_err(|error| {
                Failure::usage(format!(
                    "--events {} cannot be written: {}",
                    path.display(),
                    words::place_trouble(&error)
                ))
            })?)
        };
        Ok(Events { sink: Mutex::new(sink), screen: screen.clone() })
    }

    /// Writes one event: its name, the time, and its fields.
    pub(crate) fn write(&self, name: &str, fields: Value) {
        let mut object = Map::new();
        object.insert("event".into(), name.into());
        object.insert("time_ms".into(), words::now().0.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        let line = format!("{}\n", Value::Object(object));
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match &mut *sink {
            Sink::File(file) => file.write_all(line.as_bytes()).and_then(|()| file.flush()),
            Sink::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Sink::Broken => Ok(()),
        };
        if let Err(error) = written {
            *sink = Sink::Broken;
            drop(sink);
            self.screen
                .line(&format!("Warning: events cannot be written any more ({error}); the upload goes on"));
        }
    }

    /// Writes a notice.
    pub(crate) fn notice(&self, notice: &Notice) {
        let (name, fields) = described(notice);
        self.write(name, fields);
    }

    /// Writes a look at the upload.
    pub(crate) fn progress(&self, progress: &Progress, expires_at: Option<UnixMillis>) {
        let fields = json!({
            "total_bytes": progress.total,
            "stored_bytes": progress.stored,
            "in_flight_bytes": progress.in_flight,
            "parts_total": progress.parts_total,
            "parts_stored": progress.parts_stored,
            "parts_reused": progress.parts_reused,
            "parts_in_flight": progress.parts_in_flight,
            "retries": progress.retries,
            "refusals": progress.refusals,
            "rate_bytes_per_second": whole(progress.rate),
            "eta_ms": progress.eta.map(millis),
            "parked": progress.parked,
            "expires_at_ms": expires_at.map(|at| at.0),
        });
        self.write("progress", fields);
    }
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped; a rate needs no fraction"
)]
fn whole(rate: f64) -> u64 {
    rate.clamp(0.0, 1e15) as u64
}

/// An error as an object.
pub(crate) fn error_fields(error: &Error) -> Value {
    let http = error.http();
    json!({
        "kind": error.kind().name(),
        "message": error.message(),
        "http_status": http.map(|http| http.status),
        "code": http.and_then(|http| http.code.as_deref()),
        "service_message": http.and_then(|http| http.message.as_deref()),
        "request_id": http.and_then(|http| http.request_id.as_deref()),
    })
}

/// A notice's name and fields.
fn described(notice: &Notice) -> (&'static str, Value) {
    match notice {
        Notice::Refreshed { generation, how, expires_at, .. } => (
            "refreshed",
            json!({
                "generation": generation.0,
                "how": match how { Renewal::Reloaded => "reloaded", Renewal::Exchanged => "exchanged" },
                "expires_at_ms": expires_at.map(|at| at.0),
            }),
        ),
        Notice::Rejected { generation, .. } => ("rejected", json!({ "generation": generation.0 })),
        Notice::RefreshFailed { error, retry_in, .. } => {
            ("refresh-failed", json!({ "retry_in_ms": millis(*retry_in), "error": error_fields(error) }))
        }
        Notice::HorizonLearned { horizon, .. } => ("horizon-learned", json!({ "horizon_ms": horizon.0 })),
        Notice::ChainEnded { reason, error, .. } => (
            "chain-ended",
            json!({
                "reason": reason.name(),
                "suspicious": reason.is_suspicious(),
                "error": error_fields(error),
            }),
        ),
        Notice::Expiring { expires_at, .. } => ("expiring", json!({ "expires_at_ms": expires_at.0 })),
        Notice::WillOutliveSession { estimate, horizon, .. } => {
            ("will-outlive-session", json!({ "estimate_ms": estimate.0, "horizon_ms": horizon.0 }))
        }
        Notice::HandedOver { credential, principal, estimate, horizon, .. } => (
            "handed-over",
            json!({
                "credential": credential,
                "principal": principal,
                "estimate_ms": estimate.map(|at| at.0),
                "horizon_ms": horizon.map(|at| at.0),
            }),
        ),
        Notice::Parked { error, until, .. } => {
            ("parked", json!({ "until_ms": until.map(|at| at.0), "error": error_fields(error) }))
        }
        Notice::Resumed { .. } => ("resumed", json!({})),
        Notice::ClockSkew { skew_ms } => ("clock-skew", json!({ "skew_ms": skew_ms })),
        Notice::Started { upload_id, parts, part_size, found, .. } => (
            "started",
            json!({ "upload_id": upload_id, "parts": parts, "part_size_bytes": part_size, "parts_found": found }),
        ),
        Notice::PartStarted { part, generation, .. } => {
            ("part-started", json!({ "part": part, "generation": generation.0 }))
        }
        Notice::PartStored { part, size, reused, .. } => {
            ("part-stored", json!({ "part": part, "size_bytes": size, "reused": reused }))
        }
        Notice::Retrying { part, error, failures, retry_in, .. } => (
            "retrying",
            json!({
                "part": part,
                "failures": failures,
                "retry_in_ms": millis(*retry_in),
                "error": error_fields(error),
            }),
        ),
        Notice::PartHeld { part, generation, .. } => {
            ("part-held", json!({ "part": part, "generation": generation.0 }))
        }
        Notice::Remark { text, .. } => ("remark", json!({ "text": text })),
        Notice::Paused { paused, .. } => ("paused", json!({ "paused": paused })),
        Notice::Finished { result, resumable, .. } => ("finished", finished(result, *resumable)),
    }
}

fn finished(result: &Result<Box<Upload>, Error>, resumable: bool) -> Value {
    match result {
        Ok(outcome) => json!({
            "ok": true,
            "size_bytes": outcome.size,
            "parts": outcome.parts,
            "parts_reused": outcome.parts_reused,
            "retries": outcome.retries,
            "refusals": outcome.refusals,
            "verified": outcome.verified,
            "upload_id": outcome.upload_id,
            "etag": outcome.facts.etag,
        }),
        Err(error) => json!({ "ok": false, "resumable": resumable, "error": error_fields(error) }),
    }
}
