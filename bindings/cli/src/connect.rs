//! From flags, environment and files to a client and its sessions.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::claims::Claims;
use outlast_core::engine::config::{Identity, Settings};
use outlast_core::engine::secret::Secret;
use outlast_core::native::{Client, ClientOptions, Endpoints, ServiceSpec, Session, SessionSpec, SourceSpec};

use crate::args::ConnectArgs;
use crate::defined::{audit_log, unserved};
use crate::exit::{Failure, Outcome};
use crate::screen::Screen;
use crate::settings::{api_key, read};

/// [`crate::settings::read_all`], with its warnings on the screen.
///
/// Errors: as there.
pub(crate) fn settings(args: &ConnectArgs, screen: &Screen) -> Outcome<Settings> {
    crate::settings::read_all(args, &|line| screen.line(line))
}

/// What a command wants of its connection besides the common flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// `--wait-for-login`
    pub(crate) wait_for_login: Duration,
    /// `--mint-session`
    pub(crate) mint_minutes: Option<u32>,
    /// `--limit-rate`
    pub(crate) limit_rate: Option<u64>,
}

/// A client, and what its sessions are made of.
pub(crate) struct Connection {
    pub(crate) client: Client,
    settings: Settings,
    source: SourceSpec,
    wait_for_login: Duration,
    /// The newest session with its storage endpoint: one is enough unless hosts differ by namespace.
    opened: RefCell<Option<(String, Session)>>,
}

impl Connection {
    /// Starts a client for these settings; nothing is sent yet.
    ///
    /// Errors: usage (keys, certificates, proxy).
    pub(crate) fn open(
        args: &ConnectArgs,
        settings: Settings,
        wishes: &Wishes,
        screen: &Screen,
    ) -> Outcome<Connection> {
        let source = source(&settings, wishes)?;
        let defaults = ClientOptions::default();
        let screen = screen.clone();
        let tell = move |line: &str| screen.line(&format!("debug: {line}"));
        let trace: Option<outlast_core::native::Trace> = if args.debug { Some(Arc::new(tell)) } else { None };
        let client = Client::new(ClientOptions {
            state_dir: args.state_dir.clone(),
            limit_rate: wishes.limit_rate,
            connect_timeout: args.connection_timeout.map_or(defaults.connect_timeout, Duration::from_secs),
            stall_timeout: args.read_timeout.map_or(defaults.stall_timeout, Duration::from_secs),
            ca_bundle: settings.cert_bundle.clone(),
            proxy: settings.proxy.as_ref().map(|proxy| proxy.expose().clone()),
            client_request_id: args.request_id.clone(),
            allow_http: args.allow_http,
            trace,
            ..defaults
        })?;
        let wait_for_login = wishes.wait_for_login;
        Ok(Connection { client, settings, source, wait_for_login, opened: RefCell::default() })
    }

    /// What flags, environment and files said.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A session; `namespace` matters for realm-specific endpoints only.
    pub(crate) fn session(&self, namespace: Option<&str>) -> Outcome<Session> {
        let storage = self.settings.storage_endpoint(namespace);
        let needs_auth = !matches!(self.source, SourceSpec::OciApiKey { .. });
        let (storage, auth) = match (storage, self.settings.auth_endpoint()) {
            (storage, Ok(auth)) => (storage.unwrap_or_else(|_| auth.clone()), auth),
            (Ok(storage), Err(_)) if !needs_auth => (storage.clone(), storage),
            (_, Err(error)) => return Err(error.into()),
        };
        if let Some((base, session)) = &*self.opened.borrow()
            && *base == storage.base()
        {
            return Ok(session.clone());
        }
        let session = self.client.session(SessionSpec {
            source: self.source.clone(),
            endpoints: Endpoints { storage: storage.base(), auth: auth.base() },
            wait_for_login: self.wait_for_login,
            timer: false,
        })?;
        *self.opened.borrow_mut() = Some((storage.base(), session.clone()));
        Ok(session)
    }

    /// Names the profile that takes over from `session` when that does not last.
    ///
    /// Errors: usage (the profile has no API key; the session needs nobody to take over), state (the audit log).
    pub(crate) fn service(
        &self,
        session: &Session,
        args: &ConnectArgs,
        profile: &str,
        audit: Option<&Path>,
        screen: &Screen,
    ) -> Outcome<()> {
        let Identity::Session(own) = &self.settings.identity else {
            return Err(Failure::usage(
                "--service-profile takes over from a session; an API key does not end",
            ));
        };
        let (profile_name, auth) = (Some(profile.to_owned()), Some("api_key".to_owned()));
        let settings = settings(&ConnectArgs { profile: profile_name, auth, ..args.clone() }, screen)?;
        let source = source(&settings, &Wishes::default())?;
        // Who has signed in stands in the token; a damaged one is told when it is used.
        let subject = read(&own.token_file).ok().flatten().map(Secret::new);
        let subject = subject.and_then(|token| Claims::parse(token.expose()).ok()?.subject);
        let own = format!("profile {}", self.settings.profile);
        let principal = subject.map_or_else(|| own.clone(), |subject| format!("{subject} ({own})"));
        let spec = ServiceSpec {
            source,
            credential: format!("profile {profile}"),
            principal,
            audit: audit_log(audit, &self.client.options().state_dir()?)?,
        };
        self.client.service(session, spec).map_err(unserved)
    }

    /// The given namespace, or the tenancy's, asked of the service.
    pub(crate) fn namespace(&self, given: Option<&str>) -> Outcome<String> {
        match given {
            Some(namespace) => Ok(namespace.to_owned()),
            None => Ok(self.client.namespace_blocking(&self.session(None)?)?),
        }
    }
}

fn source(settings: &Settings, wishes: &Wishes) -> Outcome<SourceSpec> {
    match (&settings.identity, wishes.mint_minutes) {
        (Identity::Session(_), Some(_)) => Err(Failure::usage(
            "--mint-session mints from an API key; it needs --auth api_key and a profile with one",
        )),
        (Identity::Session(session), None) => Ok(SourceSpec::OciSessionFiles {
            key_file: session.key_file.clone(),
            key_passphrase: session.passphrase.clone(),
            token_file: session.token_file.clone(),
            write: true,
            title: format!("the session of profile {}", settings.profile),
        }),
        (Identity::ApiKey(api), minutes) => {
            let (key_id, key) = (api.key_id(), Arc::new(api_key(api)?.1));
            Ok(match minutes {
                Some(minutes) => SourceSpec::OciGenerateUpst { key_id, key, minutes },
                None => SourceSpec::OciApiKey { key_id, key },
            })
        }
    }
}
