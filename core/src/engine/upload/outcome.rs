//! What an upload amounts to: at its end, and on its way.

use std::time::Duration;

use crate::engine::wire::oci::ObjectFacts;

/// What an upload that succeeded amounts to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the service says of the object.
    pub facts: ObjectFacts,
    /// The service's upload id; `None` for a single put.
    pub upload_id: Option<String>,
    /// Bytes of the object.
    pub size: u64,
    /// Parts of the object; 0 for a single put.
    pub parts: u32,
    /// Parts kept from an earlier run.
    pub parts_reused: u32,
    /// Attempts beyond the first, over all parts; refusals not counted.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// Whether our checksums were compared with the object's (`Integrity::Verify`).
    pub verified: bool,
}

/// A look at an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Object size in bytes; `None` while a stream goes on.
    pub total: Option<u64>,
    /// Bytes of stored parts.
    pub stored: u64,
    /// Bytes of parts in flight that have been sent but not acknowledged.
    pub in_flight: u64,
    /// Parts planned so far.
    pub parts_total: u32,
    /// Parts stored.
    pub parts_stored: u32,
    /// Of these, kept from an earlier run.
    pub parts_reused: u32,
    /// Parts being sent now.
    pub parts_in_flight: u32,
    /// Attempts beyond the first.
    pub retries: u32,
    /// Parts sent again because their credential was refused.
    pub refusals: u32,
    /// The session waits for somebody to sign in.
    pub parked: bool,
    /// The caller paused it.
    pub paused: bool,
    /// Bytes per second over the last half minute or so; 0 while unknown.
    pub rate: f64,
    /// Time to the end at that rate, if known.
    pub eta: Option<Duration>,
}
