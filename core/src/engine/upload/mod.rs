//! The upload machine: one object, from plan to verified.
//!
//! | phase          | on                                     | next                                        |
//! |----------------|----------------------------------------|---------------------------------------------|
//! | (start)        | small or single                        | Transferring (one put)                      |
//! | (start)        | stream                                 | Opening (read the first part)               |
//! | (start)        | journal with an id / without           | Listing / Adopting                          |
//! | (start)        | nothing known                          | Intending                                   |
//! | Opening        | stream ended within it / goes on       | Transferring (one put) / Intending          |
//! | Intending      | intent is durable                      | Creating                                    |
//! | Creating       | id / answer lost                       | RecordingCreate / Adopting                  |
//! | RecordingCreate| durable                                | Transferring                                |
//! | Adopting       | one young upload of that name / none   | Listing / Intending                         |
//! | Listing        | an earlier run's parts / upload gone   | Transferring / Intending or Looking         |
//! | Listing        | adopted: empty / not ours              | RecordingCreate / Intending                 |
//! | Transferring   | all parts stored, or the one put       | CheckingSource                              |
//! | CheckingSource | unchanged: parts / one put             | RecordingCommit / Ended                     |
//! | RecordingCommit| durable                                | Committing                                  |
//! | Committing     | 200 / answer lost or upload gone       | Ended (verified) / Looking                  |
//! | Looking        | upload gone: our object / not ours     | Ended (verified) / Intending, or failed     |
//! | Looking        | answer lost: our object / not ours     | Confirming / Committing                     |
//! | Confirming     | upload gone / still there              | Ended (verified) / Committing               |
//! | any            | permanent failure, cancel              | Draining → Aborting or Ended (retained)     |
//!
//! The part machine is in [`part`], control requests in [`call`], the journal's records in [`journal`]. Stopping before
//! the end is in `ending`.

pub mod call;
mod ending;
mod finish;
mod forecast;
pub mod journal;
pub mod part;
pub mod plan;
mod resume;
pub mod spec;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::checksum::Wanted;
use super::command::{Command, CommandId, Event, Notice, SessionId, UploadId};
use super::credential::{Generation, Lease};
use super::error::{Error, ErrorKind};
use super::machine::Context;
use super::session::LeaseAnswer;
use super::time::{Mono, UnixMillis};
use super::wire::oci::{self, ObjectFacts, Operation, PartEntry};
use super::wire::{Reply, Request};
use call::{Answer, Call};
use forecast::Forecast;
use journal::{Expected, FORMAT, JournalState, Record};
use part::{PartState, Parts};
use plan::Plan;
use spec::{ChecksumAlgorithm, CustomerKey, Integrity, OnFailure, Precondition, UploadSpec};

/// Most attempts of a control request while nothing is stored yet.
const FIRST_ATTEMPTS: u32 = 8;

/// What an upload that succeeded amounts to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the service says of the object.
    pub facts: ObjectFacts,
    /// The service's upload id; `None` for a single put.
    pub upload_id: Option<String>,
    /// Bytes of the object.
    pub size: u64,
    /// Parts of the object; 0 for a single put.
    pub parts: u32,
    /// Parts kept from an earlier run.
    pub parts_reused: u32,
    /// Attempts beyond the first, over all parts; refusals not counted.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// Whether our checksums were compared with the object's (`Integrity::Verify`).
    pub verified: bool,
}

/// A look at an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Object size in bytes; `None` while a stream goes on.
    pub total: Option<u64>,
    /// Bytes of stored parts.
    pub stored: u64,
    /// Bytes of parts in flight that have been sent but not acknowledged.
    pub in_flight: u64,
    /// Parts planned so far.
    pub parts_total: u32,
    /// Parts stored.
    pub parts_stored: u32,
    /// Of these, kept from an earlier run.
    pub parts_reused: u32,
    /// Parts being sent now.
    pub parts_in_flight: u32,
    /// Attempts beyond the first.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// The session waits for somebody to sign in.
    pub parked: bool,
    /// The caller paused it.
    pub paused: bool,
    /// Bytes per second over the last half minute or so; 0 while unknown.
    pub rate: f64,
    /// Time to the end at that rate, if known.
    pub eta: Option<Duration>,
}

/// Where an upload stands. The table is in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Intending(CommandId),
    Creating,
    RecordingCreate(CommandId),
    Adopting,
    Listing { adopted: bool },
    Transferring,
    CheckingSource(CommandId),
    RecordingCommit(CommandId),
    Committing,
    Looking,
    Confirming,
    Draining,
    Aborting,
    Ended,
}

