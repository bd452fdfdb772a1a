//! Going on where an earlier run stopped, and finding an upload whose create answer was lost.

use super::journal::JournalState;
use super::part::PartState;
use super::{Phase, Upload};
use crate::engine::checksum::{Digests, Wanted};
use crate::engine::command::{Command, Notice};
use crate::engine::error::{Error, ErrorKind, HttpFacts};
use crate::engine::machine::Context;
use crate::engine::upload::journal::Record;
use crate::engine::wire::oci::{self, Operation, Page, PartEntry, UploadEntry};

/// Parts asked for per page: 1,000 is a safe limit, and a part's entry is short.
const PARTS_PAGE: u32 = 1000;
/// Uploads asked for per page: an entry holds an object name of up to 1 KiB, several times that when escaped, and a
/// page must stay below the drivers' cap of 1 MiB.
const UPLOADS_PAGE: u32 = 100;
/// Most pages of a listing: more than the service can have parts or sensibly uploads.
const MAX_PAGES: usize = 1000;
/// Clocks of client and service may differ by this much when uploads are compared by creation time.
const CLOCK_SLACK_MS: i64 = 5 * 60 * 1000;
/// The same for an earlier run's intent: its clock may have been set since. An upload of this name that is empty and
/// not older than that is as good as ours.
const EARLIER_SLACK_MS: i64 = 24 * 60 * 60 * 1000;

impl Upload {
    /// Refuses to go on with another source than the one the upload began with.
    pub(super) fn check_same_source(&self, journal: &JournalState) -> Result<(), Error> {
        let (then, now) = (&journal.source, &self.spec.source);
        if then.size == now.size && then.modified_ns == now.modified_ns && journal.target == self.spec.target
        {
            return Ok(());
        }
        let message = format!(
            "\"{}\" has changed since its upload began (then {} bytes, now {}); `--restart` drops the old upload and \
             begins anew",
            now.name,
            then.size.unwrap_or(0),
            now.size.unwrap_or(0)
        );
        Err(Error::new(ErrorKind::SourceChanged, message))
    }

    /// Asks for a page of the parts the service has.
    pub(super) fn list_parts(&mut self, page: Option<&str>, adopted: bool) {
        if page.is_none() {
            self.listed.clear();
            self.pages_seen.clear();
        }
        let upload_id = self.upload_id.as_deref().unwrap_or_default();
        let request = oci::list_parts(&self.spec.target, upload_id, page, PARTS_PAGE);
        self.set_call(Phase::Listing { adopted }, Operation::ListParts, request);
    }

    pub(super) fn on_parts_listed(
        &mut self,
        page: Page<PartEntry>,
        adopted: bool,
        ctx: &mut Context<'_>,
    ) -> Result<(), Error> {
        self.listed.extend(page.items);
        if let Some(next) = page.next {
            self.check_page(&next)?;
            self.list_parts(Some(&next), adopted);
            return Ok(());
        }
        if adopted && !self.listed.is_empty() {
            ctx.remark(
                self.id,
                "an upload of this name holds parts that are not ours; a new one is begun".into(),
            );
            self.intend(ctx);
            return Ok(());
        }
        if adopted {
            let upload_id = self.upload_id.take().unwrap_or_default();
            ctx.remark(self.id, "found the upload whose create answer was lost".into());
            self.created(upload_id, ctx);
            return Ok(());
        }
        if self.rechecks > 0 {
            self.on_rechecked(ctx);
        } else {
            self.reconcile(ctx);
        }
        Ok(())
    }

    /// Marks every listed part that fits the plan for comparison with the local bytes.
    fn reconcile(&mut self, ctx: &mut Context<'_>) {
        self.lay_out();
        let journal = self.journal.take();
        let mut found = 0;
        for entry in std::mem::take(&mut self.listed) {
            let Some(part) = self.parts.part(entry.number) else {
                let message = format!(
                    "the service holds part {} of this upload, which the plan does not have; `--restart` begins anew",
                    entry.number
                );
                return self.fail_for_good(Error::new(ErrorKind::State, message), ctx);
            };
            // Without an MD5 nothing can be compared, and a part of another size is not ours: send it again.
            if part.len != entry.size || entry.md5.is_none() {
                continue;
            }
            found += 1;
            let number = entry.number;
            let part = self.parts.of(number);
            part.etag = Some(entry.etag);
            part.told_md5 = entry.md5;
            part.journal = journal.as_ref().and_then(|journal| journal.parts.get(&number).cloned());
            self.parts.set(number, PartState::Check);
        }
        self.phase = Phase::Transferring;
        self.tell_started(found, ctx);
    }

    /// Reads a stored part's local bytes.
    pub(super) fn hash(&mut self, number: u32, ctx: &mut Context<'_>) {
        // MD5 is what a listing reports; the asked checksum is needed for the object's.
        let wanted = Wanted { md5: true, ..self.wanted() };
        let id = ctx.id();
        let part = self.parts.of(number);
        let (offset, len) = (part.offset, part.len);
        self.parts.set(number, PartState::Hashing(id));
        self.busy.insert(id, number);
        ctx.command(Command::Hash { id, upload: self.id, offset, len, wanted });
    }

