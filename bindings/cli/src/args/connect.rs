//! Flags every command that talks to a service has: the official command line's global flags, and ours.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value;

/// Which account, where, and how to get there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Account and connection")]
#[expect(clippy::struct_excessive_bools, reason = "one per switch of the command line")]
pub(crate) struct ConnectArgs {
    /// Configuration file [default: ~/.oci/config] [env: OCI_CLI_CONFIG_FILE]
    #[arg(long, value_name = "PATH")]
    pub(crate) config_file: Option<PathBuf>,
    /// Profile in the configuration file [default: DEFAULT] [env: OCI_CLI_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// File with defaults for flags [default: ~/.oci/oci_cli_rc] [env: OCI_CLI_RC_FILE]
    #[arg(long, alias = "defaults-file", value_name = "PATH")]
    pub(crate) cli_rc_file: Option<PathBuf>,
    /// How to sign in: api_key or security_token [default: api_key] [env: OCI_CLI_AUTH]
    #[arg(long, value_name = "TYPE")]
    pub(crate) auth: Option<String>,
    /// Region, as a name (eu-frankfurt-1) or a code (fra) [env: OCI_CLI_REGION]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Base URL of object storage, instead of the region's [env: OCI_CLI_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Base URL of the auth service, where sessions are refreshed, instead of the region's
    #[arg(long, value_name = "URL")]
    pub(crate) auth_endpoint: Option<String>,
    /// Use the endpoint that is specific to the realm and namespace
    #[arg(long)]
    pub(crate) realm_specific_endpoint: bool,
    /// Use the endpoint that answers over IPv4 and IPv6
    #[arg(long)]
    pub(crate) enable_dual_stack: bool,
    /// Allow plain http to other machines; loopback needs no leave
    #[arg(long)]
    pub(crate) allow_http: bool,
    /// Certificate authorities (PEM) [env: OCI_CLI_CERT_BUNDLE, REQUESTS_CA_BUNDLE]
    #[arg(long, value_name = "PATH")]
    pub(crate) cert_bundle: Option<PathBuf>,
    /// Proxy for all requests [env: HTTPS_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Longest time for one connection attempt, seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = value::seconds)]
    pub(crate) connection_timeout: Option<u64>,
    /// Longest time without a byte in either direction, seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = value::seconds)]
    pub(crate) read_timeout: Option<u64>,
    /// Send every request once; refused credentials are still replaced
    #[arg(long, conflicts_with = "max_retries")]
    pub(crate) no_retry: bool,
    /// Retries of one part or request before its failure is final [default: 7]
    #[arg(long, value_name = "N", value_parser = value::retries)]
    pub(crate) max_retries: Option<u32>,
    /// Sent as opc-client-request-id, for finding the requests in the service's logs
    #[arg(long = "opc-client-request-id", aliases = ["request-id", "opc-request-id"], value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Where upload journals are kept [default: $XDG_STATE_HOME/outlast, else ~/.local/state/outlast]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Tell every request and decision on stderr; never a secret
    #[arg(long, short = 'd')]
    pub(crate) debug: bool,
}

/// How results are printed on stdout.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Format of the result [default: json]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) output: Option<Format>,
    /// JMESPath expression that picks from the result
    #[arg(long, value_name = "JMESPATH")]
    pub(crate) query: Option<String>,
    /// Print a result that is a text without its quotes
    #[arg(long)]
    pub(crate) raw_output: bool,
}

/// A format for results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON, keys sorted
    #[default]
    Json,
    /// A table for people
    Table,
}
