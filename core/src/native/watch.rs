//! Noticing that a session's files have changed.
//!
//! By looking once a second at what the paths finally name. Two `stat` calls a second cost nothing, and unlike kernel
//! notification this sees renames, links turned elsewhere, mounted secrets and network file systems, needs no thread
//! and has no limit on watches per user.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::message::Message;
use crate::engine::{Event, SessionId};

/// Time between looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one look sees of a file: device, inode, size, modification and change time.
type Sight = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// Tells the engine whenever one of the files has become another. Runs until it is aborted.
pub(crate) async fn watch(session: SessionId, paths: Vec<PathBuf>, events: Sender<Message>) {
    let mut last: Option<Vec<Sight>> = None;
    loop {
        let looked = paths.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || looked.iter().map(look).collect::<Vec<_>>()).await
        else {
            return;
        };
        if last.as_ref().is_some_and(|last| *last != now)
            && events.send(Message::Event(Event::SourceTouched { session })).is_err()
        {
            return;
        }
        last = Some(now);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn look(path: &PathBuf) -> Sight {
    let facts = std::fs::metadata(path).ok()?;
    let modified = (facts.mtime(), facts.mtime_nsec());
    Some((facts.dev(), facts.ino(), facts.len(), modified, (facts.ctime(), facts.ctime_nsec())))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn sees_rewrites_renames_and_links_turned() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("it is ours");
        let token = dir.path().join("token");
        write("a", "1");
        std::os::unix::fs::symlink(dir.path().join("a"), &token).expect("it is ours");
        let before = look(&token);
        write("a", "2222");
        let rewritten = look(&token);
        assert_ne!(before, rewritten);
        write("b", "2222");
        std::fs::remove_file(&token).expect("it is ours");
        assert_eq!(look(&token), None);
        std::os::unix::fs::symlink(dir.path().join("b"), &token).expect("it is ours");
        assert_ne!(look(&token), rewritten);

        let (events, receiver) = channel();
        let task = tokio::spawn(watch(SessionId(3), vec![token.clone()], events));
        // The first look sets the mark; a second file under the name is seen by the next.
        tokio::time::sleep(Duration::from_millis(200)).await;
        write("c", "3");
        std::fs::rename(dir.path().join("c"), &token).expect("it is ours");
        let told = tokio::task::spawn_blocking(move || receiver.recv_timeout(Duration::from_secs(10))).await;
        let told = told.expect("waiting does not panic").expect("the change is told");
        assert!(matches!(told, Message::Event(Event::SourceTouched { session: SessionId(3) })));
        task.abort();
    }
}
