//! From settings to a client and its session: what the component itself never sees.

use std::path::PathBuf;
use std::time::Duration;

use outlast_core::engine::config::{Identity, Settings};
use outlast_core::{Error, ErrorKind};
use outlast_wasm_host::{
    Client, ClientOptions, Endpoints, Limits, Plugin, PluginOptions, SessionSpec, SourceSpec,
};

use crate::args::{ComponentArgs, PutArgs};
use crate::exit::{Failure, Outcome};
use crate::plan::Plan;
use crate::settings::api_key;

/// What the component needs besides the parts of a stream, bytes.
const WORKING_MEMORY: usize = 64 << 20;

/// A client that is set up as the flags say.
pub(crate) fn client(
    args: &PutArgs,
    component: &ComponentArgs,
    settings: &Settings,
    plan: &Plan,
) -> Outcome<Client> {
    let cache_dir = match (&component.cache_dir, component.no_cache) {
        (_, true) => None,
        (Some(dir), _) => Some(dir.clone()),
        (None, _) => home_dir("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("outlast").join("components")),
    };
    let plugin = Plugin::load(path(component)?, &PluginOptions { cache_dir })?;
    let state_dir = args.connect.state_dir.clone();
    let state_dir =
        state_dir.or_else(|| home_dir("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("outlast")));
    let state_dir = state_dir.ok_or_else(|| {
        Error::new(ErrorKind::State, "there is no home directory to keep journals in; name a --state-dir")
    })?;
    let mut limits = Limits::default();
    if plan.source.size().is_none() {
        // Parts of a stream are kept until they are stored, as many as there are requests.
        let parts = plan.options.part_size.saturating_mul(plan.options.parallel.into());
        let needed = usize::try_from(parts).unwrap_or(usize::MAX).saturating_add(WORKING_MEMORY);
        limits.memory_bytes = limits.memory_bytes.max(needed);
    }
    let defaults = ClientOptions::default();
    let connect_timeout = args.connect.connection_timeout.map(Duration::from_secs);
    let options = ClientOptions {
        state_dir: Some(state_dir),
        limit_rate: args.limit_rate,
        connect_timeout: connect_timeout.unwrap_or(defaults.connect_timeout),
        ca_bundle: settings.cert_bundle.clone(),
        allow_http: args.connect.allow_http,
        limits,
        ..defaults
    };
    Ok(Client::new(plugin, options)?)
}

fn path(component: &ComponentArgs) -> Outcome<PathBuf> {
    let named =
        component.component.clone().or_else(|| std::env::var_os("OUTLAST_COMPONENT").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(path);
    }
    let here = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("outlast.wasm")));
    here.filter(|path| path.exists()).ok_or_else(|| {
        Failure::usage(
            "there is no outlast.wasm beside this program: build it with wasm-host/build.sh, and name it with --component \
             or OUTLAST_COMPONENT",
        )
    })
}

/// An absolute path from the environment, or one below the home directory.
fn home_dir(variable: &str, below: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below)))
}

/// The session of these settings.
pub(crate) fn session(args: &PutArgs, settings: &Settings, namespace: &str) -> Outcome<SessionSpec> {
    let storage = settings.storage_endpoint(Some(namespace))?;
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
            let source = SourceSpec::OciApiKey {
                key_id: api.key_id(),
                key: api_key(api)?.0,
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
