//! Our sessions against each real server: one refresh however many callers there are, reuse detected and told, limits
//! respected, lost answers handled by the server's policy, chains revoked at the end.

#![allow(clippy::disallowed_methods, reason = "servers without a clock of ours are waited for")]

use outlast_core::engine::chain::ChainEnd;
use outlast_core::engine::command::Notice;
use outlast_core::engine::credential::Lease;
use outlast_core::engine::error::ErrorKind;
use outlast_core::engine::secret::Secret;
use outlast_core::engine::sessions_file::{self, Places, SessionDef, SessionsFile};
use outlast_core::engine::wire::oauth2::device::DeviceCode;
use outlast_core::native::sign_in::{Guide, SignedOut, Way, sign_in, sign_out};
use outlast_core::native::source::{Kept, SourceSpec, kept};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, Expected, JobSpec, Notices, Session, SessionSpec, Web,
};
use outlast_idp::proxy::Cut;
use outlast_idp::server::{Kind, Lives, SECRET, Server, sign_ann_in};
use outlast_idp::web::Browser;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const ROTATIONS: u64 = 100;
const CALLERS: usize = 64;

/// What a user has: a sessions file, a vault, and this library.
struct Home {
    directory: TempDir,
    def: SessionDef,
    web: Web,
}

/// A guide that a test answers by itself.
struct Helper<'a> {
    server: &'a Server,
}

impl Guide for Helper<'_> {
    fn open(&self, url: &str) {
        let url = url.to_owned();
        let kind = self.server.kind;
        let origin = self.server.origin().to_owned();
        // As a browser would, beside the program that waits for its redirect.
        thread::spawn(move || browse(kind, &origin, &url));
    }

    fn code(&self, code: &DeviceCode) {
        self.server.approve(&code.user_code).unwrap();
    }

    fn stopped(&self) -> bool {
        false
    }
}

/// Signs Ann in on the pages of the server, and lets the redirect reach the program.
fn browse(kind: Kind, origin: &str, url: &str) {
    let mut browser = Browser::default();
    let ours = |url: &str| !url.starts_with(origin);
    if kind == Kind::Django {
        assert_eq!(browser.send(&format!("{origin}/test/login"), "GET", &[]).unwrap().status, 204);
    }
    if kind == Kind::Keycloak {
        let back = sign_ann_in(&mut browser, url, ours).unwrap();
        browser.send(&back, "GET", &[]).unwrap();
        return;
    }
    let (mut at, mut page) = browser.follow(url, ours).unwrap();
    for prompt in ["login", "consent"] {
        if page.is_none() || kind != Kind::OidcProvider {
            break;
        }
        let pairs = [("prompt", prompt), ("login", "ann"), ("password", "any")];
        let answer = browser.send(&at, "POST", &pairs).unwrap();
        let next = outlast_idp::web::absolute(&at, answer.get("location"));
        (at, page) = browser.follow(&next, ours).unwrap();
    }
    assert!(page.is_none(), "{at}: {page:?}");
    browser.send(&at, "GET", &[]).unwrap();
}

impl Home {
    /// A session of the file: the confidential client, unless `lines` say otherwise.
    fn new(server: &Server, lines: &str) -> Self {
        let provider = match server.kind {
            Kind::OidcProvider => "oidc-provider",
            Kind::Django => "django-oauth-toolkit",
            Kind::Keycloak => "keycloak",
        };
        Self::with(&format!("[job]\nprovider = {provider}\nissuer = {}\n{lines}", server.issuer()))
    }

    fn with(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), SECRET).unwrap();
        let text = format!("{text}\nvault_key = file:key\n");
        let places = Places { home: Some(directory.path()), dir: directory.path(), allow_http: false };
        let def = SessionsFile::parse(&text).unwrap().session("job", places).unwrap();
        Self { def, web: Web::new(&ClientOptions::default()).unwrap(), directory }
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn kept(&self) -> Kept {
        kept(&self.def, None, self.state(), false).unwrap().unwrap()
    }

    /// Signs in with a refresh token that the server has given out.
    fn bring(&self, server: &Server, grant: &Value) {
        let token = Secret::new(grant["refresh_token"].as_str().unwrap().to_owned());
        sign_in(&self.kept(), &self.web, Way::Brought(token), PATIENCE, &Helper { server }).unwrap();
    }

    fn open(&self) -> (Client, Session, Notices) {
        let options = ClientOptions { state_dir: Some(self.state().to_owned()), ..ClientOptions::default() };
        let client = Client::new(options).unwrap();
        let notices = client.subscribe();
        let spec = SessionSpec {
            source: SourceSpec::Defined { def: Box::new(self.def.clone()), vault_key: None },
            endpoints: Endpoints { storage: "http://127.0.0.1:1".into(), auth: "http://127.0.0.1:1".into() },
            wait_for_login: Duration::ZERO,
            timer: false,
        };
        let session = client.session(spec).unwrap();
        session.wait_loaded(PATIENCE).unwrap();
        (client, session, notices)
    }

    /// The refresh token in the vault: what a second program would find.
    fn stored(&self) -> String {
        self.kept().record().unwrap().unwrap().refresh_token.unwrap().expose().clone()
    }
}

