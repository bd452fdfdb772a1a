//! `outlast session refresh`: one refresh, and what it changed.

use std::time::Duration;

use outlast_core::ErrorKind;
use outlast_core::engine::session::SessionState;
use outlast_core::engine::time::UnixMillis;
use serde_json::json;

use super::show::rfc3339;
use crate::args::RefreshArgs;
use crate::connect::{self, Connection, Wishes};
use crate::exit::Outcome;
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// How long reading the files may take.
const LOAD_WITHIN: Duration = Duration::from_secs(30);
/// How long the refresh may take, the wait for another process's lock included.
const REFRESH_WITHIN: Duration = Duration::from_mins(2);
/// Ends that differ by no more than this are the same: claims are whole seconds.
const SAME_WITHIN_MS: i64 = 1000;

/// Refreshes.
pub(super) fn run(args: &RefreshArgs) -> Outcome {
    let screen = Screen::new(false);
    let settings = connect::settings(&args.connect, &screen)?;
    super::session_of(&settings)?;
    Signals::install(&screen)?;
    let connection = Connection::open(&args.connect, settings, &Wishes::default(), &screen)?;
    let session = connection.session(None)?;
    let before = session.wait_loaded(LOAD_WITHIN)?;
    if before.expires_at.is_none()
        && let Some(error) = before.last_error
    {
        return Err(error.into());
    }
    let after = match session.refresh_blocking(REFRESH_WITHIN) {
        Ok(after) => after,
        // Answered without moving the end: no failure while the token lives.
        Err(error) if error.kind() == ErrorKind::SignInNeeded && error.http().is_none() => {
            let status = session.status()?;
            let lives = status.expires_at.is_some_and(|end| end > words::now());
            if !lives || matches!(status.state, SessionState::Parked | SessionState::Dead) {
                return Err(error.into());
            }
            status
        }
        Err(error) => return Err(error.into()),
    };
    let (old, new) = (before.expires_at, after.expires_at);
    let moved = match (old, new) {
        (Some(old), Some(new)) => new.0 > old.0 + SAME_WITHIN_MS,
        (None, Some(_)) => true,
        _ => false,
    };
    let result = json!({
        "profile": connection.settings().profile,
        "moved": moved,
        "previous_expires_at": old.map(rfc3339),
        "expires_at": new.map(rfc3339),
        "expires_at_ms": new.map(|at| at.0),
        "horizon": after.horizon.map(rfc3339),
        "horizon_ms": after.horizon.map(|at| at.0),
    });
    super::print(&args.output, &result, &lines(old, new, moved))
}

fn lines(old: Option<UnixMillis>, new: Option<UnixMillis>, moved: bool) -> String {
    let shown = |at: Option<UnixMillis>| at.map_or_else(|| "without end".into(), |at| at.to_string());
    let left =
        new.map_or_else(String::new, |at| format!(", {} from now", words::span(at.since(words::now()))));
    if moved {
        return format!("before  {}\nnow     {}{left}\n", shown(old), shown(new));
    }
    format!(
        "before  {}\nnow     the same{left}\nThe service answered without moving the end: this session cannot be extended. \
         That is so for sessions made with --no-browser and for those at their horizon. When it ends somebody has to sign \
         in again (oci session authenticate); uploads wait for that with --wait-for-login.\n",
        shown(old)
    )
}
