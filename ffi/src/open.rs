//! Opening sessions: from the profile that the official tools use, from the sessions file, or with credentials that the host
//! supplies.

use std::ffi::c_void;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::config::{Identity, KeySource, Overrides, Settings, Surroundings};
use outlast_core::engine::sign::SigningKey;
use outlast_core::native::source::definition;
use outlast_core::native::{Endpoints, SessionSpec, SourceSpec};
use outlast_core::{Error, ErrorKind};

use crate::client::{Client, outlast_client, truth};
use crate::error::outlast_error;
use crate::guard::{Failure, guard};
use crate::handle;
use crate::host::Token;
use crate::session::{Session, outlast_session, secret};
use crate::status::outlast_status;
use crate::supply::Supply;
use crate::view::{self, Sized1, Slot, outlast_str};

/// Configuration and key files are small; more than this is some other file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// Which profile, and where to: the official command line's flags, with its defaults and its environment variables.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_oci_options {
    /// `sizeof(outlast_oci_options)`
    pub size: usize,
    /// `--config-file`; not given: `~/.oci/config`.
    pub config_file: outlast_str,
    /// `--profile`; not given: `DEFAULT`.
    pub profile: outlast_str,
    /// `--cli-rc-file`: defaults for what is not given here (profile, auth, region, endpoint, the two switches below); not
    /// given: `$OCI_CLI_RC_FILE`, else `~/.oci/oci_cli_rc`.
    pub cli_rc_file: outlast_str,
    /// `--auth`: `security_token` or `api_key`; not given: what the profile is.
    pub auth: outlast_str,
    /// `--region`; not given: the profile's.
    pub region: outlast_str,
    /// `--endpoint`: base URL of Object Storage; not given: the region's.
    pub endpoint: outlast_str,
    /// `--auth-endpoint`: base URL of the auth service, where refresh goes; not given: the region's.
    pub auth_endpoint: outlast_str,
    /// `--namespace`, if it is known. A realm's own host begins with it: uploads to another namespace then need a session of
    /// their own. Not given: that host without it. `outlast_session_namespace` gives it back and asks nobody.
    pub namespace_name: outlast_str,
    /// Passphrase of the private key, when the profile has none; a secret.
    pub passphrase: outlast_str,
    /// `--wait-for-login`: how long callers wait, parked, for somebody to sign in, milliseconds. 0: fail at once.
    pub wait_for_login_ms: u64,
    /// 1: refresh even when nobody asks. An upload in progress and `outlast_session_hold` imply it.
    pub timer: u32,
    /// 1: never rewrite the token file.
    pub read_only: u32,
    /// `--mint-session`: with an API key, mint session tokens of so many minutes (5 to 60) and sign with them. 0: do not.
    pub mint_session_minutes: u32,
    /// `--realm-specific-endpoint`: 1: Object Storage's host is the realm's own, where the realm has one. 0: what the file of
    /// defaults and the environment say.
    pub realm_specific_endpoint: u32,
    /// `--enable-dual-stack`: 1: Object Storage's host is the one with addresses of IPv4 and IPv6. 0: as above.
    pub enable_dual_stack: u32,
    /// Always 0.
    pub reserved: u32,
    /// Given back in the session's events.
    pub user_data: *mut c_void,
}

/// Which session of the sessions file: OAuth 2.0, OpenID providers, FOLIO, credential programs and token files, as for
/// `outlast token NAME`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_defined_options {
    /// `sizeof(outlast_defined_options)`
    pub size: usize,
    /// Its section's name; needed.
    pub name: outlast_str,
    /// `--sessions-file`; not given: `$OUTLAST_SESSIONS`, else `~/.config/outlast/sessions.conf`.
    pub sessions_file: outlast_str,
    /// `--endpoint`: base URL of the Object Storage that uploads go to, if there are any; plain http to this machine only,
    /// unless the client allows more. Not given: uploads fail.
    pub endpoint: outlast_str,
    /// `--wait-for-login`: how long callers wait, parked, for somebody to sign in, milliseconds. 0: fail at once.
    pub wait_for_login_ms: u64,
    /// 1: refresh even when nobody asks; 0: what the file says. An upload in progress and `outlast_session_hold` imply it.
    pub timer: u32,
    /// Always 0.
    pub reserved: u32,
    /// Given back in the session's events.
    pub user_data: *mut c_void,
}

