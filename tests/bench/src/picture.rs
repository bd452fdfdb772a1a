//! The figures as bars, one panel a scene: wall time and CPU time beside each other, the floor as a line.

use std::fmt::Write as _;

use crate::report::{Report, Row, SceneReport};

const WIDTH: f64 = 860.0;
const LABEL: f64 = 250.0;
const ROW: f64 = 34.0;
const HEAD: f64 = 46.0;
const WALL: &str = "#2a6f97";
const CPU: &str = "#e09f3e";

/// An SVG.
pub(crate) fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut top = 40.0;
    for scene in &report.scenes {
        body += &panel(scene, top);
        top += HEAD + ROW * count(scene) + 20.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\">{} MiB, {} in flight, whole processes, medians: \
         <tspan fill=\"{WALL}\">wall</tspan> and <tspan fill=\"{CPU}\">CPU</tspan> seconds</text>\n{body}</svg>\n",
        report.size_mib, report.parallel
    )
}

fn panel(scene: &SceneReport, top: f64) -> String {
    let longest = scene
        .rows
        .iter()
        .map(|row| row.median.wall_s.max(row.median.cpu_s()))
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABEL - 130.0) / longest;
    let mut text =
        format!("<text x=\"12\" y=\"{}\" font-weight=\"bold\">{}</text>\n", top + 24.0, scene.title());
    let first = top + HEAD;
    for (index, row) in scene.rows.iter().enumerate() {
        text += &bars(row, ROW.mul_add(f64::from(u32::try_from(index).unwrap_or(0)), first), scale);
    }
    if let Some(floor) = scene.rows.first() {
        let x = floor.median.wall_s.mul_add(scale, LABEL);
        let (y1, y2) = (first - 6.0, ROW.mul_add(count(scene), first));
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" y1=\"{y1}\" x2=\"{x:.1}\" y2=\"{y2}\" stroke=\"#555\" stroke-dasharray=\"3 3\"/>"
        );
    }
    text
}

fn bars(row: &Row, y: f64, scale: f64) -> String {
    let mut text =
        format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", LABEL - 8.0, y + 16.0, row.name);
    for (value, ratio, colour, offset) in
        [(row.median.wall_s, row.wall_ratio, WALL, 0.0), (row.median.cpu_s(), row.cpu_ratio, CPU, 13.0)]
    {
        let (length, top) = (value * scale, y + offset);
        let _ = writeln!(
            text,
            "<rect x=\"{LABEL}\" y=\"{top}\" width=\"{length:.1}\" height=\"11\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{value:.2} s, {ratio:.2} × floor</text>",
            LABEL + length + 5.0,
            top + 9.0
        );
    }
    text
}

fn count(scene: &SceneReport) -> f64 {
    f64::from(u32::try_from(scene.rows.len()).unwrap_or(0))
}
