//! Flags, environment, the file of defaults and the configuration file, put together.
//!
//! | what        | order, first wins                                                                               |
//! |-------------|-------------------------------------------------------------------------------------------------|
//! | profile     | flag, `OCI_CLI_PROFILE`, `default_profile` of `[OCI_CLI_SETTINGS]` in the rc file, `DEFAULT`    |
//! | auth        | flag, `OCI_CLI_AUTH`, rc `auth`; else `security_token` when the profile has a token file and no |
//! |             | user (so the Go SDK; the official command line would fail here); else `api_key`                 |
//! | region      | flag, `OCI_CLI_REGION`, rc `region`, profile, `OCI_REGION`                                      |
//! | endpoint    | flag, `OCI_CLI_ENDPOINT`, rc `endpoint`, the region's                                           |
//! | identity    | `OCI_CLI_USER`, `…_TENANCY`, `…_FINGERPRINT`, `…_KEY_CONTENT`, `…_KEY_FILE`, `…_PASSPHRASE`,    |
//! |             | `…_SECURITY_TOKEN_FILE`, each before the profile's key                                          |
//! | CA bundle   | flag, `OCI_CLI_CERT_BUNDLE`, rc `cert-bundle`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`           |
//! | proxy       | flag, rc `proxy`; the usual `…_PROXY` variables are the driver's business                       |
//!
//! The configuration file is not read at all when the environment holds a whole API key identity, and is not needed when
//! it names a session's two files.
//! Source: `oci.md` sections 1.1, 1.3 and 1.4.

use std::path::{Path, PathBuf};

use super::KEY_PLACEHOLDER;
use super::defaults::{self, Defaults};
use super::endpoint::Endpoint;
use super::files::{Surroundings, find_config, is_true};
use super::grammar::{ConfigFile, Profile};
use super::identity::{
    ApiKeyIdentity, AuthKind, Identity, KeySource, SessionIdentity, is_fingerprint, is_ocid,
};
use super::region::{self, Region};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;

/// What the caller was told itself: the flags of the command line, or a library's own options.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config-file`
    pub config_file: Option<PathBuf>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--cli-rc-file`
    pub cli_rc_file: Option<PathBuf>,
    /// `--auth`
    pub auth: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--auth-endpoint`
    pub auth_endpoint: Option<String>,
    /// `--cert-bundle`
    pub cert_bundle: Option<PathBuf>,
    /// `--proxy`
    pub proxy: Option<Secret<String>>,
    /// `--realm-specific-endpoint`
    pub realm_specific_endpoint: bool,
    /// `--enable-dual-stack`
    pub dual_stack: bool,
    /// Whether plain http may leave this machine.
    pub allow_http: bool,
}

/// Everything a session needs to know before it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The profile's name.
    pub profile: String,
    /// The configuration file that was read, if one was.
    pub config_file: Option<PathBuf>,
    /// Who signs.
    pub identity: Identity,
    /// The region; `None` when endpoints are given instead.
    pub region: Option<Region>,
    /// Certificate authorities to trust (PEM).
    pub cert_bundle: Option<PathBuf>,
    /// Proxy for all requests; may hold a password.
    pub proxy: Option<Secret<String>>,
    /// Whether [`super::permission_warning`]s are wanted.
    pub warn_permissions: bool,
    /// Lines to tell the user once; nothing that stops anything.
    pub warnings: Vec<String>,
    storage_override: Option<Endpoint>,
    auth_override: Option<Endpoint>,
    realm_specific: bool,
    dual_stack: bool,
    defaults: Defaults,
}

