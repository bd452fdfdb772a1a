//! Random schedules: everything about a world drawn from one number.

use std::time::Duration;

use outlast_core::ErrorKind;
use outlast_core::engine::Engine;
use outlast_core::engine::random::Random;
use outlast_core::engine::session::{LeaseAnswer, SessionProfile};
use outlast_core::engine::upload::spec::{
    ChecksumAlgorithm, Integrity, OnFailure, Precondition, UploadOptions,
};

use crate::content::Content;
use crate::fault::Fault;
use crate::job::{Job, Stage};
use crate::process::Identity;
use crate::world::{Figures, Rest, World};

/// Everything that ends later than this after the weather has cleared up is a livelock.
const LONGEST: Duration = Duration::from_hours(24 * 30);
/// More commands than any honest schedule needs.
const MOST_COMMANDS: u64 = 60_000;

/// Runs the schedule of a seed and checks everything. `trace` prints it.
///
/// # Panics
/// When an invariant does not hold, naming the seed.
pub fn run(seed: u64, trace: bool) -> Figures {
    let mut world = draw(seed);
    world.trace = trace;
    world.start();
    let rest = world.run();
    if rest != Rest::Done {
        world.fail(&format!("{rest:?} while things go wrong"));
    }
    // From now on nothing goes wrong any more: the same calls must end well.
    world.weather.until = Duration::ZERO;
    clear_up(&mut world);
    for round in 0.. {
        let left = again(&mut world, round);
        if left == 0 {
            break;
        }
        if round == 3 {
            let failures: Vec<String> =
                world.jobs.iter().filter_map(|job| job.error().map(ToString::to_string)).collect();
            world.fail(&format!("nothing goes wrong any more and still: {failures:?}"));
        }
        // Rounds may be hours apart.
        if round > 0 {
            world.sign_in();
            world.touch();
        }
        // The same call is usually a new process; a session that is dead needs one.
        for number in 0..world.processes.len() {
            let keyed = world.processes[number].identity != Identity::Session;
            if world.random.chance(50) || keyed || world.is_dead(number) {
                world.kill(number);
            }
        }
        world.start();
        let rest = world.run();
        if rest != Rest::Done {
            world.fail(&format!("{rest:?} although nothing goes wrong any more"));
        }
    }
    for job in &world.jobs {
        let orphans = world.storage.pending(&job.object);
        if !orphans.is_empty() && !job.loses_uploads() {
            world.fail(&format!("uploads are left behind: {orphans:?}"));
        }
    }
    world.figures
}

/// Ends what would hold things up.
fn clear_up(world: &mut World) {
    world.calm = true;
    world.host.is_full = false;
    world.host.is_unreadable = false;
    for process in &mut world.processes {
        process.kill_at = None;
    }
    world.issuer.moves_nothing = false;
    world.issuer.chain_life = None;
    // What was sent before may still take its minute.
    world.issuer.life = world.issuer.life.max(Duration::from_mins(10));
    world.sign_in();
    world.touch();
}

/// Prepares the jobs that have not ended well for the same call once more; how many there are.
fn again(world: &mut World, round: u32) -> usize {
    let mut left = 0;
    for number in 0..world.jobs.len() {
        let job = &world.jobs[number];
        if job.outcome().is_some() {
            continue;
        }
        left += 1;
        let Some(error) = job.error().cloned() else { continue };
        let resumable = job.is_resumable();
        let forgiven = world.jobs[number].forgiven
            || error.kind() == ErrorKind::Precondition
            || (round == 1 && world.jobs[number].changed);
        if round > 0 && !forgiven {
            world.fail(&format!("it was called resumable ({resumable}) and failed again: {error}"));
        }
        // What the caller is told to do in such a case: `--restart`.
        // An object that may not be replaced, and may be ours: whoever asked for that has to look.
        if error.kind() == ErrorKind::Precondition
            && world.jobs[number].options.precondition == Precondition::Absent
        {
            world.jobs[number].options.precondition = Precondition::None;
        }
        let changed = error.kind() == ErrorKind::SourceChanged;
        let restart = changed || (error.kind() == ErrorKind::State && !resumable);
        if changed && resumable {
            world.fail(&format!("this cannot be resumed: {error}"));
        }
        if restart {
            world.host.journals.remove(&number);
            for upload in world.storage.pending(&world.jobs[number].object) {
                world.storage.drop_upload(&upload);
            }
        }
        world.jobs[number].stage = Stage::Waiting;
    }
    left
}

fn per_mille(random: &mut Random, most: u64) -> u64 {
    // Mostly little, sometimes much.
    let bound = if random.chance(20) { most } else { most / 5 };
    random.below(bound + 1)
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[usize::try_from(random.below(from.len() as u64)).unwrap_or(0)]
}

fn draw(seed: u64) -> World {
    let mut world = World::new(seed);
    let mut random = Random::new(seed ^ 0x5eed);
    world.longest = LONGEST;
    world.most_commands = MOST_COMMANDS;
    world.audit.scan_commands = seed.is_multiple_of(16);
    draw_servers(&mut world, &mut random);
    draw_weather(&mut world, &mut random);
    draw_processes(&mut world, &mut random);
    draw_jobs(&mut world, &mut random);
    draw_events(&mut world, &mut random);
    world
}

