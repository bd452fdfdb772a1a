//! The identity's values: each from the environment, else from the profile, and where it came from.

use std::path::{Path, PathBuf};

use super::KEY_PLACEHOLDER;
use super::files::Surroundings;
use super::grammar::{ConfigFile, Profile};
use super::identity::{
    ApiKeyIdentity, AuthKind, Identity, KeySource, SessionIdentity, is_fingerprint, is_ocid,
};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;

/// The identity's values: environment before profile.
pub(super) struct Values<'a> {
    around: &'a Surroundings<'a>,
    path: Option<&'a Path>,
    profile: Option<Profile<'a>>,
}

/// A value and where it comes from.
pub(super) struct Value {
    pub(super) text: String,
    origin: String,
}

impl Value {
    fn problem(&self, key: &str, problem: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{}: \"{key}\" {problem}", self.origin))
    }
}

impl<'a> Values<'a> {
    pub(super) fn new(
        profile_name: &str,
        path: Option<&'a Path>,
        file: Option<&'a ConfigFile>,
        around: &'a Surroundings<'a>,
    ) -> Result<Values<'a>, Error> {
        let profile = file.map(|file| file.profile(profile_name)).transpose();
        let values = Values {
            around,
            path,
            profile: profile.map_err(|error| match path {
                Some(path) => error.during(&path.display().to_string()),
                None => error,
            })?,
        };
        if let Some(path) = path.filter(|_| values.profile.is_none()) {
            let session = ["OCI_CLI_SECURITY_TOKEN_FILE", "OCI_CLI_KEY_FILE"];
            if !session.into_iter().all(|name| around.variable(name).is_some()) {
                let message = format!(
                    "there is no configuration file {}; make one with \"oci session authenticate\" or \"oci setup config\"",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        if let Some(value) = values.in_profile("key_content") {
            return Err(
                value.problem("key_content", "is not allowed in a file; use key_file or OCI_CLI_KEY_CONTENT")
            );
        }
        Ok(values)
    }

    pub(super) fn place(&self) -> String {
        match (&self.profile, self.path) {
            (Some(profile), Some(path)) => format!("profile [{}] of {}", profile.name(), path.display()),
            _ => "the environment".to_owned(),
        }
    }

    fn in_profile(&self, key: &str) -> Option<Value> {
        let profile = self.profile.as_ref()?;
        let text = profile.get(key)?.to_owned();
        let path = self.path.unwrap_or(Path::new(""));
        Some(Value { text, origin: format!("{}: line {}", path.display(), profile.line(key).unwrap_or(0)) })
    }

    /// A key's value; empty ones count as missing. `variable` is the environment's, or empty.
    pub(super) fn text(&self, key: &str, variable: &str) -> Result<Option<Value>, Error> {
        if let Some(text) = self.around.variable(variable).filter(|_| !variable.is_empty()) {
            return Ok(Some(Value { text, origin: variable.to_owned() }));
        }
        let value = self.in_profile(key).filter(|value| !value.text.is_empty());
        match value {
            Some(value) if value.text.contains('\n') => Err(value.problem(
                key,
                "goes on over several lines; the lines behind it are indented and so belong to it",
            )),
            value => Ok(value),
        }
    }

    fn passphrase(&self) -> Result<Option<Secret<String>>, Error> {
        let value = match self.text("pass_phrase", "OCI_CLI_PASSPHRASE")? {
            Some(value) => Some(value),
            None => self.text("passphrase", "")?,
        };
        Ok(value.map(|value| Secret::new(value.text)))
    }

    fn file(&self, key: &str, variable: &str) -> Result<Option<PathBuf>, Error> {
        let Some(value) = self.text(key, variable)? else { return Ok(None) };
        if value.text == KEY_PLACEHOLDER {
            return Err(value.problem(key, "is still the placeholder; put the path of the private key there"));
        }
        Ok(Some(self.around.path(Path::new(&value.text))))
    }

    pub(super) fn infer_auth(&self) -> Result<AuthKind, Error> {
        if let Some(value) = self.in_profile("authentication_type") {
            let problem = "is not supported; supported are API keys and session tokens";
            return Err(value.problem("authentication_type", problem));
        }
        let user = self.text("user", "OCI_CLI_USER")?;
        let token = self.text("security_token_file", "OCI_CLI_SECURITY_TOKEN_FILE")?;
        Ok(if user.is_none() && token.is_some() { AuthKind::SecurityToken } else { AuthKind::ApiKey })
    }

    pub(super) fn api_key(&self) -> Result<Identity, Error> {
        let user = self.text("user", "OCI_CLI_USER")?;
        let tenancy = self.text("tenancy", "OCI_CLI_TENANCY")?;
        let fingerprint = self.text("fingerprint", "OCI_CLI_FINGERPRINT")?;
        let content =
            self.around.variable("OCI_CLI_KEY_CONTENT").map(|text| KeySource::Content(Secret::new(text)));
        let key = match content {
            Some(content) => Some(content),
            None => self.file("key_file", "OCI_CLI_KEY_FILE")?.map(KeySource::File),
        };
        let (Some(user), Some(tenancy), Some(fingerprint), Some(key)) = (&user, &tenancy, &fingerprint, &key)
        else {
            let missing = [
                ("user", user.is_none()),
                ("tenancy", tenancy.is_none()),
                ("fingerprint", fingerprint.is_none()),
                ("key_file", key.is_none()),
            ];
            let missing: Vec<&str> =
                missing.into_iter().filter(|(_, missing)| *missing).map(|(key, _)| key).collect();
            let hint = if self.text("security_token_file", "OCI_CLI_SECURITY_TOKEN_FILE")?.is_some() {
                "; it is a session's, use --auth security_token"
            } else {
                ""
            };
            let message = format!("{} lacks {}{hint}", self.place(), missing.join(", "));
            return Err(Error::new(ErrorKind::Config, message));
        };
        for (key, value) in [("user", user), ("tenancy", tenancy)] {
            if !is_ocid(&value.text) {
                return Err(value.problem(key, "is not an OCID (like ocid1.tenancy.oc1..aaaa)"));
            }
        }
        if !is_fingerprint(&fingerprint.text) {
            return Err(fingerprint.problem("fingerprint", "is not 16 lower-case hex pairs joined by \":\""));
        }
        Ok(Identity::ApiKey(ApiKeyIdentity {
            tenancy: tenancy.text.clone(),
            user: user.text.clone(),
            fingerprint: fingerprint.text.clone(),
            key: key.clone(),
            passphrase: self.passphrase()?,
        }))
    }

    pub(super) fn session(&self) -> Result<Identity, Error> {
        let token_file = self.file("security_token_file", "OCI_CLI_SECURITY_TOKEN_FILE")?;
        let key_file = self.file("key_file", "OCI_CLI_KEY_FILE")?;
        let lacks = |what: &str, advice: &str| {
            Error::new(ErrorKind::Config, format!("{} lacks {what}; {advice}", self.place()))
        };
        let token_file = token_file.ok_or_else(|| {
            lacks("security_token_file", "sign in with \"oci session authenticate\" to make a session")
        })?;
        let key_file = key_file.ok_or_else(|| {
            if self.around.variable("OCI_CLI_KEY_CONTENT").is_some() {
                lacks("key_file", "OCI_CLI_KEY_CONTENT does not work with security_token")
            } else {
                lacks("key_file", "it is the private key that the session token belongs to")
            }
        })?;
        let tenancy = self.text("tenancy", "OCI_CLI_TENANCY")?.map(|value| value.text);
        Ok(Identity::Session(SessionIdentity {
            key_file,
            passphrase: self.passphrase()?,
            token_file,
            tenancy,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Overrides;
    use super::super::machine::{API, Machine, SESSION, profile, with};

    #[test]
    fn unusable_settings_get_one_clear_line() {
        let api = |from: &str, to: &str| Machine::with(&API.replace(from, to));
        let none = Overrides::default;
        let auth = |text: &str| with(|o| o.auth = Some(text.to_owned()));
        let cases: Vec<(Machine, Overrides, &str)> = vec![
            (
                Machine::default(),
                none(),
                "there is no configuration file /h/.oci/config; make one with \"oci session authenticate\" or \"oci setup config\"",
            ),
            (
                Machine::with(API),
                with(|o| o.config_file = Some("~/other".into())),
                "the configuration file /h/other does not exist",
            ),
            (
                Machine::with(API),
                with(|o| o.cli_rc_file = Some("rc".into())),
                "the file of defaults rc does not exist",
            ),
            (
                Machine::with(API).file("/h/.oci/oci_cli_rc", "x"),
                none(),
                "/h/.oci/oci_cli_rc: line 1: this is neither \"key = value\" nor \"[profile]\"",
            ),
            (
                Machine::with(API),
                profile("PROD"),
                "/h/.oci/config: there is no profile [PROD]; the file has DEFAULT",
            ),
            (
                Machine::with(SESSION),
                profile("s"),
                "/h/.oci/config: there is no profile [s]; names are case-sensitive and the file has [S]",
            ),
            (
                Machine::with(API),
                auth("resource_principal"),
                "auth type \"resource_principal\" is not supported yet; supported are api_key and security_token",
            ),
            (
                Machine::with(API).env("OCI_CLI_AUTH", "token"),
                none(),
                "auth type \"token\" is not known; supported are api_key and security_token",
            ),
            (
                Machine::with(&format!("{API}authentication_type=instance_principal\n")),
                none(),
                "/h/.oci/config: line 8: \"authentication_type\" is not supported; supported are API keys and session tokens",
            ),
            (
                Machine::with(SESSION),
                with(|o| (o.profile, o.auth) = (Some("S".into()), Some("api_key".into()))),
                "profile [S] of /h/.oci/config lacks user; it is a session's, use --auth security_token",
            ),
            (
                Machine::with("[DEFAULT]\nregion=phx\n"),
                none(),
                "profile [DEFAULT] of /h/.oci/config lacks user, tenancy, fingerprint, key_file",
            ),
            (
                Machine::with(API),
                auth("security_token"),
                "profile [DEFAULT] of /h/.oci/config lacks security_token_file; sign in with \"oci session authenticate\" to make a session",
            ),
            (
                Machine::with(&SESSION.replace("key_file=./lab/k.pem\n", "")),
                profile("S"),
                "profile [S] of /h/.oci/config lacks key_file; it is the private key that the session token belongs to",
            ),
            (
                Machine::with(&SESSION.replace("key_file=./lab/k.pem\n", ""))
                    .env("OCI_CLI_KEY_CONTENT", "hunter2"),
                profile("S"),
                "profile [S] of /h/.oci/config lacks key_file; OCI_CLI_KEY_CONTENT does not work with security_token",
            ),
            (
                api("user=ocid1.user.oc1..u", "user=bob"),
                none(),
                "/h/.oci/config: line 2: \"user\" is not an OCID (like ocid1.tenancy.oc1..aaaa)",
            ),
            (
                Machine::with(API).env("OCI_CLI_TENANCY", "acme"),
                none(),
                "OCI_CLI_TENANCY: \"tenancy\" is not an OCID (like ocid1.tenancy.oc1..aaaa)",
            ),
            (
                api("fingerprint=FP", "fingerprint=F7:40"),
                none(),
                "/h/.oci/config: line 4: \"fingerprint\" is not 16 lower-case hex pairs joined by \":\"",
            ),
            (
                api("key_file=~/.oci/k.pem", "key_file=Update_private_key_path"),
                none(),
                "/h/.oci/config: line 5: \"key_file\" is still the placeholder; put the path of the private key there",
            ),
            (
                api("key_file=", "key_content=hunter2\nkey_file="),
                none(),
                "/h/.oci/config: line 5: \"key_content\" is not allowed in a file; use key_file or OCI_CLI_KEY_CONTENT",
            ),
            (
                api("region=", "  region="),
                none(),
                "/h/.oci/config: line 5: \"key_file\" goes on over several lines; the lines behind it are indented and so belong to it",
            ),
            (
                api("region=us-phoenix-1", "region="),
                none(),
                "profile [DEFAULT] of /h/.oci/config names no region; give --region or --endpoint, or set OCI_CLI_REGION",
            ),
            (
                api("us-phoenix-1", "us phoenix"),
                none(),
                "\"us phoenix\" cannot be a region: only letters, digits, '-', '_' and '.'",
            ),
            (
                Machine::with(API),
                with(|o| o.endpoint = Some("objectstorage.example".into())),
                "endpoint: the endpoint URL must begin with https:// (or http:// for loopback)",
            ),
            (
                Machine::with(API).env("OCI_CLI_ENDPOINT", "http://example.com"),
                none(),
                "endpoint: the endpoint URL uses plain http to another machine; use https",
            ),
            (
                Machine::with(API),
                with(|o| o.auth_endpoint = Some("https://u:hunter2@h".into())),
                "auth endpoint: the endpoint URL must not hold a user name or password",
            ),
            (
                Machine::with(API).env("OCI_DEFAULT_REALM", "mars"),
                with(|o| o.region = Some("us-new-9".into())),
                "OCI_DEFAULT_REALM is neither the domain nor the key of a realm",
            ),
        ];
        assert!(cases.len() >= 25);
        for (machine, overrides, expected) in cases {
            assert_eq!(machine.message(&overrides), expected);
        }
    }
}