impl Settings {
    /// Puts the settings together; reads at most five files through `around.read`.
    ///
    /// Errors: `Config` (files, missing or malformed values), `InvalidInput` (endpoint URLs); one line each, naming file
    /// and line or the variable. Secrets are never repeated.
    pub fn resolve(overrides: &Overrides, around: &Surroundings<'_>) -> Result<Settings, Error> {
        let rc = defaults::find(overrides.cli_rc_file.as_deref(), around)?;
        let profile_name = defaults::profile_name(overrides.profile.as_deref(), rc.as_ref(), around);
        let rc = rc.map_or_else(Defaults::default, |file| Defaults::of(&file, &profile_name, around));
        let flag = |given: &Option<String>, variable: &str, name: &str| {
            let given = given.clone().filter(|text| !text.is_empty());
            given.or_else(|| around.variable(variable)).or_else(|| rc.flag(name).map(str::to_owned))
        };
        let auth =
            flag(&overrides.auth, "OCI_CLI_AUTH", "auth").map(|text| AuthKind::parse(&text)).transpose()?;
        let region = flag(&overrides.region, "OCI_CLI_REGION", "region");

        let found = if whole_in_environment(region.is_some(), around) {
            None
        } else {
            Some(find_config(overrides.config_file.as_deref(), around)?)
        };
        let (path, file) = found.map_or((None, None), |found| (Some(found.path), found.file));
        let values = Values::new(&profile_name, path.as_deref(), file.as_ref(), around)?;
        let auth = auth.map_or_else(|| values.infer_auth(), Ok)?;

        let endpoint = |text: Option<String>, name: &str| {
            let parse = |text: String| Endpoint::parse(&text, overrides.allow_http);
            text.map(parse).transpose().map_err(|error| error.during(name))
        };
        let storage_override =
            endpoint(flag(&overrides.endpoint, "OCI_CLI_ENDPOINT", "endpoint"), "endpoint")?;
        let auth_override = endpoint(overrides.auth_endpoint.clone(), "auth endpoint")?;
        let region = match region {
            Some(region) => Some(region),
            None => {
                values.text("region", "")?.map(|value| value.text).or_else(|| around.variable("OCI_REGION"))
            }
        };
        let region = region.map(|name| find_region(&name, around)).transpose()?;
        let identity = match auth {
            AuthKind::ApiKey => values.api_key()?,
            AuthKind::SecurityToken => values.session()?,
        };
        if region.is_none() && storage_override.is_none() {
            let place = values.place();
            let message =
                format!("{place} names no region; give --region or --endpoint, or set OCI_CLI_REGION");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let guessed = region.as_ref().filter(|region| !region.known && storage_override.is_none());
        let warnings = guessed.map(|region| {
            format!(
                "region \"{}\" is not known; taking it for one of realm domain {}",
                region.id, region.domain
            )
        });
        let cert_bundle = overrides.cert_bundle.clone().or_else(|| {
            let text = flag(&None, "OCI_CLI_CERT_BUNDLE", "cert-bundle");
            let text = text.or_else(|| around.variable("REQUESTS_CA_BUNDLE"));
            text.or_else(|| around.variable("CURL_CA_BUNDLE")).map(PathBuf::from)
        });
        let switched = |given: bool, name: &str, variable: &str| {
            given || rc.flag(name).is_some_and(is_true) || around.switched_on(variable)
        };
        Ok(Settings {
            profile: profile_name.clone(),
            config_file: path.filter(|_| file.is_some()),
            identity,
            region,
            cert_bundle: cert_bundle.map(|path| around.path(&path)),
            proxy: overrides
                .proxy
                .clone()
                .or_else(|| rc.flag("proxy").map(|text| Secret::new(text.to_owned()))),
            warn_permissions: around.variable("OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING").as_deref()
                != Some("True"),
            warnings: warnings.into_iter().collect(),
            storage_override,
            auth_override,
            realm_specific: switched(
                overrides.realm_specific_endpoint,
                "realm-specific-endpoint",
                "OCI_REALM_SPECIFIC_SERVICE_ENDPOINT_TEMPLATE_ENABLED",
            ),
            dual_stack: switched(
                overrides.dual_stack,
                "enable-dual-stack",
                "OCI_DUAL_STACK_ENDPOINT_ENABLED",
            ),
            defaults: rc,
        })
    }

    /// Where Object Storage is; `namespace` matters for realm-specific hosts only.
    ///
    /// Errors: none for settings that were resolved with a region or endpoint.
    pub fn storage_endpoint(&self, namespace: Option<&str>) -> Result<Endpoint, Error> {
        if let Some(endpoint) = &self.storage_override {
            return Ok(endpoint.clone());
        }
        let region = self.region.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Config, "where Object Storage is is not known; give --region or --endpoint")
        })?;
        Endpoint::parse(
            &region::storage_endpoint(region, namespace, self.dual_stack, self.realm_specific),
            false,
        )
    }

    /// Where sessions are refreshed. The Object Storage endpoint has no influence on it.
    ///
    /// Errors: `Config`, when neither a region nor an auth endpoint is given.
    pub fn auth_endpoint(&self) -> Result<Endpoint, Error> {
        if let Some(endpoint) = &self.auth_override {
            return Ok(endpoint.clone());
        }
        let region = self.region.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                "where sessions are refreshed is not known; give --region or --auth-endpoint",
            )
        })?;
        Endpoint::parse(&region::auth_endpoint(region), false)
    }

    /// The rc file's default for a flag of `command` (`os.object.put`), under any of the flag's `names` without dashes in
    /// front.
    pub fn rc_default(&self, command: &str, names: &[&str]) -> Option<&str> {
        self.defaults.option(command, names)
    }

    /// Files whose permissions deserve a look: configuration, key, token.
    pub fn secret_files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = self.config_file.as_deref().into_iter().collect();
        match &self.identity {
            Identity::ApiKey(ApiKeyIdentity { key: KeySource::File(key), .. }) => files.push(key),
            Identity::ApiKey(_) => {}
            Identity::Session(session) => {
                files.extend([session.key_file.as_path(), session.token_file.as_path()])
            }
        }
        files
    }
}

