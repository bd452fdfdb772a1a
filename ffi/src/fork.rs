//! Noticing that this process is a forked child: the threads of the parent's clients are not here.
//!
//! A counter that the child's fork handler moves costs one load per call, where asking for the process id would cost a
//! system call. Nothing is registered when the library is loaded, only with the first handle.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::handle;

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How often this process and its ancestors were forked off since the library was first used.
pub(crate) fn count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to watch.
pub(crate) fn watch() {
    // No `Once`: a child that is forked off in the middle of it would wait for a thread it lacks.
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if !WATCHING.swap(true, Ordering::Relaxed) {
        // SAFETY: the three functions take no arguments, do not unwind, and stay loaded as long as this library, whose
        // handlers the C library forgets when it is unloaded (glibc, musl).
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

/// The table of handles is locked over the fork, so that the child never finds it half changed by a thread it lacks.
extern "C" fn prepare() {
    handle::hold();
}

extern "C" fn parent() {
    handle::release();
}

extern "C" fn child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    handle::release();
}
