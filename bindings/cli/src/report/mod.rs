//! Telling a person (and `--events`) what an upload does: a bar on a terminal, lines otherwise.

mod bar;
mod lines;
mod say;
mod teller;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outlast_core::engine::Notice;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::Progress;

use crate::events::Events;
use crate::screen::Screen;
use lines::Pace;
pub(crate) use teller::Teller;

/// How often a `progress` event is written.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// What is uploaded, for the lines that name it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The file as the user named it, or `stdin`.
    pub(crate) source: String,
    /// `bucket/object`.
    pub(crate) target: String,
    /// Bytes, unless it is a stream.
    pub(crate) size: Option<u64>,
    /// Requests in flight.
    pub(crate) parallel: u32,
    /// How long it waits for somebody to sign in.
    pub(crate) wait_for_login: Duration,
    /// The profile that takes over when the session does not last.
    pub(crate) service: Option<String>,
}

/// Tells what happens. Shared by the thread that hears notices and the one that watches progress.
pub(crate) struct Reporter {
    teller: Teller,
    events: Option<Events>,
    size: Option<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    expires_at: Option<UnixMillis>,
    parked: bool,
    pace: Pace,
    last_event: Option<Instant>,
    parts: u32,
    stored: u32,
}

impl Reporter {
    /// A reporter for one upload.
    pub(crate) fn new(screen: Screen, events: Option<Events>, subject: Subject) -> Self {
        let size = subject.size;
        Reporter { teller: Teller::of(screen, subject), events, size, state: Mutex::new(State::default()) }
    }

    /// The screen it writes to.
    pub(crate) fn screen(&self) -> &Screen {
        self.teller.screen()
    }

    /// Writes an event that is not a notice.
    pub(crate) fn event(&self, name: &str, fields: serde_json::Value) {
        if let Some(events) = &self.events {
            events.write(name, fields);
        }
    }

    /// Writes a line.
    pub(crate) fn say(&self, text: &str) {
        self.teller.say(text);
    }

    /// Tells a notice.
    pub(crate) fn notice(&self, notice: &Notice) {
        if let Some(events) = &self.events {
            events.notice(notice);
        }
        match notice {
            Notice::Refreshed { expires_at, .. } => self.state().expires_at = *expires_at,
            Notice::Parked { .. } => self.state().parked = true,
            Notice::Resumed { .. } => self.state().parked = false,
            Notice::Started { parts, .. } => {
                self.state().parts = *parts;
                if self.screen().is_terminal() {
                    bar::show(self.screen(), self.size);
                }
            }
            Notice::PartStored { .. } => self.state().stored += 1,
            _ => {}
        }
        self.teller.notice(notice);
    }

    /// Parts stored so far, and parts in all (0: not known), as the notices told.
    pub(crate) fn stored(&self) -> (u32, u32) {
        let state = self.state();
        (state.stored, state.parts)
    }

    /// Tells how far it is, if it is time to.
    pub(crate) fn progress(&self, progress: &Progress) {
        let now = Instant::now();
        let (expires_at, event_due, line_due) = {
            let mut state = self.state();
            let event_due = state.last_event.is_none_or(|last| now - last >= EVENT_EVERY);
            if event_due {
                state.last_event = Some(now);
            }
            let line_due = !self.screen().is_terminal() && !state.parked && state.pace.is_due(progress, now);
            (state.expires_at, event_due, line_due)
        };
        if let Some(events) = self.events.as_ref().filter(|_| event_due) {
            events.progress(progress, expires_at);
        }
        if line_due {
            self.say(&lines::progress(progress, expires_at));
        }
        if self.screen().is_terminal() {
            bar::update(self.screen(), progress, expires_at);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
