//! Large uploads, one after the other in a process of their own: what they take must grow with their parts and with
//! nothing else.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::upload::spec::UploadOptions;
use outlast_simulation::World;
use outlast_simulation::content::Content;
use outlast_simulation::job::Job;
use outlast_simulation::process::Identity;
use outlast_simulation::world::Rest;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);

#[derive(Clone, Copy)]
struct Size {
    parts: u64,
    part_mib: u64,
    parallel: u32,
    /// Reports of progress per part.
    ticks: u32,
    length: Duration,
}

/// What an upload took when two tenths of its time were over, and nine.
#[derive(Clone, Copy, Debug)]
struct Look {
    stored: usize,
    journal_bytes: usize,
    resident: u64,
}

fn upload(size: Size) -> Vec<Look> {
    let mut world = World::new(1);
    world.sign_in();
    world.add_process(Identity::Session, SessionProfile::default());
    world.pace.ticks = size.ticks;
    let bytes = size.parts * size.part_mib * MIB;
    let options =
        UploadOptions { part_size: size.part_mib * MIB, parallel: size.parallel, ..UploadOptions::default() };
    let mut job = Job::new("large", Content::Sketch { seed: 7, size: bytes }, options);
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
    let rate = bytes as f64 / size.length.as_secs_f64() / f64::from(size.parallel);
    job.rate = rate;
    let job = world.add_job(0, job);
    let looks = Rc::new(RefCell::new(Vec::new()));
    for tenths in [2, 9] {
        let looks = Rc::clone(&looks);
        world.at(size.length * tenths / 10, move |world| {
            let stored = world.jobs[job].settled.len();
            let journal_bytes = world.host.journals[&job].bytes.len();
            looks.borrow_mut().push(Look { stored, journal_bytes, resident: resident() });
        });
    }
    world.start();
    let events = run(&mut world);
    assert!(world.jobs[job].outcome().is_some(), "{:?}", world.jobs[job].result);
    assert_eq!(world.storage.stores.len() as u64, size.parts);
    assert!(world.storage.stores.values().all(|times| *times == 1), "a part is stored once");
    println!(
        "{} parts, {} at a time, {} reports a part, {:?}: {events}",
        size.parts, size.parallel, size.ticks, size.length
    );
    looks.take()
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulation runs is told, not tested")]
fn run(world: &mut World) -> String {
    let began = Instant::now();
    assert_eq!(world.run(), Rest::Done);
    let seconds = began.elapsed().as_secs_f64();
    let events = u32::try_from(world.figures.events).unwrap_or(u32::MAX);
    format!(
        "{seconds:.2} s, {events} events, {:.0} a second with the simulated cloud",
        f64::from(events) / seconds
    )
}

/// Memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// One test: what one upload leaves in the process must not be counted as another's.
#[test]
fn large_uploads_take_what_their_parts_take() {
    // 10 TiB in a day, a thousand at a time, in parts of 1,049 MiB: the service's limits. Half a million events.
    let size = Size { parts: 9_995, part_mib: 1_049, parallel: 1_000, ticks: 50, length: DAY };
    let looks = upload(size);
    let [early, late] = looks[..] else { panic!("{looks:?}") };
    assert!(early.stored > 0 && late.stored > 3 * early.stored, "{looks:?}");
    // The books of the simulated service take about a KiB a part; 350,000 events in between leave nothing.
    let parts = (late.stored - early.stored) as u64;
    let grown = late.resident.saturating_sub(early.resident) / parts;
    assert!(grown < 2 << 10, "{grown} bytes a part: {looks:?}");
    let per_part = |look: Look| look.journal_bytes / look.stored;
    let (first, last) = (per_part(early), per_part(late));
    assert!(first.abs_diff(last) * 20 < first, "the journal has {first} bytes a part, then {last}");

    // The same with few at a time, and the shape of the service's default part size.
    upload(Size { parallel: 15, ticks: 0, ..size });
    upload(Size { parts: 10_000, part_mib: 10, parallel: 15, ticks: 4, length: DAY });
    upload(Size { parts: 1_000, part_mib: 10, parallel: 15, ticks: 4, length: DAY });
}

#[test]
fn more_than_ten_thousand_parts_make_larger_ones() {
    let mut world = World::new(1);
    world.sign_in();
    world.add_process(Identity::Session, SessionProfile::default());
    let content = Content::Sketch { seed: 7, size: 100_001 * MIB };
    let options = UploadOptions { part_size: 10 * MIB, parallel: 100, ..UploadOptions::default() };
    let mut job = Job::new("large", content, options);
    job.rate = 1e6;
    let job = world.add_job(0, job);
    world.start();
    assert_eq!(world.run(), Rest::Done);
    assert_eq!(world.jobs[job].outcome().expect("it succeeds").parts, 9_091);
}
