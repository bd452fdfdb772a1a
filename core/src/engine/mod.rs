//! The engine: pure decisions, no I/O.
//!
//! A driver feeds [`Event`]s in and carries [`Command`]s out:
//! `handle(event, now)`, `handle_timeout(now)`, `poll_command()`, `poll_timeout()`, `poll_notice()`.
//! Commands carry references to bytes, never part bytes. Each command with an id gets exactly one terminal
//! event; events with unknown ids are ignored, because late replies are normal.
//!
//! Reading order: [`time`], [`error`], [`credential`], [`session`], [`upload`], [`command`], then the composite
//! [`Engine`]. The service's dialect lives in [`wire`], its signatures in [`sign`].
#![forbid(unsafe_code)]

pub mod chain;
pub mod checksum;
pub mod claims;
pub mod command;
pub mod config;
#[cfg(any(test, target_family = "wasm"))]
mod crc_fold;
pub mod credential;
pub mod error;
pub mod machine;
pub mod provider;
pub mod random;
pub mod secret;
pub mod session;
pub mod sessions_file;
pub mod sign;
pub mod time;
pub mod upload;
pub mod wire;

pub use command::{Command, CommandId, Event, Notice, SessionId, UploadId};
pub use machine::Engine;
