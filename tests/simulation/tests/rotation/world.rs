//! Processes that share one stored chain: each an engine with a driver that may die between any two steps.

use std::collections::VecDeque;
use std::time::Duration;

use outlast_core::Error;
use outlast_core::ErrorKind;
use outlast_core::engine::chain::{Chain, ChainEnd, ChainProfile, Intent, OnAmbiguous};
use outlast_core::engine::command::{ExchangeClass, ExchangeFailure, Notice};
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::session::{LeaseAnswer, SessionProfile};
use outlast_core::engine::time::{Mono, Now, UnixMillis};
use outlast_core::engine::{Command, Engine, Event, SessionId};

use crate::chooser::Chooser;
use crate::server::Server;

const EPOCH: UnixMillis = UnixMillis(1_772_366_400_000);
/// Life of an access token.
pub(crate) const LIFE: Duration = Duration::from_mins(5);

struct Process {
    engine: Engine,
    session: SessionId,
    started: Duration,
    commands: VecDeque<Command>,
    ends: Vec<ChainEnd>,
    is_exchanging: bool,
}

/// What may go wrong, and how often at most.
pub(crate) struct Faults {
    pub(crate) left: u32,
    pub(crate) clock_steps: bool,
    pub(crate) revocation: bool,
}

/// One machine, one stored chain, one server.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with its own line")]
pub(crate) struct World {
    pub(crate) chooser: Chooser,
    faults: Faults,
    policy: OnAmbiguous,
    time: Duration,
    wrong_ms: i64,
    server: Server,
    stored: Grant,
    intent: Option<Intent>,
    locked_by: Option<usize>,
    processes: Vec<Option<Process>>,
    starts: u64,
    /// An answer was lost, or a process died with a record open: the chain may be lost for it.
    answer_lost: bool,
    /// The date was set back while a record was open: windows measured across a crash cannot be trusted.
    was_set_back: bool,
    is_concluding: bool,
    /// Whether to tell every step.
    pub(crate) is_told: bool,
    pub(crate) exchanges: u64,
    pub(crate) crashes: u64,
    pub(crate) ended: Vec<ChainEnd>,
}

/// The number in `rt7`.
fn number(chain: &Chain) -> usize {
    chain.refresh.expose()[2..].parse().expect("named by us")
}

fn bearer(token: usize) -> Credential {
    Credential::Bearer(Bearer::new(Secret::new(format!("at{token}")), "Bearer").expect("a legal token"))
}

fn failure(class: ExchangeClass) -> ExchangeFailure {
    ExchangeFailure {
        class,
        error: Error::new(ErrorKind::Service, "as the schedule says"),
        retry_after: None,
    }
}

fn full() -> Error {
    Error::new(ErrorKind::State, "no space left")
}

impl World {
    pub(crate) fn new(policy: OnAmbiguous, processes: usize, faults: Faults, chooser: Chooser) -> World {
        let chain = Chain {
            started_at: Some(EPOCH),
            refreshed_at: Some(EPOCH),
            ..Chain::first(Secret::new("rt0".to_owned()), None)
        };
        let stored = Grant {
            issued_at: Some(EPOCH),
            expires_at: Some(EPOCH + LIFE),
            chain: Some(Box::new(chain)),
            ..Grant::new(bearer(0))
        };
        let mut world = World {
            chooser,
            faults,
            policy,
            time: Duration::ZERO,
            wrong_ms: 0,
            server: Server::new(policy),
            stored,
            intent: None,
            locked_by: None,
            processes: Vec::new(),
            starts: 0,
            answer_lost: false,
            was_set_back: false,
            is_concluding: false,
            is_told: false,
            exchanges: 0,
            crashes: 0,
            ended: Vec::new(),
        };
        for _ in 0..processes {
            let process = world.start();
            world.processes.push(Some(process));
        }
        world
    }

    fn start(&mut self) -> Process {
        self.starts += 1;
        let mut engine = Engine::new(self.starts);
        let chain = ChainProfile { rotates: true, on_ambiguous: self.policy, ..ChainProfile::default() };
        let profile = SessionProfile { chain, ..SessionProfile::default() };
        let now = Now { mono: Mono(Duration::ZERO), wall: self.wall() };
        let session = engine.add_session(profile, now);
        Process {
            engine,
            session,
            started: self.time,
            commands: VecDeque::new(),
            ends: Vec::new(),
            is_exchanging: false,
        }
    }

    fn wall(&self) -> UnixMillis {
        (EPOCH + self.time).offset(self.wrong_ms)
    }

    fn now(&self, process: &Process) -> Now {
        Now { mono: Mono(self.time.saturating_sub(process.started)), wall: self.wall() }
    }

