//! Sessions: one refresh for all, refusals, horizons, people who sign in.

use std::time::Duration;

use outlast_core::ErrorKind;
use outlast_core::engine::command::Renewal;
use outlast_core::engine::session::{SessionProfile, SessionState, Windows};
use outlast_core::engine::{Engine, Notice};
use outlast_simulation::ask::AskKind;
use outlast_simulation::fault::Fault;
use outlast_simulation::process::Identity;
use outlast_simulation::world::{Rest, World};

use crate::setting::{
    assert_done, count, first, hours, huge, lasting, minutes, patient, refreshes, seconds, signed_in,
};

#[test]
fn fifteen_refusals_at_once_make_one_refresh_and_cost_nothing() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(60, 15), minutes(20)));
    // From minute 3 on the storage service does not take the token any more, long before its end.
    world.at(minutes(3), |world| {
        let text = world.token_text().unwrap();
        world.issuer.token(&text).unwrap().refused_by_storage = true;
    });
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let outcome = world.jobs[job].outcome().unwrap();
    assert_eq!((outcome.retries, outcome.refusals), (0, 15), "all fifteen, and for free");
    assert_eq!(world.issuer.refreshes, 1);
    assert_eq!(count(&world, |notice| matches!(notice, Notice::Rejected { .. })), 1);
    assert!(world.storage.stores.values().all(|times| *times == 1));
}

#[test]
fn a_late_refusal_of_an_old_generation_changes_nothing() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(16, 4), minutes(40)));
    // Part 1 is answered with 401 long after everybody else has gone on under the next credential.
    world.script =
        Some(Box::new(|sending| (sending.part == Some(1) && sending.nth == 0).then_some(Fault::Slow(1))));
    world.start();
    world.run_until(seconds(1));
    world.on_engine(0, Engine::refresh_now);
    world.run_until(seconds(5));
    let generation =
        world.on_engine(0, |engine, session, now| engine.session_status(session, now)).unwrap().generation;
    assert_eq!(generation.0, 2);
    let old = outlast_core::engine::credential::Generation(1);
    world.on_engine(0, |engine, session, now| engine.reject(session, old, now));
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.issuer.refreshes, 1, "the one that was asked for");
    assert_eq!(count(&world, |notice| matches!(notice, Notice::Rejected { .. })), 0);
}

#[test]
fn a_second_refusal_of_a_fresh_credential_is_final() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(10, 5), minutes(10)));
    world.script = Some(Box::new(|sending| (sending.kind == AskKind::Part).then_some(Fault::Refused)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    let error = world.jobs[job].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(world.jobs[job].is_resumable());
    assert_eq!(world.issuer.refreshes, 1, "and no storm of refreshes");
    // The cause is gone, somebody signs in: the same call ends well.
    world.script = None;
    world.sign_in();
    world.jobs[job].stage = outlast_simulation::job::Stage::Waiting;
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
}

#[test]
fn a_refused_refresh_hides_no_valid_token_and_is_not_repeated() {
    let mut world = signed_in(1, patient());
    let job = world.add_job(0, lasting(huge(100, 10), minutes(55)));
    world.script = Some(Box::new(|sending| (sending.kind == AskKind::Refresh).then_some(Fault::Refused)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!((world.figures.exchanges, world.figures.parked), (1, 0));
    assert_eq!(count(&world, |notice| matches!(notice, Notice::Expiring { .. })), 1);
}

#[test]
fn a_failing_refresh_is_retried_with_backoff_while_the_token_serves() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(100, 10), hours(2)));
    // When the first refresh is due, the auth service is down.
    world.script = Some(Box::new(|sending| {
        let down = (minutes(47)..minutes(57)).contains(&sending.time);
        (sending.kind == AskKind::Refresh && down).then_some(Fault::Unavailable(None))
    }));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let failed = count(&world, |notice| matches!(notice, Notice::RefreshFailed { .. }));
    assert!((5..40).contains(&failed), "{failed}");
    assert_eq!(world.jobs[job].outcome().unwrap().refusals, 0, "nobody noticed");
}