/// A session whose credentials the host supplies.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_supplied_options {
    /// `sizeof(outlast_supplied_options)`
    pub size: usize,
    /// Base URL of Object Storage; needed.
    pub endpoint: outlast_str,
    /// Words for messages, for example `the token broker's session`.
    pub title: outlast_str,
    /// How long one wish for a credential stands before it counts as failed, milliseconds; 0: 60,000.
    pub supply_timeout_ms: u64,
    /// How long callers wait, parked, for a credential after the host refused one, milliseconds. 0: fail at once.
    pub wait_for_login_ms: u64,
    /// 1: ask for the next credential even when nobody needs one yet.
    pub timer: u32,
    /// Always 0.
    pub reserved: u32,
    /// Given back in the session's events.
    pub user_data: *mut c_void,
}

// SAFETY: repr(C), size first; integers and pointers that may be NULL.
unsafe impl Sized1 for outlast_oci_options {
    const LEAST: usize = size_of::<outlast_oci_options>();
    const NAME: &'static str = "outlast_oci_options";
}
// SAFETY: as above.
unsafe impl Sized1 for outlast_defined_options {
    const LEAST: usize = size_of::<outlast_defined_options>();
    const NAME: &'static str = "outlast_defined_options";
}
// SAFETY: as above.
unsafe impl Sized1 for outlast_supplied_options {
    const LEAST: usize = size_of::<outlast_supplied_options>();
    const NAME: &'static str = "outlast_supplied_options";
}

/// Opens the session of an OCI profile: a signed-in session's token and key files, or an API key.
///
/// The configuration is read now, the credential in the background: what is wrong with it is told by the first call that
/// needs it. `options` may be NULL. Blocks for local files only.
/// Ownership: free it with `outlast_session_free`. It keeps the client's threads alive. Threads: any.
/// Errors: `CONFIG` (files, missing or malformed values), `INVALID` (endpoints, options), `CANCELLED` (closed), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_open_oci(
    client: *mut outlast_client,
    options: *const outlast_oci_options,
    out: *mut *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs, texts and out parameters.
    unsafe { open(client, options, out, err) }
}

/// Opens a session of the sessions file by its name, as the command line does.
///
/// Its tokens are for services of any kind: `outlast_session_token` gives the access token, `outlast_session_sign` the
/// headers that carry it. What a person signs in to is signed in to by `outlast login NAME`; stored sign-ins are read and kept
/// in the client's `state_dir`, and are refreshed once, however many programs use them.
/// The file is read now, the credential in the background: what is wrong with it is told by the first call that needs it.
/// Blocks for local files only. Ownership: free it with `outlast_session_free`. Threads: any.
/// Errors: `CONFIG` (no such file or section, what is wrong in it, a secret in it that others can read), `INVALID` (name,
/// endpoint, options), `CANCELLED` (closed), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_open_defined(
    client: *mut outlast_client,
    options: *const outlast_defined_options,
    out: *mut *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs, texts and out parameters.
    unsafe { open(client, options, out, err) }
}

/// Opens a session whose credentials the host supplies: each time one is needed, `OUTLAST_EVENT_CREDENTIAL_WANTED` is told,
/// and `outlast_session_supply` answers it. Somebody must listen to the client's queue or callback.
///
/// Ownership: free it with `outlast_session_free`, which ends all waiting for credentials. Threads: any.
/// Errors: `INVALID` (endpoint, options), `CANCELLED` (closed), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_open_supplied(
    client: *mut outlast_client,
    options: *const outlast_supplied_options,
    out: *mut *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs, texts and out parameters.
    unsafe { open(client, options, out, err) }
}

/// What options say of their session.
struct Opening {
    spec: SessionSpec,
    supply: Option<Arc<Supply>>,
    namespace: Option<String>,
    user_data: *mut c_void,
}

trait Options: Sized1 {
    /// # Safety
    /// As `view::text` for all texts of the options.
    unsafe fn opening(&self, client: &Client) -> Result<Opening, Failure>;
}

