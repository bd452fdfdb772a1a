//! Running a cloud from a command line: the flags, and the process around them.

use crate::cloud::Cloud;
use crate::config::{Config, Store, Tls};
use crate::control::face::merge;
use crate::control::profile::{ApiKey, Login};
use crate::error::{Error, ErrorKind};
use crate::fault::Fault;
use crate::folio::settings::Platform;
use crate::oauth::settings::Preset;
use crate::settings::{Checks, Settings};
use clap::Args;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The flags of a cloud served as a process of its own.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags are what a command line is made of")]
pub struct ServeArgs {
    /// Address to listen on; anything but a loopback address needs --allow-non-loopback
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,
    /// Port of object storage, the auth service and the control interface; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Give the auth service a port of its own; 0 picks a free one
    #[arg(long)]
    pub auth_port: Option<u16>,
    /// Add a TLS face on a free port, and answer CONNECT on the plain port as a proxy that leads to it
    #[arg(long)]
    pub tls: bool,
    /// Port of the TLS face (implies --tls)
    #[arg(long, value_name = "PORT")]
    pub tls_port: Option<u16>,
    /// Write the test authority's certificate here (implies --tls)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Permit an address that other machines can reach (the control interface still answers to this machine only)
    #[arg(long)]
    pub allow_non_loopback: bool,
    /// Region in profiles and in the certificate's names
    #[arg(long, default_value = "us-phoenix-1")]
    pub region: String,
    /// The namespace
    #[arg(long, default_value = "labns")]
    pub namespace: String,
    /// A bucket that exists from the start; may be repeated
    #[arg(long = "bucket", value_name = "NAME", default_value = "mybucket")]
    pub buckets: Vec<String>,
    /// Where object bytes go: `memory`, `sink` (checksummed and dropped) or `disk:DIR`
    #[arg(long, value_name = "STORE", default_value = "memory", value_parser = parse_store)]
    pub store: Store,
    /// Checksums computed unasked: `md5` (MD5 and CRC32C), `crc32c` or `none`
    #[arg(long, value_name = "CHECKS", default_value = "md5", value_parser = parse_checks)]
    pub checks: Checks,
    /// Threads that serve requests
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub workers: usize,
    /// Life of session tokens (`45s`, `10m`, `1h`; whole seconds on the wire, rounded down)
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    pub token_life: Duration,
    /// How long after login a session can be extended
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    pub horizon: Duration,
    /// Bytes per second all uploads together may send (`512K`, `4M` = 4 MiB)
    #[arg(long, value_name = "RATE", value_parser = parse_size)]
    pub bandwidth: Option<u64>,
    /// Kernel receive buffer of each connection; a small one lets clients feel a server that stops reading
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub receive_buffer: Option<u64>,
    /// Run the cloud's clock this many seconds ahead of the machine's (negative: behind)
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true, default_value_t = 0)]
    pub clock_shift: i64,
    /// Change any setting by name, the value as JSON or a bare word: `--set page_size=2 --set expect=ignore`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Make the authorization server behave like `oidc_provider`, `keycloak`, `keycloak_plain`, `dex`, `dot` or `oracle_iot`
    /// (its lifetimes: `--set oauth.access_life_s=30`)
    #[arg(long, value_name = "SERVER", value_parser = parse_preset)]
    pub oauth: Option<Preset>,
    /// Which FOLIO platform answers under /authn: `okapi` or `eureka`
    #[arg(long, value_name = "PLATFORM", value_parser = parse_platform)]
    pub folio: Option<Platform>,
    /// Add a fault rule (JSON as for POST /_control/fault); may be repeated
    #[arg(long = "fault", value_name = "JSON")]
    pub faults: Vec<String>,
    /// Sign in at start and write this session profile into --dir; may be repeated
    #[arg(long = "login", value_name = "PROFILE", requires = "dir")]
    pub logins: Vec<String>,
    /// Register an API key at start and write this profile into --dir; may be repeated
    #[arg(long = "api-key", value_name = "PROFILE", requires = "dir")]
    pub api_keys: Vec<String>,
    /// Directory that takes the part of ~/.oci for the profiles written at start
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print one JSON line per request on stderr
    #[arg(long)]
    pub log: bool,
    /// Stay when stdin closes (otherwise a cloud ends with the process that holds its stdin)
    #[arg(long)]
    pub stay: bool,
}

impl ServeArgs {
    /// What the flags say. Errors: `Invalid` (a setting or a fault that does not parse).
    pub fn config(&self) -> Result<Config, Error> {
        let mut settings = Settings {
            token_life: self.token_life,
            horizon: self.horizon,
            checks: self.checks,
            bandwidth_bytes_per_s: self.bandwidth,
            ..Settings::default()
        };
        if let Some(preset) = self.oauth {
            settings.oauth.take_over(preset);
        }
        if let Some(platform) = self.folio {
            settings.folio.platform = platform;
        }
        let invalid = |what: String| Error::new(ErrorKind::Invalid, what);
        let mut changes = Map::new();
        for pair in &self.set {
            let (name, text) =
                pair.split_once('=').ok_or_else(|| invalid(format!("--set {pair}: no '='")))?;
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            changes.insert(name.to_owned(), value);
        }
        merge(&mut settings, changes).map_err(|fail| invalid(format!("--set: {}", fail.message)))?;
        let fault = |text: &String| {
            serde_json::from_str::<Fault>(text).map_err(|error| invalid(format!("--fault {text}: {error}")))
        };
        let tls = self.tls || self.tls_port.is_some() || self.ca_file.is_some();
        Ok(Config {
            listen: self.listen,
            port: self.port,
            auth_port: self.auth_port,
            tls: tls.then(|| Tls { port: self.tls_port.unwrap_or(0), ca_file: self.ca_file.clone() }),
            allow_non_loopback: self.allow_non_loopback,
            region: self.region.clone(),
            namespace: self.namespace.clone(),
            buckets: self.buckets.clone(),
            store: self.store.clone(),
            workers: self.workers,
            receive_buffer_bytes: self.receive_buffer.and_then(|bytes| usize::try_from(bytes).ok()),
            settings,
            faults: self.faults.iter().map(fault).collect::<Result<_, _>>()?,
            ..Config::default()
        })
    }
}

