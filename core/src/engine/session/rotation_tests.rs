//! Rule 7 of the design (section 5): refresh tokens that are used up, with a crash or a lost answer at every step.

use super::tests::{Bench, NOON, failure};
use super::*;
use crate::engine::chain::{
    Chain, ChainEnd, ChainProfile, ExpirySign, Intent, Knowledge, OnAmbiguous, Spent,
};
use crate::engine::command::{ExchangeClass, Renewal};
use crate::engine::credential::{Bearer, Credential};
use crate::engine::secret::Secret;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn profile(on_ambiguous: OnAmbiguous) -> SessionProfile {
    let chain = ChainProfile { rotates: true, on_ambiguous, ..ChainProfile::default() };
    SessionProfile { chain, ..SessionProfile::default() }
}

/// What a store holds of link `serial`: a token of an hour, issued this many seconds after noon.
fn link(serial: u64, issued: i64) -> Grant {
    let token = Secret::new(format!("at{serial}"));
    let chain = Chain {
        serial,
        started_at: Some(NOON),
        refreshed_at: Some(NOON.offset(issued * 1000)),
        ..Chain::first(Secret::new(format!("rt{serial}")), None)
    };
    Grant {
        issued_at: Some(NOON.offset(issued * 1000)),
        expires_at: Some(NOON.offset(issued * 1000 + 3_600_000)),
        chain: Some(Box::new(chain)),
        ..Grant::new(Credential::Bearer(Bearer::new(token, "Bearer").unwrap()))
    }
}

/// The answer to presenting `held`: the next link, as a source makes it of `expires_in`.
fn answer(held: &Grant, lives: u64) -> Grant {
    let chain = held.chain.as_ref().unwrap();
    let next = chain.serial + 1;
    let bearer = Bearer::new(Secret::new(format!("at{next}")), "Bearer").unwrap();
    Grant {
        lives_for: Some(secs(lives)),
        chain: Some(Box::new(chain.next(Some(Secret::new(format!("rt{next}"))), None))),
        ..Grant::new(Credential::Bearer(bearer))
    }
}

fn intent(serial: u64, attempts: u32, began: i64, outcome: Spent) -> Intent {
    Intent { serial, attempts, began_at: NOON.offset(began * 1000), outcome }
}

fn with_intent(grant: Grant, intent: Intent) -> Grant {
    let chain = grant.chain.clone().map(|chain| Box::new(Chain { intent: Some(intent), ..*chain }));
    Grant { chain, ..grant }
}

impl Bench {
    /// A session that has loaded link 1 at noon, and whose time to renew has come.
    fn due(profile: SessionProfile) -> Bench {
        let mut bench = Bench::empty(profile);
        bench.loaded(Ok(Some(link(1, 0))));
        bench.at(3595);
        assert_eq!(bench.lease(), Ok(0));
        bench
    }

    /// Takes the record of a refresh token that is about to be presented.
    fn intended(&mut self) -> (String, Option<Intent>) {
        let Some(Command::Intend { id, grant, intent, .. }) = self.command() else { panic!("no intent") };
        self.session.on_intended(id, Ok(()), self.now);
        (grant.chain.as_ref().unwrap().refresh.expose().clone(), intent)
    }

    /// Answers an exchange and says which refresh token was presented.
    fn presented(&mut self, answer: Result<u64, ExchangeClass>) -> String {
        let Some(Command::Exchange { id, grant: Some(grant), .. }) = self.command() else {
            panic!("no exchange")
        };
        let result = match answer {
            Ok(lives) => Ok(super::rotation_tests::answer(&grant, lives)),
            Err(class) => Err(failure(class)),
        };
        self.session.on_exchanged(id, result, self.now);
        grant.chain.as_ref().unwrap().refresh.expose().clone()
    }

    fn ends(&mut self) -> Vec<ChainEnd> {
        self.listen();
        let ended = |notice: &Notice| match notice {
            Notice::ChainEnded { reason, .. } => Some(*reason),
            _ => None,
        };
        self.notices.iter().filter_map(ended).collect()
    }
}