/// Whether the environment alone holds an API key identity, so that no file is read.
fn whole_in_environment(region: bool, around: &Surroundings<'_>) -> bool {
    let set = |name: &str| around.variable(name).is_some();
    region
        && ["OCI_CLI_USER", "OCI_CLI_TENANCY", "OCI_CLI_FINGERPRINT"].into_iter().all(set)
        && ["OCI_CLI_KEY_FILE", "OCI_CLI_KEY_CONTENT"].into_iter().any(set)
}

fn find_region(name: &str, around: &Surroundings<'_>) -> Result<Region, Error> {
    let env = |variable: &str| around.variable(variable);
    let extra = if region::is_listed(name) {
        None
    } else {
        // One that cannot be read is passed over, like one that cannot be understood.
        around.text(&around.path(Path::new("~/.oci/regions-config.json"))).ok().flatten()
    };
    region::resolve(name, &env, extra.as_deref())
}

/// The identity's values: environment before profile.
struct Values<'a> {
    around: &'a Surroundings<'a>,
    path: Option<&'a Path>,
    profile: Option<Profile<'a>>,
}

/// A value and where it comes from.
struct Value {
    text: String,
    origin: String,
}

impl Value {
    fn problem(&self, key: &str, problem: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{}: \"{key}\" {problem}", self.origin))
    }
}

