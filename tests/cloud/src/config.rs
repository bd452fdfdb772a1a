//! What is fixed for the life of one cloud: addresses, names, where bytes go.

use crate::fault::Fault;
use crate::settings::Settings;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// How to start a cloud. `Config::default()` listens on a free loopback port, keeps bytes in memory and has one bucket.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on. Anything but a loopback address is refused unless `allow_non_loopback` is set.
    pub listen: IpAddr,
    /// Port of the storage face (the auth face and `/_control/` answer there too); 0 picks a free one.
    pub port: u16,
    /// A second listener for the auth face alone; `None` shares the storage listener.
    pub auth_port: Option<u16>,
    /// The TLS face; `None` for none.
    pub tls: Option<Tls>,
    /// Permits listening on addresses other machines can reach. The control interface comes along, unauthenticated.
    pub allow_non_loopback: bool,
    /// Region named in profiles, host names of the test certificate and request ids.
    pub region: String,
    /// The one namespace of this cloud.
    pub namespace: String,
    /// Buckets that exist from the start.
    pub buckets: Vec<String>,
    /// OCID of the tenancy that profiles and tokens name.
    pub tenancy: String,
    /// OCID of the user that tokens name in `sub`.
    pub user: String,
    /// Where object bytes go.
    pub store: Store,
    /// Threads that serve requests.
    pub workers: usize,
    /// Kernel receive buffer of each connection, in bytes; `None` leaves it to the kernel, which may take in several MiB
    /// that the cloud has not read yet.
    pub receive_buffer_bytes: Option<usize>,
    /// Entries the request log keeps; older ones are dropped (`Stats` keeps counting).
    pub log_entries: usize,
    /// Everything that may change while the cloud runs.
    pub settings: Settings,
    /// Faults present from the start.
    pub faults: Vec<Fault>,
}

/// The TLS face: a listener with a certificate of a test authority made at start.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Port; 0 picks a free one.
    pub port: u16,
    /// Where the authority's certificate is written (PEM), for `--cert-bundle` or `REQUESTS_CA_BUNDLE`.
    /// `None`: a file in a temporary directory that goes away with the cloud.
    pub ca_file: Option<PathBuf>,
}

/// Where object bytes go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Kept in memory.
    #[default]
    Memory,
    /// Dropped after their checksums are computed. `GetObject` answers 501.
    Sink,
    /// One file per part in this directory; a part's file is removed with its part, the others stay when the cloud stops.
    Disk(PathBuf),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            auth_port: None,
            tls: None,
            allow_non_loopback: false,
            region: "us-phoenix-1".into(),
            namespace: "labns".into(),
            buckets: vec!["mybucket".into()],
            tenancy: "ocid1.tenancy.oc1..aaaaaaaaoutlastlabtenancy".into(),
            user: "ocid1.user.oc1..aaaaaaaaoutlastlabuser".into(),
            store: Store::Memory,
            workers: 2,
            receive_buffer_bytes: None,
            log_entries: 20_000,
            settings: Settings::default(),
            faults: Vec::new(),
        }
    }
}

impl Config {
    /// The same with bytes dropped after checksumming and only CRC32C computed unasked: for uploads larger than memory.
    #[must_use]
    pub fn sink(mut self) -> Self {
        self.store = Store::Sink;
        self.settings.checks = crate::settings::Checks::Crc32c;
        self
    }

    /// The same with a TLS face on a free port.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = Some(Tls::default());
        self
    }

    /// The same with tokens that live `seconds` (whole seconds on the wire, so up to one second less).
    #[must_use]
    pub fn token_life_s(mut self, seconds: u64) -> Self {
        self.settings.token_life = std::time::Duration::from_secs(seconds);
        self
    }

    /// The same with sessions that can be extended until `seconds` after login.
    #[must_use]
    pub fn horizon_s(mut self, seconds: u64) -> Self {
        self.settings.horizon = std::time::Duration::from_secs(seconds);
        self
    }
}
