//! Large ones.

use std::time::Instant;

use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_simulation::content::Content;
use outlast_simulation::job::Job;
use outlast_simulation::world::Rest;

use crate::setting::{MIB, assert_done, hours, lasting, signed_in};

#[expect(clippy::disallowed_methods, reason = "how fast the simulation runs is told, not tested")]
fn run(parts: u64, parallel: u32, length: u64) -> f64 {
    let began = Instant::now();
    let mut world = signed_in(1, SessionProfile::default());
    world.keep_notices = false;
    world.audit.scan_commands = false;
    let content = Content::Sketch { seed: 7, size: parts * 10 * MIB };
    let options = UploadOptions { part_size: 10 * MIB, parallel, ..UploadOptions::default() };
    let job = world.add_job(0, lasting(Job::new("large", content, options), hours(length)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.storage.stores.len() as u64, parts);
    assert!(world.storage.stores.values().all(|times| *times == 1));
    let took = began.elapsed().as_secs_f64();
    println!(
        "{parts} parts, {parallel} at a time, {length} h: {took:.2} s, {:.0} events/s",
        f64::from(u32::try_from(world.figures.events).unwrap_or(u32::MAX)) / took
    );
    took
}

#[test]
fn ten_thousand_parts() {
    run(10_000, 15, 24);
}

#[test]
fn a_thousand_at_a_time() {
    run(10_000, 1_000, 2);
}

#[test]
fn more_than_ten_thousand_parts_make_larger_ones() {
    let mut world = signed_in(1, SessionProfile::default());
    let content = Content::Sketch { seed: 7, size: 100_001 * MIB };
    let options = UploadOptions { part_size: 10 * MIB, parallel: 100, ..UploadOptions::default() };
    let job = world.add_job(0, lasting(Job::new("large", content, options), hours(2)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.jobs[job].outcome().unwrap().parts, 9091);
}