impl Options for outlast_oci_options {
    unsafe fn opening(&self, client: &Client) -> Result<Opening, Failure> {
        // SAFETY: the caller's promise is the same.
        let ((settings, source), namespace) =
            unsafe { (of_profile(client, self)?, view::text(self.namespace_name, "namespace_name")?) };
        let storage = settings.storage_endpoint(namespace)?.base();
        // A session that is never refreshed needs none.
        let auth = settings.auth_endpoint().map_or_else(|_| storage.clone(), |endpoint| endpoint.base());
        let spec = SessionSpec {
            source,
            endpoints: Endpoints { storage, auth },
            wait_for_login: Duration::from_millis(self.wait_for_login_ms),
            timer: truth(self.timer, "timer")?,
        };
        let namespace = namespace.map(str::to_owned);
        Ok(Opening { spec, supply: None, namespace, user_data: self.user_data })
    }
}

impl Options for outlast_defined_options {
    unsafe fn opening(&self, client: &Client) -> Result<Opening, Failure> {
        // SAFETY: the caller's promise is the same.
        let (name, sessions_file, endpoint) = unsafe {
            (
                view::text(self.name, "name")?,
                view::path(self.sessions_file, "sessions_file")?,
                view::text(self.endpoint, "endpoint")?,
            )
        };
        let name = name.ok_or_else(|| Failure::invalid("name is missing"))?;
        unreserved(self.reserved)?;
        let def = definition(name, sessions_file.as_deref(), client.native.options().allow_http)?;
        // Its own requests go where the file says.
        let endpoint = endpoint.unwrap_or("https://localhost").to_owned();
        let spec = SessionSpec {
            timer: truth(self.timer, "timer")? || def.timer,
            source: SourceSpec::Defined { def: Box::new(def), vault_key: None },
            endpoints: Endpoints { storage: endpoint.clone(), auth: endpoint },
            wait_for_login: Duration::from_millis(self.wait_for_login_ms),
        };
        Ok(Opening { spec, supply: None, namespace: None, user_data: self.user_data })
    }
}

impl Options for outlast_supplied_options {
    unsafe fn opening(&self, client: &Client) -> Result<Opening, Failure> {
        // SAFETY: the caller's promise is the same.
        let (endpoint, title) =
            unsafe { (view::text(self.endpoint, "endpoint")?, view::text(self.title, "title")?) };
        let endpoint = endpoint.ok_or_else(|| Failure::invalid("endpoint is missing"))?.to_owned();
        unreserved(self.reserved)?;
        let patience = match self.supply_timeout_ms {
            0 => Duration::from_mins(1),
            millis => Duration::from_millis(millis),
        };
        let supply = Arc::new(Supply::new(title, patience, &client.hub));
        let spec = SessionSpec {
            source: SourceSpec::Custom(Arc::<Supply>::clone(&supply)),
            endpoints: Endpoints { storage: endpoint.clone(), auth: endpoint },
            wait_for_login: Duration::from_millis(self.wait_for_login_ms),
            timer: truth(self.timer, "timer")?,
        };
        Ok(Opening { spec, supply: Some(supply), namespace: None, user_data: self.user_data })
    }
}

fn unreserved(reserved: u32) -> Result<(), Failure> {
    if reserved == 0 { Ok(()) } else { Err(Failure::invalid("reserved is not 0")) }
}

/// Opens the session that the options describe.
///
/// # Safety
/// `options`, `out` and `err` as `view::read` and `Slot::new` say, all texts of the options as `view::text` says.
unsafe fn open<T: Options>(
    client: *mut outlast_client,
    options: *const T,
    out: *mut *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (options, out, err) = unsafe { (view::read(options), Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let (options, out) = (options?, out.needed("the session")?);
        let client = handle::get(client)?;
        // SAFETY: the caller's promise for texts.
        let Opening { spec, supply, namespace, user_data } = unsafe { options.opening(&client) }?;
        // No event is handed out before it is known whose data it carries.
        let native = client.hub.route(|routes| {
            let native = client.native.session(spec)?;
            if !user_data.is_null() {
                routes.add_session(native.id().0, Token(user_data));
            }
            Ok::<_, Error>(native)
        })?;
        if let Some(supply) = &supply {
            supply.name(native.id().0);
        }
        let session = Session::new(native, Arc::clone(&client), supply, namespace);
        out.set(handle::new::<outlast_session>(Arc::new(session)));
        Ok(())
    })
}

