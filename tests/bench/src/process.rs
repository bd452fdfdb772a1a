//! One process, measured by the kernel.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Serialize;

/// What a process used.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    /// From start to exit, seconds.
    pub(crate) wall_s: f64,
    /// User mode, seconds.
    pub(crate) user_s: f64,
    /// Kernel mode, seconds.
    pub(crate) system_s: f64,
    /// Largest resident set, MiB.
    pub(crate) peak_mib: f64,
}

impl Usage {
    /// User and kernel mode together, seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Runs a command to its end. Errors: it could not be started, or it failed; its stderr is part of the message.
#[expect(clippy::disallowed_methods, reason = "measuring wall time is this program's purpose")]
#[expect(clippy::cast_precision_loss, reason = "seconds and MiB need no 53 bits")]
pub(crate) fn run(command: &mut Command) -> Result<Usage, String> {
    let began = Instant::now();
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let mut stderr = child.stderr.take().ok_or("no stderr")?;
    // Read to the end first: a full pipe would stop the child.
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).map_err(|error| error.to_string())?;
    let pid = libc::pid_t::try_from(child.id()).map_err(|error| error.to_string())?;
    let mut status = 0;
    // SAFETY: zeroed bytes are a valid rusage; both pointers live across the call; the child is ours and has not been
    // waited for, and its `Child` is only dropped afterwards, which waits for nothing.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(pid, &raw mut status, 0, &raw mut usage) != pid {
            return Err(std::io::Error::last_os_error().to_string());
        }
        usage
    };
    let wall_s = began.elapsed().as_secs_f64();
    if status != 0 {
        return Err(format!("ended with wait status {status}: {}", said.trim()));
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Usage {
        wall_s,
        user_s: seconds(usage.ru_utime),
        system_s: seconds(usage.ru_stime),
        peak_mib: usage.ru_maxrss as f64 / 1024.0,
    })
}
