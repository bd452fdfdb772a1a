//! The journal's records in the order of the commands, written off the engine's thread.

use std::sync::mpsc::Sender;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Journal;
use crate::engine::command::{CommandId, Event, UploadId};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::journal::Record;
use crate::native::driver::Message;

/// What is to be done to a journal.
pub(crate) enum Job {
    /// Append; with an id, make durable and answer.
    Record(Option<CommandId>, Record),
    /// The upload has ended and nothing is left to resume.
    Forget,
    /// The upload has ended: give the lock back and tell.
    Close,
}

/// Carries jobs out until `Close`, several at once when they have gathered: one fsync then serves them all.
pub(crate) async fn write_in_order(
    upload: UploadId,
    mut journal: Option<Journal>,
    mut jobs: UnboundedReceiver<Job>,
    events: Sender<Message>,
) {
    let mut broken: Option<Error> = None;
    let mut open = true;
    while open {
        let Some(first) = jobs.recv().await else { break };
        let mut batch = vec![first];
        while let Ok(next) = jobs.try_recv() {
            batch.push(next);
        }
        let (mut records, mut ids, mut forget) = (Vec::new(), Vec::new(), false);
        for job in batch {
            match job {
                Job::Record(id, record) => {
                    records.push(record);
                    ids.extend(id);
                }
                Job::Forget => forget = true,
                Job::Close => open = false,
            }
        }
        let sync = !ids.is_empty();
        let work = tokio::task::spawn_blocking(move || {
            let result = match &mut journal {
                Some(journal) if forget => journal.reset(),
                Some(journal) if !records.is_empty() => journal.append(&records, sync),
                // Uploads that cannot be resumed have no journal.
                _ => Ok(()),
            };
            (journal, result)
        });
        let interrupted = || Error::new(ErrorKind::Internal, "writing the upload journal was interrupted");
        let (back, result) = work.await.unwrap_or_else(|_| (None, Err(interrupted())));
        journal = back;
        if let Err(error) = result {
            broken = Some(error);
        }
        for id in ids {
            let result = broken.clone().map_or(Ok(()), Err);
            let _ = events.send(Message::Event(Event::Recorded { id, result }));
        }
    }
    drop(journal);
    let _ = events.send(Message::JournalClosed(upload));
}
