//! What the schedules have in common.

use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_simulation::World;
use outlast_simulation::content::Content;
use outlast_simulation::job::Job;
use outlast_simulation::process::Identity;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

pub(crate) fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

/// A person is signed in, one process is there, and it has not been started.
pub(crate) fn signed_in(seed: u64, profile: SessionProfile) -> World {
    let mut world = World::new(seed);
    world.trace = std::env::var_os("OUTLAST_SIM_TRACE").is_some();
    world.keep_notices = true;
    world.audit.scan_commands = true;
    world.sign_in();
    world.add_process(Identity::Session, profile);
    world
}

/// A huge source in parts of 128 MiB.
pub(crate) fn huge(parts: u64, parallel: u32) -> Job {
    let part_size = 128 * MIB;
    let content = Content::Sketch { seed: 7, size: (parts - 1) * part_size + 1_000_000 };
    Job::new("backup.tar", content, UploadOptions { part_size, parallel, ..UploadOptions::default() })
}

/// Sets the rate so that, without mishaps, the job lasts about this long.
pub(crate) fn lasting(mut job: Job, whole: Duration) -> Job {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
    let rate = job.content().size() as f64 / whole.as_secs_f64() / f64::from(job.options.parallel);
    job.rate = rate;
    job
}

/// Waits for somebody to sign in as long as it takes.
pub(crate) fn patient() -> SessionProfile {
    SessionProfile { wait_for_login: hours(24 * 7), ..SessionProfile::default() }
}

/// Refreshes that gave a token.
pub(crate) fn refreshes(world: &World) -> u64 {
    world.issuer.refreshes
}

/// How many notices are like this.
pub(crate) fn count(world: &World, like: impl Fn(&Notice) -> bool) -> usize {
    world.notices.iter().filter(|(_, notice)| like(notice)).count()
}

/// When the first notice like this was told.
pub(crate) fn first(world: &World, like: impl Fn(&Notice) -> bool) -> Option<Duration> {
    world.notices.iter().find(|(_, notice)| like(notice)).map(|(time, _)| *time)
}

/// The job ended with the right object and left nothing behind.
pub(crate) fn assert_done(world: &World, job: usize) {
    let job = &world.jobs[job];
    assert!(job.outcome().is_some(), "{:?}", job.result);
    assert_eq!(world.storage.pending(&job.object), Vec::<String>::new(), "orphans");
}
