//! Events: what a caller is told, as one flat struct.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use outlast_core::engine::command::{Notice, Renewal};
use outlast_core::engine::time::UnixMillis;
use outlast_core::native::Progress;

use crate::error::{Told, outlast_error};
use crate::guard::quietly;
use crate::handle::{self, Handle};
use crate::host::Token;
use crate::status::{self, OUTLAST_OK, outlast_status};
use crate::view::{Sized1, Text, outlast_str};

/// A session has its first or next credential: `generation`, `moment_unix_ms` (its end, 0 if it has none).
pub const OUTLAST_EVENT_REFRESHED: u32 = 1;
/// A request was refused with 401; told once per `generation`.
pub const OUTLAST_EVENT_REJECTED: u32 = 2;
/// A refresh failed, the current credential is still in use: `error`, `delay_ms` (until the next attempt).
pub const OUTLAST_EVENT_REFRESH_FAILED: u32 = 3;
/// The session cannot be extended beyond `moment_unix_ms`.
pub const OUTLAST_EVENT_HORIZON_LEARNED: u32 = 4;
/// The credential ends at `moment_unix_ms` and nothing on hand can extend it.
pub const OUTLAST_EVENT_EXPIRING: u32 = 5;
/// At the present rate the upload ends (`moment_unix_ms`) after its session does (`horizon_unix_ms`).
pub const OUTLAST_EVENT_WILL_OUTLIVE_SESSION: u32 = 6;
/// The session is unusable until somebody signs in; uploads wait until `moment_unix_ms` (0: without limit). `error` says why.
pub const OUTLAST_EVENT_PARKED: u32 = 7;
/// The session is usable again.
pub const OUTLAST_EVENT_RESUMED: u32 = 8;
/// Server and local clock differ by `delay_ms` (server minus local); requests are dated by the server's.
pub const OUTLAST_EVENT_CLOCK_SKEW: u32 = 9;
/// A session whose credentials the host supplies needs one: answer `request` with `outlast_session_supply`.
pub const OUTLAST_EVENT_CREDENTIAL_WANTED: u32 = 10;
/// The chain of refresh tokens has ended; the current credential serves to its own end: `error` says why and what to do.
pub const OUTLAST_EVENT_CHAIN_ENDED: u32 = 11;
/// From now on a service's credential (`text`, its name) acts on behalf of the user (`principal`), whose session does not
/// last: it ends at `horizon_unix_ms`, the work at `moment_unix_ms` (each 0 if it is not known).
pub const OUTLAST_EVENT_HANDED_OVER: u32 = 12;
/// The upload has its plan: `text` (the service's upload id, empty for a single request), `count` (parts, 0 for a single
/// request and for streams), `bytes` (part size), `part` (parts found stored by an earlier run).
pub const OUTLAST_EVENT_STARTED: u32 = 20;
/// A part is on its way: `part`, `generation`.
pub const OUTLAST_EVENT_PART_STARTED: u32 = 21;
/// A part is stored and its checksums agree: `part`, `bytes`, flag `OUTLAST_FLAG_REUSED`.
pub const OUTLAST_EVENT_PART_STORED: u32 = 22;
/// A part (`part`) or a control request (`part` 0) is tried again: `error`, `count` (failures so far), `delay_ms`.
pub const OUTLAST_EVENT_RETRYING: u32 = 23;
/// A part was refused with 401 and waits for the next credential; it costs no retry: `part`, `generation`.
pub const OUTLAST_EVENT_PART_HELD: u32 = 24;
/// Something that deserves a line but changes nothing: `text`. `upload` is 0 when it is about none.
pub const OUTLAST_EVENT_REMARK: u32 = 25;
/// The caller paused the upload.
pub const OUTLAST_EVENT_PAUSED: u32 = 26;
/// The caller let the upload go on.
pub const OUTLAST_EVENT_UNPAUSED: u32 = 27;
/// How far the upload is: `bytes` (stored and sent), `total` (0 while unknown). Told at most every
/// `progress_interval_ms`; of several that nobody took, only the last is kept.
pub const OUTLAST_EVENT_PROGRESS: u32 = 28;
/// The upload has ended, its last event, and `outlast_upload_wait` has the result: `status`, `error` (NULL after success), flag
/// `OUTLAST_FLAG_RESUMABLE`.
pub const OUTLAST_EVENT_FINISHED: u32 = 29;
/// The client is closed, its last event.
pub const OUTLAST_EVENT_CLOSED: u32 = 40;

