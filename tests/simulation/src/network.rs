//! Requests to the storage service on their way, and their answers on the way back.

use std::time::Duration;

use outlast_core::engine::checksum::Digests;
use outlast_core::engine::command::{BodyRef, Command, CommandId, Event};
use outlast_core::engine::credential::Credential;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::Integrity;
use outlast_core::engine::wire::{Reply, Request, TransportFailure, TransportKind};
use outlast_core::{Error, ErrorKind};

use crate::ask::{Ask, AskKind};
use crate::content::Chunk;
use crate::driver::{STALL, Work, delayed};
use crate::fault::Fault;
use crate::host::Life;
use crate::reply;
use crate::world::{Item, World, network};

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    life: Life,
    id: CommandId,
    job: Option<usize>,
    part: Option<u32>,
    request: Box<Request>,
    ask: Ask,
    /// `None`: an API key.
    token: Option<String>,
    date: UnixMillis,
    body: BodyRef,
    fault: Option<Fault>,
    /// How long its bytes take.
    transfer: Duration,
    /// For how long of that they flow.
    flow: Duration,
    told: u64,
    /// The server has stored the part, and will say so truthfully.
    stored: bool,
    /// Set when the client has gone away.
    grounded: bool,
    /// What the network holds of it then.
    held: Option<Chunk>,
    arrival: Option<(Result<Reply, TransportFailure>, Option<Digests>)>,
}

