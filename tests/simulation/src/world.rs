//! Everything there is, and the passing of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use outlast_core::engine::Engine;
use outlast_core::engine::command::{CommandId, Event, Notice, SessionId, UploadId};
use outlast_core::engine::random::Random;
use outlast_core::engine::session::{SessionProfile, SessionState};
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::upload::spec::{OnFailure, Target};
use outlast_core::engine::wire::oci;
use outlast_core::{Error, ErrorKind};

use crate::agenda::Agenda;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::driver::Work;
use crate::fault::{Script, Weather};
use crate::host::{Host, Life};
use crate::issuer::Issuer;
use crate::job::{Job, Stage};
use crate::network::Flight;
use crate::person::Person;
use crate::process::{Identity, Process};
use crate::storage::Storage;

/// Something that happens at its time.
pub(crate) enum Item {
    /// A driver's work is done.
    Work(Life, Work),
    /// A request's head reaches the server.
    Arrive(u64),
    /// Some of a request's bytes went out.
    Tick(u64),
    /// A request is at the server whole.
    Finish(u64),
    /// Its answer, or the lack of one, reaches the client.
    Answer(u64),
    /// The world does something.
    Act(Box<dyn FnOnce(&mut World)>),
}

/// How a simulation came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All jobs have ended.
    Done,
    /// Nothing will ever happen again, and jobs are unfinished.
    Stuck,
    /// Too much time or too many steps went by.
    Endless,
}

/// Times of the machine and its network.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Round trip to the servers.
    pub round_trip: Duration,
    /// Work on files.
    pub disk: Duration,
    /// Reports of progress per transfer.
    pub ticks: u32,
}

/// Counts over a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls of engines.
    pub events: u64,
    /// Commands carried out.
    pub commands: u64,
    /// Requests to the storage service.
    pub requests: u64,
    /// Refreshes sent.
    pub exchanges: u64,
    /// Uploads that ended, one way or the other.
    pub endings: u64,
    /// Of these, with an object.
    pub successes: u64,
    /// Times a session was parked.
    pub parked: u64,
    /// Processes killed.
    pub kills: u64,
}

/// Everything there is.
pub struct World {
    /// Named in every failure.
    pub seed: u64,
    /// Randomness of the world (engines have their own).
    pub random: Random,
    /// Time.
    pub clock: Clock,
    /// The auth service.
    pub issuer: Issuer,
    /// The storage service.
    pub storage: Storage,
    /// The machine.
    pub host: Host,
    /// What is to be uploaded.
    pub jobs: Vec<Job>,
    /// Who does it.
    pub processes: Vec<Process>,
    /// Random faults.
    pub weather: Weather,
    /// Chosen faults.
    pub script: Option<Script>,
    /// Who signs in.
    pub person: Person,
    /// Times.
    pub pace: Pace,
    /// Invariants.
    pub audit: Audit,
    /// Counts.
    pub figures: Figures,
    /// Every notice, in words, with its time; kept when asked for.
    pub notices: Vec<(Duration, Notice)>,
    /// Keep notices.
    pub keep_notices: bool,
    /// Nothing goes wrong any more.
    pub calm: bool,
    /// Print what happens.
    pub trace: bool,
    /// When to give up.
    pub longest: Duration,
    /// When to give up, in commands.
    pub most_commands: u64,
    pub(crate) agenda: Agenda<Item>,
    pub(crate) flights: BTreeMap<u64, Flight>,
    pub(crate) by_command: BTreeMap<(Life, CommandId), u64>,
    pub(crate) flown: u64,
    pub(crate) asked: BTreeMap<crate::ask::AskKind, u64>,
    /// Calls outside uploads that have not ended.
    pub(crate) calls: BTreeSet<(Life, CommandId)>,
}

