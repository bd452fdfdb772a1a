//! Notices as lines, or above the bar.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use outlast_core::engine::Notice;

use super::{Subject, say};
use crate::screen::Screen;
use crate::words;

/// Lines about retries are at least so far apart; what is left out is counted.
const RETRY_LINE_EVERY: Duration = Duration::from_secs(2);

/// Tells a person what happens to a session and to the upload under it.
pub(crate) struct Teller {
    screen: Screen,
    subject: Option<Subject>,
    wait_for_login: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The session's first credential has been told.
    signed_in: bool,
    last_retry: Option<Instant>,
    retries_untold: u32,
}

impl Teller {
    /// For a session alone.
    pub(crate) fn new(screen: Screen, wait_for_login: Duration) -> Self {
        Teller { screen, subject: None, wait_for_login, state: Mutex::new(State::default()) }
    }

    /// For an upload.
    pub(super) fn of(screen: Screen, subject: Subject) -> Self {
        let wait_for_login = subject.wait_for_login;
        Teller { subject: Some(subject), ..Teller::new(screen, wait_for_login) }
    }

    pub(super) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Writes a line with the time of day; somebody who watches a bar sees the time pass and is spared it.
    pub(crate) fn say(&self, text: &str) {
        if self.subject.is_some() && self.screen.is_terminal() {
            self.screen.line(text);
        } else {
            self.screen.line(&format!("{} {text}", words::clock(words::now())));
        }
    }

    /// Tells a notice, if a person should know.
    pub(crate) fn notice(&self, notice: &Notice) {
        let text = match notice {
            Notice::Started { upload_id, parts, part_size, found, .. } => {
                if let Some(id) = upload_id {
                    // As the official command line prints it, for scripts that look for it.
                    self.screen.line(&format!("Upload ID: {id}"));
                }
                self.subject.as_ref().map(|subject| say::started(subject, *parts, *part_size, *found))
            }
            Notice::Refreshed { .. } => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let first = !std::mem::replace(&mut state.signed_in, true);
                say::refreshed(notice, first)
            }
            Notice::Retrying { .. } => self.retry(notice),
            Notice::WillOutliveSession { estimate, horizon, .. } => {
                let service = self.subject.as_ref().and_then(|subject| subject.service.as_deref());
                service
                    .map(|service| say::to_hand_over(*estimate, *horizon, service))
                    .or_else(|| say::other(notice, self.wait_for_login))
            }
            other => say::other(other, self.wait_for_login),
        };
        if let Some(text) = text {
            self.say(&say::painted(notice, &text, self.screen.style()));
        }
    }

    /// The line of a retry, or none if the last one is too near.
    fn retry(&self, notice: &Notice) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.last_retry.is_some_and(|last| now - last < RETRY_LINE_EVERY) {
            state.retries_untold += 1;
            return None;
        }
        state.last_retry = Some(now);
        let text = say::other(notice, self.wait_for_login)?;
        Some(match std::mem::take(&mut state.retries_untold) {
            0 => text,
            untold => format!("{text} (and {} before it)", words::count(untold, "other")),
        })
    }
}