/// `OUTLAST_EVENT_PART_STORED`: stored by an earlier run, not sent again.
pub const OUTLAST_FLAG_REUSED: u32 = 1;
/// `OUTLAST_EVENT_FINISHED`: the same call, made again, goes on where this one stopped.
pub const OUTLAST_FLAG_RESUMABLE: u32 = 2;
/// `OUTLAST_EVENT_REFRESHED`: refreshed by this client; otherwise read from the source, where somebody else put it.
pub const OUTLAST_FLAG_EXCHANGED: u32 = 4;

/// What happened. Which fields mean something is said at each `OUTLAST_EVENT_*`; all others are 0.
///
/// Ownership: `error`, `text` and `principal` belong to the event and live until `outlast_event_clear`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct outlast_event {
    /// Set it to `sizeof(outlast_event)` before the event is filled.
    pub size: usize,
    /// `OUTLAST_EVENT_*`; skip those you do not know.
    pub kind: u32,
    /// `OUTLAST_FLAG_*`
    pub flags: u32,
    /// When it was told, milliseconds since 1970 UTC.
    pub time_unix_ms: i64,
    /// `outlast_session_number` of the session it is about; 0 for none.
    pub session: u64,
    /// `outlast_upload_number` of the upload it is about; 0 for none.
    pub upload: u64,
    /// `user_data` of the upload's or session's options.
    pub user_data: *mut c_void,
    /// Generation of the credential.
    pub generation: u64,
    /// What `outlast_session_supply` is to answer.
    pub request: u64,
    /// Bytes; see the kind.
    pub bytes: u64,
    /// Bytes of the whole object; 0 while unknown.
    pub total: u64,
    /// Part number, from 1.
    pub part: u32,
    /// A number of things; see the kind.
    pub count: u32,
    /// A moment, milliseconds since 1970 UTC; see the kind.
    pub moment_unix_ms: i64,
    /// When the session ends, milliseconds since 1970 UTC.
    pub horizon_unix_ms: i64,
    /// A time span, milliseconds; see the kind.
    pub delay_ms: i64,
    /// Status code of the failure or result.
    pub status: outlast_status,
    /// Always 0.
    pub reserved: u32,
    /// A line or a name; see the kind.
    pub text: outlast_str,
    /// On whose behalf; see the kind.
    pub principal: outlast_str,
    /// The failure, or NULL. Do not free it: `outlast_event_clear` does.
    pub error: *mut outlast_error,
    /// Of the library; leave it alone.
    pub owned: *mut c_void,
}

// SAFETY: repr(C), size first; integers, and pointers that may be NULL.
unsafe impl Sized1 for outlast_event {
    const LEAST: usize = size_of::<outlast_event>();
    const NAME: &'static str = "outlast_event";
}

/// What keeps an event's text alive.
pub(crate) struct Held {
    _opaque: (),
}

impl Handle for Held {
    type Rust = Texts;
    const NAME: &'static str = "event text";
    const THREADS: bool = false;
}

/// The texts of an event.
#[derive(Default)]
pub(crate) struct Texts {
    text: Text,
    principal: Text,
}

impl Texts {
    fn one(text: &str) -> Arc<Texts> {
        Arc::new(Texts { text: Text::new(text), principal: Text::default() })
    }
}

/// An event inside the library.
#[derive(Clone)]
pub(crate) struct Happening {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) time: i64,
    pub(crate) session: u64,
    pub(crate) upload: u64,
    pub(crate) user_data: Token,
    pub(crate) generation: u64,
    pub(crate) request: u64,
    pub(crate) bytes: u64,
    pub(crate) total: u64,
    pub(crate) part: u32,
    pub(crate) count: u32,
    pub(crate) moment: i64,
    pub(crate) horizon: i64,
    pub(crate) delay_ms: i64,
    pub(crate) status: outlast_status,
    pub(crate) texts: Option<Arc<Texts>>,
    pub(crate) error: Option<Arc<Told>>,
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn moment(at: Option<UnixMillis>) -> i64 {
    at.map_or(0, |at| at.0)
}

fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Happening {
    /// One of which nothing but its kind is known yet.
    pub(crate) fn new(kind: u32) -> Happening {
        Happening {
            kind,
            flags: 0,
            time: now(),
            session: 0,
            upload: 0,
            user_data: Token(ptr::null_mut()),
            generation: 0,
            request: 0,
            bytes: 0,
            total: 0,
            part: 0,
            count: 0,
            moment: 0,
            horizon: 0,
            delay_ms: 0,
            status: OUTLAST_OK,
            texts: None,
            error: None,
        }
    }

    /// How far an upload is.
    pub(crate) fn progress(upload: u64, progress: &Progress) -> Happening {
        Happening {
            upload,
            bytes: progress.stored + progress.in_flight,
            total: progress.total.unwrap_or(0),
            ..Happening::new(OUTLAST_EVENT_PROGRESS)
        }
    }

    fn with_error(mut self, error: &outlast_core::Error) -> Happening {
        self.status = status::of(error.kind());
        self.error = Some(Arc::new(Told::new(self.status, error)));
        self
    }

    /// The event of a notice; `None` for notices that this ABI has no event for.
    pub(crate) fn of(notice: &Notice) -> Option<Happening> {
        let new = Happening::new;
        Some(match notice {
            Notice::Refreshed { session, generation, how, expires_at } => Happening {
                session: session.0,
                generation: generation.0,
                flags: if *how == Renewal::Exchanged { OUTLAST_FLAG_EXCHANGED } else { 0 },
                moment: moment(*expires_at),
                ..new(OUTLAST_EVENT_REFRESHED)
            },
            Notice::Rejected { session, generation } => {
                Happening { session: session.0, generation: generation.0, ..new(OUTLAST_EVENT_REJECTED) }
            }
            Notice::RefreshFailed { session, error, retry_in } => Happening {
                session: session.0,
                delay_ms: millis(*retry_in),
                ..new(OUTLAST_EVENT_REFRESH_FAILED)
            }
            .with_error(error),
            Notice::HorizonLearned { session, horizon } => {
                Happening { session: session.0, moment: horizon.0, ..new(OUTLAST_EVENT_HORIZON_LEARNED) }
            }
            Notice::ChainEnded { session, error, .. } => {
                Happening { session: session.0, ..new(OUTLAST_EVENT_CHAIN_ENDED) }.with_error(error)
            }
            Notice::HandedOver { session, credential, principal, estimate, horizon } => Happening {
                session: session.0,
                moment: moment(*estimate),
                horizon: moment(*horizon),
                texts: Some(Arc::new(Texts { text: Text::new(credential), principal: Text::new(principal) })),
                ..new(OUTLAST_EVENT_HANDED_OVER)
            },
            Notice::Expiring { session, expires_at } => {
                Happening { session: session.0, moment: expires_at.0, ..new(OUTLAST_EVENT_EXPIRING) }
            }
            Notice::WillOutliveSession { session, upload, estimate, horizon } => Happening {
                // An upload's events name the upload alone.
                session: upload.map_or(session.0, |_| 0),
                upload: upload.map_or(0, |upload| upload.0),
                moment: estimate.0,
                horizon: horizon.0,
                ..new(OUTLAST_EVENT_WILL_OUTLIVE_SESSION)
            },
            Notice::Parked { session, error, until } => {
                Happening { session: session.0, moment: moment(*until), ..new(OUTLAST_EVENT_PARKED) }
                    .with_error(error)
            }
            Notice::Resumed { session } => Happening { session: session.0, ..new(OUTLAST_EVENT_RESUMED) },
            Notice::ClockSkew { skew_ms } => {
                Happening { delay_ms: *skew_ms, ..new(OUTLAST_EVENT_CLOCK_SKEW) }
            }
            other => return Happening::of_upload(other),
        })
    }

    fn of_upload(notice: &Notice) -> Option<Happening> {
        let about = |upload: &outlast_core::engine::UploadId, kind| Happening {
            upload: upload.0,
            ..Happening::new(kind)
        };
        Some(match notice {
            Notice::Started { upload, upload_id, parts, part_size, found } => Happening {
                texts: upload_id.as_deref().map(Texts::one),
                count: *parts,
                bytes: *part_size,
                part: *found,
                ..about(upload, OUTLAST_EVENT_STARTED)
            },
            Notice::PartStarted { upload, part, generation } => Happening {
                part: *part,
                generation: generation.0,
                ..about(upload, OUTLAST_EVENT_PART_STARTED)
            },
            Notice::PartStored { upload, part, size, reused } => Happening {
                part: *part,
                bytes: *size,
                flags: if *reused { OUTLAST_FLAG_REUSED } else { 0 },
                ..about(upload, OUTLAST_EVENT_PART_STORED)
            },
            Notice::Retrying { upload, part, error, failures, retry_in } => Happening {
                part: part.unwrap_or(0),
                count: *failures,
                delay_ms: millis(*retry_in),
                ..about(upload, OUTLAST_EVENT_RETRYING)
            }
            .with_error(error),
            Notice::PartHeld { upload, part, generation } => {
                Happening { part: *part, generation: generation.0, ..about(upload, OUTLAST_EVENT_PART_HELD) }
            }
            Notice::Remark { upload, text } => Happening {
                upload: upload.map_or(0, |upload| upload.0),
                texts: Some(Texts::one(text)),
                ..Happening::new(OUTLAST_EVENT_REMARK)
            },
            Notice::Paused { upload, paused } => {
                about(upload, if *paused { OUTLAST_EVENT_PAUSED } else { OUTLAST_EVENT_UNPAUSED })
            }
            Notice::Finished { upload, result, resumable } => {
                let flags = if *resumable { OUTLAST_FLAG_RESUMABLE } else { 0 };
                let ended = Happening { flags, ..about(upload, OUTLAST_EVENT_FINISHED) };
                match result {
                    Ok(_) => ended,
                    Err(error) => ended.with_error(error),
                }
            }
            _ => return None,
        })
    }

    /// Whether a listener that does not listen may miss it.
    pub(crate) fn is_minor(&self) -> bool {
        !matches!(
            self.kind,
            OUTLAST_EVENT_FINISHED
                | OUTLAST_EVENT_CLOSED
                | OUTLAST_EVENT_CREDENTIAL_WANTED
                | OUTLAST_EVENT_PARKED
                | OUTLAST_EVENT_CHAIN_ENDED
                | OUTLAST_EVENT_HANDED_OVER
        )
    }

    /// The struct for the host. It owns handles: clear it.
    pub(crate) fn expose(self) -> outlast_event {
        let view = |which: fn(&Texts) -> &Text| {
            self.texts.as_deref().map_or(outlast_str::NONE, |texts| which(texts).view())
        };
        let (text, principal) = (view(|texts| &texts.text), view(|texts| &texts.principal));
        let owned = self.texts.map_or(ptr::null_mut(), handle::new::<Held>);
        outlast_event {
            size: size_of::<outlast_event>(),
            kind: self.kind,
            flags: self.flags,
            time_unix_ms: self.time,
            session: self.session,
            upload: self.upload,
            user_data: self.user_data.0,
            generation: self.generation,
            request: self.request,
            bytes: self.bytes,
            total: self.total,
            part: self.part,
            count: self.count,
            moment_unix_ms: self.moment,
            horizon_unix_ms: self.horizon,
            delay_ms: self.delay_ms,
            status: self.status,
            reserved: 0,
            text,
            principal,
            error: self.error.map_or(ptr::null_mut(), handle::new::<outlast_error>),
            owned: owned.cast(),
        }
    }
}

/// Frees what an exposed event owns.
pub(crate) fn let_go(event: &outlast_event) {
    drop(handle::take(event.error));
    drop(handle::take(event.owned.cast_const().cast::<Held>()));
}

/// Frees what an event from `outlast_queue_next` owns and sets it to zeros, its size kept. NULL, and an event that was
/// cleared already, are left alone. Not for events of a callback.
///
/// Threads: any, one at a time per event. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn outlast_event_clear(event: *mut outlast_event) {
    quietly((), || {
        // SAFETY: the caller's promise for structs.
        let (Ok(filled), Ok(out)) =
            (unsafe { crate::view::read(event) }, unsafe { crate::view::Out::new(event) })
        else {
            return;
        };
        let_go(&filled);
        // SAFETY: zeros are a valid event by `Sized1`.
        out.fill(&unsafe { std::mem::zeroed() });
    });
}
