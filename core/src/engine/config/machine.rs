//! A made-up machine for tests: files by path, variables by name, home `/h`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Overrides, Settings, Surroundings};
use crate::engine::error::Error;

/// Stands for `FP` in files.
pub(super) const FINGERPRINT: &str = "f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11";

pub(super) const API: &str = "[DEFAULT]\nuser=ocid1.user.oc1..u\ntenancy=ocid1.tenancy.oc1..t\nfingerprint=FP\n\
                   key_file=~/.oci/k.pem\nregion=us-phoenix-1\npass_phrase=hunter2\n";
pub(super) const SESSION: &str = "[S]\nfingerprint=FP\nkey_file=./lab/k.pem\ntenancy=ocid1.tenancy.oc1..t\nregion=fra\n\
                       security_token_file=~/.oci/sessions/S/token\n";

pub(super) fn with(change: impl FnOnce(&mut Overrides)) -> Overrides {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    overrides
}

pub(super) fn profile(name: &str) -> Overrides {
    with(|o| o.profile = Some(name.to_owned()))
}

/// The machine.
#[derive(Clone, Default)]
pub(super) struct Machine {
    pub(super) files: BTreeMap<String, String>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Machine {
    pub(super) fn with(config: &str) -> Machine {
        Machine::default().file("/h/.oci/config", config)
    }

    pub(super) fn file(mut self, path: &str, text: &str) -> Machine {
        self.files.insert(path.to_owned(), text.replace("FP", FINGERPRINT));
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Machine {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn resolve(&self, overrides: &Overrides) -> Result<Settings, Error> {
        let env = |name: &str| self.variables.get(name).cloned();
        let read = |path: &Path| Ok(self.files.get(path.to_str().expect("test paths are text")).cloned());
        Settings::resolve(overrides, &Surroundings { env: &env, read: &read, home: Some(Path::new("/h")) })
    }

    pub(super) fn plain(&self) -> Settings {
        self.resolve(&Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn message(&self, overrides: &Overrides) -> String {
        let error = self.resolve(overrides).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
        text
    }
}