#[test]
fn another_process_wins_the_refresh() {
    let mut world = signed_in(1, SessionProfile::default());
    for number in 1..4 {
        assert_eq!(world.add_process(Identity::Session, SessionProfile::default()), number);
    }
    for process in 0..4 {
        world.add_job(process, lasting(named(huge(40, 5), process), hours(4)));
    }
    world.start();
    assert_eq!(world.run(), Rest::Done);
    for job in 0..4 {
        assert_done(&world, job);
        assert_eq!(world.jobs[job].outcome().unwrap().refusals, 0);
    }
    // Four processes, four hours: about five refreshes in all, each used by all four.
    assert!((4..=6).contains(&world.issuer.refreshes), "{}", world.issuer.refreshes);
    let reloaded = count(&world, |notice| matches!(notice, Notice::Refreshed { how: Renewal::Reloaded, .. }));
    assert!(reloaded >= 4 + 3 * 4, "{reloaded}");
}

fn named(mut job: outlast_simulation::job::Job, number: usize) -> outlast_simulation::job::Job {
    job.object = format!("backup-{number}.tar");
    job
}

#[test]
fn the_official_tool_refreshes_without_our_lock() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(40, 5), hours(3)));
    for number in 1..5 {
        world.at(minutes(40 * number), World::refresh_elsewhere);
    }
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert!(world.figures.exchanges <= 1, "but for the early one there is nothing left for us to do");
}

/// A session that ends after `chain`, whatever is refreshed, and a person who signs in half an hour after it is parked.
fn until_the_horizon(tells_horizon: bool) -> World {
    let mut world = World::new(3);
    world.issuer.chain_life = Some(hours(24));
    world.issuer.tells_horizon = tells_horizon;
    world.keep_notices = true;
    world.pace.ticks = 60;
    world.sign_in();
    world.add_process(Identity::Session, patient());
    world.person.signs_in_after = Some(minutes(30));
    world.person.writes_slowly = true;
    let job = world.add_job(0, lasting(huge(300, 15), hours(30)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.jobs[job].outcome().unwrap().retries, 0);
    assert!(world.storage.stores.values().all(|times| *times == 1));
    world
}

#[test]
fn a_told_horizon_is_forecast_parked_at_and_survived() {
    let world = until_the_horizon(true);
    let forecast = first(&world, |notice| matches!(notice, Notice::WillOutliveSession { .. })).unwrap();
    assert!(forecast < hours(1), "told at {forecast:?}, not when it is too late");
    let parked = first(&world, |notice| matches!(notice, Notice::Parked { .. })).unwrap();
    assert!((hours(24)..hours(24) + minutes(1)).contains(&parked), "{parked:?}");
    let resumed = first(&world, |notice| matches!(notice, Notice::Resumed { .. })).unwrap();
    assert!(resumed < parked + minutes(31), "{resumed:?}");
    // The last refresh before the horizon is not tried again and again.
    assert!(world.figures.exchanges < 40, "{}", world.figures.exchanges);
    // One forecast per horizon; the second session is long enough.
    assert_eq!(count(&world, |notice| matches!(notice, Notice::WillOutliveSession { .. })), 1);
}

#[test]
fn an_untold_horizon_is_learned_parked_at_and_survived() {
    let world = until_the_horizon(false);
    let learned = first(&world, |notice| matches!(notice, Notice::HorizonLearned { .. })).unwrap();
    assert!((hours(23)..hours(24)).contains(&learned), "{learned:?}");
    let parked = first(&world, |notice| matches!(notice, Notice::Parked { .. })).unwrap();
    assert!((hours(24)..hours(24) + minutes(1)).contains(&parked), "{parked:?}");
    assert_eq!(count(&world, |notice| matches!(notice, Notice::Resumed { .. })), 1);
}

#[test]
fn a_refresh_that_moves_nothing_is_noticed_early_and_parks_at_the_end() {
    let mut world = signed_in(1, patient());
    world.issuer.moves_nothing = true;
    world.pace.ticks = 60;
    world.person.signs_in_after = Some(minutes(5));
    let job = world.add_job(0, lasting(huge(60, 15), minutes(100)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let learned = first(&world, |notice| matches!(notice, Notice::HorizonLearned { .. })).unwrap();
    let forecast = first(&world, |notice| matches!(notice, Notice::WillOutliveSession { .. })).unwrap();
    assert!(learned < minutes(5) && forecast < minutes(5), "{learned:?} {forecast:?}");
    assert_eq!(world.jobs[job].outcome().unwrap().retries, 0);
    assert_eq!(world.figures.parked, 1);
}

#[test]
fn a_refresh_right_after_signing_in_teaches_no_horizon() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(60, 15), hours(3)));
    for half in 1..6 {
        world.at(Duration::from_millis(500 * half), |world| {
            world.on_engine(0, Engine::refresh_now);
        });
    }
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(count(&world, |notice| matches!(notice, Notice::HorizonLearned { .. })), 0);
}

