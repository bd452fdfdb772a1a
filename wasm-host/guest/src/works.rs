//! The uploads of a driver: their files, journals and ends.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use outlast_core::engine::checksum::Hasher;
use outlast_core::engine::command::{Command, CommandId, Event, Notice, UploadId};
use outlast_core::engine::upload::journal::JournalState;
use outlast_core::engine::upload::spec::{SourceIdentity, Target};
use outlast_core::engine::upload::{Outcome, Progress};
use outlast_core::{Error, ErrorKind};

use crate::folder::SourceFile;
use crate::journal::Journal;
use crate::limiter::Limiter;
use crate::origin::{Origin, of_stream};
use crate::stream::Stream;

/// Bytes hashed between two looks at the clock.
const BLOCK: u64 = 256 << 10;

/// All uploads of one session.
#[derive(Default)]
pub(crate) struct Works {
    uploads: BTreeMap<UploadId, Work>,
    hashes: VecDeque<HashJob>,
}

/// What one upload has.
pub(crate) struct Work {
    origin: Origin,
    journal: Option<Journal>,
    limiter: Option<Limiter>,
    ended: Option<Result<Outcome, Error>>,
    last: Progress,
    /// Nobody asks about it any more.
    abandoned: bool,
}

struct HashJob {
    id: CommandId,
    origin: Origin,
    offset: u64,
    left: u64,
    hasher: Hasher,
}

/// An upload about to start.
pub(crate) struct Opening {
    work: Work,
    /// What the file is.
    pub(crate) identity: SourceIdentity,
    /// What an earlier run left.
    pub(crate) found: Option<JournalState>,
}

impl Opening {
    /// An upload of what the host will write.
    pub(crate) fn of_stream(name: &str, limit_rate: Option<u64>) -> Opening {
        let identity = of_stream(name);
        let origin = Origin::Stream(Rc::new(Stream::new(name.to_owned())));
        Opening { work: Work::new(origin, None, limit_rate, &identity), identity, found: None }
    }
}

impl Works {
    /// Opens an upload's file and journal.
    ///
    /// Errors: `Source`, `State`, `Busy` (this session is doing the same upload).
    pub(crate) fn open(
        &mut self,
        file: &str,
        state_dir: Option<&str>,
        endpoint: &str,
        target: &Target,
        limit_rate: Option<u64>,
    ) -> Result<Opening, Error> {
        let (source, identity) = SourceFile::open(file)?;
        let opened = state_dir.map(|dir| Journal::open(dir, endpoint, target, &identity.name)).transpose()?;
        let (journal, found) = opened.map_or((None, None), |(journal, found)| (Some(journal), found));
        self.uploads.retain(|_, work| !(work.abandoned && work.ended.is_some()));
        let mut others = self
            .uploads
            .values()
            .filter(|work| work.ended.is_none())
            .filter_map(|work| work.journal.as_ref());
        if let Some(journal) = &journal
            && others.any(|other| other.path() == journal.path())
        {
            return Err(Error::new(
                ErrorKind::Busy,
                "this session is already uploading this object from this file",
            ));
        }
        let work = Work::new(Origin::File(Rc::new(source)), journal, limit_rate, &identity);
        Ok(Opening { work, identity, found })
    }

    /// The upload has its number.
    pub(crate) fn add(&mut self, id: UploadId, opening: Opening) {
        self.uploads.insert(id, opening.work);
    }

    /// Nobody asks about the upload any more; what it still has to do is done.
    pub(crate) fn abandon(&mut self, id: UploadId) {
        if let Some(work) = self.uploads.get_mut(&id) {
            work.abandoned = true;
        }
    }

    /// Whether the upload has ended.
    pub(crate) fn has_ended(&self, id: UploadId) -> bool {
        self.uploads.get(&id).is_none_or(|work| work.ended.is_some())
    }

    /// How the upload ended.
    pub(crate) fn outcome(&self, id: UploadId) -> Option<&Result<Outcome, Error>> {
        self.uploads.get(&id)?.ended.as_ref()
    }

    /// The last look at an upload; `fresh` is the present one, unless it has ended.
    pub(crate) fn progress(&mut self, id: UploadId, fresh: Option<Progress>) -> Progress {
        let Some(work) = self.uploads.get_mut(&id) else { return fresh.unwrap_or_default() };
        if let Some(fresh) = fresh {
            work.last = fresh;
        }
        work.last
    }

    /// Where an upload's bytes come from.
    pub(crate) fn origin(&self, id: UploadId) -> Option<Origin> {
        self.uploads.get(&id).map(|work| work.origin.clone())
    }

