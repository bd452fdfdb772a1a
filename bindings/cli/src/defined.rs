//! Sessions of the sessions file: from flags, environment and the file to a source.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::sessions_file::SessionDef;
use outlast_core::native::source::{Kept, definition, kept};
use outlast_core::native::{
    Client, ClientOptions, Endpoints, ServiceSpec, Session, SessionSpec, SourceSpec, default_state_dir,
};
use outlast_core::{Error, ErrorKind};

use crate::args::{ConnectArgs, ServiceArgs, SessionsArgs};
use crate::exit::{Failure, Outcome};
use crate::screen::Screen;

/// A session of the file, and how its identity provider is reached.
pub(crate) struct Defined {
    pub(crate) def: SessionDef,
    pub(crate) options: ClientOptions,
    pub(crate) state_dir: PathBuf,
}

impl Defined {
    /// Reads flags, environment and file.
    ///
    /// Errors: usage, one line each.
    pub(crate) fn open(name: &str, args: &SessionsArgs, screen: &Screen) -> Outcome<Defined> {
        let def = definition(name, args.sessions_file.as_deref(), args.allow_http)?;
        let state_dir = args.state_dir.clone().map_or_else(default_state_dir, Ok)?;
        Ok(Defined { def, options: options(args, screen), state_dir })
    }

    /// The session's source, if its tokens are kept in the vault.
    ///
    /// Errors: usage, for programs and token files.
    pub(crate) fn kept(&self) -> Outcome<Kept> {
        kept(&self.def, None, &self.state_dir, self.options.allow_http)?.ok_or_else(|| {
            Failure::usage(format!(
                "the session [{}] has a program or a file for its tokens; there is nothing to sign in to",
                self.def.name
            ))
        })
    }

    /// A client with the session opened in it, and with who takes over when it does not last.
    ///
    /// Errors: usage.
    pub(crate) fn served(
        &self,
        wait_for_login: Duration,
        service: &ServiceArgs,
        args: &SessionsArgs,
        screen: &Screen,
    ) -> Outcome<(Client, Session)> {
        let (client, session) = self.session(wait_for_login)?;
        if let Some(name) = &service.service {
            let other = Defined::open(name, args, screen)?;
            let source = SourceSpec::Defined { def: Box::new(other.def), vault_key: None };
            let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
            let of = user.map_or_else(|_| String::new(), |user| format!(" of {user}"));
            let spec = ServiceSpec {
                source,
                credential: format!("session {name}"),
                principal: format!("session {}{of}", self.def.name),
                audit: audit_log(service.audit_log.as_deref(), &self.state_dir)?,
            };
            client.service(&session, spec).map_err(unserved)?;
        }
        Ok((client, session))
    }

    /// A client with the session opened in it.
    ///
    /// Errors: usage.
    pub(crate) fn session(&self, wait_for_login: Duration) -> Outcome<(Client, Session)> {
        let client =
            Client::new(ClientOptions { state_dir: Some(self.state_dir.clone()), ..self.options.clone() })?;
        // Its requests go where its own settings say; uploads are not made with it.
        let nowhere = "https://localhost".to_owned();
        let session = client.session(SessionSpec {
            source: SourceSpec::Defined { def: Box::new(self.def.clone()), vault_key: None },
            endpoints: Endpoints { storage: nowhere.clone(), auth: nowhere },
            wait_for_login,
            timer: self.def.timer,
        })?;
        Ok((client, session))
    }
}

/// The audit log; the default one's directory is made when it is not there.
pub(crate) fn audit_log(given: Option<&Path>, state_dir: &Path) -> Outcome<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir);
    made.map_err(|error| Failure::usage(format!("{} cannot be made: {error}", state_dir.display())))?;
    Ok(state_dir.join("audit.ndjson"))
}

/// Why nobody can take over. An audit log that cannot be written is a path that was given wrongly.
pub(crate) fn unserved(error: Error) -> Failure {
    if error.kind() == ErrorKind::State { Failure::usage(error.to_string()) } else { error.into() }
}

/// The flags of a command that serves both kinds of sessions.
pub(crate) fn of_connect(args: &ConnectArgs, sessions_file: Option<&PathBuf>) -> SessionsArgs {
    SessionsArgs {
        sessions_file: sessions_file.cloned(),
        state_dir: args.state_dir.clone(),
        allow_http: args.allow_http,
        cert_bundle: args.cert_bundle.clone(),
        proxy: args.proxy.clone(),
        connection_timeout: args.connection_timeout,
        debug: args.debug,
    }
}

fn options(args: &SessionsArgs, screen: &Screen) -> ClientOptions {
    let defaults = ClientOptions::default();
    let screen = screen.clone();
    let tell = move |line: &str| screen.line(&format!("debug: {line}"));
    let trace: Option<outlast_core::native::Trace> = if args.debug { Some(Arc::new(tell)) } else { None };
    ClientOptions {
        state_dir: args.state_dir.clone(),
        connect_timeout: args.connection_timeout.map_or(defaults.connect_timeout, Duration::from_secs),
        ca_bundle: args.cert_bundle.clone(),
        proxy: args.proxy.clone(),
        allow_http: args.allow_http,
        trace,
        ..defaults
    }
}