#[test]
fn without_patience_a_parked_session_fails_at_once_and_the_same_call_resumes() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(60, 15), hours(3)));
    world.at(minutes(70), |world| {
        let text = world.token_text().unwrap();
        world.issuer.revoke_chain_of(&text);
    });
    world.start();
    assert_eq!(world.run(), Rest::Done);
    let error = world.jobs[job].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
    assert!(world.jobs[job].is_resumable());
    let stored = world.storage.stores.len();
    world.kill(0);
    world.sign_in();
    world.jobs[job].stage = outlast_simulation::job::Stage::Waiting;
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let outcome = world.jobs[job].outcome().unwrap();
    assert_eq!(usize::try_from(outcome.parts_reused).unwrap(), stored);
    assert!(world.storage.stores.values().all(|times| *times == 1), "nothing is sent twice");
}

#[test]
fn signing_in_while_a_refresh_is_under_way_is_not_lost() {
    let mut world = signed_in(1, patient());
    world.issuer.chain_life = Some(hours(2));
    world.pace.round_trip = seconds(4);
    let job = world.add_job(0, lasting(huge(60, 15), minutes(150)));
    world.script = Some(Box::new(|sending| {
        (sending.kind == AskKind::Refresh && sending.nth == 0).then_some(Fault::Slow(10))
    }));
    world.start();
    // In the very moment in which our refresh is at the server, the person signs in, and no file watch fires.
    let rest = world.run_while(|world| world.figures.exchanges == 0);
    assert_eq!(rest, Rest::Done);
    world.after(seconds(5), World::sign_in);
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!((world.figures.parked, world.jobs[job].outcome().unwrap().refusals), (0, 0));
}

#[test]
fn an_api_key_needs_nothing_and_one_refusal_is_final() {
    let profile = SessionProfile {
        can_exchange: false,
        can_store: false,
        can_sign_in: false,
        ..SessionProfile::default()
    };
    let mut world = World::new(1);
    world.add_process(Identity::ApiKey, profile);
    let job = world.add_job(0, lasting(huge(100, 15), hours(50)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.figures.exchanges, 0);
    let job = world.add_job(0, named(lasting(huge(100, 15), hours(50)), 1));
    world.script = Some(Box::new(|sending| (sending.part == Some(50)).then_some(Fault::Refused)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_eq!(world.jobs[job].error().unwrap().kind(), ErrorKind::Auth);
    assert!(world.jobs[job].is_resumable());
}

#[test]
fn idle_sessions_renew_by_timer_or_not_at_all() {
    for (timer, expected) in [(true, 24..=32), (false, 0..=0)] {
        let mut world =
            signed_in(1, SessionProfile { timer, windows: Windows::default(), ..SessionProfile::default() });
        world.start();
        world.run_until(hours(24));
        assert!(expected.contains(&refreshes(&world)), "timer {timer}: {}", refreshes(&world));
        let status = world.on_engine(0, |engine, session, now| engine.session_status(session, now)).unwrap();
        assert_eq!(status.state == SessionState::Fresh || status.state == SessionState::Advisory, timer);
    }
}

#[test]
fn a_refusal_that_shows_as_a_reset_connection_is_asked_about() {
    let mut world = signed_in(1, SessionProfile::default());
    world.weather.disguise = 1000;
    let job = world.add_job(0, lasting(huge(60, 15), minutes(20)));
    world.at(minutes(3), |world| {
        let text = world.token_text().unwrap();
        world.issuer.token(&text).unwrap().refused_by_storage = true;
    });
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let outcome = world.jobs[job].outcome().unwrap();
    assert_eq!((outcome.retries, outcome.refusals), (0, 15), "resets that were refusals cost nothing");
    assert_eq!(world.issuer.refreshes, 1);
}
