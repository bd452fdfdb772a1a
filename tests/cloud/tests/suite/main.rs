//! The cloud over the wire, through a client that can do wrong what no library would.

#![allow(clippy::disallowed_methods, reason = "tests of a server compare its clock with the machine's")]

mod binary;
mod bodies;
mod client;
mod control;
mod faults;
mod folio;
mod hostile;
mod oauth;
mod objects;
mod rotation;
mod sessions;
mod signatures;
mod uploads;
mod web;
