//! A token file that somebody else keeps fresh: a projected service account token, a sidecar's, `--write-token`'s.
//!
//! The file is opened by its path each time, so a link that is turned elsewhere is followed; what was read counts only
//! when the path still names the same file, unchanged, afterwards.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Abilities, Source, Wire, document};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::time::UnixMillis;
use crate::native::secrets;

/// A file that is being written is looked at again, so often at most.
const LOOKS: u32 = 6;
/// Time between these looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A token file.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    title: String,
}

impl FileSource {
    /// `title` for messages, for example `the session [lab]`.
    pub fn new(path: PathBuf, title: String) -> FileSource {
        FileSource { path, title }
    }

    fn look(&self) -> Result<Grant, Error> {
        let facts = || {
            fs::metadata(&self.path)
                .ok()
                .map(|facts| (facts.dev(), facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec()))
        };
        let before = facts();
        let bytes = secrets::read(&self.path)?;
        let shown = self.path.display();
        if before.is_none() || facts() != before {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the token file {shown} keeps changing while it is read"),
            ));
        }
        // A life without a date counts from when it was written.
        let written = before
            .map_or(UnixMillis(0), |(.., secs, nanos)| UnixMillis::from_secs(secs).offset(nanos / 1_000_000));
        document::read(&bytes, written)
            .map_err(|error| error.during(&format!("the token file {shown} cannot be used")))
    }
}

impl Source for FileSource {
    fn abilities(&self) -> Abilities {
        Abilities {
            title: self.title.clone(),
            remedy: format!("whoever writes {} has to renew it", self.path.display()),
            can_exchange: false,
            can_sign_in: true,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        let mut looks = 1;
        loop {
            match self.look() {
                Ok(grant) => return Ok(Some(grant)),
                Err(_) if looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let error = Error::new(ErrorKind::Auth, "a token file is renewed by whoever writes it");
        Err(ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None })
    }

    fn watch(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_turned_elsewhere_are_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        let source = FileSource::new(at("token"), "the session [x]".into());
        assert!(source.load().expect_err("nothing there").to_string().contains("does not exist"));
        // As a kubelet does it: the link is turned to a new directory in one step.
        for generation in ["one", "two"] {
            fs::create_dir(at(generation)).expect("ours");
            fs::write(at(generation).join("token"), format!("token-{generation}\n")).expect("ours");
            std::os::unix::fs::symlink(at(generation), at("new")).expect("ours");
            fs::rename(at("new"), at("data")).expect("ours");
            if generation == "one" {
                std::os::unix::fs::symlink("data/token", at("token")).expect("ours");
            }
            let grant = source.load().expect("a token").expect("a token");
            assert_eq!(
                grant.credential.bearer().expect("a bearer").token().expose(),
                &format!("token-{generation}")
            );
        }
        fs::remove_file(at("token")).expect("ours");
        fs::write(at("token"), "{\"access_token\":\"hun").expect("ours");
        let error = source.load().expect_err("torn").to_string();
        assert!(error.contains("no whole JSON") && !error.contains("hun\""), "{error}");
    }
}
