//! A session: a credential that is kept alive, for requests the host sends itself.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outlast_core::engine::credential::{Generation, Lease};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::session::SessionState;
use outlast_core::engine::wire::Method;
use outlast_core::native;

use crate::client::Client;
use crate::error::outlast_error;
use crate::guard::{Failure, guard, quietly};
use crate::handle::{self, Handle};
use crate::headers::outlast_headers;
use crate::queue::timeout;
use crate::status::outlast_status;
use crate::supply::Supply;
use crate::view::{self, Buffer, Out, Sized1, Slot, outlast_str};

/// A credential that is kept alive.
pub struct outlast_session {
    _opaque: (),
}

impl Handle for outlast_session {
    type Rust = Session;
    const NAME: &'static str = "session";
    const THREADS: bool = true;
}

/// What a session handle stands for.
pub struct Session {
    pub(crate) native: native::Session,
    pub(crate) client: Arc<Client>,
    pub(crate) supply: Option<Arc<Supply>>,
    /// That its options named.
    namespace: Option<String>,
    holds: Mutex<Vec<native::Hold>>,
}

impl Session {
    pub(crate) fn new(
        native: native::Session,
        client: Arc<Client>,
        supply: Option<Arc<Supply>>,
        namespace: Option<String>,
    ) -> Session {
        Session { native, client, supply, namespace, holds: Mutex::default() }
    }

    fn holds(&self) -> std::sync::MutexGuard<'_, Vec<native::Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(supply) = &self.supply {
            supply.close();
        }
        self.client.hub.route(|routes| routes.remove_session(self.native.id().0));
    }
}

/// Nothing loaded yet.
pub const OUTLAST_SESSION_EMPTY: u32 = 0;
/// The credential is good.
pub const OUTLAST_SESSION_FRESH: u32 = 1;
/// The credential is good and being renewed, or about to be.
pub const OUTLAST_SESSION_ADVISORY: u32 = 2;
/// Callers wait for the next credential.
pub const OUTLAST_SESSION_MANDATORY: u32 = 3;
/// Only a person can help; callers wait as long as `wait_for_login_ms` says.
pub const OUTLAST_SESSION_PARKED: u32 = 4;
/// Nothing can help.
pub const OUTLAST_SESSION_DEAD: u32 = 5;

/// A look at a session. Moments are milliseconds since 1970 UTC, 0 where there is none or it is not known.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_session_status {
    /// Set it to `sizeof(outlast_session_status)` before the call.
    pub size: usize,
    /// `OUTLAST_SESSION_*`
    pub state: u32,
    /// Always 0.
    pub reserved: u32,
    /// The current generation; 0 before the first.
    pub generation: u64,
    /// When the current credential was issued.
    pub issued_unix_ms: i64,
    /// When it ends.
    pub expires_unix_ms: i64,
    /// When the chain ends: beyond it only a person can extend the session.
    pub horizon_unix_ms: i64,
    /// Successful refreshes by this client.
    pub refreshes: u64,
}

/// A token.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_token {
    /// Set it to `sizeof(outlast_token)` before the call.
    pub size: usize,
    /// Bytes of the token, its NUL not counted.
    pub len: usize,
    /// Its generation: name it in `outlast_session_reject` when a service answers 401.
    pub generation: u64,
    /// When it ends, milliseconds since 1970 UTC; 0 if it does not.
    pub expires_unix_ms: i64,
}

/// A request that the host sends itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_request {
    /// `sizeof(outlast_request)`
    pub size: usize,
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: outlast_str,
    /// The whole URL, encoded as it will be sent: what is signed is what must be sent.
    pub url: outlast_str,
    /// 1: the body is covered by the signature: POST, PATCH, and every PUT but those of objects and parts. 0: it is not.
    pub sign_body: u32,
    /// Always 0.
    pub reserved: u32,
    /// `content-type` of a covered body, exactly as it will be sent.
    pub content_type: outlast_str,
    /// The covered body; may be empty.
    pub body: outlast_str,
}