    /// The limiter of an upload.
    pub(crate) fn limiter(&mut self, id: UploadId) -> Option<&mut Limiter> {
        self.uploads.get_mut(&id)?.limiter.as_mut()
    }

    /// Carries out what concerns files and journals.
    pub(crate) fn carry_out(&mut self, command: Command) -> Option<Event> {
        let gone = || Error::new(ErrorKind::Internal, "there is no such upload");
        match command {
            Command::Hash { id, upload, offset, len, wanted } => match self.origin(upload) {
                Some(origin) => {
                    self.hashes.push_back(HashJob {
                        id,
                        origin,
                        offset,
                        left: len,
                        hasher: Hasher::new(wanted),
                    });
                    None
                }
                None => Some(Event::Hashed { id, result: Err(gone()) }),
            },
            Command::Fill { id, upload, offset, len, wanted } => match self.origin(upload) {
                Some(Origin::Stream(stream)) => stream.fill(id, offset, len, wanted),
                _ => Some(Event::Filled { id, result: Err(gone()) }),
            },
            Command::Release { upload, offset } => {
                if let Some(Origin::Stream(stream)) = self.origin(upload) {
                    stream.release(offset);
                }
                None
            }
            Command::CheckSource { id, upload } => {
                let result = self.origin(upload).ok_or_else(gone).and_then(|origin| origin.identity());
                Some(Event::SourceChecked { id, result })
            }
            Command::Record { id, upload, record } => {
                let journal = self.uploads.get_mut(&upload).and_then(|work| work.journal.as_mut());
                let result = journal.map_or(Ok(()), |journal| journal.append(&record, id.is_some()));
                id.map(|id| Event::Recorded { id, result })
            }
            Command::Forget { upload } => {
                if let Some(journal) = self.uploads.get_mut(&upload).and_then(|work| work.journal.take()) {
                    journal.forget();
                }
                None
            }
            _ => None,
        }
    }

    /// Whether ranges wait to be hashed.
    pub(crate) fn is_hashing(&self) -> bool {
        !self.hashes.is_empty()
    }

    /// Hashes one block of the first range; the event is its end.
    pub(crate) fn hash(&mut self) -> Option<Event> {
        let job = self.hashes.front_mut()?;
        if job.left > 0 {
            match job.origin.read(job.offset, job.left.min(BLOCK)) {
                Ok(block) => {
                    job.hasher.update(&block);
                    job.offset += block.len() as u64;
                    job.left -= block.len() as u64;
                }
                Err(error) => {
                    let id = self.hashes.pop_front()?.id;
                    return Some(Event::Hashed { id, result: Err(error) });
                }
            }
        }
        if job.left > 0 {
            return None;
        }
        let job = self.hashes.pop_front()?;
        Some(Event::Hashed { id: job.id, result: Ok(job.hasher.finish()) })
    }

    /// Drops a range or a part of a stream that is no longer wanted; the event is its end.
    pub(crate) fn cancel(&mut self, id: CommandId, error: Error) -> Option<Event> {
        let before = self.hashes.len();
        self.hashes.retain(|job| job.id != id);
        if self.hashes.len() < before {
            return Some(Event::Hashed { id, result: Err(error) });
        }
        let filled = self.uploads.values().any(|work| match &work.origin {
            Origin::Stream(stream) => stream.cancel(id),
            Origin::File(_) => false,
        });
        filled.then(|| Event::Filled { id, result: Err(error) })
    }

    /// Keeps what a notice says about an upload's end.
    pub(crate) fn heed(&mut self, notice: &Notice) {
        let Notice::Finished { upload, result, .. } = notice else { return };
        let Some(work) = self.uploads.get_mut(upload) else { return };
        if let Ok(outcome) = result {
            work.last.stored = outcome.size;
            work.last.total = Some(outcome.size);
            work.last.in_flight = 0;
            work.last.parts_total = outcome.parts;
            work.last.parts_stored = outcome.parts;
            work.last.parts_reused = outcome.parts_reused;
            work.last.parts_in_flight = 0;
            work.last.retries = outcome.retries;
            work.last.refusals = outcome.refusals;
        }
        work.ended = Some(result.clone().map(|outcome| *outcome));
    }
}

impl Work {
    fn new(
        origin: Origin,
        journal: Option<Journal>,
        limit_rate: Option<u64>,
        identity: &SourceIdentity,
    ) -> Work {
        Work {
            origin,
            journal,
            limiter: limit_rate.map(Limiter::new),
            ended: None,
            last: Progress { total: identity.size, ..Progress::default() },
            abandoned: false,
        }
    }
}
