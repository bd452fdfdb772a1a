//! `outlast uploads abort`

use std::collections::BTreeMap;

use outlast_core::native::{ClientOptions, Session, journal};
use outlast_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::entry::{Entry, merge};
use crate::args::AbortArgs;
use crate::connect::{self, Connection, Wishes};
use crate::exit::{Code, Failure, Outcome};
use crate::output::Output;
use crate::prompt::{Answer, confirm};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// Aborts.
pub(super) fn run(args: &AbortArgs) -> Outcome {
    let output = Output::new(&args.output)?;
    let screen = Screen::new(false);
    Signals::install(&screen)?;
    let options = ClientOptions { state_dir: args.connect.state_dir.clone(), ..ClientOptions::default() };
    let mut entries: Vec<Entry> =
        journal::list(&options.state_dir()?)?.into_iter().map(Entry::of_journal).collect();
    if !args.all_of_ours && args.bucket_name.is_none() && !entries.iter().any(|entry| is_wanted(args, entry))
    {
        return Err(Failure::usage(
            "no journal here tells of such an upload; name its bucket with -bn to look there",
        ));
    }
    let settings = connect::settings(&args.connect, &screen)?;
    let connection = Connection::open(&args.connect, settings, &Wishes::default(), &screen)?;
    if let Some(bucket) = args.bucket_name.as_deref().filter(|_| !args.all_of_ours) {
        let namespace = connection.namespace(args.namespace.as_deref())?;
        let session = connection.session(Some(&namespace))?;
        let listed = connection.client.list_uploads_blocking(&session, &namespace, bucket)?;
        merge(&mut entries, listed, &namespace, bucket);
    }
    entries.retain(|entry| is_wanted(args, entry));
    if entries.is_empty() {
        if args.all_of_ours {
            screen.line("There are no unfinished uploads here");
            return output.print(&Value::Array(Vec::new()));
        }
        return Err(Failure::new(Code::Failure, "there is no such upload, here or in the bucket"));
    }
    if !args.force {
        ask(&entries, &screen)?;
    }
    let results = abort_all(&entries, &connection)?;
    let failed = results.iter().find_map(|(entry, error)| error.as_ref().map(|error| (entry, error)));
    let failure = failed.map(|(entry, error)| Failure::from(error.clone().during(&entry.name())));
    output
        .print(&Value::Array(results.iter().map(|(entry, error)| told(entry, error.as_ref())).collect()))?;
    failure.map_or(Ok(()), Err)
}

fn is_wanted(args: &AbortArgs, entry: &Entry) -> bool {
    let in_place = (args.namespace.is_none() && args.bucket_name.is_none())
        || entry.is_in(args.namespace.as_deref(), args.bucket_name.as_deref());
    let object = entry.target.as_ref().map(|target| &target.object);
    in_place
        && (!args.all_of_ours || entry.journal.is_some())
        && args.upload_id.as_ref().is_none_or(|id| entry.upload_id.as_ref() == Some(id))
        && args.name.as_ref().is_none_or(|name| object == Some(name))
}

fn ask(entries: &[Entry], screen: &Screen) -> Outcome {
    for entry in entries {
        let id = entry.upload_id.as_deref().unwrap_or("no upload id");
        let stored = match &entry.journal {
            Some(journal) => format!(", {} stored", words::count(journal.parts_stored as u64, "part")),
            None => String::new(),
        };
        screen.line(&format!("{} ({id}{stored})", entry.name()));
    }
    match confirm(&format!("Abort {}?", words::count(entries.len() as u64, "upload"))) {
        Answer::Yes => Ok(()),
        Answer::No => Err(Failure::new(Code::Failure, "nothing was aborted")),
        Answer::Nobody => {
            Err(Failure::new(Code::Failure, "there is no terminal to ask; --force aborts without asking"))
        }
    }
}

/// Whether a bucket is there, by namespace and name.
type Buckets = BTreeMap<(String, String), Result<(), Error>>;

/// Aborts one after the other; each with its error if it failed.
fn abort_all<'a>(entries: &'a [Entry], connection: &Connection) -> Outcome<Vec<(&'a Entry, Option<Error>)>> {
    let mut buckets = Buckets::new();
    let mut results = Vec::new();
    for entry in entries {
        let namespace = entry.target.as_ref().map(|target| target.namespace.as_str());
        let session = connection.session(namespace)?;
        results.push((entry, abort(entry, connection, &session, &mut buckets).err()));
    }
    Ok(results)
}

fn abort(
    entry: &Entry,
    connection: &Connection,
    session: &Session,
    buckets: &mut Buckets,
) -> Result<(), Error> {
    if let Some(by) = entry.journal.as_ref().and_then(|journal| journal.locked_by) {
        let who = by.pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
        return Err(Error::new(ErrorKind::Busy, format!("{who} is uploading it; stop that first")));
    }
    if let (Some(target), Some(upload_id)) = (&entry.target, &entry.upload_id) {
        // "Not found" of an abort means that it is gone, but only in a bucket that is there: the wrong region or account
        // must not pass for success.
        let (namespace, bucket) = (&target.namespace, &target.bucket);
        let check = || connection.client.check_bucket_blocking(session, namespace, bucket);
        buckets.entry((namespace.clone(), bucket.clone())).or_insert_with(check).clone()?;
        connection.client.abort_upload_blocking(session, target, upload_id)?;
    }
    entry.journal.as_ref().map_or(Ok(()), |journal| journal::remove(&journal.path))
}

fn told(entry: &Entry, error: Option<&Error>) -> Value {
    json!({
        "namespace": entry.target.as_ref().map(|target| &target.namespace),
        "bucket": entry.target.as_ref().map(|target| &target.bucket),
        "object": entry.target.as_ref().map(|target| &target.object),
        "upload-id": entry.upload_id,
        "aborted": error.is_none(),
        "error": error.map(ToString::to_string),
    })
}
