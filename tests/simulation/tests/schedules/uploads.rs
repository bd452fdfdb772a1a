//! Uploads: lost answers, damage, changing sources, storms, kills.

use std::time::Duration;

use outlast_core::ErrorKind;
use outlast_core::engine::Notice;
use outlast_core::engine::random::Random;
use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::upload::spec::{OnFailure, Precondition, UploadOptions};
use outlast_simulation::ask::AskKind;
use outlast_simulation::content::Content;
use outlast_simulation::fault::Fault;
use outlast_simulation::job::{Job, Stage};
use outlast_simulation::world::{Rest, World};

use crate::setting::{assert_done, count, hours, huge, lasting, minutes, seconds, signed_in};

/// A small source of real bytes: `parts` of ten bytes, five at a time.
fn small(parts: usize) -> Job {
    let content = Content::random(&mut Random::new(5), parts * 10);
    let options = UploadOptions { part_size: 10, parallel: 5, ..UploadOptions::default() };
    Job { rate: 10.0, ..Job::new("small", content, options) }
}

/// One job in a world in which `fault` befalls the requests that `script` chooses.
fn befallen(
    job: Job,
    script: impl FnMut(&outlast_simulation::fault::Sending) -> Option<Fault> + 'static,
) -> World {
    let mut world = signed_in(1, SessionProfile::default());
    world.add_job(0, job);
    world.script = Some(Box::new(script));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    world
}

/// The same call once more, in a new process, without mishaps.
fn again(world: &mut World) {
    world.script = None;
    world.kill(0);
    world.jobs[0].stage = Stage::Waiting;
    world.start();
    assert_eq!(world.run(), Rest::Done);
}

fn asked(world: &World, kind: AskKind) -> u64 {
    world.requests(kind)
}

#[test]
fn a_lost_create_answer_leaves_no_orphan() {
    for lost in [Fault::BrokenAfter, Fault::StalledAfter, Fault::Garbled, Fault::BrokeAfter] {
        let mut world = befallen(small(12), move |sending| {
            (sending.kind == AskKind::Create && sending.nth == 0).then_some(lost)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Create), 1, "{lost:?}: the one that was made is found");
        world.kill(0);
    }
    for unheard in [Fault::BrokenUnheard, Fault::Broke, Fault::StalledBefore] {
        let world = befallen(small(12), move |sending| {
            (sending.kind == AskKind::Create && sending.nth == 0).then_some(unheard)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Create), 2, "{unheard:?}");
    }
}

#[test]
fn a_lost_create_answer_is_found_whatever_the_clock_says() {
    for wrong in [-7_200_000, -600_000, 600_000, 7_200_000] {
        let mut world = signed_in(1, SessionProfile::default());
        world.clock.step(wrong);
        world.add_job(0, small(12));
        world.script = Some(Box::new(|sending| {
            (sending.kind == AskKind::Create && sending.nth < 2).then_some(Fault::BrokenAfter)
        }));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_done(&world, 0);
    }
}

#[test]
fn a_lost_commit_answer_is_looked_into() {
    for lost in [Fault::BrokenAfter, Fault::StalledAfter, Fault::Garbled, Fault::BrokeAfter] {
        let world = befallen(small(12), move |sending| {
            (sending.kind == AskKind::Commit && sending.nth == 0).then_some(lost)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Commit), 1, "{lost:?}");
    }
    for unheard in [Fault::BrokenUnheard, Fault::Broke, Fault::StalledBefore] {
        let world = befallen(small(12), move |sending| {
            (sending.kind == AskKind::Commit && sending.nth == 0).then_some(unheard)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Commit), 2, "{unheard:?}");
    }
}

/// Part 8 stalls and is sent again; what the network held of the first attempt comes while part 12 is on its way.
fn late(job: Job, damaged: bool) -> World {
    befallen(job, move |sending| match sending.part {
        Some(8) if sending.time < seconds(5) => Some(Fault::HeardLate { seconds: 20, damaged }),
        Some(12) => Some(Fault::Slow(100)),
        _ => None,
    })
}