/// What a profile's options say.
///
/// # Safety
/// As `view::text` for all texts of the options.
pub(crate) unsafe fn of_profile(
    client: &Client,
    options: &outlast_oci_options,
) -> Result<(Settings, SourceSpec), Failure> {
    unreserved(options.reserved)?;
    // SAFETY: the caller's promise is the same.
    let (overrides, passphrase) = unsafe { read_overrides(options, client.native.options().allow_http) }?;
    let settings = settings(&overrides)?;
    let write = !truth(options.read_only, "read_only")?;
    let source = source(&settings, passphrase, write, options.mint_session_minutes)?;
    Ok((settings, source))
}

type Read = (Overrides, Option<outlast_core::engine::secret::Secret<String>>);

/// # Safety
/// As `view::text` for all texts of the options.
unsafe fn read_overrides(options: &outlast_oci_options, allow_http: bool) -> Result<Read, Failure> {
    // SAFETY: the caller's promise is the same.
    let text = |view, what| unsafe { view::text(view, what) }.map(|text| text.map(str::to_owned));
    // SAFETY: the caller's promise is the same.
    let (config_file, cli_rc_file, passphrase) = unsafe {
        (
            view::path(options.config_file, "config_file")?,
            view::path(options.cli_rc_file, "cli_rc_file")?,
            secret(options.passphrase, "passphrase")?,
        )
    };
    let overrides = Overrides {
        config_file,
        cli_rc_file,
        profile: text(options.profile, "profile")?,
        auth: text(options.auth, "auth")?,
        region: text(options.region, "region")?,
        endpoint: text(options.endpoint, "endpoint")?,
        auth_endpoint: text(options.auth_endpoint, "auth_endpoint")?,
        realm_specific_endpoint: truth(options.realm_specific_endpoint, "realm_specific_endpoint")?,
        dual_stack: truth(options.enable_dual_stack, "enable_dual_stack")?,
        allow_http,
        // Certificates and proxies are the client's.
        cert_bundle: None,
        proxy: None,
    };
    Ok((overrides, passphrase))
}

fn settings(overrides: &Overrides) -> Result<Settings, Error> {
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let env = |name: &str| std::env::var(name).ok();
    Settings::resolve(overrides, &Surroundings { env: &env, read: &read_text, home: home.as_deref() })
}

fn read_text(path: &Path) -> Result<Option<String>, Error> {
    let unreadable = |why: String| Error::new(ErrorKind::Config, why);
    match fs::metadata(path) {
        Ok(facts) if facts.len() > MAX_FILE => return Err(unreadable("it is larger than 1 MiB".into())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
    }
    fs::read_to_string(path).map(Some).map_err(|error| unreadable(error.to_string()))
}

fn source(
    settings: &Settings,
    passphrase: Option<outlast_core::engine::secret::Secret<String>>,
    write: bool,
    mint_minutes: u32,
) -> Result<SourceSpec, Failure> {
    match &settings.identity {
        Identity::Session(_) if mint_minutes != 0 => {
            Err(Failure::invalid("mint_session_minutes needs an API key, and the profile has a session"))
        }
        Identity::Session(session) => Ok(SourceSpec::OciSessionFiles {
            key_file: session.key_file.clone(),
            key_passphrase: passphrase.or_else(|| session.passphrase.clone()),
            token_file: session.token_file.clone(),
            write,
            title: format!("the session of profile {}", settings.profile),
        }),
        Identity::ApiKey(identity) => {
            let passphrase = passphrase.as_ref().or(identity.passphrase.as_ref());
            let passphrase = passphrase.map(|secret| secret.expose().as_str());
            let key = match &identity.key {
                KeySource::Content(pem) => SigningKey::from_pem(pem.expose().as_bytes(), passphrase)?,
                KeySource::File(path) => {
                    let named = |error: Error| error.during(&path.display().to_string());
                    let missing = || Error::new(ErrorKind::Config, "the private key does not exist");
                    let pem = read_text(path).and_then(|text| text.ok_or_else(missing)).map_err(named)?;
                    let pem = zeroize::Zeroizing::new(pem);
                    SigningKey::from_pem(pem.as_bytes(), passphrase).map_err(named)?
                }
            };
            identity.check_key(&key)?;
            let (key_id, key) = (identity.key_id(), Arc::new(key));
            Ok(match mint_minutes {
                0 => SourceSpec::OciApiKey { key_id, key },
                minutes => SourceSpec::OciGenerateUpst { key_id, key, minutes },
            })
        }
    }
}
