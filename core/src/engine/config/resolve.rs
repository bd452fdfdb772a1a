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

use super::defaults::{self, Defaults};
use super::endpoint::Endpoint;
use super::files::{Surroundings, find_config, is_true};
use super::identity::{ApiKeyIdentity, AuthKind, Identity, KeySource};
use super::region::{self, Region};
use super::values::Values;
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
                files.extend([session.key_file.as_path(), session.token_file.as_path()]);
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

#[cfg(test)]
mod tests {
    use super::super::identity::SessionIdentity;
    use super::super::machine::{API, FINGERPRINT, Machine, SESSION, profile, with};
    use super::*;

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
        assert_eq!(
            session(&both.clone().env("OCI_CLI_AUTH", "security_token").plain()).token_file,
            Path::new("/t")
        );
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
}
