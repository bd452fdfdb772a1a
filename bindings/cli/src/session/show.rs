//! `outlast session show`: what the files say, without asking any service.

use std::time::Duration;

use outlast_core::engine::credential::Grant;
use outlast_core::engine::session::Windows;
use outlast_core::engine::time::UnixMillis;
use outlast_core::native::Source as _;
use outlast_core::native::source::OciSessionFiles;
use outlast_core::{Error, ErrorKind};
use serde_json::json;

use crate::args::ShowArgs;
use crate::exit::{Code, Failure, Outcome};
use crate::screen::Screen;
use crate::{connect, words};

/// Shows it.
pub(super) fn run(args: &ShowArgs) -> Outcome {
    let screen = Screen::new(false);
    let settings = connect::settings(&args.connect, &screen)?;
    let session = super::session_of(&settings)?;
    let files = OciSessionFiles::new(
        session.key_file.clone(),
        session.passphrase.clone(),
        session.token_file.clone(),
        false,
        format!("the session of profile {}", settings.profile),
        None,
    );
    let grant = files.load()?.ok_or_else(|| Error::new(ErrorKind::SignInNeeded, "there is no session"))?;
    let now = words::now();
    let state = state(&grant, now);
    let left = grant.expires_at.map(|end| end.since(now));
    let result = json!({
        "profile": settings.profile,
        "state": state,
        "token_file": session.token_file,
        "issued_at": grant.issued_at.map(rfc3339),
        "expires_at": grant.expires_at.map(rfc3339),
        "expires_at_ms": grant.expires_at.map(|at| at.0),
        "seconds_left": left.map(|left| left.as_secs()),
        "horizon": grant.horizon.map(rfc3339),
        "horizon_ms": grant.horizon.map(|at| at.0),
    });
    super::print(&args.output, &result, &lines(&settings.profile, state, &grant, now))?;
    // What was asked for has been told; the code says whether the session is of use.
    if state == "ended" { Err(Failure::silent(Code::Parked as u8)) } else { Ok(()) }
}

/// `fresh`, `advisory` (in the window before its end) or `ended`.
fn state(grant: &Grant, now: UnixMillis) -> &'static str {
    let Some(end) = grant.expires_at else { return "fresh" };
    let left = end.since(now);
    let life = end.since(grant.issued_at.unwrap_or(now));
    let windows = Windows::default();
    let advisory = (life * windows.advisory_percent / 100).max(windows.advisory_least.min(life / 2));
    if left.is_zero() {
        "ended"
    } else if left <= advisory {
        "advisory"
    } else {
        "fresh"
    }
}

fn lines(profile: &str, state: &str, grant: &Grant, now: UnixMillis) -> String {
    let meaning = match state {
        "ended" => "ended: sign in again with `oci session authenticate`",
        "advisory" => "usable, and due for a refresh",
        _ => "usable",
    };
    let known =
        |at: Option<UnixMillis>| at.map_or_else(|| "not told by the token".into(), |at| at.to_string());
    let until = |at: Option<UnixMillis>| match at {
        Some(at) if at > now => format!("{at} (in {})", words::span(at.since(now))),
        Some(at) => {
            format!("{at} ({} ago)", words::span(Duration::from_millis(now.0.abs_diff(at.0))))
        }
        None => known(None),
    };
    format!(
        "profile  {profile}\nstate    {meaning}\nissued   {}\nexpires  {}\nhorizon  {}\n",
        known(grant.issued_at),
        until(grant.expires_at),
        until(grant.horizon)
    )
}

/// `2025-11-07T05:23:06Z`
pub(crate) fn rfc3339(at: UnixMillis) -> String {
    at.to_string().replacen(' ', "T", 1)
}
