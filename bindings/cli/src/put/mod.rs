//! `outlast put`

mod defaults;
mod plan;
mod precheck;
mod result;
mod told;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::config::Settings;
use outlast_core::engine::upload::spec::{OnFailure, Target};
use outlast_core::native::{Notices, Upload, UploadSource, UploadStart};
use outlast_core::{Error, ErrorKind};
use serde_json::json;

use crate::args::PutArgs;
use crate::connect::{self, Connection, Wishes};
use crate::events::Events;
use crate::exit::{Code, Failure, Outcome};
use crate::output::Output;
use crate::report::{Reporter, Subject};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;
use plan::{Plan, Source};
use precheck::Verdict;
use result::Ended;

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long an ended client may take to write its last things down.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// Uploads.
pub(crate) fn run(args: &PutArgs) -> Outcome {
    let screen = Screen::new(args.events.as_deref() == Some(Path::new("-")));
    let output = Output::new(&args.output)?;
    let signals = Signals::install(&screen)?;
    let settings = connect::settings(&args.connect, &screen)?;
    let args = &defaults::fill(args, &settings)?;
    let plan = Plan::read(args, &|line| screen.line(line))?;
    let events = args.events.as_deref().map(|path| Events::open(path, &screen)).transpose()?;
    let subject = Subject {
        source: plan.source.name(),
        target: format!("{}/{}", plan.bucket, plan.object),
        size: plan.source.size(),
        parallel: plan.options.parallel,
        wait_for_login: args.wait_for_login,
        service: args.service_profile.clone(),
    };
    let reporter = Arc::new(Reporter::new(screen.clone(), events, subject));
    let outcome = upload(args, settings, plan, &reporter, &signals, &output);
    screen.clear_bar();
    let (code, message) = match &outcome {
        Ok(()) => (0, None),
        Err(failure) => (failure.code(), failure.line()),
    };
    reporter.event("exit", json!({ "code": code, "message": message }));
    outcome
}

fn upload(
    args: &PutArgs,
    settings: Settings,
    plan: Plan,
    reporter: &Arc<Reporter>,
    signals: &Signals,
    output: &Output,
) -> Outcome {
    let wishes = Wishes {
        wait_for_login: args.wait_for_login,
        mint_minutes: args.mint_session,
        limit_rate: args.limit_rate,
    };
    let connection = Connection::open(&args.connect, settings, &wishes, reporter.screen())?;
    let listener = listen(connection.client.subscribe(), reporter)?;
    let ended = carry_out(args, plan, &connection, reporter, signals);
    let interrupted = signals.asked();
    signals.at_once();
    // Closing ends the notices, so the listener has told everything once it is joined.
    let closed = connection.client.close(CLOSE_WITHIN);
    drop(connection);
    let _ = listener.join();
    let ended = ended.map_err(|stop| stop.told(reporter, interrupted))?;
    if let Err(error) = closed {
        reporter.say(&format!("Warning: {error}"));
    }
    reporter.screen().clear_bar();
    ended.print(args.verify_checksum, reporter, output)
}

/// For the library.
fn open(source: &Source) -> UploadSource {
    match source {
        Source::File { path, .. } | Source::Pipe(path) => UploadSource::Path(path.clone()),
        Source::Stdin => UploadSource::Reader { reader: Box::new(std::io::stdin()), name: "stdin".into() },
    }
}

/// Hears notices on a thread of its own, so that they are told while anything else waits.
fn listen(notices: Notices, reporter: &Arc<Reporter>) -> Outcome<std::thread::JoinHandle<()>> {
    let reporter = Arc::clone(reporter);
    let hear = move || {
        while !notices.is_finished() {
            if let Some(notice) = notices.next_timeout(Duration::from_mins(1)) {
                reporter.notice(&notice);
            }
        }
    };
    let thread = std::thread::Builder::new().name("outlast-notices".into()).spawn(hear);
    thread
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no thread can be started: {error}")).into())
}

