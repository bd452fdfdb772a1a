//! The flags: names and meaning are those of `outlast put`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::value;

/// Uploads with the Outlast component in wasmtime
#[derive(Debug, Parser)]
#[command(name = "outlast-wasm", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload one file; the same command resumes
    Put(Box<PutArgs>),
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per switch of the command line")]
pub(crate) struct PutArgs {
    /// Object Storage namespace; the short form is -ns
    #[arg(long, visible_alias = "namespace-name", value_parser = value::label)]
    pub(crate) namespace: String,
    /// Bucket; the short form is -bn
    #[arg(long, value_parser = value::label)]
    pub(crate) bucket_name: String,
    /// File to upload
    #[arg(long, value_name = "PATH")]
    pub(crate) file: PathBuf,
    /// Object name [default: the file's name without its directories]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Replace an existing object, which is the default here: nobody is asked
    #[arg(long, conflicts_with = "no_overwrite")]
    pub(crate) force: bool,
    /// Fail if the object exists
    #[arg(long)]
    pub(crate) no_overwrite: bool,
    /// Replace the object only if its etag is this one
    #[arg(long, value_name = "ETAG", conflicts_with = "no_overwrite")]
    pub(crate) if_match: Option<String>,

    /// Metadata as a JSON object of texts
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Content type [default: the service's]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Content language
    #[arg(long, value_name = "TEXT")]
    pub(crate) content_language: Option<String>,
    /// Content encoding
    #[arg(long, value_name = "TEXT")]
    pub(crate) content_encoding: Option<String>,
    /// Content disposition
    #[arg(long, value_name = "TEXT")]
    pub(crate) content_disposition: Option<String>,
    /// Cache control
    #[arg(long, value_name = "TEXT")]
    pub(crate) cache_control: Option<String>,
    /// Storage tier [default: the bucket's]
    #[arg(long, value_name = "TIER", value_enum, ignore_case = true)]
    pub(crate) storage_tier: Option<Tier>,
    /// File with the base64 of an AES-256 key that the service encrypts the object with (SSE-C)
    #[arg(long, value_name = "PATH")]
    pub(crate) encryption_key_file: Option<PathBuf>,
    /// OCID of the master key that the service encrypts the object with
    #[arg(long, value_name = "OCID")]
    pub(crate) opc_sse_kms_key_id: Option<String>,

    /// Whether our checksums are compared with what the service stored
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) integrity: Checking,
    /// Additional checksum asked of the service [default: CRC32C]
    #[arg(long, value_name = "ALGORITHM", value_enum, ignore_case = true)]
    pub(crate) opc_checksum_algorithm: Option<SumAlgorithm>,
    /// MD5 of the file (base64) that you vouch for; single put only
    #[arg(long, value_name = "MD5")]
    pub(crate) content_md5: Option<String>,

    /// Part size, MiB [default: 128]; raised by itself when more than 10,000 parts were needed
    #[arg(long, value_name = "MIB", value_parser = value::part_size)]
    pub(crate) part_size: Option<u64>,
    /// Requests in flight, 1 to 1000 [default: 10]
    #[arg(long, value_name = "N", value_parser = value::parallel)]
    pub(crate) parallel_upload_count: Option<u32>,
    /// One request for the whole file, whatever its size
    #[arg(long, conflicts_with_all = ["part_size", "parallel_upload_count"])]
    pub(crate) no_multipart: bool,
    /// Bytes per second, for example 800K or 4M (= 4 MiB/s)
    #[arg(long, value_name = "RATE", value_parser = value::rate)]
    pub(crate) limit_rate: Option<u64>,
    /// Abort the upload when it fails or is interrupted, instead of keeping it for the next run
    #[arg(long)]
    pub(crate) abort_on_failure: bool,
    /// Retries of one part or request before its failure is final
    #[arg(long, value_name = "N", value_parser = value::retries)]
    pub(crate) max_retries: Option<u32>,
    /// How long to wait, parked, for somebody to sign in again: 90s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "0")]
    pub(crate) wait_for_login: Duration,

    /// Configuration file [default: ~/.oci/config] [env: OCI_CLI_CONFIG_FILE]
    #[arg(long, value_name = "PATH")]
    pub(crate) config_file: Option<PathBuf>,
    /// Profile in the configuration file [default: DEFAULT] [env: OCI_CLI_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// How to sign in: api_key or security_token [default: api_key] [env: OCI_CLI_AUTH]
    #[arg(long, value_name = "TYPE")]
    pub(crate) auth: Option<String>,
    /// Region, as a name (eu-frankfurt-1) or a code (fra) [env: OCI_CLI_REGION]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Base URL of object storage, instead of the region's [env: OCI_CLI_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Base URL of the auth service, where sessions are refreshed, instead of the region's
    #[arg(long, value_name = "URL")]
    pub(crate) auth_endpoint: Option<String>,
    /// Allow plain http to other machines; loopback needs no leave
    #[arg(long)]
    pub(crate) allow_http: bool,
    /// Certificate authorities (PEM) [env: OCI_CLI_CERT_BUNDLE, REQUESTS_CA_BUNDLE]
    #[arg(long, value_name = "PATH")]
    pub(crate) cert_bundle: Option<PathBuf>,
    /// Longest time for one connection attempt, seconds
    #[arg(long, value_name = "SECONDS", value_parser = value::seconds, default_value = "10")]
    pub(crate) connection_timeout: u64,
    /// Where uploads are made resumable [default: $XDG_STATE_HOME/outlast, else ~/.local/state/outlast]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Tell every notice on stderr; never a secret
    #[arg(long, short = 'd')]
    pub(crate) debug: bool,

    /// The component [default: outlast.wasm beside this program] [env: OUTLAST_COMPONENT]
    #[arg(long, value_name = "PATH")]
    pub(crate) component: Option<PathBuf>,
    /// Where the compiled component is kept [default: $XDG_CACHE_HOME/outlast, else ~/.cache/outlast]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Compile the component anew
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// `--integrity`
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Checking {
    /// Checksums are computed here and compared with each reply and with the object
    #[default]
    Verify,
    /// Nothing is computed or compared
    Off,
}

/// `--opc-checksum-algorithm`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SumAlgorithm {
    /// CRC-32C
    #[value(name = "CRC32C")]
    Crc32c,
    /// SHA-256
    #[value(name = "SHA256")]
    Sha256,
    /// SHA-384
    #[value(name = "SHA384")]
    Sha384,
}

/// `--storage-tier`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Tier {
    /// For data in use
    #[value(name = "Standard")]
    Standard,
    /// For data seldom read
    #[value(name = "InfrequentAccess")]
    InfrequentAccess,
    /// For data kept
    #[value(name = "Archive")]
    Archive,
}