impl World {
    /// Begins to send a request.
    pub(crate) fn send(&mut self, life: Life, command: Command) {
        let Command::Send { id, upload, part, lease, skew_ms, request, body, .. } = command else { return };
        let is_part = matches!(body, BodyRef::Source { .. });
        let job = match upload {
            Some(upload) if is_part => Some(self.begin_work(life, id, upload)),
            Some(upload) => {
                self.issue(life, id);
                Some(self.working(life, upload))
            }
            None => {
                self.issue(life, id);
                None
            }
        };
        if self.clock.wrong_ms() == 0
            && skew_ms == 0
            && lease.grant.expires_at.is_some_and(|end| end <= self.clock.server())
        {
            self.fail("a request is sent under a credential that has ended");
        }
        let ask = Ask::of(&request);
        if let (Some(number), Ask::Part { upload, number: part }) = (job, &ask) {
            let job = &mut self.jobs[number];
            job.sends += 1;
            if job.settled.contains(&(upload.clone(), *part)) && !job.changed {
                self.fail(&format!("part {part} is sent again although it is stored"));
            }
        }
        let crowded = job.is_some_and(|job| {
            let job = &self.jobs[job];
            job.tolerated.is_some_and(|most| job.permits.len() > most)
        });
        let fault = self.befalls(ask.kind(), job, part).or(crowded.then_some(Fault::Throttled(None)));
        self.figures.requests += 1;
        if let (Some(job), Some(fault)) = (job, fault) {
            // When the question breaks whether broken connections were refusals, they all count as bad luck.
            let probe = matches!(ask.kind(), AskKind::List | AskKind::Head);
            let cost = if probe { self.jobs[job].options.parallel } else { 1 };
            self.jobs[job].mishaps += if fault.costs() { cost } else { 0 };
        }
        let now = self.clock.time();
        let (transfer, flow) = match (body, job) {
            (BodyRef::Source { len, .. }, Some(job)) => self.jobs[job].pass(len, now),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        let slow = if let Some(Fault::Slow(seconds)) = fault {
            Duration::from_secs(seconds)
        } else {
            Duration::ZERO
        };
        let token = match &lease.grant.credential {
            Credential::OciSession { token, .. } => Some(token.expose().clone()),
            Credential::OciApiKey { .. } | Credential::Bearer(_) => None,
        };
        self.flown += 1;
        let key = self.flown;
        let flight = Flight {
            life,
            id,
            job,
            part,
            request,
            ask,
            token,
            date: self.clock.now().wall.offset(skew_ms),
            body,
            fault,
            transfer: transfer + slow,
            flow: flow + slow,
            told: 0,
            stored: false,
            grounded: false,
            held: None,
            arrival: None,
        };
        self.by_command.insert((life, id), key);
        self.flights.insert(key, flight);
        if fault == Some(Fault::Unreachable) {
            self.break_off(key, TransportKind::Connect, self.pace.round_trip);
        } else {
            self.plan(self.pace.round_trip / 2, Item::Arrive(key));
        }
    }

    /// The head of a request reaches the server.
    pub(crate) fn arrive(&mut self, key: u64) {
        let now = self.clock.server();
        let Some(flight) = self.flights.get(&key) else { return };
        let (half, transfer, kind) = (self.pace.round_trip / 2, flight.transfer, flight.ask.kind());
        let flow = flight.flow;
        let in_time = flight.date.0.abs_diff(now.0) <= 300_000;
        let admitted = match &flight.token {
            Some(token) => self.issuer.admits(token, flight.date, now),
            None => in_time,
        };
        let has_body = matches!(kind, AskKind::Part | AskKind::Put);
        let fault = flight.fault;
        if !admitted || fault == Some(Fault::Refused) {
            let job = flight.job;
            if has_body && self.random.below(1000) < self.weather.disguise {
                // Unless the credential is to blame, which a further request finds out, it looks like bad luck.
                let unlucky = !in_time || fault == Some(Fault::Refused);
                if let Some(job) = job.filter(|_| unlucky) {
                    self.jobs[job].mishaps += 1;
                }
                return self.break_off(key, TransportKind::BrokenWhileSending, half);
            }
            return self.reply(key, reply::failure(401, "NotAuthenticated", now), None, half);
        }
        let early = match fault {
            Some(Fault::BrokenWhileSending) => {
                return self.break_off(key, TransportKind::BrokenWhileSending, transfer / 2);
            }
            Some(Fault::BrokenUnheard) => {
                return self.break_off(key, TransportKind::BrokenAfterSending, transfer);
            }
            Some(Fault::StalledBefore) => {
                return self.break_off(key, TransportKind::Stalled, transfer / 2 + STALL);
            }
            Some(Fault::HeardLate { seconds, damaged }) => {
                self.leave_on_its_way(key, transfer / 2 + STALL + Duration::from_secs(seconds), damaged);
                return self.break_off(key, TransportKind::Stalled, transfer / 2 + STALL);
            }
            Some(Fault::Throttled(after)) => delayed(429, "TooManyRequests", after, now),
            Some(Fault::Unavailable(after)) => delayed(503, "ServiceUnavailable", after, now),
            Some(Fault::Broke) => reply::failure(500, "InternalServerError", now),
            Some(Fault::TimedOut) => reply::failure(408, "RequestTimeout", now),
            Some(Fault::Conflict) => reply::failure(409, "IncorrectState", now),
            Some(Fault::Forbidden) => reply::failure(403, "NotAuthorized", now),
            _ => {
                let ticks = self.pace.ticks;
                if has_body && ticks > 0 {
                    let queued = transfer.saturating_sub(flow);
                    for tick in 1..=ticks {
                        self.plan(queued + flow * tick / (ticks + 1), Item::Tick(key));
                    }
                }
                self.plan(transfer, Item::Finish(key));
                return;
            }
        };
        self.reply(key, early, None, half);
    }

    /// The server gets a part whole although nobody waits for its answer any more.
    fn leave_on_its_way(&mut self, key: u64, wait: Duration, damaged: bool) {
        let Some(flight) = self.flights.get(&key).filter(|flight| matches!(flight.ask, Ask::Part { .. }))
        else {
            return;
        };
        let fault = damaged.then_some(Fault::DamagedOnTheWay);
        let (BodyRef::Source { offset, len, .. }, Some(job)) = (flight.body, flight.job) else { return };
        let held = self.jobs[job].read(offset, len);
        let late = Flight { grounded: true, held, fault, ..flight.clone() };
        self.flown += 1;
        self.flights.insert(self.flown, late);
        self.plan(wait, Item::Finish(self.flown));
    }

    /// Some more bytes went out.
    pub(crate) fn tick(&mut self, key: u64) {
        let ticks = u64::from(self.pace.ticks) + 1;
        let Some(flight) = self.flights.get_mut(&key) else { return };
        let BodyRef::Source { len, .. } = flight.body else { return };
        let bytes = (len / ticks).min(len - flight.told);
        flight.told += bytes;
        let (life, id) = (flight.life, flight.id);
        self.deliver(life, Event::Progressed { id, bytes });
    }

    /// A request is at the server whole: it acts and answers.
    pub(crate) fn finish(&mut self, key: u64) {
        let now = self.clock.server();
        let half = self.pace.round_trip / 2;
        let Some(flight) = self.flights.get_mut(&key) else { return };
        let fault = flight.fault;
        let chunk = match (flight.body, flight.job) {
            _ if flight.held.is_some() => flight.held.take(),
            (BodyRef::Source { offset, len, .. }, Some(job)) => {
                match self.jobs[job].read(offset, len).filter(|_| !self.host.is_unreadable) {
                    Some(chunk) => Some(chunk),
                    None if flight.grounded => return self.land(key),
                    None => {
                        let error = Error::new(ErrorKind::Source, "the source is shorter than it was");
                        let failure = TransportFailure { kind: TransportKind::Source, error };
                        flight.arrival = Some((Err(failure), None));
                        return self.plan(Duration::ZERO, Item::Answer(key));
                    }
                }
            }
            _ => None,
        };
        let sent = match (flight.body, &chunk) {
            (BodyRef::Source { wanted, .. }, Some(chunk)) => Some(chunk.digests(wanted)),
            _ => None,
        };
        // Without comparing nobody can tell; and a single put has only the one answer, which lies.
        let compared = flight.job.is_none_or(|job| self.jobs[job].options.integrity == Integrity::Verify);
        let seen = compared && matches!(flight.ask, Ask::Part { .. });
        let mut answer = if fault == Some(Fault::DamagedAtRest) && seen {
            // Told is what was sent, kept is something else.
            let told = self.storage.clone_answer(&flight.request, &flight.ask, chunk.clone(), now);
            let kept =
                self.storage.answer(&flight.request, &flight.ask, chunk.as_ref().map(Chunk::damaged), now);
            merge(kept, &told)
        } else {
            let arrived = match (fault, chunk) {
                (Some(Fault::DamagedOnTheWay), Some(chunk)) if compared => Some(chunk.damaged()),
                (_, chunk) => chunk,
            };
            self.storage.answer(&flight.request, &flight.ask, arrived, now)
        };
        tamper(&mut answer, fault);
        flight.stored = answer.status == 200
            && matches!(flight.ask, Ask::Part { .. })
            && fault.is_none_or(|fault| !fault.tampers());
        if flight.grounded {
            return self.heard_late(key);
        }
        match fault {
            Some(Fault::BrokenAfter) => self.lose(key, TransportKind::BrokenAfterSending, sent, half),
            Some(Fault::StalledAfter) => self.lose(key, TransportKind::Stalled, sent, STALL),
            Some(Fault::Garbled) => self.lose(key, TransportKind::Protocol, sent, half),
            Some(Fault::BrokeAfter) => {
                flight.stored = false;
                self.reply(key, reply::failure(500, "InternalServerError", now), sent, half);
            }
            _ => self.reply(key, answer, sent, half),
        }
    }

    /// A part was replaced by bytes that nobody waits for: the commit will be refused once, the part may be compared, and
    /// if they are damaged it is sent again.
    fn heard_late(&mut self, key: u64) {
        let Some(flight) = self.flights.remove(&key) else { return };
        let (Ask::Part { upload, number }, Some(job)) = (flight.ask, flight.job) else { return };
        self.jobs[job].mishaps += 3;
        if flight.fault.is_some() {
            self.jobs[job].settled.remove(&(upload, number));
        }
    }

    fn reply(&mut self, key: u64, answer: Reply, sent: Option<Digests>, wait: Duration) {
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.arrival = Some((Ok(answer), sent));
            self.plan(wait, Item::Answer(key));
        }
    }

