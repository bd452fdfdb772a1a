//! The Outlast component in wasmtime: for host applications that load plugins instead of linking libraries.
//!
//! A component computes; this crate decides what it may touch. It is granted authorities and folders ([`Grants`]),
//! bounded in memory, time and handles ([`Limits`]), and sends through connections that are pooled. It sees no
//! environment, no arguments and no other file, and learns no secret but the ones its session names.
//!
//! Names and types are those of `outlast_core::native`, so that a program can use either:
//!
//! ```no_run
//! use outlast_core::engine::upload::spec::{Target, UploadOptions};
//! use outlast_wasm_host::{Client, ClientOptions, Endpoints, Plugin, PluginOptions, SessionSpec, SourceSpec, UploadSource};
//!
//! # async fn put() -> Result<(), outlast_core::Error> {
//! let plugin = Plugin::load("outlast.wasm", &PluginOptions::default())?;
//! let client = Client::new(plugin, ClientOptions::default())?;
//! let session = client
//!     .session(SessionSpec {
//!         source: SourceSpec::OciSessionFiles {
//!             key_file: "/home/me/.oci/sessions/LAB/oci_api_key.pem".into(),
//!             key_passphrase: None,
//!             token_file: "/home/me/.oci/sessions/LAB/token".into(),
//!             write: true,
//!         },
//!         endpoints: Endpoints {
//!             storage: "https://objectstorage.us-phoenix-1.oraclecloud.com".into(),
//!             auth: "https://auth.us-phoenix-1.oraclecloud.com".into(),
//!         },
//!         wait_for_login: std::time::Duration::ZERO,
//!     })
//!     .await?;
//! let target = Target { namespace: "ns".into(), bucket: "backups".into(), object: "db.dump".into() };
//! let source = UploadSource::Path("/backups/db.dump".into());
//! let upload = client.upload(&session, source, target, UploadOptions::default()).await?;
//! println!("{} bytes", upload.wait().await?.size);
//! # Ok(())
//! # }
//! ```
//!
//! Where to look: what is granted in [`grants`] and [`limits`]; requests in [`sender`]; the component's life in
//! [`plugin`] (compiled, cached in [`cache`]), [`instance`] (its bounds) and [`driver`] (its thread; [`feed`] brings it
//! streams, [`supplier`] credentials); callers' handles
//! in [`client`], [`session`], [`upload`] and [`notices`]. What must not live here: decisions about uploads and
//! sessions, which are the component's.
#![deny(unsafe_code)]
// The engine takes clocks and threads as arguments; a host is where they come from.
#![allow(clippy::disallowed_methods)]
// Octal masks say what they mean.
#![allow(clippy::verbose_bit_mask)]
// Links to private items are for readers of the source.
#![allow(rustdoc::private_intra_doc_links)]

pub mod bindings;
mod cache;
mod client;
mod convert;
mod driver;
mod feed;
mod grants;
mod instance;
mod limits;
mod lock;
mod notices;
mod plugin;
mod sender;
mod session;
mod spec;
mod stop;
mod supplier;
mod upload;

pub use client::{Client, ClientOptions};
pub use grants::{Folder, Grants};
pub use instance::{Instance, SessionHandle, UploadHandle};
pub use limits::Limits;
pub use notices::Notices;
pub use plugin::{Plugin, PluginOptions};
pub use sender::Sender;
pub use session::{Request, Session, Signed};
pub use spec::{Endpoints, SessionSecret, SessionSpec, SourceSpec};
pub use stop::Stop;
pub use supplier::{Credential, Supplier};
pub use upload::{Upload, UploadSource};

pub use outlast_core::engine::upload::{Outcome, Progress};
