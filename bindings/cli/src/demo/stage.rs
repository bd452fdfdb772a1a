//! The stage: a loopback cloud with short tokens, a profile, and a file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use outlast_cloud::{Cloud, Config, Control, Login, Store};
use outlast_core::engine::checksum::{Hasher, Wanted};
use tempfile::TempDir;

use crate::args::DemoArgs;
use crate::exit::{Code, Failure, Outcome};
use crate::words;

const MIB: u64 = 1 << 20;
/// Profile of the demonstration.
pub(super) const PROFILE: &str = "DEMO";
/// Bucket of the demonstration.
pub(super) const BUCKET: &str = "demo";
/// Requests in flight: few, so that they can be told apart in the picture.
pub(super) const PARALLEL: u32 = 4;
/// Parts the file is cut into, about.
const PARTS: u64 = 64;
/// Smallest file that makes a story, bytes.
const LEAST: u64 = 8 * MIB;
/// Up to this size the object is compared byte for byte, beyond it by checksum.
const COMPARED_WHOLE: u64 = 1 << 30;
/// Of the time, so much passes while nothing is sent: start, kill, comparison.
const IDLE: f64 = 2.5;

/// Everything a run needs.
pub(super) struct Stage {
    cloud: Cloud,
    dir: TempDir,
    pub(super) file: PathBuf,
    pub(super) size: u64,
    pub(super) part_mib: u64,
    pub(super) token_life: Duration,
    pub(super) config_file: PathBuf,
    /// Bytes per second that the upload may take.
    pub(super) rate: u64,
    pub(super) seconds: u64,
}

impl Stage {
    /// Sets it: starts the cloud, signs in, makes the file.
    pub(super) fn set(args: &DemoArgs) -> Outcome<Stage> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(Code::Failure, format!("the demonstration cannot be set up: {what}: {error}"))
        };
        let dir = tempfile::Builder::new()
            .prefix("outlast-demo-")
            .tempdir()
            .map_err(|error| failed("temporary directory", &error))?;
        let (file, size) = if let Some(path) = &args.file {
            given(path)?
        } else {
            let path = dir.path().join("demo.bin");
            make(&path, args.size * MIB).map_err(|error| failed("the file", &error))?;
            (path, args.size * MIB)
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "about"
        )]
        let rate = (size as f64 / (args.seconds as f64 - IDLE)) as u64;
        let token_life = Duration::from_secs((args.seconds * 4 / 15).clamp(5, 60));
        let mut config = Config {
            buckets: vec![BUCKET.into()],
            namespace: "loopback".into(),
            store: Store::Disk(dir.path().join("cloud")),
            ..Config::default()
        };
        config.settings.token_life = token_life;
        let cloud = Cloud::start(config).map_err(|error| failed("the loopback cloud", &error))?;
        let profile = cloud
            .control()
            .login(&Login::new(PROFILE, dir.path().join("oci")))
            .map_err(|error| failed("signing in", &error))?;
        Ok(Stage {
            cloud,
            dir,
            file,
            size,
            part_mib: size.div_ceil(PARTS * MIB).max(1),
            token_life,
            config_file: profile.config_file,
            rate,
            seconds: args.seconds,
        })
    }

    /// The cloud's insides.
    pub(super) fn control(&self) -> Control {
        self.cloud.control()
    }

    /// Where the cloud listens.
    pub(super) fn endpoint(&self) -> String {
        self.cloud.endpoint()
    }

    /// The directory that goes away.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The object's name: the file's.
    pub(super) fn object(&self) -> String {
        self.file.file_name().map_or_else(|| "demo.bin".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Whether every byte is compared, not checksums alone.
    pub(super) fn is_compared_whole(&self) -> bool {
        self.size <= COMPARED_WHOLE
    }

    /// Whether the stored object is the file; says how that was found.
    pub(super) fn compare(&self) -> Outcome<String> {
        let (control, object) = (self.control(), self.object());
        let stored = control.object(BUCKET, &object);
        let stored = stored.ok_or_else(|| Failure::new(Code::Failure, "the object is not in the bucket"))?;
        let unreadable = |error: &dyn std::fmt::Display| {
            Failure::new(Code::Failure, format!("comparing file and object: {error}"))
        };
        let mut hasher = Hasher::new(Wanted { crc32c: true, ..Wanted::default() });
        let mut same = stored.size == self.size;
        let mut file = File::open(&self.file).map_err(|error| unreadable(&error))?;
        let mut bytes = self
            .is_compared_whole()
            .then(|| control.object_bytes(BUCKET, &object))
            .transpose()
            .map_err(|error| unreadable(&error))?;
        let mut block = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = file.read(&mut block).map_err(|error| unreadable(&error))?;
            if read == 0 {
                break;
            }
            hasher.update(&block[..read]);
            same &= bytes.as_ref().is_none_or(|bytes| bytes.get(at..at + read) == Some(&block[..read]));
            at += read;
        }
        let ours = hasher.finish().crc32c_base64().unwrap_or_default();
        same &= stored.crc32c.as_deref() == Some(&ours);
        if !same {
            return Err(Failure::new(Code::Failure, "the stored object is not the file"));
        }
        Ok(match bytes.take() {
            Some(bytes) => {
                format!("object and file are the same {} bytes, one by one (CRC-32C {ours})", bytes.len())
            }
            None => format!("object and file have the same {} bytes by CRC-32C ({ours})", stored.size),
        })
    }

    /// Cleans up, or keeps everything.
    pub(super) fn clear(self, keep: bool) {
        self.cloud.stop();
        if keep {
            let _ = self.dir.keep();
        }
    }
}

fn given(path: &Path) -> Outcome<(PathBuf, u64)> {
    let unusable = |why: &str| Failure::usage(format!("--file {} cannot be used: {why}", path.display()));
    let facts = std::fs::metadata(path).map_err(|error| unusable(&words::trouble(&error)))?;
    if !facts.is_file() {
        return Err(unusable("it is not a file"));
    }
    if facts.len() < LEAST {
        return Err(unusable("it has less than 8 MiB, too little for a story"));
    }
    Ok((path.to_owned(), facts.len()))
}

/// Writes a file that no compression and no pattern helps with.
fn make(path: &Path, size: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    // xorshift64* (Vigna 2016); any seed but 0 does.
    let mut state = words::now().0.unsigned_abs() | 1;
    for _ in 0..size / 8 {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        file.write_all(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes())?;
    }
    file.flush()
}
