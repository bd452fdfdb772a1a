//! The native driver: carries the engine's decisions out with tokio and reqwest.
//!
//! One thread ([`driver`], `outlast-engine`) owns the [`crate::engine::Engine`]. Everything reaches it as a message:
//! what callers want, and what became of commands. It never waits for anything but messages. Commands become tasks
//! of a runtime of its own ([`carry`]); each task holds a [`ticket`] that answers even if the task is cancelled or
//! panics, so the engine's promise of exactly one terminal event per command holds.
//!
//! Where to look: requests and answers in [`http`], with [`endpoint`], [`tls`] and [`meter`] (stalls, progress);
//! bytes in [`content`], [`stream`], [`buffer`], [`range`], [`body`], [`limiter`] and [`md5`]; files of uploads in [`journal`] and
//! [`lockfile`]; credentials in [`source`] and [`watch`]; callers' handles in [`client`], [`session`], [`job`], [`upload`],
//! [`notices`] and [`calls`], with the current lease in [`published`] and the record of hand-overs in [`audit`], which wait through [`reply`] on any executor or none.
//!
//! What must not live here: decisions. When to refresh, retry, give up or resume is the engine's business.
// The engine takes clocks and threads as arguments; this is where they come from.
#![allow(clippy::disallowed_methods)]
// Links to private items are for readers of the source.
#![allow(rustdoc::private_intra_doc_links)]

mod audit;
mod body;
mod buffer;
mod calls;
mod carry;
mod client;
mod clock;
mod content;
mod driver;
mod endpoint;
mod http;
mod job;
pub mod journal;
mod limiter;
mod lockfile;
mod md5;
mod message;
mod meter;
mod notices;
mod options;
mod os;
mod published;
mod range;
mod reply;
mod run;
pub mod secrets;
mod session;
pub mod sign_in;
pub mod source;
mod stream;
mod ticket;
mod trace;
mod upload;
pub mod vault;
mod waiting;
mod watch;
mod web;
#[cfg(test)]
mod wire_tests;

pub use bytes::Bytes;
pub use client::Client;
pub use job::{Job, JobSpec, end_job};
pub use notices::Notices;
pub use options::{ClientOptions, default_state_dir};
pub use os::spawn_quiet;
pub use session::{Endpoints, Hold, ServiceSpec, Session, SessionSpec, Signed};
pub use source::{Source, SourceSpec};
pub use trace::Trace;
pub use upload::{Upload, UploadSource, UploadStart};
pub use web::{Post, Web};

pub use crate::engine::machine::Expected;
pub use crate::engine::upload::{Outcome, Progress};
