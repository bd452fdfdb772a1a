//! What is there already, and whether it may be replaced.

use std::path::{Path, PathBuf};

use outlast_core::engine::upload::journal::JournalState;
use outlast_core::engine::upload::spec::{Precondition, Target};
use outlast_core::native::{Client, Session, journal};

use super::plan::Plan;
use crate::args::PutArgs;
use crate::exit::{Code, Failure, Outcome};
use crate::prompt::{Answer, confirm};

/// Said when `--no-overwrite` meets an object, in the official command line's words.
pub(super) const NOT_OVERWRITTEN: &str = "The object already exists and was not overwritten";

/// What to do after a look at the object.
pub(super) enum Verdict {
    /// Upload under this precondition.
    Go(Precondition),
    /// Leave it alone: there is an object, and `--no-overwrite`.
    Leave,
}

/// Looks at the object unless `--force` says not to, and asks a person if there is one.
///
/// Errors: 1 when the object may not be replaced; those of the request.
pub(super) fn look(
    args: &PutArgs,
    plan: &Plan,
    target: &Target,
    client: &Client,
    session: &Session,
) -> Outcome<Verdict> {
    let wanted = plan.options.precondition.clone();
    if args.force || was_committing(plan, target, client) {
        return Ok(Verdict::Go(wanted));
    }
    let key = plan.options.properties.customer_key.as_ref();
    let found = client.head_object_blocking(session, target, key)?;
    let name = format!("\"{}\" in bucket {}", target.object, target.bucket);
    let etag = match (found, &wanted) {
        (None, Precondition::Etag(_)) => {
            return Err(Failure::new(
                Code::Failure,
                format!("--if-match: there is no object {name} to replace"),
            ));
        }
        (None, _) => return Ok(Verdict::Go(Precondition::Absent)),
        (Some(facts), _) => facts.etag,
    };
    if let (Precondition::Etag(expected), Some(etag)) = (&wanted, &etag)
        && expected != etag
    {
        let line =
            format!("--if-match: the object {name} has etag {etag}, not {expected}; it was not replaced");
        return Err(Failure::new(Code::Failure, line));
    }
    if args.no_overwrite {
        return Ok(Verdict::Leave);
    }
    // Bytes from stdin are no answers.
    let answer = if args.file.as_deref() == Some(Path::new("-")) {
        Answer::Nobody
    } else {
        confirm("WARNING: This object already exists. Are you sure you want to overwrite it?")
    };
    match answer {
        Answer::Yes => Ok(Verdict::Go(etag.map_or(wanted, Precondition::Etag))),
        Answer::No => Err(Failure::new(Code::Failure, format!("the object {name} was left as it is"))),
        Answer::Nobody => Err(Failure::new(
            Code::Failure,
            format!(
                "the object {name} exists and there is no terminal to ask; --force replaces it, --no-overwrite leaves it"
            ),
        )),
    }
}

/// Whether an earlier run of this command was about to commit: then an object under this name may be its own, which the
/// upload finds out by comparing.
fn was_committing(plan: &Plan, target: &Target, client: &Client) -> bool {
    let journals = journals_of(plan.source.journal_name().as_deref(), target, client);
    journals.iter().any(|(_, state)| state.upload_id.is_some() && state.commit.is_some())
}

/// Aborts what this run stored in vain, as far as that is possible.
pub(super) fn abandon(source: Option<&str>, target: &Target, client: &Client, session: &Session) {
    for (path, state) in journals_of(source, target, client) {
        let aborted =
            state.upload_id.is_none_or(|id| client.abort_upload_blocking(session, target, &id).is_ok());
        if aborted {
            let _ = journal::remove(&path);
        }
    }
}

fn journals_of(source: Option<&str>, target: &Target, client: &Client) -> Vec<(PathBuf, JournalState)> {
    let Some(source) = source else { return Vec::new() };
    let Ok(journals) = client.options().state_dir().and_then(|dir| journal::list(&dir)) else {
        return Vec::new();
    };
    let read = journals.into_iter().filter_map(|summary| Some((summary.path, summary.state.ok()??)));
    read.filter(|(_, state)| state.target == *target && state.source.name == source).collect()
}