// SAFETY (all three): repr(C), size first; integers and pointers that may be NULL.
unsafe impl Sized1 for outlast_session_status {
    const LEAST: usize = size_of::<outlast_session_status>();
    const NAME: &'static str = "outlast_session_status";
}
// SAFETY: as above.
unsafe impl Sized1 for outlast_token {
    const LEAST: usize = size_of::<outlast_token>();
    const NAME: &'static str = "outlast_token";
}
// SAFETY: as above.
unsafe impl Sized1 for outlast_request {
    const LEAST: usize = size_of::<outlast_request>();
    const NAME: &'static str = "outlast_request";
}

fn limit(timeout_ms: i64) -> Duration {
    timeout(timeout_ms).unwrap_or(Duration::MAX)
}

/// The session's number in events; 0 for what is no session.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_session_number(session: *const outlast_session) -> u64 {
    quietly(0, || handle::get(session).map_or(0, |session| session.native.id().0))
}

/// Copies the current token into `buffer`, NUL-terminated; refreshes it before if need be.
///
/// A fresh token costs no trip to another thread. Otherwise the call waits at most `timeout_ms` (below 0: without limit)
/// for a refresh or for somebody to sign in. Service limits: tokens are at most 64 KiB; 16 KiB is plenty.
/// The token is the compact JWT without `ST$`; for an API key it is the key id, which is no secret.
/// Ownership: the buffer is yours; wipe it after use. Threads: any, concurrently; cancelling is not possible, use a timeout.
/// Errors: `BUFFER` (`token->len` is written and nothing else; call again), `TIMEOUT` (a refresh goes on),
/// `SIGN_IN_NEEDED`, `AUTH`, `CONFIG`, `NETWORK`, `CANCELLED` (closed), `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_token(
    session: *mut outlast_session,
    timeout_ms: i64,
    buffer: *mut c_char,
    capacity: usize,
    token: *mut outlast_token,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for buffers, structs and out parameters.
    let (buffer, token, err) = unsafe { (Buffer::new(buffer, capacity), Out::new(token), Slot::new(err)) };
    guard(&err, || {
        let token = token?;
        let give = |lease: &Lease| {
            let text = lease.grant.credential.expose_token();
            token.fill(&outlast_token {
                size: 0,
                len: text.len(),
                generation: lease.generation.0,
                expires_unix_ms: lease.grant.expires_at.map_or(0, |at| at.0),
            });
            if buffer.fill(text.as_bytes()) { Ok(()) } else { Err(text.len() + 1) }
        };
        // What is fresh costs neither a share in the session nor one in the lease.
        let given = match handle::look(session, |session| session.native.peek(give))? {
            Some(given) => given,
            None => give(&handle::get(session)?.native.lease_blocking(limit(timeout_ms))?),
        };
        given.map_err(Failure::buffer)
    })
}

/// Signs a request that the host sends itself, to any service that takes this credential; refreshes before if need be.
///
/// `out` gets the headers to send besides your own: `date`, `host`, with a covered body `content-length` and
/// `x-content-sha256`, and `authorization`.
/// Ownership: free the headers with `outlast_headers_free`. Threads: any, concurrently. Cost: an RSA signature, about 1 ms.
/// Errors: `INVALID` (method, URL, a covered body without type), otherwise as `outlast_session_token`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_sign(
    session: *mut outlast_session,
    request: *const outlast_request,
    timeout_ms: i64,
    out: *mut *mut outlast_headers,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (request, out, err) = unsafe { (view::read(request), Slot::new(out), Slot::new(err)) };
    guard(&err, || {
        let (request, out) = (request?, out.needed("the headers")?);
        // SAFETY: the caller's promise for texts.
        let (method, url, content_type, body) = unsafe {
            (
                view::text(request.method, "method")?,
                view::text(request.url, "url")?.ok_or_else(|| Failure::invalid("url is missing"))?,
                view::text(request.content_type, "content_type")?,
                view::bytes(request.body)?,
            )
        };
        let body = crate::client::truth(request.sign_body, "sign_body")?.then_some(body);
        let method = parse_method(method.unwrap_or_default())?;
        let session = handle::get(session)?;
        let lease = session.native.lease_blocking(limit(timeout_ms))?;
        let signed = session.native.sign_url(&lease, method, url, content_type, body)?;
        out.set(handle::new::<outlast_headers>(Arc::new(signed.into())));
        Ok(())
    })
}

