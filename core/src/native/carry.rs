//! Carrying out commands: each becomes a task that answers with its one terminal event.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::body::{Body, Sent};
use super::buffer::Pool;
use super::content::Content;
use super::driver::{Driver, Task};
use super::endpoint::Endpoint;
use super::http::{Http, Outgoing};
use super::journal::Job;
use super::limiter::Limiter;
use super::md5::Batcher;
use super::message::Message;
use super::meter::Meter;
use super::range::{Range, Sums};
use super::source::{Patience, Wire};
use super::ticket::Ticket;
use super::trace::{Label, Trace};
use crate::engine::checksum::{Digests, Wanted};
use crate::engine::command::BodyRef;
use crate::engine::credential::Lease;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::wire::{Reply, Request, Service, TransportFailure, TransportKind};
use crate::engine::{Command, CommandId, Event, SessionId};

/// Longest wait for a lock between processes.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// What tasks work with.
pub(crate) struct Tools {
    pub(crate) http: Http,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) batcher: Batcher,
    pub(crate) trace: Option<Trace>,
    pub(crate) runtime: Handle,
    pub(crate) events: Sender<Message>,
    pub(crate) closing: Arc<AtomicBool>,
}

impl Tools {
    /// What a source sends with.
    pub(super) fn wire<'a>(
        &'a self,
        (storage, auth): (&'a Endpoint, &'a Endpoint),
        skew_ms: i64,
    ) -> Wire<'a> {
        Wire {
            http: &self.http,
            auth,
            storage,
            skew_ms,
            trace: self.trace.as_ref(),
            runtime: &self.runtime,
            date: Cell::new(None),
        }
    }

    /// A line for those who want to see everything.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            trace(&line());
        }
    }
}

/// The lock that a session holds between processes, while it does.
pub(crate) type Guard = Arc<Mutex<Option<Box<dyn Send>>>>;

/// A part or request on its way out.
pub(super) struct Sending {
    pub(super) id: CommandId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) lease: Lease,
    pub(super) skew_ms: i64,
    pub(super) request: Request,
    pub(super) part: Option<u32>,
    pub(super) bytes: Option<Bytes>,
}

/// The bytes of a part, by reference.
pub(super) struct Bytes {
    pub(super) content: Arc<Content>,
    pub(super) pool: Pool,
    /// Offset and length.
    pub(super) range: (u64, u64),
    pub(super) wanted: Wanted,
}

impl Driver {
    /// Begins to carry out a command. Never waits.
    pub(crate) fn carry(&mut self, command: Command) {
        let ticket = Ticket::of(&command, &self.tools.events);
        match (command, ticket) {
            (Command::Send { session, upload, part, lease, skew_ms, request, body, .. }, Some(ticket)) => {
                let Some(room) = self.sessions.get(&session) else { return };
                let endpoint = match request.service {
                    Service::Storage => Arc::clone(&room.storage),
                    Service::Auth => Arc::clone(&room.auth),
                };
                let source = upload.and_then(|id| self.uploads.get(&id));
                let bytes = match (body, source) {
                    (BodyRef::Json, _) => None,
                    (BodyRef::Source { offset, len, wanted }, Some(source)) => Some(Bytes {
                        content: Arc::clone(&source.content),
                        pool: source.pool.clone(),
                        range: (offset, len),
                        wanted,
                    }),
                    (BodyRef::Source { .. }, None) => return,
                };
                let id = ticket.id();
                let sending = Sending { id, endpoint, lease, skew_ms, request: *request, part, bytes };
                let tools = Arc::clone(&self.tools);
                self.spawn(ticket.id(), async move {
                    let (outcome, sent) = send(&tools, sending).await;
                    ticket.finish(Event::Replied { id, outcome, sent });
                });
            }
            (Command::Hash { upload, offset, len, wanted, .. }, Some(ticket)) => {
                let Some(room) = self.uploads.get(&upload) else { return };
                let range = Range::new(&room.content, &room.pool, (offset, len), wanted, &self.tools.batcher);
                self.spawn(ticket.id(), async move {
                    let id = ticket.id();
                    let result = range.hash().await;
                    ticket.finish(Event::Hashed { id, result });
                });
            }
            (Command::Fill { upload, offset, len, wanted, .. }, Some(ticket)) => {
                let Some(room) = self.uploads.get(&upload) else { return };
                let (content, pool) = (Arc::clone(&room.content), room.pool.clone());
                self.spawn(ticket.id(), async move {
                    let id = ticket.id();
                    let result = content.fill(&pool, offset, len, wanted).await;
                    ticket.finish(Event::Filled { id, result });
                });
            }
            (Command::CheckSource { upload, .. }, Some(ticket)) => {
                let Some(room) = self.uploads.get(&upload) else { return };
                let content = Arc::clone(&room.content);
                self.tools.runtime.spawn_blocking(move || {
                    let id = ticket.id();
                    ticket.finish(Event::SourceChecked { id, result: content.check() });
                });
            }
            (Command::Release { upload, offset }, _) => {
                if let Some(room) = self.uploads.get(&upload) {
                    room.content.release(offset);
                }
            }
            (Command::Record { id, upload, record }, ticket) => {
                let Some(room) = self.uploads.get(&upload) else { return };
                // The journal's task answers from here on.
                if room.jobs.send(Job::Record(id, record)).is_ok()
                    && let Some(ticket) = ticket
                {
                    ticket.entrust();
                }
            }
            (Command::Forget { upload }, _) => {
                if let Some(room) = self.uploads.get(&upload) {
                    let _ = room.jobs.send(Job::Forget);
                }
            }
            (Command::Cancel { id }, _) => {
                if let Some(Task { abort: Some(abort), .. }) = self.tasks.get(&id) {
                    abort.abort();
                }
            }
            (Command::CallDone { call, outcome }, _) => self.call_done(call, outcome),
            (command, ticket) => self.carry_for_session(command, ticket),
        }
    }

