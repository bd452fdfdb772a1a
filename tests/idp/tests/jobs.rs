//! Jobs with tokens of their own, on the loopback cloud: the person signs out in the middle, the job goes on, and at its end
//! the server says that its pair is dead.

use outlast_cloud::{Cloud, Config, EndGrant, GrantSpec, Platform, Preset, Rotation};
use outlast_core::engine::Notice;
use outlast_core::engine::error::ErrorKind;
use outlast_core::engine::secret::Secret;
use outlast_core::engine::sessions_file::{Places, SessionDef, SessionsFile};
use outlast_core::native::sign_in::{DeviceCode, Guide, SignedOut, Way, sign_in, sign_out};
use outlast_core::native::source::{Kept, SourceSpec, kept};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, Expected, Job, JobSpec, Notices, Session, SessionSpec, Web, end_job,
};
use outlast_idp::web::{self, Answer};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);
const TENANT: (&str, &str) = ("x-okapi-tenant", "diku");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A cloud, and a person with a sessions file and a vault.
struct Home {
    cloud: Cloud,
    directory: TempDir,
    def: SessionDef,
    web: Web,
}

struct Nobody;

impl Guide for Nobody {
    fn open(&self, _url: &str) {}
    fn code(&self, _code: &DeviceCode) {}
    fn stopped(&self) -> bool {
        false
    }
}

/// Lets every device in.
struct Ann<'a>(&'a Cloud);

impl Guide for Ann<'_> {
    fn open(&self, _url: &str) {}
    fn code(&self, code: &DeviceCode) {
        assert!(self.0.control().oauth_device(&code.user_code, Some("ann")));
    }
    fn stopped(&self) -> bool {
        false
    }
}

impl Home {
    /// `lines` of the session; `{at}` is the cloud.
    fn new(config: Config, lines: &str) -> Home {
        let cloud = Cloud::start(config).unwrap();
        // Here it is asked for; when refreshes are due by themselves is tried elsewhere.
        cloud.control().change(|settings| settings.oauth.earliest_refresh = 0.0);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), "ann-password").unwrap();
        std::fs::write(directory.path().join("job-secret"), "job-secret").unwrap();
        let text = format!("[work]\n{}\nvault_key = file:key\n", lines.replace("{at}", &cloud.endpoint()));
        let places = Places { home: None, dir: directory.path(), allow_http: false };
        let def = SessionsFile::parse(&text).unwrap().session("work", places).unwrap();
        Home { cloud, directory, def, web: Web::new(&ClientOptions::default()).unwrap() }
    }

    /// A person's session of the client `cli`.
    fn person(lines: &str) -> Home {
        let session =
            format!("issuer = {{at}}/oauth\nclient_id = cli\nscope = openid offline_access\n{lines}");
        let home = Home::new(Config::default(), &session);
        let grant = home.cloud.control().oauth_grant(&GrantSpec::default(), &home.cloud.endpoint()).unwrap();
        let refresh = Secret::new(grant["refresh_token"].as_str().unwrap().to_owned());
        sign_in(&home.kept(), &home.web, Way::Brought(refresh), PATIENCE, &Nobody).unwrap();
        home
    }

    /// As [`Home::person`], by a code: the sign-in is this machine's alone.
    fn alone(lines: &str) -> Home {
        let session =
            format!("issuer = {{at}}/oauth\nclient_id = cli\nscope = openid offline_access\n{lines}");
        let home = Home::new(Config::default(), &session);
        home.cloud.control().change(|settings| settings.oauth.device_interval = Some(Duration::from_secs(1)));
        sign_in(&home.kept(), &home.web, Way::Device, PATIENCE, &Ann(&home.cloud)).unwrap();
        home
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn kept(&self) -> Kept {
        kept(&self.def, None, self.state(), false).unwrap().unwrap()
    }

    fn open(&self) -> (Client, Session, Notices) {
        let options = ClientOptions { state_dir: Some(self.state().to_owned()), ..ClientOptions::default() };
        let client = Client::new(options).unwrap();
        let notices = client.subscribe();
        let at = self.cloud.endpoint();
        let spec = SessionSpec {
            source: SourceSpec::Defined { def: Box::new(self.def.clone()), vault_key: None },
            endpoints: Endpoints { storage: at.clone(), auth: at },
            wait_for_login: Duration::ZERO,
            timer: false,
        };
        let session = client.session(spec).unwrap();
        (client, session, notices)
    }

    /// The person signs out, on another device so to say: the server is told.
    fn sign_out(&self) {
        let record = self.kept().record().unwrap().unwrap();
        // What was brought along is shared by its record; it is ended at the server all the same.
        if record.shared {
            assert_eq!(self.cloud.control().oauth_end(&EndGrant::Chain(0)), 1);
        } else {
            assert_eq!(sign_out(&self.kept(), &self.web, false).unwrap(), SignedOut::Revoked);
        }
    }

    fn stored(&self, job: &str) -> bool {
        self.state().join(format!("vault/work@{job}.sealed")).exists()
    }

    fn userinfo(&self, token: &str) -> u16 {
        web::get_as(&self.cloud.endpoint(), "/oauth/userinfo", token).unwrap().status
    }

    /// Why each chain has ended, if it has.
    fn ended(&self) -> Vec<bool> {
        self.cloud.control().oauth_chains().iter().map(|chain| chain.ended.is_some()).collect()
    }
}

