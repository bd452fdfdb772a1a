//! Stopping before the end: drain what is in flight, keep or abort, tell.

use super::call::{Answer, Call};
use super::spec::OnFailure;
use super::{Ending, Outcome, Phase, Upload, answered_facts};
use crate::engine::command::{Command, Notice};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::machine::Context;
use crate::engine::upload::journal::Record;
use crate::engine::wire::oci::{self, Operation};

impl Upload {
    /// Stops: nothing more is read or sent, then the upload is kept or aborted.
    pub(super) fn fail(&mut self, error: Error, ctx: &mut Context<'_>) {
        let on_failure = self.spec.options.on_failure;
        self.stop(Ending { error, on_failure }, ctx);
    }

    /// Fails in a way that repeats: nothing but another source or `--restart` helps.
    pub(super) fn fail_for_good(&mut self, error: Error, ctx: &mut Context<'_>) {
        self.hopeless = true;
        self.fail(error, ctx);
    }

    fn stop(&mut self, ending: Ending, ctx: &mut Context<'_>) {
        match self.phase {
            Phase::Ended => return,
            Phase::Aborting => {
                // Aborting itself failed, for example because the session has ended.
                self.aborted(Err(ending.error), ctx);
                return;
            }
            _ => {}
        }
        if self.ending.is_none() {
            self.ending = Some(ending);
        }
        self.phase = Phase::Draining;
        let call = self.call.as_ref().and_then(Call::in_flight);
        let probe = self.probe.as_ref().and_then(|(probe, _)| probe.in_flight());
        if call.is_none() {
            self.call = None;
        }
        if probe.is_none() {
            self.probe = None;
        }
        // A create or commit under way is waited for: its effect must be known.
        let acts = self
            .call
            .as_ref()
            .is_some_and(|call| matches!(call.operation, Operation::Create | Operation::Commit));
        for id in self.parts.in_flight().into_iter().chain(call.filter(|_| !acts)).chain(probe) {
            ctx.command(Command::Cancel { id });
        }
        self.drained(ctx);
    }

    /// The caller cancels.
    pub(in crate::engine) fn cancel(&mut self, on_failure: OnFailure, ctx: &mut Context<'_>) {
        let error =
            Error::new(ErrorKind::Cancelled, format!("the upload of \"{}\" was cancelled", self.name()));
        if let Some(ending) = &mut self.ending {
            ending.on_failure = on_failure;
        }
        self.stop(Ending { error, on_failure }, ctx);
    }

    /// Without a journal the upload could not be resumed: stop while it still can.
    pub(in crate::engine) fn journal_failed(&mut self, error: Error, ctx: &mut Context<'_>) {
        if self.phase != Phase::Ended {
            self.fail(error.during("writing the upload journal"), ctx);
        }
    }

    /// The answer of a request that was under way when the upload was stopped. What it did must not be lost.
    pub(super) fn on_late_answer(&mut self, call: &Call, answer: Answer, ctx: &mut Context<'_>) {
        match (call.operation, answer) {
            (Operation::Create, Answer::Done(reply)) => {
                if let Ok(entry) = oci::parse_created(&reply) {
                    let record = Record::Created { upload_id: entry.upload_id.clone() };
                    ctx.command(Command::Record { id: None, upload: self.id, record });
                    self.upload_id = Some(entry.upload_id);
                }
            }
            (Operation::Create, Answer::Ambiguous(_)) => self.maybe_created = true,
            (Operation::Commit, Answer::Done(reply)) => {
                self.ending = None;
                self.on_committed(answered_facts(&reply), ctx);
            }
            _ => {}
        }
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
            Ok(()) => {
                ctx.command(Command::Forget { upload: self.id });
                self.upload_id = None;
            }
            Err(error) => {
                let id = self.upload_id.as_deref().unwrap_or_default();
                let text = format!(
                    "the upload could not be aborted: {error}; `outlast uploads abort --upload-id {id}`"
                );
                ctx.remark(self.id, text);
            }
        }
        let error = self.ending.take().map(|ending| ending.error);
        self.end(
            Err(error.unwrap_or_else(|| Error::new(ErrorKind::Cancelled, "the upload was aborted"))),
            ctx,
        );
    }

    /// Ends with nothing left that could be resumed: the same call begins anew.
    pub(super) fn fail_and_forget(&mut self, error: Error, ctx: &mut Context<'_>) {
        ctx.command(Command::Forget { upload: self.id });
        self.upload_id = None;
        self.end(Err(error), ctx);
    }

    pub(super) fn end(&mut self, result: Result<Box<Outcome>, Error>, ctx: &mut Context<'_>) {
        let kept = self.upload_id.is_some() || self.maybe_created;
        let resumable = result.is_err() && kept && !self.hopeless && self.stream.is_none() && !self.single;
        self.phase = Phase::Ended;
        self.ending = None;
        self.call = None;
        self.probe = None;
        ctx.notice(Notice::Finished { upload: self.id, result, resumable });
    }
}
