//! From flags, environment and files to a client and its session: what the component itself never sees.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use outlast_core::engine::config::{Identity, KeySource, Overrides, Settings, Surroundings};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::sign::SigningKey;
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{Client, ClientOptions, Endpoints, Plugin, PluginOptions, SessionSpec, SourceSpec};

use crate::args::PutArgs;

/// Longest configuration or key file that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// A client that is set up as the flags say.
pub(crate) fn client(args: &PutArgs, settings: &Settings) -> Result<Client, Error> {
    let cache_dir = match (&args.cache_dir, args.no_cache) {
        (_, true) => None,
        (Some(dir), _) => Some(dir.clone()),
        (None, _) => home_dir("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("outlast").join("components")),
    };
    let plugin = Plugin::load(component(args)?, &PluginOptions { cache_dir })?;
    let state_dir = args
        .state_dir
        .clone()
        .or_else(|| home_dir("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("outlast")));
    let state_dir = state_dir.ok_or_else(|| {
        Error::new(ErrorKind::State, "there is no home directory to keep journals in; name a --state-dir")
    })?;
    let options = ClientOptions {
        state_dir: Some(state_dir),
        limit_rate: args.limit_rate,
        connect_timeout: Duration::from_secs(args.connection_timeout),
        ca_bundle: settings.cert_bundle.clone(),
        allow_http: args.allow_http,
        ..ClientOptions::default()
    };
    Client::new(plugin, options)
}

fn component(args: &PutArgs) -> Result<PathBuf, Error> {
    let named = args.component.clone().or_else(|| std::env::var_os("OUTLAST_COMPONENT").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(path);
    }
    let here = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("outlast.wasm")));
    here.filter(|path| path.exists()).ok_or_else(|| {
        let line = "there is no outlast.wasm beside this program: build it with wasm-host/build.sh, and name it with \
                    --component or OUTLAST_COMPONENT";
        Error::new(ErrorKind::Config, line)
    })
}

/// An absolute path from the environment, or one below the home directory.
fn home_dir(variable: &str, below: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below)))
}

/// Reads flags, environment and configuration files, as `outlast` does.
pub(crate) fn settings(args: &PutArgs) -> Result<Settings, Error> {
    let overrides = Overrides {
        config_file: args.config_file.clone(),
        profile: args.profile.clone(),
        auth: args.auth.clone(),
        region: args.region.clone(),
        endpoint: args.endpoint.clone(),
        auth_endpoint: args.auth_endpoint.clone(),
        cert_bundle: args.cert_bundle.clone(),
        allow_http: args.allow_http,
        ..Overrides::default()
    };
    let env = |name: &str| std::env::var(name).ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let around = Surroundings { env: &env, read: &read, home: home.as_deref() };
    let settings = Settings::resolve(&overrides, &around)?;
    for warning in &settings.warnings {
        eprintln!("Warning: {warning}");
    }
    Ok(settings)
}

/// The session of these settings.
pub(crate) fn session(args: &PutArgs, settings: &Settings) -> Result<SessionSpec, Error> {
    let storage = settings.storage_endpoint(Some(&args.namespace))?;
    let (source, auth) = match &settings.identity {
        Identity::Session(session) => {
            let source = SourceSpec::OciSessionFiles {
                key_file: session.key_file.clone(),
                key_passphrase: session.passphrase.clone(),
                token_file: session.token_file.clone(),
                write: true,
            };
            (source, settings.auth_endpoint()?)
        }
        Identity::ApiKey(api) => {
            let (origin, text) = match &api.key {
                KeySource::Content(text) => ("OCI_CLI_KEY_CONTENT".to_owned(), text.clone()),
                KeySource::File(path) => (path.display().to_string(), secret(path)?),
            };
            let words = api.passphrase.as_ref().map(|words| words.expose().as_str());
            SigningKey::from_pem(text.expose().as_bytes(), words)
                .and_then(|key| api.check_key(&key))
                .map_err(|error| error.during(&origin))?;
            let source = SourceSpec::OciApiKey {
                key_id: api.key_id(),
                key: text,
                key_passphrase: api.passphrase.clone(),
            };
            (source, storage.clone())
        }
    };
    Ok(SessionSpec {
        source,
        endpoints: Endpoints { storage: storage.base(), auth: auth.base() },
        wait_for_login: args.wait_for_login,
    })
}

/// A file with a secret in it.
pub(crate) fn secret(path: &Path) -> Result<Secret<String>, Error> {
    let missing = || Error::new(ErrorKind::Config, "it does not exist");
    read(path)
        .and_then(|text| text.ok_or_else(missing))
        .map(Secret::new)
        .map_err(|error| error.during(&path.display().to_string()))
}

/// A file's text, for the settings.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |why: &str| Error::new(ErrorKind::Config, why);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error.to_string())),
    };
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(&error.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(failed("it is too large"));
    }
    Ok(Some(text))
}
