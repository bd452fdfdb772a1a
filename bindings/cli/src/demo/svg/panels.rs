//! The panels of the picture, from top to bottom.

use std::fmt::Write as _;

use super::canvas::{Area, BAD, Canvas, GRID, INK, MUTED, colour, hatching};
use super::{LEFT, RIGHT, Scale};
use crate::demo::record::{Fate, Record};

/// Rows that token lives take in turn: at most so many live at a time.
const TOKEN_ROWS: usize = 3;
const TOKEN_HEIGHT: f64 = 20.0;
const TOKEN_STEP: f64 = 25.0;
const LANE_HEIGHT: f64 = 26.0;
const LANE_STEP: f64 = 30.0;
pub(super) const CURVE_HEIGHT: f64 = 150.0;

/// Labels nearer than this would run into each other.
const CLOSE: f64 = 220.0;

fn heading(canvas: &mut Canvas, top: f64, name: &str, explained: &str) {
    canvas.text(LEFT, top - 10.0, 13.0, INK, "start", true, name);
    #[expect(clippy::cast_precision_loss, reason = "a few letters")]
    let behind = LEFT + 12.0 + name.chars().count() as f64 * 7.4;
    canvas.text(behind, top - 10.0, 13.0, MUTED, "start", false, explained);
}

/// Token lives: pale while alive, full while in use, hatched after a refusal. Returns the lower edge.
pub(super) fn tokens(canvas: &mut Canvas, record: &Record, scale: &Scale, top: f64) -> f64 {
    heading(canvas, top, "Tokens", "pale: alive, full: in use by the upload");
    let used: Vec<usize> =
        (0..record.tokens.len()).filter(|index| record.tokens[*index].used.is_some()).collect();
    for (index, token) in record.tokens.iter().enumerate() {
        let row = index % TOKEN_ROWS;
        #[expect(clippy::cast_precision_loss, reason = "three rows")]
        let y = top + row as f64 * TOKEN_STEP;
        let area = |from: f64, until: f64| Area {
            x: scale.x(from),
            y,
            width: scale.x(until) - scale.x(from),
            height: TOKEN_HEIGHT,
        };
        let alive_until = token.refused.unwrap_or(token.until);
        canvas.rect(area(token.from, alive_until), 4.0, colour(index), "fill-opacity=\"0.22\"");
        if let Some(refused) = token.refused {
            let more = "fill-opacity=\"0.35\"";
            canvas.rect(area(refused, token.until), 4.0, &hatching(index), more);
        }
        let mut middle = f64::midpoint(scale.x(token.from), scale.x(alive_until));
        if let Some((first, last)) = token.used {
            // In use until the next one is, or until the end.
            let next = used.iter().find(|other| **other > index).and_then(|other| record.tokens[*other].used);
            let until = next.map_or(record.end, |(first, _)| first).max(last).min(alive_until.max(last));
            canvas.rect(area(first, until), 4.0, colour(index), "");
            middle = f64::midpoint(scale.x(first), scale.x(until));
        }
        if token.from < scale.end && token.used.is_some() {
            canvas.text(middle, y + 14.5, 12.5, "#ffffff", "middle", true, &(index + 1).to_string());
        }
        if let Some(refused) = token.refused {
            canvas.cross(scale.x(refused), y + TOKEN_HEIGHT / 2.0, 5.0);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "three rows")]
    let rows = TOKEN_ROWS.min(record.tokens.len()) as f64;
    top + rows * TOKEN_STEP
}