/// Starts a cloud, prints one line of JSON about it on `out`, and serves until stdin closes (unless `--stay`), SIGTERM or
/// SIGINT. Blocks the calling thread; must not be called inside an asynchronous runtime.
///
/// Line: `endpoint`, `oauth_issuer`, `auth_endpoint`, `tls_endpoint`, `proxy`, `ca_file` (null without TLS), `control`, `namespace`,
/// `buckets`, `region`, `profiles` (what was written for `--login` and `--api-key`).
/// Errors: as `Cloud::start` and `Control::login`; `Listen` if signals cannot be watched or `out` cannot be written.
pub fn serve(args: &ServeArgs, out: &mut dyn Write) -> Result<(), Error> {
    let cloud = Cloud::start(args.config()?)?;
    let control = cloud.control();
    control.set_clock_shift_ms(args.clock_shift.saturating_mul(1000));
    let dir = args.dir.clone().unwrap_or_default();
    let mut profiles = Vec::new();
    for profile in &args.logins {
        profiles.push(control.login(&Login::new(profile, &dir))?);
    }
    for profile in &args.api_keys {
        profiles.push(control.api_key(&ApiKey::new(profile, &dir))?);
    }
    let line = json!({
        "endpoint": cloud.endpoint(),
        "auth_endpoint": cloud.auth_endpoint(),
        "tls_endpoint": cloud.tls_endpoint(),
        "proxy": cloud.proxy(),
        "ca_file": cloud.ca_file(),
        "oauth_issuer": format!("{}/oauth", cloud.endpoint()),
        "control": format!("{}/_control", cloud.endpoint()),
        "namespace": args.namespace,
        "buckets": args.buckets,
        "region": args.region,
        "profiles": profiles,
    });
    let unwritable = |error| Error::io(ErrorKind::Listen, "cannot print where the cloud listens", error);
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(unwritable)?;
    if args.log {
        cloud.follow_log();
    }
    cloud.run_until_told(!args.stay)
}

/// A duration as `90`, `90s`, `1.5s`, `200ms`, `10m`, `2h`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} is no duration: try 45s, 10m or 1h")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no duration: try 45s, 10m or 1h"))?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| format!("{text:?}: {error}"))
}

/// A number of bytes as `1000`, `64K`, `4M`, `1G` (binary units).
fn parse_size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no size: try 512K or 4M"))?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is out of range"))
}

fn parse_store(text: &str) -> Result<Store, String> {
    match text {
        "memory" => Ok(Store::Memory),
        "sink" => Ok(Store::Sink),
        _ => match text.strip_prefix("disk:") {
            Some(dir) if !dir.is_empty() => Ok(Store::Disk(dir.into())),
            _ => Err(format!("{text:?} is none of memory, sink and disk:DIR")),
        },
    }
}

fn parse_preset(text: &str) -> Result<Preset, String> {
    let known = "oidc_provider, keycloak, keycloak_plain, dex, dot and oracle_iot";
    serde_json::from_value(text.replace('-', "_").into()).map_err(|_| format!("{text:?} is none of {known}"))
}

fn parse_platform(text: &str) -> Result<Platform, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{text:?} is none of okapi and eureka"))
}

fn parse_checks(text: &str) -> Result<Checks, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{text:?} is none of md5, crc32c and none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn config(flags: &[&str]) -> Result<Config, String> {
        let line = Line::try_parse_from([&["cloud"], flags].concat()).map_err(|error| error.to_string())?;
        line.args.config().map_err(|error| error.to_string())
    }

    #[test]
    fn flags_make_a_config() {
        let config = config(&[
            "--token-life=30s",
            "--bandwidth=4M",
            "--store=disk:x",
            "--set",
            "page_size=2",
            "--set",
            "refresh=same_expiry",
            "--ca-file=ca.pem",
            r#"--fault={"do":{"kind":"wrong_list_md5"}}"#,
        ])
        .unwrap();
        assert_eq!(config.settings.token_life, Duration::from_secs(30));
        assert_eq!(config.settings.bandwidth_bytes_per_s, Some(4 << 20));
        assert_eq!(config.settings.page_size, 2);
        assert_eq!(config.store, Store::Disk("x".into()));
        assert_eq!(config.faults.len(), 1);
        assert!(config.tls.is_some());
        assert_eq!(config.buckets, ["mybucket"]);
    }

    #[test]
    fn wrong_flags_say_so() {
        for flag in [
            "--set=page_size",
            "--set=nonsense=1",
            "--fault={}",
            "--store=tape",
            "--token-life=soon",
            "--bandwidth=0",
        ] {
            assert!(config(&[flag]).is_err(), "{flag}");
        }
        assert!(config(&["--login=LAB"]).is_err(), "a login needs a directory");
    }
}