    pub(super) fn on_hashed(&mut self, number: u32, result: Result<Digests, Error>, ctx: &mut Context<'_>) {
        self.parts.set(number, PartState::Waiting);
        if self.phase == Phase::Draining {
            return;
        }
        let digests = match result {
            Ok(digests) => digests,
            Err(error) => return self.fail(error.during(&format!("reading part {number}")), ctx),
        };
        let name = self.spec.source.name.clone();
        let part = self.parts.of(number);
        if part.journal.as_ref().is_some_and(|journal| differs(&journal.digests, &digests)) {
            let message = format!(
                "\"{name}\" has changed since part {number} was sent, though its size and time have not; `--restart` \
                 drops the old upload and begins anew"
            );
            return self.fail_for_good(Error::new(ErrorKind::SourceChanged, message), ctx);
        }
        let owed = std::mem::take(&mut part.owed);
        if digests.md5.is_none() || digests.md5 != part.told_md5 {
            part.etag = None;
            if owed {
                let message =
                    format!("part {number}: the service stored other bytes than were sent (MD5 differs)");
                return self.part_failed(number, Error::new(ErrorKind::Integrity, message), None, ctx);
            }
            ctx.remark(
                self.id,
                format!("part {number} is stored with other bytes than ours; it is sent again"),
            );
            return;
        }
        part.digests = digests.clone();
        part.reused = !owed;
        let (size, etag) = (part.len, part.etag.clone().unwrap_or_default());
        let was_known = part.journal.is_some();
        self.parts.set(number, PartState::Done);
        if !was_known {
            ctx.command(Command::Record {
                id: None,
                upload: self.id,
                record: Record::Part { number, etag, digests },
            });
        }
        ctx.notice(Notice::PartStored { upload: self.id, part: number, size, reused: !owed });
    }

    /// Looks for the upload of a create request whose answer was lost.
    pub(super) fn find_created(&mut self, page: Option<&str>) {
        if page.is_none() {
            self.candidates.clear();
            self.pages_seen.clear();
        }
        let target = &self.spec.target;
        let request = oci::list_uploads(&target.namespace, &target.bucket, page, UPLOADS_PAGE);
        self.set_call(Phase::Adopting, Operation::ListUploads, request);
    }

    pub(super) fn on_uploads_listed(
        &mut self,
        page: Page<UploadEntry>,
        ctx: &mut Context<'_>,
    ) -> Result<(), Error> {
        // The answer has just told the service's time. The machine's clock may have been set since the intent, one way or
        // the other; and a machine that has slept since is older than its monotonic clock says.
        let by_date = self.intent_at.offset(ctx.skew.ms().min(0));
        let earliest = match self.intended {
            Some(intended) => {
                let age = i64::try_from((ctx.now.mono - intended).as_millis()).unwrap_or(i64::MAX);
                by_date.min(ctx.server_time().offset(-age)).offset(-CLOCK_SLACK_MS)
            }
            None => by_date.offset(-EARLIER_SLACK_MS),
        };
        let name = self.spec.target.object.clone();
        let ours = |entry: &UploadEntry| {
            entry.object == name && entry.created_at.is_none_or(|created| created >= earliest)
        };
        self.candidates.extend(page.items.into_iter().filter(ours).map(|entry| entry.upload_id));
        if let Some(next) = page.next {
            self.check_page(&next)?;
            self.find_created(Some(&next));
            return Ok(());
        }
        match self.candidates.as_slice() {
            [only] => {
                self.upload_id = Some(only.clone());
                self.list_parts(None, true);
            }
            [] => self.intend(ctx),
            several => {
                let text = format!(
                    "{} young uploads of this name exist and one may be a leftover: {}; a new one is begun",
                    several.len(),
                    several.join(", ")
                );
                ctx.remark(self.id, text);
                self.intend(ctx);
            }
        }
        Ok(())
    }

    /// A page token seen before would turn a listing into a loop.
    fn check_page(&mut self, next: &str) -> Result<(), Error> {
        if self.pages_seen.len() < MAX_PAGES && self.pages_seen.insert(next.to_owned()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Protocol, "the service's listing does not end: it repeats a page"))
    }

    /// The upload the journal names does not exist at the service.
    pub(super) fn on_listing_gone(&mut self, facts: &HttpFacts, ctx: &mut Context<'_>) {
        let committed = self.journal.as_ref().and_then(|journal| journal.commit.clone());
        if let Some(expected) = committed {
            // It vanished after a commit was about to be sent: most likely it was committed.
            self.expected = Some(expected);
            self.gone = true;
            self.look_at_object();
            return;
        }
        let code = facts.code.as_deref().unwrap_or("no code");
        ctx.remark(
            self.id,
            format!("the earlier upload is gone at the service ({code}); a new one is begun"),
        );
        self.intend(ctx);
    }
}

/// Whether two sets of checksums of the same range contradict each other.
fn differs(a: &Digests, b: &Digests) -> bool {
    fn clash<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
        matches!((a, b), (Some(a), Some(b)) if a != b)
    }
    a.len != b.len
        || clash(a.md5.as_ref(), b.md5.as_ref())
        || clash(a.crc32c.as_ref(), b.crc32c.as_ref())
        || clash(a.sha256.as_ref(), b.sha256.as_ref())
        || clash(a.sha384.as_ref(), b.sha384.as_ref())
}