fn carry_out(
    args: &PutArgs,
    plan: Plan,
    connection: &Connection,
    reporter: &Reporter,
    signals: &Signals,
) -> Result<Ended, Stop> {
    let client = &connection.client;
    let namespace = connection.namespace(args.namespace.as_deref()).map_err(not_begun)?;
    let session = connection.session(Some(&namespace))?;
    if let Some(profile) = &args.service_profile {
        let (audit, screen) = (args.audit_log.as_deref(), reporter.screen());
        connection.service(&session, &args.connect, profile, audit, screen)?;
    }
    let target = Target { namespace, bucket: plan.bucket.clone(), object: plan.object.clone() };
    let precondition = match precheck::look(args, &plan, &target, client, &session).map_err(not_begun)? {
        Verdict::Go(precondition) => precondition,
        Verdict::Leave => return Ok(Ended::Left),
    };
    reporter.event(
        "begun",
        json!({
            "source": plan.source.name(),
            "namespace": target.namespace,
            "bucket": target.bucket,
            "object": target.object,
            "size_bytes": plan.source.size(),
        }),
    );
    let on_failure = plan.options.on_failure;
    let options = outlast_core::engine::upload::spec::UploadOptions { precondition, ..plan.options };
    signals.orderly();
    let start = UploadStart { restart: args.restart };
    let journal_name = plan.source.journal_name();
    let upload = client.upload(&session, open(&plan.source), target.clone(), options, start)?;
    match watch(&upload, on_failure, reporter, signals) {
        Ok(outcome) => Ok(Ended::Stored(Box::new(outcome))),
        // An object appeared after the look.
        Err(error) if error.kind() == ErrorKind::Precondition && args.no_overwrite => {
            precheck::abandon(journal_name.as_deref(), &target, client, &session);
            Ok(Ended::Left)
        }
        Err(error) => Err(Stop::Upload { error, resumable: upload.is_resumable() }),
    }
}

/// Waits for the end, telling how far it is; the first signal stops the upload in order.
fn watch(
    upload: &Upload,
    on_failure: OnFailure,
    reporter: &Reporter,
    signals: &Signals,
) -> Result<outlast_core::native::Outcome, Error> {
    let mut cancelled = false;
    loop {
        if let Some(result) = upload.wait_timeout(LOOK_EVERY) {
            reporter.progress(&upload.progress());
            return result;
        }
        if signals.asked() && !cancelled {
            cancelled = true;
            reporter.say("stopping; once more to stop at once");
            upload.cancel(on_failure);
        }
        reporter.progress(&upload.progress());
    }
}

/// The line of a failure before anything was sent.
fn not_begun(failure: Failure) -> Failure {
    if failure.code() == Code::Parked as u8 {
        sign_in(failure, "run the same command again")
    } else {
        failure
    }
}

/// The line with what to do, unless it says so itself, and with what to do then.
fn sign_in(failure: Failure, then: &str) -> Failure {
    let told = failure.line().is_some_and(|line| line.contains("sign in"));
    let first = if told { "" } else { "sign in with `oci session authenticate`, " };
    failure.advise(&format!("{first}then {then}"))
}

/// Why there is no object.
enum Stop {
    /// Before the upload began.
    Before(Failure),
    /// The upload ended without success.
    Upload {
        error: Error,
        /// The same call goes on.
        resumable: bool,
    },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Before(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Before(error.into())
    }
}

impl Stop {
    /// The one line: what happened, what is stored, what to do.
    fn told(self, reporter: &Reporter, interrupted: bool) -> Failure {
        let (error, resumable) = match self {
            Stop::Before(failure) => return failure,
            Stop::Upload { error, resumable } => (error, resumable),
        };
        let stored = match reporter.stored() {
            (0, _) => String::new(),
            (stored, 0) => format!(" ({} are stored)", words::count(stored, "part")),
            (stored, parts) => format!(" ({stored} of {parts} parts are stored)"),
        };
        let kind = error.kind();
        if interrupted && kind == ErrorKind::Cancelled {
            return Failure::new(
                Code::Interrupted,
                if resumable {
                    format!("interrupted; the same command goes on where it stopped{stored}")
                } else {
                    "interrupted; nothing is left to resume".to_owned()
                },
            );
        }
        let failure = Failure::from(error);
        match kind {
            ErrorKind::SignInNeeded if resumable => {
                sign_in(failure, &format!("the same command goes on{stored}"))
            }
            ErrorKind::SignInNeeded => sign_in(failure, "run the same command again"),
            ErrorKind::Network | ErrorKind::Service | ErrorKind::Timeout if resumable => {
                failure.advise(&format!("the same command goes on where it stopped{stored}"))
            }
            _ => failure,
        }
    }
}
