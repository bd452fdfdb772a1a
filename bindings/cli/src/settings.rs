//! From flags, environment and files to settings. No driver here: `outlast-wasm` (in `wasm-host`) uses this file too.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use outlast_core::engine::config::{
    ApiKeyIdentity, KeySource, Overrides, Settings, Surroundings, permission_warning,
};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::sign::SigningKey;
use outlast_core::{Error, ErrorKind};

use crate::args::ConnectArgs;
use crate::exit::Outcome;
use crate::words;

/// Longest configuration or key file that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Reads flags, environment and files; tells warnings line by line.
///
/// Errors: usage (configuration, endpoints), one line each.
pub(crate) fn read_all(args: &ConnectArgs, warn: &dyn Fn(&str)) -> Outcome<Settings> {
    let overrides = Overrides {
        config_file: args.config_file.clone(),
        profile: args.profile.clone(),
        cli_rc_file: args.cli_rc_file.clone(),
        auth: args.auth.clone(),
        region: args.region.clone(),
        endpoint: args.endpoint.clone(),
        auth_endpoint: args.auth_endpoint.clone(),
        cert_bundle: args.cert_bundle.clone(),
        proxy: args.proxy.clone().map(Secret::new),
        realm_specific_endpoint: args.realm_specific_endpoint,
        dual_stack: args.enable_dual_stack,
        allow_http: args.allow_http,
    };
    let env = |name: &str| std::env::var(name).ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let around = Surroundings { env: &env, read: &read, home: home.as_deref() };
    let settings = Settings::resolve(&overrides, &around)?;
    for warning in &settings.warnings {
        warn(&format!("Warning: {warning}"));
    }
    if settings.warn_permissions {
        for warning in settings.secret_files().into_iter().filter_map(loose_permissions) {
            warn(&format!("Warning: {warning}"));
        }
    }
    Ok(settings)
}

/// A file's text, for the settings.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |why: &str| Error::new(ErrorKind::Config, why);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(failed("permission denied"));
        }
        Err(error) => return Err(failed(&error.to_string())),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&words::trouble(&error)))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(failed("it is too large"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| failed("it is not UTF-8 text"))
}

#[cfg(unix)]
fn loose_permissions(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    permission_warning(path, std::fs::symlink_metadata(path).ok()?.mode())
}

#[cfg(not(unix))]
fn loose_permissions(_path: &Path) -> Option<String> {
    None
}

/// Reads the key of a profile and compares it with the fingerprint: its text, and the same ready to sign.
///
/// Errors: usage, naming the file.
pub(crate) fn api_key(api: &ApiKeyIdentity) -> Outcome<(Secret<String>, SigningKey)> {
    let passphrase = api.passphrase.as_ref().map(|passphrase| passphrase.expose().as_str());
    let (origin, text) = match &api.key {
        KeySource::Content(text) => ("OCI_CLI_KEY_CONTENT".to_owned(), Ok(Some(text.expose().clone()))),
        KeySource::File(path) => (path.display().to_string(), read(path)),
    };
    let missing = || Error::new(ErrorKind::Config, "the key file does not exist");
    let key = text.and_then(|text| text.ok_or_else(missing)).map(Secret::new).and_then(|pem| {
        let key = SigningKey::from_pem(pem.expose().as_bytes(), passphrase)?;
        api.check_key(&key).map(|()| (pem, key))
    });
    Ok(key.map_err(|error| error.during(&origin))?)
}
