//! The engine with everything it has in flight: one session, its uploads, its requests.
//!
//! A component runs only while it is called, so time passes in rounds: carry out what the engine wants, look at the
//! requests that the host says have moved, tell the engine, wait for the next one to move.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::command::{
    BodyRef, Command, CommandId, Event, ExchangeClass, ExchangeFailure, UploadId,
};
use outlast_core::engine::config::Endpoint;
use outlast_core::engine::credential::{Grant, Lease};
use outlast_core::engine::session::{LeaseAnswer, SessionStatus};
use outlast_core::engine::time::{Mono, Now};
use outlast_core::engine::wire::{Request, Service, TransportFailure, TransportKind};
use outlast_core::engine::{self, Engine, SessionId};
use outlast_core::{Error, ErrorKind};

use crate::bindings::exports::outlast::transfer::sessions::{
    Credential as Supplied, Notice, Refusal, SessionOptions,
};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::random::random;
use crate::clock;
use crate::convert;
use crate::origin::Origin;
use crate::source::Source;
use crate::transfer::{Content, Look, Outcome, Transfer};
#[cfg(feature = "uploads")]
use crate::works::Works;

/// Longest time for one exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the host may take to answer a wish for a credential.
const WISH_TIMEOUT: Duration = Duration::from_mins(2);
/// Files are written one after the other, each truncated first: what does not fit together may fit in a moment.
const LOOKS: u32 = 6;
/// Time between these looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// While some requests have always something to do, the others are looked at this often.
const GLANCE_EVERY: Duration = Duration::from_millis(10);
/// A host that stays away longer than this between two steps has been asleep, and so have the requests.
const ABSENCE: Duration = Duration::from_secs(1);

/// One session and what belongs to it.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) session: SessionId,
    pub(crate) storage: Endpoint,
    #[cfg(feature = "uploads")]
    pub(crate) works: Works,
    auth: Endpoint,
    source: Source,
    in_flight: BTreeMap<CommandId, InFlight>,
    loads: Vec<PendingLoad>,
    wish: Option<Wish>,
    notices: Vec<Notice>,
    left_at: Mono,
    polled_at: Mono,
}

/// A request and whose it is.
struct InFlight {
    transfer: Transfer,
    purpose: Purpose,
    /// To be looked at in this round.
    hot: bool,
    /// The limiter's next grant.
    limited: Option<Mono>,
}

enum Purpose {
    Send(Option<UploadId>),
    Exchange(Arc<Grant>),
}

/// A credential that could not be read, and may be in a moment.
struct PendingLoad {
    id: CommandId,
    looks: u32,
    due: Mono,
}

/// A credential that the host has been asked for.
struct Wish {
    id: CommandId,
    due: Mono,
}

impl Driver {
    /// Errors: `InvalidInput` (endpoint, paths), `Config` (keys and tokens handed over).
    pub(crate) fn open(options: SessionOptions) -> Result<Driver, Error> {
        let parse = |text: &str| Endpoint::parse(text, options.allow_http == Some(true));
        let storage = parse(&options.endpoint)?;
        let auth = options.auth_endpoint.as_deref().map(parse).transpose()?;
        let auth = auth.unwrap_or_else(|| storage.clone());
        let source = Source::new(options.source)?;
        let now = clock::now();
        let mut engine = Engine::new(random::get_random_u64());
        let profile = source.profile(Duration::from_millis(options.wait_for_login_ms.unwrap_or(0)));
        let session = engine.add_session(profile, now);
        Ok(Driver {
            engine,
            session,
            storage,
            #[cfg(feature = "uploads")]
            works: Works::default(),
            auth,
            source,
            in_flight: BTreeMap::new(),
            loads: Vec::new(),
            wish: None,
            notices: Vec::new(),
            left_at: now.mono,
            polled_at: now.mono,
        })
    }

    /// Moves everything for about `budget`; returns early when there is something to tell.
    pub(crate) fn step(&mut self, budget: Duration) -> Vec<Notice> {
        let until = self.enter() + budget;
        self.glance();
        while self.notices.is_empty() && self.round(until, true) {}
        self.left_at = clock::mono();
        std::mem::take(&mut self.notices)
    }

