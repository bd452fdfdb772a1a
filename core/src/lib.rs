//! Uploads that outlive their tokens.
//!
//! Two rooms:
//! - [`engine`] decides. It is sans-IO: time, randomness and every I/O result are arguments, so an hour-long
//!   token over 1,463 parts is tested in milliseconds. It compiles to wasm and forbids unsafe code.
//! - `native` (feature `native`, on by default) carries the decisions out with tokio and reqwest.
//!
//! And a cupboard, `tls` (feature `tls`): whom we trust, the same for `native` and for hosts of the component.

pub mod engine;
#[cfg(feature = "native")]
pub mod native;
#[cfg(feature = "tls")]
pub mod tls;

pub use engine::error::{Error, ErrorKind, HttpFacts, Retry};
