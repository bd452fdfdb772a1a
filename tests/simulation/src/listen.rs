//! What engines tell, and whether it is true.

use outlast_core::engine::command::Notice;
use outlast_core::engine::upload::Outcome;
use outlast_core::{Error, ErrorKind};

use crate::audit::Audit;
use crate::host::Life;
use crate::job::Stage;
use crate::world::World;

impl World {
    /// What an engine tells.
    pub(crate) fn listen(&mut self, life: Life, notice: Notice) {
        self.say(|| format!("{life} :: {notice:?}"));
        let clean = self.audit.shown(&notice);
        self.must(clean);
        match &notice {
            Notice::Finished { upload, result, resumable } => {
                let once = self.audit.finish(life, *upload);
                self.must(once);
                let Some(number) = self.job_of(life, *upload) else {
                    self.fail("an upload ends that nobody started");
                };
                self.figures.endings += 1;
                let result = (result.clone(), *resumable);
                self.conclude(number, result);
            }
            Notice::Parked { error, .. } => {
                if !matches!(error.kind(), ErrorKind::SignInNeeded | ErrorKind::Auth | ErrorKind::Config) {
                    self.fail(&format!("parked for an error that no person can mend: {error}"));
                }
                self.figures.parked += 1;
                self.call_person();
            }
            _ => {}
        }
        if self.keep_notices {
            self.notices.push((self.clock.time(), notice));
        }
    }

    /// A job's run has ended.
    fn conclude(&mut self, number: usize, result: (Result<Box<Outcome>, Error>, bool)) {
        if let Ok(outcome) = &result.0 {
            let job = &self.jobs[number];
            let object = self.storage.object(&job.object);
            let sound = object
                .is_some_and(|object| job.versions.iter().any(|content| content.equals(&object.chunks)));
            if !sound {
                self.fail("success is told of an object that is not the source");
            }
            if outcome.retries > job.mishaps {
                self.fail(&format!("{} retries for {} mishaps", outcome.retries, job.mishaps));
            }
            let size: u64 = object.map_or(0, |object| object.chunks.iter().map(|chunk| chunk.len).sum());
            if outcome.size != size {
                self.fail(&format!("{} bytes are told of an object of {size}", outcome.size));
            }
            if result.1 {
                self.fail("a success is called resumable");
            }
            self.figures.successes += 1;
        } else if let Err(error) = &result.0 {
            if error.kind() == ErrorKind::Internal || error.message().is_empty() {
                self.fail(&format!("an error that helps nobody: {error}"));
            }
            let clean = Audit::text(&error.to_string());
            self.must(clean);
        }
        let job = &mut self.jobs[number];
        job.stage = Stage::Ended;
        job.result = Some(result);
    }
}