fn draw_servers(world: &mut World, random: &mut Random) {
    world.issuer.life = Duration::from_secs(pick(random, &[30, 120, 600, 3600, 3600, 3600]));
    if random.chance(20) {
        let lives = u32::try_from(1 + random.below(5)).unwrap_or(1);
        world.issuer.chain_life = Some((world.issuer.life * lives).max(Duration::from_mins(10)));
        world.issuer.tells_horizon = random.chance(50);
    }
    world.issuer.moves_nothing = world.issuer.life >= Duration::from_mins(10) && random.chance(12);
    world.storage.page = pick(random, &[1, 2, 3, 1000]);
    world.storage.speaks_checksums = random.chance(80);
    world.pace.round_trip = Duration::from_millis(pick(random, &[1, 20, 200, 2000]));
    world.pace.disk = Duration::from_micros(pick(random, &[10, 1000, 50_000]));
    world.pace.ticks = u32::try_from(random.below(4)).unwrap_or(0);
    world.person.signs_in_after = Some(Duration::from_secs(pick(random, &[1, 60, 600])));
    world.person.writes_slowly = random.chance(50);
    world.person.is_noticed = random.chance(50);
    if random.chance(25) {
        world.clock.step(pick(random, &[-7_200_000, -600_000, -90_000, 90_000, 600_000, 7_200_000]));
    }
    world.sign_in();
    // Some begin with a token that is half used up.
    if random.chance(30) {
        let used = world.issuer.life * u32::try_from(random.below(11)).unwrap_or(0) / 10;
        world.clock.advance(used);
    }
}

fn draw_weather(world: &mut World, random: &mut Random) {
    let delay = pick(random, &[None, Some(1), Some(30)]);
    let storage = [
        Fault::Unreachable,
        Fault::BrokenWhileSending,
        Fault::BrokenUnheard,
        Fault::BrokenAfter,
        Fault::StalledBefore,
        Fault::HeardLate { seconds: pick(random, &[0, 5, 60]), damaged: random.chance(50) },
        Fault::StalledAfter,
        Fault::Garbled,
        Fault::Throttled(delay),
        Fault::Unavailable(delay),
        Fault::Broke,
        Fault::BrokeAfter,
        Fault::TimedOut,
        Fault::Conflict,
        Fault::Refused,
        Fault::DamagedOnTheWay,
        Fault::DamagedAtRest,
        Fault::ToldWrong,
        Fault::SumsMissing,
        Fault::EtagMissing,
        Fault::DateMissing,
        Fault::Slow(100),
    ];
    for fault in storage {
        if random.chance(25) {
            world.weather.storage.push((fault, per_mille(random, 120)));
        }
    }
    if random.chance(3) {
        world.weather.storage.push((Fault::Forbidden, 20));
    }
    let auth = [
        Fault::Unreachable,
        Fault::BrokenWhileSending,
        Fault::BrokenUnheard,
        Fault::BrokenAfter,
        Fault::StalledBefore,
        Fault::StalledAfter,
        Fault::Garbled,
        Fault::Throttled(delay),
        Fault::Unavailable(delay),
        Fault::Broke,
        Fault::Refused,
        Fault::Slow(50),
    ];
    for fault in auth {
        if random.chance(15) {
            world.weather.auth.push((fault, per_mille(random, 200)));
        }
    }
    world.weather.disguise = pick(random, &[0, 500, 1000]);
    world.weather.echo = pick(random, &[0, 0, 50]);
    world.weather.until = Duration::from_secs(pick(random, &[0, 600, 7200, 86_400]));
}

fn draw_processes(world: &mut World, random: &mut Random) {
    let count = pick(random, &[1, 1, 1, 2, 3]);
    for _ in 0..count {
        let identity = match random.below(20) {
            0 => Identity::ApiKey,
            1 => Identity::Mint,
            _ => Identity::Session,
        };
        let wait = if random.chance(60) { Duration::from_hours(48) } else { Duration::ZERO };
        let mut profile = SessionProfile { wait_for_login: wait, ..SessionProfile::default() };
        if identity != Identity::Session {
            profile.can_exchange = identity == Identity::Mint;
            profile.can_store = false;
            profile.can_sign_in = false;
        }
        let number = world.add_process(identity, profile);
        if random.chance(25) {
            world.processes[number].kill_at = Some(random.below(120));
        }
    }
}