    /// Takes what a process has to do and to tell; looks whether that is right.
    fn listen(&mut self, at: usize) {
        let Some(process) = &mut self.processes[at] else { return };
        while let Some(command) = process.engine.poll_command() {
            if matches!(command, Command::Exchange { .. }) {
                assert_eq!(self.locked_by, Some(at), "an exchange without the lock");
                process.is_exchanging = true;
            }
            process.commands.push_back(command);
        }
        while let Some(notice) = process.engine.poll_notice() {
            assert!(!format!("{notice:?}").contains("rt"), "a refresh token in {notice:?}");
            if let Notice::ChainEnded { reason, .. } = notice {
                process.ends.push(reason);
                self.ended.push(reason);
                let told = match reason {
                    ChainEnd::AnswerLost => self.answer_lost,
                    ChainEnd::Revoked => self.server.is_revoked,
                    // The server tells of reuse only when we were wrong.
                    ChainEnd::Reused => self.was_set_back,
                    ChainEnd::Idle | ChainEnd::Absolute => false,
                };
                assert!(told, "the end was told as {reason:?}, which it was not");
            }
        }
        let exchanging = self.processes.iter().flatten().filter(|process| process.is_exchanging).count();
        assert!(exchanging <= 1, "two refreshes of one chain at once");
    }

