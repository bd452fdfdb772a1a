"""A session: a credential that is kept alive."""

from __future__ import annotations

import asyncio
import os
import select
import threading
import time
from collections.abc import Callable
from ctypes import byref, c_size_t, c_void_p, create_string_buffer, pointer
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from . import _abi
from ._client import Client
from ._errors import Error, SignInNeeded, check, text
from ._events import Event, convert
from ._handles import Owned, Queue, call
from ._library import library
from ._values import Options, filled

#: Blocking calls return to the interpreter this often, so that Ctrl-C works, seconds.
_SLICE = 0.2
_STATES = ("empty", "fresh", "advisory", "mandatory", "parked", "dead")


@dataclass(frozen=True)
class Token:
    """A token. It never shows its text unasked."""

    value: str = field(repr=False)
    #: Name it in :meth:`Session.reject` when a service answers 401.
    generation: int
    #: Seconds since 1970 UTC; None if it does not end.
    expires_at: float | None


class SignedHeaders(dict[str, str]):
    """Headers to send besides your own; ``generation`` goes to :meth:`Session.reject` when the service answers 401."""

    generation: int = 0

    def __repr__(self) -> str:
        return f"SignedHeaders({', '.join(self)})"


@dataclass(frozen=True)
class Status:
    """A look at a session. Moments are seconds since 1970 UTC."""

    state: str
    generation: int
    issued_at: float | None
    expires_at: float | None
    #: Beyond it only a person can extend the session.
    horizon: float | None
    refreshes: int


@dataclass(frozen=True)
class Credential:
    """What a supplier returns: a session token, or an API key's id, and the private key (PEM); or a bearer token."""

    token: str | None = field(default=None, repr=False)
    #: ``"Bearer"``, or another word: the token signs nothing and is sent as it is. No key then.
    token_type: str | None = None
    key_id: str | None = None
    #: May be left out when it is the same as before.
    private_key: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    horizon: float | None = None