#[test]
fn bytes_that_come_late_are_taken_as_they_are() {
    for also_md5 in [false, true] {
        let mut job = small(12);
        job.options.also_md5 = also_md5;
        let world = late(job, false);
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Commit), 2, "the first names an etag that is no more");
        assert_eq!(world.jobs[0].sends, 13, "what is stored is not sent again");
    }
}

#[test]
fn bytes_that_come_late_and_damaged_are_replaced() {
    for also_md5 in [false, true] {
        let mut job = small(12);
        job.options.also_md5 = also_md5;
        let world = late(job, true);
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Commit), 2);
        assert_eq!(world.jobs[0].sends, 14);
    }
}

#[test]
fn late_bytes_of_a_stream_are_taken_or_refused() {
    for also_md5 in [false, true] {
        // Its parts are sent with their checksum: damaged ones never replace anything.
        for (damaged, commits) in [(false, 2), (true, 1)] {
            let mut job = Job { streamed: true, ..small(12) };
            job.options.also_md5 = also_md5;
            let world = late(job, damaged);
            assert_done(&world, 0);
            assert_eq!((asked(&world, AskKind::Commit), world.jobs[0].sends), (commits, 13));
        }
    }
}

#[test]
fn an_object_that_was_there_before_is_no_commit() {
    // The same bytes are uploaded twice; the second commit is lost on its way out.
    let mut world = befallen(small(12), |_| None);
    assert_done(&world, 0);
    world.add_job(0, small(12));
    world.script = Some(Box::new(|sending| {
        (sending.kind == AskKind::Commit && sending.nth == 1).then_some(Fault::BrokenUnheard)
    }));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, 1);
    assert_eq!(asked(&world, AskKind::Commit), 3, "the second upload is committed, not taken for granted");
}

#[test]
fn a_lost_put_answer_is_looked_into() {
    for precondition in [Precondition::None, Precondition::Absent] {
        let mut job = small(1);
        job.options.precondition = precondition;
        let world = befallen(job, |sending| {
            (sending.kind == AskKind::Put && sending.nth == 0).then_some(Fault::StalledAfter)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Put), 1);
        // The same for a stream, whose checksums are known beforehand.
        let mut job = small(1);
        job.streamed = true;
        job.options.part_size = 100;
        let world = befallen(job, |sending| {
            (sending.kind == AskKind::Put && sending.nth == 0).then_some(Fault::StalledAfter)
        });
        assert_done(&world, 0);
        assert_eq!(asked(&world, AskKind::Put), 1);
    }
}

#[test]
fn a_put_without_an_etag_is_stored_all_the_same() {
    let mut job = small(1);
    job.options.precondition = Precondition::Absent;
    let world = befallen(job, |sending| (sending.kind == AskKind::Put).then_some(Fault::EtagMissing));
    assert_done(&world, 0);
    assert_eq!(asked(&world, AskKind::Put), 1);
}

#[test]
fn damage_is_noticed_and_sent_again() {
    for damage in [Fault::DamagedOnTheWay, Fault::ToldWrong, Fault::SumsMissing, Fault::EtagMissing] {
        let world = befallen(small(12), move |sending| {
            (sending.kind == AskKind::Part && sending.nth % 5 == 3).then_some(damage)
        });
        assert_done(&world, 0);
        assert!(world.jobs[0].outcome().unwrap().retries >= 3, "{damage:?}");
    }
}

#[test]
fn damage_that_repeats_is_no_passing_trouble() {
    let world = befallen(small(12), |sending| (sending.part == Some(4)).then_some(Fault::DamagedOnTheWay));
    let error = world.jobs[0].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(world.storage.object("small").is_none());
    assert!(world.jobs[0].is_resumable());
}

#[test]
fn a_part_that_rots_after_its_acknowledgement_is_found_at_the_end() {
    let mut world = befallen(small(12), |sending| (sending.part == Some(4)).then_some(Fault::DamagedAtRest));
    let error = world.jobs[0].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(!world.jobs[0].is_resumable(), "nothing is left to go on with");
    again(&mut world);
    assert_done(&world, 0);
}

