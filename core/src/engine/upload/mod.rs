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
//! | Committing     | a part is not the one that was named   | Listing (recheck)                           |
//! | Listing        | recheck: parts / upload gone           | Transferring / Looking                      |
//! | Looking        | upload gone: our object / not ours     | Ended (verified) / Intending, or failed     |
//! | Looking        | answer lost: our object / not ours     | Confirming / Committing                     |
//! | Confirming     | upload gone / still there              | Ended (verified) / Committing               |
//! | any            | permanent failure, cancel              | Draining → Aborting or Ended (retained)     |
//!
//! The part machine is in [`part`], control requests in [`call`], the journal's records in [`journal`]. The
//! beginning is in `begin` and `resume`, the parts' way in `transfer`, the end in `finish` and `recheck`, stopping before it
//! in `ending`.

mod begin;
pub mod call;
mod ending;
mod finish;
mod forecast;
pub mod journal;
mod knee;
mod outcome;
pub mod part;
pub mod plan;
mod recheck;
mod resume;
pub mod spec;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use super::checksum::Wanted;
use super::command::{CommandId, Event, Notice, SessionId, UploadId};
use super::credential::{Generation, Lease};
use super::error::{Error, ErrorKind};
use super::machine::{Context, Standing};
use super::session::LeaseAnswer;
use super::time::{Mono, UnixMillis};
use super::wire::oci::{self, ObjectFacts, Operation, PartEntry};
use super::wire::{Reply, Request};
pub use outcome::{Outcome, Progress};

use call::{Answer, Call};
pub(in crate::engine) use forecast::Forecast;
use journal::{Expected, JournalState};
use knee::Knee;
use part::Parts;
use plan::Plan;
use spec::{ChecksumAlgorithm, CustomerKey, Integrity, OnFailure, Precondition, Target, UploadSpec};

/// Most attempts of a control request while nothing is stored yet.
const FIRST_ATTEMPTS: u32 = 8;

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
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with its own line")]
#[expect(clippy::struct_field_names, reason = "the service's own word")]
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
    /// How often a refused commit was followed by a look at all parts.
    rechecks: u32,
    /// The upload that was to be committed does not exist any more.
    gone: bool,
    /// What the object looks like by the commit's own answer, kept while we look closer.
    facts: Option<ObjectFacts>,
    /// What the object looks like, kept while we make sure that it is this upload's and the source still the same.
    looked: Option<ObjectFacts>,
    /// Shared by all parts against storms: each failure takes one, each stored part gives one back. With less left than
    /// requests are allowed in flight, no more than that are.
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
    /// How many requests the link can use, when that is to be found out.
    knee: Option<Knee>,
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
            rechecks: 0,
            gone: false,
            facts: None,
            looked: None,
            budget: 0,
            storm_until: None,
            retries: 0,
            refusals: 0,
            paused: false,
            held_up: false,
            ending: None,
            hopeless: false,
            forecast: Forecast::new(ctx.now.mono),
            knee: spec.options.adaptive.then(|| Knee::new(spec.options.parallel)),
            spec,
        };
        upload.budget = retry_budget(upload.at_most());
        if let Err(error) = upload.begin(journal, ctx) {
            upload.end(Err(error), ctx);
        }
        upload
    }

    fn set_call(&mut self, phase: Phase, operation: Operation, request: Request) {
        // Before anything is stored a wrong endpoint or name is more likely than an outage worth sitting out.
        let patience = if self.parts.done() == 0 { FIRST_ATTEMPTS } else { u32::MAX };
        self.phase = phase;
        self.call = Some(Call::new(operation, request, self.spec.options.max_attempts.min(patience)));
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

    /// The checksums to compute over the next part: the asked one, or MD5 once the service has shown that it does not
    /// report the asked one. What can be sent but not read again has both until that is known.
    fn wanted(&self) -> Wanted {
        if self.spec.options.integrity == Integrity::Off {
            return Wanted::default();
        }
        let asked = self.spec.options.checksum;
        let speaks = self.reports_checksum;
        Wanted {
            md5: self.spec.options.also_md5
                || speaks == Some(false)
                || (speaks.is_none() && (self.single || self.stream.is_some())),
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
                    let standing = ctx.note_reply(id, &outcome);
                    let Some(mut call) = self.call.take() else { return };
                    if standing == Standing::Misdated {
                        call.again();
                        self.call = Some(call);
                        return;
                    }
                    let answer = call.on_replied(outcome, standing, ctx.random, ctx.now);
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
            self.moved(bytes, ctx);
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
            Answer::Failed(error) if self.may_recheck(&error) => self.recheck(&error, ctx),
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

    /// What it is, for the record.
    pub(super) fn described(&self) -> String {
        let Target { namespace, bucket, object } = &self.spec.target;
        format!("upload {namespace}/{bucket}/{object}")
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
fn retry_budget(in_flight: u32) -> u32 {
    in_flight.saturating_mul(2).max(20)
}

/// The precondition of the next single put.
fn put_precondition(given: &Precondition, replace_etag: Option<&String>) -> Precondition {
    match replace_etag {
        Some(etag) => Precondition::Etag(etag.clone()),
        None => given.clone(),
    }
}
