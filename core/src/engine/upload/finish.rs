//! The end: commit, verify, abort, tell.

use super::journal::Expected;
use super::part::Part;
use super::spec::{Integrity, OnFailure, SourceIdentity};
use super::{Outcome, Phase, Upload};
use crate::engine::checksum::{Digests, combine_crc32c, multipart_md5, multipart_sha256, multipart_sha384};
use crate::engine::command::{Command, Notice};
use crate::engine::error::{Error, ErrorKind, HttpFacts};
use crate::engine::machine::Context;
use crate::engine::upload::journal::Record;
use crate::engine::wire::oci::{self, ObjectFacts, Operation};

/// How often a commit whose answer was lost is looked into before giving up.
const MAX_LOOKS: u32 = 5;

impl Upload {
    /// All parts are stored: is the source still what it was?
    pub(super) fn check_source(&mut self, ctx: &mut Context<'_>) {
        if self.stream.is_some() {
            return self.record_commit(ctx);
        }
        let id = ctx.id();
        self.phase = Phase::CheckingSource(id);
        ctx.command(Command::CheckSource { id, upload: self.id });
    }

    pub(super) fn on_source_checked(&mut self, result: Result<SourceIdentity, Error>, ctx: &mut Context<'_>) {
        match result {
            Ok(identity) if identity == self.spec.source => self.record_commit(ctx),
            Ok(_) => {
                let message = format!(
                    "\"{}\" changed while it was being uploaded; nothing was committed, `--restart` begins anew",
                    self.spec.source.name
                );
                self.fail(Error::new(ErrorKind::SourceChanged, message), ctx);
            }
            Err(error) => self.fail(error, ctx),
        }
    }

    fn record_commit(&mut self, ctx: &mut Context<'_>) {
        let expected = self.expect();
        self.expected = Some(expected.clone());
        let id = ctx.id();
        self.phase = Phase::RecordingCommit(id);
        ctx.command(Command::Record { id: Some(id), upload: self.id, record: Record::CommitIntent { expected } });
    }

    /// What the object must look like, from our own checksums; MD5s we did not compute are the ones the service
    /// reported for parts whose other checksum we did compare.
    fn expect(&self) -> Expected {
        fn all<T>(parts: &[&Part], of: impl Fn(&Part) -> Option<T>) -> Option<Vec<T>> {
            parts.iter().map(|part| of(part)).collect()
        }
        let parts: Vec<&Part> = self.parts.iter().map(|(_, part)| part).collect();
        let crc32c = all(&parts, |part| part.digests.crc32c.map(|crc| (crc, part.len)));
        Expected {
            size: self.parts.stored_bytes(),
            multipart_md5: all(&parts, |part| part.digests.md5.or(part.told_md5))
                .map(|sums| multipart_md5(sums.into_iter())),
            crc32c: crc32c.and_then(|sums| {
                let whole = sums.into_iter().fold(0, |whole, (crc, len)| combine_crc32c(whole, crc, len));
                Digests { crc32c: Some(whole), ..Digests::default() }.crc32c_base64()
            }),
            multipart_sha256: all(&parts, |part| part.digests.sha256).map(|sums| multipart_sha256(sums.into_iter())),
            multipart_sha384: all(&parts, |part| part.digests.sha384).map(|sums| multipart_sha384(sums.into_iter())),
        }
    }

    pub(super) fn commit(&mut self) {
        let parts = self.parts.iter().map(|(number, part)| (number, part.etag.as_deref().unwrap_or_default()));
        let request = oci::commit(&self.spec.target, self.upload_id.as_deref().unwrap_or_default(), parts);
        self.set_call(Phase::Committing, Operation::Commit, request);
    }

    /// The service says it has committed.
    pub(super) fn on_committed(&mut self, facts: ObjectFacts, ctx: &mut Context<'_>) {
        match self.agrees(&facts) {
            Ok(true) => self.succeed(facts, ctx),
            // The answer names no checksum we know: look at the object itself.
            Ok(false) if self.facts.is_none() => {
                self.facts = Some(facts);
                self.look_at_object();
            }
            Ok(false) => self.unverifiable(ctx),
            Err(error) => self.end(Err(error), ctx),
        }
    }