/// Why an upload stops before its end.
#[derive(Clone, Debug)]
struct Ending {
    error: Error,
    on_failure: OnFailure,
}

/// A stream's reading position.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    next_offset: u64,
    ended: bool,
    filling: bool,
}

/// One upload.
#[derive(Debug)]
pub struct Upload {
    id: UploadId,
    /// The session it sends under.
    pub(super) session: SessionId,
    spec: UploadSpec,
    phase: Phase,
    plan: Option<Plan>,
    stream: Option<Stream>,
    single: bool,
    upload_id: Option<String>,
    parts: Parts,
    busy: BTreeMap<CommandId, u32>,
    call: Option<Call>,
    probe: Option<(Call, Generation)>,
    /// Whether the service reports the additional checksum we ask for; unknown until the first answer.
    reports_checksum: Option<bool>,
    /// For the retry of a single put whose first attempt stored damaged bytes.
    replace_etag: Option<String>,
    expected: Option<Expected>,
    journal: Option<JournalState>,
    listed: Vec<PartEntry>,
    pages_seen: BTreeSet<String>,
    candidates: Vec<String>,
    /// Local time of the intent, and the monotonic one unless it was an earlier run's.
    intent_at: UnixMillis,
    intended: Option<Mono>,
    /// An upload may exist at the service whose id is not known.
    maybe_created: bool,
    looks: u32,
    /// The upload that was to be committed does not exist any more.
    gone: bool,
    /// What the object looks like by the commit's own answer, kept while we look closer.
    facts: Option<ObjectFacts>,
    /// What the object looks like, kept while we make sure that it is this upload's and the source still the same.
    looked: Option<ObjectFacts>,
    /// Shared by all parts against storms: each failure takes one, each stored part gives one back. With less than
    /// `parallel` left, no more requests than that are in flight.
    budget: u32,
    /// With nothing left: when the next request may be tried.
    storm_until: Option<Mono>,
    retries: u32,
    refusals: u32,
    paused: bool,
    /// It waits for a credential.
    held_up: bool,
    ending: Option<Ending>,
    /// The same call would fail in the same way.
    hopeless: bool,
    forecast: Forecast,
}

impl Upload {
    /// An upload that begins with the next pump. `journal` is what an earlier run of the same call left.
    pub(super) fn start(
        id: UploadId,
        session: SessionId,
        spec: UploadSpec,
        journal: Option<JournalState>,
        ctx: &mut Context<'_>,
    ) -> Self {
        let mut upload = Upload {
            id,
            session,
            phase: Phase::Ended,
            plan: None,
            stream: None,
            single: false,
            upload_id: None,
            parts: Parts::default(),
            busy: BTreeMap::new(),
            call: None,
            probe: None,
            reports_checksum: None,
            replace_etag: None,
            expected: None,
            journal: None,
            listed: Vec::new(),
            pages_seen: BTreeSet::new(),
            candidates: Vec::new(),
            intent_at: ctx.now.wall,
            intended: None,
            maybe_created: false,
            looks: 0,
            gone: false,
            facts: None,
            looked: None,
            budget: retry_budget(spec.options.parallel),
            storm_until: None,
            retries: 0,
            refusals: 0,
            paused: false,
            held_up: false,
            ending: None,
            hopeless: false,
            forecast: Forecast::new(ctx.now.mono),
            spec,
        };
        if let Err(error) = upload.begin(journal, ctx) {
            upload.end(Err(error), ctx);
        }
        upload
    }