/// Signs a SHA-256 digest with the session's private key (RSA, PKCS#1 v1.5): for clients that build and sign their requests
/// themselves and want a key for it. Whoever can should let `outlast_session_sign` do the whole.
///
/// `digest` has `digest_len` bytes, which is 32. `buffer` gets the signature's bytes, without a NUL: as many as the key's
/// modulus has, at most 512. `len` (may be NULL) gets their number, `generation` (may be NULL) that of the credential.
/// Waits and refreshes as `outlast_session_token`, whose token belongs to this key. Threads: any, concurrently.
/// Errors: `BUFFER` (`len` is written and nothing else), `INVALID` (length of the digest; a session with a bearer token),
/// otherwise as `outlast_session_token`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_sign_digest(
    session: *mut outlast_session,
    digest: *const u8,
    digest_len: usize,
    timeout_ms: i64,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
    generation: *mut u64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for buffers and out parameters.
    let (buffer, len, generation, err) = unsafe {
        (Buffer::new(buffer.cast(), capacity), Slot::new(len), Slot::new(generation), Slot::new(err))
    };
    guard(&err, || {
        // SAFETY: the caller's promise for bytes.
        let digest = unsafe { view::bytes(outlast_str { data: digest.cast(), len: digest_len }) }?;
        let digest = digest.try_into().map_err(|_| Failure::invalid("a SHA-256 digest has 32 bytes"))?;
        let lease = handle::get(session)?.native.lease_blocking(limit(timeout_ms))?;
        let signature = lease.grant.credential.key()?.sign_digest(digest)?;
        len.set(signature.len());
        if !buffer.fill_bytes(&signature) {
            return Err(Failure::buffer(signature.len()));
        }
        generation.set(lease.generation.0);
        Ok(())
    })
}

fn parse_method(text: &str) -> Result<Method, Failure> {
    let all = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
    let found = all.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Failure::invalid("method is none of GET, HEAD, POST, PUT, PATCH, DELETE"))
}

/// Tells that a service answered 401 to a request made with `generation`. One refresh follows, however many tell it; an
/// old generation's late answer changes nothing. Two fresh credentials refused in a row end the session (`AUTH`).
///
/// Returns at once; ask for the next token or headers and send again. Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_reject(
    session: *mut outlast_session,
    generation: u64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(session)?.native.reject(Generation(generation));
        Ok(())
    })
}

/// Tells that a service answered something other than 401 to a request made with `generation`. Worth telling once per
/// generation: it keeps a later 401 from looking like the refusal of a fresh credential.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_accept(
    session: *mut outlast_session,
    generation: u64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(session)?.native.accept(Generation(generation));
        Ok(())
    })
}

/// Asks for the next credential now, whatever the windows say, and waits for it at most `timeout_ms`.
///
/// Errors: why there is none; the current credential stays in use as long as it lives. `TIMEOUT`: the refresh goes on.
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_refresh(
    session: *mut outlast_session,
    timeout_ms: i64,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        handle::get(session)?.native.refresh_blocking(limit(timeout_ms))?;
        Ok(())
    })
}

