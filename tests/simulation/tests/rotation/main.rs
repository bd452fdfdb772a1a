//! Rotating refresh tokens shared by several processes: ten thousand random schedules, and every small one.
//!
//! What must hold in each (asserted in `world`): no refresh token is presented twice but as the policy says, no two
//! refreshes of a chain are in flight, nothing is presented without a durable record, and a chain that is lost is told as
//! what it is: an answer lost, or a revocation.

mod chooser;
mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chooser::Chooser;
use outlast_core::engine::chain::{ChainEnd, OnAmbiguous};
use world::{Faults, LIFE, World};

const WINDOW: Duration = Duration::from_mins(1);

fn policies() -> [OnAmbiguous; 6] {
    [
        OnAmbiguous::None,
        OnAmbiguous::Replay { within: WINDOW },
        OnAmbiguous::NewestChild { within: WINDOW },
        OnAmbiguous::Fork { within: WINDOW },
        OnAmbiguous::Count { left: 0 },
        OnAmbiguous::Count { left: 2 },
    ]
}

#[test]
fn ten_thousand_random_schedules() {
    let only: Option<u64> = std::env::var("OUTLAST_SEED").ok().and_then(|seed| seed.parse().ok());
    let (mut exchanges, mut crashes, mut lost, mut revoked) = (0, 0, 0, 0);
    for seed in only.map_or(0..10_000, |seed| seed..seed + 1) {
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut chooser = Chooser::Random(seed);
            let policy = policies()[usize::try_from(seed % 6).expect("small")];
            let processes = 1 + chooser.pick(3);
            let faults = Faults {
                left: u32::try_from(chooser.pick(5)).expect("small"),
                clock_steps: chooser.pick(3) == 0,
                revocation: chooser.pick(4) == 0,
            };
            let mut world = World::new(policy, processes, faults, chooser);
            world.is_told = only.is_some();
            world.settle();
            for _ in 0..12 {
                let span = [5, 40, 130, 290, 310, 700][world.chooser.pick(6)];
                world.round(Duration::from_secs(span));
            }
            world.conclude();
            world
        }));
        let Ok(world) = run else { panic!("the schedule of OUTLAST_SEED={seed} failed") };
        exchanges += world.exchanges;
        crashes += world.crashes;
        lost += world.ended.iter().filter(|end| **end == ChainEnd::AnswerLost).count();
        revoked += world.ended.iter().filter(|end| **end == ChainEnd::Revoked).count();
    }
    if only.is_none() {
        // The schedules are worth something: all of it happens, and often.
        let worth = exchanges > 20_000 && crashes > 1000 && lost > 200 && revoked > 100;
        assert!(worth, "{exchanges} exchanges, {crashes} crashes, {lost} answers lost, {revoked} revoked");
    }
}

/// Every order of the steps of `processes` and every placement of `faults` crashes, lost answers and failed writes.
fn explore(policy: OnAmbiguous, processes: usize, faults: u32) -> u64 {
    let mut chooser = Chooser::Search { path: Vec::new(), at: 0 };
    let mut schedules = 0;
    loop {
        let faults = Faults { left: faults, clock_steps: false, revocation: false };
        let mut world = World::new(policy, processes, faults, chooser);
        world.round(LIFE + Duration::from_secs(1));
        world.conclude();
        schedules += 1;
        chooser = world.chooser;
        if !chooser.advance() {
            return schedules;
        }
    }
}

#[test]
fn every_schedule_of_one_process_with_two_faults() {
    for policy in policies() {
        let schedules = explore(policy, 1, 2);
        println!("{policy:?}: {schedules} schedules");
        assert!(schedules > 100, "{policy:?}: {schedules}");
    }
}

#[test]
fn every_schedule_of_two_processes_with_two_faults() {
    for policy in policies() {
        let schedules = explore(policy, 2, 2);
        println!("{policy:?}: {schedules} schedules");
        assert!(schedules > 10_000, "{policy:?}: {schedules}");
    }
}

#[test]
fn every_schedule_of_three_processes_with_one_fault() {
    for policy in [OnAmbiguous::None, OnAmbiguous::NewestChild { within: WINDOW }] {
        let schedules = explore(policy, 3, 1);
        println!("{policy:?}: {schedules} schedules");
        assert!(schedules > 10_000, "{policy:?}: {schedules}");
    }
}
