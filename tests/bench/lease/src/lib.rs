//! The contestants of the bench: a session of ours, and the cache that people write by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outlast_core::Error;
use outlast_core::engine::command::ExchangeFailure;
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::native::source::{Abilities, Wire};
use outlast_core::native::{Client, ClientOptions, Endpoints, Session, SessionSpec, Source, SourceSpec};
use tokio::sync::RwLock;

const LIFE: Duration = Duration::from_hours(1);

struct Minting(AtomicU64);

impl Source for Minting {
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let bearer = Bearer::new(Secret::new(format!("token-{number}")), "Bearer").expect("a legal token");
        Ok(Grant { lives_for: Some(LIFE), ..Grant::new(Credential::Bearer(bearer)) })
    }
}

/// A session with an hour's token.
pub fn session() -> Session {
    let client = Client::new(ClientOptions::default()).expect("threads start");
    let here = "http://127.0.0.1:9".to_owned();
    let session = client
        .session(SessionSpec {
            source: SourceSpec::Custom(Arc::new(Minting(AtomicU64::new(0)))),
            endpoints: Endpoints { storage: here.clone(), auth: here },
            wait_for_login: Duration::ZERO,
            timer: false,
        })
        .expect("it opens");
    session.lease_blocking(Duration::from_mins(1)).expect("it is minted");
    session
}

/// The cache that people write by hand: a token and its end behind an asynchronous lock.
pub struct Cache(RwLock<(Arc<str>, Instant)>);

impl Cache {
    /// With an hour's token.
    #[expect(clippy::disallowed_methods, reason = "this is no engine")]
    #[expect(clippy::new_without_default, reason = "a cache with a token in it is no default")]
    pub fn new() -> Cache {
        Cache(RwLock::new((Arc::from("token"), Instant::now() + LIFE)))
    }

    /// The token, if it is good for ten seconds more.
    #[expect(clippy::disallowed_methods, reason = "this is no engine")]
    pub async fn token(&self) -> Option<Arc<str>> {
        let held = self.0.read().await;
        (Instant::now() + Duration::from_secs(10) < held.1).then(|| Arc::clone(&held.0))
    }
}
