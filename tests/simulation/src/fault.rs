//! What can befall a request on its way, at the server or on the way back.

use std::time::Duration;

use outlast_core::engine::random::Random;

use crate::ask::AskKind;

/// One mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection.
    Unreachable,
    /// The connection breaks while the request goes out; nothing happens at the server.
    BrokenWhileSending,
    /// The connection breaks after the request went out; the server never got it whole.
    BrokenUnheard,
    /// The connection breaks before the answer; the server has acted.
    BrokenAfter,
    /// No progress while sending.
    StalledBefore,
    /// No progress while sending; the bytes of a part reach the server long after it was given up.
    HeardLate {
        /// How long after, in seconds.
        seconds: u64,
        /// Whether they are damaged on their way.
        damaged: bool,
    },
    /// No answer; the server has acted.
    StalledAfter,
    /// An answer that is not HTTP; the server has acted.
    Garbled,
    /// 429, with a delay in seconds if the server names one.
    Throttled(Option<u64>),
    /// 503, with a delay in seconds if the server names one.
    Unavailable(Option<u64>),
    /// 500 before anything was done.
    Broke,
    /// 500 after everything was done.
    BrokeAfter,
    /// 408
    TimedOut,
    /// 409 `IncorrectState`
    Conflict,
    /// 401 although nothing is wrong with the credential.
    Refused,
    /// 403
    Forbidden,
    /// The bytes are damaged before they are stored; the server tells checksums of what it has.
    DamagedOnTheWay,
    /// The bytes are stored damaged; the server tells checksums of what it was sent.
    DamagedAtRest,
    /// The bytes are stored right; the server tells wrong checksums.
    ToldWrong,
    /// The answer has no checksums.
    SumsMissing,
    /// The answer has no etag.
    EtagMissing,
    /// The answer has no date.
    DateMissing,
    /// It takes this many seconds longer.
    Slow(u64),
}

impl Fault {
    /// Whether the stored bytes, or what is told of them, are not what was sent.
    pub fn tampers(self) -> bool {
        matches!(
            self,
            Fault::DamagedOnTheWay
                | Fault::DamagedAtRest
                | Fault::ToldWrong
                | Fault::SumsMissing
                | Fault::EtagMissing
        )
    }

    /// Whether an upload that meets it may count a retry.
    pub fn costs(self) -> bool {
        !matches!(self, Fault::Refused | Fault::DateMissing | Fault::Slow(_))
    }
}

/// A request about to be sent, for scripts that want to befall a certain one.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// What it asks.
    pub kind: AskKind,
    /// Which job it belongs to; `None` for refreshes.
    pub job: Option<usize>,
    /// The part.
    pub part: Option<u32>,
    /// How many of this kind were sent before it.
    pub nth: u64,
    /// True time.
    pub time: Duration,
}

/// Decides the fate of particular requests; asked before the weather.
pub type Script = Box<dyn FnMut(&Sending) -> Option<Fault>>;

/// Random faults while they last.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Faults of storage requests, each with its chance per mille.
    pub storage: Vec<(Fault, u64)>,
    /// Faults of refreshes, each with its chance per mille.
    pub auth: Vec<(Fault, u64)>,
    /// Chance per mille that a refusal of a part shows as a reset connection.
    pub disguise: u64,
    /// Chance per mille that an answer is told twice, or somebody else's answer arrives.
    pub echo: u64,
    /// When it clears up.
    pub until: Duration,
}

impl Weather {
    /// What befalls a request of this kind, sent at `time`.
    pub fn fault(&self, kind: AskKind, time: Duration, random: &mut Random) -> Option<Fault> {
        if time >= self.until {
            return None;
        }
        let faults = if kind == AskKind::Refresh { &self.auth } else { &self.storage };
        if faults.is_empty() {
            return None;
        }
        let mut roll = random.below(1000);
        for (fault, chance) in faults {
            if roll < *chance {
                return Some(*fault);
            }
            roll -= chance;
        }
        None
    }
}
