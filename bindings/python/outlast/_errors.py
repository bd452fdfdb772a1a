"""Exceptions: one class per kind of failure, all derived from Error."""

from __future__ import annotations

from ctypes import c_void_p, string_at

from . import _abi
from ._library import library


class Error(Exception):
    """A failure: what was attempted, on what, what happened, and what to do when that is known."""

    #: The stable name of the kind of failure, for example ``"sign-in-needed"``.
    code: str = "internal"
    #: Whether trying again can help: ``"never"``, ``"later"``, ``"after-sign-in"`` or ``"exhausted"``.
    retry: str = "never"
    #: Seconds the service wants us to wait, if it said so.
    retry_after: float | None = None
    #: HTTP status of the service's answer, if it answered.
    http_status: int | None = None
    #: The service's own error code, for example ``"NotAuthenticated"``.
    service_code: str | None = None
    #: The service's request id, for a support ticket.
    request_id: str | None = None
    #: The part in question, from 1.
    part_number: int | None = None
    #: Whether the same upload, made again, goes on where this one stopped.
    resumable: bool = False


class InvalidInput(Error, ValueError):
    """An argument, option, name or handle that cannot be used."""


class ConfigError(Error):
    """The configuration file, a key or a token file cannot be used."""


class SignInNeeded(Error):
    """Only a person can get a new credential; the upload is resumable."""


class AuthError(Error):
    """The service refuses the credential for good."""


class PermissionDenied(Error):
    """The service says the caller may not do this."""


class NotFound(Error):
    """Bucket, namespace, object or upload does not exist, or may not be seen."""


class PreconditionFailed(Error):
    """The object exists, or is not the one expected."""


class IntegrityError(Error):
    """The bytes stored are not the bytes sent."""


class SourceChanged(Error):
    """The local source changed while it was being uploaded."""


class SourceError(Error):
    """The local source cannot be read."""


class NetworkError(Error):
    """The service could not be reached, or the connection kept breaking."""


class ServiceError(Error):
    """The service answered with a failure that retries did not cure."""


class Timeout(Error, TimeoutError):
    """It did not happen within the given time."""


class StateError(Error):
    """Journal or state directory cannot be used."""


class Busy(Error):
    """Another process is doing the same upload."""


class Cancelled(Error):
    """The caller cancelled, or the client was closed."""


class ProtocolError(Error):
    """The service answered with something that its protocol does not allow."""


class InternalError(Error):
    """A defect in the library."""


class Forked(Error):
    """The object was made before this process was forked off; make a new one in the child."""


KINDS: dict[int, type[Error]] = {
    _abi.E_INVALID: InvalidInput,
    _abi.E_CONFIG: ConfigError,
    _abi.E_SIGN_IN_NEEDED: SignInNeeded,
    _abi.E_AUTH: AuthError,
    _abi.E_PERMISSION: PermissionDenied,
    _abi.E_NOT_FOUND: NotFound,
    _abi.E_PRECONDITION: PreconditionFailed,
    _abi.E_INTEGRITY: IntegrityError,
    _abi.E_SOURCE_CHANGED: SourceChanged,
    _abi.E_SOURCE: SourceError,
    _abi.E_NETWORK: NetworkError,
    _abi.E_SERVICE: ServiceError,
    _abi.E_TIMEOUT: Timeout,
    _abi.E_STATE: StateError,
    _abi.E_BUSY: Busy,
    _abi.E_CANCELLED: Cancelled,
    _abi.E_PROTOCOL: ProtocolError,
    _abi.E_INTERNAL: InternalError,
    _abi.E_PANIC: InternalError,
    _abi.E_FORKED: Forked,
}

RETRIES = {
    _abi.RETRY_NEVER: "never",
    _abi.RETRY_LATER: "later",
    _abi.RETRY_AFTER_SIGN_IN: "after-sign-in",
    _abi.RETRY_EXHAUSTED: "exhausted",
}


def text(view: _abi.outlast_str) -> str | None:
    """A copy of a text of the library; None if it is empty."""
    return string_at(view.data, view.len).decode("utf-8", "replace") if view.len else None


def from_handle(handle: int | None, status: int) -> Error:
    """The exception for an error object, which stays the caller's; without one, only the status is known."""
    kind = KINDS.get(status, InternalError)
    if not handle:
        error = kind(status_name(status))
    else:
        error = kind(text(library.outlast_error_message(handle)) or status_name(status))
        error.retry = RETRIES.get(library.outlast_error_retry(handle), "never")
        after = library.outlast_error_retry_after_ms(handle)
        error.retry_after = after / 1000 if after >= 0 else None
        error.http_status = library.outlast_error_http_status(handle) or None
        error.service_code = text(library.outlast_error_service_code(handle))
        error.request_id = text(library.outlast_error_request_id(handle))
        error.part_number = library.outlast_error_part_number(handle) or None
    error.code = status_name(status)
    return error


def status_name(status: int) -> str:
    """The stable name of a status code."""
    return str(library.outlast_status_name(status).decode())


def check(status: int, slot: c_void_p) -> None:
    """Raises what a call said in its error slot."""
    if status == _abi.OK:
        return
    try:
        raise from_handle(slot.value, status)
    finally:
        library.outlast_error_free(slot)