    /// The right to send one request.
    ///
    /// Errors: `Timeout` when the budget is spent, and why the session is unusable.
    pub(crate) fn lease(&mut self, budget: Duration) -> Result<Lease, Error> {
        let until = self.enter() + budget;
        let answer = loop {
            match self.engine.session_lease(self.session, clock::now()) {
                LeaseAnswer::Ready(lease) => break Ok(lease),
                LeaseAnswer::Failed(error) => break Err(error),
                LeaseAnswer::Wait => {}
            }
            // Nothing comes of waiting: the host has to hear of it first.
            if self.wish.is_some() {
                break Err(Error::new(ErrorKind::Timeout, "the host has not supplied a credential yet"));
            }
            if !self.round(until, false) {
                break Err(Error::new(ErrorKind::Timeout, "there is no usable credential yet"));
            }
        };
        self.left_at = clock::mono();
        answer
    }

    /// A look at the session.
    pub(crate) fn status(&self) -> Option<SessionStatus> {
        self.engine.session_status(self.session, clock::now())
    }

    /// The host has a credential, whether it was asked or not.
    pub(crate) fn supply(&mut self, credential: Supplied) -> Result<(), Error> {
        let grant = self.source.supply(credential)?.clone();
        let event = match self.wish.take() {
            Some(wish) => Event::Exchanged { id: wish.id, result: Ok(grant) },
            None => Event::SourceTouched { session: self.session },
        };
        self.engine.handle(event, clock::now());
        // Who has supplied a credential does not get an older one afterwards.
        while let Some(command) = self.engine.poll_command() {
            self.carry_out(command, clock::now());
        }
        Ok(())
    }

    /// The host has no credential.
    pub(crate) fn decline(&mut self, why: Refusal) {
        let (class, kind) = if why.sign_in_needed {
            (ExchangeClass::Refused, ErrorKind::SignInNeeded)
        } else {
            (ExchangeClass::Transient, ErrorKind::Service)
        };
        self.end_wish(class, Error::new(kind, why.message));
    }

    fn end_wish(&mut self, class: ExchangeClass, error: Error) {
        if let Some(wish) = self.wish.take() {
            let failure = ExchangeFailure { class, error, retry_after: None };
            self.engine.handle(Event::Exchanged { id: wish.id, result: Err(failure) }, clock::now());
        }
    }

    fn enter(&mut self) -> Mono {
        let now = clock::mono();
        let gap = now - self.left_at;
        if gap > ABSENCE {
            for work in self.in_flight.values_mut() {
                work.transfer.excuse(gap);
            }
        }
        now
    }

