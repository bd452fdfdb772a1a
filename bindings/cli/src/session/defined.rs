//! `outlast session show` and `refresh` for sessions of the sessions file.

use std::fmt::Write as _;
use std::time::Duration;

use outlast_core::engine::time::UnixMillis;
use outlast_core::native::vault::Record;
use serde_json::{Value, json};

use super::rfc3339;
use crate::args::{OutputArgs, RefreshArgs, ShowArgs};
use crate::defined::{self, Defined};
use crate::exit::{Code, Failure, Outcome};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// How long the refresh may take, the wait for another process's lock included.
const REFRESH_WITHIN: Duration = Duration::from_mins(2);
/// How long reading the vault may take.
const LOAD_WITHIN: Duration = Duration::from_secs(30);

/// What is stored, without asking any service.
pub(super) fn show(name: &str, args: &ShowArgs) -> Outcome {
    let screen = Screen::new(false);
    let sessions = defined::of_connect(&args.connect, args.sessions_file.as_ref());
    let defined = Defined::open(name, &sessions, &screen)?;
    let record = defined.kept()?.record()?;
    let now = words::now();
    let Some(record) = record else {
        let result = json!({ "session": name, "provider": defined.def.provider.name, "state": "signed-out" });
        super::print(&args.output, &result, &format!("session  {name}\nstate    nobody is signed in\n"))?;
        return Err(Failure::silent(Code::Parked as u8));
    };
    let state = state(&record, now);
    let result = value(name, &defined, &record, state);
    super::print(&args.output, &result, &lines(name, &defined, &record, state, now))?;
    if state == "ended" { Err(Failure::silent(Code::Parked as u8)) } else { Ok(()) }
}

/// `fresh`, `refreshable` (the token has ended, the chain has not), `doubtful` (an answer was lost) or `ended`.
fn state(record: &Record, now: UnixMillis) -> &'static str {
    let lives = record.access_token.is_some() && record.expires_at.is_none_or(|end| end > now);
    let chain = record.chain();
    let chain_lives = chain.as_ref().is_some_and(|chain| chain.ends_at().is_none_or(|end| end > now));
    let intent = record.intent.as_ref();
    match (lives, chain_lives, intent) {
        (true, ..) => "fresh",
        (false, true, None) => "refreshable",
        (false, true, Some(intent)) if intent.ended.is_none() => "doubtful",
        _ => "ended",
    }
}

fn value(name: &str, defined: &Defined, record: &Record, state: &str) -> Value {
    let chain = record.chain();
    json!({
        "session": name,
        "provider": defined.def.provider.name,
        "state": state,
        "issued_at": record.issued_at.map(rfc3339),
        "expires_at": record.expires_at.map(rfc3339),
        "expires_at_ms": record.expires_at.map(|at| at.0),
        "chain": chain.map(|chain| json!({
            "link": chain.serial,
            "started_at": chain.started_at.map(rfc3339),
            "refreshed_at": chain.refreshed_at.map(rfc3339),
            "idle_limit_s": chain.idle_limit.map(|limit| limit.value.as_secs()),
            "absolute_end": chain.absolute_end.map(|end| rfc3339(end.value)),
            "ends_at": chain.ends_at().map(rfc3339),
            "shared": record.shared,
            "answer_lost": record.intent.as_ref().is_some_and(|intent| intent.ended.is_none()),
            "ended": record.intent.as_ref().and_then(|intent| intent.ended.clone()),
        })),
    })
}

fn lines(name: &str, defined: &Defined, record: &Record, state: &str, now: UnixMillis) -> String {
    let until = |at: Option<UnixMillis>| match at {
        Some(at) if at > now => format!("{at} (in {})", words::span(at.since(now))),
        Some(at) => format!("{at} ({} ago)", words::span(now.since(at))),
        None => "not known".to_owned(),
    };
    let meaning = match state {
        "fresh" => "usable",
        "refreshable" => "the token has ended; the next use refreshes it",
        "doubtful" => "the token has ended, and the answer to its last refresh was lost",
        _ => "ended: sign in again",
    };
    let mut text = format!("session  {name}\nprovider {}\nstate    {meaning}\n", defined.def.provider.name);
    let _ = writeln!(text, "expires  {}", until(record.expires_at));
    if let Some(chain) = record.chain() {
        let _ = writeln!(text, "chain    link {}, ends {}", chain.serial, until(chain.ends_at()));
        if let Some(end) = chain.absolute_end {
            let _ = writeln!(text, "horizon  {}", until(Some(end.value)));
        }
    }
    text
}

/// One refresh, and what it changed.
pub(super) fn refresh(name: &str, args: &RefreshArgs) -> Outcome {
    let screen = Screen::new(false);
    let sessions = defined::of_connect(&args.connect, args.sessions_file.as_ref());
    let defined = Defined::open(name, &sessions, &screen)?;
    Signals::install(&screen)?;
    let (client, session) = defined.session(Duration::ZERO)?;
    let before = session.wait_loaded(LOAD_WITHIN)?;
    let after = session.refresh_blocking(REFRESH_WITHIN)?;
    let moved = before.expires_at != after.expires_at;
    let result = json!({
        "session": name,
        "moved": moved,
        "previous_expires_at": before.expires_at.map(rfc3339),
        "expires_at": after.expires_at.map(rfc3339),
        "expires_at_ms": after.expires_at.map(|at| at.0),
        "horizon": after.horizon.map(rfc3339),
        "horizon_ms": after.horizon.map(|at| at.0),
    });
    let shown = |at: Option<UnixMillis>| at.map_or_else(|| "without end".to_owned(), |at| at.to_string());
    let lines = format!("before  {}\nnow     {}\n", shown(before.expires_at), shown(after.expires_at));
    print(&args.output, &result, &lines)?;
    drop(session);
    client.close(LOAD_WITHIN)?;
    Ok(())
}

fn print(args: &OutputArgs, result: &Value, lines: &str) -> Outcome {
    super::print(args, result, lines)
}
