//! What can go wrong while a cloud is started or told what to do.

/// Why a call of this crate failed; Display is one line saying what was attempted, on what, and what happened.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

/// The closed set of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration or an argument makes no sense.
    Invalid,
    /// A listener, a runtime or a socket could not be had.
    Listen,
    /// A profile file could not be read or written.
    File,
    /// A key, a certificate or a token could not be made or read.
    Key,
    /// The named profile, session, upload or part does not exist.
    Missing,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn io(kind: ErrorKind, what: impl Into<String>, source: std::io::Error) -> Self {
        Self(Box::new(Inner { kind, message: what.into(), source: Some(source) }))
    }

    /// Which of the closed set of causes this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.source {
            Some(source) => write!(f, "{}: {source}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
