//! The Outlast engine as a WebAssembly component.
//!
//! What lives here: the driver that carries the engine's commands out with WASI 0.2 and nothing else. What does not live
//! here: decisions, which are the engine's, and policy about what may be reached, which is the host's.
//!
//! - [`driver`]   the engine, the requests in flight, one round after the other
//! - [`transfer`] one request over `wasi:http`
//! - [`source`]   where credentials come from
//! - [`origin`]   where an upload's bytes come from; [`stream`] keeps what the host writes
//! - [`journal`], [`folder`] files in the folders that the host has opened
//! - [`session`], [`upload`] the exported resources; [`convert`] their vocabulary
#![cfg_attr(
    not(feature = "uploads"),
    expect(dead_code, reason = "a session alone needs the half of files, requests and limits")
)]

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused,
    reason = "generated"
)]
mod bindings;
mod clock;
mod convert;
mod driver;
mod folder;
#[cfg(feature = "uploads")]
mod journal;
mod limiter;
mod origin;
mod session;
mod source;
mod stream;
mod transfer;
#[cfg(feature = "uploads")]
mod upload;
#[cfg(feature = "uploads")]
mod works;