#[test]
fn recorded_before_stored_after_used_last() {
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    assert_eq!(bench.intended(), ("rt1".into(), Some(intent(1, 1, 3595, Spent::Unknown))));
    assert_eq!(bench.presented(Ok(3600)), "rt1");
    // Nobody uses the new token before it is on disk.
    assert_eq!(bench.lease(), Ok(0));
    bench.stored(Ok(())).unlocked();
    assert_eq!(bench.lease(), Ok(2));
    let status = bench.session.status(bench.now);
    assert_eq!(status.expires_at, Some(NOON + secs(3595 + 3600)), "expires_in counts from the answer");
    let chain = status.chain.unwrap();
    assert_eq!((chain.serial, chain.refreshed_at), (2, Some(NOON + secs(3595))));
    // What cannot be recorded is not presented.
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    let Some(Command::Intend { id, .. }) = bench.command() else { panic!("no intent") };
    bench.session.on_intended(id, Err(Error::new(ErrorKind::State, "disk full")), bench.now);
    bench.unlocked().nothing_to_do();
    assert!(bench.run(3600), "it is tried again");
    bench.locked();
}

#[test]
fn what_was_not_spent_is_taken_back() {
    for class in [ExchangeClass::NotSent, ExchangeClass::Transient] {
        let mut bench = Bench::due(profile(OnAmbiguous::None));
        bench.locked().loaded(Ok(Some(link(1, 0))));
        bench.intended();
        bench.presented(Err(class));
        assert_eq!(bench.intended(), ("rt1".into(), None));
        bench.unlocked();
        assert!(bench.run(3600));
        // The same refresh token is presented again, as if for the first time.
        bench.locked().loaded(Ok(Some(link(1, 0))));
        assert_eq!(bench.intended().1.map(|intent| intent.attempts), Some(1));
        bench.presented(Ok(3600));
        bench.stored(Ok(())).unlocked();
        assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]));
    }
}

#[test]
fn a_lost_answer_follows_the_profile() {
    let window = secs(30);
    for (policy, replays) in [
        (OnAmbiguous::None, 0),
        (OnAmbiguous::Count { left: 1 }, 1),
        (OnAmbiguous::Count { left: 3 }, 3),
        (OnAmbiguous::Replay { within: window }, 2),
        (OnAmbiguous::NewestChild { within: window }, 2),
        (OnAmbiguous::Fork { within: window }, 2),
    ] {
        let mut bench = Bench::due(profile(policy));
        bench.locked().loaded(Ok(Some(link(1, 0))));
        bench.intended();
        bench.presented(Err(ExchangeClass::Ambiguous));
        bench.unlocked();
        for replay in 0..replays {
            assert!(bench.run(3625), "{policy:?}");
            bench
                .locked()
                .loaded(Ok(Some(with_intent(link(1, 0), intent(1, replay + 1, 3595, Spent::Unknown)))));
            assert_eq!(bench.intended().1, Some(intent(1, replay + 2, 3595, Spent::Unknown)));
            let last = replay + 1 == replays;
            bench.presented(if last { Ok(3600) } else { Err(ExchangeClass::Ambiguous) });
            if last {
                bench.stored(Ok(()));
            }
            bench.unlocked();
        }
        if replays == 0 {
            assert_eq!(bench.ends(), [ChainEnd::AnswerLost]);
            // The token serves to its end, and the refresh token is not presented again whatever is asked for.
            assert_eq!(bench.lease(), Ok(1));
            bench.session.refresh_now(bench.now);
            bench
                .loaded(Ok(Some(with_intent(link(1, 0), intent(1, 1, 3595, Spent::Unknown)))))
                .nothing_to_do();
            bench.at(3601);
            assert_eq!(bench.lease(), Ok(0));
        } else {
            assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]), "{policy:?}");
        }
    }
    // The window closes: what comes too late would end the chain.
    let mut bench = Bench::due(profile(OnAmbiguous::Replay { within: window }));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.at(3595 + 29).presented(Err(ExchangeClass::Ambiguous));
    bench.unlocked();
    assert_eq!(bench.ends(), [ChainEnd::AnswerLost]);
}

