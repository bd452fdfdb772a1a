//! One test for each rule of the design (section 5) that this machine keeps: 1 to 6, 8 and 9. Rule 7 (rotation) is in
//! [`super::rotation_tests`], rule 10 is kept by types.

use std::sync::{Arc, OnceLock};

use super::*;
use crate::engine::command::{ExchangeClass, ExchangeFailure, Renewal};
use crate::engine::credential::Credential;
use crate::engine::error::HttpFacts;
use crate::engine::secret::Secret;
use crate::engine::sign::SigningKey;

pub(super) const NOON: UnixMillis = UnixMillis(1_772_366_400_000);
const HOUR: u64 = 3600;

fn key() -> Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let vectors = include_str!("../../../../tests/vectors/oci-signing-vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let pem = vectors["test_key"]["private_key_pkcs8_pem"].as_str().unwrap();
        Arc::new(SigningKey::from_pem(pem.as_bytes(), None).unwrap())
    });
    Arc::clone(key)
}

/// A token named `name`, issued and ending this many seconds after noon.
fn token(name: &str, issued: i64, ends: i64) -> Grant {
    Grant {
        issued_at: Some(NOON.offset(issued * 1000)),
        expires_at: Some(NOON.offset(ends * 1000)),
        ..Grant::new(Credential::OciSession { token: Secret::new(name.to_owned()), key: key() })
    }
}

/// A session with its driver: the test answers the commands by name.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Now,
    commands: VecDeque<Command>,
    pub(super) notices: Vec<Notice>,
}

impl Bench {
    /// A session that has loaded an hour's token, `a`, at noon.
    pub(super) fn new(profile: SessionProfile) -> Bench {
        let mut bench = Bench::empty(profile);
        bench.loaded(Ok(Some(token("a", 0, 3600))));
        bench
    }

    pub(super) fn empty(profile: SessionProfile) -> Bench {
        let now = Now { mono: Mono(Duration::from_secs(500)), wall: NOON };
        Bench {
            session: Session::new(SessionId(1), profile, 7),
            now,
            commands: VecDeque::new(),
            notices: Vec::new(),
        }
    }

    /// Both clocks show this many seconds after noon.
    pub(super) fn at(&mut self, seconds: u64) -> &mut Self {
        self.now =
            Now { mono: Mono(Duration::from_secs(500 + seconds)), wall: NOON + Duration::from_secs(seconds) };
        self
    }

    /// Time goes on as the session asks for it, until it wants something done; false: it wants nothing until this many
    /// seconds after noon.
    pub(super) fn run(&mut self, until: u64) -> bool {
        let end = Mono(Duration::from_secs(500 + until));
        loop {
            self.listen();
            if !self.commands.is_empty() {
                return true;
            }
            let Some(due) = self.session.poll_timeout(self.now).filter(|due| *due <= end) else {
                return false;
            };
            self.now = Now { mono: due, wall: self.now.wall + (due - self.now.mono) };
            self.session.handle_timeout(self.now);
        }
    }

    pub(super) fn listen(&mut self) {
        self.notices.extend(std::iter::from_fn(|| self.session.poll_notice()));
        self.commands.extend(std::iter::from_fn(|| self.session.poll_command()));
    }

    pub(super) fn command(&mut self) -> Option<Command> {
        self.listen();
        self.commands.pop_front()
    }

    pub(super) fn loaded(&mut self, result: Result<Option<Grant>, Error>) -> &mut Self {
        match self.command() {
            Some(Command::Load { id, .. }) => self.session.on_loaded(id, result, self.now),
            other => panic!("{other:?}"),
        }
        self
    }

    pub(super) fn locked(&mut self) -> &mut Self {
        match self.command() {
            Some(Command::Lock { id, .. }) => self.session.on_locked(id, Ok(()), self.now),
            other => panic!("{other:?}"),
        }
        self
    }

    /// Answers an exchange, and says what it was asked with.
    pub(super) fn exchanged(&mut self, result: Result<Grant, ExchangeFailure>) -> String {
        let (id, grant) = match self.command() {
            Some(Command::Exchange { id, grant, .. }) => (id, grant),
            other => panic!("{other:?}"),
        };
        self.session.on_exchanged(id, result, self.now);
        match grant.as_ref().map(|grant| &grant.credential) {
            Some(Credential::OciSession { token, .. }) => token.expose().clone(),
            _ => String::new(),
        }
    }

