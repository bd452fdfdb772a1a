//! The contract's words in the engine's vocabulary, which is that of `core::native` too, and back.

use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::command::Renewal;
use outlast_core::engine::credential::Generation;
use outlast_core::engine::session::{SessionState, SessionStatus};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, Integrity, OnFailure, Precondition, StorageTier, Target, UploadOptions,
};
use outlast_core::engine::upload::{Outcome, Progress};
use outlast_core::engine::wire::Method;
use outlast_core::engine::wire::oci::ObjectFacts;
use outlast_core::engine::{SessionId, UploadId};
use outlast_core::{Error, ErrorKind, HttpFacts, Retry};

use crate::bindings::{sessions, types, uploads};

/// What the component reports as a failure.
pub(crate) fn error(error: types::Error) -> Error {
    let kind = kind(error.kind);
    let retry = match error.retry {
        types::Retry::Never => Retry::Never,
        types::Retry::Later(after) => Retry::Later(after.map(Duration::from_millis)),
        types::Retry::AfterReauth => Retry::AfterReauth,
        types::Retry::Exhausted => Retry::Exhausted,
    };
    let http = error.http.map(|http| HttpFacts {
        status: http.status,
        code: http.code,
        message: http.message,
        request_id: http.request_id,
        retry_after: None,
        part_number: http.part_number,
    });
    let Some(http) = http else { return Error::new(kind, error.message).with_retry(retry) };
    // The line carries the service's words at its end; ours puts them there again.
    let words = Error::new(kind, "").with_http(http.clone()).to_string();
    let message = error.message.strip_suffix(&words).unwrap_or(&error.message);
    Error::new(kind, message).with_retry(retry).with_http(http)
}

fn kind(kind: types::ErrorKind) -> ErrorKind {
    match kind {
        types::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        types::ErrorKind::Config => ErrorKind::Config,
        types::ErrorKind::SignInNeeded => ErrorKind::SignInNeeded,
        types::ErrorKind::Auth => ErrorKind::Auth,
        types::ErrorKind::Permission => ErrorKind::Permission,
        types::ErrorKind::NotFound => ErrorKind::NotFound,
        types::ErrorKind::Precondition => ErrorKind::Precondition,
        types::ErrorKind::Integrity => ErrorKind::Integrity,
        types::ErrorKind::SourceChanged => ErrorKind::SourceChanged,
        types::ErrorKind::Source => ErrorKind::Source,
        types::ErrorKind::Network => ErrorKind::Network,
        types::ErrorKind::Service => ErrorKind::Service,
        types::ErrorKind::Timeout => ErrorKind::Timeout,
        types::ErrorKind::State => ErrorKind::State,
        types::ErrorKind::Busy => ErrorKind::Busy,
        types::ErrorKind::Cancelled => ErrorKind::Cancelled,
        types::ErrorKind::Protocol => ErrorKind::Protocol,
        types::ErrorKind::Internal => ErrorKind::Internal,
    }
}

/// A look at a session.
pub(crate) fn status(status: sessions::SessionStatus) -> SessionStatus {
    SessionStatus {
        state: match status.state {
            sessions::SessionState::Empty => SessionState::Empty,
            sessions::SessionState::Fresh => SessionState::Fresh,
            sessions::SessionState::Advisory => SessionState::Advisory,
            sessions::SessionState::Mandatory => SessionState::Mandatory,
            sessions::SessionState::Parked => SessionState::Parked,
            sessions::SessionState::Dead => SessionState::Dead,
        },
        generation: Generation(status.generation),
        issued_at: status.issued_at.map(UnixMillis),
        expires_at: status.expires_at.map(UnixMillis),
        horizon: status.horizon.map(UnixMillis),
        refreshes: status.refreshes,
        // The component's sources have none.
        chain: None,
        last_error: status.last_error.map(error),
    }
}

/// A look at an upload.
pub(crate) fn progress(progress: &uploads::Progress) -> Progress {
    Progress {
        total: progress.total,
        stored: progress.stored,
        in_flight: progress.in_flight,
        parts_total: progress.parts_total,
        parts_stored: progress.parts_stored,
        parts_reused: progress.parts_reused,
        parts_in_flight: progress.parts_in_flight,
        retries: progress.retries,
        refusals: progress.refusals,
        parked: progress.parked,
        paused: progress.paused,
        rate: progress.rate,
        eta: progress.eta_ms.map(Duration::from_millis),
    }
}

