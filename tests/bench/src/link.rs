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
/// What follows a refresh for so long is looked at by itself.
const AFTERMATH: f64 = 1.0;

/// What was seen at one moment.
#[derive(Clone, Copy)]
struct Look {
    /// Seconds since the beginning.
    at: f64,
    bytes: u64,
    refreshes: u64,
}

/// The time between two looks.
#[derive(Clone, Copy)]
struct Stretch {
    /// Seconds since the beginning, at its end.
    at: f64,
    /// Bytes per second.
    rate: f64,
    refreshed: bool,
}

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
    /// Where to write the trace: a line per look: seconds, bytes per second, and 1 if there was a refresh
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
    let look = || {
        let stats = control.stats();
        let at = began.elapsed().as_secs_f64();
        Look { at, bytes: stats.bytes_received, refreshes: stats.refreshes }
    };
    let mut looks = vec![look()];
    while upload.wait_timeout(LOOK).is_none() {
        looks.push(look());
    }
    upload.wait_blocking()?;
    let stretches: Vec<Stretch> = looks
        .windows(2)
        .map(|pair| Stretch {
            at: pair[1].at,
            rate: (pair[1].bytes - pair[0].bytes) as f64 / (pair[1].at - pair[0].at),
            refreshed: pair[1].refreshes > pair[0].refreshes,
        })
        .collect();
    if let Some(path) = &args.trace {
        let line = |it: &Stretch| format!("{:.2} {:.0} {}", it.at, it.rate, u8::from(it.refreshed));
        let lines: Vec<String> = stretches.iter().map(line).collect();
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    report(&args, &looks, &stretches, control.stats().unauthenticated);
    client.close(Duration::from_secs(10))?;
    Ok(())
}

/// From the first byte to the last: the beginning and the end of an upload are requests without bytes.
#[expect(clippy::cast_precision_loss, reason = "rates need no 53 bits")]
fn report(args: &Args, looks: &[Look], stretches: &[Stretch], refused: u64) {
    let link = (args.rate << 20) as f64;
    let most = looks.last().map_or(0, |look| look.bytes);
    let first = looks.iter().rposition(|look| look.bytes == looks[0].bytes).unwrap_or(0);
    let last = looks.iter().position(|look| look.bytes == most).unwrap_or(first);
    let mean = (most - looks[first].bytes) as f64 / (looks[last].at - looks[first].at);
    println!(
        "{:.1} of {} MiB/s ({:.1} %), {} refreshes, {refused} requests refused",
        mean / 1_048_576.0,
        args.rate,
        mean / link * 100.0,
        looks.last().map_or(0, |look| look.refreshes),
    );
    let begins = (first + 2).min(stretches.len());
    let inner = &stretches[begins..last.saturating_sub(2).max(begins)];
    let refreshes: Vec<f64> =
        stretches.iter().filter(|stretch| stretch.refreshed).map(|stretch| stretch.at).collect();
    let is_after =
        |stretch: &&Stretch| refreshes.iter().any(|at| (0.0..=AFTERMATH).contains(&(stretch.at - at)));
    let (after, other): (Vec<&Stretch>, Vec<&Stretch>) = inner.iter().partition(is_after);
    for (when, stretches) in [("within a second of a refresh", after), ("otherwise", other)] {
        if stretches.is_empty() {
            continue;
        }
        let count = f64::from(u32::try_from(stretches.len()).unwrap_or(u32::MAX));
        let mean = stretches.iter().map(|stretch| stretch.rate).sum::<f64>() / count;
        let slowest = stretches.iter().map(|stretch| stretch.rate).fold(f64::MAX, f64::min);
        println!(
            "{when}: {:.1} % of the link on average, slowest quarter of a second {:.0} %",
            mean / link * 100.0,
            slowest / link * 100.0
        );
    }
}
