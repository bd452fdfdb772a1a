//! The exported upload, and `run`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use outlast_core::engine::command::{Event, UploadId};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::upload::Outcome as EngineOutcome;
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, Integrity, ObjectProperties, OnFailure, Precondition, StorageTier, Target,
    UploadOptions as EngineOptions, UploadSpec,
};
use outlast_core::engine::wire::oci;
use outlast_core::{Error as EngineError, ErrorKind};

use crate::bindings::exports::outlast::transfer::sessions::{SessionBorrow, SessionOptions};
use crate::bindings::exports::outlast::transfer::types::Error;
use crate::bindings::exports::outlast::transfer::uploads::{
    self as wit, Guest, GuestUpload, Outcome, Progress, UploadOptions,
};
use crate::clock;
use crate::convert::{self, millis};
use crate::driver::Driver;
use crate::origin::Origin;
use crate::session::{Component, Session};
use crate::stream::Stream;
use crate::works::Opening;

/// How long `run` stays in one step; only notices are waiting for its end, and nobody reads those.
const RUN_STEP: Duration = Duration::from_mins(1);

/// Part size of a stream unless the host says another, bytes.
const STREAM_PART: u64 = 16 << 20;
/// Requests in flight of a stream unless the host says how many.
const STREAM_PARALLEL: u32 = 4;

impl Guest for Component {
    type Upload = Upload;

    fn run(session: SessionOptions, upload: UploadOptions) -> Result<Outcome, Error> {
        let session = Session::new(session)?;
        let upload = Upload::new(&session, upload, Kind::File)?;
        loop {
            if let Some(outcome) = upload.outcome() {
                return outcome;
            }
            session.driver.borrow_mut().step(RUN_STEP);
        }
    }
}

/// One upload of a session.
pub(crate) struct Upload {
    driver: Rc<RefCell<Driver>>,
    id: UploadId,
}

impl Upload {
    fn new(session: &Session, options: UploadOptions, kind: Kind) -> Result<Upload, Error> {
        let id =
            start(&mut session.driver.borrow_mut(), options, kind).map_err(|error| convert::error(&error))?;
        Ok(Upload { driver: Rc::clone(&session.driver), id })
    }

    /// The stream that the host writes.
    fn stream(&self) -> Result<Rc<Stream>, Error> {
        if let Some(Origin::Stream(stream)) = self.driver.borrow().works.origin(self.id) {
            return Ok(stream);
        }
        let error = EngineError::new(ErrorKind::InvalidInput, "this upload is of a file");
        Err(convert::error(&error))
    }

    fn tell(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.driver.borrow_mut().engine.handle(event, clock::now());
        }
    }
}

/// What is uploaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Stream,
}

impl GuestUpload for Upload {
    fn start(session: SessionBorrow<'_>, options: UploadOptions) -> Result<wit::Upload, Error> {
        Upload::new(session.get::<Session>(), options, Kind::File).map(wit::Upload::new)
    }

    fn start_stream(session: SessionBorrow<'_>, options: UploadOptions) -> Result<wit::Upload, Error> {
        Upload::new(session.get::<Session>(), options, Kind::Stream).map(wit::Upload::new)
    }

    fn write(&self, bytes: Vec<u8>) -> Result<u64, Error> {
        let stream = self.stream()?;
        if let Some(Err(error)) = self.driver.borrow().works.outcome(self.id) {
            return Err(convert::error(error));
        }
        let (taken, event) = stream.write(&bytes).map_err(|error| convert::error(&error))?;
        self.tell(event);
        Ok(taken as u64)
    }

    fn finish(&self) -> Result<(), Error> {
        self.tell(self.stream()?.close());
        Ok(())
    }

    fn number(&self) -> u64 {
        self.id.0
    }

    fn progress(&self) -> Progress {
        let mut driver = self.driver.borrow_mut();
        let fresh = driver.engine.progress(self.id, clock::now());
        let progress = driver.works.progress(self.id, fresh);
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
            eta_ms: progress.eta.map(millis),
        }
    }

    fn outcome(&self) -> Option<Result<Outcome, Error>> {
        let driver = self.driver.borrow();
        let refreshes = driver.status().map_or(0, |status| status.refreshes);
        driver.works.outcome(self.id).map(|ended| match ended {
            Ok(outcome) => Ok(told(outcome, refreshes)),
            Err(error) => Err(convert::error(error)),
        })
    }

    fn pause(&self) {
        self.driver.borrow_mut().engine.pause(self.id, clock::now());
    }

    fn resume(&self) {
        self.driver.borrow_mut().engine.resume(self.id, clock::now());
    }

    fn cancel(&self, on_failure: wit::OnFailure) {
        self.driver.borrow_mut().engine.cancel(self.id, failure_policy(on_failure), clock::now());
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut driver = self.driver.borrow_mut();
        driver.works.abandon(self.id);
        if !driver.works.has_ended(self.id) {
            driver.engine.cancel(self.id, OnFailure::Retain, clock::now());
        }
    }
}

