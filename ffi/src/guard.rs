//! What stands around every exported call: no panic gets out, and failures become objects.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use outlast_core::{Error, ErrorKind};

use crate::error::{Told, outlast_error};
use crate::handle;
use crate::status::{self, OUTLAST_E_BUFFER, OUTLAST_E_FORKED, OUTLAST_E_PANIC, OUTLAST_OK, outlast_status};
use crate::view::Slot;

/// Why a call fails: a status and the error to tell.
pub(crate) struct Failure {
    pub(crate) status: outlast_status,
    error: Error,
}

impl Failure {
    /// An argument that cannot be used.
    pub(crate) fn invalid(message: &str) -> Failure {
        Error::new(ErrorKind::InvalidInput, message).into()
    }

    /// The process is a forked child.
    pub(crate) fn forked() -> Failure {
        let message = "this process was forked off after the handle was made; make new handles in the child";
        Failure { status: OUTLAST_E_FORKED, error: Error::new(ErrorKind::InvalidInput, message) }
    }

    /// A buffer is too small.
    pub(crate) fn buffer(needed: usize) -> Failure {
        let message = format!("the buffer is too small; {needed} bytes are needed");
        Failure { status: OUTLAST_E_BUFFER, error: Error::new(ErrorKind::InvalidInput, message) }
    }

    /// It did not happen in time.
    pub(crate) fn timeout(what: &str) -> Failure {
        let error = Error::new(ErrorKind::Timeout, format!("{what} within the given time"));
        error.with_retry(outlast_core::Retry::Later(None)).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { status: status::of(error.kind()), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Carries out a call. The error slot is written on failure only.
pub(crate) fn guard(
    err: &Slot<*mut outlast_error>,
    call: impl FnOnce() -> Result<(), Failure>,
) -> outlast_status {
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return OUTLAST_OK,
        Ok(Err(failure)) => failure,
        Err(_) => Failure {
            status: OUTLAST_E_PANIC,
            error: Error::new(ErrorKind::Internal, "a defect in this library stopped the call"),
        },
    };
    if !err.is_null() {
        err.set(handle::new::<outlast_error>(Arc::new(Told::new(failure.status, &failure.error))));
    }
    failure.status
}

/// Carries out something that cannot fail, or `fallback` if it panics.
pub(crate) fn quietly<T>(fallback: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(fallback)
}
