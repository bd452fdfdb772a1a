//! The engine against a scripted cloud on virtual time.
//!
//! A [`World`] holds one machine with any number of processes (each an engine with a driver), the auth service and
//! the storage service. Everything is decided by seeds, so each schedule can be replayed. Hours pass in microseconds.
//!
//! What must hold in every schedule is checked while it runs, by the [`audit`] and where things happen:
//! - it ends: no livelock in virtual time, no spinning at one moment;
//! - success is told only of an object that is byte for byte the source, a failure says whether it can be resumed;
//! - at most one refresh is under way, and none is repeated after it was refused;
//! - refusals cost no retry; a part that was stored and acknowledged is never sent again;
//! - permits and buffers stay within the number of parallel requests;
//! - command ids are given out once, ends are told once, and nothing goes on after them;
//! - no token shows up in notices, errors or journals.
//!
//! Nothing here may touch a clock, a thread, a file or a socket.

pub mod agenda;
pub mod ask;
pub mod audit;
pub mod clock;
pub mod content;
mod driver;
pub mod fault;
pub mod host;
pub mod issuer;
pub mod job;
mod listen;
mod network;
pub mod person;
pub mod process;
mod reply;
pub mod schedule;
pub mod storage;
pub mod world;

pub use world::World;
