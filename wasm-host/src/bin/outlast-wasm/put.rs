//! `outlast-wasm put`

use std::fs::File;

use outlast_core::engine::upload::spec::{OnFailure, Precondition, Target};
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{Notices, Outcome as Stored, Upload, UploadSource};

use crate::args::{ComponentArgs, PutArgs, not_taken_over};
use crate::connect;
use crate::defaults;
use crate::exit::{Failure, Outcome};
use crate::plan::{Plan, Source};
use crate::settings;
use crate::told;

/// Uploads; the result goes to stdout, in the official command line's words.
pub(crate) fn run(args: &PutArgs, component: &ComponentArgs) -> Outcome {
    let warn = |line: &str| eprintln!("{line}");
    let settings = settings::read_all(&args.connect, &warn)?;
    let args = &defaults::fill(args, &settings)?;
    if let Some(flag) = not_taken_over(args) {
        return Err(Failure::usage(format!("{flag} is not taken over by outlast-wasm; use outlast put")));
    }
    let missing = "--namespace (-ns) is missing: outlast-wasm does not ask the service for it";
    let namespace = args.namespace.clone().ok_or_else(|| Failure::usage(missing))?;
    let mut plan = Plan::read(args, &warn)?;
    if args.no_overwrite {
        plan.options.precondition = Precondition::Absent;
    }
    let client = connect::client(args, component, &settings, &plan)?;
    let session = connect::session(args, &settings, &namespace)?;
    let notices = client.subscribe();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no runtime: {error}")))?;
    let on_failure = plan.options.on_failure;
    let stored = runtime.block_on(async {
        let session = client.session(session).await?;
        let target = Target { namespace, bucket: plan.bucket, object: plan.object };
        let upload = client.upload(&session, open(&plan.source)?, target, plan.options).await?;
        tokio::select! {
            stored = finish(&upload, on_failure) => stored,
            () = tell(notices, args.connect.debug) => upload.wait().await,
        }
    })?;
    eprintln!("outlast-wasm: {}", told::summary(&stored));
    let json = serde_json::to_string_pretty(&told::result(&stored.facts));
    println!("{}", json.expect("texts are JSON"));
    Ok(())
}

fn open(source: &Source) -> Result<UploadSource, Error> {
    let name = source.name();
    Ok(match source {
        Source::File { path, .. } => UploadSource::Path(path.clone()),
        Source::Stdin => UploadSource::Reader { reader: Box::new(std::io::stdin()), name },
        Source::Pipe(path) => {
            let file = File::open(path).map_err(|error| {
                Error::new(ErrorKind::Source, format!("{name} cannot be opened: {error}"))
            })?;
            UploadSource::Reader { reader: Box::new(file), name }
        }
    })
}

/// Waits for the end; the first Ctrl-C puts the upload to rest.
async fn finish(upload: &Upload, on_failure: OnFailure) -> Result<Stored, Error> {
    let stored = tokio::select! {
        stored = upload.wait() => return stored.map_err(|error| resumable(upload, error)),
        asked = tokio::signal::ctrl_c() => {
            // Without a handler the signal ends the process, which leaves a resumable upload too.
            if asked.is_ok() {
                upload.cancel(on_failure);
            }
            upload.wait().await
        }
    };
    stored.map_err(|error| resumable(upload, error))
}

fn resumable(upload: &Upload, error: Error) -> Error {
    if !upload.is_resumable() {
        return error;
    }
    Error::new(error.kind(), format!("{error}; the same command resumes")).with_retry(error.retry())
}

/// Tells notices until there are no more.
async fn tell(mut notices: Notices, debug: bool) {
    while let Some(notice) = notices.next().await {
        if debug {
            eprintln!("{notice:?}");
        }
    }
}
