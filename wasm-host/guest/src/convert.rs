//! The engine's vocabulary in the contract's words.

use std::time::Duration;

use outlast_core::engine::command::{Notice, Renewal};
use outlast_core::engine::session::{SessionState, SessionStatus};
use outlast_core::{Error, ErrorKind, Retry};

use crate::bindings::exports::outlast::transfer::sessions as wit;
use crate::bindings::exports::outlast::transfer::types;

/// An error record.
pub(crate) fn error(error: &Error) -> types::Error {
    types::Error {
        kind: kind(error.kind()),
        retry: match error.retry() {
            Retry::Never => types::Retry::Never,
            Retry::Later(after) => types::Retry::Later(after.map(millis)),
            Retry::AfterReauth => types::Retry::AfterReauth,
            Retry::Exhausted => types::Retry::Exhausted,
        },
        message: error.to_string(),
        http: error.http().map(|http| types::HttpFacts {
            status: http.status,
            code: http.code.clone(),
            message: http.message.clone(),
            request_id: http.request_id.clone(),
            part_number: http.part_number,
        }),
    }
}

fn kind(kind: ErrorKind) -> types::ErrorKind {
    match kind {
        ErrorKind::InvalidInput => types::ErrorKind::InvalidInput,
        ErrorKind::Config => types::ErrorKind::Config,
        ErrorKind::SignInNeeded => types::ErrorKind::SignInNeeded,
        ErrorKind::Auth => types::ErrorKind::Auth,
        ErrorKind::Permission => types::ErrorKind::Permission,
        ErrorKind::NotFound => types::ErrorKind::NotFound,
        ErrorKind::Precondition => types::ErrorKind::Precondition,
        ErrorKind::Integrity => types::ErrorKind::Integrity,
        ErrorKind::SourceChanged => types::ErrorKind::SourceChanged,
        ErrorKind::Source => types::ErrorKind::Source,
        ErrorKind::Network => types::ErrorKind::Network,
        ErrorKind::Service => types::ErrorKind::Service,
        ErrorKind::Timeout => types::ErrorKind::Timeout,
        ErrorKind::State => types::ErrorKind::State,
        ErrorKind::Busy => types::ErrorKind::Busy,
        ErrorKind::Cancelled => types::ErrorKind::Cancelled,
        ErrorKind::Protocol => types::ErrorKind::Protocol,
        // Kinds that this contract does not know yet.
        _ => types::ErrorKind::Internal,
    }
}

/// A look at a session.
pub(crate) fn status(status: &SessionStatus) -> wit::SessionStatus {
    wit::SessionStatus {
        state: match status.state {
            SessionState::Empty => wit::SessionState::Empty,
            SessionState::Fresh => wit::SessionState::Fresh,
            SessionState::Advisory => wit::SessionState::Advisory,
            SessionState::Mandatory => wit::SessionState::Mandatory,
            SessionState::Parked => wit::SessionState::Parked,
            SessionState::Dead => wit::SessionState::Dead,
        },
        generation: status.generation.0,
        issued_at: status.issued_at.map(|at| at.0),
        expires_at: status.expires_at.map(|at| at.0),
        horizon: status.horizon.map(|at| at.0),
        refreshes: status.refreshes,
        last_error: status.last_error.as_ref().map(error),
    }
}

/// A notice of the one session that a driver has.
pub(crate) fn notice(notice: Notice) -> wit::Notice {
    match notice {
        Notice::Refreshed { generation, how, expires_at, .. } => wit::Notice::Refreshed(wit::Refreshed {
            generation: generation.0,
            exchanged: how == Renewal::Exchanged,
            expires_at: expires_at.map(|at| at.0),
        }),
        Notice::Rejected { generation, .. } => wit::Notice::Rejected(generation.0),
        Notice::RefreshFailed { error: why, retry_in, .. } => {
            wit::Notice::RefreshFailed(wit::RefreshFailed {
                error: error(&why),
                retry_in_ms: millis(retry_in),
            })
        }
        Notice::ChainEnded { error, .. } => {
            wit::Notice::Remark(wit::Remark { upload: None, text: error.to_string() })
        }
        Notice::HandedOver { credential, .. } => {
            wit::Notice::Remark(wit::Remark { upload: None, text: format!("handed over to {credential}") })
        }
        Notice::HorizonLearned { horizon, .. } => wit::Notice::HorizonLearned(horizon.0),
        Notice::Expiring { expires_at, .. } => wit::Notice::Expiring(expires_at.0),
        Notice::WillOutliveSession { upload, estimate, horizon, .. } => {
            wit::Notice::WillOutliveSession(wit::WillOutliveSession {
                // The component has uploads only.
                upload: upload.map_or(0, |upload| upload.0),
                estimate: estimate.0,
                horizon: horizon.0,
            })
        }
        Notice::Parked { error: why, until, .. } => {
            wit::Notice::Parked(wit::Parked { error: error(&why), until: until.map(|at| at.0) })
        }
        Notice::Resumed { .. } => wit::Notice::Resumed,
        Notice::ClockSkew { skew_ms } => wit::Notice::ClockSkew(skew_ms),
        Notice::Started { upload, upload_id, parts, part_size, found } => {
            wit::Notice::Started(wit::Started { upload: upload.0, upload_id, parts, part_size, found })
        }
        Notice::PartStarted { upload, part, generation } => {
            wit::Notice::PartStarted(wit::PartSent { upload: upload.0, part, generation: generation.0 })
        }
        Notice::PartStored { upload, part, size, reused } => {
            wit::Notice::PartStored(wit::PartStored { upload: upload.0, part, size, reused })
        }
        Notice::Retrying { upload, part, error: why, failures, retry_in } => {
            wit::Notice::Retrying(wit::Retrying {
                upload: upload.0,
                part,
                error: error(&why),
                failures,
                retry_in_ms: millis(retry_in),
            })
        }
        Notice::PartHeld { upload, part, generation } => {
            wit::Notice::PartHeld(wit::PartSent { upload: upload.0, part, generation: generation.0 })
        }
        Notice::Remark { upload, text } => {
            wit::Notice::Remark(wit::Remark { upload: upload.map(|upload| upload.0), text })
        }
        Notice::Paused { upload, paused } => wit::Notice::Paused(wit::Paused { upload: upload.0, paused }),
        Notice::Finished { upload, result, resumable } => wit::Notice::Finished(wit::Finished {
            upload: upload.0,
            error: result.err().as_ref().map(error),
            resumable,
        }),
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
