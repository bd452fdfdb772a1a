//! The part machine and the table of parts.
//!
//! | from     | on                                        | to                     |
//! |----------|-------------------------------------------|------------------------|
//! | Check    | permit                                    | Hashing                |
//! | Hashing  | local bytes equal what the service stores | Done (reused)          |
//! | Hashing  | they differ                               | Waiting                |
//! | Hashing  | they differ, sent in this run             | Backoff                |
//! | Filling  | stream bytes in the buffer                | Waiting                |
//! | Waiting  | permit and lease of generation g          | InFlight(g)            |
//! | InFlight | stored, checksums agree                   | Done                   |
//! | InFlight | stored, only an MD5 reported, not ours yet| Check                  |
//! | InFlight | 401 for g                                 | Waiting (free)         |
//! | InFlight | broken while sending                      | Probing(g)             |
//! | InFlight | passing failure, wrong checksum           | Backoff                |
//! | Probing  | the probe was refused (401)               | Waiting (free)         |
//! | Probing  | the probe was answered                    | Backoff                |
//! | Backoff  | time                                      | Waiting                |
//! | Done     | recheck: another etag / other bytes       | Check / Waiting        |
//!
//! A permit is taken before anything is read: `permits` counts Hashing, Filling and InFlight, and for streams
//! every part that has a buffer.

use std::collections::BTreeSet;

use crate::engine::checksum::Digests;
use crate::engine::command::CommandId;
use crate::engine::credential::Generation;
use crate::engine::time::Mono;
use crate::engine::upload::journal::JournalPart;

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    /// Stored by an earlier run, or by this one but not yet compared: the local bytes are to be read.
    Check,
    /// They are being read.
    Hashing(CommandId),
    /// Stream bytes are being read into its buffer.
    Filling(CommandId),
    /// To be sent.
    Waiting,
    /// On its way.
    InFlight(CommandId, Generation),
    /// Its connection broke; a cheap request finds out whether that was a refusal.
    Probing(Generation),
    /// To be sent again at this moment.
    Backoff(Mono),
    /// Stored, checksums agree.
    Done,
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// First byte in the object.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Where it stands.
    pub state: PartState,
    /// Failures so far; refusals do not count.
    pub failures: u32,
    /// Etag the service gave.
    pub etag: Option<String>,
    /// Checksums of the local bytes, when known.
    pub digests: Digests,
    /// MD5 the service reported, for combining when we did not compute our own.
    pub told_md5: Option<[u8; 16]>,
    /// What an earlier run recorded.
    pub journal: Option<JournalPart>,
    /// Bytes sent of the attempt in flight.
    pub sent: u64,
    /// Stored by an earlier run.
    pub reused: bool,
    /// Stored by this run; its comparison is still owed.
    pub owed: bool,
}

/// All parts, with the sets that make each step cheap for 10,000 of them.
#[derive(Debug, Default)]
pub struct Parts {
    all: Vec<Part>,
    ready: BTreeSet<u32>,
    backoff: BTreeSet<(Mono, u32)>,
    probing: BTreeSet<u32>,
    permits: u32,
    done: u32,
    stored_bytes: u64,
    sent_bytes: u64,
    reused: u32,
}

impl Parts {
    /// Adds the next part.
    pub fn push(&mut self, offset: u64, len: u64, state: PartState) -> u32 {
        self.all.push(Part {
            offset,
            len,
            state: PartState::Done, // replaced by `set` below, which keeps the sets right
            failures: 0,
            etag: None,
            digests: Digests::default(),
            told_md5: None,
            journal: None,
            sent: 0,
            reused: false,
            owed: false,
        });
        let number = u32::try_from(self.all.len()).expect("at most 10,000 parts");
        self.enter(number, state);
        number
    }

