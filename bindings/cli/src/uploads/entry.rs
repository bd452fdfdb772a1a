//! An unfinished upload as its journal here and the service tell it.

use std::path::PathBuf;
use std::time::Duration;

use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::spec::Target;
use outlast_core::engine::wire::oci::UploadEntry;
use outlast_core::native::journal::{JournalSummary, LockedBy};
use serde_json::{Value, json};

/// One upload, or one journal that cannot be read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Option<Target>,
    pub(super) upload_id: Option<String>,
    pub(super) journal: Option<Journal>,
    /// When the service says it was created.
    pub(super) created_at: Option<UnixMillis>,
    /// Whether the service lists it; `None` when it was not asked.
    pub(super) open: Option<bool>,
}

/// What the journal adds.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) source: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) parts_stored: usize,
    pub(super) part_size: Option<u64>,
    pub(super) age: Duration,
    pub(super) locked_by: Option<LockedBy>,
    pub(super) problem: Option<String>,
}

impl Entry {
    pub(super) fn of_journal(summary: JournalSummary) -> Entry {
        let (state, problem) = match summary.state {
            Ok(state) => (state, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Entry {
            target: state.as_ref().map(|state| state.target.clone()),
            upload_id: state.as_ref().and_then(|state| state.upload_id.clone()),
            journal: Some(Journal {
                path: summary.path,
                source: state.as_ref().map(|state| state.source.name.clone()),
                size: state.as_ref().and_then(|state| state.source.size),
                parts_stored: state.as_ref().map_or(0, |state| state.parts.len()),
                part_size: state.as_ref().map(|state| state.part_size),
                age: summary.age,
                locked_by: summary.locked_by,
                problem,
            }),
            created_at: None,
            open: None,
        }
    }

    fn of_service(entry: UploadEntry, namespace: &str, bucket: &str) -> Entry {
        let target = Target { namespace: namespace.into(), bucket: bucket.into(), object: entry.object };
        Entry {
            target: Some(target),
            upload_id: Some(entry.upload_id),
            journal: None,
            created_at: entry.created_at,
            open: Some(true),
        }
    }

    /// Whether this upload is of that bucket.
    pub(super) fn is_in(&self, namespace: Option<&str>, bucket: Option<&str>) -> bool {
        self.target.as_ref().is_some_and(|target| {
            namespace.is_none_or(|namespace| target.namespace == namespace)
                && bucket.is_none_or(|bucket| target.bucket == bucket)
        })
    }

    /// `bucket/object`, or the journal's path.
    pub(super) fn name(&self) -> String {
        match (&self.target, &self.journal) {
            (Some(target), _) => format!("{}/{}", target.bucket, target.object),
            (None, Some(journal)) => journal.path.display().to_string(),
            (None, None) => "an upload".into(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let journal = self.journal.as_ref();
        json!({
            "namespace": self.target.as_ref().map(|target| &target.namespace),
            "bucket": self.target.as_ref().map(|target| &target.bucket),
            "object": self.target.as_ref().map(|target| &target.object),
            "upload-id": self.upload_id,
            "created": self.created_at.map(|at| at.to_string()),
            "open": self.open,
            "journal": journal.map(|journal| journal.path.display().to_string()),
            "source": journal.and_then(|journal| journal.source.as_deref()),
            "size-bytes": journal.and_then(|journal| journal.size),
            "part-size-bytes": journal.and_then(|journal| journal.part_size),
            "parts-stored": journal.map(|journal| journal.parts_stored),
            "idle-seconds": journal.map(|journal| journal.age.as_secs()),
            "running": journal.map(|journal| journal.locked_by.is_some()),
            "process-id": journal.and_then(|journal| journal.locked_by).and_then(|by| by.pid),
            "problem": journal.and_then(|journal| journal.problem.as_deref()),
        })
    }
}

/// Joins what the service lists of a bucket with the journals.
pub(super) fn merge(entries: &mut Vec<Entry>, listed: Vec<UploadEntry>, namespace: &str, bucket: &str) {
    for entry in entries.iter_mut().filter(|entry| entry.is_in(Some(namespace), Some(bucket))) {
        entry.open = Some(false);
    }
    for upload in listed {
        match entries.iter_mut().find(|entry| entry.upload_id.as_ref() == Some(&upload.upload_id)) {
            Some(known) => (known.open, known.created_at) = (Some(true), upload.created_at),
            None => entries.push(Entry::of_service(upload, namespace, bucket)),
        }
    }
}