    /// One round, without a wait at its end if the caller is `eager` for notices and there is one. False when the time is
    /// up or there is nothing to wait for.
    fn round(&mut self, until: Mono, eager: bool) -> bool {
        let now = clock::now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.engine.handle_timeout(now);
        }
        let mut busy = false;
        while let Some(command) = self.engine.poll_command() {
            self.carry_out(command, clock::now());
            if clock::mono() >= until {
                busy = true;
                break;
            }
        }
        self.load_again(now);
        if self.wish.as_ref().is_some_and(|wish| wish.due <= now.mono) {
            let line = format!("the host gave no credential within {} s", WISH_TIMEOUT.as_secs());
            self.end_wish(ExchangeClass::Transient, Error::new(ErrorKind::Timeout, line));
        }
        #[cfg(feature = "uploads")]
        if let Some(event) = self.works.hash() {
            self.engine.handle(event, clock::now());
            busy = true;
        } else {
            busy |= self.works.is_hashing();
        }
        busy |= self.look(now);
        self.collect();
        let now = clock::mono();
        if busy && now - self.polled_at >= GLANCE_EVERY {
            self.glance();
        }
        let told = eager && !self.notices.is_empty();
        now < until && (busy || told || self.wait(now, until))
    }

    fn carry_out(&mut self, command: Command, now: Now) {
        let event = match command {
            Command::Load { id, .. } => {
                self.load(id, 1, now);
                None
            }
            // Between processes there is nothing to lock with; refreshing twice costs a request and breaks nothing.
            Command::Lock { id, .. } => Some(Event::Locked { id, result: Ok(()) }),
            // No session here has a service.
            Command::HandOver { id, .. } => Some(Event::HandedOver { id, result: Ok(()) }),
            // No source here uses anything up.
            Command::Intend { id, .. } => Some(Event::Intended { id, result: Ok(()) }),
            Command::Exchange { id, grant, skew_ms, .. } => self
                .exchange(id, grant, skew_ms, now)
                .err()
                .map(|failure| Event::Exchanged { id, result: Err(failure) }),
            Command::Store { id, grant, .. } => Some(Event::Stored { id, result: self.source.store(&grant) }),
            Command::Send { id, upload, lease, skew_ms, request, body, .. } => {
                let sent = self.send(id, upload, &lease, skew_ms, *request, body, now);
                sent.err().map(|failure| Event::Replied { id, outcome: Err(failure), sent: None })
            }
            Command::Cancel { id } => self.cancel(id),
            Command::Unlock { .. } | Command::CallDone { .. } => None,
            #[cfg(feature = "uploads")]
            other => self.works.carry_out(other),
            #[cfg(not(feature = "uploads"))]
            _ => None,
        };
        if let Some(event) = event {
            self.engine.handle(event, now);
        }
    }

    fn load(&mut self, id: CommandId, looks: u32, now: Now) {
        let result = self.source.load();
        if result.is_err() && looks < LOOKS && self.source.may_be_torn() {
            self.loads.push(PendingLoad { id, looks: looks + 1, due: now.mono + LOOK_EVERY });
        } else {
            self.engine.handle(Event::Loaded { id, result }, now);
        }
    }

    fn load_again(&mut self, now: Now) {
        let (due, later) = std::mem::take(&mut self.loads).into_iter().partition(|load| load.due <= now.mono);
        self.loads = later;
        for load in due {
            self.load(load.id, load.looks, now);
        }
    }

    fn exchange(
        &mut self,
        id: CommandId,
        grant: Option<Arc<Grant>>,
        skew_ms: i64,
        now: Now,
    ) -> Result<(), ExchangeFailure> {
        if self.source.is_supplied() {
            self.wish = Some(Wish { id, due: now.mono + WISH_TIMEOUT });
            self.notices.push(Notice::Wanted);
            return Ok(());
        }
        let request = self.source.exchange(grant.as_deref())?;
        let held = grant.expect("a source asks for nothing unless something is held");
        let date = now.wall.offset(skew_ms);
        let transfer = Transfer::start(&self.auth, request, &held.credential, date, Content::Json, now.mono);
        match transfer {
            Ok(transfer) => {
                let transfer = transfer.until(now.mono + EXCHANGE_TIMEOUT);
                self.in_flight.insert(id, InFlight::new(transfer, Purpose::Exchange(held)));
                Ok(())
            }
            Err(failure) => match Source::exchanged(&held, &Err(failure)) {
                Ok(_) => Ok(()),
                Err(failure) => Err(failure),
            },
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    fn send(
        &mut self,
        id: CommandId,
        upload: Option<UploadId>,
        lease: &Lease,
        skew_ms: i64,
        request: Request,
        body: BodyRef,
        now: Now,
    ) -> Result<(), TransportFailure> {
        let content = match body {
            BodyRef::Json => Content::Json,
            BodyRef::Source { offset, len, wanted } => {
                let origin = self.origin(upload).ok_or_else(|| TransportFailure {
                    kind: TransportKind::Source,
                    error: Error::new(ErrorKind::Internal, "a part of no upload"),
                })?;
                Content::Source { origin, offset, len, wanted }
            }
        };
        let endpoint = match request.service {
            Service::Storage => &self.storage,
            Service::Auth => &self.auth,
        };
        let date = now.wall.offset(skew_ms);
        let transfer = Transfer::start(endpoint, request, &lease.grant.credential, date, content, now.mono)?;
        self.in_flight.insert(id, InFlight::new(transfer, Purpose::Send(upload)));
        Ok(())
    }

    #[cfg(feature = "uploads")]
    fn origin(&self, upload: Option<UploadId>) -> Option<Origin> {
        self.works.origin(upload?)
    }

    #[cfg(not(feature = "uploads"))]
    fn origin(&self, _: Option<UploadId>) -> Option<Origin> {
        None
    }

    fn cancel(&mut self, id: CommandId) -> Option<Event> {
        let error = Error::new(ErrorKind::Cancelled, "no longer wanted");
        if self.in_flight.remove(&id).is_some() {
            let failure = TransportFailure { kind: TransportKind::BrokenWhileSending, error };
            return Some(Event::Replied { id, outcome: Err(failure), sent: None });
        }
        if self.wish.take_if(|wish| wish.id == id).is_some() {
            let failure = ExchangeFailure { class: ExchangeClass::NotSent, error, retry_after: None };
            return Some(Event::Exchanged { id, result: Err(failure) });
        }
        #[cfg(feature = "uploads")]
        if let Some(event) = self.works.cancel(id, error) {
            return Some(event);
        }
        None
    }

    /// Looks at the requests that have moved. True when some can be looked at again at once.
    fn look(&mut self, now: Now) -> bool {
        let mut again = false;
        let mut ended = Vec::new();
        for (id, work) in &mut self.in_flight {
            if work.limited.is_some_and(|until| until <= now.mono) {
                work.limited = None;
                work.hot = true;
            }
            if !std::mem::take(&mut work.hot) && now.mono < work.transfer.due() {
                continue;
            }
            #[cfg(feature = "uploads")]
            let limiter = match work.purpose {
                Purpose::Send(Some(upload)) => self.works.limiter(upload),
                _ => None,
            };
            #[cfg(not(feature = "uploads"))]
            let limiter = None;
            match work.transfer.look(limiter, clock::mono()) {
                Look::Waiting => {}
                Look::Limited(until) => work.limited = Some(until),
                Look::Moved(bytes) => {
                    work.hot = true;
                    again = true;
                    if bytes > 0 && matches!(work.purpose, Purpose::Send(_)) {
                        self.engine.handle(Event::Progressed { id: *id, bytes }, now);
                    }
                }
                Look::Ended(outcome) => ended.push((*id, outcome)),
            }
        }
        for (id, outcome) in ended {
            self.end(id, *outcome);
            again = true;
        }
        again
    }

    fn end(&mut self, id: CommandId, outcome: Outcome) {
        let Some(work) = self.in_flight.remove(&id) else { return };
        let event = match &work.purpose {
            Purpose::Send(_) => Event::Replied { id, outcome: outcome.reply, sent: outcome.sent },
            Purpose::Exchange(held) => {
                Event::Exchanged { id, result: Source::exchanged(held, &outcome.reply) }
            }
        };
        // The host's resources go before the engine starts the next request with them.
        drop(work);
        self.engine.handle(event, clock::now());
    }

    fn collect(&mut self) {
        let mut finished = false;
        while let Some(notice) = self.engine.poll_notice() {
            finished |= matches!(notice, engine::Notice::Finished { .. });
            #[cfg(feature = "uploads")]
            self.works.heed(&notice);
            self.notices.push(convert::notice(notice));
        }
        // Who hears of an end may never step again: the journal goes before that.
        while finished && let Some(command) = self.engine.poll_command() {
            self.carry_out(command, clock::now());
        }
    }

    /// Waits until something moves, some timer is due or the time is up. False when there is nothing to wait for.
    fn wait(&mut self, now: Mono, until: Mono) -> bool {
        let works = self.in_flight.values().map(|work| work.limited.unwrap_or_else(|| work.transfer.due()));
        let others = self.loads.iter().map(|load| load.due).chain(self.wish.as_ref().map(|wish| wish.due));
        let Some(due) = works.chain(others).chain(self.engine.poll_timeout()).min() else { return false };
        self.poll(due.min(until) - now);
        true
    }

    /// Which requests have moved since the last look: a short step, or one that is busy with others, would never see it.
    fn glance(&mut self) {
        if !self.in_flight.is_empty() {
            self.poll(Duration::ZERO);
        }
    }

    fn poll(&mut self, longest: Duration) {
        let timer =
            monotonic_clock::subscribe_duration(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX));
        let mut pollables: Vec<&Pollable> = vec![&timer];
        let mut owners: Vec<CommandId> = Vec::new();
        for (id, work) in &self.in_flight {
            work.transfer.pollables(work.limited.is_some(), &mut pollables);
            owners.resize(pollables.len() - 1, *id);
        }
        let ready = poll(&pollables);
        self.polled_at = clock::mono();
        for at in ready {
            let Some(id) = usize::try_from(at).ok().and_then(|at| owners.get(at.checked_sub(1)?)) else {
                continue;
            };
            if let Some(work) = self.in_flight.get_mut(id) {
                work.hot = true;
            }
        }
    }
}

impl InFlight {
    fn new(transfer: Transfer, purpose: Purpose) -> Self {
        InFlight { transfer, purpose, hot: true, limited: None }
    }
}