#[test]
fn a_source_that_changes_is_never_committed() {
    for kind in 0..3 {
        let mut world = signed_in(1, SessionProfile::default());
        world.add_job(0, small(30));
        world.at(seconds(3), move |world| world.jobs[0].change(kind, &mut Random::new(1)));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        let error = world.jobs[0].error().unwrap();
        assert!(matches!(error.kind(), ErrorKind::SourceChanged | ErrorKind::Source), "{error}");
        assert!(world.storage.object("small").is_none());
    }
}

#[test]
fn a_source_that_changes_during_a_single_put_is_told() {
    let mut job = small(30);
    job.options.single = true;
    let mut world = signed_in(1, SessionProfile::default());
    world.add_job(0, job);
    world.at(seconds(3), |world| world.jobs[0].change(0, &mut Random::new(1)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    let error = world.jobs[0].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceChanged, "{error}");
}

#[test]
fn a_source_that_changed_while_nobody_looked_is_refused_on_resume() {
    // Same size, same time: only the bytes tell.
    let mut world = signed_in(1, SessionProfile::default());
    world.add_job(0, small(30));
    world.start();
    world.run_until(seconds(4));
    world.kill(0);
    world.jobs[0].change(3, &mut Random::new(1));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    let error = world.jobs[0].error().unwrap();
    assert_eq!(error.kind(), ErrorKind::SourceChanged, "{error}");
    assert!(!world.jobs[0].is_resumable());
}

#[test]
fn a_source_may_change_before_anything_was_created() {
    let mut world = signed_in(1, SessionProfile::default());
    world.script = Some(Box::new(|sending| (sending.kind == AskKind::Create).then_some(Fault::Forbidden)));
    world.add_job(0, small(30));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_eq!(world.jobs[0].error().unwrap().kind(), ErrorKind::Permission);
    // The next night's backup has the same name and other bytes.
    world.jobs[0].change(0, &mut Random::new(1));
    again(&mut world);
    assert_done(&world, 0);
}

#[test]
fn a_kill_at_any_command_loses_only_what_was_in_flight() {
    let mut commands = 0;
    for kill_at in 1.. {
        let mut world = signed_in(kill_at, SessionProfile::default());
        world.storage.page = 3;
        world.add_job(0, small(23));
        world.processes[0].kill_at = Some(kill_at);
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_done(&world, 0);
        // What was stored but not told, or told but in flight: five at most.
        let twice: u32 = world.storage.stores.values().map(|times| times - 1).sum();
        assert!(twice <= 5, "killed at {kill_at}: {twice} parts were sent again");
        if world.figures.kills == 0 {
            commands = kill_at;
            break;
        }
    }
    assert!(commands > 50, "{commands}");
}

#[test]
fn a_long_upload_survives_a_kill_every_hour() {
    let mut world = signed_in(9, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(400, 15), hours(12)));
    for hour in 1..13 {
        world.at(hours(hour), |world| {
            world.kill(0);
            world.after(minutes(2), World::start);
        });
    }
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    let twice: u32 = world.storage.stores.values().map(|times| times - 1).sum();
    assert!(world.jobs[job].sends <= 400 + 15 * world.figures.kills, "{}", world.jobs[job].sends);
    assert_eq!(twice, 0, "a part in flight is not stored");
}

#[test]
fn storms_are_sat_out() {
    for (minutes_of_storm, delay) in [(1, None), (5, None), (5, Some(30)), (10, None), (10, Some(120))] {
        let mut world = signed_in(minutes_of_storm, SessionProfile::default());
        let job = world.add_job(0, lasting(huge(600, 15), hours(1)));
        let storm = minutes(10)..minutes(10 + minutes_of_storm);
        world.script =
            Some(Box::new(move |sending| storm.contains(&sending.time).then_some(Fault::Unavailable(delay))));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_done(&world, job);
        let outcome = world.jobs[job].outcome().unwrap();
        println!(
            "a storm of {minutes_of_storm} min (Retry-After {delay:?}): {} retries, {} requests, over after {:.0} s",
            outcome.retries,
            world.figures.requests,
            world.clock.time().as_secs_f64()
        );
        // The budget, then a request every quarter of a minute to ask whether it is over.
        assert!(outcome.retries < 50 + 8 * u32::try_from(minutes_of_storm).unwrap(), "{}", outcome.retries);
    }
}