fn begin(client: &Client, session: &Session, name: &str) -> Job {
    let spec = JobSpec { name: name.to_owned(), expected: Expected::Unknown };
    client.job_blocking(session, &spec, PATIENCE).unwrap()
}

fn token(job: &Job) -> String {
    job.session().lease_blocking(PATIENCE).unwrap().expose_token().to_owned()
}

const FOLIO: &str =
    "provider = folio-eureka\nurl = {at}\ntenant = diku\nusername = ann\npassword_file = password";

fn send(cloud: &Cloud, target: &str, token: &str, body: &Value) -> Answer {
    let headers = [TENANT, JSON, ("x-okapi-token", token)];
    web::send(&cloud.endpoint(), "POST", target, &headers, &body.to_string()).unwrap()
}

#[test]
fn an_import_goes_on_when_its_user_signs_out() {
    const RECORDS: u64 = 20;
    let mut config = Config::default();
    config.settings.folio.platform = Platform::Eureka;
    config.settings.folio.access_life = Duration::from_secs(3);
    config.settings.folio.record_time = Duration::from_millis(300);
    let home = Home::new(config, FOLIO);
    let (client, session, _notices) = home.open();
    let users = session.lease_blocking(PATIENCE).unwrap().expose_token().to_owned();
    let job = begin(&client, &session, "import-42");
    assert_eq!(home.ended(), [false, false], "a sign-in of its own");
    // It would sign in again by itself.
    drop(session);
    let created = send(&home.cloud, "/data-import/jobs", &token(&job), &json!({ "records": RECORDS }));
    assert_eq!(created.status, 201, "{created:?}");
    let target = format!("/data-import/jobs/{}/records", created.json()["id"]);
    let mut generations = std::collections::BTreeSet::new();
    for index in 0..RECORDS {
        if index == RECORDS / 4 {
            home.sign_out();
            assert_eq!(home.ended(), [true, false]);
            let refused = send(&home.cloud, &target, &users, &json!({ "index": index }));
            assert_eq!(refused.status, 401, "the user's own token is dead: {refused:?}");
        }
        let done = (0..2).any(|_| {
            let lease = job.session().lease_blocking(PATIENCE).unwrap();
            generations.insert(lease.generation);
            let answer = send(&home.cloud, &target, lease.expose_token(), &json!({ "index": index }));
            !job.session().answered(lease.generation, answer.status, &answer.body) && answer.status == 201
        });
        assert!(done, "record {index} was refused under two tokens");
    }
    assert!(generations.len() >= 2, "{generations:?}");
    let last = token(&job);
    assert!(home.stored("import-42"));
    assert!(job.end_blocking(PATIENCE).unwrap(), "the server was told");
    assert_eq!(home.ended(), [true, true]);
    let after = send(&home.cloud, &target, &last, &json!({ "index": 0 }));
    assert_eq!(after.status, 401, "its last token is dead, too: {after:?}");
    assert!(!home.stored("import-42"), "and forgotten here");
    assert_eq!(home.cloud.control().violations(), []);
    client.close(PATIENCE).unwrap();
}

#[test]
fn an_exchanged_pair_outlives_the_sign_out_and_is_revoked_at_the_end() {
    let home = Home::person("job = exchange\njob_client_id = job\njob_client_secret_file = job-secret");
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "nightly");
    let first = token(&job);
    let chains = home.cloud.control().oauth_chains();
    assert_eq!((chains.len(), chains[1].client.as_str(), chains[1].user.as_deref()), (2, "job", Some("ann")));
    home.sign_out();
    assert!(session.refresh_blocking(PATIENCE).is_err(), "the person is signed out");
    job.session().refresh_blocking(PATIENCE).expect("the job is not");
    let second = token(&job);
    assert_ne!(first, second);
    assert_eq!(home.userinfo(&second), 200);
    assert!(job.end_blocking(PATIENCE).unwrap());
    assert_eq!((home.userinfo(&second), home.ended()), (401, vec![true, true]));
    assert_eq!(home.cloud.control().violations(), []);
    client.close(PATIENCE).unwrap();
}

