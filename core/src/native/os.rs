//! The few calls into libc that std has no words for. All unsafe code of the driver is in this file.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::{Builder, JoinHandle};

/// The signal mask a thread had before [`block_signals`].
pub(crate) struct SignalMask(libc::sigset_t);

/// Blocks all signals for the calling thread; threads it starts inherit that.
///
/// A host's handlers never run on our threads, and a write to a closed socket is an error, not a SIGPIPE.
pub(crate) fn block_signals() -> SignalMask {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both pointers are valid for writes for the whole block; `sigfillset` initialises `all` before it is
    // read, and `pthread_sigmask` with a valid `how` cannot fail and initialises `before` (POSIX pthread_sigmask).
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        SignalMask(before.assume_init())
    }
}

impl SignalMask {
    /// Gives the calling thread its old mask back.
    pub(crate) fn restore(self) {
        // SAFETY: `self.0` was initialised by `pthread_sigmask`; a null old set is allowed (POSIX pthread_sigmask).
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut());
        }
    }
}

/// Ends the process group that a child of ours leads.
pub(crate) fn kill_group(leader: u32) {
    let Ok(leader) = libc::pid_t::try_from(leader) else { return };
    // SAFETY: takes numbers only. The child has not been waited for, so its id, and its group's, are not used again.
    unsafe {
        libc::kill(-leader, libc::SIGKILL);
    }
}

/// Starts a named thread that blocks all signals, as every thread of this library does: for those who build a library's
/// face on the driver and have threads of their own.
///
/// Errors: the system has no thread left.
pub fn spawn_quiet<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let mask = block_signals();
    let thread = Builder::new().name(name.into()).spawn(run);
    mask.restore();
    thread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_started_under_the_mask_inherits_it() {
        let blocked = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
            let mask =
                status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("SigBlk is listed");
            u64::from_str_radix(mask.trim(), 16).expect("the mask is hexadecimal")
        };
        let before = blocked();
        let thread = spawn_quiet("quiet", blocked).expect("threads can be started");
        let inside = thread.join().expect("the thread only reads a file");
        // SIGINT, SIGPIPE and SIGTERM are signals 2, 13 and 15.
        for signal in [2, 13, 15] {
            assert_ne!(inside & (1 << (signal - 1)), 0, "signal {signal}");
        }
        assert_eq!(blocked(), before);
    }
}
