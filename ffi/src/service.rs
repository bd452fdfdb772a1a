//! A service's credential that takes over from a session which does not last.

use outlast_core::native::source::definition;
use outlast_core::native::{ServiceSpec, SourceSpec};

use crate::error::outlast_error;
use crate::guard::{Failure, guard};
use crate::handle;
use crate::open::{of_profile, outlast_oci_options};
use crate::session::outlast_session;
use crate::status::outlast_status;
use crate::view::{self, Sized1, Slot, outlast_str};

/// Which service takes over, on whose behalf, and where that is written down.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_service_options {
    /// `sizeof(outlast_service_options)`
    pub size: usize,
    /// The service's credential: a profile of the official tools, for example one with an API key. Endpoints and
    /// `wait_for_login_ms` are the session's; those of the profile's options are not used. NULL: `name` says which.
    pub profile: *const outlast_oci_options,
    /// The service's credential: a section of the sessions file. Not given: `profile` says which.
    pub name: outlast_str,
    /// `--sessions-file`; not given: `$OUTLAST_SESSIONS`, else `~/.config/outlast/sessions.conf`.
    pub sessions_file: outlast_str,
    /// On whose behalf the service acts, for the record; needed.
    pub principal: outlast_str,
    /// The record, a path; needed. One JSON object a line is appended and made durable before the service acts. Made with mode
    /// 0600.
    pub audit_file: outlast_str,
}

// SAFETY: repr(C), size first; integers and pointers that may be NULL.
unsafe impl Sized1 for outlast_service_options {
    const LEAST: usize = size_of::<outlast_service_options>();
    const NAME: &'static str = "outlast_service_options";
}

/// Names a service's credential that takes over from a session when an upload would outlive it, or when it has ended.
///
/// The session itself goes first. Before the service acts its credential is checked and the change is recorded;
/// `OUTLAST_EVENT_HANDED_OVER` tells it. Callers wait meanwhile. There is no way back, and the service ends with the session.
/// Blocks for local files only. Threads: any.
/// Errors: `INVALID` (options; the session has a service already), `CONFIG` (files of the service), `STATE` (the record cannot
/// be written), `CANCELLED` (closed), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_service(
    session: *mut outlast_session,
    options: *const outlast_service_options,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (options, err) = unsafe { (view::read(options), Slot::new(err)) };
    guard(&err, || {
        let options = options?;
        let session = handle::get(session)?;
        // SAFETY: the caller's promise for texts.
        let (name, sessions_file, principal, audit) = unsafe {
            (
                view::text(options.name, "name")?,
                view::path(options.sessions_file, "sessions_file")?,
                view::text(options.principal, "principal")?,
                view::path(options.audit_file, "audit_file")?,
            )
        };
        let missing = |what: &str| Failure::invalid(&format!("{what} is missing"));
        let (source, credential) = match (options.profile.is_null(), name) {
            (true, Some(name)) => {
                let allow_http = session.client.native.options().allow_http;
                let def = Box::new(definition(name, sessions_file.as_deref(), allow_http)?);
                (SourceSpec::Defined { def, vault_key: None }, name.to_owned())
            }
            (false, None) => {
                // SAFETY: the caller's promise for structs and texts.
                let (settings, source) =
                    unsafe { of_profile(&session.client, &view::read(options.profile)?) }?;
                (source, settings.profile)
            }
            _ => return Err(Failure::invalid("a service has either a profile or a name")),
        };
        let spec = ServiceSpec {
            source,
            credential,
            principal: principal.ok_or_else(|| missing("principal"))?.to_owned(),
            audit: audit.ok_or_else(|| missing("audit_file"))?,
        };
        session.client.native.service(&session.native, spec)?;
        Ok(())
    })
}