#[test]
fn a_service_takes_the_job_from_its_start() {
    let home =
        Home::person("job = client_credentials\njob_client_id = job\njob_client_secret_file = job-secret");
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "nightly");
    home.sign_out();
    assert_eq!(home.userinfo(&token(&job)), 200);
    job.session().refresh_blocking(PATIENCE).expect("it mints");
    let last = token(&job);
    assert!(job.end_blocking(PATIENCE).unwrap());
    assert_eq!(home.userinfo(&last), 401);
    client.close(PATIENCE).unwrap();
}

#[test]
fn a_provider_that_forks_gives_a_second_chain() {
    let home = Home::person("job = fork\non_ambiguous = fork:20s");
    home.cloud.control().change(|settings| {
        settings.oauth.rotation = Rotation::Fork;
        settings.oauth.grace = Duration::from_secs(20);
    });
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "nightly");
    // Each goes on by itself, in turns.
    for _ in 0..3 {
        session.refresh_blocking(PATIENCE).unwrap();
        job.session().refresh_blocking(PATIENCE).unwrap();
    }
    assert_eq!(home.userinfo(&token(&job)), 200);
    assert!(!job.end_blocking(PATIENCE).unwrap(), "revoking it would end the person's session");
    session.refresh_blocking(PATIENCE).expect("which goes on");
    assert!(!home.stored("nightly"));
    // One that answers the same again is found out.
    home.cloud.control().change(|settings| settings.oauth.rotation = Rotation::Replay);
    let spec = JobSpec { name: "other".into(), expected: Expected::Unknown };
    let error = client.job_blocking(&session, &spec, PATIENCE).unwrap_err();
    assert!(error.to_string().contains("the same pair again"), "{error}");
    client.close(PATIENCE).unwrap();
    assert!(!home.stored("other"));
}

#[test]
fn the_last_to_leave_a_forked_grant_revokes_it() {
    let home = Home::alone("job = fork\non_ambiguous = fork:20s");
    home.cloud.control().change(|settings| {
        settings.oauth.rotation = Rotation::Fork;
        settings.oauth.grace = Duration::from_secs(20);
    });
    let (client, session, _notices) = home.open();
    let (first, second) = (begin(&client, &session, "first"), begin(&client, &session, "second"));
    drop(session);
    let out = sign_out(&home.kept(), &home.web, false).unwrap();
    let SignedOut::LeftToJobs(mut jobs) = out else { panic!("{out:?}") };
    jobs.sort();
    assert_eq!(jobs, ["first", "second"]);
    assert!(home.kept().record().unwrap().is_none(), "forgotten here");
    for job in [&first, &second] {
        job.session().refresh_blocking(PATIENCE).expect("the person's sign-out does not end it");
        assert_eq!(home.userinfo(&token(job)), 200);
    }
    assert!(!first.end_blocking(PATIENCE).unwrap(), "the other goes on");
    second.session().refresh_blocking(PATIENCE).expect("it does");
    let last = token(&second);
    assert!(second.end_blocking(PATIENCE).unwrap(), "nobody is left");
    assert_eq!(home.userinfo(&last), 401);
    assert!(home.ended().iter().all(|ended| *ended), "{:?}", home.ended());
    client.close(PATIENCE).unwrap();
    // The job was the last: a person who signs in anew has another grant, which is revoked as ever.
    sign_in(&home.kept(), &home.web, Way::Device, PATIENCE, &Ann(&home.cloud)).unwrap();
    assert_eq!(sign_out(&home.kept(), &home.web, false).unwrap(), SignedOut::Revoked);
    assert_eq!(home.cloud.control().violations(), []);
}

