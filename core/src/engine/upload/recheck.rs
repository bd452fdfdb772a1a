//! After a commit that was refused because a part is another than was named.
//!
//! The bytes of a request that its sender has given up, or of a process that was killed, can still be on their way: they
//! replace a part that was sent again since. So all parts are listed once more. What holds our bytes under a new etag is
//! taken as it is, anything else is sent again, and then the commit.

use std::collections::BTreeMap;

use super::part::PartState;
use super::{Phase, Upload};
use crate::engine::command::Command;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::machine::Context;
use crate::engine::upload::journal::Record;
use crate::engine::wire::oci::PartEntry;

/// How often an upload does this before its failure is told: what is late arrives within the first one or two.
const MAX_RECHECKS: u32 = 3;

/// What is to be done with a part.
enum Finding {
    Same,
    /// Our bytes, by the MD5 that was computed when they were sent.
    Ours(PartEntry),
    /// Of our size, and no MD5 of ours is known.
    Unread(PartEntry),
    Other,
}

impl Upload {
    /// Whether `error`, to which the commit has come, is worth a look at the parts.
    pub(super) fn may_recheck(&self, error: &Error) -> bool {
        self.phase == Phase::Committing
            && self.rechecks < MAX_RECHECKS
            && error.http().and_then(|http| http.code.as_deref()) == Some("InvalidUploadPart")
    }

    pub(super) fn recheck(&mut self, error: &Error, ctx: &mut Context<'_>) {
        self.rechecks += 1;
        self.retries += 1;
        ctx.remark(self.id, format!("{error}; all parts are looked at once more"));
        self.list_parts(None, false);
    }

    pub(super) fn on_rechecked(&mut self, ctx: &mut Context<'_>) {
        let mut listed: BTreeMap<u32, PartEntry> =
            std::mem::take(&mut self.listed).into_iter().map(|entry| (entry.number, entry)).collect();
        for number in 1..=self.parts.count() {
            match self.finding(number, listed.remove(&number)) {
                Finding::Same => {}
                Finding::Ours(entry) => self.take_over(number, entry, ctx),
                // A stream's requests tell their checksum beforehand, so the service has compared it; and the whole object's
                // will be compared with ours.
                Finding::Unread(entry) if self.stream.is_some() => self.take_over(number, entry, ctx),
                Finding::Other if self.stream.is_some() => {
                    let message = format!(
                        "part {number} is not stored as it was sent any more, and a stream cannot be read again"
                    );
                    return self.fail_for_good(Error::new(ErrorKind::Integrity, message), ctx);
                }
                Finding::Unread(entry) => {
                    let part = self.parts.of(number);
                    // Sent by this run: that it was counted as compared no longer holds.
                    part.owed = !part.reused;
                    (part.etag, part.told_md5) = (Some(entry.etag), entry.md5);
                    self.parts.set(number, PartState::Check);
                }
                Finding::Other => {
                    self.parts.set(number, PartState::Waiting);
                    let part = self.parts.of(number);
                    (part.etag, part.told_md5, part.reused) = (None, None, false);
                }
            }
        }
        if let Some(number) = listed.into_keys().next() {
            let message = format!(
                "the service holds part {number} of this upload, which was never sent; `--restart` begins anew"
            );
            return self.fail_for_good(Error::new(ErrorKind::State, message), ctx);
        }
        self.phase = Phase::Transferring;
    }

    fn finding(&self, number: u32, entry: Option<PartEntry>) -> Finding {
        let (Some(part), Some(entry)) = (self.parts.part(number), entry) else { return Finding::Other };
        if part.etag.as_deref() == Some(&entry.etag) {
            return Finding::Same;
        }
        match (entry.md5, part.digests.md5) {
            _ if entry.size != part.len => Finding::Other,
            (Some(told), Some(ours)) if told == ours => Finding::Ours(entry),
            (Some(_), None) => Finding::Unread(entry),
            _ => Finding::Other,
        }
    }

    fn take_over(&mut self, number: u32, entry: PartEntry, ctx: &mut Context<'_>) {
        let part = self.parts.of(number);
        (part.etag, part.told_md5) = (Some(entry.etag.clone()), entry.md5);
        let digests = part.digests.clone();
        if self.stream.is_none() {
            let record = Record::Part { number, etag: entry.etag, digests };
            ctx.command(Command::Record { id: None, upload: self.id, record });
        }
    }
}
