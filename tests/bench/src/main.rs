//! Runs `outlast put` and the bare uploader, interleaved, against one sink, and compares whole processes.
//!
//! Wall time, CPU time and peak memory come from the kernel (`wait4`), so start-up, signing, journal and exit are
//! inside. Medians and ratios are printed; absolute times belong to the machine they were measured on.
//!
//! `cargo run --release -p outlast-bench -- --size-mib 1024 --part-size 16 --runs 7`

mod machine;
mod process;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use outlast_cloud::{Cloud, Config, Login};
use process::Usage;
use serde::Serialize;

/// Whole-process measurements of `outlast put` beside a bare reqwest uploader with the same checksums.
#[derive(Parser)]
struct Args {
    /// Size of the file, MiB.
    #[arg(long, default_value_t = 1024)]
    size_mib: u64,
    /// Part size, MiB.
    #[arg(long, default_value_t = 16)]
    part_size: u64,
    /// Requests in flight.
    #[arg(long, default_value_t = 15)]
    parallel: u32,
    /// Runs of each contestant; they take turns.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Where to write the results (JSON).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Folder for the file that is uploaded; its page cache state decides what is measured.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Results {
    machine: machine::Facts,
    size_mib: u64,
    part_size_mib: u64,
    parallel: u32,
    contestants: Vec<Contestant>,
}

#[derive(Serialize)]
struct Contestant {
    name: &'static str,
    runs: Vec<Usage>,
    median: Usage,
}

type Failure = Box<dyn std::error::Error>;
/// A contestant's name, how to start it, and what it used so far.
type Turn<'a> = (&'static str, &'a dyn Fn(usize) -> Command, Vec<Usage>);

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let here = std::env::current_exe()?;
    let bin = here.parent().ok_or("the program has no folder")?;
    let outlast = bin.join("outlast");
    if !outlast.exists() {
        return Err("build the command first: cargo build --release -p outlast-cli".into());
    }
    let dir = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let file = dir.path().join("source.bin");
    write_file(&file, args.size_mib)?;

    let cloud = Cloud::start(Config::default().sink().token_life_s(24 * 3600).horizon_s(48 * 3600))?;
    let profile = cloud.control().login(&Login::new("BENCH", dir.path().join("oci")))?;
    let lab = cloud.config();
    let (namespace, bucket) = (lab.namespace.clone(), lab.buckets[0].clone());

    let put = |_: usize| {
        let mut command = Command::new(&outlast);
        command.arg("put").arg("--config-file").arg(&profile.config_file);
        command.args(["--profile", "BENCH", "--auth", "security_token", "--force", "--events", "/dev/null"]);
        command.args(["--endpoint", &cloud.endpoint(), "--auth-endpoint", &cloud.auth_endpoint()]);
        command.args(["-ns", &namespace, "-bn", &bucket, "--name", "object"]).arg("--file").arg(&file);
        command.args(["--part-size", &args.part_size.to_string()]);
        command.args(["--parallel-upload-count", &args.parallel.to_string()]);
        command.arg("--state-dir").arg(dir.path().join("state"));
        command
    };
    let bare = |_: usize| {
        let mut command = Command::new(bin.join("bare-uploader"));
        command.args(["--endpoint", &cloud.endpoint(), "--namespace", &namespace, "--bucket", &bucket]);
        command.args(["--name", "object", "--part-size", &args.part_size.to_string()]);
        command.args(["--parallel", &args.parallel.to_string()]);
        command.arg("--file").arg(&file).arg("--key-file").arg(&profile.key_file);
        command.arg("--token-file").arg(profile.token_file.as_deref().unwrap_or(Path::new("")));
        command
    };
    let idle = |_: usize| {
        let mut command = Command::new(&outlast);
        command.arg("session").arg("show").arg("--config-file").arg(&profile.config_file);
        command.args(["--profile", "BENCH", "--auth", "security_token"]);
        command.args(["--endpoint", &cloud.endpoint(), "--auth-endpoint", &cloud.auth_endpoint()]);
        command
    };
    let mut contestants: Vec<Turn<'_>> =
        vec![("bare reqwest", &bare, vec![]), ("outlast put", &put, vec![]), ("outlast idle", &idle, vec![])];
    // One unmeasured turn each warms the page cache; then they take turns, each round in another order.
    for round in 0..=args.runs {
        let count = contestants.len();
        for turn in 0..count {
            let (name, command, runs) = &mut contestants[(turn + round) % count];
            let usage = process::run(&mut command(round)).map_err(|error| format!("{name}: {error}"))?;
            if round > 0 {
                runs.push(usage);
            }
        }
    }
    let contestants: Vec<Contestant> = contestants
        .into_iter()
        .map(|(name, _, runs)| Contestant { name, median: Usage::median(&runs), runs })
        .collect();
    print_table(&args, &contestants);
    if let Some(out) = &args.out {
        let results = Results {
            machine: machine::Facts::read(),
            size_mib: args.size_mib,
            part_size_mib: args.part_size,
            parallel: args.parallel,
            contestants,
        };
        std::fs::write(out, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}

/// Incompressible and cheap: a counter through a mixer.
fn write_file(path: &Path, mib: u64) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    let mut block = vec![0u8; 1 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..mib {
        for word in block.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.rotate_left(29).to_le_bytes());
        }
        file.write_all(&block)?;
    }
    Ok(())
}

fn print_table(args: &Args, contestants: &[Contestant]) {
    println!(
        "{} MiB in {} MiB parts, {} in flight, {} runs each, medians (range)\n",
        args.size_mib, args.part_size, args.parallel, args.runs
    );
    println!("{:<14} {:>22} {:>22} {:>12}", "", "wall s", "CPU s", "peak MiB");
    for contestant in contestants {
        let of = |pick: fn(&Usage) -> f64| {
            let (low, high) = contestant
                .runs
                .iter()
                .map(pick)
                .fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
            format!("{:.2} ({low:.2}-{high:.2})", pick(&contestant.median))
        };
        let (wall, cpu) = (of(|usage| usage.wall_s), of(Usage::cpu_s));
        println!("{:<14} {wall:>22} {cpu:>22} {:>12.1}", contestant.name, contestant.median.peak_mib);
    }
    if let [bare, put, idle] = contestants {
        println!(
            "\noutlast put / bare reqwest: wall {:.2}, CPU {:.2}; memory over idle {:.1} MiB",
            put.median.wall_s / bare.median.wall_s,
            put.median.cpu_s() / bare.median.cpu_s(),
            put.median.peak_mib - idle.median.peak_mib
        );
    }
}