    fn begin(&mut self, journal: Option<JournalState>, ctx: &mut Context<'_>) -> Result<(), Error> {
        let options = &self.spec.options;
        oci::check_target(&self.spec.target)?;
        if !(1..=1000).contains(&options.parallel) {
            let message =
                format!("the number of parallel requests is {}; it must be 1 to 1000", options.parallel);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        plan::check_part_size(options.part_size)?;
        let Some(size) = self.spec.source.size else {
            self.stream = Some(Stream::default());
            self.phase = Phase::Opening;
            return Ok(());
        };
        let journal = journal.filter(|_| !options.single);
        if let Some(journal) = journal {
            return self.go_on(journal, size);
        }
        if size <= options.part_size || options.single {
            if size > oci::MAX_PART_BYTES {
                let message = format!("a single put takes at most 50 GiB and the source has {size} bytes");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            self.plan = Some(Plan { size, part_size: size.max(1), parts: 1 });
            self.start_single(ctx);
            return Ok(());
        }
        self.plan = Some(Plan::new(size, options.part_size)?);
        self.intend(ctx);
        Ok(())
    }

    /// Goes on with what an earlier run left.
    fn go_on(&mut self, journal: JournalState, size: u64) -> Result<(), Error> {
        self.intent_at = journal.intent_at;
        if journal.upload_id.is_some() {
            self.check_same_source(&journal)?;
            self.plan = Some(Plan::new(size, journal.part_size)?);
            self.upload_id.clone_from(&journal.upload_id);
            self.journal = Some(journal);
            self.list_parts(None, false);
        } else {
            // If its upload exists at all it is empty, so it does as well for a source that has changed since.
            self.plan = Some(Plan::new(size, self.spec.options.part_size)?);
            self.maybe_created = true;
            self.journal = Some(journal);
            self.find_created(None);
        }
        Ok(())
    }

    fn start_single(&mut self, ctx: &mut Context<'_>) {
        self.single = true;
        if let Some(plan) = self.plan.filter(|_| self.parts.len() == 0) {
            self.parts.push(0, plan.size, PartState::Waiting);
        }
        self.phase = Phase::Transferring;
        self.tell_started(0, ctx);
    }

    /// Writes down that an upload is about to be created.
    fn intend(&mut self, ctx: &mut Context<'_>) {
        self.upload_id = None;
        self.maybe_created = false;
        self.gone = false;
        self.journal = None;
        self.intent_at = ctx.now.wall;
        self.intended = Some(ctx.now.mono);
        let id = ctx.id();
        self.phase = Phase::Intending(id);
        ctx.command(Command::Record { id: Some(id), upload: self.id, record: self.intent() });
    }

    fn intent(&self) -> Record {
        Record::Intent {
            format: FORMAT,
            target: self.spec.target.clone(),
            source: self.spec.source.clone(),
            part_size: self.plan.map_or(self.spec.options.part_size, |plan| plan.part_size),
            at: self.intent_at,
        }
    }

    fn create(&mut self) {
        let options = &self.spec.options;
        let request = oci::create_upload(
            &self.spec.target,
            &options.properties,
            &options.precondition,
            self.asked_checksum(),
        );
        self.set_call(Phase::Creating, Operation::Create, request);
    }

    fn set_call(&mut self, phase: Phase, operation: Operation, request: Request) {
        // Before anything is stored a wrong endpoint or name is more likely than an outage worth sitting out.
        let patience = if self.parts.done() == 0 { FIRST_ATTEMPTS } else { u32::MAX };
        self.phase = phase;
        self.call = Some(Call::new(operation, request, self.spec.options.max_attempts.min(patience)));
    }

    /// The upload has its id. It is written down before the first part is sent: an intent alone leads back to an empty
    /// upload only, since anybody's parts may be in another.
    fn created(&mut self, upload_id: String, ctx: &mut Context<'_>) {
        if self.journal.take().is_some() {
            // An earlier run's intent may name another source or part size; the later one counts.
            ctx.command(Command::Record { id: None, upload: self.id, record: self.intent() });
        }
        let record = Record::Created { upload_id: upload_id.clone() };
        let id = ctx.id();
        ctx.command(Command::Record { id: Some(id), upload: self.id, record });
        self.upload_id = Some(upload_id);
        self.maybe_created = false;
        self.phase = Phase::RecordingCreate(id);
    }

    fn begin_transfer(&mut self, ctx: &mut Context<'_>) {
        self.lay_out();
        self.phase = Phase::Transferring;
        self.tell_started(0, ctx);
    }

    /// Fills the table of parts from the plan; streams fill it as they are read.
    fn lay_out(&mut self) {
        let Some(plan) = self.plan.filter(|_| self.parts.len() == 0) else { return };
        for number in 1..=plan.parts {
            let (offset, len) = plan.range(number);
            self.parts.push(offset, len, PartState::Waiting);
        }
    }

    fn tell_started(&self, found: u32, ctx: &mut Context<'_>) {
        let part_size = self.plan.map_or(self.spec.options.part_size, |plan| plan.part_size);
        if self.plan.is_some_and(|plan| !self.single && plan.part_size != self.spec.options.part_size) {
            ctx.remark(
                self.id,
                format!("part size is {part_size} bytes instead of {}", self.spec.options.part_size),
            );
        }
        ctx.notice(Notice::Started {
            upload: self.id,
            upload_id: self.upload_id.clone(),
            parts: self.plan.filter(|_| !self.single).map_or(0, |plan| plan.parts),
            part_size,
            found,
        });
    }

    /// The additional checksum to ask of the service.
    fn asked_checksum(&self) -> Option<ChecksumAlgorithm> {
        (self.spec.options.integrity == Integrity::Verify).then_some(self.spec.options.checksum)
    }

    /// The checksums to compute over the next part: the asked one, and MD5 until the service has shown that it
    /// reports the asked one.
    fn wanted(&self) -> Wanted {
        if self.spec.options.integrity == Integrity::Off {
            return Wanted::default();
        }
        let asked = self.spec.options.checksum;
        let speaks = self.reports_checksum;
        Wanted {
            md5: speaks != Some(true),
            crc32c: asked == ChecksumAlgorithm::Crc32c && speaks != Some(false),
            sha256: asked == ChecksumAlgorithm::Sha256 && speaks != Some(false),
            sha384: asked == ChecksumAlgorithm::Sha384 && speaks != Some(false),
        }
    }

    fn customer_key(&self) -> Option<&CustomerKey> {
        self.spec.options.properties.customer_key.as_ref()
    }

    /// Sends whatever may be sent now.
    pub(super) fn pump(&mut self, ctx: &mut Context<'_>) {
        match self.phase {
            Phase::Opening | Phase::Transferring => self.pump_parts(ctx),
            Phase::Creating
            | Phase::Adopting
            | Phase::Listing { .. }
            | Phase::Committing
            | Phase::Looking
            | Phase::Confirming
            | Phase::Aborting => self.pump_call(ctx),
            Phase::Draining => self.drained(ctx),
            Phase::Intending(_)
            | Phase::RecordingCreate(_)
            | Phase::CheckingSource(_)
            | Phase::RecordingCommit(_)
            | Phase::Ended => {}
        }
    }

    /// A lease, or `None` when there is none now; a failed session ends the upload.
    fn lease(&mut self, ctx: &mut Context<'_>) -> Option<Lease> {
        match ctx.session.lease(ctx.now) {
            LeaseAnswer::Ready(lease) => {
                if std::mem::take(&mut self.held_up) {
                    // What was not sent meanwhile says nothing of how fast it goes.
                    self.forecast.restart(ctx.now.mono);
                }
                Some(lease)
            }
            LeaseAnswer::Wait => {
                self.held_up = true;
                None
            }
            LeaseAnswer::Failed(error) => {
                self.fail(error, ctx);
                None
            }
        }
    }

    fn pump_call(&mut self, ctx: &mut Context<'_>) {
        if !self.call.as_mut().is_some_and(|call| call.is_ready(ctx.now)) {
            return;
        }
        let Some(lease) = self.lease(ctx) else { return };
        let id = ctx.id();
        if let Some(call) = &mut self.call {
            let command = call.send(id, self.session, Some(self.id), lease, ctx.skew.ms());
            ctx.command(command);
        }
    }

    /// When the machine wants to be pumped next.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let call = self.call.as_ref().and_then(Call::due);
        let probe = self.probe.as_ref().and_then(|(probe, _)| probe.due());
        let waits = [self.parts.due(), self.storm_until].into_iter().flatten().min();
        let parts = waits.filter(|_| self.phase == Phase::Transferring && !self.paused);
        [call, probe, parts].into_iter().flatten().min()
    }

    /// Whether `id` is one of this upload's commands.
    pub(super) fn owns(&self, id: CommandId) -> bool {
        self.busy.contains_key(&id)
            || self.call.as_ref().and_then(Call::in_flight) == Some(id)
            || self.probe.as_ref().and_then(|(probe, _)| probe.in_flight()) == Some(id)
            || matches!(
                self.phase,
                Phase::Intending(own)
                    | Phase::RecordingCreate(own)
                    | Phase::CheckingSource(own)
                    | Phase::RecordingCommit(own)
                if own == id
            )
    }

    /// The outcome of one of this upload's commands.
    pub(super) fn handle(&mut self, event: Event, ctx: &mut Context<'_>) {
        match event {
            Event::Replied { id, outcome, sent } => {
                if let Some(number) = self.busy.remove(&id) {
                    self.on_part_replied(number, id, outcome, sent, ctx);
                } else if self.call.as_ref().and_then(Call::in_flight) == Some(id) {
                    let free = ctx.note_reply(id, &outcome);
                    let Some(mut call) = self.call.take() else { return };
                    if free {
                        call.again();
                        self.call = Some(call);
                        return;
                    }
                    let answer = call.on_replied(outcome, ctx.random, ctx.now);
                    self.on_answer(call, answer, ctx);
                } else {
                    self.on_probe_replied(id, outcome, ctx);
                }
            }
            Event::Hashed { id, result } => {
                if let Some(number) = self.busy.remove(&id) {
                    self.on_hashed(number, result, ctx);
                }
            }
            Event::Filled { id, result } => {
                if let Some(number) = self.busy.remove(&id) {
                    self.on_filled(number, result, ctx);
                }
            }
            Event::Recorded { id, result } => self.on_recorded(id, result, ctx),
            Event::SourceChecked { id, result } if self.phase == Phase::CheckingSource(id) => {
                self.on_source_checked(result, ctx);
            }
            _ => {}
        }
    }

    /// More bytes of a part went out.
    pub(super) fn progressed(&mut self, id: CommandId, bytes: u64, ctx: &mut Context<'_>) {
        if let Some(number) = self.busy.get(&id) {
            self.parts.add_sent(*number, bytes);
            self.forecast.sent(bytes, ctx.now.mono);
            self.tell_forecast(ctx);
        }
    }

    fn on_recorded(&mut self, id: CommandId, result: Result<(), Error>, ctx: &mut Context<'_>) {
        if let Err(error) = result {
            return self.journal_failed(error, ctx);
        }
        if self.phase == Phase::Intending(id) {
            self.create();
        } else if self.phase == Phase::RecordingCreate(id) {
            self.begin_transfer(ctx);
        } else if self.phase == Phase::RecordingCommit(id) {
            self.commit();
        }
    }

    /// What the control request of the present phase came to.
    fn on_answer(&mut self, call: Call, answer: Answer, ctx: &mut Context<'_>) {
        if self.phase == Phase::Draining {
            self.on_late_answer(&call, answer, ctx);
            return;
        }
        match answer {
            Answer::Refused(_) => self.call = Some(call),
            Answer::Retrying(error, retry_in) => {
                self.retries += 1;
                let failures = call.failures();
                ctx.notice(Notice::Retrying { upload: self.id, part: None, error, failures, retry_in });
                self.call = Some(call);
            }
            Answer::Failed(error) if self.phase == Phase::Looking && error.kind() == ErrorKind::NotFound => {
                self.on_absent(ctx);
            }
            Answer::Failed(error) if self.phase == Phase::Aborting => self.aborted(Err(error), ctx),
            Answer::Failed(error) => self.fail(error, ctx),
            Answer::Gone(facts) => self.on_gone(facts, ctx),
            Answer::Ambiguous(error) => self.on_ambiguous(error, ctx),
            Answer::Done(reply) => self.on_done(&reply, ctx),
        }
    }

    fn on_done(&mut self, reply: &Reply, ctx: &mut Context<'_>) {
        let result = match self.phase {
            Phase::Creating => oci::parse_created(reply).map(|entry| self.created(entry.upload_id, ctx)),
            Phase::Adopting => oci::parse_uploads(reply).and_then(|page| self.on_uploads_listed(page, ctx)),
            Phase::Listing { adopted } => {
                oci::parse_parts(reply).and_then(|page| self.on_parts_listed(page, adopted, ctx))
            }
            Phase::Committing => {
                self.on_committed(answered_facts(reply), ctx);
                Ok(())
            }
            Phase::Looking => {
                self.on_looked(oci::object_facts(reply), ctx);
                Ok(())
            }
            Phase::Confirming => {
                // The upload is still there: the object that looks like ours is another's.
                self.commit();
                Ok(())
            }
            Phase::Aborting => {
                self.aborted(Ok(()), ctx);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.fail(error, ctx);
        }
    }

    fn name(&self) -> &str {
        &self.spec.target.object
    }

    /// The caller pauses or resumes. Parts in flight are finished; no further ones are begun.
    pub(super) fn set_paused(&mut self, paused: bool, ctx: &mut Context<'_>) {
        if self.paused != paused && self.phase != Phase::Ended {
            self.paused = paused;
            self.forecast.restart(ctx.now.mono);
            ctx.notice(Notice::Paused { upload: self.id, paused });
        }
    }

    /// Whether nothing will happen any more.
    pub(super) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }
}

/// What the answer to a put or commit says of the object. Its `content-length` is that of the answer's own body.
fn answered_facts(reply: &Reply) -> ObjectFacts {
    ObjectFacts { size: None, ..oci::object_facts(reply) }
}

/// Failures in excess of successes before fewer requests are sent at a time.
fn retry_budget(parallel: u32) -> u32 {
    parallel.saturating_mul(2).max(20)
}

/// The precondition of the next single put.
fn put_precondition(given: &Precondition, replace_etag: Option<&String>) -> Precondition {
    match replace_etag {
        Some(etag) => Precondition::Etag(etag.clone()),
        None => given.clone(),
    }
}
