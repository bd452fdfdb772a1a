//! Work that moves its bytes itself: what it says of its end is compared with its session's, as an upload's forecast is.

use super::Engine;
use crate::engine::command::{Notice, SessionId};
use crate::engine::time::{Mono, Now, UnixMillis};
use crate::engine::upload::Forecast;

/// What a job knows of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    #[default]
    Unknown,
    /// It will end about then.
    At(UnixMillis),
    /// It has so much to do, in units of its own (records, bytes): its rate tells ([`Engine::advanced`]).
    Units(u64),
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    name: String,
    expected: Expected,
    done: u64,
    rate: Forecast,
    told: Option<UnixMillis>,
}

impl Job {
    fn estimate(&self, server_time: UnixMillis, now: Mono) -> Option<UnixMillis> {
        match self.expected {
            Expected::Unknown => None,
            Expected::At(end) => Some(end),
            Expected::Units(total) => {
                Some(server_time + self.rate.time_for(total.saturating_sub(self.done), now)?)
            }
        }
    }
}

impl Engine {
    /// Names the job that a session is for, and says what is known of its end; may be repeated when that changes.
    /// [`Notice::WillOutliveSession`] tells, once per horizon, when it will end after the session.
    pub fn expect(&mut self, id: SessionId, name: &str, expected: Expected, now: Now) {
        self.now = now;
        if let Some(entry) = self.sessions.get_mut(&id) {
            match &mut entry.job {
                Some(job) => job.expected = expected,
                job => {
                    let (name, rate) = (name.to_owned(), Forecast::new(now.mono));
                    *job = Some(Job { name, expected, done: 0, rate, told: None });
                }
            }
        }
        self.pump();
    }

    /// So many units of a job are done by now, in all.
    pub fn advanced(&mut self, id: SessionId, done: u64, now: Now) {
        self.now = now;
        if let Some(job) = self.sessions.get_mut(&id).and_then(|entry| entry.job.as_mut()) {
            job.rate.sent(done.saturating_sub(job.done), now.mono);
            job.done = job.done.max(done);
        }
        self.pump();
    }

    /// Compares every job's end with its session's.
    pub(super) fn review_jobs(&mut self) {
        let now = self.now;
        let jobs: Vec<SessionId> =
            self.sessions.iter().filter(|(_, entry)| entry.job.is_some()).map(|(id, _)| *id).collect();
        for id in jobs {
            let acting = self.acting(id);
            let Some((horizon, server_time)) = self
                .sessions
                .get(&acting)
                .map(|entry| (entry.session.effective_horizon(), now.wall.offset(entry.skew.ms)))
            else {
                continue;
            };
            let Some(job) = self.sessions.get_mut(&id).and_then(|entry| entry.job.as_mut()) else { continue };
            let Some(estimate) = job.estimate(server_time, now.mono) else { continue };
            match horizon {
                Some(horizon) if estimate > horizon && job.told != Some(horizon) => {
                    job.told = Some(horizon);
                    self.notices.push_back(Notice::WillOutliveSession {
                        session: id,
                        upload: None,
                        estimate,
                        horizon,
                    });
                }
                Some(_) => {}
                None => {
                    if let Some(entry) = self.sessions.get_mut(&acting) {
                        entry.session.learn_whether_extensible(estimate, now);
                    }
                }
            }
        }
    }

    /// What is under way under a session, for the record.
    pub(super) fn work_of(&self, id: SessionId) -> Vec<String> {
        let job = self.sessions.get(&id).and_then(|entry| entry.job.as_ref());
        let job = job.map(|job| format!("job {}", job.name));
        let uploads = self.uploads.values().filter(|upload| upload.session == id);
        job.into_iter().chain(uploads.map(super::Upload::described)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Event;
    use crate::engine::command::Command;
    use crate::engine::credential::{Bearer, Credential, Grant};
    use crate::engine::secret::Secret;
    use crate::engine::session::SessionProfile;

    const NOON: UnixMillis = UnixMillis(1_772_366_400_000);

    fn at(seconds: u64) -> Now {
        let span = Duration::from_secs(seconds);
        Now { mono: Mono(span), wall: NOON + span }
    }

    /// An engine with a session that ends an hour after noon, whatever is done.
    fn engine() -> (Engine, SessionId) {
        let mut engine = Engine::new(1);
        let profile = SessionProfile { can_exchange: false, ..SessionProfile::default() };
        let id = engine.add_session(profile, at(0));
        let Some(Command::Load { id: load, .. }) = engine.poll_command() else { panic!("nothing is loaded") };
        let bearer = Bearer::new(Secret::new("t".to_owned()), "Bearer").unwrap();
        let expires_at = Some(NOON + Duration::from_hours(1));
        let grant = Grant { issued_at: Some(NOON), expires_at, ..Grant::new(Credential::Bearer(bearer)) };
        engine.handle(Event::Loaded { id: load, result: Ok(Some(grant)) }, at(0));
        (engine, id)
    }

    /// Estimates told, seconds after noon.
    fn told(engine: &mut Engine) -> Vec<u64> {
        std::iter::from_fn(|| engine.poll_notice())
            .filter_map(|notice| match notice {
                Notice::WillOutliveSession { upload: None, estimate, horizon, .. } => {
                    assert_eq!(horizon, NOON + Duration::from_hours(1));
                    Some(estimate.since(NOON).as_secs())
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_stated_end_beyond_the_session_is_told_once() {
        let (mut engine, id) = engine();
        engine.expect(id, "import", Expected::At(NOON + Duration::from_mins(50)), at(1));
        assert!(told(&mut engine).is_empty());
        engine.expect(id, "import", Expected::At(NOON + Duration::from_mins(70)), at(2));
        engine.handle_timeout(at(3));
        assert_eq!(told(&mut engine), [70 * 60]);
        assert_eq!(engine.work_of(id), ["job import"]);
    }

    #[test]
    fn a_size_is_judged_by_the_rate() {
        let (mut engine, id) = engine();
        engine.expect(id, "import", Expected::Units(36_000), at(0));
        // Ten a second: just an hour, begun a little late.
        for second in 1..60 {
            engine.advanced(id, second * 20, at(second));
        }
        assert!(told(&mut engine).is_empty(), "half an hour");
        for second in 60..1200 {
            engine.advanced(id, 1180 + (second - 59) * 2, at(second));
        }
        let told = told(&mut engine);
        assert!(told.len() == 1 && told[0] > 3600, "{told:?}");
        // What has been counted does not go back.
        engine.advanced(id, 1, at(1201));
    }
}
