//! Ten thousand schedules drawn from numbers.
//!
//! `OUTLAST_SIM_RUNS=1000000` runs more, `OUTLAST_SIM_FIRST=...` begins elsewhere, `OUTLAST_SIM_SEED=17` replays one
//! and prints what happens in it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use outlast_simulation::schedule;

const RUNS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[expect(clippy::disallowed_methods, reason = "how fast the simulation runs is told, not tested")]
#[test]
fn whatever_happens_it_ends_with_the_right_object_or_a_clear_error() {
    if let Some(seed) = number("OUTLAST_SIM_SEED") {
        let figures = schedule::run(seed, true);
        println!("seed {seed}: {figures:?}");
        return;
    }
    let first = number("OUTLAST_SIM_FIRST").unwrap_or(0);
    let runs = number("OUTLAST_SIM_RUNS").unwrap_or(RUNS);
    let began = Instant::now();
    let (mut events, mut commands, mut endings, mut successes) = (0, 0, 0, 0);
    let mut failures: BTreeMap<String, (u64, Vec<u64>)> = BTreeMap::new();
    for seed in first..first + runs {
        match catch_unwind(AssertUnwindSafe(|| schedule::run(seed, false))) {
            Ok(figures) => {
                events += figures.events;
                commands += figures.commands;
                endings += figures.endings;
                if std::env::var_os("OUTLAST_SIM_LOADS").is_some() {
                    println!("SEED {seed} {} {}", figures.events, figures.commands);
                }
                successes += figures.successes;
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text
                    .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                    .unwrap_or_default();
                let kind = text.split("s: ").nth(1).unwrap_or(&text).split(';').next().unwrap_or_default();
                let kind: String = kind.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
                let (times, seeds) = failures.entry(kind).or_default();
                *times += 1;
                if seeds.len() < 4 {
                    seeds.push(seed);
                }
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{runs} schedules in {took:.1} s: {:.0} events/s, {:.0} commands/s, {:.0} uploads/s ({successes} of {endings} \
         runs ended with an object)",
        f64::from(u32::try_from(events).unwrap_or(u32::MAX)) / took,
        f64::from(u32::try_from(commands).unwrap_or(u32::MAX)) / took,
        f64::from(u32::try_from(endings).unwrap_or(u32::MAX)) / took,
    );
    assert!(failures.is_empty(), "replay with OUTLAST_SIM_SEED=<seed>: {failures:#?}");
}
