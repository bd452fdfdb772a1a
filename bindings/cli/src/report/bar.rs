//! The progress bar.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::Progress;

use crate::screen::Screen;
use crate::words;

/// Puts a bar at the bottom of the screen.
pub(crate) fn show(screen: &Screen, size: Option<u64>) {
    let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style(size.is_some()));
    screen.show_bar(bar);
}

fn style(sized: bool) -> ProgressStyle {
    let template =
        if sized { "{wide_bar:.cyan/white.dim} {percent:>3} %  {msg}" } else { "{spinner:.cyan} {msg}" };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

/// Moves the bar.
pub(crate) fn update(screen: &Screen, progress: &Progress, expires_at: Option<UnixMillis>) {
    screen.with_bar(|bar| {
        if let Some(total) = progress.total
            && bar.length() != Some(total)
        {
            bar.set_style(style(true));
            bar.set_length(total);
        }
        let done = progress.stored + progress.in_flight;
        bar.set_position(progress.total.map_or(done, |total| done.min(total)));
        bar.set_message(message(progress, expires_at));
        bar.tick();
    });
}

fn message(progress: &Progress, expires_at: Option<UnixMillis>) -> String {
    let mut pieces = vec![sizes(progress)];
    if progress.parked {
        pieces.push("parked: sign in again".into());
    } else if progress.paused {
        pieces.push("paused".into());
    } else {
        if progress.rate > 0.0 {
            pieces.push(words::rate(progress.rate));
        }
        if let Some(eta) = progress.eta {
            pieces.push(format!("{} left", words::span(eta)));
        }
    }
    if progress.parts_total > 1 {
        pieces.push(parts(progress));
    }
    if let Some(end) = expires_at {
        pieces.push(format!("token {}", words::span(end.since(words::now()))));
    }
    pieces.join("  ")
}

/// `115.2 of 256 MiB`, or what there is of a stream.
pub(super) fn sizes(progress: &Progress) -> String {
    let done = progress.stored + progress.in_flight;
    match progress.total {
        Some(total) => {
            let (done, total) = (words::bytes(done.min(total)), words::bytes(total));
            match (done.split_once(' '), total.split_once(' ')) {
                (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {total}"),
                _ => format!("{done} of {total}"),
            }
        }
        None => words::bytes(done),
    }
}

/// `29/64 parts`
pub(super) fn parts(progress: &Progress) -> String {
    match progress.total {
        Some(_) => format!("{}/{} parts", progress.parts_stored, progress.parts_total),
        None => words::count(progress.parts_stored, "part"),
    }
}
