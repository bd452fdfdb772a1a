//! Programs that print a secret: started without a shell, with a time limit and an output limit.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::os;
use crate::engine::error::{Error, ErrorKind, one_line};

/// Most that a program may print, bytes.
const MOST: u64 = 256 << 10;
/// How often a program that has closed its output is looked at until it ends.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a program and gives what it printed on stdout. Its stdin is empty, its stderr is ours, its environment too.
///
/// Errors: `Config` (it cannot be started), `Source` (it failed, printed too much), `Timeout`; never what it printed.
pub(crate) fn output(argv: &[String], limit: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (program, arguments) = argv.split_first().expect("a command has a program");
    let name = one_line(program);
    let until = Instant::now() + limit;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        // A group of its own: what it starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("the program {name} cannot be started: {}", trouble(&error)),
            )
        })?;
    let result = collect(&mut child, until, &name, limit);
    if result.is_err() {
        os::kill_group(child.id());
        let _ = child.wait();
    }
    result
}

fn collect(
    child: &mut Child,
    until: Instant,
    name: &str,
    limit: Duration,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let (done, answer) = mpsc::channel();
    let read = move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 << 10));
        let read = stdout.take(MOST + 1).read_to_end(&mut bytes).map(|_| bytes);
        let _ = done.send(read);
    };
    os::spawn_quiet("outlast-command", read)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("no thread can be started: {error}")))?;
    let late = || {
        Error::new(
            ErrorKind::Timeout,
            format!("the program {name} did not end within {} s and was stopped", limit.as_secs_f32()),
        )
    };
    let bytes = match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(bytes) => bytes.map_err(|error| {
            Error::new(ErrorKind::Source, format!("what {name} prints cannot be read: {error}"))
        })?,
        Err(_) => return Err(late()),
    };
    if bytes.len() as u64 > MOST {
        let message = format!("the program {name} printed more than {} KiB", MOST >> 10);
        return Err(Error::new(ErrorKind::Source, message));
    }
    // Its output is closed, so it is about to end.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() >= until => return Err(late()),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => {
                return Err(Error::new(ErrorKind::Internal, format!("{name} cannot be waited for: {error}")));
            }
        }
    };
    if status.success() {
        return Ok(bytes);
    }
    Err(Error::new(ErrorKind::Source, format!("the program {name} failed ({status}); it says why on stderr")))
}

fn trouble(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is none".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it is not executable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<String, Error> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        output(&argv, limit).map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_is_printed_is_given() {
        assert_eq!(sh("printf hello", LONG).expect("it prints"), "hello");
        // No input: it would wait for ever otherwise.
        assert_eq!(sh("cat; printf x", LONG).expect("it prints"), "x");
    }

    #[test]
    fn failures_are_told_without_the_output() {
        for (script, kind, words) in [
            ("echo hunter2; exit 3", ErrorKind::Source, "failed (exit status: 3)"),
            ("head -c 300000 /dev/zero", ErrorKind::Source, "printed more than 256 KiB"),
        ] {
            let error = sh(script, LONG).expect_err(script);
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(words) && !error.to_string().contains("hunter2"), "{error}");
        }
        let error = output(&["/nonexistent/program".to_owned()], LONG).expect_err("there is none");
        assert_eq!((error.kind(), error.to_string().contains("there is none")), (ErrorKind::Config, true));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped_with_its_children() {
        let begun = Instant::now();
        let error = sh("sleep 600 & sleep 600", Duration::from_millis(200)).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(begun.elapsed() < LONG);
        let error = sh("exec >&-; sleep 600", Duration::from_millis(200)).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
}
