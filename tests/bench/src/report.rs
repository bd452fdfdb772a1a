//! What came out: figures, table, file.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Facts;
use crate::process::Usage;

/// All scenes of one call.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Facts,
    pub(crate) size_mib: u64,
    pub(crate) parallel: u32,
    /// What the sink did with the bytes.
    pub(crate) sink: String,
    pub(crate) scenes: Vec<SceneReport>,
}

/// All contestants in one scene.
#[derive(Serialize)]
pub(crate) struct SceneReport {
    pub(crate) tls: bool,
    pub(crate) part_mib: u64,
    pub(crate) rows: Vec<Row>,
}

/// One contestant.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) integrity: &'static str,
    pub(crate) runs: Vec<Usage>,
    pub(crate) median: Usage,
    /// Medians of the ratios to the floor of the same round.
    pub(crate) wall_ratio: f64,
    pub(crate) cpu_ratio: f64,
}

impl SceneReport {
    /// `runs` by contestant, the floor first, one usage a round.
    pub(crate) fn new(
        tls: bool,
        part_mib: u64,
        runs: Vec<(&'static str, &'static str, Vec<Usage>)>,
    ) -> SceneReport {
        let floor = runs.first().map(|(_, _, runs)| runs.clone()).unwrap_or_default();
        let rows = runs.into_iter().map(|(name, integrity, runs)| {
            let ratio = |of: fn(&Usage) -> f64| {
                median(runs.iter().zip(&floor).map(|(run, floor)| of(run) / of(floor)).collect())
            };
            let (wall_ratio, cpu_ratio) = (ratio(|usage| usage.wall_s), ratio(Usage::cpu_s));
            let median = Usage {
                wall_s: median(runs.iter().map(|usage| usage.wall_s).collect()),
                user_s: median(runs.iter().map(|usage| usage.user_s).collect()),
                system_s: median(runs.iter().map(|usage| usage.system_s).collect()),
                peak_mib: median(runs.iter().map(|usage| usage.peak_mib).collect()),
            };
            Row { name, integrity, runs, median, wall_ratio, cpu_ratio }
        });
        SceneReport { tls, part_mib, rows: rows.collect() }
    }

    /// The scene in words.
    pub(crate) fn title(&self) -> String {
        format!("{}, parts of {} MiB", if self.tls { "TLS" } else { "plain HTTP" }, self.part_mib)
    }

    /// A Markdown table.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("### {}\n\n", self.title());
        text += "| | integrity | wall s | user + sys s | peak MiB | wall ÷ floor | CPU ÷ floor |\n";
        text += "|---|---|---|---|---|---|---|\n";
        for row in &self.rows {
            let spread = |of: fn(&Usage) -> f64| {
                let low = row.runs.iter().map(of).fold(f64::MAX, f64::min);
                let high = row.runs.iter().map(of).fold(0.0, f64::max);
                format!("{low:.2}–{high:.2}")
            };
            let (name, integrity, median) = (row.name, row.integrity, &row.median);
            let wall = format!("{:.2} ({})", median.wall_s, spread(|usage| usage.wall_s));
            let cpu = format!("{:.2} + {:.2} ({})", median.user_s, median.system_s, spread(Usage::cpu_s));
            let _ = writeln!(
                text,
                "| {name} | {integrity} | {wall} | {cpu} | {:.0} | {:.2} | {:.2} |",
                median.peak_mib, row.wall_ratio, row.cpu_ratio
            );
        }
        text
    }
}

/// The middle value; of an even number the lower of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