#[test]
fn a_crash_leaves_a_record_that_is_obeyed() {
    // Found at start after a crash, so many seconds after the record was made; the access token is still good.
    for (policy, after, outcome, expected) in [
        (OnAmbiguous::None, 0, Spent::Unknown, Some(ChainEnd::AnswerLost)),
        (OnAmbiguous::Count { left: 1 }, 900, Spent::Unknown, None),
        (OnAmbiguous::Replay { within: secs(60) }, 10, Spent::Unknown, None),
        (OnAmbiguous::Replay { within: secs(60) }, 100, Spent::Unknown, Some(ChainEnd::AnswerLost)),
        // A clock that stands before the record tells nothing.
        (OnAmbiguous::Replay { within: secs(60) }, -5, Spent::Unknown, Some(ChainEnd::AnswerLost)),
        (OnAmbiguous::Fork { within: secs(60) }, 5, Spent::Ended(ChainEnd::Revoked), Some(ChainEnd::Revoked)),
    ] {
        let mut bench = Bench::empty(profile(policy));
        let found = with_intent(link(1, 0), intent(1, 1, 3000 - after, outcome));
        bench.at(3000).loaded(Ok(Some(found.clone())));
        assert_eq!(bench.lease(), Ok(1), "the access token is good");
        bench.locked().loaded(Ok(Some(found)));
        if let Some(reason) = expected {
            bench.unlocked().nothing_to_do();
            assert_eq!((bench.ends(), bench.lease()), (vec![reason], Ok(1)));
            assert_eq!(bench.session.effective_horizon(), Some(NOON + secs(3600)));
        } else {
            assert_eq!(bench.intended().1.map(|intent| intent.attempts), Some(2));
            bench.presented(Ok(3600));
            bench.stored(Ok(())).unlocked();
            assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]));
        }
    }
}

