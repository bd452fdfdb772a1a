//! What must hold in every schedule, checked at every step.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use outlast_core::engine::command::CommandId;
use outlast_core::engine::command::UploadId;

use crate::host::Life;
use crate::issuer::MARKER;

/// The auditor's memory.
#[derive(Debug, Default)]
pub struct Audit {
    issued: BTreeSet<(Life, CommandId)>,
    /// Uploads whose end was told.
    finished: BTreeSet<(Life, UploadId)>,
    /// The process that is asking for a refresh just now.
    pub exchanging: Option<Life>,
    /// Tokens whose refresh was refused, told to this life.
    pub refused: BTreeSet<(Life, String)>,
    /// The moment at which the engines were last asked, and how often at that moment.
    spinning: (Duration, u32),
    /// Timeouts handled.
    pub timeouts: u64,
    /// Commands also have to be free of secrets; costly, so not always looked at.
    pub scan_commands: bool,
}

/// Engine calls at one moment of virtual time that cannot be anything but a loop.
const SPIN: u32 = 20_000;

impl Audit {
    /// A command id was given out.
    pub fn issue(&mut self, life: Life, id: CommandId) -> Result<(), String> {
        if self.issued.insert((life, id)) { Ok(()) } else { Err(format!("{id:?} is given out twice")) }
    }

    /// The end of an upload was told.
    pub fn finish(&mut self, life: Life, upload: UploadId) -> Result<(), String> {
        if self.finished.insert((life, upload)) { Ok(()) } else { Err(format!("upload {upload} ends twice")) }
    }

    /// An upload wants something to be read or sent.
    pub fn works(&self, life: Life, upload: UploadId) -> Result<(), String> {
        if self.finished.contains(&(life, upload)) {
            return Err(format!("upload {upload} goes on after its end"));
        }
        Ok(())
    }

    /// A refresh is about to be sent.
    pub fn exchange(&mut self, life: Life, token: Option<&str>) -> Result<(), String> {
        if let Some(other) = self.exchanging.replace(life) {
            return Err(format!("{life:?} refreshes while {other:?} does"));
        }
        match token {
            Some(token) if self.refused.contains(&(life, token.to_owned())) => {
                Err("a refresh is repeated although it was refused".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Somebody will read this text.
    pub fn shown(&self, thing: &impl Debug) -> Result<(), String> {
        Self::text(&format!("{thing:?}"))
    }

    /// Somebody will read this text.
    pub fn text(text: &str) -> Result<(), String> {
        if text.contains(MARKER) || text.contains("eyJhbGci") {
            return Err(format!("a secret is shown: {text}"));
        }
        Ok(())
    }

    /// Time stands still while engines are called.
    pub fn spin(&mut self, time: Duration) -> Result<(), String> {
        if self.spinning.0 != time {
            self.spinning = (time, 0);
        }
        self.spinning.1 += 1;
        if self.spinning.1 > SPIN { Err(format!("the engine spins at {time:?}")) } else { Ok(()) }
    }
}
