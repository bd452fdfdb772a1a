//! A link of known speed under tokens that end in mid-upload: how much of it is used, and what a refresh costs.
//!
//! `cargo run --release -p outlast-bench --bin bench-link`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use outlast_cloud::{Cloud, Config, Login};
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, SessionSpec, SourceSpec, UploadSource, UploadStart,
};

/// Between two looks at what has arrived.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Parser)]
struct Args {
    /// The link, MiB per second
    #[arg(long, default_value_t = 20)]
    rate: u64,
    /// Length of the upload, seconds at the link's rate
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Life of a token, seconds
    #[arg(long, default_value_t = 10)]
    token_life: u64,
    /// Find the number of requests in flight instead of using this many
    #[arg(long)]
    auto: bool,
    /// Requests in flight; with --auto the most
    #[arg(long, default_value_t = 15)]
    parallel: u32,
    /// Part size, MiB
    #[arg(long, default_value_t = 8)]
    part_size: u64,
    /// Where to write the trace: a line per look, seconds and bytes per second
    #[arg(long)]
    trace: Option<PathBuf>,
}

#[expect(clippy::disallowed_methods, reason = "measuring is this program's purpose")]
#[expect(clippy::cast_precision_loss, reason = "rates need no 53 bits")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let config = Config::default().sink().token_life_s(args.token_life).horizon_s(24 * 3600);
    let cloud = Cloud::start(config)?;
    let control = cloud.control();
    control.change(|settings| settings.bandwidth_bytes_per_s = Some(args.rate << 20));
    let dir = tempfile::tempdir()?;
    let profile = control.login(&Login::new("LINK", dir.path().join("oci")))?;
    let client =
        Client::new(ClientOptions { state_dir: Some(dir.path().join("state")), ..ClientOptions::default() })?;
    let session = client.session(SessionSpec {
        source: SourceSpec::OciSessionFiles {
            key_file: profile.key_file.clone(),
            key_passphrase: None,
            token_file: profile.token_file.clone().ok_or("no token file")?,
            write: true,
            title: "the session of this measurement".into(),
        },
        endpoints: Endpoints { storage: cloud.endpoint(), auth: cloud.auth_endpoint() },
        wait_for_login: Duration::ZERO,
        timer: false,
    })?;
    let size = (args.rate * args.seconds) << 20;
    let file = dir.path().join("source.bin");
    // Zeros do: the sink looks at nothing but checksums.
    std::fs::File::create(&file)?.set_len(size)?;
    let target = Target {
        namespace: cloud.config().namespace.clone(),
        bucket: cloud.config().buckets[0].clone(),
        object: "object".into(),
    };
    let options = UploadOptions {
        part_size: args.part_size << 20,
        parallel: args.parallel,
        adaptive: args.auto,
        ..UploadOptions::default()
    };
    let upload =
        client.upload(&session, UploadSource::Path(file), target, options, UploadStart::default())?;

    let began = Instant::now();
    let mut looks: Vec<(f64, u64)> = vec![(0.0, control.stats().bytes_received)];
    while upload.wait_timeout(LOOK).is_none() {
        looks.push((began.elapsed().as_secs_f64(), control.stats().bytes_received));
    }
    upload.wait_blocking()?;
    let rates: Vec<(f64, f64)> = looks
        .windows(2)
        .map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) as f64 / (pair[1].0 - pair[0].0)))
        .collect();
    if let Some(path) = &args.trace {
        let lines: Vec<String> = rates.iter().map(|(at, rate)| format!("{at:.2} {rate:.0}")).collect();
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    let link = (args.rate << 20) as f64;
    // From the first byte to the last: the beginning and the end of an upload are requests without bytes.
    let first = looks.iter().rposition(|(_, bytes)| *bytes == looks[0].1).unwrap_or(0);
    let (last, _) =
        looks.iter().enumerate().max_by_key(|(_, (_, bytes))| *bytes).ok_or("nothing was seen")?;
    let last = looks.iter().position(|(_, bytes)| *bytes == looks[last].1).unwrap_or(last);
    let mean = (looks[last].1 - looks[first].1) as f64 / (looks[last].0 - looks[first].0);
    let inner =
        &rates[(first + 2).min(rates.len())..last.saturating_sub(2).max((first + 2).min(rates.len()))];
    let deepest = inner.iter().map(|(_, rate)| *rate).fold(f64::MAX, f64::min);
    let refreshes = control.stats().refreshes;
    println!(
        "{:.1} of {} MiB/s ({:.1} %), {refreshes} refreshes, refused parts {}, slowest quarter second {:.1} MiB/s ({:.0} %)",
        mean / 1_048_576.0,
        args.rate,
        mean / link * 100.0,
        control.stats().unauthenticated,
        deepest / 1_048_576.0,
        deepest / link * 100.0,
    );
    client.close(Duration::from_secs(10))?;
    Ok(())
}