#[test]
fn a_refusal_is_believed_after_a_second_look_only() {
    // Somebody who does without our lock has rotated: the newer link is taken.
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Err(ExchangeClass::Refused));
    bench.loaded(Ok(Some(link(2, 3590)))).unlocked();
    assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]));
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Refreshed { how: Renewal::Reloaded, .. })), 2);

    // Its access token has ended as well: it is asked with, once.
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Err(ExchangeClass::Refused));
    bench.loaded(Ok(Some(link(2, -60))));
    assert_eq!(bench.intended().0, "rt2");
    assert_eq!(bench.presented(Ok(3600)), "rt2");
    bench.stored(Ok(())).unlocked();
    assert_eq!(bench.lease(), Ok(2));

    // The same is still stored: it is dead, which is recorded, told once, and never tried again.
    let mut bench = Bench::due(SessionProfile { wait_for_login: secs(86_400), ..profile(OnAmbiguous::None) });
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Err(ExchangeClass::Refused));
    bench.loaded(Ok(Some(link(1, 0))));
    assert_eq!(bench.intended().1, Some(intent(1, 1, 3595, Spent::Ended(ChainEnd::Revoked))));
    bench.unlocked();
    assert_eq!((bench.ends(), bench.lease()), (vec![ChainEnd::Revoked], Ok(1)));
    for step in 0..20 {
        bench.at(3600 + 10 * step);
        bench.session.handle_timeout(bench.now);
        let _ = bench.lease();
        if step % 5 == 0 {
            bench.session.refresh_now(bench.now);
        }
        while let Some(command) = bench.command() {
            match command {
                Command::Load { id, .. } => {
                    let found = with_intent(link(1, 0), intent(1, 1, 3595, Spent::Ended(ChainEnd::Revoked)));
                    bench.session.on_loaded(id, Ok(Some(found)), bench.now);
                }
                Command::Lock { id, .. } => bench.session.on_locked(id, Ok(()), bench.now),
                Command::Unlock { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((bench.state(), bench.ends()), (SessionState::Parked, vec![ChainEnd::Revoked]));
    // Somebody signs in: a new chain.
    bench.at(5000).session.source_touched();
    let mut anew = link(7, 4999);
    anew.chain = Some(Box::new(Chain {
        started_at: Some(NOON + secs(4999)),
        ..Chain::first(Secret::new("new".into()), None)
    }));
    bench.loaded(Ok(Some(anew)));
    assert_eq!(bench.lease(), Ok(2));
}

#[test]
fn the_end_of_a_chain_is_told_as_what_it_is() {
    let chain = |idle: Option<u64>, lifetime: Option<u64>| ChainProfile {
        rotates: true,
        on_ambiguous: OnAmbiguous::Count { left: 1 },
        idle_limit: idle.map(secs),
        lifetime: lifetime.map(secs),
        ..ChainProfile::default()
    };
    let revoked = ExchangeClass::Refused;
    for (profile, class, replayed, expected) in [
        (chain(None, None), revoked, false, ChainEnd::Revoked),
        (chain(None, None), ExchangeClass::Reused, false, ChainEnd::Reused),
        (chain(None, None), ExchangeClass::Reused, true, ChainEnd::AnswerLost),
        (chain(None, None), revoked, true, ChainEnd::AnswerLost),
        (chain(Some(3000), None), revoked, false, ChainEnd::Idle),
        (chain(Some(9000), Some(3596)), revoked, false, ChainEnd::Absolute),
        (chain(Some(9000), Some(90_000)), revoked, false, ChainEnd::Revoked),
    ] {
        let mut stored = link(1, 0);
        let mut dated = stored.chain.take().unwrap();
        dated.arrived(None, &profile, NOON);
        stored.chain = Some(dated);
        let mut bench = Bench::empty(SessionProfile { chain: profile, ..SessionProfile::default() });
        bench.loaded(Ok(Some(stored.clone()))).at(3700);
        assert_eq!(bench.lease(), Ok(0));
        if expected == ChainEnd::Absolute {
            // Nobody is asked: nothing extends it.
            bench.loaded(Ok(Some(stored))).nothing_to_do();
            assert_eq!((bench.ends(), bench.lease()), (vec![expected], Err(ErrorKind::SignInNeeded)));
            continue;
        }
        if replayed {
            stored = with_intent(stored, intent(1, 1, 3600, Spent::Unknown));
        }
        bench.locked().loaded(Ok(Some(stored.clone())));
        bench.intended();
        bench.presented(Err(class));
        bench.loaded(Ok(Some(stored)));
        bench.intended();
        bench.unlocked();
        assert_eq!(bench.ends(), [expected]);
        assert_eq!(bench.lease(), Err(ErrorKind::SignInNeeded));
        assert_eq!(expected.is_suspicious(), matches!(expected, ChainEnd::Revoked | ChainEnd::Reused));
    }
}

#[test]
fn who_is_refused_for_itself_reads_its_secret_once_more_and_stops() {
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    for attempt in 0..2 {
        bench.locked().loaded(Ok(Some(link(1, 0))));
        bench.intended();
        bench.presented(Err(ExchangeClass::Misconfigured));
        assert_eq!(bench.intended(), ("rt1".into(), None), "the refresh token is not spent by it");
        bench.unlocked();
        if attempt == 0 {
            assert!(bench.run(3600));
        }
    }
    // Stopped: no more requests, the token serves to its end.
    bench.at(3599);
    assert_eq!((bench.lease(), bench.count(|notice| matches!(notice, Notice::Expiring { .. }))), (Ok(1), 1));
    bench.loaded(Ok(Some(link(1, 0)))).nothing_to_do();
    bench.at(3700);
    assert_eq!(bench.lease(), Ok(0));
    bench.loaded(Ok(Some(link(1, 0)))).nothing_to_do();
    assert_eq!(bench.lease(), Err(ErrorKind::SignInNeeded));
    // Mended.
    bench.session.source_touched();
    bench.loaded(Ok(Some(link(1, 0)))).locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Ok(3600));
    bench.stored(Ok(())).unlocked();
    assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]));
}

