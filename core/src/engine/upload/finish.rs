//! The end: commit, verify, tell.

use super::journal::Expected;
use super::part::Part;
use super::spec::{Integrity, SourceIdentity};
use super::{Outcome, Phase, Upload};
use crate::engine::checksum::{Digests, combine_crc32c, multipart_md5, multipart_sha256, multipart_sha384};
use crate::engine::command::Command;
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
            Ok(identity) if identity == self.spec.source && self.single => {
                let facts = self.looked.take().unwrap_or_default();
                self.succeed(facts, ctx);
            }
            Ok(identity) if identity == self.spec.source => self.record_commit(ctx),
            Ok(_) if self.single => {
                let message = format!(
                    "\"{}\" changed while it was being uploaded; the object \"{}\" may hold a mixture, do not use it",
                    self.spec.source.name,
                    self.name()
                );
                self.fail_for_good(Error::new(ErrorKind::SourceChanged, message), ctx);
            }
            Ok(_) => {
                let message = format!(
                    "\"{}\" changed while it was being uploaded; nothing was committed, `--restart` begins anew",
                    self.spec.source.name
                );
                self.fail_for_good(Error::new(ErrorKind::SourceChanged, message), ctx);
            }
            Err(error) => self.fail(error, ctx),
        }
    }

    fn record_commit(&mut self, ctx: &mut Context<'_>) {
        let expected = self.expect();
        self.expected = Some(expected.clone());
        let id = ctx.id();
        self.phase = Phase::RecordingCommit(id);
        ctx.command(Command::Record {
            id: Some(id),
            upload: self.id,
            record: Record::CommitIntent { expected },
        });
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
            multipart_sha256: all(&parts, |part| part.digests.sha256)
                .map(|sums| multipart_sha256(sums.into_iter())),
            multipart_sha384: all(&parts, |part| part.digests.sha384)
                .map(|sums| multipart_sha384(sums.into_iter())),
        }
    }

    pub(super) fn commit(&mut self) {
        self.gone = false;
        let parts =
            self.parts.iter().map(|(number, part)| (number, part.etag.as_deref().unwrap_or_default()));
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
            Err(error) => self.fail_and_forget(error, ctx),
        }
    }

    /// The journal stays: the same call looks again, and with `--integrity off` accepts.
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
            let same =
                told == ours || (name.starts_with("multipart") && !told.contains('-') && told == bare(&ours));
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
            let agrees =
                self.spec.options.integrity == Integrity::Verify && self.compare(&ours, &facts).is_ok();
            if same_size && agrees {
                self.on_part_stored(1, ctx);
                self.put_stored(facts, ctx);
            } else {
                self.put_again(ctx);
            }
            return;
        }
        let after_answer = self.facts.is_some();
        match self.agrees(&facts) {
            // An object like ours may have been there before: ours is committed when its upload is gone.
            Ok(true) if !after_answer && !self.gone => {
                self.looked = Some(facts);
                let upload_id = self.upload_id.as_deref().unwrap_or_default();
                let request = oci::list_parts(&self.spec.target, upload_id, None, 1);
                self.set_call(Phase::Confirming, Operation::ListParts, request);
            }
            Ok(true) => self.succeed(facts, ctx),
            Ok(false) if after_answer || self.gone => self.unverifiable(ctx),
            Err(error) if after_answer => self.fail_and_forget(error, ctx),
            // Another object has this name: ours has not been committed.
            Ok(false) | Err(_) => self.not_committed(ctx),
        }
    }

    /// The object does not exist.
    pub(super) fn on_absent(&mut self, ctx: &mut Context<'_>) {
        if self.single { self.put_again(ctx) } else { self.not_committed(ctx) }
    }

    fn put_again(&mut self, ctx: &mut Context<'_>) {
        self.phase = Phase::Transferring;
        let error =
            Error::new(ErrorKind::Network, "the answer to the put was lost and the object is not there");
        self.part_failed(1, error, None, ctx);
    }

    /// The object there is not this upload's.
    fn not_committed(&mut self, ctx: &mut Context<'_>) {
        if !self.gone {
            self.commit();
        } else if self.parts.count() == 0 {
            ctx.remark(
                self.id,
                "the earlier upload is gone at the service and left no object; a new one is begun".into(),
            );
            self.expected = None;
            self.intend(ctx);
        } else {
            let message = format!(
                "the upload of \"{}\" is gone at the service and the object there is not ours; the same command begins anew",
                self.name()
            );
            self.fail_and_forget(Error::new(ErrorKind::NotFound, message), ctx);
        }
    }

    /// The upload id that the present request names does not exist.
    pub(super) fn on_gone(&mut self, facts: HttpFacts, ctx: &mut Context<'_>) {
        match self.phase {
            Phase::Listing { adopted: false } if self.rechecks > 0 => {
                self.gone = true;
                self.look_at_object();
            }
            Phase::Listing { adopted: false } => self.on_listing_gone(&facts, ctx),
            Phase::Listing { adopted: true } => self.intend(ctx),
            Phase::Committing => {
                self.gone = true;
                self.look_at_object();
            }
            Phase::Confirming => {
                let facts = self.looked.take().unwrap_or_default();
                self.succeed(facts, ctx);
            }
            Phase::Aborting => self.aborted(Ok(()), ctx),
            _ => {
                let message =
                    format!("the upload of \"{}\" does not exist any more at the service", self.name());
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
                self.maybe_created = true;
                if self.looks >= MAX_LOOKS { self.fail(error, ctx) } else { self.find_created(None) }
            }
            Phase::Committing if self.looks >= MAX_LOOKS => self.fail(error, ctx),
            Phase::Committing => self.look_at_object(),
            _ => self.fail(error, ctx),
        }
    }

    /// A single put is stored and its checksums agree: is the source still what it was?
    pub(super) fn put_stored(&mut self, facts: ObjectFacts, ctx: &mut Context<'_>) {
        self.ending = None;
        if self.stream.is_some() {
            return self.succeed(facts, ctx);
        }
        self.looked = Some(facts);
        self.check_source(ctx);
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
            parts: if self.single { 0 } else { self.parts.count() },
            parts_reused: self.parts.reused(),
            retries: self.retries,
            refusals: self.refusals,
            verified: self.spec.options.integrity == Integrity::Verify,
        };
        self.end(Ok(Box::new(outcome)), ctx);
    }
}
