//! Our host with the components that `build.sh --tests` has made, against the loopback cloud. One program: wasmtime is
//! linked once.

mod command;
mod common;
mod host;
mod sandbox;
mod scenarios;
mod sessions;
mod streams;
mod uploads;
