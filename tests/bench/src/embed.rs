//! Outlast as a Rust program embeds it: a client, a session, one upload.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, SessionSpec, SourceSpec, UploadSource, UploadStart,
};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    auth_endpoint: String,
    #[arg(long)]
    ca_file: Option<PathBuf>,
    #[arg(long)]
    key_file: PathBuf,
    #[arg(long)]
    token_file: PathBuf,
    #[arg(long)]
    namespace: String,
    #[arg(long)]
    bucket: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    file: PathBuf,
    /// MiB
    #[arg(long)]
    part_size: u64,
    #[arg(long)]
    parallel: u32,
    #[arg(long)]
    state_dir: PathBuf,
    /// KiB read at a time
    #[arg(long)]
    block: Option<usize>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut options = ClientOptions {
        state_dir: Some(args.state_dir),
        ca_bundle: args.ca_file,
        ..ClientOptions::default()
    };
    options.io_buffer = args.block.map_or(options.io_buffer, |kib| kib << 10);
    let client = Client::new(options)?;
    let session = client.session(SessionSpec {
        source: SourceSpec::OciSessionFiles {
            key_file: args.key_file,
            key_passphrase: None,
            token_file: args.token_file,
            write: true,
            title: "the benchmark's session".into(),
        },
        endpoints: Endpoints { storage: args.endpoint, auth: args.auth_endpoint },
        wait_for_login: Duration::ZERO,
        timer: false,
    })?;
    let target = Target { namespace: args.namespace, bucket: args.bucket, object: args.name };
    let upload_options = UploadOptions {
        part_size: args.part_size << 20,
        parallel: args.parallel,
        ..UploadOptions::default()
    };
    let source = UploadSource::Path(args.file);
    client.upload(&session, source, target, upload_options, UploadStart::default())?.wait_blocking()?;
    client.close(Duration::from_secs(10))?;
    Ok(())
}
