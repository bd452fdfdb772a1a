//! What mints, what caches, and what an answer of a resource says of the credential.

use super::tests::{Bench, NOON};
use super::*;
use crate::engine::chain::{Chain, ChainProfile, ExpirySign};
use crate::engine::credential::{Bearer, Credential};
use crate::engine::secret::Secret;

/// A bearer token as a source makes it of `expires_in`.
fn minted(name: &str, lives: u64) -> Grant {
    let bearer = Bearer::new(Secret::new(name.to_owned()), "Bearer").unwrap();
    Grant { lives_for: Some(Duration::from_secs(lives)), ..Grant::new(Credential::Bearer(bearer)) }
}

/// A session of client credentials that has just had its first token, of an hour.
fn service() -> Bench {
    let profile = SessionProfile { mints: true, can_sign_in: false, ..SessionProfile::default() };
    let mut bench = Bench::empty(profile);
    assert_eq!(bench.lease(), Ok(0));
    bench.loaded(Ok(None)).locked().loaded(Ok(None));
    bench.exchanged(Ok(minted("t1", 3600)));
    bench.stored(Ok(())).unlocked();
    assert_eq!(bench.lease(), Ok(1));
    bench
}

impl Bench {
    fn refresh_now(&mut self) {
        self.session.refresh_now(self.now);
    }
}

fn learned(bench: &mut Bench) -> usize {
    bench.listen();
    bench.count(|notice| matches!(notice, Notice::HorizonLearned { .. }))
}

#[test]
fn a_token_minted_in_the_same_second_is_a_new_one() {
    let mut bench = service();
    for (at, generation) in [(0, 2), (1, 3), (10, 4), (11, 5)] {
        bench.at(at).refresh_now();
        bench.locked().loaded(Ok(None));
        bench.exchanged(Ok(minted(&format!("t{generation}"), 3600)));
        bench.stored(Ok(())).unlocked();
        assert_eq!(bench.lease(), Ok(generation));
    }
    assert_eq!((learned(&mut bench), bench.session.effective_horizon()), (0, None));
}

#[test]
fn a_cached_token_says_nothing_of_a_horizon() {
    let mut bench = service();
    bench.at(1000).refresh_now();
    bench.locked().loaded(Ok(None));
    bench.exchanged(Ok(minted("t1", 2600)));
    bench.unlocked().nothing_to_do();
    assert_eq!((bench.lease(), learned(&mut bench)), (Ok(1), 0));
    assert_eq!(bench.session.effective_horizon(), None);
    // It is asked again in its window, at a pace that does not hammer, and the next one is taken when it is there.
    bench.hold();
    let mut asked = 0;
    while bench.run(3600) && bench.now.wall < NOON + Duration::from_secs(3597) {
        bench.locked().loaded(Ok(None));
        let left = (NOON + Duration::from_hours(1)).since(bench.now.wall);
        bench.exchanged(Ok(minted("t1", left.as_secs())));
        bench.unlocked();
        asked += 1;
    }
    assert!((2..200).contains(&asked), "{asked}");
    bench.locked().loaded(Ok(None));
    bench.exchanged(Ok(minted("t2", 3600)));
    bench.stored(Ok(())).unlocked();
    assert_eq!((bench.lease(), learned(&mut bench)), (Ok(2), 0));
}

#[test]
fn a_chain_whose_provider_caches_access_tokens_goes_on() {
    let chain = ChainProfile { rotates: true, ..ChainProfile::default() };
    let mut bench = Bench::empty(SessionProfile { chain, ..SessionProfile::default() });
    let link = |serial: u64, name: &str, end: i64| {
        let chain = Chain {
            serial,
            started_at: Some(NOON),
            ..Chain::first(Secret::new(format!("rt{serial}")), None)
        };
        Grant {
            lives_for: None,
            issued_at: Some(NOON),
            expires_at: Some(NOON.offset(end * 1000)),
            chain: Some(Box::new(chain)),
            ..minted(name, 0)
        }
    };
    bench.loaded(Ok(Some(link(1, "at", 3600))));
    for (name, horizon) in [("at", None), ("other", Some(NOON.offset(3_600_000)))] {
        bench.at(600).refresh_now();
        bench.locked().loaded(Ok(Some(link(1, "at", 3600))));
        let Some(Command::Intend { id, .. }) = bench.command() else { panic!("no intent") };
        bench.session.on_intended(id, Ok(()), bench.now);
        let Some(Command::Exchange { id, .. }) = bench.command() else { panic!("no exchange") };
        bench.session.on_exchanged(id, Ok(link(2, name, 3600)), bench.now);
        bench.stored(Ok(())).unlocked();
        // The same token again is a cache's; another one that ends no later is the end of the session.
        assert_eq!(bench.session.effective_horizon(), horizon, "{name}");
        if horizon.is_none() {
            bench = Bench::empty(bench.session.profile.clone());
            bench.loaded(Ok(Some(link(1, "at", 3600))));
        }
    }
}

#[test]
fn what_means_expired_ends_a_generation_but_not_its_fresh_successor() {
    let sign = ExpirySign { status: 403, contains: None };
    let chain = ChainProfile { expiry_signs: vec![sign], ..ChainProfile::default() };
    let mut bench =
        Bench::empty(SessionProfile { mints: true, chain, can_sign_in: false, ..SessionProfile::default() });
    assert_eq!(bench.lease(), Ok(0));
    bench.loaded(Ok(None)).locked().loaded(Ok(None));
    bench.exchanged(Ok(minted("t1", 3600)));
    bench.stored(Ok(())).unlocked();
    let tells = |bench: &Bench, generation: u64, status: u16| {
        let reply = Reply { status, ..Reply::default() };
        bench.session.tells_expiry(Generation(generation), &reply, bench.now)
    };
    for (status, expected) in [(401, true), (403, true), (400, false), (404, false), (200, false)] {
        assert_eq!(tells(&bench, 1, status), expected, "{status}");
    }
    bench.reject(1);
    bench.locked().loaded(Ok(None));
    bench.exchanged(Ok(minted("t2", 3600)));
    bench.stored(Ok(())).unlocked();
    // A late answer to the old one still means that; the new one cannot have ended: 403 is what it says.
    assert_eq!((tells(&bench, 1, 403), tells(&bench, 2, 403), tells(&bench, 2, 401)), (true, false, true));
    bench.at(FRESH.as_secs());
    assert!(tells(&bench, 2, 403), "by then it may have");
}
