//! How the command ends: an exit code and, unless all went well, one line.

use std::fmt;

use outlast_core::{Error, ErrorKind};

/// The exit codes, as documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Service or runtime failure.
    Failure = 1,
    /// The command line, the configuration or a file cannot be used.
    Usage = 2,
    /// Somebody has to sign in; the same command goes on.
    Parked = 75,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// Why the command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// One line; `None`: all has been said.
    line: Option<String>,
}

/// What commands return.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure told in one line.
    pub(crate) fn new(code: Code, line: impl Into<String>) -> Self {
        Failure { code: code as u8, line: Some(outlast_core::engine::error::one_line(&line.into())) }
    }

    /// A command line, configuration or file that cannot be used.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Failure::new(Code::Usage, line)
    }

    /// An end without a line: the reader of our output has gone, or all has been said.
    pub(crate) fn silent(code: u8) -> Self {
        Failure { code, line: None }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// The line, without the program's name.
    pub(crate) fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// The same with advice at its end.
    #[must_use]
    pub(crate) fn advise(mut self, advice: &str) -> Self {
        if let Some(line) = &mut self.line {
            line.push_str("; ");
            line.push_str(advice);
        }
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            // What the service objects to has been sent.
            ErrorKind::InvalidInput | ErrorKind::Config if error.http().is_none() => Code::Usage,
            ErrorKind::SignInNeeded => Code::Parked,
            ErrorKind::Cancelled => Code::Interrupted,
            _ => Code::Failure,
        };
        Failure::new(code, error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outlast: {}", self.line.as_deref().unwrap_or("ended"))
    }
}
