//! What happened: one entry per request, and counters over all of them.

use crate::op::Op;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One request. Secrets (authorization, customer keys) are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the request, from 1, in order of completion.
    pub seq: u64,
    /// When its head was complete, by the cloud's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// How long it took from there to the end of the answer, in milliseconds.
    pub took_ms: u64,
    /// Number of its connection, from 1.
    pub connection: u64,
    /// Method as sent.
    pub method: String,
    /// Request target as sent.
    pub target: String,
    /// Operation.
    pub op: Op,
    /// Object name, decoded.
    pub object: Option<String>,
    /// Upload id.
    pub upload: Option<String>,
    /// Part number.
    pub part: Option<u32>,
    /// Status of the answer; 0 if there was none.
    pub status: u16,
    /// What the client was not told: why it was refused, how the request ended.
    pub reason: Option<String>,
    /// Session of the token that signed it (also of an expired or revoked one).
    pub session: Option<usize>,
    /// Generation of that token.
    pub generation: Option<u32>,
    /// Its `jti`.
    pub jti: Option<String>,
    /// `content-length`.
    pub length: Option<u64>,
    /// Body bytes that arrived.
    pub received: u64,
    /// Fault rules that fired.
    pub faults: Vec<u64>,
    /// `opc-request-id` of the answer.
    pub request_id: String,
    /// Request headers but for secrets.
    pub headers: BTreeMap<String, String>,
}

/// Counters since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests that were read, control not counted.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Requests by operation.
    pub by_op: BTreeMap<Op, u64>,
    /// Answers by status; 0 for requests left without one.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by generation of the token that signed them; refused ones are not counted.
    pub by_generation: BTreeMap<u32, u64>,
    /// Requests refused with 401 for their credentials (not by a fault).
    pub unauthenticated: u64,
    /// Refresh requests.
    pub refresh_requests: u64,
    /// Tokens minted by refresh requests.
    pub refreshes: u64,
    /// Refresh requests being served now.
    pub refreshes_in_flight: u64,
    /// The most there were at a time.
    pub max_refreshes_in_flight: u64,
    /// Part uploads being served now.
    pub parts_in_flight: u64,
    /// The most there were at a time.
    pub max_parts_in_flight: u64,
    /// Parts stored, re-uploads included.
    pub parts_stored: u64,
    /// The same by part number (over all uploads).
    pub stored_by_part: BTreeMap<u32, u64>,
    /// Uploads created.
    pub created: u64,
    /// Uploads committed.
    pub committed: u64,
    /// Uploads aborted.
    pub aborted: u64,
    /// Body bytes of parts and objects that arrived, also of those that failed.
    pub bytes_received: u64,
    /// Firings of fault rules.
    pub faults_fired: u64,
}

/// What counts while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Refresh,
    Part,
}

struct State {
    seq: u64,
    entries: VecDeque<Entry>,
    stats: Stats,
}

pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
    /// Kept outside the lock: it grows with every read.
    pub(crate) bytes_received: AtomicU64,
}

/// Counts a refresh or a part as in flight until dropped.
pub(crate) struct InFlight<'a> {
    ledger: &'a Ledger,
    flight: Option<Flight>,
}

impl Ledger {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { seq: 0, entries: VecDeque::new(), stats: Stats::default() };
        let (changed, bytes_received) = (Condvar::new(), AtomicU64::new(0));
        Self { state: Mutex::new(state), changed, capacity, bytes_received }
    }

    /// Notes that a request is being served.
    pub(crate) fn enter(&self, op: Op) -> InFlight<'_> {
        let flight = match op {
            Op::Refresh => Some(Flight::Refresh),
            Op::UploadPart => Some(Flight::Part),
            _ => None,
        };
        self.count(|stats| match flight {
            Some(Flight::Refresh) => {
                stats.refresh_requests += 1;
                stats.refreshes_in_flight += 1;
                stats.max_refreshes_in_flight = stats.max_refreshes_in_flight.max(stats.refreshes_in_flight);
            }
            Some(Flight::Part) => {
                stats.parts_in_flight += 1;
                stats.max_parts_in_flight = stats.max_parts_in_flight.max(stats.parts_in_flight);
            }
            None => {}
        });
        InFlight { ledger: self, flight }
    }

    /// Changes counters.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.state().stats);
        self.changed.notify_all();
    }

    /// Adds the entry of a finished request and gives it its number. `accepted` says that its credentials were good.
    pub(crate) fn add(&self, mut entry: Entry, accepted: bool) {
        let mut state = self.state();
        state.seq += 1;
        entry.seq = state.seq;
        let counters = &mut state.stats;
        counters.requests += 1;
        *counters.by_op.entry(entry.op).or_default() += 1;
        *counters.by_status.entry(entry.status).or_default() += 1;
        if let Some(generation) = entry.generation.filter(|_| accepted) {
            *counters.by_generation.entry(generation).or_default() += 1;
        }
        counters.faults_fired += entry.faults.len() as u64;
        if self.capacity > 0 {
            if state.entries.len() >= self.capacity {
                state.entries.pop_front();
            }
            state.entries.push_back(entry);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats_of(&self.state())
    }

    fn stats_of(&self, state: &State) -> Stats {
        let bytes_received = self.bytes_received.load(Ordering::Relaxed);
        Stats { bytes_received, ..state.stats.clone() }
    }

    /// Entries with numbers above `after`, oldest first.
    pub(crate) fn entries(&self, after: u64) -> Vec<Entry> {
        self.state().entries.iter().filter(|entry| entry.seq > after).cloned().collect()
    }

    /// Blocks until `done` says so of the counters, or the time is over; says which.
    pub(crate) fn wait(&self, limit: Duration, done: impl Fn(&Stats) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if done(&self.stats_of(&state)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            // Received bytes change without a signal, so look again every now and then.
            let nap = left.min(Duration::from_millis(20));
            state = self.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Forgets entries and counters; what is in flight stays counted.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.entries.clear();
        let (refreshes_in_flight, parts_in_flight) =
            (state.stats.refreshes_in_flight, state.stats.parts_in_flight);
        state.stats = Stats { refreshes_in_flight, parts_in_flight, ..Stats::default() };
        self.bytes_received.store(0, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let flight = self.flight;
        self.ledger.count(|stats| match flight {
            Some(Flight::Refresh) => stats.refreshes_in_flight -= 1,
            Some(Flight::Part) => stats.parts_in_flight -= 1,
            None => {}
        });
    }
}
