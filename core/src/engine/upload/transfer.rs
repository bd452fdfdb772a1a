//! Parts on their way: permits, sending, answers, retries.

use super::call::{Answer, Call, RETRY_BACKOFF};
use super::part::PartState;
use super::plan::stream_part_size;
use super::spec::{ChecksumAlgorithm, Integrity};
use super::{Phase, Stream, Upload, answered_facts, put_precondition, retry_budget};
use crate::engine::checksum::{Digests, Wanted, parse_crc32c, parse_md5, parse_sha256, parse_sha384};
use crate::engine::command::{BodyRef, Command, CommandId, Filled, Notice};
use crate::engine::credential::{Generation, Lease};
use crate::engine::error::{Error, ErrorKind, HttpFacts, Retry};
use crate::engine::machine::{Context, Standing};
use crate::engine::upload::journal::Record;
use crate::engine::wire::oci::{self, MAX_PARTS, ObjectFacts, Operation};
use crate::engine::wire::{Reply, TransportFailure, TransportKind, Verdict};

/// Bytes that a kernel may take for a connection that the service no longer reads.
const KERNEL_BUFFER: u64 = 8 << 20;
/// Most attempts of a part that keeps being stored damaged.
const DAMAGED_ATTEMPTS: u32 = 5;

impl Upload {
    pub(super) fn pump_parts(&mut self, ctx: &mut Context<'_>) {
        self.parts.wake(ctx.now.mono);
        self.storm_until = self.storm_until.filter(|until| *until > ctx.now.mono);
        self.pump_probe(ctx);
        if !self.paused {
            while matches!(self.phase, Phase::Opening | Phase::Transferring)
                && self.parts.permits() < self.permitted()
            {
                if !self.start_next(ctx) {
                    break;
                }
            }
        }
        if self.phase == Phase::Transferring && !self.single && self.all_stored() {
            self.check_source(ctx);
        }
    }

    /// Requests allowed in flight. A storm is not fed: the fewer successes, the fewer requests, down to a single one that
    /// asks whether it is over; after it they grow again with each success.
    fn permitted(&self) -> u32 {
        self.budget.clamp(1, self.at_most())
    }

    /// Requests in flight that the caller, or the link as far as it is known, allows.
    pub(super) fn at_most(&self) -> u32 {
        self.knee.map_or(self.spec.options.parallel, |knee| knee.permitted())
    }

    /// Bytes of parts went out.
    pub(super) fn moved(&mut self, bytes: u64, ctx: &mut Context<'_>) {
        // A part that has just ended is still to be followed by the next; after a step back some are too many for a while.
        let permitted = self.at_most();
        let as_permitted = (permitted.saturating_sub(1)..=permitted).contains(&self.parts.permits());
        if let Some(knee) = &mut self.knee {
            if as_permitted && !self.paused { knee.sent(bytes, ctx.now.mono) } else { knee.interrupt() }
        }
        self.forecast.sent(bytes, ctx.now.mono);
        self.tell_forecast(ctx);
    }

