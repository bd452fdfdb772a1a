//! The control interface: looking inside a cloud and telling it how to misbehave.

pub(crate) mod face;
pub(crate) mod oauth;
pub(crate) mod profile;

use crate::auth::registry::{Revoke, SessionFacts, TokenFacts};
use crate::error::{Error, ErrorKind};
use crate::fault::{Fault, FaultInfo, Shows};
use crate::ledger::{Entry, Stats};
use crate::service::Service;
use crate::settings::Settings;
use crate::storage::digest::Digests;
use crate::storage::{ObjectInfo, UploadInfo};
use profile::{ApiKey, Login, Profile};
use rsa::RsaPublicKey;
use std::sync::Arc;
use std::time::Duration;

/// A handle on a cloud: cheap to clone, usable from any thread, none of its calls waits for the network.
#[derive(Clone)]
pub struct Control {
    service: Arc<Service>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl Control {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    /// Signs somebody in: opens a session and writes its profile as the official tool does (key pair, token, config).
    ///
    /// Takes about a fifth of a second for the RSA key, unless the request brings one.
    /// Errors: `Key` (a given key does not parse), `File`.
    pub fn login(&self, login: &Login) -> Result<Profile, Error> {
        profile::login(&self.service, login)
    }

    /// Writes a profile with an API key instead of a token, and registers the key.
    pub fn api_key(&self, request: &ApiKey) -> Result<Profile, Error> {
        profile::api_key(&self.service, request)
    }

    /// Refreshes a profile's session from outside, as `oci session refresh` beside a running upload would: a new token
    /// is minted and the token file truncated and rewritten. Refresh modes and delays do not apply; the horizon does.
    ///
    /// Errors: `Missing` (no such profile or its token has expired), `File`.
    pub fn refresh_file(&self, profile: &str) -> Result<TokenFacts, Error> {
        profile::refresh_file(&self.service, profile)
    }

    /// The newest token of a profile's newest session and what is in it.
    pub fn token(&self, profile: &str) -> Result<(String, TokenFacts), Error> {
        self.service.registry.newest(profile).map(|minted| (minted.jwt.to_string(), minted.facts))
    }

    /// All sessions with their tokens, oldest first.
    pub fn sessions(&self) -> Vec<SessionFacts> {
        self.service.registry.sessions()
    }

    /// Makes tokens refused before their `exp`; says how many were not before.
    pub fn revoke(&self, which: &Revoke) -> usize {
        self.service.registry.revoke(which)
    }

    /// Accepts signatures of this public key under a keyId, whatever it looks like.
    pub fn trust(&self, key_id: &str, key: &RsaPublicKey) {
        let config = &self.service.config;
        self.service.registry.trust(key_id, key.clone(), &config.user, &config.tenancy);
    }

    /// The same with the key as SPKI PEM. Errors: `Key`.
    pub fn trust_pem(&self, key_id: &str, public_key_pem: &str) -> Result<(), Error> {
        self.trust(key_id, &crate::auth::face::public_key(public_key_pem)?);
        Ok(())
    }

    /// No longer accepts a keyId; says whether it was known.
    pub fn distrust(&self, key_id: &str) -> bool {
        self.service.registry.distrust(key_id)
    }

    /// The settings as they are.
    pub fn settings(&self) -> Settings {
        (*self.service.settings()).clone()
    }

    /// Changes settings for requests that start from now on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.service.change_settings(change);
    }

