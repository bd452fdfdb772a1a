//! One process: an engine, and what its driver has to remember.

use outlast_core::engine::Engine;
use outlast_core::engine::command::SessionId;
use outlast_core::engine::session::SessionProfile;

use crate::host::Life;

/// How the process gets its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The shared token file.
    Session,
    /// An API key: it has no end and nothing renews it.
    ApiKey,
    /// Tokens minted with an API key: nothing is read or written, no person can help.
    Mint,
}

/// One process.
#[derive(Debug)]
pub struct Process {
    /// Which life it lives.
    pub life: Life,
    /// How it gets its credentials.
    pub identity: Identity,
    /// What its session is told beforehand.
    pub profile: SessionProfile,
    /// The engine; `None` while the process is dead.
    pub engine: Option<Engine>,
    /// The session.
    pub session: SessionId,
    /// The token of the last refresh.
    pub exchanged: Option<String>,
    /// Commands taken out of engines, over all lives.
    pub commands: u64,
    /// It is killed before it carries out the command of this number.
    pub kill_at: Option<u64>,
}

impl Process {
    /// A process that has not been started.
    pub fn new(number: usize, identity: Identity, profile: SessionProfile) -> Process {
        Process {
            life: Life { process: number, number: 0 },
            identity,
            profile,
            engine: None,
            session: SessionId(0),
            exchanged: None,
            commands: 0,
            kill_at: None,
        }
    }
}