    fn all_stored(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.ended && self.parts.unfinished() == 0 && self.parts.count() > 0,
            None => self.plan.is_some_and(|plan| self.parts.done() == plan.parts),
        }
    }

    /// Starts one more thing that needs a permit; false when there is nothing (yet).
    fn start_next(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(number) = self.parts.next_ready() else { return self.fill_next(ctx) };
        if self.phase == Phase::Opening {
            return false;
        }
        if self.parts.of(number).state == PartState::Check {
            self.hash(number, ctx);
            return true;
        }
        // While it is not known whether the credential is refused, or the storm over, no more bytes are sent.
        if self.parts.has_probing() || self.storm_until.is_some() {
            return false;
        }
        let Some(lease) = self.lease(ctx) else { return false };
        self.send(number, lease, ctx);
        true
    }

    /// Reads the next part of a stream, if there is room for its buffer.
    fn fill_next(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(Stream { next_offset, ended: false, filling: false }) = self.stream else { return false };
        if self.parts.unfinished() >= self.at_most() {
            return false;
        }
        let number = self.parts.count() + 1;
        if number > MAX_PARTS {
            let message = "the stream does not end within 10,000 parts; use a larger part size";
            self.fail(Error::new(ErrorKind::InvalidInput, message), ctx);
            return false;
        }
        let len = stream_part_size(self.spec.options.part_size, number);
        let id = ctx.id();
        self.parts.push(next_offset, len, PartState::Filling(id));
        self.busy.insert(id, number);
        self.stream = Some(Stream { next_offset, ended: false, filling: true });
        let wanted = self.wanted();
        ctx.command(Command::Fill { id, upload: self.id, offset: next_offset, len, wanted });
        true
    }

    pub(super) fn on_filled(&mut self, number: u32, result: Result<Filled, Error>, ctx: &mut Context<'_>) {
        let filled = match result {
            Ok(filled) => filled,
            Err(error) => {
                self.parts.set(number, PartState::Waiting);
                return self.fail(error, ctx);
            }
        };
        let Some(stream) = &mut self.stream else { return };
        let asked = self.parts.of(number).len;
        let len = filled.len.min(asked);
        stream.filling = false;
        stream.ended = len < asked;
        stream.next_offset += len;
        self.parts.set_len(number, len);
        self.parts.of(number).digests = filled.digests;
        // A stream that ended exactly at a part's edge shows as an empty further part.
        if len == 0 && number > 1 {
            self.parts.pop_last();
        } else {
            self.parts.set(number, PartState::Waiting);
        }
        if self.phase == Phase::Opening {
            if self.stream.is_some_and(|stream| stream.ended) {
                self.start_single(ctx);
            } else if let Err(error) = self.check_unvouched() {
                self.fail(error, ctx);
            } else {
                self.intend(ctx);
            }
        }
    }

    fn send(&mut self, number: u32, lease: Lease, ctx: &mut Context<'_>) {
        let streamed = self.stream.is_some();
        let wanted = if streamed { Wanted::default() } else { self.wanted() };
        let asked = self.asked_checksum();
        let part = self.parts.of(number);
        let (offset, len) = (part.offset, part.len);
        // A stream's checksums are known from filling, so the service can be told them and refuse damage itself.
        let known = streamed.then(|| part.digests.clone());
        let options = &self.spec.options;
        let request = if self.single {
            let precondition = put_precondition(&options.precondition, self.replace_etag.as_ref());
            oci::put_object(&self.spec.target, &options.properties, &precondition, asked, known.as_ref())
        } else {
            let upload_id = self.upload_id.as_deref().unwrap_or_default();
            oci::upload_part(&self.spec.target, upload_id, number, self.customer_key(), asked, known.as_ref())
        };
        let id = ctx.id();
        let generation = lease.generation;
        self.parts.set(number, PartState::InFlight(id, generation));
        self.busy.insert(id, number);
        ctx.notice(Notice::PartStarted { upload: self.id, part: number, generation });
        ctx.command(Command::Send {
            id,
            session: self.session,
            upload: Some(self.id),
            part: Some(number),
            lease,
            skew_ms: ctx.skew.ms(),
            request: Box::new(request),
            body: BodyRef::Source { offset, len, wanted },
        });
    }

    pub(super) fn on_part_replied(
        &mut self,
        number: u32,
        id: CommandId,
        outcome: Result<Reply, TransportFailure>,
        sent: Option<Digests>,
        ctx: &mut Context<'_>,
    ) {
        let PartState::InFlight(_, generation) = self.parts.of(number).state else { return };
        let standing = ctx.note_reply(id, &outcome);
        // A driver may report progress coarsely, or not at all.
        let unreported = self.parts.of(number).len.saturating_sub(self.parts.of(number).sent);
        // Whatever follows, the permit is back.
        self.parts.set(number, PartState::Waiting);
        if standing == Standing::Misdated {
            return;
        }
        let operation = if self.single { Operation::Put } else { Operation::Part };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(_) if self.phase == Phase::Draining => return,
            Err(failure) => return self.on_part_unanswered(number, generation, &failure, sent, ctx),
        };
        match oci::verdict(operation, &reply) {
            Verdict::Done => {
                self.on_part_accepted(number, &answered_facts(&reply), sent, ctx);
                self.moved(unreported, ctx);
            }
            _ if self.phase == Phase::Draining => {}
            Verdict::Refused(_) => self.hold(number, generation, ctx),
            _ if standing == Standing::Refused => self.hold(number, generation, ctx),
            Verdict::UploadGone(facts) => {
                let message =
                    format!("the upload of \"{}\" does not exist any more at the service", self.name());
                self.fail(Error::new(ErrorKind::NotFound, message).with_http(facts), ctx);
            }
            Verdict::Again(after, mut facts) => {
                facts.part_number = Some(number);
                if let (429 | 503, Some(knee)) = (facts.status, &mut self.knee) {
                    knee.refused(self.parts.permits(), ctx.now.mono);
                }
                match self.not_taken(number, sent.as_ref(), facts) {
                    Ok(error) => self.part_failed(number, error, after, ctx),
                    Err(error) => self.fail(error, ctx),
                }
            }
            Verdict::Fatal(error) => self.fail(error.during(&format!("sending part {number}")), ctx),
        }
    }

    /// Why a part is to be sent again. Errors: not again, for its bytes are not those that the caller vouches for.
    fn not_taken(&mut self, number: u32, sent: Option<&Digests>, facts: HttpFacts) -> Result<Error, Error> {
        let mut kind = ErrorKind::Service;
        if self.single && self.spec.options.properties.is_vouched() && oci::unmatched(&facts) {
            let ours = if self.stream.is_some() { Some(&self.parts.of(number).digests) } else { sent };
            let wrong = ours.and_then(|ours| oci::wrongly_vouched(&self.spec.options.properties, ours));
            if let Some(name) = wrong {
                let message =
                    format!("the bytes do not have the {name} that was given with them; nothing was stored");
                return Err(Error::new(ErrorKind::Integrity, message).with_http(facts));
            }
            // Damaged on the way; or wrong, and nothing was computed here.
            kind = ErrorKind::Integrity;
        }
        Ok(Error::new(kind, format!("sending part {number}")).with_http(facts))
    }

    /// A refusal: the part waits for the next credential, and it costs no retry.
    fn hold(&mut self, number: u32, generation: Generation, ctx: &mut Context<'_>) {
        self.refusals += 1;
        ctx.notice(Notice::PartHeld { upload: self.id, part: number, generation });
    }

    fn on_part_unanswered(
        &mut self,
        number: u32,
        generation: Generation,
        failure: &TransportFailure,
        sent: Option<Digests>,
        ctx: &mut Context<'_>,
    ) {
        let error = failure.error.clone().during(&format!("sending part {number}"));
        let len = self.parts.of(number).len;
        match failure.kind {
            TransportKind::Source | TransportKind::Tls => self.fail(error, ctx),
            TransportKind::BrokenWhileSending if ctx.session.is_superseded(generation) => {
                self.hold(number, generation, ctx);
            }
            TransportKind::BrokenWhileSending => self.parts.set(number, PartState::Probing(generation)),
            // A small part is in the kernel's hands whole before the refusal of its head is read.
            TransportKind::BrokenAfterSending if !self.single && len <= KERNEL_BUFFER => {
                self.parts.set(number, PartState::Probing(generation));
            }
            // A put that may have been carried out: look before putting again.
            _ if self.single && failure.is_ambiguous() && sent.is_some() => {
                if self.stream.is_none() {
                    self.parts.of(number).digests = sent.unwrap_or_default();
                }
                self.look_at_object();
            }
            _ => self.part_failed(number, error, None, ctx),
        }
    }

    /// One more failure of a part that is worth trying again.
    pub(super) fn part_failed(
        &mut self,
        number: u32,
        error: Error,
        after: Option<std::time::Duration>,
        ctx: &mut Context<'_>,
    ) {
        // Damage that repeats is no passing trouble, and each attempt sends the whole part.
        let damaged = matches!(error.kind(), ErrorKind::Integrity | ErrorKind::Protocol);
        let patience = if damaged { DAMAGED_ATTEMPTS } else { u32::MAX };
        let max_attempts = self.spec.options.max_attempts.min(patience);
        let part = self.parts.of(number);
        part.failures += 1;
        let failures = part.failures;
        if failures >= max_attempts {
            let message = format!("{} (given up after {failures} attempts)", error.message());
            let mut last = Error::new(error.kind(), message).with_retry(Retry::Exhausted);
            if let Some(http) = error.http() {
                last = last.with_http(http.clone());
            }
            return self.fail(last, ctx);
        }
        self.retries += 1;
        self.budget = self.budget.saturating_sub(1);
        let retry_in = RETRY_BACKOFF.wait(failures, after, ctx.random);
        self.parts.set(number, PartState::Backoff(ctx.now.mono + retry_in));
        if self.budget == 0 {
            self.storm_until = Some(ctx.now.mono + retry_in);
        }
        ctx.notice(Notice::Retrying { upload: self.id, part: Some(number), error, failures, retry_in });
    }

    /// The service says it has stored the part: believe it when the checksums agree.
    fn on_part_accepted(
        &mut self,
        number: u32,
        facts: &ObjectFacts,
        sent: Option<Digests>,
        ctx: &mut Context<'_>,
    ) {
        let digests = if self.stream.is_some() { Some(self.parts.of(number).digests.clone()) } else { sent };
        let len = self.parts.of(number).len;
        if self.owes_comparison(number, digests.as_ref(), facts) {
            return;
        }
        let checked = match digests.filter(|digests| digests.len == len) {
            None => Err(Error::new(ErrorKind::Protocol, "the service answered before it had all bytes")),
            Some(digests) => self.compare(&digests, facts).map(|()| digests),
        };
        let (digests, etag) = match (checked, &facts.etag) {
            (Ok(digests), Some(etag)) => (digests, etag.clone()),
            // A whole object needs no etag to be named by later.
            (Ok(digests), None) if self.single => (digests, String::new()),
            (Ok(_), None) => {
                let error =
                    Error::new(ErrorKind::Protocol, format!("part {number} was stored without an etag"));
                return self.refuse_part(number, error, ctx);
            }
            (Err(error), etag) => {
                // The damaged bytes of a single put are the object now: the next attempt replaces exactly them.
                if self.single {
                    self.replace_etag.clone_from(etag);
                }
                return self.refuse_part(number, error.during(&format!("part {number}")), ctx);
            }
        };
        self.budget = (self.budget + 1).min(retry_budget(self.at_most()));
        self.storm_until = None;
        let reported = told_checksum(facts, self.spec.options.checksum).is_some();
        self.reports_checksum = self.reports_checksum.or(Some(reported));
        let part = self.parts.of(number);
        part.told_md5 = facts.content_md5.as_deref().and_then(parse_md5);
        part.digests = digests;
        part.etag = Some(etag.clone());
        self.on_part_stored(number, ctx);
        if self.single {
            self.put_stored(facts.clone(), ctx);
            return;
        }
        if self.stream.is_none() {
            let digests = self.parts.of(number).digests.clone();
            let record = Record::Part { number, etag, digests };
            ctx.command(Command::Record { id: None, upload: self.id, record });
        }
    }

    /// A service that does not report the asked checksum is known by its first answers. Their parts were sent without MD5,
    /// which it always reports: what is stored is compared with the local bytes, read once more, as after a resume.
    fn owes_comparison(&mut self, number: u32, sent: Option<&Digests>, facts: &ObjectFacts) -> bool {
        let told_md5 = facts.content_md5.as_deref().and_then(parse_md5);
        let len = self.parts.of(number).len;
        let whole = sent.is_some_and(|sent| sent.len == len && sent.md5.is_none());
        if self.spec.options.integrity == Integrity::Off
            || self.single
            || self.stream.is_some()
            || !whole
            || told_checksum(facts, self.spec.options.checksum).is_some()
            || told_md5.is_none()
            || facts.etag.is_none()
        {
            return false;
        }
        self.reports_checksum = Some(false);
        let part = self.parts.of(number);
        (part.told_md5, part.etag, part.owed) = (told_md5, facts.etag.clone(), true);
        self.parts.set(number, PartState::Check);
        true
    }

    /// A part is stored and its checksums agree.
    pub(super) fn on_part_stored(&mut self, number: u32, ctx: &mut Context<'_>) {
        let (offset, size) = (self.parts.of(number).offset, self.parts.of(number).len);
        self.parts.set(number, PartState::Done);
        ctx.notice(Notice::PartStored { upload: self.id, part: number, size, reused: false });
        if self.stream.is_some() {
            ctx.command(Command::Release { upload: self.id, offset });
        }
    }

    fn refuse_part(&mut self, number: u32, error: Error, ctx: &mut Context<'_>) {
        if self.phase != Phase::Draining {
            self.part_failed(number, error, None, ctx);
        }
    }

    /// Compares our checksums with those the service reports. At least one must have been compared.
    pub(super) fn compare(&self, ours: &Digests, facts: &ObjectFacts) -> Result<(), Error> {
        if self.spec.options.integrity == Integrity::Off {
            return Ok(());
        }
        let pairs = [
            ("MD5", ours.md5.is_some(), facts.content_md5.as_deref().map(|told| parse_md5(told) == ours.md5)),
            (
                "CRC32C",
                ours.crc32c.is_some(),
                facts.crc32c.as_deref().map(|told| parse_crc32c(told) == ours.crc32c),
            ),
            (
                "SHA-256",
                ours.sha256.is_some(),
                facts.sha256.as_deref().map(|told| parse_sha256(told) == ours.sha256),
            ),
            (
                "SHA-384",
                ours.sha384.is_some(),
                facts.sha384.as_deref().map(|told| parse_sha384(told) == ours.sha384),
            ),
        ];
        let mut compared = 0;
        for (name, have, agrees) in pairs {
            match agrees.filter(|_| have) {
                Some(true) => compared += 1,
                Some(false) => {
                    let message = format!("the service stored other bytes than were sent ({name} differs)");
                    return Err(Error::new(ErrorKind::Integrity, message));
                }
                None => {}
            }
        }
        if compared == 0 {
            let message =
                "the service reports no checksum to compare with; `--integrity off` goes on without";
            return Err(Error::new(ErrorKind::Integrity, message));
        }
        Ok(())
    }

    /// Asks with a cheap signed request whether broken connections were refusals.
    fn pump_probe(&mut self, ctx: &mut Context<'_>) {
        if self.probe.is_none() && self.parts.has_probing() {
            let (operation, request) = match &self.upload_id {
                Some(id) => (Operation::ListParts, oci::list_parts(&self.spec.target, id, None, 1)),
                None => (Operation::Head, oci::head_object(&self.spec.target, self.customer_key())),
            };
            // One attempt: if this one breaks as well, it was the network.
            self.probe = Some((Call::new(operation, request, 1), Generation(0)));
        }
        if !self.probe.as_mut().is_some_and(|(probe, _)| probe.is_ready(ctx.now)) {
            return;
        }
        let Some(lease) = self.lease(ctx) else { return };
        let id = ctx.id();
        if let Some((probe, generation)) = &mut self.probe {
            *generation = lease.generation;
            let command = probe.send(id, self.session, Some(self.id), lease, ctx.skew.ms());
            ctx.command(command);
        }
    }

    pub(super) fn on_probe_replied(
        &mut self,
        id: CommandId,
        outcome: Result<Reply, TransportFailure>,
        ctx: &mut Context<'_>,
    ) {
        let Some((mut probe, generation)) = self.probe.take() else { return };
        if probe.in_flight() != Some(id) {
            self.probe = Some((probe, generation));
            return;
        }
        let standing = ctx.note_reply(id, &outcome);
        if self.phase == Phase::Draining {
            return;
        }
        let answer = probe.on_replied(outcome, standing, ctx.random, ctx.now);
        let refused = standing == Standing::Misdated || matches!(answer, Answer::Refused(_));
        for number in self.parts.probing() {
            let PartState::Probing(sent_under) = self.parts.of(number).state else { continue };
            self.parts.set(number, PartState::Waiting);
            if refused || sent_under < generation {
                self.hold(number, sent_under, ctx);
                continue;
            }
            let what = Operation::Part.attempt();
            let error = Error::new(ErrorKind::Network, format!("{what} ({number}): the connection broke"));
            self.part_failed(number, error, None, ctx);
            if self.phase == Phase::Draining {
                return;
            }
        }
    }
}

/// The value of the asked checksum in a reply.
fn told_checksum(facts: &ObjectFacts, asked: ChecksumAlgorithm) -> Option<&String> {
    match asked {
        ChecksumAlgorithm::Crc32c => facts.crc32c.as_ref(),
        ChecksumAlgorithm::Sha256 => facts.sha256.as_ref(),
        ChecksumAlgorithm::Sha384 => facts.sha384.as_ref(),
    }
}
