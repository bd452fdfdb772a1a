//! A chain of refresh tokens: what is known of its ends, and what may be done with a link whose answer was lost.
//!
//! A refresh token that is used up by its use must not be presented twice, unless the provider has said what happens then.
//! Providers differ: from "the same answer once more" to "every session of the user ends". So that is data
//! ([`ChainProfile`]), and [`OnAmbiguous::allows`] is the one place that decides.
//!
//! Source: `oauth2.md` sections 6, 8 and 10.

use std::time::Duration;

use super::secret::Secret;
use super::time::UnixMillis;
use super::wire::Reply;

/// A reported life may be this much shorter than the one before without telling anything: whole seconds, round trips.
const TELLING: Duration = Duration::from_secs(2);

/// How a limit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Stated in the provider's profile or the caller's configuration.
    Declared,
    /// Told by the service with its answer.
    Reported,
    /// Concluded from what the service did.
    Learned,
}

/// A limit and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// The limit.
    pub value: T,
    /// How it is known.
    pub by: Knowledge,
}

/// The refresh token of a session with what is known of its chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// What is presented for the next credential.
    pub refresh: Secret<String>,
    /// Which link of the chain this is: 1 after signing in, one more with each exchange.
    pub serial: u64,
    /// When the chain began (sign-in), server time.
    pub started_at: Option<UnixMillis>,
    /// When this link was issued, server time.
    pub refreshed_at: Option<UnixMillis>,
    /// The life of the refresh token as told with the answer that brought it; `None`: not told.
    pub reported_life: Option<Duration>,
    /// The chain ends when it is not refreshed for so long.
    pub idle_limit: Option<Known<Duration>>,
    /// The chain ends here, whatever is done.
    pub absolute_end: Option<Known<UnixMillis>>,
    /// A record of this link having been presented without a known outcome, or refused. A source sets it when it reads
    /// one that belongs to this very refresh token.
    pub intent: Option<Intent>,
}

impl Chain {
    /// The first link, as signing in gives it. `reported_life`: the refresh token's life, if the answer tells it.
    pub fn first(refresh: Secret<String>, reported_life: Option<Duration>) -> Chain {
        Chain {
            refresh,
            serial: 1,
            started_at: None,
            refreshed_at: None,
            reported_life,
            idle_limit: None,
            absolute_end: None,
            intent: None,
        }
    }

    /// The next link. `refresh` is `None` when the answer holds none: the old one stays in force (RFC 6749 section 6).
    #[must_use]
    pub fn next(&self, refresh: Option<Secret<String>>, reported_life: Option<Duration>) -> Chain {
        Chain {
            refresh: refresh.unwrap_or_else(|| self.refresh.clone()),
            serial: self.serial + 1,
            refreshed_at: None,
            reported_life,
            intent: None,
            ..self.clone()
        }
    }

    /// Dates a link that has just come, and concludes what its reported life tells beside that of the link before.
    ///
    /// A life that is told in full again and again is an idle limit. One that has become shorter shows the absolute end
    /// coming nearer.
    pub fn arrived(&mut self, before: Option<&Chain>, profile: &ChainProfile, at: UnixMillis) {
        self.started_at = self.started_at.or(Some(at));
        self.refreshed_at = Some(at);
        let declared = |value| Known { value, by: Knowledge::Declared };
        if let (None, Some(life), Some(start)) = (&self.absolute_end, profile.lifetime, self.started_at) {
            self.absolute_end = Some(Known { value: start + life, by: Knowledge::Declared });
        }
        self.idle_limit = self.idle_limit.or(profile.idle_limit.map(declared));
        let Some(life) = self.reported_life else { return };
        let end = at + life;
        let is_declared = self.idle_limit.is_some_and(|known| known.by == Knowledge::Declared);
        match before.and_then(|before| before.reported_life) {
            Some(previous) if life + TELLING < previous => {
                self.absolute_end = Some(earlier(self.absolute_end, end, Knowledge::Learned));
            }
            // Told in full again, or for the first time, when that is all that is known.
            previous if !is_declared => {
                let value = previous.map_or(life, |previous| previous.max(life));
                let known = self.idle_limit.map_or(value, |known| known.value.max(value));
                self.idle_limit = Some(Known { value: known, by: Knowledge::Reported });
            }
            _ => {}
        }
    }

    /// When the refresh token ends unless it is used before: the earlier of idle limit and absolute end.
    pub fn ends_at(&self) -> Option<UnixMillis> {
        let idle = self.idle_limit.and_then(|limit| Some(self.refreshed_at? + limit.value));
        let told = self.reported_life.and_then(|life| Some(self.refreshed_at? + life));
        let absolute = self.absolute_end.map(|end| end.value);
        [idle, told, absolute].into_iter().flatten().min()
    }

    /// Whether this link comes after `other` in the same chain.
    pub fn is_later_than(&self, other: &Chain) -> bool {
        self.started_at == other.started_at && self.serial > other.serial
    }
}

