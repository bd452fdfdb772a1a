//! `outlast session keep`: a keeper in the foreground, for programs that read the token file now and then.

use std::time::{Duration, Instant};

use outlast_core::engine::Notice;
use outlast_core::engine::session::SessionState;
use outlast_core::native::{Notices, Session};
use outlast_core::{Error, ErrorKind};

use crate::args::KeepArgs;
use crate::connect::{self, Connection, Wishes};
use crate::exit::{Code, Failure, Outcome};
use crate::report::Teller;
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// How long reading the files may take.
const LOAD_WITHIN: Duration = Duration::from_secs(30);
/// How often signals and the session's state are looked at while nothing is told.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps it.
pub(super) fn run(args: &KeepArgs) -> Outcome {
    let screen = Screen::new(false);
    let settings = connect::settings(&args.connect, &screen)?;
    super::session_of(&settings)?;
    let signals = Signals::install(&screen)?;
    let wishes = Wishes { wait_for_login: args.wait_for_login, ..Wishes::default() };
    let connection = Connection::open(&args.connect, settings, &wishes, &screen)?;
    let notices = connection.client.subscribe();
    let session = connection.session(None)?;
    let loaded = session.wait_loaded(LOAD_WITHIN)?;
    if let (None, Some(error)) = (loaded.expires_at, loaded.last_error) {
        return Err(error.into());
    }
    let teller = Teller::new(screen, args.wait_for_login);
    let limit = args.limit.map_or_else(String::new, |limit| format!(" for {}", words::span(limit)));
    teller.say(&format!("keeping the session of profile {} alive{limit}", connection.settings().profile));
    let _hold = session.hold();
    signals.orderly();
    let ended = watch(&notices, &session, args.limit, &teller, &signals);
    signals.at_once();
    ended
}

fn watch(
    notices: &Notices,
    session: &Session,
    limit: Option<Duration>,
    teller: &Teller,
    signals: &Signals,
) -> Outcome {
    let begun = Instant::now();
    loop {
        if let Some(notice) = notices.next_timeout(LOOK_EVERY) {
            teller.notice(&notice);
            if let Notice::Parked { error, until: None, .. } = notice {
                return Err(error.into());
            }
        }
        if signals.asked() {
            return Err(Failure::new(
                Code::Interrupted,
                "interrupted; the token file holds the newest token",
            ));
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(());
        }
        let status = session.status()?;
        match status.state {
            SessionState::Dead => {
                let unknown = || Error::new(ErrorKind::Auth, "the session is dead");
                return Err(status.last_error.unwrap_or_else(unknown).into());
            }
            // The wait is over when a lease fails instead of waiting.
            SessionState::Parked => match session.lease_blocking(LOOK_EVERY) {
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error.into()),
                _ => {}
            },
            _ => {}
        }
    }
}