impl World {
    /// An empty world with nobody signed in.
    pub fn new(seed: u64) -> World {
        World {
            seed,
            random: Random::new(seed),
            clock: Clock::default(),
            issuer: Issuer::default(),
            storage: Storage::default(),
            host: Host::default(),
            jobs: Vec::new(),
            processes: Vec::new(),
            weather: Weather::default(),
            script: None,
            person: Person::default(),
            pace: Pace { round_trip: Duration::from_millis(40), disk: Duration::from_micros(200), ticks: 0 },
            audit: Audit::default(),
            figures: Figures::default(),
            notices: Vec::new(),
            keep_notices: false,
            calm: false,
            trace: false,
            longest: Duration::from_hours(24 * 60),
            most_commands: 1_000_000,
            agenda: Agenda::default(),
            flights: BTreeMap::new(),
            by_command: BTreeMap::new(),
            flown: 0,
            asked: BTreeMap::new(),
            calls: BTreeSet::new(),
        }
    }

    /// An invariant does not hold.
    ///
    /// # Panics
    /// Always, with the seed.
    pub fn fail(&self, what: &str) -> ! {
        let time = self.clock.time();
        panic!("seed {} at {time:?}: {what}; OUTLAST_SIM_SEED={} replays it", self.seed, self.seed);
    }

    pub(crate) fn must(&self, result: Result<(), String>) {
        if let Err(what) = result {
            self.fail(&what);
        }
    }