/// Looks at a session; loads and refreshes nothing.
///
/// Threads: any. Errors: `CANCELLED` (closed), `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_look(
    session: *mut outlast_session,
    status: *mut outlast_session_status,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for structs and out parameters.
    let (out, err) = unsafe { (Out::new(status), Slot::new(err)) };
    guard(&err, || {
        let out = out?;
        let status = handle::get(session)?.native.status()?;
        out.fill(&outlast_session_status {
            size: 0,
            state: match status.state {
                SessionState::Empty => OUTLAST_SESSION_EMPTY,
                SessionState::Fresh => OUTLAST_SESSION_FRESH,
                SessionState::Advisory => OUTLAST_SESSION_ADVISORY,
                SessionState::Mandatory => OUTLAST_SESSION_MANDATORY,
                SessionState::Parked => OUTLAST_SESSION_PARKED,
                SessionState::Dead => OUTLAST_SESSION_DEAD,
            },
            reserved: 0,
            generation: status.generation.0,
            issued_unix_ms: status.issued_at.map_or(0, |at| at.0),
            expires_unix_ms: status.expires_at.map_or(0, |at| at.0),
            horizon_unix_ms: status.horizon.map_or(0, |at| at.0),
            refreshes: status.refreshes,
        });
        Ok(())
    })
}

/// Keeps the session alive while nobody asks, until `outlast_session_release` has been called as often, or the session is
/// freed. Uploads do so by themselves.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_hold(
    session: *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        let session = handle::get(session)?;
        let hold = session.native.hold();
        session.holds().push(hold);
        Ok(())
    })
}

/// The opposite of `outlast_session_hold`.
///
/// Threads: any. Errors: `INVALID` (also: it is not held), `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_release(
    session: *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        let hold = handle::get(session)?.holds().pop();
        hold.map(drop).ok_or_else(|| Failure::invalid("the session is not held"))
    })
}

/// Tells that somebody signed in or the source has changed: look now. Changed files are noticed without this. A host that
/// said that only a person can supply a credential is asked again.
///
/// Threads: any. Errors: `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_touch(
    session: *mut outlast_session,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for out parameters.
    let err = unsafe { Slot::new(err) };
    guard(&err, || {
        let session = handle::get(session)?;
        // What the host answers is looked at when it comes.
        if !session.supply.as_ref().is_some_and(|supply| supply.ask_again()) {
            session.native.touch();
        }
        Ok(())
    })
}

/// Asks the service for the tenancy's Object Storage namespace and copies it into `buffer`, NUL-terminated. Blocks for one
/// request, its retries, and a refresh if need be; not at all when the session's options named one, which it then is.
///
/// `len` (may be NULL) gets its bytes, the NUL not counted. 256 bytes are enough.
/// Threads: any. Errors: of the request; `BUFFER`, `INVALID`, `FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_session_namespace(
    session: *mut outlast_session,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    err: *mut *mut outlast_error,
) -> outlast_status {
    // SAFETY: the caller's promise for buffers and out parameters.
    let (buffer, len, err) = unsafe { (Buffer::new(buffer, capacity), Slot::new(len), Slot::new(err)) };
    guard(&err, || {
        let session = handle::get(session)?;
        let namespace = match &session.namespace {
            Some(namespace) => namespace.clone(),
            None => session.client.native.namespace_blocking(&session.native)?,
        };
        len.set(namespace.len());
        if buffer.fill(namespace.as_bytes()) { Ok(()) } else { Err(Failure::buffer(namespace.len() + 1)) }
    })
}

/// Frees a session. Uploads that use it keep it alive inside; otherwise nothing is refreshed any more. NULL, and what has
/// been freed already, is left alone. Never blocks. In a forked child nothing but the handle is freed.
///
/// Threads: any; the last call on it. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn outlast_session_free(session: *mut outlast_session) {
    quietly((), || drop(handle::take(session)));
}

/// A secret text option.
///
/// # Safety
/// As `view::text`.
pub(crate) unsafe fn secret(text: outlast_str, what: &str) -> Result<Option<Secret<String>>, Failure> {
    // SAFETY: the caller's promise is the same.
    let text = unsafe { view::text(text, what) }?;
    Ok(text.map(|text| Secret::new(text.to_owned())))
}