fn start(driver: &mut Driver, options: UploadOptions, kind: Kind) -> Result<UploadId, EngineError> {
    let file_name = options.file.rsplit('/').next().unwrap_or_default().to_owned();
    let target = Target {
        namespace: options.namespace_name,
        bucket: options.bucket_name,
        object: options.name.unwrap_or(file_name),
    };
    let precondition = match (options.no_overwrite == Some(true), options.if_match) {
        (true, Some(_)) => {
            let message = "no-overwrite and if-match contradict each other";
            return Err(EngineError::new(ErrorKind::InvalidInput, message));
        }
        (true, None) => Precondition::Absent,
        (false, Some(etag)) => Precondition::Etag(etag),
        (false, None) => Precondition::None,
    };
    let defaults = match kind {
        Kind::File => EngineOptions::default(),
        // Parts are kept in memory until they are stored.
        Kind::Stream => {
            EngineOptions { part_size: STREAM_PART, parallel: STREAM_PARALLEL, ..EngineOptions::default() }
        }
    };
    let checksum = match options.opc_checksum_algorithm {
        Some(wit::ChecksumAlgorithm::Sha256) => ChecksumAlgorithm::Sha256,
        Some(wit::ChecksumAlgorithm::Sha384) => ChecksumAlgorithm::Sha384,
        Some(wit::ChecksumAlgorithm::Crc32c) | None => ChecksumAlgorithm::Crc32c,
    };
    let customer_key = options.encryption_key.map(Secret::new);
    let settings = EngineOptions {
        part_size: options.part_size.unwrap_or(defaults.part_size),
        parallel: options.parallel_upload_count.unwrap_or(defaults.parallel),
        adaptive: options.adaptive == Some(true),
        single: options.no_multipart == Some(true),
        integrity: match options.integrity {
            Some(wit::Integrity::Off) => Integrity::Off,
            Some(wit::Integrity::Verify) | None => Integrity::Verify,
        },
        checksum,
        also_md5: options.verify_checksum == Some(true),
        precondition,
        properties: ObjectProperties {
            content_type: options.content_type,
            content_language: options.content_language,
            content_encoding: options.content_encoding,
            content_disposition: options.content_disposition,
            cache_control: options.cache_control,
            storage_tier: options.storage_tier.map(|tier| match tier {
                wit::StorageTier::Standard => StorageTier::Standard,
                wit::StorageTier::InfrequentAccess => StorageTier::InfrequentAccess,
                wit::StorageTier::Archive => StorageTier::Archive,
            }),
            kms_key_id: options.opc_sse_kms_key_id,
            metadata: options.metadata.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
            customer_key: customer_key.map(|key| oci::customer_key(key.expose())).transpose()?,
            content_md5: options.content_md5,
            content_checksum: options.content_checksum.map(|value| (checksum, value)),
        },
        max_attempts: options.max_retries.map_or(defaults.max_attempts, |retries| retries.saturating_add(1)),
        on_failure: options.on_failure.map_or(OnFailure::Retain, failure_policy),
    };
    let mut opening = match kind {
        Kind::Stream => Opening::of_stream(&options.file, options.limit_rate),
        Kind::File => {
            let (base, state_dir) = (driver.storage.base(), options.state_dir.as_deref());
            driver.works.open(&options.file, state_dir, &base, &target, options.limit_rate)?
        }
    };
    let spec = UploadSpec { target, source: opening.identity.clone(), options: settings };
    let found = opening.found.take();
    let session = driver.session;
    let id = driver.engine.start_upload(session, spec, found, clock::now());
    driver.works.add(id, opening);
    Ok(id)
}

fn failure_policy(policy: wit::OnFailure) -> OnFailure {
    match policy {
        wit::OnFailure::Retain => OnFailure::Retain,
        wit::OnFailure::Abort => OnFailure::Abort,
    }
}

fn told(outcome: &EngineOutcome, refreshes: u64) -> Outcome {
    let facts = outcome.facts.clone();
    Outcome {
        size: outcome.size,
        etag: facts.etag,
        last_modified: facts.last_modified,
        version_id: facts.version_id,
        content_md5: facts.content_md5,
        multipart_md5: facts.multipart_md5,
        crc32c: facts.crc32c,
        sha256: facts.sha256,
        sha384: facts.sha384,
        multipart_sha256: facts.multipart_sha256,
        multipart_sha384: facts.multipart_sha384,
        upload_id: outcome.upload_id.clone(),
        parts: outcome.parts,
        parts_reused: outcome.parts_reused,
        retries: outcome.retries,
        refusals: outcome.refusals,
        refreshes,
        verified: outcome.verified,
    }
}