const JOB: &str = "client_id = job\nclient_secret_file = secret";
const CLI: &str = "client_id = cli\nscope = openid offline_access";

fn token(lease: &Lease) -> String {
    lease.expose_token().to_owned()
}

/// Waits for a notice.
fn told<T>(notices: &Notices, wanted: impl Fn(&Notice) -> Option<T>) -> T {
    let began = Instant::now();
    let mut seen = Vec::new();
    while began.elapsed() < PATIENCE {
        if let Some(notice) = notices.next_timeout(SECOND) {
            if let Some(found) = wanted(&notice) {
                return found;
            }
            seen.push(format!("{notice:?}"));
        }
    }
    panic!("not told; only: {seen:#?}");
}

/// All callers find the resource refusing their token, a hundred times over.
fn rotate(server: &Server, grant: &Value) {
    let home = Home::new(server, JOB);
    home.bring(server, grant);
    let (client, session, _notices) = home.open();
    let (before, counted) = (server.proxy.honoured(), server.counts().unwrap());
    let round = Barrier::new(CALLERS);
    let (seen, errors) = (Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut held = session.lease_blocking(PATIENCE);
                for _ in 0..ROTATIONS {
                    // Nobody leaves the round on an error, or the others would wait for ever.
                    let leads = round.wait().is_leader();
                    if let Ok(lease) = &held {
                        session.reject(lease.generation);
                    }
                    held = session.lease_blocking(PATIENCE);
                    match &held {
                        Ok(lease) if leads && server.resource(&token(lease)).unwrap_or(0) != 200 => {
                            errors.lock().unwrap().push("the resource refuses a new token".to_owned());
                        }
                        Ok(lease) => {
                            session.accept(lease.generation);
                            seen.lock().unwrap().insert(lease.generation);
                        }
                        Err(error) => errors.lock().unwrap().push(error.to_string()),
                    }
                }
            });
        }
    });
    assert_eq!(*errors.lock().unwrap(), Vec::<String>::new());
    assert_eq!(seen.lock().unwrap().len() as u64, ROTATIONS, "every round had one new generation");
    assert_eq!(server.proxy.honoured() - before, ROTATIONS);
    let (honoured, refused) = server.counts().unwrap();
    assert_eq!((honoured - counted.0, refused - counted.1), (ROTATIONS, 0), "the server's own count");
    assert_eq!(server.proxy.most_in_flight(), 1);
    let lease = session.lease_blocking(PATIENCE).unwrap();
    assert_eq!(server.resource(&token(&lease)).unwrap(), 200, "the last one is good");
    client.close(PATIENCE).unwrap();
}

/// Somebody else presents a spent token: our next refresh is refused, and that is told as what it may be.
fn reuse(server: &Server, grant: &Value, pause: Duration) {
    let home = Home::new(server, JOB);
    home.bring(server, grant);
    let (client, session, notices) = home.open();
    let spent = home.stored();
    thread::sleep(pause);
    session.refresh_blocking(PATIENCE).unwrap();
    thread::sleep(pause);
    session.refresh_blocking(PATIENCE).unwrap();
    assert_eq!(server.refresh(&spent).unwrap().status, 400, "the thief is refused");
    thread::sleep(pause);
    assert!(session.refresh_blocking(PATIENCE).is_err());
    let (reason, words) = told(&notices, |notice| match notice {
        Notice::ChainEnded { reason, error, .. } => Some((*reason, error.to_string())),
        _ => None,
    });
    assert!(reason.is_suspicious(), "{reason:?}: {words}");
    assert!(!words.contains(&spent) && !words.contains(&home.stored()), "{words}");
    let asked = server.proxy.refreshes().len();
    assert!(session.refresh_blocking(PATIENCE).is_err());
    assert_eq!(server.proxy.refreshes().len(), asked, "a refused token is never sent again");
    client.close(PATIENCE).unwrap();
}

