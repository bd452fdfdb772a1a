//! Calls: signed control requests outside any upload, with refusals and retries taken care of.

use std::collections::BTreeMap;

use super::{Context, Engine, Owner, Standing};
use crate::engine::command::{Command, CommandId, SessionId};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::session::LeaseAnswer;
use crate::engine::time::Now;
use crate::engine::upload::call::{Answer, Call};
use crate::engine::wire::oci::Operation;
use crate::engine::wire::{Reply, Request, TransportFailure};

/// Attempts of a call.
const CALL_ATTEMPTS: u32 = 5;

impl Engine {
    /// Sends one signed control request outside any upload, with refusals and retries taken care of. Ends with
    /// [`Command::CallDone`] under the returned id.
    pub fn call(
        &mut self,
        session: SessionId,
        operation: Operation,
        request: Request,
        now: Now,
    ) -> CommandId {
        self.now = now;
        let id = CommandId(self.fresh());
        if self.open(session).is_some() {
            self.calls.insert(id, (session, Call::new(operation, request, CALL_ATTEMPTS)));
            self.pump();
        } else {
            let outcome = Err(Error::new(ErrorKind::InvalidInput, "the session is closed"));
            self.commands.push_back(Command::CallDone { call: id, outcome });
        }
        id
    }

    pub(super) fn on_call_replied(
        &mut self,
        call_id: CommandId,
        id: CommandId,
        outcome: Result<Reply, TransportFailure>,
    ) {
        let Some((session, mut call)) = self.calls.remove(&call_id) else { return };
        let acting = self.acting(session);
        let Some(entry) = self.sessions.get_mut(&acting) else { return };
        let mut ctx = Context {
            now: self.now,
            session: &mut entry.session,
            skew: &mut entry.skew,
            random: &mut self.random,
            owner: Owner::Call(call_id),
            owners: &mut self.owners,
            next_id: &mut self.next_id,
            commands: &mut self.commands,
            notices: &mut self.notices,
        };
        let standing = ctx.note_reply(id, &outcome);
        if standing == Standing::Misdated {
            call.again();
            self.calls.insert(call_id, (session, call));
            return;
        }
        match call.on_replied(outcome, standing, ctx.random, ctx.now) {
            Answer::Refused(_) | Answer::Retrying(..) => {
                self.calls.insert(call_id, (session, call));
            }
            Answer::Done(reply) => self.end_call(call_id, Ok(reply)),
            Answer::Gone(facts) => {
                let error = Error::new(ErrorKind::NotFound, "the upload does not exist").with_http(facts);
                self.end_call(call_id, Err(error));
            }
            Answer::Ambiguous(error) | Answer::Failed(error) => self.end_call(call_id, Err(error)),
        }
    }

    pub(super) fn end_call(&mut self, call: CommandId, outcome: Result<Reply, Error>) {
        self.calls.remove(&call);
        self.commands.push_back(Command::CallDone { call, outcome });
    }

    pub(super) fn pump_calls(&mut self) {
        let mut failed = Vec::new();
        let acting: BTreeMap<SessionId, SessionId> =
            self.calls.values().map(|(session, _)| (*session, self.acting(*session))).collect();
        for (call_id, (session, call)) in &mut self.calls {
            let Some(entry) = acting.get(session).and_then(|id| self.sessions.get_mut(id)) else { continue };
            if !call.is_ready(self.now) {
                continue;
            }
            match entry.session.lease(self.now) {
                LeaseAnswer::Ready(lease) => {
                    self.next_id += 1;
                    let id = CommandId(self.next_id);
                    self.owners.insert(id, (Owner::Call(*call_id), Some(lease.generation)));
                    self.commands.push_back(call.send(id, *session, None, lease, entry.skew.ms));
                }
                LeaseAnswer::Wait => {}
                LeaseAnswer::Failed(error) => failed.push((*call_id, error)),
            }
        }
        for (call, error) in failed {
            self.end_call(call, Err(error));
        }
    }
}