    /// Adds a fault rule; its number.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.service.faults.add(fault, self.service.clock.now())
    }

    /// Removes one rule, or all; says how many went.
    pub fn remove_faults(&self, id: Option<u64>) -> usize {
        self.service.faults.remove(id)
    }

    /// The rules and what became of them.
    pub fn faults(&self) -> Vec<FaultInfo> {
        self.service.faults.list()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.service.ledger.stats()
    }

    /// The requests so far, in order of completion. A request is in the log before its answer is written.
    pub fn log(&self) -> Vec<Entry> {
        self.log_after(0)
    }

    /// The requests numbered above `seq`.
    pub fn log_after(&self, seq: u64) -> Vec<Entry> {
        self.service.ledger.entries(seq)
    }

    /// Blocks the calling thread until the counters satisfy `done` or the time is over; says which.
    pub fn wait(&self, limit: Duration, done: impl Fn(&Stats) -> bool) -> bool {
        self.service.ledger.wait(limit, done)
    }

    /// The cloud's time in milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        self.service.clock.now()
    }

    /// Sets how far the cloud's clock is ahead of the machine's, in milliseconds (negative: behind).
    pub fn set_clock_shift_ms(&self, shift_ms: i64) {
        self.service.clock.set_shift(shift_ms);
    }

    /// Moves the cloud's clock forward from where it is.
    pub fn advance_clock(&self, by: Duration) {
        self.service.clock.advance(crate::auth::registry::millis(by));
    }

    /// Stops the cloud's clock at a time (milliseconds since 1970 UTC), or lets it run again unshifted.
    pub fn freeze_clock(&self, at_ms: Option<i64>) {
        self.service.clock.freeze(at_ms);
    }

    /// Uploads neither committed nor aborted.
    pub fn uploads(&self) -> Vec<UploadInfo> {
        self.service.storage.upload_infos()
    }

    /// Objects of all buckets.
    pub fn objects(&self) -> Vec<ObjectInfo> {
        self.service.storage.object_infos()
    }

    /// One object.
    pub fn object(&self, bucket: &str, name: &str) -> Option<ObjectInfo> {
        self.objects().into_iter().find(|object| object.bucket == bucket && object.name == name)
    }

    /// The bytes of an object.
    ///
    /// Errors: `Missing` (no such object, or a sink), `File` (a disk store's file is unreadable).
    pub fn object_bytes(&self, bucket: &str, name: &str) -> Result<Vec<u8>, Error> {
        let missing =
            |why: &str| Error::new(ErrorKind::Missing, format!("no bytes of {bucket}/{name}: {why}"));
        let object = self.service.storage.object(bucket, name).map_err(|fail| missing(&fail.message))?;
        let mut all = Vec::new();
        for segment in &object.segments {
            let bytes = segment.bytes().ok_or_else(|| missing("the cloud runs in sink mode"))?;
            let bytes =
                bytes.map_err(|error| Error::io(ErrorKind::File, "cannot read a stored part", error))?;
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    /// Tells a sink without checks what will come as parts 1, 2, 3 … of every upload, so that it can report checksums of
    /// bytes that the kernel drops: size, MD5 and CRC32C of each. For measuring clients that compare what is reported.
    pub fn foretell(&self, parts: impl IntoIterator<Item = (u64, Option<[u8; 16]>, u32)>) {
        let said = parts.into_iter().map(|(size, md5, crc32c)| Digests {
            size,
            md5,
            crc32c: Some(crc32c),
            ..Digests::default()
        });
        self.service.storage.foretell(said.collect());
    }

    /// Makes a bucket; nothing happens if there is one of that name.
    pub fn add_bucket(&self, name: &str) {
        self.service.storage.add_bucket(name, self.service.clock.now());
    }

    /// Flips a bit in a stored part of an open upload; `shows` says which checksums follow.
    ///
    /// Errors: `Missing` (no such upload or part, or its bytes were dropped).
    pub fn corrupt_part(&self, upload: &str, part: u32, shows: Shows) -> Result<(), Error> {
        self.service.storage.corrupt_part(upload, part, shows)
    }

    /// Forgets log and counters.
    pub fn reset_stats(&self) {
        self.service.ledger.clear();
    }

    /// Forgets everything but buckets and profiles on disk: objects, uploads, sessions, keys, grants, registered clients and
    /// users, imports, violations, faults, log, counters; the
    /// settings and the clock go back to what they were at start.
    pub fn reset(&self) {
        self.service.storage.clear();
        self.service.registry.clear();
        self.service.faults.remove(None);
        self.service.oauth.clear();
        self.service.folio.clear();
        self.service.ledger.clear();
        self.service.clock.freeze(None);
        let settings = self.service.config.settings.clone();
        self.service.change_settings(|current| *current = settings);
    }
}