/// Parts in flight, coloured by the token they were sent under. Returns the lower edge.
pub(super) fn lanes(canvas: &mut Canvas, record: &Record, scale: &Scale, top: f64) -> f64 {
    heading(
        canvas,
        top,
        "Parts",
        "each bar is a part on its way, in the colour of the token it was sent under",
    );
    #[expect(clippy::cast_precision_loss, reason = "few lanes")]
    let y_of = |lane: usize| top + lane as f64 * LANE_STEP;
    for lane in 0..record.lanes {
        let area = Area { x: LEFT, y: y_of(lane), width: RIGHT - LEFT, height: LANE_HEIGHT };
        canvas.rect(area, 4.0, "#f6f7f9", "");
        canvas.text(LEFT - 12.0, y_of(lane) + 17.5, 12.0, MUTED, "end", false, &format!("lane {}", lane + 1));
    }
    for bar in record.bars.iter().filter(|bar| bar.fate != Fate::Refused) {
        let (x, right) = (scale.x(bar.from), scale.x(bar.until));
        let area = Area { x, y: y_of(bar.lane), width: right - x - 1.2, height: LANE_HEIGHT };
        let lost = bar.fate == Fate::Lost;
        if lost {
            let more = format!("stroke=\"{BAD}\" stroke-width=\"1.4\" stroke-dasharray=\"4 3\"");
            canvas.rect(area, 3.0, &hatching(bar.token), &more);
        } else {
            canvas.rect(area, 3.0, colour(bar.token), "");
        }
        if right - x > 20.0 && !lost {
            let middle = f64::midpoint(x, right);
            canvas.text(
                middle,
                y_of(bar.lane) + 17.0,
                11.0,
                "#ffffff",
                "middle",
                false,
                &bar.part.to_string(),
            );
        }
    }
    for bar in record.bars.iter().filter(|bar| bar.fate == Fate::Refused) {
        canvas.cross(scale.x(bar.from), y_of(bar.lane) + LANE_HEIGHT / 2.0, 4.5);
    }
    #[expect(clippy::cast_precision_loss, reason = "few lanes")]
    let lanes = record.lanes as f64;
    top + lanes * LANE_STEP
}

/// What is stored, and where the official command line would have stopped. Returns the lower edge.
pub(super) fn stored(canvas: &mut Canvas, record: &Record, scale: &Scale, top: f64) -> f64 {
    heading(canvas, top, "Stored", "parts that are safe, in percent");
    let bottom = top + CURVE_HEIGHT;
    let y_of = |parts: u32| bottom - CURVE_HEIGHT * f64::from(parts) / f64::from(record.parts.max(1));
    for percent in [0.0, 50.0, 100.0] {
        let y = bottom - CURVE_HEIGHT * percent / 100.0;
        canvas.line((LEFT, y), (RIGHT, y), GRID, 1.0, "");
        canvas.text(LEFT - 12.0, y + 4.0, 12.0, MUTED, "end", false, &format!("{percent:.0} %"));
    }
    let mut curve = format!("M{:.1} {:.1}", scale.x(0.0), bottom);
    for (second, parts) in &record.stored {
        let _ = write!(curve, "H{:.1}V{:.1}", scale.x(*second), y_of(*parts));
    }
    let _ = write!(curve, "H{:.1}", scale.x(record.end));
    canvas.path(&format!("{curve}V{bottom:.1}Z"), "#2f6db5", "none", "fill-opacity=\"0.12\"");
    canvas.path(&curve, "none", "#2f6db5", "stroke-width=\"2.2\" stroke-linejoin=\"round\"");
    if let Some(kill) = record.kill {
        let text = format!("{} parts kept and not sent again", kill.kept);
        canvas.label(scale.x(kill.again) + 10.0, y_of(kill.kept) + 24.0, INK, "start", &text);
    }
    let official = record.official;
    if official.missing > 0 {
        let (x, y) = (scale.x(official.last), y_of(official.sent));
        canvas.line((x, y), (RIGHT, y), BAD, 1.6, "stroke-dasharray=\"5 4\"");
        canvas.cross(x, y, 6.0);
        let text = format!(
            "the official CLI ends here: its one token is dead at {:.1} s, {} of {} parts are missing, exit 1",
            official.at, official.missing, record.parts
        );
        canvas.label(x + 14.0, y + 19.0, BAD, "start", &text);
    }
    bottom
}