    pub(super) fn stored(&mut self, result: Result<(), Error>) -> &mut Self {
        match self.command() {
            Some(Command::Store { id, .. }) => self.session.on_stored(id, result, self.now),
            other => panic!("{other:?}"),
        }
        self
    }

    pub(super) fn unlocked(&mut self) -> &mut Self {
        match self.command() {
            Some(Command::Unlock { .. }) => {}
            other => panic!("{other:?}"),
        }
        self
    }

    /// A whole renewal that gives `next`.
    pub(super) fn renewed(&mut self, held: &Grant, next: Grant) -> &mut Self {
        self.locked().loaded(Ok(Some(held.clone())));
        self.exchanged(Ok(next));
        self.stored(Ok(())).unlocked()
    }

    pub(super) fn state(&self) -> SessionState {
        self.session.state(self.now)
    }

    /// The generation a caller gets, 0 if it has to wait.
    pub(super) fn lease(&mut self) -> Result<u64, ErrorKind> {
        match self.session.lease(self.now) {
            LeaseAnswer::Ready(lease) => Ok(lease.generation.0),
            LeaseAnswer::Wait => Ok(0),
            LeaseAnswer::Failed(error) => Err(error.kind()),
        }
    }

    pub(super) fn hold(&mut self) -> &mut Self {
        self.session.hold(self.now);
        self
    }

    /// Reports a 401 of this generation.
    pub(super) fn reject(&mut self, generation: u64) -> &mut Self {
        self.session.reject(Generation(generation), self.now);
        self
    }

    /// Somebody needs it until this many seconds after noon.
    pub(super) fn needed_until(&mut self, seconds: i64) -> &mut Self {
        self.session.learn_whether_extensible(NOON.offset(seconds * 1000), self.now);
        self
    }

    pub(super) fn nothing_to_do(&mut self) -> &mut Self {
        let command = self.command();
        assert!(command.is_none(), "{command:?}");
        self
    }

    pub(super) fn count(&self, like: impl Fn(&Notice) -> bool) -> usize {
        self.notices.iter().filter(|notice| like(notice)).count()
    }
}

pub(super) fn failure(class: ExchangeClass) -> ExchangeFailure {
    let http =
        HttpFacts { status: if class == ExchangeClass::Refused { 401 } else { 503 }, ..HttpFacts::default() };
    let error = Error::new(ErrorKind::Service, "refreshing").with_http(http);
    ExchangeFailure { class, error, retry_after: None }
}

fn refused() -> Result<Grant, ExchangeFailure> {
    Err(failure(ExchangeClass::Refused))
}

fn transient() -> Result<Grant, ExchangeFailure> {
    Err(failure(ExchangeClass::Transient))
}

fn patient() -> SessionProfile {
    SessionProfile { wait_for_login: Duration::from_secs(24 * HOUR), ..SessionProfile::default() }
}

#[test]
fn rule_1_two_windows_before_the_end() {
    // The advisory window is 12 minutes less up to a quarter of that, the mandatory one 10 seconds.
    for (seconds, state, generation, asks) in [
        (0, SessionState::Fresh, 1, false),
        (47 * 60, SessionState::Fresh, 1, false),
        (52 * 60, SessionState::Advisory, 1, true),
        (3589, SessionState::Advisory, 1, true),
        (3591, SessionState::Mandatory, 0, true),
        (4000, SessionState::Mandatory, 0, true),
    ] {
        let mut bench = Bench::new(SessionProfile::default());
        bench.at(seconds);
        assert_eq!((bench.state(), bench.lease()), (state, Ok(generation)), "{seconds}");
        assert_eq!(matches!(bench.command(), Some(Command::Lock { .. })), asks, "{seconds}");
    }
    // Lazy sessions renew when somebody asks; sessions on a timer, or held by an upload, by themselves.
    for (timer, held, asks) in [(false, false, false), (true, false, true), (false, true, true)] {
        let mut bench = Bench::new(SessionProfile { timer, ..SessionProfile::default() });
        if held {
            bench.hold();
        }
        assert_eq!(bench.run(2 * HOUR), asks, "timer {timer}, held {held}");
        if asks {
            bench.locked();
            assert!((48 * 60..52 * 60).contains(&bench.now.wall.since(NOON).as_secs()));
        }
    }
}

