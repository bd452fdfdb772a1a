//! Clocks: wrong from the start, set while it runs, and machines that sleep.

use outlast_core::engine::Notice;
use outlast_core::engine::session::SessionProfile;
use outlast_simulation::world::{Rest, World};

use crate::setting::{assert_done, count, hours, huge, lasting, minutes, patient, seconds, signed_in};

#[test]
fn a_clock_that_is_wrong_from_the_start() {
    for wrong in [-7_200_000, -600_000, -120_000, 120_000, 600_000, 7_200_000] {
        let mut world = signed_in(2, SessionProfile::default());
        world.clock.step(wrong);
        let job = world.add_job(0, lasting(huge(60, 15), hours(4)));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_done(&world, job);
        let outcome = world.jobs[job].outcome().unwrap();
        assert_eq!((outcome.retries, outcome.refusals), (0, 0), "{wrong}");
        assert_eq!(count(&world, |notice| matches!(notice, Notice::ClockSkew { .. })), 1, "{wrong}");
        // About every 48 minutes, as if the clock were right.
        assert!((4..=7).contains(&world.issuer.refreshes), "{wrong}: {}", world.issuer.refreshes);
        assert_eq!(world.figures.parked, 0);
    }
}

#[test]
fn a_clock_that_is_set_while_it_runs() {
    for step in [-7_200_000, 7_200_000] {
        let mut world = signed_in(2, SessionProfile::default());
        let job = world.add_job(0, lasting(huge(60, 15), hours(4)));
        world.at(minutes(50), move |world| world.clock.step(step));
        world.at(minutes(110), move |world| world.clock.step(-step));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_done(&world, job);
        assert_eq!(world.jobs[job].outcome().unwrap().retries, 0, "{step}");
        assert_eq!(world.figures.parked, 0, "{step}");
        assert!(world.issuer.refreshes < 12, "{step}: {}", world.issuer.refreshes);
    }
}

#[test]
fn a_laptop_that_sleeps_for_a_while() {
    // Shorter than the token lives: connections may break, nothing else.
    let mut world = signed_in(2, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(60, 5), hours(3)));
    world.at(minutes(20), |world| world.clock.sleep(minutes(15)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.figures.parked, 0);
}

#[test]
fn a_laptop_that_sleeps_over_the_end_of_its_session_goes_on_after_signing_in() {
    let mut world = signed_in(2, patient());
    world.person.signs_in_after = Some(minutes(3));
    let job = world.add_job(0, lasting(huge(60, 5), hours(3)));
    world.at(minutes(20), |world| world.clock.sleep(hours(9)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.figures.parked, 1);
    let outcome = world.jobs[job].outcome().unwrap();
    assert_eq!(outcome.retries, 0);
    // Woken up, it knows by the date that its token has ended: nothing is sent in vain.
    assert_eq!(outcome.refusals, 0);
    assert!(world.clock.time() < hours(9) + hours(4));
}

#[test]
fn a_person_with_a_wrong_clock_signs_in_after_parking() {
    let mut world = signed_in(2, patient());
    world.person.signs_in_after = Some(minutes(3));
    let job = world.add_job(0, lasting(huge(60, 5), hours(3)));
    world.at(minutes(20), |world| {
        let text = world.token_text().unwrap();
        world.issuer.revoke_chain_of(&text);
    });
    // While it is parked the clock is set two hours ahead: the new token seems to have ended before it was written.
    world.at(minutes(21), |world| world.clock.step(7_200_000));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert!(world.clock.time() < hours(4), "{:?}", world.clock.time());
}

#[test]
fn credentials_of_five_seconds_serve() {
    let mut world = World::new(1);
    world.issuer.life = seconds(5);
    world.sign_in();
    world.add_process(outlast_simulation::process::Identity::Session, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(200, 15), minutes(10)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.jobs[job].outcome().unwrap().refusals, 0);
}
