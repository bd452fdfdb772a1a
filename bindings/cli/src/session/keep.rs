//! `outlast session keep`: a keeper in the foreground, for programs that read the token file now and then.

use std::time::{Duration, Instant};

use outlast_core::engine::Notice;
use outlast_core::engine::session::SessionState;
use outlast_core::native::{Client, Notices, Session};
use outlast_core::{Error, ErrorKind};

use super::write_token::TokenFile;
use crate::args::KeepArgs;
use crate::connect::{self, Connection, Wishes};
use crate::defined::{self, Defined};
use crate::exit::{Code, Failure, Outcome};
use crate::report::Teller;
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// How long reading the files may take.
const LOAD_WITHIN: Duration = Duration::from_secs(30);
/// How long the session may take to come to rest.
const CLOSE_WITHIN: Duration = Duration::from_secs(45);
/// How often signals and the session's state are looked at while nothing is told.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps it.
pub(super) fn run(args: &KeepArgs) -> Outcome {
    let screen = Screen::new(false);
    let (client, session, subject, signals) = open(args, &screen)?;
    let notices = client.subscribe();
    let loaded = session.wait_loaded(LOAD_WITHIN)?;
    if let (None, Some(error)) = (loaded.expires_at, loaded.last_error) {
        return Err(error.into());
    }
    let mut file = args.write_token.as_deref().map(TokenFile::new);
    let teller = Teller::new(screen, args.wait_for_login);
    let limit = args.limit.map_or_else(String::new, |limit| format!(" for {}", words::span(limit)));
    teller.say(&format!("keeping {subject} alive{limit}"));
    let hold = session.hold();
    signals.orderly();
    let ended = watch(&notices, &session, args.limit, &teller, &signals, file.as_mut());
    signals.at_once();
    drop((hold, session));
    // A refresh under way ends first: what it brings must be stored.
    client.close(CLOSE_WITHIN)?;
    ended
}

/// The session of the sessions file, or the profile's; with words for it.
fn open(args: &KeepArgs, screen: &Screen) -> Outcome<(Client, Session, String, Signals)> {
    if let Some(name) = &args.name {
        let sessions = defined::of_connect(&args.connect, args.sessions_file.as_ref());
        let defined = Defined::open(name, &sessions, screen)?;
        let signals = Signals::install(screen)?;
        let (client, session) = defined.served(args.wait_for_login, &args.service, &sessions, screen)?;
        return Ok((client, session, format!("the session [{name}]"), signals));
    }
    let settings = connect::settings(&args.connect, screen)?;
    super::session_of(&settings)?;
    let signals = Signals::install(screen)?;
    let wishes = Wishes { wait_for_login: args.wait_for_login, ..Wishes::default() };
    let connection = Connection::open(&args.connect, settings, &wishes, screen)?;
    let subject = format!("the session of profile {}", connection.settings().profile);
    let session = connection.session(None)?;
    Ok((connection.client.clone(), session, subject, signals))
}

fn watch(
    notices: &Notices,
    session: &Session,
    limit: Option<Duration>,
    teller: &Teller,
    signals: &Signals,
    mut file: Option<&mut TokenFile>,
) -> Outcome {
    let begun = Instant::now();
    loop {
        if let Some(file) = &mut file
            && let Ok(lease) = session.lease_blocking(LOOK_EVERY)
        {
            file.update(&lease)?;
        }
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