#[test]
fn rule_2_a_failed_refresh_hides_no_valid_token() {
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(50 * 60).hold();
    let mut waits = Vec::new();
    assert!(bench.run(52 * 60));
    for class in [ExchangeClass::Transient, ExchangeClass::Ambiguous].into_iter().cycle().take(10) {
        bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
        bench.exchanged(Err(failure(class)));
        bench.unlocked();
        let began = bench.now.mono;
        assert_eq!(bench.lease(), Ok(1));
        assert!(bench.run(HOUR));
        waits.push((bench.now.mono - began).as_secs_f64());
    }
    // 1 s doubling to 60 s with full jitter, but a second at least.
    assert!(
        waits.iter().zip(0..).all(|(wait, n)| *wait >= 1.0 && *wait <= f64::from(1 << n).min(60.0)),
        "{waits:?}"
    );
    assert_eq!(bench.count(|notice| matches!(notice, Notice::RefreshFailed { .. })), 10);
    // A lock that cannot be had is such a failure as well.
    let Some(Command::Lock { id, .. }) = bench.command() else { panic!("it was due") };
    bench.session.on_locked(id, Err(Error::new(ErrorKind::Busy, "busy")), bench.now);
    assert_eq!(bench.lease(), Ok(1));

    // A look meanwhile that finds nothing new is no reason to give up.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(4000).hold();
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.exchanged(transient());
    bench.unlocked().session.source_touched();
    bench.loaded(Ok(Some(token("a", 0, 3600)))).nothing_to_do();
    assert_eq!(bench.lease(), Ok(0));

    // What the service says about when to ask again is obeyed.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(52 * 60).hold();
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    let retry_after = Some(Duration::from_secs(200));
    bench.exchanged(Err(ExchangeFailure { retry_after, ..failure(ExchangeClass::Transient) }));
    bench.unlocked();
    assert!(!bench.run(52 * 60 + 199));
    assert!(bench.run(52 * 60 + 202));
}

#[test]
fn rule_3_one_refresh_whose_outcome_all_share() {
    // Whoever asks, and however often, there is one renewal.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(3595);
    for _ in 0..15 {
        bench.hold();
        assert_eq!(bench.lease(), Ok(0));
    }
    bench.listen();
    assert_eq!(bench.commands.len(), 1);
    bench.locked();
    // It is nobody's: those who asked go away, it is carried through.
    for _ in 0..15 {
        bench.session.release();
    }
    bench.loaded(Ok(Some(token("a", 0, 3600))));
    assert_eq!(bench.exchanged(Ok(token("b", 3595, 7195))), "a");
    // Nobody uses it before it is stored.
    assert_eq!(bench.lease(), Ok(0));
    bench.stored(Ok(())).unlocked().nothing_to_do();
    assert_eq!(bench.lease(), Ok(2));
    // The failure is shared too.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(4000);
    assert_eq!((bench.lease(), bench.lease()), (Ok(0), Ok(0)));
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.exchanged(refused());
    bench.unlocked();
    for _ in 0..15 {
        assert_eq!(bench.lease(), Err(ErrorKind::SignInNeeded));
    }
    bench.nothing_to_do();
    // Patience with a service that does not answer ends, for all at once.
    let mut bench =
        Bench::new(SessionProfile { patience: Duration::from_secs(100), ..SessionProfile::default() });
    bench.at(4000).hold();
    assert!(bench.run(4000));
    while bench.lease() == Ok(0) {
        assert!(bench.run(5000));
        bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
        bench.exchanged(transient());
        bench.unlocked();
    }
    assert!((4090..4170).contains(&bench.now.wall.since(NOON).as_secs()));
}

#[test]
fn rule_4_a_refusal_rejects_one_generation() {
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(60);
    assert_eq!(bench.lease(), Ok(1));
    // Fifteen at once, before the end, make one renewal.
    for _ in 0..15 {
        bench.reject(1);
    }
    assert_eq!(bench.lease(), Ok(0));
    bench.renewed(&token("a", 0, 3600), token("b", 60, 3660)).nothing_to_do();
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Rejected { .. })), 1);
    // A late one of the old generation changes nothing.
    bench.reject(1);
    assert_eq!(bench.lease(), Ok(2));
    bench.nothing_to_do();
    // What was refused does not come back, even if a stale file holds it.
    bench.session.source_touched();
    bench.loaded(Ok(Some(token("a", 0, 3600)))).nothing_to_do();
    assert_eq!(bench.lease(), Ok(2));

    // A second refusal of a fresh credential is final, unless it has worked, or has been around for a while.
    for (worked, after, finally) in [(false, 0, true), (true, 0, false), (false, 100, false)] {
        let mut bench = Bench::new(SessionProfile::default());
        bench.at(60).reject(1);
        bench.renewed(&token("a", 0, 3600), token("b", 60, 3660));
        if worked {
            bench.session.accept(Generation(2));
        }
        bench.at(60 + after).reject(2);
        let answer = if finally { Err(ErrorKind::Auth) } else { Ok(0) };
        assert_eq!(bench.lease(), answer, "worked {worked}, after {after}");
    }
}