    fn unverifiable(&mut self, ctx: &mut Context<'_>) {
        let message = format!(
            "\"{}\" is stored, but the service reports no checksum of it to compare with; `--integrity off` accepts that",
            self.name()
        );
        self.end(Err(Error::new(ErrorKind::Integrity, message)), ctx);
    }

    /// Compares the object with what it must be. `Ok(false)`: nothing could be compared.
    fn agrees(&self, facts: &ObjectFacts) -> Result<bool, Error> {
        let Some(expected) = &self.expected else { return Ok(false) };
        let pairs = [
            ("size", facts.size.map(|size| size.to_string()), Some(expected.size.to_string())),
            ("multipart MD5", facts.multipart_md5.clone(), expected.multipart_md5.clone()),
            ("CRC32C", facts.crc32c.clone(), expected.crc32c.clone()),
            ("multipart SHA-256", facts.multipart_sha256.clone(), expected.multipart_sha256.clone()),
            ("multipart SHA-384", facts.multipart_sha384.clone(), expected.multipart_sha384.clone()),
        ];
        let mut compared = 0;
        for (name, told, ours) in pairs {
            let (Some(told), Some(ours)) = (told, ours) else { continue };
            // HEAD may tell the multipart checksum without its `-n` (protocols/oci.md section 12).
            let bare = |text: &str| text.split('-').next().unwrap_or_default().to_owned();
            let same = told == ours || (name.starts_with("multipart") && !told.contains('-') && told == bare(&ours));
            if !same {
                let message = format!(
                    "the object \"{}\" is not what was sent: {name} is {told} and should be {ours}; do not use it",
                    self.name()
                );
                return Err(Error::new(ErrorKind::Integrity, message));
            }
            compared += u32::from(name != "size");
        }
        Ok(compared > 0 || self.spec.options.integrity == Integrity::Off)
    }

    /// A lost answer is followed by a look, not by a second commit.
    pub(super) fn look_at_object(&mut self) {
        self.looks += 1;
        let request = oci::head_object(&self.spec.target, self.customer_key());
        self.set_call(Phase::Looking, Operation::Head, request);
    }

    pub(super) fn on_looked(&mut self, facts: ObjectFacts, ctx: &mut Context<'_>) {
        if self.single {
            let ours = self.parts.part(1).map(|part| part.digests.clone()).unwrap_or_default();
            let same_size = facts.size.is_none_or(|size| size == ours.len);
            let agrees = self.spec.options.integrity == Integrity::Verify && self.compare(&ours, &facts).is_ok();
            if same_size && agrees {
                self.succeed(facts, ctx);
            } else {
                self.put_again(ctx);
            }
            return;
        }
        let after_answer = self.facts.is_some();
        match self.agrees(&facts) {
            Ok(true) => self.succeed(facts, ctx),
            Ok(false) if after_answer => self.unverifiable(ctx),
            Err(error) if after_answer => self.end(Err(error), ctx),
            // Another object has this name: ours has not been committed (yet).
            Ok(false) | Err(_) => self.commit_again(ctx),
        }
    }

    /// The object does not exist.
    pub(super) fn on_absent(&mut self, ctx: &mut Context<'_>) {
        if self.single { self.put_again(ctx) } else { self.commit_again(ctx) }
    }

    fn put_again(&mut self, ctx: &mut Context<'_>) {
        self.phase = Phase::Transferring;
        let error = Error::new(ErrorKind::Network, "the answer to the put was lost and the object is not there");
        self.part_failed(1, error, None, ctx);
    }

    fn commit_again(&mut self, ctx: &mut Context<'_>) {
        // A resumed run knows the upload is gone before it has laid out any part: then there is nothing to commit.
        if self.looks >= MAX_LOOKS || self.parts.len() == 0 {
            let message = format!(
                "the upload of \"{}\" is gone at the service and the object there is not ours; the same command begins anew",
                self.name()
            );
            self.fail_and_forget(Error::new(ErrorKind::NotFound, message), ctx);
            return;
        }
        self.commit();
    }

    fn fail_and_forget(&mut self, error: Error, ctx: &mut Context<'_>) {
        ctx.command(Command::Forget { upload: self.id });
        self.end(Err(error), ctx);
    }