#[test]
fn a_link_that_cannot_be_stored_is_used_and_stored_later() {
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Ok(3600));
    bench.stored(Err(Error::new(ErrorKind::State, "disk full"))).unlocked();
    assert_eq!(bench.lease(), Ok(2));
    assert_eq!(bench.count(|notice| matches!(notice, Notice::Remark { .. })), 1);
    // What the source holds is older and never gets in the way.
    let stale = || with_intent(link(1, 0), intent(1, 1, 3595, Spent::Unknown));
    bench.session.source_touched();
    bench.loaded(Ok(Some(stale())));
    for stored in [Err(Error::new(ErrorKind::State, "disk full")), Ok(())] {
        assert!(bench.run(3700), "a lazy session too");
        bench.locked().loaded(Ok(Some(stale())));
        bench.stored(stored).unlocked();
    }
    assert!(!bench.run(3700));
    assert_eq!((bench.lease(), bench.ends()), (Ok(2), vec![]));
}

#[test]
fn an_idle_chain_is_kept_alive_while_held() {
    let chain = ChainProfile { idle_limit: Some(secs(600)), ..profile(OnAmbiguous::None).chain };
    let profile = SessionProfile { chain, ..SessionProfile::default() };
    let start = |held: bool| {
        let mut bench = Bench::empty(profile.clone());
        let mut grant = link(1, 0);
        grant.chain.as_mut().unwrap().arrived(None, &profile.chain, NOON);
        bench.loaded(Ok(Some(grant)));
        if held {
            bench.hold();
        }
        bench
    };
    assert!(!start(false).run(2000), "nobody needs it");
    let mut bench = start(true);
    let mut held = link(1, 0);
    held.chain.as_mut().unwrap().arrived(None, &profile.chain, NOON);
    for serial in 1..=5u64 {
        assert!(bench.run(serial * 300));
        assert_eq!(bench.now.wall, NOON + secs(serial * 300), "at half of the idle limit");
        bench.locked().loaded(Ok(Some(held.clone())));
        bench.intended();
        bench.presented(Ok(3600));
        let Some(Command::Store { id, grant, .. }) = bench.command() else { panic!("nothing to store") };
        bench.session.on_stored(id, Ok(()), bench.now);
        held = Grant::clone(&grant);
        bench.unlocked();
    }
    // Not beyond the absolute end: the token lives as long as the chain does.
    let chain = held.chain.clone().map(|chain| Chain {
        absolute_end: Some(crate::engine::chain::Known { value: NOON + secs(1500), by: Knowledge::Declared }),
        ..*chain
    });
    let mut bench = Bench::empty(profile.clone());
    bench.loaded(Ok(Some(Grant { chain: chain.map(Box::new), ..held }))).hold();
    assert!(!bench.run(1400));
}

#[test]
fn tokens_that_die_with_their_successor_are_renewed_late() {
    let mut slow = profile(OnAmbiguous::None);
    slow.chain.old_dies = true;
    slow.chain.expiry_signs = vec![ExpirySign { status: 403, contains: None }];
    let mut bench = Bench::empty(slow);
    bench.loaded(Ok(Some(link(1, 0)))).hold();
    assert!(bench.run(3600));
    assert_eq!(bench.now.wall, NOON + secs(3580));
    // Those that were in flight are refused under the old generation, which changes nothing.
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Ok(3600));
    bench.stored(Ok(())).unlocked();
    bench.reject(1).nothing_to_do();
    assert_eq!(bench.lease(), Ok(2));
}

