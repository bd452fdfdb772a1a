//! Scenario one: the upload that no tool of the field report could finish.

use outlast_core::engine::Notice;
use outlast_core::engine::session::{SessionProfile, Windows};
use outlast_simulation::world::{Rest, World};

use crate::setting::{assert_done, count, hours, huge, lasting, seconds, signed_in};

/// 1,463 parts of 128 MiB, 15 at a time, under 60-minute tokens, over 25 token lives.
fn field_report(windows: Windows) -> World {
    let mut world = signed_in(1, SessionProfile { windows, ..SessionProfile::default() });
    world.pace.ticks = 4;
    let job = world.add_job(0, lasting(huge(1463, 15), hours(25)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let outcome = world.jobs[job].outcome().unwrap();
    assert_eq!((outcome.parts, outcome.retries, outcome.refusals), (1463, 0, 0));
    assert!(outcome.verified);
    // Every part is stored exactly once.
    assert_eq!(world.storage.stores.len(), 1463);
    assert!(world.storage.stores.values().all(|times| *times == 1));
    assert_eq!(world.jobs[job].sends, 1463);
    // Nothing failed, on either side (that no two refreshes overlap is checked at each one).
    assert_eq!(
        count(&world, |notice| matches!(notice, Notice::Retrying { .. } | Notice::PartHeld { .. })),
        0
    );
    assert_eq!(world.issuer.refusals, 0);
    assert_eq!(world.issuer.refreshes, world.figures.exchanges);
    world
}

#[test]
fn one_refresh_per_token_life_when_the_lead_is_short() {
    let windows = Windows { advisory_percent: 2, advisory_least: seconds(30), ..Windows::default() };
    let world = field_report(windows);
    let lives = world.clock.time().as_secs_f64() / 3600.0;
    println!(
        "field report, lead 2 %: {:.2} h, {:.1} token lives, {} refreshes, {} requests",
        lives, lives, world.issuer.refreshes, world.figures.requests
    );
    assert!((24.0..=26.0).contains(&lives), "{lives}");
    assert!(
        (lives - 1.0..=lives + 1.0).contains(&f64::from(u32::try_from(world.issuer.refreshes).unwrap())),
        "{}",
        world.issuer.refreshes
    );
}

#[test]
fn the_default_lead_refreshes_a_little_more_often() {
    let world = field_report(Windows::default());
    let lives = world.clock.time().as_secs_f64() / 3600.0;
    println!("field report, default lead: {lives:.1} token lives, {} refreshes", world.issuer.refreshes);
    // 20 % of the life less up to a quarter of that: every 48 to 51 minutes.
    assert!((28..=32).contains(&world.issuer.refreshes), "{}", world.issuer.refreshes);
}