    /// The upload id that the present request names does not exist.
    pub(super) fn on_gone(&mut self, facts: HttpFacts, ctx: &mut Context<'_>) {
        match self.phase {
            Phase::Listing { adopted: false } => self.on_listing_gone(&facts, ctx),
            Phase::Listing { adopted: true } => self.intend(ctx),
            Phase::Committing => self.look_at_object(),
            Phase::Aborting => self.aborted(Ok(()), ctx),
            _ => {
                let message = format!("the upload of \"{}\" does not exist any more at the service", self.name());
                self.fail(Error::new(ErrorKind::NotFound, message).with_http(facts), ctx);
            }
        }
    }

    /// The answer of a request that acts was lost.
    pub(super) fn on_ambiguous(&mut self, error: Error, ctx: &mut Context<'_>) {
        ctx.remark(self.id, format!("{error}; looking whether it happened"));
        self.retries += 1;
        match self.phase {
            Phase::Creating => {
                self.looks += 1;
                if self.looks >= MAX_LOOKS { self.fail(error, ctx) } else { self.find_created(None) }
            }
            Phase::Committing if self.looks >= MAX_LOOKS => self.fail(error, ctx),
            Phase::Committing => self.look_at_object(),
            _ => self.fail(error, ctx),
        }
    }

    /// A single put is stored and its checksums agree.
    pub(super) fn put_stored(&mut self, facts: ObjectFacts, ctx: &mut Context<'_>) {
        self.ending = None;
        self.succeed(facts, ctx);
    }

    fn succeed(&mut self, facts: ObjectFacts, ctx: &mut Context<'_>) {
        if !self.single {
            ctx.command(Command::Forget { upload: self.id });
        }
        let size = self.expected.as_ref().map_or(self.parts.stored_bytes(), |expected| expected.size);
        let outcome = Outcome {
            facts,
            upload_id: self.upload_id.clone(),
            size,
            parts: if self.single { 0 } else { self.parts.len() },
            parts_reused: self.parts.reused(),
            retries: self.retries,
            refusals: self.refusals,
            verified: self.spec.options.integrity == Integrity::Verify,
        };
        self.end(Ok(Box::new(outcome)), ctx);
    }

    /// Nothing is in flight any more: keep or abort.
    pub(super) fn drained(&mut self, ctx: &mut Context<'_>) {
        let waiting = self.call.as_ref().is_some_and(|call| call.in_flight().is_some())
            || self.probe.as_ref().is_some_and(|(probe, _)| probe.in_flight().is_some());
        if self.phase != Phase::Draining || !self.busy.is_empty() || waiting {
            return;
        }
        let Some(ending) = self.ending.clone() else { return };
        // A stream cannot be read again, so its upload cannot be resumed.
        let abort = ending.on_failure == OnFailure::Abort || self.stream.is_some();
        match &self.upload_id {
            Some(upload_id) if abort => {
                let request = oci::abort(&self.spec.target, upload_id);
                self.set_call(Phase::Aborting, Operation::Abort, request);
                self.pump(ctx);
            }
            _ => self.end(Err(ending.error), ctx),
        }
    }

    /// The abort is done, or could not be.
    pub(super) fn aborted(&mut self, result: Result<(), Error>, ctx: &mut Context<'_>) {
        match result {
            Ok(()) => ctx.command(Command::Forget { upload: self.id }),
            Err(error) => {
                let id = self.upload_id.as_deref().unwrap_or_default();
                let text = format!("the upload could not be aborted: {error}; `outlast uploads abort --upload-id {id}`");
                ctx.remark(self.id, text);
            }
        }
        self.upload_id = None;
        let error = self.ending.take().map(|ending| ending.error);
        self.end(Err(error.unwrap_or_else(|| Error::new(ErrorKind::Cancelled, "the upload was aborted"))), ctx);
    }

    pub(super) fn end(&mut self, result: Result<Box<Outcome>, Error>, ctx: &mut Context<'_>) {
        let resumable = result.is_err() && self.upload_id.is_some() && self.stream.is_none() && !self.single;
        self.phase = Phase::Ended;
        self.ending = None;
        self.call = None;
        self.probe = None;
        ctx.notice(Notice::Finished { upload: self.id, result, resumable });
    }
}