#[test]
fn a_refresh_is_not_spent_near_the_absolute_end_again_and_again() {
    // The service shortens each token to what is left of the session.
    let end = 4000;
    let mut bench = Bench::due(profile(OnAmbiguous::None));
    bench.hold();
    let mut exchanges = 0;
    let mut held = link(1, 0);
    loop {
        bench.listen();
        match bench.command() {
            Some(Command::Lock { id, .. }) => bench.session.on_locked(id, Ok(()), bench.now),
            Some(Command::Load { id, .. }) => bench.session.on_loaded(id, Ok(Some(held.clone())), bench.now),
            Some(Command::Intend { id, .. }) => bench.session.on_intended(id, Ok(()), bench.now),
            Some(Command::Exchange { id, grant, .. }) => {
                exchanges += 1;
                let left = end - bench.now.wall.since(NOON).as_secs();
                let result = Ok(answer(&grant.unwrap(), left.min(3600)));
                bench.session.on_exchanged(id, result, bench.now);
            }
            Some(Command::Store { id, grant, .. }) => {
                held = Grant::clone(&grant);
                bench.session.on_stored(id, Ok(()), bench.now);
            }
            Some(Command::Unlock { .. }) => {}
            Some(other) => panic!("{other:?}"),
            None if bench.run(end - 1) => {}
            None => break,
        }
    }
    assert_eq!(exchanges, 2, "one that shortens it, one that shows that nothing extends it");
    assert_eq!(bench.session.effective_horizon().map(|at| at.since(NOON).as_secs()), Some(end));
    assert_eq!(bench.lease(), Ok(3));
}

/// A session that could not store link 2, which it got by presenting link 1 once.
fn unstored(policy: OnAmbiguous) -> Bench {
    let mut bench = Bench::due(profile(policy));
    bench.locked().loaded(Ok(Some(link(1, 0))));
    bench.intended();
    bench.presented(Ok(3600));
    bench.stored(Err(Error::new(ErrorKind::State, "disk full"))).unlocked();
    assert_eq!(bench.lease(), Ok(2), "it is used all the same");
    assert!(bench.run(4000), "and is to be stored when that can be");
    bench
}

#[test]
fn a_stored_child_of_somebody_else_goes_before_ours_that_is_not_stored() {
    let within = secs(600);
    for policy in [OnAmbiguous::NewestChild { within }, OnAmbiguous::Count { left: 2 }] {
        let mut bench = unstored(policy);
        // To another process our answer was lost: it has presented link 1 again, by the policy, and stored its child.
        let mut rival = link(2, 3596);
        if let Some(chain) = &mut rival.chain {
            chain.refresh = Secret::new("rival".to_owned());
        }
        rival.credential =
            Credential::Bearer(Bearer::new(Secret::new("rival-at".to_owned()), "Bearer").unwrap());
        bench.locked().loaded(Ok(Some(rival.clone())));
        bench.unlocked().nothing_to_do();
        assert_eq!(bench.lease(), Ok(3), "{policy:?}: the stored one is taken, ours is not put over it");
        bench.session.refresh_now(bench.now);
        bench.locked().loaded(Ok(Some(rival)));
        assert_eq!(bench.intended().0, "rival");
        assert_eq!(
            bench.presented(Ok(3600)),
            "rival",
            "ours, which its replay has ended, is never presented"
        );
    }
}

#[test]
fn a_link_presented_since_by_somebody_else_has_ended_ours_that_is_not_stored() {
    let within = secs(600);
    for (policy, ended) in [
        (OnAmbiguous::NewestChild { within }, true),
        (OnAmbiguous::Count { left: 2 }, true),
        // Here the second presentation gives the same successor, or one more beside it: ours is good, and is stored.
        (OnAmbiguous::Replay { within }, false),
        (OnAmbiguous::Fork { within }, false),
    ] {
        let mut bench = unstored(policy);
        // The record says twice, and one of them was us: somebody else is between intent and store, or died there.
        let found = with_intent(link(1, 0), intent(1, 2, 3595, Spent::Unknown));
        bench.locked().loaded(Ok(Some(found)));
        if ended {
            bench.unlocked().nothing_to_do();
            assert_eq!((bench.ends(), bench.lease()), (vec![ChainEnd::AnswerLost], Ok(2)), "{policy:?}");
        } else {
            bench.stored(Ok(())).unlocked();
            assert_eq!((bench.ends(), bench.lease()), (vec![], Ok(2)), "{policy:?}");
        }
    }
}