/// The answer to a refresh is lost. Says why the chain ended, if it did, and how often the server was asked.
fn lose(server: &Server, grant: &Value, lines: &str, cut: Cut) -> (Option<ChainEnd>, usize) {
    let home = Home::new(server, lines);
    home.bring(server, grant);
    let (client, session, notices) = home.open();
    let lease = session.lease_blocking(PATIENCE).unwrap();
    let before = server.proxy.refreshes().len();
    server.proxy.cut_next(cut);
    session.accept(lease.generation);
    session.reject(lease.generation);
    let next = session.lease_blocking(PATIENCE);
    let ended = match next {
        Ok(lease) => {
            assert_eq!(server.resource(&token(&lease)).unwrap(), 200);
            session.refresh_blocking(PATIENCE).expect("and the chain goes on");
            None
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
            Some(told(&notices, |notice| match notice {
                Notice::ChainEnded { reason, .. } => Some(*reason),
                _ => None,
            }))
        }
    };
    client.close(PATIENCE).unwrap();
    (ended, server.proxy.refreshes().len() - before)
}

/// An idle chain is kept alive while somebody holds it, and its end is told when it comes.
fn limits(server: &Server, grant: &Value, lives: Lives) {
    let [access, idle, absolute] = [lives.access, lives.idle, lives.absolute].map(Duration::from_secs);
    let began = Instant::now();
    let home = Home::new(server, JOB);
    home.bring(server, grant);
    let (client, session, notices) = home.open();
    let hold = session.hold();
    thread::sleep((idle + 2 * SECOND).saturating_sub(began.elapsed()));
    assert!(session.lease_blocking(PATIENCE).is_ok(), "held beyond the idle limit");
    thread::sleep((absolute + 2 * SECOND).saturating_sub(began.elapsed()));
    let error = session.refresh_blocking(PATIENCE).expect_err("beyond the absolute limit");
    assert_eq!(error.kind(), ErrorKind::SignInNeeded, "{error}");
    told(&notices, |notice| matches!(notice, Notice::ChainEnded { .. }).then_some(()));
    let asked = server.proxy.refreshes().len();
    // The last access token may outlive its chain.
    thread::sleep((absolute + access + 2 * SECOND).saturating_sub(began.elapsed()));
    assert!(session.lease_blocking(PATIENCE).is_err());
    assert_eq!(server.proxy.refreshes().len(), asked);
    drop(hold);
    client.close(PATIENCE).unwrap();
}

/// The client's own token, again and again.
fn own(server: &Server, lines: &str) {
    let home = Home::new(server, &format!("{lines}\ngrant = client_credentials"));
    let (client, session, _notices) = home.open();
    let first = session.lease_blocking(PATIENCE).unwrap();
    session.accept(first.generation);
    session.reject(first.generation);
    let second = session.lease_blocking(PATIENCE).unwrap();
    assert_ne!(token(&first), token(&second));
    client.close(PATIENCE).unwrap();
}

/// Signs in as a person does, and out again: the chain is dead at the server afterwards.
fn in_and_out(server: &Server, lines: &str, way: Way) {
    let home = Home::new(server, lines);
    sign_in(&home.kept(), &home.web, way, PATIENCE, &Helper { server }).unwrap();
    let (client, session, _notices) = home.open();
    let lease = session.lease_blocking(PATIENCE).unwrap();
    assert_eq!(server.resource(&token(&lease)).unwrap(), 200);
    session.refresh_blocking(PATIENCE).unwrap();
    let last = home.stored();
    client.close(PATIENCE).unwrap();
    assert_eq!(sign_out(&home.kept(), &home.web, false).unwrap(), SignedOut::Revoked);
    assert!(home.kept().record().unwrap().is_none(), "nothing is left here");
    let sessions_file::Kind::OAuth2(client) = &home.def.kind else { unreachable!("an OAuth 2.0 session") };
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", last.as_str()),
        ("client_id", client.client_id.as_str()),
    ];
    let answer = outlast_idp::web::form(server.origin(), server.token_path(), &[], &pairs).unwrap();
    assert_eq!(answer.told(), (400, "invalid_grant".into()), "nor there");
}

#[test]
fn oidc_provider() {
    let server = Server::start(Kind::OidcProvider, Lives::default()).unwrap();
    let grant = || server.grant("job").unwrap();
    own(&server, JOB);
    rotate(&server, &grant());
    reuse(&server, &grant(), Duration::ZERO);
    let (ended, asked) = lose(&server, &grant(), JOB, Cut::Answer);
    assert_eq!(
        (ended, asked),
        (Some(ChainEnd::AnswerLost), 1),
        "a replay would end the grant: it is not tried"
    );
    // This server gives a refresh token only to who asks for consent.
    in_and_out(&server, &format!("{CLI}\nprompt = consent"), Way::Browser);
    in_and_out(&server, CLI, Way::Device);
}

#[test]
fn oidc_provider_ends_idle_and_old_chains() {
    let lives = Lives { access: 4, idle: 12, absolute: 24, grace: 0 };
    let server = Server::start(Kind::OidcProvider, lives).unwrap();
    limits(&server, &server.grant("job").unwrap(), lives);
}