/// The time axis and its grid lines through all panels. Returns the lower edge.
pub(super) fn axis(canvas: &mut Canvas, scale: &Scale, bottom: f64) -> f64 {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0]
        .into_iter()
        .find(|step| scale.end / step <= 18.0)
        .unwrap_or(300.0);
    canvas.line((LEFT, bottom), (RIGHT, bottom), INK, 1.2, "");
    let mut second = 0.0;
    while second <= scale.end {
        let x = scale.x(second);
        canvas.line((x, bottom), (x, bottom + 6.0), INK, 1.2, "");
        canvas.text(x, bottom + 21.0, 12.5, INK, "middle", false, &format!("{second:.0}"));
        second += step;
    }
    canvas.text(RIGHT, bottom + 40.0, 12.5, MUTED, "end", false, "seconds since the sign-in");
    bottom + 40.0
}

/// What happened at one moment: the refusal and the kill, through all panels.
pub(super) fn happenings(canvas: &mut Canvas, record: &Record, scale: &Scale, top: f64, bottom: f64) {
    let above = top - 32.0;
    for (index, token) in record.tokens.iter().enumerate() {
        let Some(at) = token.refused else { continue };
        let x = scale.x(at);
        canvas.line((x, above + 6.0), (x, bottom), BAD, 1.2, "stroke-dasharray=\"3 4\"");
        let text = format!("token {} refused, {:.1} s before its end", index + 1, token.until - at);
        // The word for the kill needs its place.
        let close = record.kill.is_some_and(|kill| (0.0..CLOSE).contains(&(scale.x(kill.at) - x)));
        canvas.label(x, above, BAD, if close { "end" } else { "middle" }, &text);
    }
    if let Some(kill) = record.kill {
        let (x, again) = (scale.x(kill.at), scale.x(kill.again));
        let area = Area { x, y: above + 6.0, width: again - x, height: bottom - above - 6.0 };
        canvas.rect(area, 0.0, INK, "fill-opacity=\"0.10\"");
        canvas.line((x, above + 6.0), (x, bottom), INK, 2.0, "");
        canvas.line((again, above + 6.0), (again, bottom), INK, 1.2, "stroke-dasharray=\"3 3\"");
        canvas.label(x, above, INK, "end", "kill −9");
        canvas.label(again, above, INK, "start", "same command again");
    }
}

/// What the signs mean. Returns the lower edge.
pub(super) fn legend(canvas: &mut Canvas, record: &Record, y: f64) -> f64 {
    let mut x = LEFT;
    let mut item = |canvas: &mut Canvas, draw: &dyn Fn(&mut Canvas, f64), text: &str| {
        draw(canvas, x);
        canvas.text(x + 36.0, y + 12.0, 12.5, INK, "start", false, text);
        #[expect(clippy::cast_precision_loss, reason = "a few letters")]
        let width = text.chars().count() as f64;
        x += 36.0 + width * 6.4 + 26.0;
    };
    let swatch = |x: f64| Area { x, y, width: 28.0, height: 16.0 };
    item(canvas, &|canvas, x| canvas.rect(swatch(x), 3.0, colour(0), ""), "part stored");
    if record.any(Fate::Lost) {
        let more = format!("stroke=\"{BAD}\" stroke-width=\"1.4\" stroke-dasharray=\"4 3\"");
        let draw = |canvas: &mut Canvas, x| canvas.rect(swatch(x), 3.0, &hatching(0), &more);
        item(canvas, &draw, "lost with the process, sent again");
    }
    if record.any(Fate::Refused) {
        let draw = |canvas: &mut Canvas, x| canvas.cross(x + 14.0, y + 8.0, 5.0);
        item(canvas, &draw, "refused (401), sent again under the next token");
    }
    if record.kill.is_some() {
        let draw = |canvas: &mut Canvas, x| canvas.rect(swatch(x), 0.0, INK, "fill-opacity=\"0.10\"");
        item(canvas, &draw, "no process");
    }
    y + 16.0
}
