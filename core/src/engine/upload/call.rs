//! One control request (create, list, commit, head…): signed, refused, retried, answered.

use std::time::Duration;

use crate::engine::command::{BodyRef, Command, CommandId, SessionId, UploadId};
use crate::engine::credential::{Generation, Lease};
use crate::engine::error::{Error, ErrorKind, HttpFacts, Retry};
use crate::engine::machine::Standing;
use crate::engine::random::{Backoff, Random};
use crate::engine::time::{Mono, Now};
use crate::engine::wire::oci::{self, Operation};
use crate::engine::wire::{Reply, Request, TransportFailure, TransportKind, Verdict};

/// Waits between attempts of one request: 1 s doubling to 30 s, as the official clients do, but with full jitter.
pub(super) const RETRY_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(30) };

/// Where the request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent as soon as there is a lease.
    Waiting,
    /// On its way.
    InFlight(CommandId, Generation),
    /// To be sent again at this moment.
    Backoff(Mono),
}

/// One control request.
#[derive(Debug)]
pub struct Call {
    /// What it does.
    pub operation: Operation,
    request: Request,
    state: State,
    failures: u32,
    max_attempts: u32,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Answer {
    /// 2xx.
    Done(Reply),
    /// Refused under this generation; the call waits for the next credential.
    Refused(Generation),
    /// It will be tried again.
    Retrying(Error, Duration),
    /// The upload it names does not exist.
    Gone(HttpFacts),
    /// It may have been carried out, and repeating it blindly could do harm.
    Ambiguous(Error),
    /// It failed for good.
    Failed(Error),
}

impl Call {
    /// A request that wants to be sent.
    pub fn new(operation: Operation, request: Request, max_attempts: u32) -> Self {
        Call { operation, request, state: State::Waiting, failures: 0, max_attempts }
    }

    /// Whether it wants a lease now. A wait that is over is over, whether or not there is a lease: nothing but the
    /// session can say when there will be one.
    pub fn is_ready(&mut self, now: Now) -> bool {
        if matches!(self.state, State::Backoff(until) if now.mono >= until) {
            self.state = State::Waiting;
        }
        matches!(self.state, State::Waiting)
    }

    /// When it wants to be looked at next.
    pub fn due(&self) -> Option<Mono> {
        match self.state {
            State::Backoff(until) => Some(until),
            State::Waiting | State::InFlight(..) => None,
        }
    }

    /// The command in flight.
    pub fn in_flight(&self) -> Option<CommandId> {
        match self.state {
            State::InFlight(id, _) => Some(id),
            State::Waiting | State::Backoff(_) => None,
        }
    }

    /// Sends it.
    pub fn send(
        &mut self,
        id: CommandId,
        session: SessionId,
        upload: Option<UploadId>,
        lease: Lease,
        skew_ms: i64,
    ) -> Command {
        self.state = State::InFlight(id, lease.generation);
        let request = Box::new(self.request.clone());
        Command::Send { id, session, upload, part: None, lease, skew_ms, request, body: BodyRef::Json }
    }

    /// Asks for another attempt at once, at no cost (used after the signing clock was corrected).
    pub fn again(&mut self) {
        self.state = State::Waiting;
    }

    /// The answer, or why there is none; `standing` is what it says of the credential.
    pub(in crate::engine) fn on_replied(
        &mut self,
        outcome: Result<Reply, TransportFailure>,
        standing: Standing,
        random: &mut Random,
        now: Now,
    ) -> Answer {
        let State::InFlight(_, generation) = self.state else {
            return Answer::Failed(Error::new(ErrorKind::Internal, "an answer without a request"));
        };
        self.state = State::Waiting;
        let attempt = self.operation.attempt();
        let reply = match outcome {
            Ok(reply) => reply,
            Err(failure) => {
                let error = failure.error.clone().during(attempt);
                return match failure.kind {
                    TransportKind::Tls | TransportKind::Source => Answer::Failed(error),
                    _ if failure.is_ambiguous() && self.acts() => Answer::Ambiguous(error),
                    // A refusal can surface as a broken connection, but these requests are small: they are
                    // out before the refusal comes. Simply try again.
                    _ => self.retry(error, None, random, now),
                };
            }
        };
        match oci::verdict(self.operation, &reply) {
            Verdict::Done => Answer::Done(reply),
            Verdict::Refused(_) => Answer::Refused(generation),
            _ if standing == Standing::Refused => Answer::Refused(generation),
            Verdict::UploadGone(facts) => Answer::Gone(facts),
            Verdict::Fatal(error) => Answer::Failed(error),
            Verdict::Again(after, facts) => {
                let server_broke = facts.status >= 500 && facts.status != 503;
                let error = Error::new(ErrorKind::Service, attempt).with_http(facts);
                if server_broke && self.acts() {
                    return Answer::Ambiguous(error);
                }
                self.retry(error, after, random, now)
            }
        }
    }

    /// Counts a failure and plans the next attempt, or ends.
    pub fn retry(&mut self, error: Error, after: Option<Duration>, random: &mut Random, now: Now) -> Answer {
        self.failures += 1;
        if self.failures >= self.max_attempts {
            return Answer::Failed(error.with_retry(Retry::Exhausted));
        }
        let wait = RETRY_BACKOFF.wait(self.failures, after, random);
        self.state = State::Backoff(now.mono + wait);
        Answer::Retrying(error, wait)
    }

    /// Failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether repeating it after a lost answer could do something twice.
    fn acts(&self) -> bool {
        matches!(self.operation, Operation::Create | Operation::Commit)
    }
}
