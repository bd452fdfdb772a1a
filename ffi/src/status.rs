//! Status codes. Numbers are never reused.

use outlast_core::ErrorKind;

/// What a call says: 0 for success, below 0 for a failure. The numbers never change their meaning.
pub type outlast_status = i32;

/// Success.
pub const OUTLAST_OK: i32 = 0;
/// An argument, option, name or handle that cannot be used: NULL, freed, of another kind, an unknown value.
pub const OUTLAST_E_INVALID: i32 = -2;
/// The configuration file, a key or a token file cannot be used.
pub const OUTLAST_E_CONFIG: i32 = -3;
/// The credential is unusable and only a person can get a new one; the upload is resumable.
pub const OUTLAST_E_SIGN_IN_NEEDED: i32 = -4;
/// The service refuses the credential for good (bad key, unknown user, second refusal of a fresh token).
pub const OUTLAST_E_AUTH: i32 = -5;
/// The service says the caller may not do this.
pub const OUTLAST_E_PERMISSION: i32 = -6;
/// Bucket, namespace, object or upload does not exist (or may not be seen).
pub const OUTLAST_E_NOT_FOUND: i32 = -7;
/// A precondition failed: the object exists, or is not the one expected.
pub const OUTLAST_E_PRECONDITION: i32 = -8;
/// The bytes stored are not the bytes sent.
pub const OUTLAST_E_INTEGRITY: i32 = -9;
/// The local source changed, shrank or grew while it was being uploaded.
pub const OUTLAST_E_SOURCE_CHANGED: i32 = -10;
/// The local source cannot be read.
pub const OUTLAST_E_SOURCE: i32 = -11;
/// The service could not be reached, or the connection kept breaking.
pub const OUTLAST_E_NETWORK: i32 = -12;
/// The service answered with a failure that retries did not cure.
pub const OUTLAST_E_SERVICE: i32 = -13;
/// It did not happen within the given time. Nothing is lost: call again.
pub const OUTLAST_E_TIMEOUT: i32 = -14;
/// Journal or state directory cannot be used.
pub const OUTLAST_E_STATE: i32 = -15;
/// Another process is doing the same upload.
pub const OUTLAST_E_BUSY: i32 = -16;
/// The caller cancelled, or the client was closed.
pub const OUTLAST_E_CANCELLED: i32 = -17;
/// The service answered with something that its protocol does not allow.
pub const OUTLAST_E_PROTOCOL: i32 = -18;
/// A defect in this library.
pub const OUTLAST_E_INTERNAL: i32 = -19;
/// A defect in this library that stopped a call half-way; the handle is still safe to free.
pub const OUTLAST_E_PANIC: i32 = -90;
/// The handle was made before this process was forked off; its threads are in the parent.
pub const OUTLAST_E_FORKED: i32 = -91;
/// The buffer is too small; the length that is needed was written.
pub const OUTLAST_E_BUFFER: i32 = -92;

/// The names of all codes, for `outlast_status_name` and for bindings.
pub(crate) const NAMES: [(i32, &std::ffi::CStr); 22] = [
    (OUTLAST_OK, c"ok"),
    (OUTLAST_E_INVALID, c"invalid-input"),
    (OUTLAST_E_CONFIG, c"config"),
    (OUTLAST_E_SIGN_IN_NEEDED, c"sign-in-needed"),
    (OUTLAST_E_AUTH, c"auth"),
    (OUTLAST_E_PERMISSION, c"permission"),
    (OUTLAST_E_NOT_FOUND, c"not-found"),
    (OUTLAST_E_PRECONDITION, c"precondition"),
    (OUTLAST_E_INTEGRITY, c"integrity"),
    (OUTLAST_E_SOURCE_CHANGED, c"source-changed"),
    (OUTLAST_E_SOURCE, c"source"),
    (OUTLAST_E_NETWORK, c"network"),
    (OUTLAST_E_SERVICE, c"service"),
    (OUTLAST_E_TIMEOUT, c"timeout"),
    (OUTLAST_E_STATE, c"state"),
    (OUTLAST_E_BUSY, c"busy"),
    (OUTLAST_E_CANCELLED, c"cancelled"),
    (OUTLAST_E_PROTOCOL, c"protocol"),
    (OUTLAST_E_INTERNAL, c"internal"),
    (OUTLAST_E_PANIC, c"panic"),
    (OUTLAST_E_FORKED, c"forked"),
    (OUTLAST_E_BUFFER, c"buffer"),
];

/// The code of a kind: the numbers are the same.
pub(crate) fn of(kind: ErrorKind) -> outlast_status {
    kind as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_those_of_the_core() {
        let kinds = [
            ErrorKind::InvalidInput,
            ErrorKind::Config,
            ErrorKind::SignInNeeded,
            ErrorKind::Auth,
            ErrorKind::Permission,
            ErrorKind::NotFound,
            ErrorKind::Precondition,
            ErrorKind::Integrity,
            ErrorKind::SourceChanged,
            ErrorKind::Source,
            ErrorKind::Network,
            ErrorKind::Service,
            ErrorKind::Timeout,
            ErrorKind::State,
            ErrorKind::Busy,
            ErrorKind::Cancelled,
            ErrorKind::Protocol,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            let (_, name) = NAMES.iter().find(|(code, _)| *code == of(kind)).expect("every kind has a code");
            assert_eq!(name.to_str(), Ok(kind.name()));
        }
    }
}
