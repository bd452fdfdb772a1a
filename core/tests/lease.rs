//! A lease of a fresh session costs no allocation, on any thread, and never a trip through the engine's thread.

#![allow(clippy::disallowed_methods, reason = "tests start threads")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outlast_core::engine::command::{ExchangeFailure, Notice, Renewal};
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::native::source::{Abilities, Wire};
use outlast_core::native::{Client, ClientOptions, Endpoints, Session, SessionSpec, Source, SourceSpec};
use outlast_core::{Error, ErrorKind};

/// Counts what the thread that looks at it allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the same.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Gives tokens that live for `lives`, numbered.
struct Minting {
    lives: Duration,
    minted: AtomicU64,
}

impl Source for Minting {
    fn abilities(&self) -> Abilities {
        Abilities { title: "the test's session".into(), ..Abilities::default() }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, _held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let number = self.minted.fetch_add(1, Ordering::Relaxed) + 1;
        let bearer = Bearer::new(Secret::new(format!("token-{number}")), "Bearer").expect("a legal token");
        Ok(Grant { lives_for: Some(self.lives), ..Grant::new(Credential::Bearer(bearer)) })
    }
}

fn open(client: &Client, lives: Duration, timer: bool) -> Session {
    let here = "http://127.0.0.1:9".to_owned();
    client
        .session(SessionSpec {
            source: SourceSpec::Custom(Arc::new(Minting { lives, minted: AtomicU64::new(0) })),
            endpoints: Endpoints { storage: here.clone(), auth: here },
            wait_for_login: Duration::ZERO,
            timer,
        })
        .expect("it opens")
}

#[test]
fn a_fresh_lease_allocates_nothing() {
    const CALLS: u64 = 10_000;
    let client = Client::new(ClientOptions::default()).expect("threads start");
    let session = open(&client, Duration::from_hours(1), false);
    session.lease_blocking(Duration::from_mins(1)).expect("it is minted");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let session = session.clone();
            std::thread::spawn(move || {
                // The first call of a thread registers it with the published lease.
                let mut last = session.lease_blocking(Duration::from_mins(1)).expect("it is fresh");
                let before = ALLOCATIONS.get();
                for _ in 0..CALLS {
                    last = session.lease_blocking(Duration::ZERO).expect("no wait is needed");
                }
                let allocations = ALLOCATIONS.get() - before;
                assert_eq!(last.expose_token(), "token-1");
                // The counter counts.
                drop(std::hint::black_box(Box::new(7)));
                assert_eq!(ALLOCATIONS.get() - before, allocations + 1);
                allocations
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), 0);
    }
    client.close(Duration::from_secs(10)).expect("nothing is under way");
    // What is not to be had at once is told at once.
    let error = session.refresh_blocking(Duration::from_secs(5)).expect_err("the client is closed");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let error = session.lease_blocking(Duration::from_secs(5)).expect_err("nobody keeps it alive any more");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn whoever_hears_of_a_new_token_gets_it() {
    let client = Client::new(ClientOptions::default()).expect("threads start");
    let notices = client.subscribe();
    // Two seconds: due after one. Nobody is on a timer: it is leases that make it renew.
    let session = open(&client, Duration::from_secs(2), false);
    let mut generations = 0;
    while generations < 4 {
        session.lease_blocking(Duration::from_mins(1)).expect("it is renewed in time");
        let Some(notice) = notices.next_timeout(Duration::from_millis(50)) else { continue };
        if let Notice::Refreshed { generation, how, .. } = notice {
            assert_eq!(how, Renewal::Exchanged);
            let lease = session.lease_blocking(Duration::from_mins(1)).expect("it is renewed in time");
            assert!(lease.generation >= generation, "{} is older than {generation}", lease.generation);
            generations = generation.0;
        }
    }
    // A refusal is seen by every caller at once.
    let lease = session.lease_blocking(Duration::from_mins(1)).expect("it is renewed in time");
    session.reject(lease.generation);
    let next = session.lease_blocking(Duration::from_mins(1)).expect("it is renewed");
    assert!(next.generation > lease.generation);
    client.close(Duration::from_secs(10)).expect("nothing is under way");
}