#[test]
fn django() {
    let server = Server::start(Kind::Django, Lives::default()).unwrap();
    let grant = || server.grant("job").unwrap();
    own(&server, "client_id = service\nclient_secret_file = secret");
    rotate(&server, &grant());
    reuse(&server, &grant(), Duration::ZERO);
    let (ended, asked) = lose(&server, &grant(), JOB, Cut::Answer);
    assert_eq!((ended, asked), (Some(ChainEnd::AnswerLost), 1), "without a grace nothing is replayed");
    server.set_grace(600).unwrap();
    let with_grace = format!("{JOB}\non_ambiguous = replay:600");
    for cut in [Cut::Before, Cut::Answer, Cut::Middle] {
        // Lost, asked again, and once more afterwards.
        assert_eq!(lose(&server, &grant(), &with_grace, cut), (None, 3));
    }
    in_and_out(&server, "client_id = cli\nscope = read write", Way::Browser);
}

#[test]
fn keycloak() {
    let server = Server::start(Kind::Keycloak, Lives::default()).unwrap();
    let grant = || server.grant("job").unwrap();
    let pause = SECOND + SECOND / 10;
    own(&server, JOB);
    rotate(&server, &grant());
    reuse(&server, &grant(), pause);
    let (ended, asked) = lose(&server, &grant(), JOB, Cut::Answer);
    assert_eq!((ended, asked), (Some(ChainEnd::AnswerLost), 1), "reuse 0: not tried again");

    server.set_lives(Lives { grace: 1, ..Lives::default() }).unwrap();
    let counted = format!("{JOB}\non_ambiguous = count:1");
    assert_eq!(lose(&server, &grant(), &counted, Cut::Middle), (None, 3), "reuse 1: once more");
    reuse(&server, &grant(), pause);

    server.set_lives(Lives::default()).unwrap();
    in_and_out(&server, "client_id = cli\nscope = openid", Way::Browser);
    // Keycloak wants PKCE of this flow, too, where a client is held to it.
    in_and_out(&server, "client_id = cli\nscope = openid", Way::Device);
    exchanged(&server);
    jobs(&server);

    let lives = Lives { access: 4, idle: 12, absolute: 24, grace: 0 };
    server.set_lives(lives).unwrap();
    limits(&server, &grant(), lives);
}

/// A token in exchange for another's (RFC 8693), from a server that we did not write.
fn exchanged(server: &Server) {
    let home = Home::new(
        server,
        &format!("{JOB}\ngrant = token_exchange\nsubject_token_file = subject\nscope = openid"),
    );
    let subject = server.grant("cli").unwrap();
    std::fs::write(home.state().join("subject"), subject["access_token"].as_str().unwrap()).unwrap();
    let (client, session, _notices) = home.open();
    let lease = session.lease_blocking(PATIENCE).unwrap();
    assert_ne!(token(&lease), subject["access_token"]);
    assert_eq!(server.resource(&token(&lease)).unwrap(), 200);
    std::fs::write(home.state().join("subject"), "hunter2").unwrap();
    let error = session.refresh_blocking(PATIENCE).expect_err("not a token of this realm");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    client.close(PATIENCE).unwrap();
}

/// Jobs of a person's session: a chain by exchange, which no rotation of the person's disturbs, and a service's own.
fn jobs(server: &Server) {
    let lines = "client_id = cli\nscope = openid\njob_client_id = job\njob_client_secret_file = secret\njob_scope = openid";
    for way in ["exchange", "client_credentials"] {
        let home = Home::new(server, &format!("{lines}\njob = {way}"));
        home.bring(server, &server.grant("cli").unwrap());
        let (client, session, _notices) = home.open();
        let spec = JobSpec { name: "import".into(), expected: Expected::Unknown };
        let job = client.job_blocking(&session, &spec, PATIENCE).unwrap();
        for _ in 0..2 {
            session.refresh_blocking(PATIENCE).unwrap();
            job.session().refresh_blocking(PATIENCE).unwrap();
        }
        let own = token(&job.session().lease_blocking(PATIENCE).unwrap());
        if way == "exchange" {
            assert_eq!(server.resource(&own).unwrap(), 200);
            assert!(job.end_blocking(PATIENCE).unwrap(), "the server was told");
            assert_ne!(server.resource(&own).unwrap(), 200, "and has ended it");
            session.refresh_blocking(PATIENCE).expect("the person's goes on");
        } else {
            // The whole of the person's session is ended, as an administrator or a sign-out elsewhere would end it.
            server.log_out("cli", &home.stored()).unwrap();
            assert!(session.refresh_blocking(PATIENCE).is_err(), "the person is signed out");
            job.session().refresh_blocking(PATIENCE).expect("the job is not");
            assert!(job.end_blocking(PATIENCE).unwrap());
        }
        client.close(PATIENCE).unwrap();
    }
}