fn earlier(known: Option<Known<UnixMillis>>, end: UnixMillis, by: Knowledge) -> Known<UnixMillis> {
    match known {
        Some(known) if known.value <= end => known,
        _ => Known { value: end, by },
    }
}

/// The record of a link being presented: durable before the request goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The link ([`Chain::serial`]).
    pub serial: u64,
    /// When it was presented first, server time.
    pub began_at: UnixMillis,
    /// How often it has been presented, this time included.
    pub attempts: u32,
    /// What became of it.
    pub outcome: Spent,
}

/// What became of a presented refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It went out, or was about to: whether the service acted is unknown.
    Unknown,
    /// The chain ended with it; it is never presented again.
    Ended(ChainEnd),
}

/// What may be done with a refresh token whose answer was lost (`oauth2.md` section 6, "how servers soften it").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnAmbiguous {
    /// Within the window the old token gives the same answer once more.
    Replay {
        /// The provider's window, from the first use.
        within: Duration,
    },
    /// Within the window the old token gives a new successor and ends the one that was lost.
    NewestChild {
        /// The provider's window, from the first use.
        within: Duration,
    },
    /// Within the window the old token gives a further successor beside the one that was lost.
    Fork {
        /// The provider's window, from the first use.
        within: Duration,
    },
    /// The same token may be used so many times more, as long as no newer one is.
    Count {
        /// Uses beyond the first.
        left: u32,
    },
    /// Never again: any second use may end the whole chain, or more.
    #[default]
    None,
}

impl OnAmbiguous {
    /// Whether a token that was presented as `intent` says may be presented once more, `elapsed` after the first time.
    /// `elapsed` is `None` when the clocks do not tell, which allows nothing that depends on time.
    pub fn allows(self, intent: &Intent, elapsed: Option<Duration>) -> bool {
        if intent.outcome != Spent::Unknown {
            return false;
        }
        match self {
            OnAmbiguous::Replay { within }
            | OnAmbiguous::NewestChild { within }
            | OnAmbiguous::Fork { within } => {
                // The request has to arrive inside the window, and a late one may end the chain.
                elapsed.is_some_and(|elapsed| elapsed + reserve(within) <= within)
            }
            OnAmbiguous::Count { left } => intent.attempts <= left,
            OnAmbiguous::None => false,
        }
    }
}

/// What is kept of a window for the way to the service: a fifth, a second at least, five at most.
fn reserve(within: Duration) -> Duration {
    (within / 5).clamp(Duration::from_secs(1), Duration::from_secs(5))
}

/// How a provider treats the tokens of a session: a table, so that a further provider is no code.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ChainProfile {
    /// An exchange uses the refresh token up: it is recorded before, sent once, and never again but as `on_ambiguous`
    /// says.
    pub rotates: bool,
    /// What may be done when the answer was lost.
    pub on_ambiguous: OnAmbiguous,
    /// The access token dies when its successor is issued: no exchange is begun earlier than need be.
    pub old_dies: bool,
    /// Declared: the chain ends when it is not refreshed for so long.
    pub idle_limit: Option<Duration>,
    /// Declared: the chain ends so long after it began.
    pub lifetime: Option<Duration>,
    /// Answers of the resource server that mean "this token has ended", besides 401.
    pub expiry_signs: Vec<ExpirySign>,
}

/// An answer that means "this token has ended" although it is not 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpirySign {
    /// The status.
    pub status: u16,
    /// What must stand in the body, for example `Token missing`; `None`: the status is enough.
    pub contains: Option<String>,
}

impl ChainProfile {
    /// Whether an answer of the resource server means that the token has ended.
    pub fn tells_expiry(&self, reply: &Reply) -> bool {
        self.means_expired(reply.status, &reply.body)
    }

    /// [`ChainProfile::tells_expiry`] for callers who send requests themselves.
    pub fn means_expired(&self, status: u16, body: &[u8]) -> bool {
        status == 401
            || self.expiry_signs.iter().any(|sign| {
                sign.status == status
                    && sign.contains.as_ref().is_none_or(|text| {
                        body.windows(text.len().max(1)).any(|window| window == text.as_bytes())
                    })
            })
    }
}

/// Why a chain of refresh tokens ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// It was not refreshed in time.
    Idle,
    /// Its absolute end has come.
    Absolute,
    /// An answer was lost, and this provider does not let the refresh token be presented again; or it was presented again
    /// and refused for it.
    AnswerLost,
    /// Refused without a reason on our side: it was revoked, or somebody else has used it.
    Revoked,
    /// The service says that the refresh token had been used before, and it was not us.
    Reused,
}