#[test]
fn folio_tokens_that_have_ended_are_renewed_to_be_revoked() {
    // One is seen to have ended, of the other the server says so.
    let lives = [Duration::from_secs(1), Duration::from_secs(30)];
    for (platform, life) in [Platform::Okapi, Platform::Eureka].into_iter().zip(lives) {
        let mut config = Config::default();
        (config.settings.folio.platform, config.settings.folio.access_life) = (platform, life);
        let home = Home::new(config, FOLIO);
        let (client, session, _notices) = home.open();
        begin(&client, &session, "import").leave();
        session.lease_blocking(PATIENCE).unwrap();
        client.close(PATIENCE).unwrap();
        home.cloud.control().advance_clock(life * 2);
        let end = end_job(&home.def, None, home.state(), false, "import", &home.web);
        assert_eq!(end.unwrap(), Some(true), "{platform:?}");
        assert_eq!(sign_out(&home.kept(), &home.web, false).unwrap(), SignedOut::Revoked, "{platform:?}");
        assert!(home.ended().iter().all(|ended| *ended), "{platform:?} {:?}", home.ended());
        assert_eq!(home.cloud.control().violations(), []);
    }
}

#[test]
fn a_job_that_was_killed_goes_on_with_its_pair() {
    let home = Home::new(Config::default(), FOLIO);
    home.cloud.control().change(|settings| settings.folio.platform = Platform::Eureka);
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "import");
    let first = token(&job);
    // As a process that ends without a word; what it has is in the vault.
    job.leave();
    client.close(PATIENCE).unwrap();
    assert!(home.stored("import"));
    let chains = home.cloud.control().oauth_chains().len();
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "import");
    assert_eq!(
        (token(&job), home.cloud.control().oauth_chains().len()),
        (first, chains),
        "no further sign-in"
    );
    job.leave();
    client.close(PATIENCE).unwrap();
    // Nobody goes on with it: it is ended by name.
    let end = || end_job(&home.def, None, home.state(), false, "import", &home.web).unwrap();
    assert_eq!((end(), end()), (Some(true), None));
    assert!(!home.stored("import"));
    assert_eq!(home.cloud.control().violations(), []);
}

#[test]
fn a_job_that_is_dropped_or_cut_off_is_revoked() {
    let home = Home::person("job = exchange\njob_client_id = job\njob_client_secret_file = job-secret");
    let (client, session, notices) = home.open();
    let spec = |name: &str| JobSpec { name: name.into(), expected: Expected::Unknown };
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _job = client.job_blocking(&session, &spec("failed"), PATIENCE).unwrap();
        std::panic::resume_unwind(Box::new("the work fails"));
    }));
    assert!(failed.is_err());
    let running = begin(&client, &session, "running");
    // Closing waits for what is being revoked, and revokes what still runs.
    client.close(PATIENCE).unwrap();
    assert_eq!(home.ended(), [false, true, true]);
    assert!(!home.stored("failed") && !home.stored("running"));
    drop(running);
    let told: Vec<Notice> = std::iter::from_fn(|| notices.try_next()).collect();
    let secrets = home.cloud.control().secrets_in(&format!("{told:?}"));
    assert_eq!(secrets, Vec::<&str>::new());
}

#[test]
fn a_pair_that_cannot_be_revoked_stays_and_that_is_told() {
    let home = Home::person("job = exchange\njob_client_id = job\njob_client_secret_file = job-secret");
    let (client, session, _notices) = home.open();
    let job = begin(&client, &session, "nightly");
    std::fs::write(home.state().join("job-secret"), "wrong").unwrap();
    let error = job.end_blocking(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(home.stored("nightly"));
    std::fs::write(home.state().join("job-secret"), "job-secret").unwrap();
    let end = end_job(&home.def, None, home.state(), false, "nightly", &home.web);
    assert_eq!((end.unwrap(), home.ended()), (Some(true), vec![false, true]));
    client.close(PATIENCE).unwrap();
}

#[test]
fn a_job_that_will_outlive_its_session_is_told_so_early() {
    let home = Home::new(Config::default(), FOLIO);
    home.cloud.control().change(|settings| settings.folio.platform = Platform::Eureka);
    let (client, session, notices) = home.open();
    let soon =
        outlast_core::engine::time::UnixMillis(home.cloud.control().now_ms()) + Duration::from_hours(1);
    let spec = JobSpec { name: "long".into(), expected: Expected::At(soon) };
    let job = client.job_blocking(&session, &spec, PATIENCE).unwrap();
    // A Eureka session ends a day after signing in, whatever is done.
    let late = soon + Duration::from_hours(24);
    job.expect(Expected::At(late));
    let told = std::iter::from_fn(|| notices.next_timeout(PATIENCE)).find_map(|notice| match notice {
        Notice::WillOutliveSession { session, upload: None, estimate, horizon } => {
            Some((session, estimate, horizon))
        }
        _ => None,
    });
    let (id, estimate, horizon) = told.expect("it is told");
    assert_eq!((id, estimate), (job.session().id(), late));
    assert!(horizon < late && horizon > soon, "{horizon}");
    job.end_blocking(PATIENCE).unwrap();
    client.close(PATIENCE).unwrap();
}

#[test]
fn what_cannot_give_a_job_tokens_says_so() {
    let home = Home::person("");
    let (client, session, _notices) = home.open();
    let try_it = |name: &str| {
        let spec = JobSpec { name: name.into(), expected: Expected::Unknown };
        client.job_blocking(&session, &spec, PATIENCE).unwrap_err()
    };
    let error = try_it("nightly");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("set job = exchange, client_credentials or fork"), "{error}");
    client.close(PATIENCE).unwrap();
    let home = Home::person("job = exchange\njob_client_id = job\njob_client_secret_file = job-secret");
    let (client, session, _notices) = home.open();
    let spec = JobSpec { name: "../x".into(), expected: Expected::Unknown };
    assert_eq!(client.job_blocking(&session, &spec, PATIENCE).unwrap_err().kind(), ErrorKind::InvalidInput);
    client.close(PATIENCE).unwrap();
}