#[test]
fn rule_5_reload_before_refresh() {
    // Another process has won: its credential is taken, nothing is asked for.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(3000);
    assert_eq!(bench.lease(), Ok(1));
    bench.locked().loaded(Ok(Some(token("b", 2900, 6500)))).unlocked().nothing_to_do();
    assert_eq!(bench.lease(), Ok(2));
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Refreshed { how: Renewal::Reloaded, .. })), 2);

    // Files that are torn just now, or hold a key whose token is not there yet, do no harm.
    for torn in [Err(Error::new(ErrorKind::Config, "torn")), Ok(None)] {
        let mut bench = Bench::new(SessionProfile::default());
        bench.at(3000);
        assert_eq!(bench.lease(), Ok(1));
        bench.locked().loaded(torn);
        assert_eq!(bench.exchanged(Ok(token("b", 3000, 6600))), "a");
        bench.stored(Err(Error::new(ErrorKind::State, "read-only"))).unlocked();
        assert_eq!(bench.lease(), Ok(2), "a credential that could not be stored is used all the same");
        assert_eq!(bench.count(|notice| matches!(notice, Notice::Remark { .. })), 1);
    }

    // Somebody signed in: what the source holds goes before what we hold, even if ours ends later.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(3000);
    assert_eq!(bench.lease(), Ok(1));
    bench.locked().loaded(Ok(Some(token("b", 2900, 3500))));
    assert_eq!(bench.exchanged(Ok(token("c", 3000, 6600))), "b");
    bench.stored(Ok(())).unlocked();

    // A change that is noticed while something is under way is looked at afterwards.
    let mut bench = Bench::new(patient());
    bench.at(4000);
    assert_eq!(bench.lease(), Ok(0));
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.session.source_touched();
    bench.exchanged(refused());
    bench.unlocked().loaded(Ok(Some(token("b", 4000, 7600))));
    assert_eq!(bench.lease(), Ok(2));
}

#[test]
fn rule_6_an_end_that_does_not_move_is_the_horizon() {
    let mut bench = Bench::new(patient());
    bench.at(3000).hold();
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.exchanged(Ok(token("b", 3000, 3600)));
    bench.unlocked();
    assert_eq!(bench.session.effective_horizon(), Some(NOON.offset(3_600_000)));
    // It serves to its very end, and is not asked with again; the source is looked at now and then.
    while bench.run(3599) {
        bench.loaded(Ok(Some(token("a", 0, 3600))));
        assert_eq!(bench.lease(), Ok(1));
    }
    while bench.state() != SessionState::Parked {
        assert!(bench.run(3601));
        bench.loaded(Ok(Some(token("a", 0, 3600))));
    }
    assert!(bench.now.wall >= NOON.offset(3_600_000));
    assert_eq!(bench.lease(), Ok(0));
    bench.listen();
    for (like, times) in [("HorizonLearned", 1), ("Expiring", 1), ("Parked", 1)] {
        assert_eq!(bench.count(|notice| format!("{notice:?}").starts_with(like)), times, "{like}");
    }
    // A refresh within the first second of a token tells nothing: claims are whole seconds.
    let mut bench = Bench::new(SessionProfile::default());
    bench.session.refresh_now(bench.now);
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.exchanged(Ok(token("b", 0, 3600)));
    bench.unlocked();
    assert_eq!(bench.session.effective_horizon(), None);
}