class Session(Owned):
    """A credential that is kept alive.

    It is the session of an OCI profile, found as the official tools find it. With ``name`` it is a session of the sessions
    file (OAuth 2.0, OpenID providers, FOLIO, credential programs, token files), as for ``outlast token NAME``. With ``supply``
    the function is called, on a thread of this object, each time a credential is needed; it returns a :class:`Credential`
    or raises (:class:`SignInNeeded` when only a person can help).

    ``cli_rc_file`` has defaults for what is not given of a profile's options. With ``realm_specific_endpoint`` the host of
    Object Storage begins with ``namespace``, and :meth:`namespace` then asks nobody.
    """

    def __init__(
        self,
        profile: str | None = None,
        *,
        client: Client | None = None,
        name: str | None = None,
        sessions_file: str | os.PathLike[str] | None = None,
        config_file: str | os.PathLike[str] | None = None,
        cli_rc_file: str | os.PathLike[str] | None = None,
        auth: str | None = None,
        region: str | None = None,
        endpoint: str | None = None,
        auth_endpoint: str | None = None,
        realm_specific_endpoint: bool = False,
        enable_dual_stack: bool = False,
        namespace: str | None = None,
        passphrase: str | None = None,
        wait_for_login: float = 0,
        timer: bool = False,
        read_only: bool = False,
        mint_session: int = 0,
        supply: Callable[[], Credential] | None = None,
        title: str | None = None,
    ) -> None:
        self._listener: _Supplier | None = None
        if name is not None and profile is not None:
            raise ValueError("a session has either a profile or a name in the sessions file")
        if name is None and sessions_file is not None:
            raise ValueError("sessions_file is given without a name")
        if supply is not None:
            if client is not None or profile is not None or name is not None:
                raise ValueError("a supplied session has a client of its own, no profile and no name")
            events = Queue()
            self.client = Client(events=events)
        else:
            self.client = client or Client()
        self._own_client = client is None
        out, error = c_void_p(), c_void_p()
        wait = round(wait_for_login * 1000)
        try:
            if name is not None:
                options = Options(
                    _abi.outlast_defined_options,
                    name=name,
                    sessions_file=sessions_file,
                    endpoint=endpoint,
                    wait_for_login_ms=wait,
                    timer=timer,
                )
                opening = library.outlast_session_open_defined
            elif supply is None:
                options = Options(
                    _abi.outlast_oci_options,
                    config_file=config_file,
                    profile=profile,
                    cli_rc_file=cli_rc_file,
                    auth=auth,
                    region=region,
                    endpoint=endpoint,
                    auth_endpoint=auth_endpoint,
                    realm_specific_endpoint=realm_specific_endpoint,
                    enable_dual_stack=enable_dual_stack,
                    namespace_name=namespace,
                    passphrase=passphrase,
                    wait_for_login_ms=wait,
                    timer=timer,
                    read_only=read_only,
                    mint_session_minutes=mint_session,
                )
                opening = library.outlast_session_open_oci
            else:
                options = Options(
                    _abi.outlast_supplied_options,
                    endpoint=endpoint,
                    title=title,
                    wait_for_login_ms=wait,
                    timer=timer,
                )
                opening = library.outlast_session_open_supplied
            check(opening(self.client._handle, byref(options.struct), byref(out), byref(error)), error)
        except BaseException:
            if self._own_client:
                self.client.close()
            raise
        self._own(out.value, library.outlast_session_free)
        if supply is not None:
            self._listener = _Supplier(self._handle, events, supply)

    def token(self, timeout: float | None = None) -> Token:
        """The current token, refreshed before if need be. Ctrl-C interrupts the wait, not the refresh."""
        fresh = self._token(0)
        return fresh if fresh is not None else _patiently(self._token, timeout, "a credential")

    async def atoken(self, timeout: float | None = None) -> Token:
        """:meth:`token` without blocking the loop."""
        fresh = self._token(0)
        return fresh if fresh is not None else await asyncio.to_thread(self.token, timeout)

    def _token(self, timeout_ms: int, capacity: int = 8192) -> Token | None:
        buffer = create_string_buffer(capacity)
        facts, error = filled(_abi.outlast_token), c_void_p()
        status = library.outlast_session_token(
            self._handle, timeout_ms, buffer, capacity, byref(facts), byref(error)
        )
        if status == _abi.OK:
            end = facts.expires_unix_ms
            return Token(buffer.value.decode(), facts.generation, end / 1000 if end else None)
        if status == _abi.E_TIMEOUT:
            library.outlast_error_free(error)
            return None
        if status == _abi.E_BUFFER and facts.len >= capacity:
            library.outlast_error_free(error)
            return self._token(timeout_ms, facts.len + 1)
        check(status, error)
        return None

    def sign(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> SignedHeaders:
        """Headers for a request that you send yourself, exactly as given here.

        ``body`` is covered by the signature when it is not None: for POST, PATCH, and every PUT but
        those of objects and parts.
        """
        options = Options(
            _abi.outlast_request,
            method=method,
            url=url,
            sign_body=body is not None,
            content_type=content_type,
            body=body or None,
        )

        def attempt(timeout_ms: int) -> SignedHeaders | None:
            out, error = c_void_p(), c_void_p()
            status = library.outlast_session_sign(
                self._handle, byref(options.struct), timeout_ms, byref(out), byref(error)
            )
            if status == _abi.E_TIMEOUT:
                library.outlast_error_free(error)
                return None
            check(status, error)
            try:
                return _headers(out.value)
            finally:
                library.outlast_headers_free(out)

        signed: SignedHeaders = _patiently(attempt, timeout, "a credential")
        return signed

    async def asign(self, method: str, url: str, **options: Any) -> SignedHeaders:
        """:meth:`sign` without blocking the loop."""
        return await asyncio.to_thread(self.sign, method, url, **options)

    def reject(self, generation: int) -> None:
        """A request made with ``generation`` was answered with 401: get the next credential and send again."""
        call(library.outlast_session_reject, self._handle, generation)

    def accept(self, generation: int) -> None:
        """A request made with ``generation`` was answered with something other than 401."""
        call(library.outlast_session_accept, self._handle, generation)

    def refresh(self, timeout: float = 60) -> None:
        """Asks for the next credential now, whatever the windows say."""
        call(library.outlast_session_refresh, self._handle, round(timeout * 1000))

    def touch(self) -> None:
        """Somebody signed in: look now. Changed files are noticed without this."""
        call(library.outlast_session_touch, self._handle)

    def hold(self) -> None:
        """Keeps the session alive while nobody asks, until :meth:`release` or the session's end. Uploads do so by themselves."""
        call(library.outlast_session_hold, self._handle)

    def release(self) -> None:
        """The opposite of :meth:`hold`."""
        call(library.outlast_session_release, self._handle)

    def service(
        self,
        *,
        principal: str,
        audit_file: str | os.PathLike[str],
        profile: str | None = None,
        config_file: str | os.PathLike[str] | None = None,
        cli_rc_file: str | os.PathLike[str] | None = None,
        passphrase: str | None = None,
        name: str | None = None,
        sessions_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Names a service's credential that takes over when an upload would outlive the session, or it has ended.

        The credential is that of an OCI profile, or with ``name`` a session of the sessions file. Before it acts on behalf of
        ``principal`` that is recorded in ``audit_file``, and told by the event ``"handed-over"``. There is no way back.
        """
        oci = Options(
            _abi.outlast_oci_options,
            profile=profile,
            config_file=config_file,
            cli_rc_file=cli_rc_file,
            passphrase=passphrase,
            read_only=True,
        )
        options = Options(
            _abi.outlast_service_options,
            name=name,
            sessions_file=sessions_file,
            principal=principal,
            audit_file=audit_file,
        )
        if profile is not None:
            options.struct.profile = pointer(oci.struct)
        call(library.outlast_session_service, self._handle, byref(options.struct))

    def namespace(self) -> str:
        """The tenancy's Object Storage namespace: the one the session was opened with, else asked of the service."""
        buffer, length = create_string_buffer(1024), c_size_t()
        call(library.outlast_session_namespace, self._handle, buffer, len(buffer), byref(length))
        return buffer.value.decode()

    @property
    def status(self) -> Status:
        """A look; loads and refreshes nothing."""
        raw = filled(_abi.outlast_session_status)
        call(library.outlast_session_look, self._handle, byref(raw))
        moments = (raw.issued_unix_ms, raw.expires_unix_ms, raw.horizon_unix_ms)
        issued, expires, horizon = (moment / 1000 if moment else None for moment in moments)
        return Status(_STATES[raw.state], raw.generation, issued, expires, horizon, raw.refreshes)

    def close(self) -> None:
        """Ends the session, and its client if it was made with it."""
        if not self._finalizer.alive:
            return
        if self._own_client:
            self.client.close()
        if self._listener is not None:
            self._listener.stop()
        self._free()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _headers(handle: int | None) -> SignedHeaders:
    signed = SignedHeaders()
    for index in range(library.outlast_headers_count(handle)):
        name = text(library.outlast_headers_name(handle, index))
        signed[name or ""] = text(library.outlast_headers_value(handle, index)) or ""
    signed.generation = library.outlast_headers_generation(handle)
    return signed


def _patiently(attempt: Callable[[int], Any], timeout: float | None, what: str) -> Any:
    """Waits in slices, so that signal handlers of Python run in between."""
    from ._errors import Timeout

    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SLICE if deadline is None else min(_SLICE, max(0.0, deadline - time.monotonic()))
        found = attempt(round(left * 1000))
        if found is not None:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            error = Timeout(f"{what} did not come within {timeout} s")
            error.code = "timeout"
            raise error


class _Supplier:
    """The thread that answers wishes for credentials."""

    def __init__(self, session: int, events: Queue, supply: Callable[[], Credential]) -> None:
        self._session, self._events, self._supply = session, events, supply
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="outlast-supply", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended = True
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        while not self._ended:
            select.select([self._events.fd], [], [], _SLICE)
            event: Event | None = self._events.take(convert)
            if event is None:
                continue
            if event.kind == "closed":
                return
            if event.kind == "credential-wanted":
                self._answer(event.request)

    def _answer(self, request: int) -> None:
        try:
            given = self._supply()
            options = Options(
                _abi.outlast_credential,
                token=given.token,
                token_type=given.token_type,
                key_id=given.key_id,
                private_key=given.private_key,
                passphrase=given.passphrase,
                expires_unix_ms=round((given.expires_at or 0) * 1000),
                horizon_unix_ms=round((given.horizon or 0) * 1000),
            )
            call(library.outlast_session_supply, self._session, request, byref(options.struct))
        except Exception as error:  # whatever the host's function raises is an answer, too
            needs_person = int(isinstance(error, SignInNeeded))
            words = Options(_abi.outlast_credential, token=str(error) or type(error).__name__)
            try:
                call(
                    library.outlast_session_supply_failed,
                    self._session,
                    request,
                    needs_person,
                    0,
                    words.struct.token,
                )
            except Error:
                pass
