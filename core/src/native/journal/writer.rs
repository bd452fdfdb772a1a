//! The journal's records in the order of the commands, written off the engine's thread.

use std::sync::mpsc::Sender;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Journal;
use crate::engine::command::{CommandId, Event, UploadId};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::journal::Record;
use crate::native::message::Message;

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
///
/// Records that could not be written (a full disk) are kept and tried again with the next; only those who asked for
/// durability are told, since a journal that lacks parts merely sends them again.
pub(crate) async fn write_in_order(
    upload: UploadId,
    mut journal: Option<Journal>,
    mut jobs: UnboundedReceiver<Job>,
    events: Sender<Message>,
) {
    let mut unwritten: Vec<Record> = Vec::new();
    let (mut open, mut interrupted) = (true, false);
    while open {
        let Some(first) = jobs.recv().await else { break };
        let mut batch = vec![first];
        while let Ok(next) = jobs.try_recv() {
            batch.push(next);
        }
        let (mut ids, mut forget) = (Vec::new(), false);
        for job in batch {
            match job {
                Job::Record(id, record) => {
                    unwritten.push(record);
                    ids.extend(id);
                }
                Job::Forget => forget = true,
                Job::Close => open = false,
            }
        }
        let (sync, records) = (!ids.is_empty(), std::mem::take(&mut unwritten));
        let work = tokio::task::spawn_blocking(move || {
            let result = match &mut journal {
                Some(journal) if forget => journal.reset(),
                Some(journal) if !records.is_empty() => journal.append(&records, sync),
                // Uploads that cannot be resumed have no journal.
                _ => Ok(()),
            };
            (journal, records, result)
        });
        let (back, records, written) = work.await.unwrap_or_else(|_| {
            interrupted = true;
            (None, Vec::new(), Ok(()))
        });
        journal = back;
        // A thread that was lost took the file with it: from then on nothing is durable.
        let result = if interrupted { Err(lost()) } else { written };
        if result.is_err() {
            unwritten = records;
        }
        for id in ids {
            let _ = events.send(Message::Event(Event::Recorded { id, result: result.clone() }));
        }
    }
    drop(journal);
    let _ = events.send(Message::JournalClosed(upload));
}

/// The journal went down with a thread.
fn lost() -> Error {
    Error::new(ErrorKind::Internal, "writing the upload journal was interrupted")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::engine::upload::journal::decode;
    use crate::engine::upload::spec::Target;
    use crate::native::journal::Key;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_could_not_be_written_is_written_when_it_can() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let target = Target { namespace: "n".into(), bucket: "b".into(), object: "o".into() };
        let key = Key { endpoint: "https://h", target: &target, source: "/f" };
        let opening = Journal::open(dir.path(), &key).expect("nobody has it");
        let uploads = dir.path().join("uploads");
        let lock = std::fs::read_dir(&uploads)
            .expect("readable")
            .next()
            .expect("the lock")
            .expect("readable")
            .path();
        let path = lock.with_extension("journal");
        // Something in the way, as a full disk would be.
        std::fs::create_dir(&path).expect("the directory is ours");

        let (jobs, queue) = unbounded_channel();
        let (events, told) = channel();
        let task = tokio::spawn(write_in_order(UploadId(1), Some(opening.journal), queue, events));
        let created = |id: &str| Record::Created { upload_id: id.into() };
        let record = |id, record| jobs.send(Job::Record(Some(CommandId(id)), record)).expect("it runs");
        let answer = || match told.recv() {
            Ok(Message::Event(Event::Recorded { id, result })) => (id.0, result.is_ok()),
            _ => (0, false),
        };
        record(1, created("lost?"));
        assert_eq!(tokio::task::block_in_place(answer), (1, false));
        std::fs::remove_dir(&path).expect("the directory is ours");
        record(2, created("kept"));
        assert_eq!(tokio::task::block_in_place(answer), (2, true));
        let text = std::fs::read_to_string(&path).expect("written");
        assert!(text.find("lost?") < text.find("kept") && text.contains("lost?"), "{text}");
        assert!(decode(text.as_bytes()).is_err(), "there was no intent, so it is no journal");
        jobs.send(Job::Forget).expect("it runs");
        jobs.send(Job::Close).expect("it runs");
        task.await.expect("the task ends");
        assert!(matches!(told.recv(), Ok(Message::JournalClosed(UploadId(1)))));
        assert_eq!(std::fs::read_dir(&uploads).expect("readable").count(), 0);
    }
}