    fn break_off(&mut self, key: u64, kind: TransportKind, wait: Duration) {
        self.lose(key, kind, None, wait);
    }

    fn lose(&mut self, key: u64, kind: TransportKind, sent: Option<Digests>, wait: Duration) {
        if let Some(flight) = self.flights.get_mut(&key) {
            let error = network(match kind {
                TransportKind::Connect => "no route",
                TransportKind::Stalled => "no progress for 60 s",
                TransportKind::Protocol => "the answer is not HTTP",
                _ => "connection reset",
            });
            flight.stored = false;
            flight.arrival = Some((Err(TransportFailure { kind, error }), sent));
            self.plan(wait, Item::Answer(key));
        }
    }

    /// An answer reaches the client.
    pub(crate) fn answer(&mut self, key: u64) {
        let Some(flight) = self.flights.remove(&key) else { return };
        let Flight { life, id, job, part, ask, stored, arrival, .. } = flight;
        let Some((outcome, sent)) = arrival else { return };
        if let Some(job) = job {
            self.jobs[job].permits.remove(&id);
            self.jobs[job].refusals += u32::from(matches!(&outcome, Ok(reply) if reply.status == 401));
            if let (Ask::Part { upload, .. }, Some(part), true) = (ask, part, stored) {
                self.jobs[job].settled.insert((upload, part));
            }
        }
        let echo = self.clock.time() < self.weather.until && self.random.below(1000) < self.weather.echo;
        if echo {
            // The same answer once more, and one to a question nobody asked.
            let strange = CommandId(id.0 + 1_000_000);
            let again = Event::Replied { id, outcome: outcome.clone(), sent: sent.clone() };
            let stray = Event::Replied { id: strange, outcome: outcome.clone(), sent: sent.clone() };
            self.plan(Duration::from_millis(3), Item::Work(life, Work::Echo(again)));
            self.plan(Duration::from_millis(1), Item::Work(life, Work::Echo(stray)));
        }
        self.by_command.remove(&(life, id));
        self.deliver(life, Event::Replied { id, outcome, sent });
    }

