//! The run as a picture: token lives as bands, parts as bars on lanes, what is stored as a curve, over one time axis.

mod canvas;
mod panels;

use super::record::Record;
use crate::words;
use canvas::{Canvas, INK, MUTED};

/// Width of the picture.
const WIDTH: f64 = 1200.0;
/// Where the time axis begins and ends.
const LEFT: f64 = 104.0;
const RIGHT: f64 = 1170.0;

/// Seconds to x.
struct Scale {
    end: f64,
}

impl Scale {
    fn x(&self, second: f64) -> f64 {
        LEFT + (second.clamp(0.0, self.end) / self.end) * (RIGHT - LEFT)
    }
}

/// Draws a run.
pub(super) fn draw(record: &Record) -> String {
    let scale = Scale { end: record.end.max(1.0) * 1.015 };
    let mut canvas = Canvas::default();
    let tokens_top = 122.0;
    let lanes_top = panels::tokens(&mut canvas, record, &scale, tokens_top) + 34.0;
    let stored_top = panels::lanes(&mut canvas, record, &scale, lanes_top) + 34.0;
    // Below the curve and its words, above the bars.
    panels::happenings(&mut canvas, record, &scale, tokens_top, stored_top + panels::CURVE_HEIGHT);
    let bottom = panels::stored(&mut canvas, record, &scale, stored_top);
    let axis = panels::axis(&mut canvas, &scale, bottom);
    let height = panels::legend(&mut canvas, record, axis + 30.0) + 22.0;
    let mut head = Canvas::default();
    title(&mut head, record);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Inter, 'Segoe UI', Helvetica, Arial, sans-serif\" role=\"img\">\n\
         <title>An upload that outlives its tokens</title>\n{}\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}{}</svg>\n",
        canvas::definitions(),
        head.finish(),
        canvas.finish()
    )
}

fn title(canvas: &mut Canvas, record: &Record) {
    let tokens = record.tokens.iter().filter(|token| token.used.is_some()).count();
    let mut events = Vec::new();
    if record.tokens.iter().any(|token| token.refused.is_some()) {
        events.push("one refused early");
    }
    if record.kill.is_some() {
        events.push("one kill −9");
    }
    let events = if events.is_empty() { String::new() } else { format!(", {}", events.join(", ")) };
    canvas.text(
        LEFT,
        40.0,
        23.0,
        INK,
        "start",
        true,
        &format!("Outlast: one upload under {tokens} tokens{events}"),
    );
    let subtitle = format!(
        "{} in {} parts of {} · {:.1} seconds · a token lives {:.0} seconds · the stored object is the file, {}",
        words::bytes(record.size),
        record.parts,
        words::bytes(record.part_size),
        record.end,
        record.token_life,
        if record.compared_whole { "byte for byte" } else { "by checksum" }
    );
    canvas.text(LEFT, 64.0, 14.0, MUTED, "start", false, &subtitle);
}
