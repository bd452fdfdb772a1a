//! Shapes as SVG text.

use std::fmt::Write as _;

/// Text.
pub(super) const INK: &str = "#1f2733";
/// Text of less weight.
pub(super) const MUTED: &str = "#667085";
/// Grid lines.
pub(super) const GRID: &str = "#e4e7ec";
/// What went wrong.
pub(super) const BAD: &str = "#d92d20";

/// One colour per token, in turn; neighbours differ in hue and lightness.
const COLOURS: [&str; 8] =
    ["#2f6db5", "#e08b1a", "#2f9e77", "#8b5fbf", "#c9517e", "#1f9bb8", "#8a7a2e", "#5a67d8"];

/// The colour of a token.
pub(super) fn colour(token: usize) -> &'static str {
    COLOURS[token % COLOURS.len()]
}

/// Patterns: diagonal strokes in every colour, for what did not count.
pub(super) fn definitions() -> String {
    let mut text = String::from("<defs>\n");
    for (index, colour) in COLOURS.iter().enumerate() {
        let _ = writeln!(
            text,
            "<pattern id=\"h{index}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#ffffff\"/><rect width=\"2.4\" \
             height=\"6\" fill=\"{colour}\"/></pattern>"
        );
    }
    text.push_str("</defs>\n");
    text
}

/// The hatching of a token's colour.
pub(super) fn hatching(token: usize) -> String {
    format!("url(#h{})", token % COLOURS.len())
}

/// Collects shapes.
#[derive(Default)]
pub(super) struct Canvas(String);

/// A rectangle's place.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Canvas {
    /// A rectangle; `more` are further attributes.
    pub(super) fn rect(&mut self, area: Area, radius: f64, fill: &str, more: &str) {
        let Area { x, y, width, height } = area;
        let width = width.max(0.6);
        let _ = writeln!(
            self.0,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" fill=\"{fill}\" {more}/>"
        );
    }

    /// A line from one point to another.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, width: f64, more: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.0,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" stroke-width=\"{width}\" {more}/>"
        );
    }

    /// A path.
    pub(super) fn path(&mut self, data: &str, fill: &str, stroke: &str, more: &str) {
        let _ = writeln!(self.0, "<path d=\"{data}\" fill=\"{fill}\" stroke=\"{stroke}\" {more}/>");
    }

    /// One line of text; `anchor` is `start`, `middle` or `end`.
    #[expect(clippy::too_many_arguments, reason = "one attribute each")]
    pub(super) fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        fill: &str,
        anchor: &str,
        bold: bool,
        text: &str,
    ) {
        let weight = if bold { " font-weight=\"600\"" } else { "" };
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" text-anchor=\"{anchor}\"{weight}>{}</text>",
            escape(text)
        );
    }

    /// A label with a white background, so that lines do not cross it.
    pub(super) fn label(&mut self, x: f64, y: f64, fill: &str, anchor: &str, text: &str) {
        let weight = " font-weight=\"600\"";
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12.5\" fill=\"{fill}\" text-anchor=\"{anchor}\"{weight} \
             stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\" stroke-linejoin=\"round\">{}</text>",
            escape(text)
        );
    }

    /// A cross.
    pub(super) fn cross(&mut self, x: f64, y: f64, arm: f64) {
        let data = format!(
            "M{:.1} {:.1}L{:.1} {:.1}M{:.1} {:.1}L{:.1} {:.1}",
            x - arm,
            y - arm,
            x + arm,
            y + arm,
            x - arm,
            y + arm,
            x + arm,
            y - arm
        );
        self.path(&data, "none", "#ffffff", "stroke-width=\"6\" stroke-linecap=\"round\"");
        self.path(&data, "none", BAD, "stroke-width=\"2.8\" stroke-linecap=\"round\"");
    }

    /// The text so far.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