    /// An engine does not care about a command any more.
    pub(crate) fn cancel_flight(&mut self, life: Life, id: CommandId) {
        let Some(key) = self.by_command.get(&(life, id)).copied() else { return };
        let on_its_way = self.flights.get(&key).is_some_and(|flight| flight.arrival.is_none());
        // Cancelling may come too late.
        if on_its_way && self.random.chance(70) {
            self.break_off(key, TransportKind::BrokenWhileSending, Duration::from_millis(1));
            if let Some(flight) = self.flights.remove(&key) {
                // Under a new number, so that what is planned for the old one finds nothing.
                self.flown += 1;
                let next = self.flown;
                self.by_command.insert((life, id), next);
                self.flights.insert(next, flight);
                self.plan(Duration::from_millis(1), Item::Answer(next));
            }
        }
    }

    /// A process is gone: its connections break. A request that is at the server nearly whole may still be heard.
    pub(crate) fn ground(&mut self, life: Life) {
        let mine: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| flight.life == life).map(|(key, _)| *key).collect();
        for key in mine {
            let heard = self.random.chance(50);
            if let Some(flight) = self.flights.get_mut(&key) {
                self.by_command.remove(&(life, flight.id));
                let brief = flight.transfer < Duration::from_secs(1) && flight.arrival.is_none();
                if brief && heard { flight.grounded = true } else { self.land(key) }
            }
        }
    }

    fn land(&mut self, key: u64) {
        self.flights.remove(&key);
    }
}

/// What the server tells when it believes its own lie.
fn merge(mut kept: Reply, told: &Reply) -> Reply {
    reply::strip(&mut kept, |name| name.starts_with("opc-content"));
    let sums = told.headers.iter().filter(|(name, _)| name.starts_with("opc-content"));
    kept.headers.extend(sums.cloned());
    kept
}

fn tamper(answer: &mut Reply, fault: Option<Fault>) {
    match fault {
        Some(Fault::ToldWrong) => {
            for (name, value) in &mut answer.headers {
                if name.starts_with("opc-content") || name.starts_with("opc-multipart") {
                    // Another valid value of the same length.
                    let first = if value.starts_with('A') { "B" } else { "A" };
                    value.replace_range(..1, first);
                }
            }
        }
        Some(Fault::SumsMissing) => {
            reply::strip(answer, |name| {
                name.starts_with("opc-content") || name.starts_with("opc-multipart") || name == "content-md5"
            });
        }
        Some(Fault::EtagMissing) => reply::strip(answer, |name| name == "etag"),
        Some(Fault::DateMissing) => reply::strip(answer, |name| name == "date"),
        _ => {}
    }
}
