//! The C ABI: `include/outlast.h` is generated from this crate, and is its reference manual.
//!
//! | file               | noun                                                                   |
//! |--------------------|------------------------------------------------------------------------|
//! | `status.rs`        | status codes, one table with `ErrorKind`                               |
//! | `handle.rs`        | handles: numbers in pointer's clothing, looked up in a table           |
//! | `view.rs`          | memory that the host lends: texts, structs, out parameters             |
//! | `host.rs`          | functions that the host gives: callbacks, and who frees their data     |
//! | `fork.rs`          | noticing that this process is a forked child                           |
//! | `guard.rs`         | around every call: no panic gets out, errors become objects            |
//! | `hub.rs`           | the thread that turns notices into events for queues and callbacks     |
//! | the rest           | one file per noun of the header                                        |
//!
//! What must not live here: decisions, and anything a second binding would have to repeat.
//! Unsafe code is in `view.rs`, `host.rs`, `fork.rs`, and in the first lines of exported functions, where raw arguments
//! become [`view`] types.
#![allow(non_camel_case_types)]
// Threads and clocks belong to drivers; this is one.
#![allow(clippy::disallowed_methods)]
// The contract of all exported functions stands at the head of the header (`header/src/head.txt`), once.
#![allow(clippy::missing_safety_doc)]

// The order of these is the order of the header.
mod version;

mod status;

mod view;

mod host;

mod error;

mod event;

mod queue;

mod client;

mod callback;

mod session;

mod open;

mod service;

mod supply;

mod headers;

mod upload_options;

mod upload;

mod writer;

// What the header does not show.
mod fork;
mod guard;
mod handle;
mod hub;

pub use callback::*;
pub use client::*;
pub use error::*;
pub use event::*;
pub use headers::*;
pub use host::{outlast_debug_fn, outlast_event_fn, outlast_free_fn, outlast_read_fn};
pub use open::*;
pub use queue::*;
pub use service::*;
pub use session::*;
pub use status::*;
pub use supply::{outlast_credential, outlast_session_supply, outlast_session_supply_failed};
pub use upload::*;
pub use upload_options::*;
pub use version::*;
pub use view::outlast_str;
pub use writer::*;