/// How an upload ended well.
pub(crate) fn outcome(outcome: uploads::Outcome) -> Outcome {
    Outcome {
        facts: ObjectFacts {
            etag: outcome.etag,
            size: Some(outcome.size),
            last_modified: outcome.last_modified,
            version_id: outcome.version_id,
            content_md5: outcome.content_md5,
            multipart_md5: outcome.multipart_md5,
            crc32c: outcome.crc32c,
            sha256: outcome.sha256,
            sha384: outcome.sha384,
            multipart_sha256: outcome.multipart_sha256,
            multipart_sha384: outcome.multipart_sha384,
        },
        upload_id: outcome.upload_id,
        size: outcome.size,
        parts: outcome.parts,
        parts_reused: outcome.parts_reused,
        retries: outcome.retries,
        refusals: outcome.refusals,
        verified: outcome.verified,
    }
}

/// What a component tells.
pub(crate) enum Told {
    /// Something for callers.
    Notice(Notice),
    /// An upload has ended; callers hear of it together with its outcome.
    Finished(sessions::Finished),
    /// The session needs a credential.
    Wanted,
}

/// A notice of the component as one of `session`; `number` turns the component's numbers of uploads into the client's.
pub(crate) fn notice(notice: sessions::Notice, session: SessionId, number: &dyn Fn(u64) -> UploadId) -> Told {
    use sessions::Notice as Wire;
    Told::Notice(match notice {
        Wire::Refreshed(told) => Notice::Refreshed {
            session,
            generation: Generation(told.generation),
            how: if told.exchanged { Renewal::Exchanged } else { Renewal::Reloaded },
            expires_at: told.expires_at.map(UnixMillis),
        },
        Wire::Rejected(generation) => Notice::Rejected { session, generation: Generation(generation) },
        Wire::RefreshFailed(told) => Notice::RefreshFailed {
            session,
            error: error(told.error),
            retry_in: Duration::from_millis(told.retry_in_ms),
        },
        Wire::HorizonLearned(horizon) => Notice::HorizonLearned { session, horizon: UnixMillis(horizon) },
        Wire::Expiring(at) => Notice::Expiring { session, expires_at: UnixMillis(at) },
        Wire::Parked(told) => {
            Notice::Parked { session, error: error(told.error), until: told.until.map(UnixMillis) }
        }
        Wire::Resumed => Notice::Resumed { session },
        Wire::ClockSkew(skew_ms) => Notice::ClockSkew { skew_ms },
        Wire::WillOutliveSession(told) => Notice::WillOutliveSession {
            session,
            upload: Some(number(told.upload)),
            estimate: UnixMillis(told.estimate),
            horizon: UnixMillis(told.horizon),
        },
        Wire::Started(told) => Notice::Started {
            upload: number(told.upload),
            upload_id: told.upload_id,
            parts: told.parts,
            part_size: told.part_size,
            found: told.found,
        },
        Wire::PartStarted(told) => Notice::PartStarted {
            upload: number(told.upload),
            part: told.part,
            generation: Generation(told.generation),
        },
        Wire::PartStored(told) => Notice::PartStored {
            upload: number(told.upload),
            part: told.part,
            size: told.size,
            reused: told.reused,
        },
        Wire::PartHeld(told) => Notice::PartHeld {
            upload: number(told.upload),
            part: told.part,
            generation: Generation(told.generation),
        },
        Wire::Retrying(told) => Notice::Retrying {
            upload: number(told.upload),
            part: told.part,
            error: error(told.error),
            failures: told.failures,
            retry_in: Duration::from_millis(told.retry_in_ms),
        },
        Wire::Remark(told) => Notice::Remark { upload: told.upload.map(number), text: told.text },
        Wire::Paused(told) => Notice::Paused { upload: number(told.upload), paused: told.paused },
        Wire::Finished(told) => return Told::Finished(told),
        Wire::Wanted => return Told::Wanted,
    })
}

