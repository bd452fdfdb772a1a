//! Counting under callgrind.

use std::process::Command;

use outlast_paths::scenes::{Named, SCENES};

/// What a scene takes.
pub(crate) struct Counted {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) units: u64,
    pub(crate) instructions: u64,
}

/// Plays every scene under callgrind.
pub(crate) fn all() -> Result<Vec<Counted>, String> {
    SCENES.iter().map(count).collect()
}

fn count(scene: &Named) -> Result<Counted, String> {
    let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let out = std::env::temp_dir().join(format!("outlast-paths-{}-{}", std::process::id(), scene.name));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=outlast_paths::measured*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(scene.name)
        // The same stack on every machine.
        .env_clear()
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}; install the package valgrind"))?;
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    if !run.status.success() {
        let error = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{} under callgrind: {}: {error}", scene.name, run.status));
    }
    let profile =
        std::fs::read_to_string(&out).map_err(|error| format!("reading {}: {error}", out.display()));
    let removed = std::fs::remove_file(&out);
    let profile = profile?;
    removed.map_err(|error| format!("removing {}: {error}", out.display()))?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: ")).and_then(number);
    let instructions = totals
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("{}: callgrind counted nothing inside `measured`", scene.name))?;
    let units =
        number(&told).filter(|units| *units > 0).ok_or_else(|| format!("{}: {told:?}", scene.name))?;
    Ok(Counted { name: scene.name, unit: scene.unit, units, instructions })
}
