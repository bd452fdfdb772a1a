//! The loopback cloud: object storage and session tokens, served from this machine and stricter than the real service.
//!
//! What lives here: a server that verifies every request signature from the raw request line, keeps multipart uploads,
//! mints and refreshes session tokens whose lives last seconds, and misbehaves on demand. What does not live here:
//! any client code. Nothing in this crate depends on `outlast-core`, so that the two cannot share a mistake.
//!
//! ```no_run
//! use outlast_cloud::{Action, Cloud, Config, Fault, Login, Op};
//! # fn main() -> Result<(), outlast_cloud::Error> {
//! let cloud = Cloud::start(Config::default())?;
//! let control = cloud.control();
//! let profile = control.login(&Login::new("LAB", "/tmp/lab"))?; // config file, key, token: as the official tool writes them
//! control.add_fault(Fault::on(Op::UploadPart).part(3).times(1).act(Action::status(503, "ServiceUnavailable")));
//! println!("{} {}", cloud.endpoint(), profile.config_file.display());
//! # Ok(())
//! # }
//! ```
//!
//! - `http`     the connection loop: heads, bodies, answers, TLS; knows nothing about clouds
//! - `auth`     signatures, tokens, sessions; the refresh, token and identity endpoints
//! - `oauth`    an authorization server with the ways of several: rotation, reuse, graces, and what no client may do
//! - `folio`    the login cookies of FOLIO on both its platforms, and an import that outlives its token
//! - `storage`  buckets, objects, uploads, checksums; the object storage endpoints
//! - `control`  what tests and people use to look inside and to script faults (Rust and `/_control/` over HTTP)

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a server reads clocks; the engine's ban is not meant for it")]

mod auth;
mod clock;
mod cloud;
mod config;
mod control;
mod error;
mod exchange;
mod fault;
mod folio;
mod http;
mod ledger;
mod listener;
mod oauth;
mod op;
mod plan;
mod random;
mod route;
mod seconds;
mod serve;
mod service;
mod settings;
mod storage;

pub use auth::registry::{Revoke, SessionFacts, SessionKind, TokenFacts};
pub use cloud::Cloud;
pub use config::{Config, Store, Tls};
pub use control::Control;
pub use control::oauth::{EndGrant, GrantSpec};
pub use control::profile::{ApiKey, Login, Profile};
pub use error::{Error, ErrorKind};
pub use fault::{Action, At, Cut, Fault, FaultInfo, Mangle, On, RetryAfter, Shows, When};
pub use folio::settings::{FolioSettings, Platform};
pub use ledger::{Entry, Stats};
pub use oauth::client::ClientSpec;
pub use oauth::settings::{
    AssertionAudience, Blast, ErrorStyle, ExpiresIn, LifetimeMember, OauthSettings, Preset, RefreshAnswer,
    Rotation, TokenForm,
};
pub use oauth::store::ChainFacts;
pub use oauth::watch::{Rule, Violation};
pub use op::Op;
pub use serve::{ServeArgs, serve};
pub use settings::{Checks, Expect, RefreshMode, Refusal, SessExp, Settings};
pub use storage::{ObjectInfo, PartInfo, UploadInfo};
