//! One object to upload: its source, its options, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use outlast_core::Error;
use outlast_core::engine::command::{CommandId, UploadId};
use outlast_core::engine::random::Random;
use outlast_core::engine::upload::Outcome;
use outlast_core::engine::upload::spec::{SourceIdentity, Target, UploadOptions, UploadSpec};

use crate::content::{Chunk, Content};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// To be started, or started again.
    Waiting,
    /// An engine works on it.
    Running(UploadId),
    /// It ended; see `result`.
    Ended,
}

/// One object to upload.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with its own line")]
pub struct Job {
    /// Which process does it.
    pub process: usize,
    /// How.
    pub options: UploadOptions,
    /// Bytes per second of one connection.
    pub rate: f64,
    /// Bytes per second that its connections have together, if that is less: a queue, served in order.
    pub link: Option<f64>,
    /// When the link has nothing more to do.
    pub link_free: Duration,
    /// Requests in flight beyond this many are answered with 429.
    pub tolerated: Option<usize>,
    /// A stream: its length is not told and it can be read once.
    pub streamed: bool,
    /// What the source held, holds last.
    pub versions: Vec<Content>,
    /// Its modification time.
    pub modified_ns: i128,
    /// Where it stands.
    pub stage: Stage,
    /// How the last run ended, and whether it said that it can be resumed.
    pub result: Option<(Result<Box<Outcome>, Error>, bool)>,
    /// Object name.
    pub object: String,
    /// Commands in flight that hold a permit.
    pub permits: BTreeSet<CommandId>,
    /// A stream's buffers.
    pub buffers: BTreeMap<u64, Chunk>,
    /// A stream's position.
    pub position: u64,
    /// Parts whose storing was told to an engine, truthfully.
    pub settled: BTreeSet<(String, u32)>,
    /// Mishaps that may have cost a retry, in the present life.
    pub mishaps: u32,
    /// Refused requests.
    pub refusals: u32,
    /// Requests sent for parts.
    pub sends: u64,
    /// The source was changed by somebody.
    pub changed: bool,
    /// The caller cancelled it in the present life.
    pub cancelled: bool,
    /// Something was done to it after which a second failure is no surprise.
    pub forgiven: bool,
}

impl Job {
    /// A job of process 0, ready to be adjusted.
    pub fn new(object: &str, content: Content, options: UploadOptions) -> Job {
        Job {
            process: 0,
            options,
            rate: 1e6,
            link: None,
            link_free: Duration::ZERO,
            tolerated: None,
            streamed: false,
            versions: vec![content],
            modified_ns: 1,
            stage: Stage::Waiting,
            result: None,
            object: object.to_owned(),
            permits: BTreeSet::new(),
            buffers: BTreeMap::new(),
            position: 0,
            settled: BTreeSet::new(),
            mishaps: 0,
            refusals: 0,
            sends: 0,
            changed: false,
            cancelled: false,
            forgiven: false,
        }
    }

    /// Whether an upload of it can be lost from sight: streams leave no journal.
    pub fn loses_uploads(&self) -> bool {
        self.streamed
    }

    /// Somebody writes to the source: other bytes, fewer, more; or other bytes that size and time do not show.
    pub fn change(&mut self, kind: u64, random: &mut Random) {
        let Content::Bytes(bytes) = self.content().clone() else { return };
        // A stream has no past, and while an upload runs a change that does not show is nobody's to see.
        if self.streamed || (kind == 3 && self.is_running()) {
            return;
        }
        let mut bytes = bytes.to_vec();
        match kind {
            0 => bytes.push(7),
            1 => bytes.truncate(bytes.len() / 2),
            _ => {}
        }
        if let Some(byte) = bytes.first_mut() {
            *byte = byte.wrapping_add(1 + random.bits().to_le_bytes()[0] / 2);
        }
        if kind != 3 {
            self.modified_ns += 1;
        }
        self.changed = true;
        self.versions.push(Content::Bytes(bytes.into()));
    }

    /// What the source holds now.
    pub fn content(&self) -> &Content {
        self.versions.last().expect("there is always a version")
    }

    /// What the source looks like now.
    pub fn identity(&self) -> SourceIdentity {
        SourceIdentity {
            name: format!("/data/{}", self.object),
            size: (!self.streamed).then(|| self.content().size()),
            modified_ns: self.modified_ns,
            device: 1,
            inode: 2,
        }
    }

    /// The call a caller makes, the same one each time.
    pub fn spec(&self) -> UploadSpec {
        let target = Target { namespace: "ns".into(), bucket: "b".into(), object: self.object.clone() };
        UploadSpec { target, source: self.identity(), options: self.options.clone() }
    }

    /// `len` bytes are handed to a connection at `now`: how long it takes until they are through, and for how long of
    /// that they flow.
    pub fn pass(&mut self, len: u64, now: Duration) -> (Duration, Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a duration needs no 53 bits")]
        let time = |rate: f64| Duration::from_secs_f64(len as f64 / rate);
        let alone = time(self.rate);
        let Some(link) = self.link else { return (alone, alone) };
        self.link_free = (self.link_free.max(now) + time(link)).max(now + alone);
        (self.link_free.saturating_sub(now), alone)
    }

    /// The bytes a request carries, read from the file or the stream's buffer.
    pub fn read(&self, offset: u64, len: u64) -> Option<Chunk> {
        if self.streamed {
            return self.buffers.get(&offset).filter(|chunk| chunk.len == len).cloned();
        }
        self.content().read(offset, len)
    }

    /// Begins a new life of the job.
    pub fn begin(&mut self, upload: UploadId) {
        self.stage = Stage::Running(upload);
        self.result = None;
        self.permits.clear();
        self.buffers.clear();
        self.position = 0;
        self.mishaps = 0;
        self.refusals = 0;
        self.cancelled = false;
    }

    /// Whether an engine works on it.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// The outcome, when it ended well.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.result {
            Some((Ok(outcome), _)) => Some(outcome),
            _ => None,
        }
    }

    /// The error, when it ended badly.
    pub fn error(&self) -> Option<&Error> {
        match &self.result {
            Some((Err(error), _)) => Some(error),
            _ => None,
        }
    }

    /// Whether the last run said that the same call goes on where it stopped.
    pub fn is_resumable(&self) -> bool {
        self.result.as_ref().is_some_and(|(_, resumable)| *resumable)
    }
}
