//! How much a component may use.

use std::time::Duration;

/// Bounds of one component instance. What exceeds one of them ends the instance; uploads stay resumable.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Linear memory, bytes. Default 256 MiB; an upload of a file with 15 requests in flight needs about 8, one of a stream
    /// a part for each request more.
    pub memory_bytes: usize,
    /// How much longer than asked a call may take: one signature, one key derived from its passphrase, one block read
    /// from a slow disk. Default 30 s.
    pub overtime: Duration,
    /// Requests, streams, files and timers that the host keeps for it at once. Default 16,384; a request in flight needs
    /// about nine.
    pub resources: usize,
    /// Longest answer to one request, bytes. Default 16 MiB; the longest page of a listing has about 150 KiB.
    pub response_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 256 << 20,
            overtime: Duration::from_secs(30),
            resources: 1 << 14,
            response_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// What streams may take of the memory, bytes: all but what the rest needs.
    pub(crate) fn stream_bytes(&self) -> u64 {
        (self.memory_bytes as u64).saturating_sub(32 << 20)
    }
}
