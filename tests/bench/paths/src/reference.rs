//! The committed counts, and the comparison with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::count::Counted;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reference.json");
/// More instructions than the reference, in percent, that are let pass.
const LIMIT: u64 = 5;
/// The same under another compiler than the reference's: its code differs by more than ours changes.
const FOREIGN_LIMIT: u64 = 25;
/// An event at 10,000 parts may take so much more than one at 1,000, in percent: the tables are trees.
const LINEAR_LIMIT: u64 = 15;
/// An event with 1,000 requests in flight may take so much more than one with 15, in percent.
const WIDE_LIMIT: u64 = 30;

/// What the counts depend on besides our code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Toolchain {
    rustc: String,
    valgrind: String,
    machine: String,
}

/// The committed counts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reference {
    toolchain: Toolchain,
    instructions: BTreeMap<String, u64>,
}

impl Reference {
    pub(crate) fn new(toolchain: Toolchain, counted: &[Counted]) -> Reference {
        let instructions = counted.iter().map(|scene| (scene.name.to_owned(), scene.instructions)).collect();
        Reference { toolchain, instructions }
    }

    pub(crate) fn read() -> Result<Reference, String> {
        let text = std::fs::read_to_string(PATH).map_err(|error| format!("reading {PATH}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).expect("names and numbers");
        std::fs::write(PATH, text + "\n").map_err(|error| format!("writing {PATH}: {error}"))
    }
}

/// This machine's toolchain.
pub(crate) fn here() -> Result<Toolchain, String> {
    Ok(Toolchain {
        rustc: first_line("rustc")?,
        valgrind: first_line("valgrind")?,
        machine: std::env::consts::ARCH.to_owned(),
    })
}

fn first_line(program: &str) -> Result<String, String> {
    let run = Command::new(program).arg("--version").output();
    let run = run.map_err(|error| format!("{program} --version: {error}"))?;
    Ok(String::from_utf8_lossy(&run.stdout).lines().next().unwrap_or_default().trim().to_owned())
}

/// A table, and what is wrong.
pub(crate) fn compare(reference: &Reference, counted: &[Counted], here: &Toolchain) -> (String, Vec<String>) {
    let known = reference.toolchain == *here;
    let limit = if known { LIMIT } else { FOREIGN_LIMIT };
    let mut lines = String::new();
    let mut complaints = Vec::new();
    if !known {
        let _ = writeln!(
            lines,
            "the reference is of {:?}, this is {here:?}: up to {limit} % more are let pass",
            reference.toolchain
        );
    }
    let _ =
        writeln!(lines, "{:<18}{:>14}{:>14}{:>10}  per unit", "scene", "instructions", "reference", "change");
    for scene in counted {
        let per_unit = scene.instructions / scene.units;
        let Some(&before) = reference.instructions.get(scene.name) else {
            complaints.push(format!("{} is not in the reference; {HOW}", scene.name));
            continue;
        };
        let change = change(scene.instructions, before);
        let _ = writeln!(
            lines,
            "{:<18}{:>14}{before:>14}{change:>+9.1}%  {per_unit} per {}",
            scene.name, scene.instructions, scene.unit
        );
        if scene.instructions * 100 > before * (100 + limit) {
            complaints.push(format!(
                "{} takes {change:.1} % more instructions than the reference ({} instead of {before}); {limit} % are let \
                 pass. Find what became dearer, or, if it is worth it, {HOW}",
                scene.name, scene.instructions
            ));
        } else if known && scene.instructions * (100 + limit) < before * 100 {
            let _ = writeln!(lines, "  {} became cheaper: {HOW}", scene.name);
        }
    }
    for name in reference.instructions.keys().filter(|name| counted.iter().all(|scene| scene.name != *name)) {
        complaints.push(format!("{name} is in the reference and not among the scenes; {HOW}"));
    }
    complaints.extend(growth(counted, "upload-1000", "upload-10000", LINEAR_LIMIT));
    complaints.extend(growth(counted, "upload-10000", "upload-10000-wide", WIDE_LIMIT));
    (lines, complaints)
}

const HOW: &str =
    "write the reference anew with `OUTLAST_UPDATE=1 tests/run instructions` and commit it with the change";

/// The engine's price of an event must not grow with the upload.
fn growth(counted: &[Counted], small: &str, large: &str, limit: u64) -> Option<String> {
    let price = |name: &str| {
        counted.iter().find(|scene| scene.name == name).map(|scene| scene.instructions / scene.units)
    };
    let (less, more) = (price(small)?, price(large)?);
    (more * 100 > less * (100 + limit)).then(|| {
        format!("an event of {large} takes {more} instructions and one of {small} {less}: more than {limit} % between them")
    })
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn change(now: u64, before: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(rustc: &str) -> Toolchain {
        Toolchain { rustc: rustc.into(), valgrind: "v".into(), machine: "m".into() }
    }

    fn scene(name: &'static str, instructions: u64, units: u64) -> Counted {
        Counted { name, unit: "event", units, instructions }
    }

    #[test]
    fn more_than_the_limit_is_told_and_less_is_not() {
        let reference = Reference::new(toolchain("1"), &[scene("lease", 1_000, 10)]);
        let complaints = |instructions, rustc| {
            compare(&reference, &[scene("lease", instructions, 10)], &toolchain(rustc)).1.len()
        };
        assert_eq!([complaints(1_050, "1"), complaints(1_051, "1"), complaints(100, "1")], [0, 1, 0]);
        assert_eq!([complaints(1_250, "2"), complaints(1_251, "2")], [0, 1]);
    }

    #[test]
    fn scenes_and_reference_must_name_the_same() {
        let reference = Reference::new(toolchain("1"), &[scene("gone", 1, 1)]);
        let (_, complaints) = compare(&reference, &[scene("new", 1, 1)], &toolchain("1"));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }

    #[test]
    fn a_price_that_grows_with_the_upload_is_told() {
        let counted = [scene("upload-1000", 1_000, 10), scene("upload-10000", 12_000, 100)];
        let reference = Reference::new(toolchain("1"), &counted);
        let (_, complaints) = compare(&reference, &counted, &toolchain("1"));
        assert!(complaints[0].contains("120 instructions"), "{complaints:?}");
    }
}