    fn carry_for_session(&mut self, command: Command, ticket: Option<Ticket>) {
        match (command, ticket) {
            (Command::Load { session, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                self.block(move |_| {
                    let id = ticket.id();
                    ticket.finish(Event::Loaded { id, result: source.load() });
                });
            }
            (Command::Lock { session, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                let Some(guard) = self.sessions.get(&session).map(|room| Arc::clone(&room.guard)) else {
                    return;
                };
                self.block(move |tools| {
                    let id = ticket.id();
                    let patience = Patience::new(LOCK_PATIENCE, Arc::clone(&tools.closing));
                    let result = source.lock(&patience).map(|held| put(&guard, Some(held))).map(drop);
                    ticket.finish(Event::Locked { id, result });
                });
            }
            (Command::Unlock { session }, _) => {
                // Taken now, so that a lock that is asked for next is not the one that is given back.
                if let Some(held) = self.sessions.get(&session).and_then(|room| put(&room.guard, None)) {
                    self.block(move |_| drop(held));
                }
            }
            (Command::Intend { session, grant, intent, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                self.block(move |_| {
                    let id = ticket.id();
                    ticket.finish(Event::Intended { id, result: source.intend(&grant, intent.as_ref()) });
                });
            }
            (Command::Exchange { session, grant, skew_ms, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                let Some(room) = self.sessions.get(&session) else { return };
                let (storage, auth) = room.endpoints();
                self.block(move |tools| {
                    let id = ticket.id();
                    let wire = tools.wire((&storage, &auth), skew_ms);
                    let result = source.exchange(grant.as_deref(), &wire);
                    // First: a machine whose clock is wrong learns here why it is refused, and how long the token lives.
                    if let Some(date) = wire.date.get() {
                        let _ = tools.events.send(Message::Event(Event::Dated { session, date }));
                    }
                    ticket.finish(Event::Exchanged { id, result });
                });
            }
            (Command::HandOver { session, grant, record, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                let Some(room) = self.sessions.get(&session) else { return };
                let ((storage, auth), audit) = (room.endpoints(), room.audit.clone());
                let skew_ms = self.engine.session_skew_ms(session);
                self.block(move |tools| {
                    let id = ticket.id();
                    let wire = tools.wire((&storage, &auth), skew_ms);
                    let unrecorded = || Error::new(ErrorKind::State, "there is no record to write to");
                    let result = source
                        .check(&grant, &wire)
                        .and_then(|()| audit.ok_or_else(unrecorded)?.append(&record));
                    ticket.finish(Event::HandedOver { id, result });
                });
            }
            (Command::Store { session, grant, .. }, Some(ticket)) => {
                let Some(source) = self.pend(session, ticket.id()) else { return };
                self.block(move |_| {
                    let id = ticket.id();
                    ticket.finish(Event::Stored { id, result: source.store(&grant) });
                });
            }
            _ => {}
        }
    }

    /// Notes a session's command as under way and gives its source.
    fn pend(&mut self, session: SessionId, id: CommandId) -> Option<Arc<dyn super::source::Source>> {
        let room = self.sessions.get_mut(&session)?;
        room.pending += 1;
        self.tasks.insert(id, Task { abort: None, session: Some(session) });
        Some(Arc::clone(&room.source))
    }

    pub(super) fn block(&self, work: impl FnOnce(&Tools) + Send + 'static) {
        let tools = Arc::clone(&self.tools);
        self.tools.runtime.spawn_blocking(move || work(&tools));
    }

    fn spawn(&mut self, id: CommandId, task: impl Future<Output = ()> + Send + 'static) {
        let abort: AbortHandle = self.tools.runtime.spawn(task).abort_handle();
        self.tasks.insert(id, Task { abort: Some(abort), session: None });
    }
}

fn put(guard: &Guard, held: Option<Box<dyn Send>>) -> Option<Box<dyn Send>> {
    std::mem::replace(&mut *guard.lock().unwrap_or_else(PoisonError::into_inner), held)
}

/// Signs, sends and waits for the answer; with the checksums of the bytes when all of them went out.
pub(super) async fn send(
    tools: &Tools,
    sending: Sending,
) -> (Result<Reply, TransportFailure>, Option<Digests>) {
    let Sending { id, endpoint, lease, skew_ms, request, part, bytes } = sending;
    let len = bytes.as_ref().map_or(request.json.len() as u64, |bytes| bytes.range.1);
    let label = tools.trace.is_some().then(|| Label::new(&request, Some(lease.generation), part, len));
    let meter = Arc::new(Meter::start());
    let (body, sent) = match bytes {
        None => (None, None),
        Some(bytes) => {
            let events = tools.events.clone();
            let report = Box::new(move |bytes| {
                let _ = events.send(Message::Event(Event::Progressed { id, bytes }));
            });
            let Bytes { content, pool, range, wanted } = bytes;
            let range = Range::new(&content, &pool, range, wanted, &tools.batcher).paced(&tools.limiter);
            let (body, sent) = Body::range(range, Arc::clone(&meter), report);
            (Some(body), Some(sent))
        }
    };
    let credential = &lease.grant.credential;
    let outgoing =
        Outgoing { endpoint: &endpoint, request, credential, skew_ms, body, meter: Arc::clone(&meter) };
    let (outcome, digests) = match sent {
        None => (tools.http.send(outgoing).await, None),
        Some(sent) => send_part(tools, outgoing, sent).await,
    };
    if let (Some(trace), Some(label)) = (&tools.trace, label) {
        trace(&label.line(&outcome, meter.elapsed()));
    }
    (outcome, digests)
}

/// Sends a part while its bytes are read. An answer that comes early ends the reading.
async fn send_part(
    tools: &Tools,
    outgoing: Outgoing<'_>,
    mut sent: Sent,
) -> (Result<Reply, TransportFailure>, Option<Digests>) {
    let meter = Arc::clone(&outgoing.meter);
    let mut sums: Option<Sums> = None;
    let answer = {
        let mut head = std::pin::pin!(tools.http.start(outgoing));
        loop {
            tokio::select! {
                // Reading first: once the last byte is handed over the checksums are known before an answer can come.
                biased;
                result = sent.get(), if sums.is_none() => match result {
                    Ok(read) => sums = Some(read),
                    Err(error) => return (Err(TransportFailure { kind: TransportKind::Source, error }), None),
                },
                answer = &mut head => break answer,
            }
        }
        // Here the reading ends: if the body is not out, the connection ends with it.
    };
    let whole = meter.is_whole();
    if whole && sums.is_none() {
        // The last byte and the answer came between two looks; the sums were there first.
        sums = sent.get().await.ok();
    }
    let outcome = match answer {
        Ok(response) if response.status().is_success() && !whole => {
            // Nothing can have been stored of a body that was not sent.
            let status: StatusCode = response.status();
            let message = format!("the service answered {status} before it had all of the part");
            Err(TransportFailure {
                kind: TransportKind::Protocol,
                error: Error::new(ErrorKind::Protocol, message),
            })
        }
        Ok(response) => tools.http.finish(response, &meter).await,
        Err(failure) => Err(failure),
    };
    match sums.filter(|_| whole && outcome.is_ok()) {
        None => (outcome, None),
        Some(sums) => match sums.get().await {
            Ok(digests) => (outcome, Some(digests)),
            Err(error) => (Err(TransportFailure { kind: TransportKind::Source, error }), None),
        },
    }
}
