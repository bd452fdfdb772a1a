//! The one public error type.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What went wrong, as a closed table that also feeds C codes, WIT enums and exceptions.
///
/// Numbers are part of the C ABI: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument, option or name that cannot be used.
    InvalidInput = -2,
    /// The configuration file, a key or a token file cannot be used.
    Config = -3,
    /// The credential is unusable and only a person can get a new one; the upload is resumable.
    SignInNeeded = -4,
    /// The service refuses the credential for good (bad key, unknown user, second refusal of a fresh token).
    Auth = -5,
    /// The service says the caller may not do this.
    Permission = -6,
    /// Bucket, namespace, object or upload does not exist (or may not be seen).
    NotFound = -7,
    /// A precondition failed: the object exists, or is not the one expected.
    Precondition = -8,
    /// The bytes stored are not the bytes sent.
    Integrity = -9,
    /// The local source changed, shrank or grew while it was being uploaded.
    SourceChanged = -10,
    /// The local source cannot be read.
    Source = -11,
    /// The service could not be reached, or the connection kept breaking.
    Network = -12,
    /// The service answered with a failure that retries did not cure.
    Service = -13,
    /// No progress within the allowed time.
    Timeout = -14,
    /// Journal or state directory cannot be used.
    State = -15,
    /// Another process is doing the same upload.
    Busy = -16,
    /// The caller cancelled.
    Cancelled = -17,
    /// The service answered with something that its protocol does not allow.
    Protocol = -18,
    /// A defect in this library.
    Internal = -19,
}

impl ErrorKind {
    /// The stable lower-case name used in events, JSON and other languages.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::InvalidInput => "invalid-input",
            ErrorKind::Config => "config",
            ErrorKind::SignInNeeded => "sign-in-needed",
            ErrorKind::Auth => "auth",
            ErrorKind::Permission => "permission",
            ErrorKind::NotFound => "not-found",
            ErrorKind::Precondition => "precondition",
            ErrorKind::Integrity => "integrity",
            ErrorKind::SourceChanged => "source-changed",
            ErrorKind::Source => "source",
            ErrorKind::Network => "network",
            ErrorKind::Service => "service",
            ErrorKind::Timeout => "timeout",
            ErrorKind::State => "state",
            ErrorKind::Busy => "busy",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Internal => "internal",
        }
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// Try later; with the service's own delay if it named one.
    Later(Option<Duration>),
    /// Sign in, then the same call resumes.
    AfterReauth,
    /// Retries were made and did not help; the same call resumes when the cause is gone.
    Exhausted,
}

/// What the service said, without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    /// Status code.
    pub status: u16,
    /// The service's error code, for example `NotAuthenticated`.
    pub code: Option<String>,
    /// The service's words, cut to one line of at most 300 characters.
    pub message: Option<String>,
    /// `opc-request-id`, for a support ticket.
    pub request_id: Option<String>,
    /// `Retry-After`, already a duration.
    pub retry_after: Option<Duration>,
    /// The part in question.
    pub part_number: Option<u32>,
}

/// A failure: what was attempted, on what, what happened, and what to do when we know it.
///
/// `Display` is one line without secrets; `source()` keeps the chain.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    http: Option<HttpFacts>,
    source: Option<std::sync::Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` that trying again will not cure. `message` is one line, without secrets.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::SignInNeeded => Retry::AfterReauth,
            ErrorKind::Network | ErrorKind::Service | ErrorKind::Timeout => Retry::Exhausted,
            ErrorKind::Busy => Retry::Later(None),
            _ => Retry::Never,
        };
        Error(Box::new(Inner { kind, retry, message: one_line(&message.into()), http: None, source: None }))
    }

    /// The same failure with another retry answer.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// The same failure with what the service said.
    #[must_use]
    pub fn with_http(mut self, http: HttpFacts) -> Self {
        self.0.http = Some(http);
        self
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(std::sync::Arc::new(source));
        self
    }

    /// The same failure, its message led by what was being attempted: `attempt: message`.
    #[must_use]
    pub fn during(mut self, attempt: &str) -> Self {
        self.0.message = format!("{attempt}: {}", self.0.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// What the service said, if it said anything.
    pub fn http(&self) -> Option<&HttpFacts> {
        self.0.http.as_ref()
    }

    /// The one-line message without the service's words.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let Some(http) = &self.0.http else { return Ok(()) };
        write!(f, " (HTTP {}", http.status)?;
        if let Some(code) = &http.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &http.message {
            write!(f, ": {message}")?;
        }
        if let Some(id) = &http.request_id {
            write!(f, "; request id {id}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("message", &self.0.message)
            .field("http", &self.0.http)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Makes foreign text safe for one line of a log: control characters become spaces, length is capped.
pub fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 1000;
    let mut line: String =
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn shows_one_line_with_the_services_words() {
        let error =
            Error::new(ErrorKind::NotFound, "creating upload of \"a\":\nbucket gone").with_http(HttpFacts {
                status: 404,
                code: Some("BucketNotFound".into()),
                request_id: Some("phx-1:abc".into()),
                ..HttpFacts::default()
            });
        assert_eq!(
            error.to_string(),
            "creating upload of \"a\": bucket gone (HTTP 404 BucketNotFound; request id phx-1:abc)"
        );
        assert_eq!(error.retry(), Retry::Never);
    }
}
