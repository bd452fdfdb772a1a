//! Requests in flight found by measuring, on links that nobody has described.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_simulation::World;
use outlast_simulation::content::Content;
use outlast_simulation::job::Job;
use outlast_simulation::world::Rest;

use crate::setting::{MIB, assert_done, count, minutes, signed_in};

/// 8,000 parts of 8 MiB, requests in flight to be found out.
fn unknown(each: f64, link: f64) -> (World, usize) {
    let mut world = signed_in(1, SessionProfile::default());
    world.audit.scan_commands = false;
    world.pace.ticks = 40;
    let content = Content::Sketch { seed: 3, size: 8_000 * 8 * MIB };
    let options =
        UploadOptions { part_size: 8 * MIB, parallel: 1_000, adaptive: true, ..UploadOptions::default() };
    let mut job = Job::new("unknown", content, options);
    (job.rate, job.link) = (each, Some(link));
    let job = world.add_job(0, job);
    (world, job)
}

/// Runs to the end; how many requests were in flight at each minute's end.
fn run(world: &mut World, job: usize) -> Vec<usize> {
    fn look(world: &mut World, job: usize, seen: &Rc<RefCell<Vec<usize>>>) {
        seen.borrow_mut().push(world.jobs[job].permits.len());
        let seen = Rc::clone(seen);
        if world.jobs[job].is_running() {
            world.after(minutes(1), move |world| look(world, job, &seen));
        }
    }
    let seen = Rc::default();
    let looks = Rc::clone(&seen);
    world.after(minutes(1), move |world| look(world, job, &looks));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(world, job);
    seen.take()
}

#[expect(clippy::cast_precision_loss, reason = "a duration needs no 53 bits")]
fn ideal(world: &World, job: usize) -> Duration {
    let job = &world.jobs[job];
    Duration::from_secs_f64(job.content().size() as f64 / job.link.expect("a link is given"))
}

#[test]
fn a_link_is_filled_without_many_more_requests_than_that_takes() {
    for (each, link, needed) in [(1e6, 2e7, 20), (1e6, 1e8, 100), (4e6, 1.2e7, 3)] {
        let (mut world, job) = unknown(each, link);
        let seen = run(&mut world, job);
        let (took, ideal) = (world.clock.time(), ideal(&world, job));
        // From four requests to a hundred takes six steps, each as long as a part.
        assert!(took < ideal.mul_f64(1.1), "{took:?} instead of {ideal:?} with {seen:?}");
        // The last minutes are those of the last parts.
        let settled = &seen[seen.len() / 4..seen.len() * 3 / 4];
        let most = settled.iter().max().expect("it takes minutes");
        assert!(*most <= needed * 2 + 4, "{most} requests in flight where {needed} do: {seen:?}");
    }
}

#[test]
fn a_service_that_asks_for_less_gets_less() {
    let (mut world, job) = unknown(1e6, 1e9);
    world.jobs[job].tolerated = Some(40);
    let seen = run(&mut world, job);
    let refused = count(&world, |notice| matches!(notice, Notice::Retrying { .. }));
    // Each look for more is answered by few refusals and followed by a calm.
    assert!(refused < 8_000 / 20, "{refused} requests were refused: {seen:?}");
    let settled = &seen[seen.len() / 4..seen.len() * 3 / 4];
    let mean = settled.iter().sum::<usize>() / settled.len();
    assert!((24..=44).contains(&mean), "{mean} requests in flight where 40 are tolerated: {seen:?}");
}

#[test]
fn a_fixed_number_stays_fixed() {
    let (mut world, job) = unknown(1e6, 1e7);
    (world.jobs[job].options.adaptive, world.jobs[job].options.parallel) = (false, 64);
    let seen = run(&mut world, job);
    let settled = &seen[..seen.len() * 3 / 4];
    assert!(settled.iter().all(|count| (60..=64).contains(count)), "{seen:?}");
}
