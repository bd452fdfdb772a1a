//! Runs Outlast, its floor and its peers against one sink and compares whole processes.
//!
//! Wall time, CPU time and peak memory come from the kernel (`wait4`), so start-up, signing, journal and exit are
//! inside. Contestants take turns, each round in another order, and ratios are formed within a round: a machine that is
//! slow for a while is slow for all. Absolute times belong to the machine they were measured on.
//!
//! See the README beside this crate.

mod contestant;
mod machine;
mod picture;
mod process;
mod report;
mod s3;
mod source;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Parser, ValueEnum};
use outlast_cloud::{Checks, Cloud, Config, Control, Login};

use contestant::{Contestant, Face, Scene};
use process::Usage;
use report::{Report, SceneReport};
use s3::S3;

/// Whole-process measurements of Outlast, a bare pread+write program and other uploaders, side by side.
#[derive(Parser)]
struct Args {
    /// Size of the file, MiB
    #[arg(long, default_value_t = 1024)]
    size_mib: u64,
    /// Part sizes, MiB; each is a scene of its own
    #[arg(long, value_delimiter = ',', default_values_t = [16, 128])]
    part_size: Vec<u64>,
    /// How bytes travel; each is a scene of its own
    #[arg(long, value_delimiter = ',', default_values_t = [Transport::Plain, Transport::Tls])]
    transport: Vec<Transport>,
    /// Requests in flight
    #[arg(long, default_value_t = 15)]
    parallel: u32,
    /// Measured runs of each contestant in each scene
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Only contestants whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// What the sink does: `drop` (in the kernel where it can; checksums are known beforehand) or `verify`
    #[arg(long, default_value_t = Sink::Drop)]
    sink: Sink,
    /// Folder that `peers/install` filled
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Where to write `report.json`, `report.md` and `report.svg`
    #[arg(long)]
    out: Option<PathBuf>,
    /// Folder for the file that is uploaded
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Plain,
    Tls,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sink {
    Drop,
    Verify,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Transport::Tls { "tls" } else { "plain" })
    }
}

impl std::fmt::Display for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Sink::Drop { "drop" } else { "verify" })
    }
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let here = std::env::current_exe()?;
    let bin = here.parent().ok_or("the program has no folder")?.to_owned();
    if !bin.join("outlast").exists() {
        return Err("build the command first: cargo build --release -p outlast-cli".into());
    }
    if args.part_size.iter().any(|part| *part >= args.size_mib) {
        return Err("a file of one part goes in one request, whose checksum the sink does not know; make --size-mib larger".into());
    }
    let dir = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let file = dir.path().join("source.bin");
    source::write(&file, args.size_mib)?;

    let config = Config::default().sink().with_tls().token_life_s(24 * 3600).horizon_s(48 * 3600);
    let cloud = Cloud::start(config)?;
    let control = cloud.control();
    if args.sink == Sink::Drop {
        control.change(|settings| settings.checks = Checks::None);
    }
    let s3 = S3::start()?;
    let profile = control.login(&Login::new("BENCH", dir.path().join("oci")))?;
    let mut report = Report {
        machine: machine::Facts::read(),
        size_mib: args.size_mib,
        parallel: args.parallel,
        sink: args.sink.to_string(),
        scenes: Vec::new(),
    };
    for &transport in &args.transport {
        for &part_mib in &args.part_size {
            let tls = transport == Transport::Tls;
            let endpoint = if tls { cloud.tls_endpoint().ok_or("no TLS face")? } else { cloud.endpoint() };
            let scene = Scene {
                tls,
                part_mib,
                parallel: args.parallel,
                auth_endpoint: endpoint.clone(),
                endpoint,
                s3_endpoint: s3.endpoint.clone(),
                ca_file: cloud.ca_file().ok_or("no authority")?.to_owned(),
                namespace: cloud.config().namespace.clone(),
                bucket: cloud.config().buckets[0].clone(),
                profile: profile.clone(),
                file: file.clone(),
                scratch: dir.path().to_owned(),
                bin: bin.clone(),
                peers: args.peers.clone(),
            };
            if args.sink == Sink::Drop {
                control.foretell(source::checksums(&file, part_mib)?);
            }
            let scene = run(&args, &scene, &Sinks { control: &control, s3: &s3 })?;
            println!("{}", scene.table());
            report.scenes.push(scene);
        }
    }
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("report.json"), serde_json::to_string_pretty(&report)? + "\n")?;
        let tables: Vec<String> = report.scenes.iter().map(SceneReport::table).collect();
        std::fs::write(out.join("report.md"), tables.join("\n"))?;
        std::fs::write(out.join("report.svg"), picture::svg(&report))?;
    }
    Ok(())
}

/// The faces of the sink.
struct Sinks<'a> {
    control: &'a Control,
    s3: &'a S3,
}

impl Sinks<'_> {
    /// Objects so far.
    fn stored(&self, contestant: &Contestant) -> u64 {
        match contestant.face {
            Face::Oci => self.control.stats().committed,
            Face::S3 => self.s3.arrived.completed.load(Ordering::Relaxed),
        }
    }

    /// There must be one more than before.
    fn check(&self, contestant: &Contestant, before: u64) -> Result<(), Failure> {
        if self.stored(contestant) == before + 1 {
            return Ok(());
        }
        Err(format!("{} said it was done and stored no object", contestant.name).into())
    }
}

/// One unmeasured round warms the page cache and shows who can take part; then the measured ones.
fn run(args: &Args, scene: &Scene, sinks: &Sinks<'_>) -> Result<SceneReport, Failure> {
    let wanted = |name: &str| {
        args.only.is_empty() || name == "floor" || args.only.iter().any(|part| name.contains(part.as_str()))
    };
    let mut takes_part = Vec::new();
    for contestant in contestant::ALL.iter().filter(|contestant| wanted(contestant.name)) {
        let Some(mut command) = contestant.command(scene) else {
            eprintln!("{} is not here and does not take part", contestant.name);
            continue;
        };
        let stored = sinks.stored(contestant);
        let first = process::run(&mut command).map_err(|error| format!("{}: {error}", contestant.name));
        if let Err(error) = &first
            && !contestant.name.starts_with("outlast")
            && contestant.name != "floor"
        {
            // A peer that does not get along with the sink is no reason to measure nobody.
            eprintln!("{error}; it does not take part");
            continue;
        }
        first?;
        sinks.check(contestant, stored)?;
        takes_part.push((contestant, Vec::<Usage>::new()));
    }
    for round in 0..args.runs {
        let count = takes_part.len();
        for turn in 0..count {
            let (contestant, runs) = &mut takes_part[(turn + round) % count];
            let mut command = contestant.command(scene).ok_or("a program has vanished")?;
            let stored = sinks.stored(contestant);
            let usage =
                process::run(&mut command).map_err(|error| format!("{}: {error}", contestant.name))?;
            sinks.check(contestant, stored)?;
            runs.push(usage);
        }
    }
    let rows = takes_part
        .into_iter()
        .map(|(contestant, runs)| (contestant.name, contestant.integrity, runs))
        .collect();
    Ok(SceneReport::new(scene.tls, scene.part_mib, rows))
}