    /// Prints what happens, when asked to.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>16.6?} {}", self.clock.time().as_secs_f64(), what());
        }
    }

    /// Adds a process, which is started by [`World::start`].
    pub fn add_process(&mut self, identity: Identity, profile: SessionProfile) -> usize {
        self.processes.push(Process::new(self.processes.len(), identity, profile));
        self.processes.len() - 1
    }

    /// Adds a job for `process`.
    pub fn add_job(&mut self, process: usize, mut job: Job) -> usize {
        job.process = process;
        self.jobs.push(job);
        self.jobs.len() - 1
    }

    /// Plans something for the true time `at`.
    pub fn at(&mut self, at: Duration, act: impl FnOnce(&mut World) + 'static) {
        self.agenda.plan(at.max(self.clock.time()), Item::Act(Box::new(act)));
    }

    /// Plans something for later.
    pub fn after(&mut self, wait: Duration, act: impl FnOnce(&mut World) + 'static) {
        self.at(self.clock.time() + wait, act);
    }

    pub(crate) fn plan(&mut self, wait: Duration, item: Item) {
        self.agenda.plan(self.clock.time() + wait, item);
    }

    /// The file watches of all processes fire.
    pub fn touch(&mut self) {
        for number in 0..self.processes.len() {
            let process = &self.processes[number];
            let (life, session) = (process.life, process.session);
            if process.engine.is_some() && process.identity == Identity::Session {
                self.deliver(life, Event::SourceTouched { session });
            }
        }
    }

    /// How many requests of a kind were sent.
    pub fn requests(&self, kind: crate::ask::AskKind) -> u64 {
        self.asked.get(&kind).copied().unwrap_or(0)
    }

    /// Starts every process that is not running, with all its waiting jobs.
    pub fn start(&mut self) {
        for number in 0..self.processes.len() {
            self.start_process(number);
        }
    }

    /// Starts a process with all its waiting jobs.
    pub fn start_process(&mut self, number: usize) {
        let seed = self.random.bits();
        let now = self.clock.now();
        let process = &mut self.processes[number];
        if process.engine.is_none() {
            let mut engine = Engine::new(seed);
            process.session = engine.add_session(process.profile.clone(), now);
            process.engine = Some(engine);
            self.say(|| format!("-- process {number} starts"));
        }
        for job in 0..self.jobs.len() {
            if self.jobs[job].process == number && self.jobs[job].stage == Stage::Waiting {
                self.start_job(job);
            }
        }
        self.drain();
    }

    /// Makes the call for a job, with what its journal says.
    pub fn start_job(&mut self, number: usize) {
        let now = self.clock.now();
        let job = &mut self.jobs[number];
        let process = &mut self.processes[job.process];
        let Some(engine) = process.engine.as_mut().filter(|_| job.stage != Stage::Ended) else { return };
        // Streams and single puts cannot be resumed and have no journal.
        let journal = if job.streamed || job.options.single { Ok(None) } else { self.host.open(number) };
        match journal {
            Ok(journal) => {
                let upload = engine.start_upload(process.session, job.spec(), journal, now);
                job.begin(upload);
                self.figures.events += 1;
            }
            Err(error) => self.fail(&format!("the journal cannot be read: {error}")),
        }
    }

    /// Whether a process's session can never be used again.
    pub fn is_dead(&self, number: usize) -> bool {
        let process = &self.processes[number];
        let status = process
            .engine
            .as_ref()
            .and_then(|engine| engine.session_status(process.session, self.clock.now()));
        status.is_some_and(|status| status.state == SessionState::Dead)
    }

    /// Ends a process as `kill -9` does.
    pub fn kill(&mut self, number: usize) {
        let life = self.processes[number].life;
        if self.processes[number].engine.take().is_none() {
            return;
        }
        self.say(|| format!("-- process {number} is killed"));
        self.figures.kills += 1;
        self.processes[number].life.number += 1;
        self.ground(life);
        self.calls.retain(|(caller, _)| *caller != life);
        if self.host.lock.holder == Some(life) {
            self.unlock();
        }
        self.host.lock.waiting.retain(|(waiting, _)| *waiting != life);
        if self.audit.exchanging == Some(life) {
            self.audit.exchanging = None;
        }
        for job in 0..self.jobs.len() {
            if self.jobs[job].process == number && self.jobs[job].is_running() {
                let kept = usize::try_from(self.random.below(1001)).unwrap_or(0);
                self.host.crash(job, kept);
                self.jobs[job].stage = Stage::Waiting;
            }
        }
    }

    /// The caller pauses or resumes a job.
    pub fn pause(&mut self, job: usize, paused: bool) {
        self.on_job(
            job,
            |engine, upload, now| {
                if paused { engine.pause(upload, now) } else { engine.resume(upload, now) }
            },
        );
    }

    /// The caller cancels a job.
    pub fn cancel(&mut self, job: usize, on_failure: OnFailure) {
        self.say(|| format!("-- job {job} is cancelled ({on_failure:?})"));
        self.jobs[job].cancelled = true;
        self.on_job(job, |engine, upload, now| engine.cancel(upload, on_failure, now));
    }

    fn on_job(
        &mut self,
        job: usize,
        act: impl FnOnce(&mut Engine, UploadId, outlast_core::engine::time::Now),
    ) {
        let now = self.clock.now();
        let Stage::Running(upload) = self.jobs[job].stage else { return };
        if let Some(engine) = &mut self.processes[self.jobs[job].process].engine {
            act(engine, upload, now);
            self.figures.events += 1;
            self.drain();
        }
    }

    /// Does something with a process's engine.
    pub fn on_engine<T>(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Engine, SessionId, outlast_core::engine::time::Now) -> T,
    ) -> T {
        let now = self.clock.now();
        let process = &mut self.processes[number];
        let session = process.session;
        let result = act(process.engine.as_mut().expect("the process is running"), session, now);
        self.drain();
        result
    }

    /// A caller sends a request of its own through a process.
    pub fn call(&mut self, number: usize, object: &str) {
        let target = Target { namespace: "ns".into(), bucket: "b".into(), object: object.into() };
        let request = oci::head_object(&target, None);
        let now = self.clock.now();
        let process = &mut self.processes[number];
        let Some(engine) = &mut process.engine else { return };
        let call = engine.call(process.session, oci::Operation::Head, request, now);
        self.calls.insert((process.life, call));
        self.drain();
    }

    /// Tells an engine something, if that life is still lived.
    pub(crate) fn deliver(&mut self, life: Life, event: Event) {
        if self.processes[life.process].life != life {
            return;
        }
        self.say(|| format!("{life} <- {}", brief(&event)));
        let now = self.clock.now();
        if let Some(engine) = &mut self.processes[life.process].engine {
            engine.handle(event, now);
            self.figures.events += 1;
        }
        self.drain();
    }

    /// Carries out what engines want and listens to what they tell.
    pub(crate) fn drain(&mut self) {
        for number in 0..self.processes.len() {
            loop {
                let process = &mut self.processes[number];
                let Some(engine) = &mut process.engine else { break };
                let life = process.life;
                if let Some(command) = engine.poll_command() {
                    process.commands += 1;
                    self.figures.commands += 1;
                    if process.kill_at == Some(process.commands) {
                        self.kill(number);
                        self.after(Duration::from_secs(7), move |world| world.start_process(number));
                        break;
                    }
                    self.carry_out(life, command);
                } else if let Some(notice) = engine.poll_notice() {
                    self.listen(life, notice);
                } else {
                    break;
                }
            }
        }
    }

    /// The job of an engine's upload.
    pub(crate) fn job_of(&self, life: Life, upload: UploadId) -> Option<usize> {
        self.jobs.iter().position(|job| job.process == life.process && job.stage == Stage::Running(upload))
    }

    /// Whether all jobs and calls have ended.
    pub fn all_ended(&self) -> bool {
        self.calls.is_empty() && self.jobs.iter().all(|job| job.stage == Stage::Ended)
    }

    /// Lets time pass until all jobs have ended or nothing more can happen.
    pub fn run(&mut self) -> Rest {
        self.run_while(|world| !world.all_ended())
    }

    /// Lets time pass until the true time `until`.
    pub fn run_until(&mut self, until: Duration) {
        self.at(until, |_| {});
        let _ = self.run_while(|world| world.clock.time() < until);
    }

    /// Lets time pass while `goes_on`.
    pub fn run_while(&mut self, goes_on: impl Fn(&World) -> bool) -> Rest {
        self.drain();
        while goes_on(self) {
            if self.clock.time() > self.longest || self.figures.commands > self.most_commands {
                return Rest::Endless;
            }
            if !self.step() {
                return Rest::Stuck;
            }
        }
        Rest::Done
    }

    /// The next thing happens; false when there is none.
    fn step(&mut self) -> bool {
        let timeout = self
            .processes
            .iter()
            .filter_map(|process| {
                Some((self.clock.when(process.engine.as_ref()?.poll_timeout()?), process.life.process))
            })
            .min();
        let (at, due) = match (self.agenda.next(), timeout) {
            (Some(item), Some((timer, _))) if item <= timer => (item, None),
            (Some(item), None) => (item, None),
            (_, Some((timer, process))) => (timer, Some(process)),
            (None, None) => return false,
        };
        self.clock.advance(at);
        let spin = self.audit.spin(self.clock.time());
        self.must(spin);
        if let Some(number) = due {
            let now = self.clock.now();
            if let Some(engine) = &mut self.processes[number].engine {
                engine.handle_timeout(now);
                self.figures.events += 1;
                self.audit.timeouts += 1;
            }
            self.drain();
            return true;
        }
        if let Some((_, item)) = self.agenda.take() {
            match item {
                Item::Work(life, work) => self.work_done(life, work),
                Item::Arrive(flight) => self.arrive(flight),
                Item::Tick(flight) => self.tick(flight),
                Item::Finish(flight) => self.finish(flight),
                Item::Answer(flight) => self.answer(flight),
                Item::Act(act) => {
                    act(self);
                    self.drain();
                }
            }
        }
        true
    }
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.process, self.number)
    }
}

fn brief(event: &Event) -> String {
    let mut text = format!("{event:?}");
    text.truncate(text.char_indices().nth(300).map_or(text.len(), |(at, _)| at));
    text
}

/// The one key of all simulated sessions: reading a key takes milliseconds.
pub fn signing_key() -> Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../vectors/oci-signing-vectors.json"))
                .expect("vectors are JSON");
        let pem = vectors["test_key"]["private_key_pkcs8_pem"].as_str().expect("a test key");
        Arc::new(SigningKey::from_pem(pem.as_bytes(), None).expect("the test key can be read"))
    });
    Arc::clone(key)
}

/// A network failure in words.
pub(crate) fn network(what: &str) -> Error {
    Error::new(ErrorKind::Network, what)
}