#[test]
fn a_network_that_is_gone_for_ten_minutes_is_sat_out() {
    let mut world = signed_in(3, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(600, 15), hours(1)));
    let gone = minutes(10)..minutes(20);
    world.script = Some(Box::new(move |sending| gone.contains(&sending.time).then_some(Fault::Unreachable)));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
}

#[test]
fn retry_after_is_obeyed() {
    let mut world = signed_in(3, SessionProfile::default());
    world.add_job(0, small(5));
    world.script = Some(Box::new(|sending| (sending.nth == 0).then_some(Fault::Throttled(Some(40)))));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, 0);
    assert!(world.clock.time() >= seconds(3 * 40), "{:?}", world.clock.time());
}

#[test]
fn the_first_permanent_failure_stops_everything() {
    let world = befallen(small(100), |sending| (sending.part == Some(12)).then_some(Fault::Forbidden));
    assert_eq!(world.jobs[0].error().unwrap().kind(), ErrorKind::Permission);
    assert!(world.jobs[0].is_resumable());
    assert!(world.jobs[0].sends <= 12 + 5, "{}", world.jobs[0].sends);
}

#[test]
fn cancelling_keeps_or_aborts() {
    for on_failure in [OnFailure::Retain, OnFailure::Abort] {
        let mut world = signed_in(1, SessionProfile::default());
        world.add_job(0, small(40));
        world.at(seconds(4), move |world| world.cancel(0, on_failure));
        world.start();
        assert_eq!(world.run(), Rest::Done);
        assert_eq!(world.jobs[0].error().unwrap().kind(), ErrorKind::Cancelled);
        let kept = on_failure == OnFailure::Retain;
        assert_eq!(world.storage.pending("small").len(), usize::from(kept));
        assert_eq!(world.jobs[0].is_resumable(), kept);
        again(&mut world);
        assert_done(&world, 0);
        assert_eq!(world.jobs[0].outcome().unwrap().parts_reused > 0, kept);
    }
}

#[test]
fn pausing_starts_nothing_and_keeps_the_session() {
    let mut world = signed_in(1, SessionProfile::default());
    let job = world.add_job(0, lasting(huge(60, 5), hours(2)));
    world.at(minutes(15), |world| world.pause(0, true));
    world.at(hours(9), |world| world.pause(0, false));
    world.start();
    world.run_until(hours(1));
    let sends = world.jobs[job].sends;
    world.run_until(hours(8));
    assert_eq!(world.jobs[job].sends, sends);
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, job);
    assert_eq!(world.jobs[job].outcome().unwrap().refusals, 0);
    assert_eq!(count(&world, |notice| matches!(notice, Notice::Paused { .. })), 2);
}

#[test]
fn a_stream_of_unknown_length_is_cut_and_ended() {
    for bytes in [0, 1, 9, 10, 11, 49, 50, 51, 200] {
        let content = Content::random(&mut Random::new(5), bytes);
        let mut job = Job { rate: 10.0, ..Job::new("small", content, small(1).options) };
        job.streamed = true;
        let world = befallen(job, |sending| (sending.nth % 4 == 1).then_some(Fault::BrokenAfter));
        assert_done(&world, 0);
    }
}

#[test]
fn an_upload_that_vanishes_is_begun_anew_by_the_same_call() {
    let mut world = signed_in(1, SessionProfile::default());
    world.add_job(0, small(40));
    world.at(seconds(4), |world| {
        for upload in world.storage.pending("small") {
            world.storage.drop_upload(&upload);
        }
    });
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_eq!(world.jobs[0].error().unwrap().kind(), ErrorKind::NotFound);
    again(&mut world);
    assert_done(&world, 0);
}

#[test]
fn late_and_strange_events_change_nothing() {
    let mut world = signed_in(1, SessionProfile::default());
    world.weather.echo = 1000;
    world.weather.until = Duration::from_hours(1);
    world.add_job(0, small(40));
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_done(&world, 0);
    assert_eq!(world.jobs[0].outcome().unwrap().retries, 0);
    assert!(world.storage.stores.values().all(|times| *times == 1));
}
