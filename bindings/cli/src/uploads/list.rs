//! `outlast uploads list`

use outlast_core::native::{ClientOptions, journal};
use serde_json::Value;

use super::entry::{Entry, merge};
use crate::args::ListArgs;
use crate::connect::{self, Connection, Wishes};
use crate::exit::Outcome;
use crate::output::Output;
use crate::screen::Screen;
use crate::signals::Signals;

/// Lists.
pub(super) fn run(args: &ListArgs) -> Outcome {
    let output = Output::new(&args.output)?;
    let screen = Screen::new(false);
    Signals::install(&screen)?;
    let options = ClientOptions { state_dir: args.connect.state_dir.clone(), ..ClientOptions::default() };
    let mut entries: Vec<Entry> =
        journal::list(&options.state_dir()?)?.into_iter().map(Entry::of_journal).collect();
    if let Some(bucket) = &args.bucket_name {
        let settings = connect::settings(&args.connect, &screen)?;
        let connection = Connection::open(&args.connect, settings, &Wishes::default(), &screen)?;
        let namespace = connection.namespace(args.namespace.as_deref())?;
        let session = connection.session(Some(&namespace))?;
        let listed = connection.client.list_uploads_blocking(&session, &namespace, bucket)?;
        merge(&mut entries, listed, &namespace, bucket);
        entries.retain(|entry| entry.is_in(Some(&namespace), Some(bucket)));
    } else if args.namespace.is_some() {
        entries.retain(|entry| entry.is_in(args.namespace.as_deref(), None));
    }
    output.print(&Value::Array(entries.iter().map(Entry::to_json).collect()))
}
