//! The few calls into libc that std has no words for. All unsafe code of the driver is in this file and in
//! [`super::md5`].
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

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

/// Time since 1970 UTC as of the kernel's last tick; `None` where the system has no such clock.
///
/// No counter of the processor is read for it, which under a hypervisor is most of what the exact clock costs.
pub(crate) fn time_at_tick() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let mut now = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the pointer is valid for writes; the clock has existed since Linux 2.6.32, and where it does not the call
        // fails and writes nothing (Linux clock_gettime(2)).
        let found = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, now.as_mut_ptr()) } == 0;
        // SAFETY: read only after the call has written it.
        let now = found.then(|| unsafe { now.assume_init() })?;
        Some(Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Ends the process group that a child of ours leads.
pub(crate) fn kill_group(leader: u32) {
    let Ok(leader) = libc::pid_t::try_from(leader) else { return };
    // SAFETY: takes numbers only. The child has not been waited for, so its id, and its group's, are not used again.
    unsafe {
        libc::kill(-leader, libc::SIGKILL);
    }
}

/// Fills `out` from `offset` with what the page cache has; says how much, at least one byte.
///
/// `None`: a disk would have to be asked, the file ends here, or the system cannot say: read it in a way that may wait.
pub(crate) fn read_cached(file: &File, out: &mut [u8], offset: u64) -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        let space = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: out.len() };
        let offset = libc::off_t::try_from(offset).ok()?;
        // SAFETY: the descriptor is open while `file` is borrowed, and `space` describes `out`, which is borrowed for
        // writing and lives across the call (Linux preadv2(2)).
        let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const space, 1, offset, libc::RWF_NOWAIT) };
        usize::try_from(read).ok().filter(|read| *read > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, out, offset);
        None
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
    fn what_was_just_written_is_at_hand_and_the_end_is_not() {
        let file = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut &file, b"0123456789").expect("the disk has room");
        let mut out = [0; 4];
        // A file system that cannot say is allowed to say nothing.
        if let Some(read) = read_cached(&file, &mut out, 3) {
            assert_eq!(&out[..read], &b"3456"[..read]);
        }
        assert_eq!(read_cached(&file, &mut out, 10), None);
        assert_eq!(read_cached(&file, &mut out, u64::MAX), None);
    }

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
