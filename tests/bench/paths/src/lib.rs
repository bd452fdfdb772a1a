//! The engine's hot paths as small deterministic scenes: no clock, no thread, no randomness but from a seed.
//!
//! What a scene is about happens inside [`measured`], which is never inlined: callgrind counts what runs inside it and
//! leaves the scripted cloud and the preparations out.

pub mod cloud;
pub mod scenes;

use std::sync::Arc;

use outlast_core::engine::credential::{Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::time::{Mono, Now, UnixMillis};

/// Runs `work`; what runs here is what is counted.
#[inline(never)]
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// A moment of the scenes' time, `millis` after their beginning.
pub fn moment(millis: u64) -> Now {
    let wall = UnixMillis(1_772_366_400_000).offset(i64::try_from(millis).expect("a scene takes no ages"));
    Now { mono: Mono(std::time::Duration::from_millis(millis)), wall }
}

/// The test vectors' key.
pub fn key() -> Arc<SigningKey> {
    let text = include_str!("../../../vectors/oci-signing-vectors.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("the vectors are JSON");
    let pem = vectors["test_key"]["private_key_pkcs8_pem"].as_str().expect("a key in PEM");
    Arc::new(SigningKey::from_pem(pem.as_bytes(), None).expect("a good key"))
}

/// An hour's session token, the `number`th.
pub fn grant(key: &Arc<SigningKey>, number: u64, now: Now) -> Grant {
    let token = Secret::new(format!("{number:0>900}"));
    let mut grant = Grant::new(Credential::OciSession { token, key: Arc::clone(key) });
    grant.issued_at = Some(now.wall);
    grant.expires_at = Some(now.wall.offset(3_600_000));
    grant
}
