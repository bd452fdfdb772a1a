//! The beginning: what to do with what an earlier run left, intend, create.

use super::journal::{FORMAT, JournalState, Record};
use super::part::PartState;
use super::plan::{self, Plan};
use super::{Phase, Stream, Upload};
use crate::engine::command::Command;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::machine::Context;
use crate::engine::wire::oci::{self, Operation};

impl Upload {
    pub(super) fn begin(
        &mut self,
        journal: Option<JournalState>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Error> {
        let options = &self.spec.options;
        oci::check_target(&self.spec.target)?;
        if !(1..=1000).contains(&options.parallel) {
            let message =
                format!("the number of parallel requests is {}; it must be 1 to 1000", options.parallel);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        plan::check_part_size(options.part_size)?;
        let journal = journal.filter(|_| !options.single);
        let single = journal.is_none()
            && self.spec.source.size.is_some_and(|size| size <= options.part_size || options.single);
        oci::check_properties(&options.properties, &options.precondition, single)?;
        let Some(size) = self.spec.source.size else {
            self.stream = Some(Stream::default());
            self.phase = Phase::Opening;
            return Ok(());
        };
        if !single {
            self.check_unvouched()?;
        }
        if let Some(journal) = journal {
            return self.go_on(journal, size);
        }
        if single {
            if size > oci::MAX_PART_BYTES {
                let message = format!("a single put takes at most 50 GiB and the source has {size} bytes");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            self.plan = Some(Plan { size, part_size: size.max(1), parts: 1 });
            self.start_single(ctx);
            return Ok(());
        }
        self.plan = Some(Plan::new(size, options.part_size)?);
        self.intend(ctx);
        Ok(())
    }

    /// Refuses to send parts of an object for which the caller vouches as a whole: the service would not compare it.
    pub(super) fn check_unvouched(&self) -> Result<(), Error> {
        if !self.spec.options.properties.is_vouched() {
            return Ok(());
        }
        let message = "a content MD5 or checksum is of the whole object and goes with a single put only, but this object is \
                       sent in parts; use no multipart or larger parts, or restart what an earlier run began";
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// Goes on with what an earlier run left.
    fn go_on(&mut self, journal: JournalState, size: u64) -> Result<(), Error> {
        self.intent_at = journal.intent_at;
        if journal.upload_id.is_some() {
            self.check_same_source(&journal)?;
            self.plan = Some(Plan::new(size, journal.part_size)?);
            self.upload_id.clone_from(&journal.upload_id);
            self.journal = Some(journal);
            self.list_parts(None, false);
        } else {
            // If its upload exists at all it is empty, so it does as well for a source that has changed since.
            self.plan = Some(Plan::new(size, self.spec.options.part_size)?);
            self.maybe_created = true;
            self.journal = Some(journal);
            self.find_created(None);
        }
        Ok(())
    }

    pub(super) fn start_single(&mut self, ctx: &mut Context<'_>) {
        self.single = true;
        if let Some(plan) = self.plan.filter(|_| self.parts.count() == 0) {
            self.parts.push(0, plan.size, PartState::Waiting);
        }
        self.phase = Phase::Transferring;
        self.tell_started(0, ctx);
    }

    /// Writes down that an upload is about to be created.
    pub(super) fn intend(&mut self, ctx: &mut Context<'_>) {
        self.upload_id = None;
        self.maybe_created = false;
        self.gone = false;
        self.journal = None;
        self.intent_at = ctx.now.wall;
        self.intended = Some(ctx.now.mono);
        let id = ctx.id();
        self.phase = Phase::Intending(id);
        ctx.command(Command::Record { id: Some(id), upload: self.id, record: self.intent() });
    }

    fn intent(&self) -> Record {
        Record::Intent {
            format: FORMAT,
            target: self.spec.target.clone(),
            source: self.spec.source.clone(),
            part_size: self.plan.map_or(self.spec.options.part_size, |plan| plan.part_size),
            at: self.intent_at,
        }
    }

    pub(super) fn create(&mut self) {
        let options = &self.spec.options;
        let request = oci::create_upload(
            &self.spec.target,
            &options.properties,
            &options.precondition,
            self.asked_checksum(),
        );
        self.set_call(Phase::Creating, Operation::Create, request);
    }

    /// The upload has its id. It is written down before the first part is sent: an intent alone leads back to an empty
    /// upload only, since anybody's parts may be in another.
    pub(super) fn created(&mut self, upload_id: String, ctx: &mut Context<'_>) {
        if self.journal.take().is_some() {
            // An earlier run's intent may name another source or part size; the later one counts.
            ctx.command(Command::Record { id: None, upload: self.id, record: self.intent() });
        }
        let record = Record::Created { upload_id: upload_id.clone() };
        let id = ctx.id();
        ctx.command(Command::Record { id: Some(id), upload: self.id, record });
        self.upload_id = Some(upload_id);
        self.maybe_created = false;
        self.phase = Phase::RecordingCreate(id);
    }

    pub(super) fn begin_transfer(&mut self, ctx: &mut Context<'_>) {
        self.lay_out();
        self.phase = Phase::Transferring;
        self.tell_started(0, ctx);
    }

    /// Fills the table of parts from the plan; streams fill it as they are read.
    pub(super) fn lay_out(&mut self) {
        let Some(plan) = self.plan.filter(|_| self.parts.count() == 0) else { return };
        for number in 1..=plan.parts {
            let (offset, len) = plan.range(number);
            self.parts.push(offset, len, PartState::Waiting);
        }
    }
}
