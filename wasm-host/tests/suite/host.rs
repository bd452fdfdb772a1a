//! The host of the scenarios: it supplies credentials, or says that nobody is signed in.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outlast_cloud::Control;
use outlast_core::engine::secret::Secret;
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{Credential, SessionSecret};
use serde_json::Value;

/// A host that supplies credentials.
pub(crate) struct Host {
    pub(crate) control: Control,
    pub(crate) key_file: Mutex<PathBuf>,
    pub(crate) signed_in: AtomicBool,
    pub(crate) supplied: AtomicU64,
}

impl Host {
    pub(crate) fn choose(&self, answer: &Value) {
        let fresh = match answer.as_str().expect("a text") {
            "fresh" => true,
            "sign-in-needed" => false,
            other => panic!("unknown answer {other}"),
        };
        self.signed_in.store(fresh, Ordering::Relaxed);
    }

    pub(crate) fn credential(&self) -> Result<Credential, Error> {
        if !self.signed_in.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::SignInNeeded, "nobody is signed in"));
        }
        let broken = |error: outlast_cloud::Error| Error::new(ErrorKind::Network, error.to_string());
        self.control.refresh_file("LAB").map_err(broken)?;
        let token = self.control.token("LAB").map_err(broken)?.0;
        let key =
            std::fs::read_to_string(&*self.key_file.lock().expect("no holder panics")).expect("the key file");
        self.supplied.fetch_add(1, Ordering::Relaxed);
        let secret = SessionSecret { key: Secret::new(key), key_passphrase: None, token: Secret::new(token) };
        Ok(Credential::OciSession(secret))
    }
}