#[test]
fn a_resource_that_says_expired_in_its_own_way_is_understood() {
    let home = Home::person("provider = django-oauth-toolkit\ntoken_endpoint = {at}/oauth/token");
    home.cloud.control().oauth_preset(Preset::Dot);
    home.cloud.control().change(|settings| settings.oauth.earliest_refresh = 0.0);
    let (client, session, _notices) = home.open();
    let first = session.lease_blocking(PATIENCE).unwrap();
    assert_eq!(home.userinfo(first.expose_token()), 200);
    assert!(!session.answered(first.generation, 200, b""));
    assert_eq!(home.cloud.control().oauth_end(&EndGrant::AccessToken(0)), 1);
    assert_eq!(home.userinfo(first.expose_token()), 403);
    assert!(session.answered(first.generation, 403, b""), "this provider's way to say so");
    let second = session.lease_blocking(PATIENCE).unwrap();
    assert_eq!(home.userinfo(second.expose_token()), 200);
    client.close(PATIENCE).unwrap();
}

#[test]
fn an_exchange_names_who_acts() {
    let cloud_lines = "issuer = {at}/oauth\nclient_id = job\nclient_secret_file = job-secret\ngrant = token_exchange\n\
                       subject_token_file = subject\nactor_token_file = actor";
    let home = Home::new(Config::default(), cloud_lines);
    let (control, at) = (home.cloud.control(), home.cloud.endpoint());
    control.oauth_user("operator", "any");
    let access = |user: &str| {
        let spec = GrantSpec { user: user.into(), ..GrantSpec::default() };
        control.oauth_grant(&spec, &at).unwrap()["access_token"].as_str().unwrap().to_owned()
    };
    std::fs::write(home.state().join("subject"), access("ann")).unwrap();
    std::fs::write(home.state().join("actor"), access("operator")).unwrap();
    let (client, session, _notices) = home.open();
    assert_eq!(home.userinfo(session.lease_blocking(PATIENCE).unwrap().expose_token()), 200);
    let last = control.oauth_chains().pop().unwrap();
    assert_eq!((last.user.as_deref(), last.actor.as_deref()), (Some("ann"), Some("operator")));
    std::fs::write(home.state().join("actor"), "nobody").unwrap();
    let error = session.refresh_blocking(PATIENCE).unwrap_err();
    assert!(error.to_string().contains("Invalid actor token"), "{error}");
    client.close(PATIENCE).unwrap();
}

#[test]
fn the_identity_providers_clock_is_learned_from_its_answers() {
    let ahead = Duration::from_hours(2);
    let home = Home::new(
        Config::default(),
        "issuer = {at}/oauth\nclient_id = job\nclient_secret_file = job-secret\ngrant = client_credentials",
    );
    home.cloud.control().advance_clock(ahead);
    let (client, session, notices) = home.open();
    let lease = session.lease_blocking(PATIENCE).unwrap();
    let skew = std::iter::from_fn(|| notices.next_timeout(PATIENCE)).find_map(|notice| match notice {
        Notice::ClockSkew { skew_ms } => Some(skew_ms),
        _ => None,
    });
    let near = Duration::from_mins(1).as_millis();
    assert!(u128::from(skew.unwrap().unsigned_abs()).abs_diff(ahead.as_millis()) < near, "{skew:?}");
    let left = lease.grant.expires_at.unwrap().0 - home.cloud.control().now_ms();
    assert!((240_000..=300_000).contains(&left), "the end is told by the server's clock: {left}");
    client.close(PATIENCE).unwrap();
}
