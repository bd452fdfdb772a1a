//! The machine that all simulated processes share: token file, lock, journals.

use std::collections::{BTreeMap, VecDeque};

use outlast_core::engine::command::CommandId;
use outlast_core::engine::upload::journal::{JournalState, Record, decode, encode};
use outlast_core::{Error, ErrorKind};

/// A process, in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// Which process.
    pub process: usize,
    /// How often it has been restarted.
    pub number: u32,
}

/// The session's files, as a reader finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFile {
    /// There is none.
    Absent,
    /// Somebody is writing: this much of the text is there.
    Torn(String),
    /// A new key is in place, its token not yet.
    KeyWithoutToken,
    /// A whole token.
    Whole(String),
}

/// The lock between processes.
#[derive(Debug, Default)]
pub struct Lock {
    /// Who has it.
    pub holder: Option<Life>,
    /// Who waits, in order.
    pub waiting: VecDeque<(Life, CommandId)>,
}

/// The journal of one upload.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// What has been written.
    pub bytes: Vec<u8>,
    /// How much of it survives a crash for certain.
    pub durable: usize,
    /// Something could not be written: whoever waits for it to be durable is told.
    pub broken: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Host {
    /// The token file.
    pub token: TokenFile,
    /// The lock.
    pub lock: Lock,
    /// Journals by job.
    pub journals: BTreeMap<usize, Journal>,
    /// Nothing can be written just now.
    pub is_full: bool,
    /// Sources cannot be read just now.
    pub is_unreadable: bool,
}

impl Default for Host {
    fn default() -> Self {
        Host {
            token: TokenFile::Absent,
            lock: Lock::default(),
            journals: BTreeMap::new(),
            is_full: false,
            is_unreadable: false,
        }
    }
}

impl Host {
    /// The text of the token file.
    ///
    /// Errors: `Config`, as a reader of half-written files gets it.
    pub fn read_token(&self) -> Result<Option<&str>, Error> {
        match &self.token {
            TokenFile::Absent => Ok(None),
            TokenFile::KeyWithoutToken => {
                Err(Error::new(ErrorKind::Config, "the session token belongs to another key"))
            }
            TokenFile::Torn(text) | TokenFile::Whole(text) => Ok(Some(text)),
        }
    }

    /// Appends a record.
    pub fn append(&mut self, job: usize, record: &Record) {
        let journal = self.journals.entry(job).or_default();
        journal.broken |= self.is_full;
        if !journal.broken {
            journal.bytes.extend_from_slice(encode(record).as_bytes());
        }
    }

    /// Everything written so far survives from now on.
    ///
    /// Errors: `State`, when not all could be written.
    pub fn sync(&mut self, job: usize) -> Result<(), Error> {
        let Some(journal) = self.journals.get_mut(&job) else { return Ok(()) };
        if journal.broken || self.is_full {
            journal.broken = true;
            return Err(Error::new(ErrorKind::State, "no space left on device"));
        }
        journal.durable = journal.bytes.len();
        Ok(())
    }

    /// A crash keeps what is durable and `part` per mille of the rest.
    pub fn crash(&mut self, job: usize, part: usize) {
        if let Some(journal) = self.journals.get_mut(&job) {
            let loose = journal.bytes.len() - journal.durable;
            journal.bytes.truncate(journal.durable + loose * part.min(1000) / 1000);
        }
    }

    /// Opens a journal as the driver does: a torn tail is cut off.
    pub fn open(&mut self, job: usize) -> Result<Option<JournalState>, Error> {
        let Some(journal) = self.journals.get_mut(&job) else { return Ok(None) };
        let whole = journal.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let state = decode(&journal.bytes);
        journal.bytes.truncate(whole);
        journal.durable = whole;
        journal.broken = false;
        state
    }
}