#[test]
fn rule_8_two_clocks() {
    // Seconds since noon by each clock, server minus local clock as measured, what is left to do.
    for (what, wall, mono, skew, state) in [
        ("both clocks right", 1800, 1800, 0, SessionState::Fresh),
        ("slept over its end: only the date knows", 36_000, 10, 0, SessionState::Mandatory),
        ("date set back: only the other one knows", -7200, 3700, 0, SessionState::Mandatory),
        ("date set ahead", 9000, 1800, 0, SessionState::Mandatory),
        ("date set ahead, as measured", 9000, 1800, -7200, SessionState::Fresh),
        ("date set back, as measured", -5400, 1800, 7200, SessionState::Fresh),
        ("date set back, as measured, and time to renew", -4000, 3200, 7200, SessionState::Advisory),
    ] {
        let mut bench = Bench::new(SessionProfile::default());
        bench.now = Now { mono: Mono(Duration::from_secs(500 + mono)), wall: NOON.offset(wall * 1000) };
        if skew != 0 {
            bench.session.set_skew(skew * 1000, bench.now);
        }
        assert_eq!(bench.state(), state, "{what}");
    }
    // A refusal of a request that was dated by a wrong clock is no refusal.
    let mut bench = Bench::new(SessionProfile::default());
    bench.now.wall = NOON.offset(7_200_000);
    assert_eq!(bench.lease(), Ok(0));
    bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
    bench.session.set_skew(-7_200_000, bench.now);
    bench.exchanged(refused());
    bench.unlocked().loaded(Ok(Some(token("a", 0, 3600))));
    assert_eq!(bench.lease(), Ok(1), "it had not ended at all");
    // A clock that makes a new token look old: it is tried once, which also tells the time.
    let mut bench = Bench::empty(patient());
    bench.now.wall = NOON.offset(7_200_000);
    bench.loaded(Ok(Some(token("a", 0, 3600)))).locked().loaded(Ok(Some(token("a", 0, 3600))));
    assert_eq!(bench.exchanged(refused()), "a");
    bench.unlocked();
    assert_eq!(bench.state(), SessionState::Parked);
    for _ in 0..3 {
        assert!(bench.run(100));
        bench.loaded(Ok(Some(token("a", 0, 3600)))).nothing_to_do();
    }
    assert!(bench.run(100));
    bench.loaded(Ok(Some(token("b", 0, 3600)))).locked().loaded(Ok(Some(token("b", 0, 3600))));
    bench.session.set_skew(-7_200_000, bench.now);
    assert_eq!(bench.exchanged(Ok(token("c", 20, 3620))), "b");
    bench.stored(Ok(())).unlocked();
    assert_eq!(bench.lease(), Ok(1));
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Resumed { .. })), 1);
}

#[test]
fn rule_9_what_a_forecast_needs_to_know() {
    // The end of the chain: told by the token, learned, or that of a credential nothing can extend.
    let horizon = Some(NOON.offset(20_000_000));
    let told = Grant { horizon, ..token("a", 0, 3600) };
    for (can_exchange, grant, expected) in [
        (true, token("a", 0, 3600), None),
        (true, told, horizon),
        (false, token("a", 0, 3600), Some(NOON.offset(3_600_000))),
    ] {
        let mut bench = Bench::empty(SessionProfile { can_exchange, ..SessionProfile::default() });
        bench.loaded(Ok(Some(grant)));
        assert_eq!(bench.session.effective_horizon(), expected);
    }
    // Somebody needs it longer than the token lives: one early refresh tells whether that can be.
    let mut bench = Bench::new(SessionProfile::default());
    bench.at(5).needed_until(3000);
    bench.nothing_to_do();
    bench.needed_until(9000);
    bench.renewed(&token("a", 0, 3600), token("b", 5, 3605));
    bench.needed_until(9000);
    bench.nothing_to_do();
    // Parked, callers wait as long as they want to; whoever signs in is noticed.
    for (patience, answer) in [(0, Err(ErrorKind::SignInNeeded)), (60, Ok(0))] {
        let wait_for_login = Duration::from_secs(patience);
        let mut bench = Bench::new(SessionProfile { wait_for_login, ..SessionProfile::default() });
        bench.at(4000);
        assert_eq!(bench.lease(), Ok(0));
        bench.locked().loaded(Ok(Some(token("a", 0, 3600))));
        bench.exchanged(refused());
        bench.unlocked();
        assert_eq!(bench.lease(), answer);
        assert_eq!(bench.at(4061).lease(), Err(ErrorKind::SignInNeeded));
        // A new caller is not refused before somebody has looked.
        bench.hold();
        assert_eq!(bench.lease(), Ok(0));
        bench.loaded(Ok(Some(token("b", 4060, 7660))));
        assert_eq!(bench.lease(), Ok(2));
        bench.nothing_to_do();
        assert_eq!(bench.count(|notice| matches!(notice, Notice::Resumed { .. })), 1);
    }
}
