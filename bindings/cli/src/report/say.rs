//! Notices in words. What a person can do about something is part of its line.

use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::command::Renewal;
use outlast_core::engine::time::UnixMillis;

use super::Subject;
use crate::style::Style;
use crate::words;

/// The line at the start.
pub(super) fn started(subject: &Subject, parts: u32, part_size: u64, found: u32) -> String {
    let size = subject.size.map(|size| format!(" ({})", words::bytes(size))).unwrap_or_default();
    let how = match (parts, subject.size) {
        (0, Some(_)) => " in one request".to_owned(),
        (0, None) => format!(" in parts of {}, {} at a time", words::bytes(part_size), subject.parallel),
        _ => format!(
            " as {} of {}, {} at a time",
            words::count(parts, "part"),
            words::bytes(part_size),
            subject.parallel
        ),
    };
    let found = match found {
        0 => String::new(),
        _ => format!(
            "; {} stored by an earlier run, to be compared with the file",
            words::count(found, "part")
        ),
    };
    format!("uploading {}{size} to {}{how}{found}", subject.source, subject.target)
}

/// The line for a credential, the session's first or a later one.
pub(super) fn refreshed(notice: &Notice, first: bool) -> Option<String> {
    let Notice::Refreshed { how, expires_at, .. } = notice else { return None };
    let until = expires_at.map(|end| {
        let left = end.since(words::now());
        format!("until {} ({})", words::moment(end), words::span(left))
    });
    match (first, how, until) {
        // An API key has no end: nothing to tell.
        (_, _, None) => None,
        (true, Renewal::Reloaded, Some(until)) => Some(format!("token good {until}")),
        (true, Renewal::Exchanged, Some(until)) => Some(format!("session minted: token good {until}")),
        (false, Renewal::Exchanged, Some(until)) => Some(format!("token refreshed: good {until}")),
        (false, Renewal::Reloaded, Some(until)) => {
            Some(format!("another process renewed the token: good {until}"))
        }
    }
}

/// The line for anything else; `None` for what a person need not read. `wait` is `--wait-for-login`.
pub(super) fn other(notice: &Notice, wait: Duration) -> Option<String> {
    Some(match notice {
        Notice::Rejected { generation, .. } => {
            format!("the service refused token {generation} before its end; getting another, parts wait")
        }
        Notice::RefreshFailed { error, retry_in, .. } => {
            format!("refreshing the token failed: {error}; trying again in {}", words::span(*retry_in))
        }
        Notice::HorizonLearned { horizon, .. } => format!(
            "refreshing does not move the session's end any more: it ends at {}, then somebody has to sign in",
            words::moment(*horizon)
        ),
        Notice::ChainEnded { reason, error, .. } => {
            let note = if reason.is_suspicious() { "Warning, somebody should look into it: " } else { "" };
            format!("{note}{error}")
        }
        Notice::Expiring { expires_at, .. } => {
            let or = match wait {
                Duration::ZERO => "; after that nothing goes on until the same command is run again".into(),
                wait => format!(", or within {} after it", words::span(wait)),
            };
            format!(
                "the token ends at {} and nothing here can extend it: sign in again (oci session authenticate) before \
                 then{or}",
                words::moment(*expires_at)
            )
        }
        Notice::WillOutliveSession { estimate, horizon, .. } => {
            let or = match wait {
                Duration::ZERO => "give --wait-for-login so that it waits for you, or run the same command again \
                                   afterwards"
                    .into(),
                wait => format!("or within {} after it, while the upload waits", words::span(wait)),
            };
            format!(
                "Warning: the upload will outlive the session: it ends about {}, the session at {}; sign in again before \
                 then, {or}",
                words::moment(*estimate),
                words::moment(*horizon)
            )
        }
        Notice::HandedOver { credential, principal, .. } => {
            format!("handed over: {credential} goes on with it on behalf of {principal}, whose session does not last")
        }
        Notice::Parked { error, until: Some(until), .. } => {
            format!("parked: {error}; waiting until {} for that", words::moment(*until))
        }
        Notice::Resumed { .. } => "resumed: somebody has signed in".into(),
        Notice::ClockSkew { skew_ms } => {
            let span = words::span(Duration::from_millis(skew_ms.unsigned_abs()));
            let side = if *skew_ms > 0 { "behind" } else { "ahead of" };
            format!(
                "this machine's clock is {span} {side} the service's; requests are dated by the service's"
            )
        }
        Notice::Retrying { part, error, failures, retry_in, .. } => {
            let what = part.map(|part| format!("part {part}: ")).unwrap_or_default();
            format!("{what}{error}; attempt {} in {}", failures + 1, words::span(*retry_in))
        }
        Notice::Remark { text, .. } => text.clone(),
        Notice::Refreshed { .. }
        | Notice::Started { .. }
        | Notice::PartStarted { .. }
        | Notice::PartStored { .. }
        | Notice::PartHeld { .. }
        | Notice::Paused { .. }
        // Without a moment nothing waits: the last line says it all.
        | Notice::Parked { .. }
        | Notice::Finished { .. } => return None,
    })
}

/// The upload will outlive the session, and somebody takes over.
pub(super) fn to_hand_over(estimate: UnixMillis, horizon: UnixMillis, service: &str) -> String {
    format!(
        "the upload will outlive the session: it ends about {}, the session at {}; profile {service} is checked and takes \
         over",
        words::moment(estimate),
        words::moment(horizon)
    )
}

/// The line in the colour of its kind.
pub(super) fn painted(notice: &Notice, text: &str, style: Style) -> String {
    match notice {
        Notice::Refreshed { .. } | Notice::Resumed { .. } => style.session(text),
        Notice::Rejected { .. }
        | Notice::Expiring { .. }
        | Notice::WillOutliveSession { .. }
        | Notice::Parked { .. }
        | Notice::RefreshFailed { .. }
        | Notice::Retrying { .. } => style.warn(text),
        Notice::Started { .. } => style.bold(text),
        _ => text.to_owned(),
    }
}
