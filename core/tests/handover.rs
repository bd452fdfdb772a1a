//! A user's session that ends in the middle of a job, and the service that takes over, on record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outlast_core::engine::Notice;
use outlast_core::engine::command::ExchangeFailure;
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::native::source::{Abilities, Wire};
use outlast_core::native::{Client, ClientOptions, Endpoints, ServiceSpec, SessionSpec, Source, SourceSpec};
use outlast_core::{Error, ErrorKind};

const PATIENCE: Duration = Duration::from_mins(1);

fn grant(token: &str, lives: Duration) -> Grant {
    let bearer = Bearer::new(Secret::new(token.to_owned()), "Bearer").expect("a legal token");
    Grant { lives_for: Some(lives), ..Grant::new(Credential::Bearer(bearer)) }
}

/// Gives a token once: as a user's sign-in does.
struct User(AtomicBool);

impl Source for User {
    fn abilities(&self) -> Abilities {
        Abilities { title: "ann's session".into(), can_sign_in: true, ..Abilities::default() }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        if self.0.swap(true, Ordering::Relaxed) {
            let error = Error::new(ErrorKind::SignInNeeded, "signed in once");
            let class = outlast_core::engine::command::ExchangeClass::Refused;
            return Err(ExchangeFailure { class, error, retry_after: None });
        }
        Ok(grant("user-secret", Duration::from_secs(3)))
    }
}

/// Gives tokens that work, or do not.
struct Service(bool);

impl Source for Service {
    fn abilities(&self) -> Abilities {
        Abilities { title: "the service".into(), ..Abilities::default() }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        Ok(grant("service-secret", Duration::from_hours(1)))
    }

    fn check(&self, _grant: &Grant, _wire: &Wire<'_>) -> Result<(), Error> {
        if self.0 { Ok(()) } else { Err(Error::new(ErrorKind::Permission, "it may not write there")) }
    }
}

fn play(works: bool) -> (Result<String, ErrorKind>, Vec<Notice>, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let audit = dir.path().join("audit.ndjson");
    let client = Client::new(ClientOptions::default()).expect("threads start");
    let notices = client.subscribe();
    let here = "http://127.0.0.1:9".to_owned();
    let session = client
        .session(SessionSpec {
            source: SourceSpec::Custom(Arc::new(User(AtomicBool::new(false)))),
            endpoints: Endpoints { storage: here.clone(), auth: here },
            wait_for_login: Duration::ZERO,
            timer: false,
        })
        .expect("it opens");
    let spec = || ServiceSpec {
        source: SourceSpec::Custom(Arc::new(Service(works))),
        credential: "nightly-import".into(),
        principal: "ann@example.org\n{\"forged\":true}".into(),
        audit: audit.clone(),
    };
    client.service(&session, spec()).expect("it is named");
    let error = client.service(&session, spec()).expect_err("one is enough");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let first = session.lease_blocking(PATIENCE).expect("the user's session goes first");
    assert_eq!(first.expose_token(), "user-secret");
    assert_eq!(std::fs::read_to_string(&audit).expect("it is there"), "", "nothing has been handed over");
    // Leases are asked for until it is another token, or none.
    let outcome = loop {
        match session.lease_blocking(PATIENCE) {
            Ok(lease) if lease.expose_token() == "user-secret" => std::thread::yield_now(),
            Ok(lease) => break Ok(lease.expose_token().to_owned()),
            Err(error) => break Err(error.kind()),
        }
    };
    client.close(Duration::from_secs(10)).expect("nothing is under way");
    let told = std::iter::from_fn(|| notices.next_timeout(PATIENCE)).collect();
    (outcome, told, std::fs::read_to_string(&audit).expect("it is there"))
}

#[test]
fn the_service_takes_over_and_stands_on_record() {
    let (outcome, told, audit) = play(true);
    assert_eq!(outcome.as_deref(), Ok("service-secret"));
    let handed_over = |notice: &&Notice| matches!(notice, Notice::HandedOver { credential, .. } if credential == "nightly-import");
    assert_eq!(told.iter().filter(handed_over).count(), 1);
    let lines: Vec<&str> = audit.lines().collect();
    assert_eq!(lines.len(), 1, "{audit}");
    let record: serde_json::Value = serde_json::from_str(lines[0]).expect("it is JSON");
    assert_eq!(record["principal"], "ann@example.org {\"forged\":true}");
    assert_eq!(
        (&record["credential"], &record["reason"]),
        (&"nightly-import".into(), &"session-ended".into())
    );
    assert!(record["horizon_ms"].is_i64() && record.get("forged").is_none());
    assert!(!audit.contains("secret") && !format!("{told:?}").contains("secret"));
}

#[test]
fn a_service_that_does_not_work_does_not_take_over() {
    let (outcome, told, audit) = play(false);
    assert_eq!((outcome, audit.as_str()), (Err(ErrorKind::SignInNeeded), ""));
    assert!(told.iter().any(|notice| matches!(notice, Notice::Parked { .. })));
    let remarked = |notice: &Notice| matches!(notice, Notice::Remark { text, .. } if text.contains("nightly-import cannot take over"));
    assert!(told.iter().any(remarked), "{told:?}");
}