    /// A line of a schedule that is replayed alone.
    fn note(&self, line: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{:7.1} s {}", self.time.as_secs_f64(), line());
        }
    }

    fn deliver(&mut self, at: usize, event: Event) {
        self.note(|| format!("process {at}: {event:?}"));
        let Some(mut process) = self.processes[at].take() else { return };
        let now = self.now(&process);
        process.engine.handle(event, now);
        self.processes[at] = Some(process);
        self.listen(at);
    }

    /// Whether something goes wrong here; a fault is used up by it.
    fn fault(&mut self, odds: usize) -> bool {
        if self.faults.left == 0 || !self.chooser.once_in(odds) {
            return false;
        }
        self.faults.left -= 1;
        true
    }

    fn crash(&mut self, at: usize) {
        self.note(|| format!("process {at} dies"));
        self.crashes += 1;
        if self.locked_by == Some(at) {
            self.locked_by = None;
            // Whoever comes next cannot know what became of what the record says.
            self.answer_lost |= self.intent.is_some();
        }
        let process = self.start();
        self.processes[at] = Some(process);
        self.listen(at);
    }

    /// Whether a process has something to do that does not wait for another.
    fn is_ready(&self, at: usize) -> bool {
        let Some(command) = self.processes[at].as_ref().and_then(|process| process.commands.front()) else {
            return false;
        };
        !matches!(command, Command::Lock { .. }) || self.locked_by.is_none()
    }

    /// Carries out the next command of a process, or has it die before or after that.
    fn carry(&mut self, at: usize) {
        if self.fault(40) {
            self.crash(at);
            return;
        }
        let Some(command) = self.processes[at].as_mut().and_then(|process| process.commands.pop_front())
        else {
            return;
        };
        self.note(|| format!("process {at}: {command:?}"));
        let event = match command {
            Command::Load { id, .. } => {
                let mut grant = self.stored.clone();
                if let Some(chain) = &mut grant.chain {
                    chain.intent = self.intent;
                }
                Some(Event::Loaded { id, result: Ok(Some(grant)) })
            }
            Command::Lock { id, .. } => {
                self.locked_by = Some(at);
                Some(Event::Locked { id, result: Ok(()) })
            }
            Command::Unlock { .. } => {
                assert_eq!(self.locked_by.take(), Some(at), "a lock that was not held");
                None
            }
            Command::Intend { id, grant, intent, .. } => {
                let is_stored = grant.spends_same(&self.stored);
                let result = if self.fault(60) {
                    // The record that stays tells the next one less than is known here.
                    self.answer_lost |= self.intent.is_some();
                    Err(full())
                } else {
                    // A record is bound to its refresh token.
                    if is_stored {
                        self.intent = intent;
                    }
                    Ok(())
                };
                Some(Event::Intended { id, result })
            }
            Command::Exchange { id, grant, .. } => {
                let result = self.exchange(&grant.expect("a chain is asked with"));
                if self.fault(20) {
                    self.crash(at);
                    return;
                }
                if let Some(process) = &mut self.processes[at] {
                    process.is_exchanging = false;
                }
                Some(Event::Exchanged { id, result })
            }
            Command::Store { id, grant, .. } => {
                let result = if self.fault(20) {
                    // Others find the record of the link before, and cannot know better.
                    self.answer_lost = true;
                    Err(full())
                } else {
                    self.stored = Grant::clone(&grant);
                    self.intent = None;
                    Ok(())
                };
                Some(Event::Stored { id, result })
            }
            other => panic!("{other:?}"),
        };
        if self.fault(40) {
            self.crash(at);
        } else if let Some(event) = event {
            self.deliver(at, event);
        }
    }

    fn exchange(&mut self, grant: &Grant) -> Result<Grant, ExchangeFailure> {
        self.exchanges += 1;
        assert!(self.intent.is_some() || self.answer_lost, "presented without a record");
        let chain = grant.chain.as_ref().expect("a chain is asked with");
        if self.fault(12) {
            let classes = [ExchangeClass::NotSent, ExchangeClass::Transient, ExchangeClass::Ambiguous];
            let class = classes[self.chooser.pick(3)];
            self.answer_lost |= class == ExchangeClass::Ambiguous;
            return Err(failure(class));
        }
        let next = match self.server.present(number(chain), self.time) {
            Ok(next) => next,
            Err(reused) => {
                assert!(
                    !reused || self.was_set_back,
                    "rt{} was presented although it must not be under {:?}",
                    number(chain),
                    self.policy
                );
                let class = if reused { ExchangeClass::Reused } else { ExchangeClass::Refused };
                return Err(failure(class));
            }
        };
        if self.fault(8) {
            self.answer_lost = true;
            return Err(failure(ExchangeClass::Ambiguous));
        }
        Ok(Grant {
            lives_for: Some(LIFE),
            chain: Some(Box::new(chain.next(Some(Secret::new(format!("rt{next}"))), None))),
            ..Grant::new(bearer(next))
        })
    }

    /// Asks for a lease as a caller does.
    fn ask(&mut self, at: usize) -> Option<LeaseAnswer> {
        let mut process = self.processes[at].take()?;
        let answer = process.engine.session_lease(process.session, self.now(&process));
        self.processes[at] = Some(process);
        self.listen(at);
        Some(answer)
    }

    fn let_pass(&mut self, span: Duration) {
        self.time += span;
        for at in 0..self.processes.len() {
            if let Some(mut process) = self.processes[at].take() {
                let now = self.now(&process);
                process.engine.handle_timeout(now);
                self.processes[at] = Some(process);
            }
            self.listen(at);
        }
    }

    /// Everything that is to be done is done, in an order that the chooser picks.
    pub(crate) fn settle(&mut self) {
        for at in 0..self.processes.len() {
            self.listen(at);
        }
        for _ in 0..10_000 {
            let ready: Vec<usize> = (0..self.processes.len()).filter(|at| self.is_ready(*at)).collect();
            if ready.is_empty() {
                return;
            }
            // Once nothing goes wrong any more the order is all the same.
            let chosen = if self.is_concluding { 0 } else { self.chooser.pick(ready.len()) };
            self.carry(ready[chosen]);
        }
        panic!("it never comes to rest");
    }

    /// One caller of each process wants a lease after `span`, while faults happen.
    pub(crate) fn round(&mut self, span: Duration) {
        self.let_pass(span);
        if self.faults.revocation && self.fault(50) {
            self.server.is_revoked = true;
        }
        if self.faults.clock_steps && self.fault(20) {
            let steps = [-120_000, -3_000, 5_000, 90_000];
            let step = steps[self.chooser.pick(steps.len())];
            self.was_set_back |= step < 0;
            self.wrong_ms += step;
        }
        for at in 0..self.processes.len() {
            let _ = self.ask(at);
            // Some of the work is done before the next one asks.
            if !self.chooser.is_search() {
                for _ in 0..self.chooser.pick(6) {
                    let ready: Vec<usize> =
                        (0..self.processes.len()).filter(|at| self.is_ready(*at)).collect();
                    if !ready.is_empty() {
                        let chosen = ready[self.chooser.pick(ready.len())];
                        self.carry(chosen);
                    }
                }
            }
        }
        self.settle();
    }

    /// Faults are over: every process either gets a token that the server takes, or has told why there is none.
    pub(crate) fn conclude(&mut self) {
        self.faults.left = 0;
        self.is_concluding = true;
        self.time += LIFE * 2;
        'processes: for at in 0..self.processes.len() {
            for _ in 0..400 {
                let answer = self.ask(at).expect("it runs");
                self.settle();
                match answer {
                    LeaseAnswer::Ready(lease) => {
                        let chain = lease.grant.chain.as_ref().expect("it has a chain");
                        let ends = lease.grant.expires_at.expect("it ends");
                        // By the machine's clock it lives; by the server's it must, unless the date is wrong.
                        assert!(self.wrong_ms != 0 || ends > EPOCH + self.time, "an ended token");
                        // Revocation is not seen before a request is refused.
                        assert!(
                            self.server.is_revoked || self.server.accepts(number(chain)) || self.was_set_back,
                            "a token that the server does not know"
                        );
                        continue 'processes;
                    }
                    LeaseAnswer::Failed(error) => {
                        let process = self.processes[at].as_ref().expect("it runs");
                        assert!(!process.ends.is_empty(), "a lost chain that was told as: {error}");
                        assert_eq!(error.kind(), ErrorKind::SignInNeeded);
                        assert!(
                            self.answer_lost || self.server.is_revoked || self.was_set_back,
                            "a chain lost for nothing"
                        );
                        continue 'processes;
                    }
                    LeaseAnswer::Wait => self.let_pass(Duration::from_secs(2)),
                }
            }
            panic!("a caller waits for ever");
        }
    }
}