impl ChainEnd {
    /// The stable name in events.
    pub fn name(self) -> &'static str {
        match self {
            ChainEnd::Idle => "idle",
            ChainEnd::Absolute => "absolute",
            ChainEnd::AnswerLost => "answer-lost",
            ChainEnd::Revoked => "revoked",
            ChainEnd::Reused => "reused",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<ChainEnd> {
        [ChainEnd::Idle, ChainEnd::Absolute, ChainEnd::AnswerLost, ChainEnd::Revoked, ChainEnd::Reused]
            .into_iter()
            .find(|reason| reason.name() == name)
    }

    /// Whether somebody should look into it: nothing on our side explains it.
    pub fn is_suspicious(self) -> bool {
        matches!(self, ChainEnd::Revoked | ChainEnd::Reused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(1_772_366_400_000);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn link(before: Option<&Chain>, at: u64, life: u64, profile: &ChainProfile) -> Chain {
        let fresh = || Chain::first(Secret::new("r".to_owned()), Some(secs(life)));
        let mut chain = before.map_or_else(fresh, |chain| chain.next(None, Some(secs(life))));
        chain.arrived(before, profile, NOON + secs(at));
        chain
    }

    #[test]
    fn an_absolute_end_is_learned_from_shrinking_lives() {
        // A session of 36,000 s with an idle limit of 1800 s, refreshed every 250 s: oauth2.md sections 8 and 10.
        let profile = ChainProfile::default();
        let mut chain = link(None, 0, 1800, &profile);
        for step in 1..=143u64 {
            let at = step * 250;
            chain = link(Some(&chain), at, 1800.min(36_000 - at), &profile);
            let end = chain.absolute_end.map(|end| (end.value, end.by));
            if at + 1800 <= 36_000 {
                assert_eq!((end, chain.idle_limit.map(|idle| idle.value)), (None, Some(secs(1800))), "{at}");
            } else {
                assert_eq!(end, Some((NOON + secs(36_000), Knowledge::Learned)), "{at}");
            }
        }
        assert_eq!((chain.serial, chain.started_at), (144, Some(NOON)));
        assert_eq!(chain.ends_at(), Some(NOON + secs(36_000)));
        // Whole seconds and round trips tell nothing.
        let chain = link(None, 0, 1800, &profile);
        assert_eq!(link(Some(&chain), 10, 1798, &profile).absolute_end, None);
    }

    #[test]
    fn declared_limits_count_from_sign_in_and_last_use() {
        let profile = ChainProfile {
            idle_limit: Some(secs(1800)),
            lifetime: Some(secs(7200)),
            ..ChainProfile::default()
        };
        let mut chain = Chain::first(Secret::new("r".to_owned()), None);
        chain.arrived(None, &profile, NOON);
        assert_eq!(chain.ends_at(), Some(NOON + secs(1800)));
        let mut next = chain.next(Some(Secret::new("s".to_owned())), None);
        next.arrived(Some(&chain), &profile, NOON + secs(1000));
        assert_eq!(next.ends_at(), Some(NOON + secs(2800)));
        assert_eq!(next.absolute_end, Some(Known { value: NOON + secs(7200), by: Knowledge::Declared }));
        assert!(next.is_later_than(&chain) && !chain.is_later_than(&next));
    }

    #[test]
    fn a_lost_answer_is_treated_as_the_provider_says() {
        let intent = |attempts, outcome| Intent { serial: 3, began_at: NOON, attempts, outcome };
        let (replay, count) = (OnAmbiguous::Replay { within: secs(30) }, OnAmbiguous::Count { left: 1 });
        for (policy, attempts, elapsed, allowed) in [
            (replay, 1, Some(2), true),
            (replay, 7, Some(25), true),
            (replay, 1, Some(26), false),
            (replay, 1, None, false),
            (OnAmbiguous::NewestChild { within: secs(30) }, 1, Some(2), true),
            (OnAmbiguous::Fork { within: secs(3) }, 1, Some(3), false),
            (OnAmbiguous::Fork { within: secs(3) }, 1, Some(2), true),
            (count, 1, None, true),
            (count, 2, Some(1), false),
            (OnAmbiguous::None, 1, Some(0), false),
        ] {
            let elapsed = elapsed.map(secs);
            let unknown = intent(attempts, Spent::Unknown);
            assert_eq!(policy.allows(&unknown, elapsed), allowed, "{policy:?} {elapsed:?}");
            assert!(!policy.allows(&intent(attempts, Spent::Ended(ChainEnd::Idle)), elapsed));
        }
    }

    #[test]
    fn what_means_expired_is_data() {
        let sign =
            |status, contains: Option<&str>| ExpirySign { status, contains: contains.map(str::to_owned) };
        let profile = ChainProfile {
            expiry_signs: vec![sign(400, Some("Token missing")), sign(403, None)],
            ..ChainProfile::default()
        };
        for (status, body, expired) in [
            (401, "", true),
            (403, "", true),
            (400, "Token missing, access requires permission: x", true),
            (400, "bad field", false),
            (404, "Token missing", false),
            (200, "Token missing", false),
        ] {
            assert_eq!(profile.means_expired(status, body.as_bytes()), expired, "{status} {body}");
        }
    }
}