    /// A part by its number, from 1.
    pub fn part(&self, number: u32) -> Option<&Part> {
        self.all.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// A part whose number came from this table.
    pub fn of(&mut self, number: u32) -> &mut Part {
        &mut self.all[number as usize - 1]
    }

    /// Moves a part to another state. This is the only way a state changes.
    pub fn set(&mut self, number: u32, to: PartState) {
        let (from, len) = (self.of(number).state, self.of(number).len);
        match from {
            PartState::Check | PartState::Waiting => {
                self.ready.remove(&number);
            }
            PartState::Backoff(until) => {
                self.backoff.remove(&(until, number));
            }
            PartState::Probing(_) => {
                self.probing.remove(&number);
            }
            PartState::Hashing(_) | PartState::Filling(_) | PartState::InFlight(..) => self.permits -= 1,
            PartState::Done => {
                self.done -= 1;
                self.stored_bytes -= len;
                self.reused -= u32::from(self.of(number).reused);
            }
        }
        self.enter(number, to);
    }

    fn enter(&mut self, number: u32, to: PartState) {
        let part = self.of(number);
        part.state = to;
        let (len, reused, sent) = (part.len, part.reused, std::mem::take(&mut part.sent));
        self.sent_bytes -= sent;
        match to {
            PartState::Check | PartState::Waiting => {
                self.ready.insert(number);
            }
            PartState::Backoff(until) => {
                self.backoff.insert((until, number));
            }
            PartState::Probing(_) => {
                self.probing.insert(number);
            }
            PartState::Hashing(_) | PartState::Filling(_) | PartState::InFlight(..) => self.permits += 1,
            PartState::Done => {
                self.done += 1;
                self.stored_bytes += len;
                self.reused += u32::from(reused);
            }
        }
    }

    /// A stream's last part turned out shorter than asked for.
    pub fn set_len(&mut self, number: u32, len: u64) {
        debug_assert!(self.of(number).state != PartState::Done, "a stored part keeps its length");
        self.of(number).len = len;
    }

    /// Takes back the last part: the stream ended before its first byte.
    pub fn pop_last(&mut self) {
        let Some(number) = u32::try_from(self.all.len()).ok().filter(|number| *number > 0) else { return };
        self.set(number, PartState::Waiting);
        self.ready.remove(&number);
        self.all.pop();
    }

    /// The first part that wants a permit.
    pub fn next_ready(&self) -> Option<u32> {
        self.ready.first().copied()
    }

    /// Returns due parts to `Waiting`.
    pub fn wake(&mut self, now: Mono) {
        while let Some((until, number)) = self.backoff.first().copied() {
            if until > now {
                break;
            }
            self.set(number, PartState::Waiting);
        }
    }

    /// The next moment at which a part wants to go on.
    pub fn due(&self) -> Option<Mono> {
        self.backoff.first().map(|(until, _)| *until)
    }

    /// Parts whose connection broke.
    pub fn probing(&self) -> Vec<u32> {
        self.probing.iter().copied().collect()
    }

    /// Whether any part's connection broke.
    pub fn has_probing(&self) -> bool {
        !self.probing.is_empty()
    }

    /// Commands in flight.
    pub fn in_flight(&self) -> Vec<CommandId> {
        if self.permits == 0 {
            return Vec::new();
        }
        let busy = |part: &Part| match part.state {
            PartState::Hashing(id) | PartState::Filling(id) | PartState::InFlight(id, _) => Some(id),
            _ => None,
        };
        self.all.iter().filter_map(busy).collect()
    }

    /// Parts being read or sent.
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Parts that are not stored yet; for streams these are the ones that hold a buffer.
    pub fn unfinished(&self) -> u32 {
        self.count() - self.done
    }

    /// Number of parts known.
    pub fn count(&self) -> u32 {
        u32::try_from(self.all.len()).expect("at most 10,000 parts")
    }

    /// Whether no part is known yet.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Stored parts.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// Parts kept from an earlier run.
    pub fn reused(&self) -> u32 {
        self.reused
    }

    /// Bytes of stored parts.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Bytes sent of parts in flight.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// More bytes of a part in flight went out.
    pub fn add_sent(&mut self, number: u32, bytes: u64) {
        let part = self.of(number);
        let bytes = bytes.min(part.len - part.sent);
        part.sent += bytes;
        self.sent_bytes += bytes;
    }

    /// All parts in order, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Part)> {
        (1..).zip(self.all.iter())
    }
}
