//! A host application: grants, a session, an upload with progress, and the end in good order.
//!
//! `cargo run --release --example embed -- outlast.wasm KEY TOKEN ENDPOINT NAMESPACE BUCKET FILE`

use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::upload::spec::{OnFailure, Target, UploadOptions};
use outlast_wasm_host::{
    Client, ClientOptions, Endpoints, Limits, Plugin, PluginOptions, SessionSpec, SourceSpec, UploadSource,
};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, key, token, endpoint, namespace, bucket, file] = arguments.as_slice() else {
        return Err("usage: embed COMPONENT KEY TOKEN ENDPOINT NAMESPACE BUCKET FILE".into());
    };
    let temporary = std::env::temp_dir();
    let cache_dir = Some(temporary.join("outlast-embed-cache"));
    let plugin = Plugin::load(component, &PluginOptions { cache_dir })?;
    let client = Client::new(
        plugin,
        ClientOptions {
            state_dir: Some(temporary.join("outlast-embed-state")),
            limits: Limits { memory_bytes: 64 << 20, ..Limits::default() },
            ..ClientOptions::default()
        },
    )?;
    let mut notices = client.subscribe();
    // The session's files and endpoints are all that its component is granted.
    let session = client
        .session(SessionSpec {
            source: SourceSpec::OciSessionFiles {
                key_file: key.into(),
                key_passphrase: None,
                token_file: token.into(),
                write: true,
            },
            endpoints: Endpoints { storage: endpoint.clone(), auth: endpoint.clone() },
            wait_for_login: Duration::ZERO,
        })
        .await?;
    let object = file.rsplit('/').next().unwrap_or(file).to_owned();
    let target = Target { namespace: namespace.clone(), bucket: bucket.clone(), object };
    let options = UploadOptions { part_size: 16 << 20, ..UploadOptions::default() };
    let upload = client.upload(&session, UploadSource::Path(file.into()), target, options).await?;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    let outcome = loop {
        tokio::select! {
            outcome = upload.wait() => break outcome,
            Some(notice) = notices.next() => match notice {
                Notice::PartStarted { .. } | Notice::PartStored { .. } => {}
                other => println!("{other:?}"),
            },
            _ = look.tick() => {
                let progress = upload.progress();
                println!("{} of {:?} bytes, {} parts in flight", progress.stored, progress.total, progress.parts_in_flight);
            }
            asked = tokio::signal::ctrl_c() => {
                asked?;
                upload.cancel(OnFailure::Retain);
            }
        }
    };
    let outcome = outcome?;
    println!("{} bytes in {} parts, etag {:?}", outcome.size, outcome.parts, outcome.facts.etag);
    Ok(())
}