fn draw_jobs(world: &mut World, random: &mut Random) {
    for process in 0..world.processes.len() {
        let count = pick(random, &[1, 1, 1, 2]);
        for _ in 0..count {
            let part_size = 1 + random.below(12);
            let parts = pick(random, &[0, 1, 3, 8, 8, 16, 16, 40]);
            let size = (part_size * parts + random.below(part_size)).saturating_sub(random.below(part_size));
            let content = Content::random(random, usize::try_from(size).unwrap_or(0));
            let options = UploadOptions {
                part_size,
                parallel: u32::try_from(1 + random.below(8)).unwrap_or(1),
                adaptive: random.chance(20),
                single: random.chance(8),
                integrity: if random.chance(6) { Integrity::Off } else { Integrity::Verify },
                checksum: pick(
                    random,
                    &[
                        ChecksumAlgorithm::Crc32c,
                        ChecksumAlgorithm::Crc32c,
                        ChecksumAlgorithm::Sha256,
                        ChecksumAlgorithm::Sha384,
                    ],
                ),
                also_md5: random.chance(8),
                max_attempts: if random.chance(15) { 3 } else { 60 },
                precondition: if random.chance(5) { Precondition::Absent } else { Precondition::None },
                on_failure: if random.chance(20) { OnFailure::Abort } else { OnFailure::Retain },
                ..UploadOptions::default()
            };
            let mut job = Job::new(&format!("object-{}", world.jobs.len()), content, options);
            job.streamed = random.chance(15);
            // A part takes between a blink and an hour.
            let part_seconds: f64 = pick(random, &[1.0, 30.0, 600.0, 3600.0]);
            // No more than some thirty token lives: beyond that nothing new happens, slowly.
            let rounds = 1.0 + f64::from(u32::try_from(parts).unwrap_or(0)) / f64::from(job.options.parallel);
            let part_seconds = part_seconds.min(30.0 * world.issuer.life.as_secs_f64() / rounds);
            #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
            let rate = part_size as f64 / part_seconds;
            job.rate = rate;
            world.add_job(process, job);
        }
    }
}

/// Plans something that happens unless things have calmed down.
fn meddle(world: &mut World, at: Duration, act: impl FnOnce(&mut World) + 'static) {
    world.at(at, |world| {
        if !world.calm {
            act(world);
        }
    });
}

/// Things that happen at random times.
fn draw_events(world: &mut World, random: &mut Random) {
    let span = pick(random, &[60, 3600, 20_000]);
    let count = pick(random, &[0, 1, 3, 8]);
    for _ in 0..count {
        let at = world.clock.time() + Duration::from_millis(random.below(span * 1000));
        let process = usize::try_from(random.below(world.processes.len() as u64)).unwrap_or(0);
        let job = usize::try_from(random.below(world.jobs.len() as u64)).unwrap_or(0);
        let some_while = Duration::from_millis(random.below(600_000));
        match random.below(20) {
            0 => meddle(world, at, |world| {
                let text = world.token_text();
                if let Some(token) = text.and_then(|text| world.issuer.token(&text)) {
                    token.refused_by_storage = true;
                }
            }),
            1 => meddle(world, at, |world| {
                if let Some(text) = world.token_text() {
                    world.issuer.revoke_chain_of(&text);
                }
            }),
            2 => {
                let ms = pick(random, &[-7_200_000, -300_000, 300_000, 7_200_000]);
                meddle(world, at, move |world| world.clock.step(ms));
            }
            3 => {
                let length = Duration::from_secs(pick(random, &[60, 3000, 40_000]));
                meddle(world, at, move |world| world.clock.sleep(length));
            }
            4..=6 => meddle(world, at, move |world| {
                world.kill(process);
                world.after(some_while, move |world| world.start_process(process));
            }),
            7 => meddle(world, at, move |world| {
                world.pause(job, true);
                world.after(some_while, move |world| world.pause(job, false));
            }),
            8 => {
                let on_failure = pick(random, &[OnFailure::Retain, OnFailure::Abort]);
                meddle(world, at, move |world| world.cancel(job, on_failure));
            }
            9 | 10 => meddle(world, at, World::refresh_elsewhere),
            11 => meddle(world, at, World::sign_in),
            12 => meddle(world, at, move |world| {
                if world.processes[process].engine.is_some() {
                    // Somebody insists: then it is asked again.
                    world.audit.refused.clear();
                    world.on_engine(process, Engine::refresh_now);
                }
            }),
            13 => {
                let kind = random.below(4);
                let seed = random.bits();
                meddle(world, at, move |world| world.jobs[job].change(kind, &mut Random::new(seed)));
            }
            14 | 15 => meddle(world, at, move |world| world.call(process, "object-0")),
            16 => meddle(world, at, move |world| {
                // A caller who sends requests itself says that one was refused.
                if world.processes[process].engine.is_some() {
                    world.on_engine(process, |engine, session, now| {
                        if let LeaseAnswer::Ready(lease) = engine.session_lease(session, now) {
                            engine.reject(session, lease.generation, now);
                        }
                    });
                }
            }),
            17 => {
                meddle(world, at, |world| world.host.is_full = true);
                world.at(at + some_while / 10, |world| world.host.is_full = false);
            }
            18 => {
                meddle(world, at, |world| world.host.is_unreadable = true);
                world.at(at + some_while / 10, |world| world.host.is_unreadable = false);
            }
            _ => meddle(world, at, move |world| {
                for upload in world.storage.pending(&world.jobs[job].object.clone()) {
                    world.jobs[job].forgiven = true;
                    world.storage.drop_upload(&upload);
                }
            }),
        }
    }
}