/// What becomes of a failed upload.
pub(crate) fn on_failure(policy: OnFailure) -> uploads::OnFailure {
    match policy {
        OnFailure::Retain => uploads::OnFailure::Retain,
        OnFailure::Abort => uploads::OnFailure::Abort,
    }
}

/// A request method.
pub(crate) fn method(method: Method) -> sessions::Method {
    match method {
        Method::Get => sessions::Method::Get,
        Method::Head => sessions::Method::Head,
        Method::Post => sessions::Method::Post,
        Method::Put => sessions::Method::Put,
        Method::Delete => sessions::Method::Delete,
        Method::Patch => sessions::Method::Patch,
    }
}

/// How to upload, in the contract's record. `file` and `state_dir` are paths as the component sees them.
pub(crate) fn upload_options(
    target: Target,
    options: UploadOptions,
    file: String,
    state_dir: Option<String>,
    limit_rate: Option<u64>,
) -> uploads::UploadOptions {
    let properties = options.properties;
    // A checksum that is vouched for names its own algorithm.
    let checksum = properties.content_checksum.as_ref().map_or(options.checksum, |(algorithm, _)| *algorithm);
    let (no_overwrite, if_match) = match options.precondition {
        Precondition::None => (false, None),
        Precondition::Absent => (true, None),
        Precondition::Etag(etag) => (false, Some(etag)),
    };
    uploads::UploadOptions {
        namespace_name: target.namespace,
        bucket_name: target.bucket,
        file,
        name: Some(target.object),
        state_dir,
        part_size: Some(options.part_size),
        parallel_upload_count: Some(options.parallel),
        adaptive: Some(options.adaptive),
        no_multipart: Some(options.single),
        integrity: Some(match options.integrity {
            Integrity::Verify => uploads::Integrity::Verify,
            Integrity::Off => uploads::Integrity::Off,
        }),
        opc_checksum_algorithm: Some(match checksum {
            ChecksumAlgorithm::Crc32c => uploads::ChecksumAlgorithm::Crc32c,
            ChecksumAlgorithm::Sha256 => uploads::ChecksumAlgorithm::Sha256,
            ChecksumAlgorithm::Sha384 => uploads::ChecksumAlgorithm::Sha384,
        }),
        verify_checksum: Some(options.also_md5),
        no_overwrite: Some(no_overwrite),
        if_match,
        content_type: properties.content_type,
        content_language: properties.content_language,
        content_encoding: properties.content_encoding,
        content_disposition: properties.content_disposition,
        cache_control: properties.cache_control,
        storage_tier: properties.storage_tier.map(|tier| match tier {
            StorageTier::Standard => uploads::StorageTier::Standard,
            StorageTier::InfrequentAccess => uploads::StorageTier::InfrequentAccess,
            StorageTier::Archive => uploads::StorageTier::Archive,
        }),
        metadata: Some(properties.metadata.into_iter().collect()),
        opc_sse_kms_key_id: properties.kms_key_id,
        encryption_key: properties.customer_key.map(|key| key.key.expose().clone()),
        content_md5: properties.content_md5,
        content_checksum: properties.content_checksum.map(|(_, value)| value),
        max_retries: Some(options.max_attempts.saturating_sub(1)),
        limit_rate,
        on_failure: Some(on_failure(options.on_failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_words_are_told_once() {
        let facts = HttpFacts {
            status: 404,
            code: Some("BucketNotFound".into()),
            message: Some("there is none".into()),
            ..HttpFacts::default()
        };
        let told = Error::new(ErrorKind::NotFound, "creating the upload").with_http(facts);
        let wire = types::Error {
            kind: types::ErrorKind::NotFound,
            retry: types::Retry::Never,
            message: told.to_string(),
            http: Some(types::HttpFacts {
                status: 404,
                code: Some("BucketNotFound".into()),
                message: Some("there is none".into()),
                request_id: None,
                part_number: None,
            }),
        };
        let back = error(wire);
        assert_eq!(back.to_string(), told.to_string());
        assert_eq!((back.kind(), back.message()), (ErrorKind::NotFound, "creating the upload"));
    }
}
