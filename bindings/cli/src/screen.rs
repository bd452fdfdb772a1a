//! Stderr, shared by everything that speaks there: lines, the progress bar, the trace of `--debug`.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;

use crate::style::Style;

/// Stderr. Clones are the same.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Inner>);

struct Inner {
    style: Style,
    terminal: bool,
    /// Nothing but events and the last line goes to stderr.
    quiet: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Screen {
    /// Stderr as it is; `quiet` keeps everything but [`Screen::raw`] off it.
    pub(crate) fn new(quiet: bool) -> Self {
        let stderr = io::stderr();
        let inner =
            Inner { style: Style::of(&stderr), terminal: stderr.is_terminal(), quiet, bar: Mutex::new(None) };
        Screen(Arc::new(inner))
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.0.terminal && !self.0.quiet
    }

    /// Its colours.
    pub(crate) fn style(&self) -> Style {
        self.0.style
    }

    /// Writes a line, above the bar if there is one.
    pub(crate) fn line(&self, text: &str) {
        if !self.0.quiet {
            self.raw(text);
        }
    }

    /// Writes a line even when quiet. A closed stderr is no reason to stop.
    pub(crate) fn raw(&self, text: &str) {
        let bar = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || {
            let _ = writeln!(io::stderr().lock(), "{text}");
        };
        match &*bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Puts a bar at the bottom.
    pub(crate) fn show_bar(&self, bar: ProgressBar) {
        *self.0.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    /// Changes the bar, if there is one.
    pub(crate) fn with_bar(&self, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.0.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            change(bar);
        }
    }

    /// Takes the bar away; lines written afterwards stay.
    pub(crate) fn clear_bar(&self) {
        if let Some(bar) = self.0.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