impl<'a> Values<'a> {
    fn new(
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

    fn place(&self) -> String {
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
    fn text(&self, key: &str, variable: &str) -> Result<Option<Value>, Error> {
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

    fn infer_auth(&self) -> Result<AuthKind, Error> {
        if let Some(value) = self.in_profile("authentication_type") {
            let problem = "is not supported; supported are API keys and session tokens";
            return Err(value.problem("authentication_type", problem));
        }
        let user = self.text("user", "OCI_CLI_USER")?;
        let token = self.text("security_token_file", "OCI_CLI_SECURITY_TOKEN_FILE")?;
        Ok(if user.is_none() && token.is_some() { AuthKind::SecurityToken } else { AuthKind::ApiKey })
    }

    fn api_key(&self) -> Result<Identity, Error> {
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

    fn session(&self) -> Result<Identity, Error> {
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
    use std::collections::BTreeMap;

    use super::*;

    const FINGERPRINT: &str = "f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11";

    /// A machine: files by path, variables by name, home `/h`.
    #[derive(Default)]
    struct Machine {
        files: BTreeMap<String, String>,
        variables: BTreeMap<String, String>,
    }

    impl Machine {
        fn with(config: &str) -> Machine {
            Machine::default().file("/h/.oci/config", config)
        }

        fn file(mut self, path: &str, text: &str) -> Machine {
            self.files.insert(path.to_owned(), text.replace("FP", FINGERPRINT));
            self
        }

        fn env(mut self, name: &str, value: &str) -> Machine {
            self.variables.insert(name.to_owned(), value.to_owned());
            self
        }

        fn resolve(&self, overrides: &Overrides) -> Result<Settings, Error> {
            let env = |name: &str| self.variables.get(name).cloned();
            let read = |path: &Path| Ok(self.files.get(path.to_str().expect("test paths are text")).cloned());
            Settings::resolve(
                overrides,
                &Surroundings { env: &env, read: &read, home: Some(Path::new("/h")) },
            )
        }

        fn plain(&self) -> Settings {
            self.resolve(&Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
        }

        fn message(&self, overrides: &Overrides) -> String {
            let error = self.resolve(overrides).unwrap_err();
            let text = error.to_string();
            assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
            text
        }
    }

    const API: &str = "[DEFAULT]\nuser=ocid1.user.oc1..u\ntenancy=ocid1.tenancy.oc1..t\nfingerprint=FP\n\
                       key_file=~/.oci/k.pem\nregion=us-phoenix-1\npass_phrase=hunter2\n";
    const SESSION: &str = "[S]\nfingerprint=FP\nkey_file=./lab/k.pem\ntenancy=ocid1.tenancy.oc1..t\nregion=fra\n\
                           security_token_file=~/.oci/sessions/S/token\n";

    fn with(change: impl FnOnce(&mut Overrides)) -> Overrides {
        let mut overrides = Overrides::default();
        change(&mut overrides);
        overrides
    }

    fn profile(name: &str) -> Overrides {
        with(|o| o.profile = Some(name.to_owned()))
    }

    fn session(settings: &Settings) -> &SessionIdentity {
        let Identity::Session(session) = &settings.identity else { panic!("{settings:?}") };
        session
    }

    fn api(settings: &Settings) -> &ApiKeyIdentity {
        let Identity::ApiKey(api) = &settings.identity else { panic!("{settings:?}") };
        api
    }

    #[test]
    fn api_key_profiles() {
        let settings = Machine::with(API).plain();
        assert_eq!(api(&settings).key_id(), format!("ocid1.tenancy.oc1..t/ocid1.user.oc1..u/{FINGERPRINT}"));
        assert_eq!(api(&settings).passphrase.as_ref().unwrap().expose(), "hunter2");
        assert_eq!(settings.secret_files(), [Path::new("/h/.oci/config"), Path::new("/h/.oci/k.pem")]);
        let storage = settings.storage_endpoint(Some("ns")).unwrap();
        assert_eq!(storage.base(), "https://objectstorage.us-phoenix-1.oraclecloud.com");
        assert_eq!(settings.auth_endpoint().unwrap().base(), "https://auth.us-phoenix-1.oraclecloud.com");
        assert_eq!((settings.warn_permissions, settings.warnings.len()), (true, 0));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn session_profiles_need_no_user_and_inherit() {
        let machine = Machine::with(&format!("{SESSION}[DEFAULT]\npassphrase=hunter2\n"));
        for overrides in
            [profile("S"), with(|o| (o.profile, o.auth) = (Some("S".into()), Some("security_token".into())))]
        {
            let settings = machine.resolve(&overrides).unwrap();
            let session = session(&settings);
            assert_eq!(session.key_file, Path::new("./lab/k.pem"));
            assert_eq!(session.token_file, Path::new("/h/.oci/sessions/S/token"));
            assert_eq!(session.passphrase.as_ref().unwrap().expose(), "hunter2");
            assert_eq!(session.tenancy.as_deref(), Some("ocid1.tenancy.oc1..t"));
            assert_eq!(settings.region.as_ref().unwrap().id, "eu-frankfurt-1");
            assert_eq!(settings.secret_files().len(), 3);
            assert_eq!(settings.identity.kind(), AuthKind::SecurityToken);
        }
        // A profile that has both is an API key unless it is told otherwise.
        let both = Machine::with(&format!("{API}security_token_file=/t\n"));
        assert_eq!(both.plain().identity.kind(), AuthKind::ApiKey);
        assert_eq!(session(&both.clone_with_auth("security_token").plain()).token_file, Path::new("/t"));
    }

    impl Machine {
        fn clone_with_auth(&self, auth: &str) -> Machine {
            let copy = Machine { files: self.files.clone(), variables: self.variables.clone() };
            copy.env("OCI_CLI_AUTH", auth)
        }
    }

    #[test]
    fn the_environment_wins_over_the_profile_and_flags_over_both() {
        let machine = Machine::with(API)
            .env("OCI_CLI_USER", "ocid1.user.oc1..env")
            .env("OCI_CLI_TENANCY", "")
            .env("OCI_CLI_KEY_FILE", "~/env.pem")
            .env("OCI_CLI_PASSPHRASE", "other")
            .env("OCI_CLI_REGION", "lhr")
            .env("OCI_REGION", "nrt");
        let settings = machine.plain();
        let identity = api(&settings);
        assert_eq!(
            (identity.user.as_str(), identity.tenancy.as_str()),
            ("ocid1.user.oc1..env", "ocid1.tenancy.oc1..t")
        );
        assert!(matches!(&identity.key, KeySource::File(path) if path == Path::new("/h/env.pem")));
        assert_eq!(identity.passphrase.as_ref().unwrap().expose(), "other");
        assert_eq!(settings.region.unwrap().id, "uk-london-1");
        let settings = machine.resolve(&with(|o| o.region = Some("IAD".into()))).unwrap();
        assert_eq!(settings.region.unwrap().id, "us-ashburn-1");
        let content = machine.env("OCI_CLI_KEY_CONTENT", "-----BEGIN hunter2");
        assert!(
            matches!(&api(&content.plain()).key, KeySource::Content(text) if text.expose().contains("BEGIN"))
        );
        assert_eq!(content.plain().secret_files(), [Path::new("/h/.oci/config")]);
        let without_region =
            Machine::with(&API.replace("region=us-phoenix-1\n", "")).env("OCI_REGION", "nrt");
        assert_eq!(without_region.plain().region.unwrap().id, "ap-tokyo-1");
    }

    #[test]
    fn no_file_is_needed_when_the_environment_is_whole() {
        let whole = Machine::with("this is no configuration")
            .env("OCI_CLI_USER", "ocid1.user.oc1..u")
            .env("OCI_CLI_TENANCY", "ocid1.tenancy.oc1..t")
            .env("OCI_CLI_FINGERPRINT", FINGERPRINT)
            .env("OCI_CLI_KEY_CONTENT", "k");
        let settings = whole.resolve(&with(|o| o.region = Some("phx".into()))).unwrap();
        assert_eq!((settings.config_file, settings.identity.kind()), (None, AuthKind::ApiKey));
        // Without a region the file is read, and it is broken.
        let line = "/h/.oci/config: line 1: this is neither \"key = value\" nor \"[profile]\"";
        assert_eq!(whole.message(&Overrides::default()), line);
        let session = Machine::default()
            .env("OCI_CLI_SECURITY_TOKEN_FILE", "~/t")
            .env("OCI_CLI_KEY_FILE", "k")
            .env("OCI_CLI_REGION", "phx");
        let settings = session.plain();
        assert_eq!(self::session(&settings).token_file, Path::new("/h/t"));
        assert_eq!(settings.config_file, None);
    }

    #[test]
    fn the_rc_file_gives_defaults() {
        let rc = "[OCI_CLI_SETTINGS]\ndefault_profile=S\n[S]\nauth=security_token\nregion=nrt\nendpoint=https://rc.example\n\
                  cert-bundle=$CERTS/ca.pem\nproxy=http://u:hunter2@proxy:1\nenable-dual-stack=TRUE\nos.object.put.bucket-name=b\n";
        let machine = Machine::with(SESSION).file("/h/.oci/oci_cli_rc", rc).env("CERTS", "~/certs");
        let settings = machine.plain();
        assert_eq!(
            (settings.profile.as_str(), settings.region.as_ref().unwrap().id.as_str()),
            ("S", "ap-tokyo-1")
        );
        assert_eq!(settings.storage_endpoint(None).unwrap().base(), "https://rc.example");
        assert_eq!(settings.auth_endpoint().unwrap().base(), "https://auth.ap-tokyo-1.oraclecloud.com");
        assert_eq!(settings.cert_bundle.as_deref(), Some(Path::new("/h/certs/ca.pem")));
        assert_eq!(settings.proxy.as_ref().unwrap().expose(), "http://u:hunter2@proxy:1");
        assert_eq!(settings.rc_default("os.object.put", &["bucket-name", "bn"]), Some("b"));
        assert!(!format!("{:?}", settings.proxy).contains("hunter2"));
        let machine = machine.env("OCI_CLI_ENDPOINT", "http://127.0.0.1:1/p").env("OCI_CLI_CERT_BUNDLE", "c");
        let settings = machine.plain();
        assert_eq!(settings.storage_endpoint(None).unwrap().base(), "http://127.0.0.1:1/p");
        assert_eq!(settings.cert_bundle.as_deref(), Some(Path::new("c")));
        let flags = with(|o| (o.endpoint, o.cert_bundle) = (Some("https://flag".into()), Some("f".into())));
        let settings = machine.resolve(&flags).unwrap();
        assert_eq!(settings.storage_endpoint(None).unwrap().base(), "https://flag");
        assert_eq!(settings.cert_bundle.as_deref(), Some(Path::new("f")));
    }

    #[test]
    fn switches_and_regions_shape_the_endpoints() {
        let machine = Machine::with(API).env("OCI_DUAL_STACK_ENDPOINT_ENABLED", "true");
        let base = |machine: &Machine, overrides: &Overrides| {
            machine.resolve(overrides).unwrap().storage_endpoint(Some("ns")).unwrap().base()
        };
        assert_eq!(
            base(&machine, &Overrides::default()),
            "https://objectstorage.us-phoenix-1.ds.oci.oraclecloud.com"
        );
        assert_eq!(
            base(&machine, &with(|o| o.realm_specific_endpoint = true)),
            "https://ns.objectstorage.us-phoenix-1.ds.oci.customer-oci.com"
        );
        let unknown = with(|o| o.region = Some("us-new-9".into()));
        let settings = machine.resolve(&unknown).unwrap();
        assert_eq!(
            settings.warnings,
            ["region \"us-new-9\" is not known; taking it for one of realm domain oraclecloud.com"]
        );
        let list = r#"[{"realmKey":"oc99","realmDomainComponent":"cloud99.example","regionKey":"new","regionIdentifier":"us-new-9"}]"#;
        let machine = machine.file("/h/.oci/regions-config.json", list);
        assert_eq!(base(&machine, &unknown), "https://objectstorage.us-new-9.ds.oci.cloud99.example");
        assert_eq!(machine.resolve(&unknown).unwrap().warnings.len(), 0);
    }

    #[test]
    fn endpoints_alone_are_enough_until_a_refresh() {
        let machine = Machine::with(&SESSION.replace("region=fra\n", ""));
        let loopback =
            with(|o| (o.profile, o.endpoint) = (Some("S".into()), Some("http://127.0.0.1:18080".into())));
        let settings = machine.resolve(&loopback).unwrap();
        assert_eq!(
            settings.auth_endpoint().unwrap_err().to_string(),
            "where sessions are refreshed is not known; give --region or --auth-endpoint"
        );
        let both = with(|o| {
            o.clone_from(&loopback);
            o.auth_endpoint = Some("http://127.0.0.1:18081/".into());
        });
        assert_eq!(machine.resolve(&both).unwrap().auth_endpoint().unwrap().base(), "http://127.0.0.1:18081");
    }

    #[test]
    fn suppressing_the_permission_warning_needs_the_exact_word() {
        for (value, warn) in [("True", false), ("true", true), ("1", true), ("", true)] {
            let machine = Machine::with(API).env("OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING", value);
            assert_eq!(machine.plain().warn_permissions, warn, "{value}");
        }
    }

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
