//! The flags of `outlast put`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::connect::{ConnectArgs, OutputArgs};
use super::value;

/// Everything `outlast put` takes. Names, aliases and defaults are those of `oci os object put`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What and where")]
#[expect(clippy::struct_excessive_bools, reason = "one per switch of the command line")]
pub(crate) struct PutArgs {
    /// Bucket (required); the short form is -bn
    #[arg(long, value_name = "BUCKET", value_parser = value::label)]
    pub(crate) bucket_name: Option<String>,
    /// Object Storage namespace; the short form is -ns [default: asked of the service]
    #[arg(long, visible_alias = "namespace-name", value_name = "NAMESPACE", value_parser = value::label)]
    pub(crate) namespace: Option<String>,
    /// File to upload, or - for stdin
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) file: Option<PathBuf>,
    /// Object name [default: the file's name without its directories]; required for stdin
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Values for flags not given here, as JSON: file://PATH or the text itself
    #[arg(long, value_name = "JSON")]
    pub(crate) from_json: Option<String>,

    /// Replace an existing object without asking
    #[arg(long, conflicts_with = "no_overwrite", help_heading = "If the object exists")]
    pub(crate) force: bool,
    /// Leave an existing object alone: say so and exit 0
    #[arg(long, help_heading = "If the object exists")]
    pub(crate) no_overwrite: bool,
    /// Replace the object only if its etag is this one
    #[arg(long, value_name = "ETAG", help_heading = "If the object exists")]
    pub(crate) if_match: Option<String>,

    /// Metadata as a JSON object of texts, or file://PATH
    #[arg(long, value_name = "JSON", help_heading = "Object properties")]
    pub(crate) metadata: Option<String>,
    /// Content type; auto guesses it from the file's name [default: the service's]
    #[arg(long, value_name = "TYPE", help_heading = "Object properties")]
    pub(crate) content_type: Option<String>,
    /// Content language
    #[arg(long, value_name = "TEXT", help_heading = "Object properties")]
    pub(crate) content_language: Option<String>,
    /// Content encoding
    #[arg(long, value_name = "TEXT", help_heading = "Object properties")]
    pub(crate) content_encoding: Option<String>,
    /// Content disposition
    #[arg(long, value_name = "TEXT", help_heading = "Object properties")]
    pub(crate) content_disposition: Option<String>,
    /// Cache control
    #[arg(long, value_name = "TEXT", help_heading = "Object properties")]
    pub(crate) cache_control: Option<String>,
    /// Storage tier [default: the bucket's]
    #[arg(long, value_name = "TIER", value_enum, ignore_case = true, help_heading = "Object properties")]
    pub(crate) storage_tier: Option<Tier>,
    /// File with the base64 of an AES-256 key that the service encrypts the object with (SSE-C)
    #[arg(long, value_name = "PATH", help_heading = "Object properties")]
    pub(crate) encryption_key_file: Option<PathBuf>,
    /// OCID of the master key that the service encrypts the object with
    #[arg(long, value_name = "OCID", help_heading = "Object properties")]
    pub(crate) opc_sse_kms_key_id: Option<String>,

    /// Whether our checksums are compared with what the service stored
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "Integrity")]
    pub(crate) integrity: Checking,
    /// Additional checksum asked of the service [default: CRC32C]
    #[arg(long, value_name = "ALGORITHM", value_enum, ignore_case = true, help_heading = "Integrity")]
    pub(crate) opc_checksum_algorithm: Option<SumAlgorithm>,
    /// Print the checksum that agreed; comparing itself is the default
    #[arg(long, help_heading = "Integrity")]
    pub(crate) verify_checksum: bool,
    /// MD5 of the file (base64) that you vouch for; single put only
    #[arg(long, value_name = "MD5", help_heading = "Integrity")]
    pub(crate) content_md5: Option<String>,
    /// CRC-32C of the file (base64) that you vouch for; single put only
    #[arg(long, value_name = "CRC32C", help_heading = "Integrity")]
    pub(crate) opc_content_crc32c: Option<String>,
    /// SHA-256 of the file (base64) that you vouch for; single put only
    #[arg(long, value_name = "SHA256", help_heading = "Integrity")]
    pub(crate) opc_content_sha256: Option<String>,
    /// SHA-384 of the file (base64) that you vouch for; single put only
    #[arg(long, value_name = "SHA384", help_heading = "Integrity")]
    pub(crate) opc_content_sha384: Option<String>,

    /// Part size, MiB [default: 128; stdin: 10]; raised by itself when more than 10,000 parts were needed
    #[arg(long, value_name = "MIB", value_parser = value::part_size, help_heading = "Transfer")]
    pub(crate) part_size: Option<u64>,
    /// Requests in flight, 1 to 1000 [default: 10]; auto finds out how many the link can use, up to 100
    #[arg(long, value_name = "N", value_parser = value::parallel, help_heading = "Transfer")]
    pub(crate) parallel_upload_count: Option<value::Parallel>,
    /// One request at a time
    #[arg(long, conflicts_with = "parallel_upload_count", help_heading = "Transfer")]
    pub(crate) disable_parallel_uploads: bool,
    /// One request for the whole file, whatever its size
    #[arg(long, conflicts_with_all = ["part_size", "parallel_upload_count"], help_heading = "Transfer")]
    pub(crate) no_multipart: bool,
    /// Bytes per second, for example 800K or 4M (= 4 MiB/s)
    #[arg(long, value_name = "RATE", value_parser = value::rate, help_heading = "Transfer")]
    pub(crate) limit_rate: Option<u64>,
    /// Abort what an earlier run of this command left and begin anew
    #[arg(long, help_heading = "Transfer")]
    pub(crate) restart: bool,
    /// Abort the upload when it fails or is interrupted, instead of keeping it for the next run
    #[arg(long, help_heading = "Transfer")]
    pub(crate) abort_on_failure: bool,

    /// How long to wait, parked, for somebody to sign in again: 90s, 10m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "0", help_heading = "Session")]
    pub(crate) wait_for_login: Duration,
    /// With --auth api_key: upload under sessions of so many minutes (5 to 60), minted from the key as needed
    #[arg(long, value_name = "MINUTES", value_parser = value::mint_minutes, help_heading = "Session")]
    pub(crate) mint_session: Option<u32>,

    /// A profile with an API key that takes over when the session would end before the upload does, or has ended; it is
    /// checked first, and the change goes into the audit log
    #[arg(long, value_name = "PROFILE", help_heading = "Session")]
    pub(crate) service_profile: Option<String>,
    /// Where it is recorded who acts on whose behalf, appended as NDJSON [default: audit.ndjson in the state directory]
    #[arg(long, value_name = "FILE", requires = "service_profile", help_heading = "Session")]
    pub(crate) audit_log: Option<PathBuf>,

    /// Write what happens as NDJSON to this file, or - for stderr
    #[arg(long, value_name = "FILE", help_heading = "Reporting")]
    pub(crate) events: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `--integrity`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Checking {
    /// Checksums are computed here and compared with each reply and with the object
    #[default]
    Verify,
    /// Nothing is computed or compared
    Off,
}

/// `--opc-checksum-algorithm`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
