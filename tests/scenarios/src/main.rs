//! Plays the scenarios of this folder from Rust; the README says what they mean.
//!
//! `outlast-scenarios [NAME…]`; `OUTLAST_REPORT` names a file that takes a line per scenario. The cloud runs inside this
//! process, so `OUTLAST_CLOUD` is not needed. Rust is linked with all features: there is nothing to skip.

#![allow(clippy::disallowed_methods, reason = "a runner of tests reads clocks and starts threads")]

mod script;
mod stage;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use script::Scenario;
use stage::Stage;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let folder = std::env::var_os("OUTLAST_SCENARIOS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder of scenarios is readable")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    let mut failed = false;
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let line = match perform(&file, &name) {
            Ok(line) => line,
            Err(why) => {
                failed = true;
                format!("failed {name} {why}")
            }
        };
        report(&line);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn perform(file: &std::path::Path, name: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let scenario: Scenario = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if scenario.name != name {
        return Err(format!("its name is {}", scenario.name));
    }
    let began = Instant::now();
    let mut stage = Stage::new(&scenario.cloud)?;
    let mut played = Ok(());
    for (number, step) in scenario.steps.iter().enumerate() {
        played = stage.take(step).map_err(|why| format!("step {}: {why}", number + 1));
        if played.is_err() {
            break;
        }
    }
    let closed = stage.close();
    played.and(closed)?;
    Ok(format!("played {name} {:.1}", began.elapsed().as_secs_f32()))
}

fn report(line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os("OUTLAST_REPORT") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.expect("the report can be written");
    }
}
