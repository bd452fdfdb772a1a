"""The client: sessions and uploads that share threads, connections and a rate limit."""

from __future__ import annotations

import atexit
import os
import weakref
from ctypes import byref, c_void_p
from types import TracebackType

from . import _abi
from ._errors import Error, Forked, check
from ._handles import Owned, Queue, call
from ._library import library
from ._values import Options, millis

_open: weakref.WeakSet[Client] = weakref.WeakSet()


class Client(Owned):
    """Sessions and uploads that share threads, connections and a rate limit.

    Names are those of the command line's flags. Sizes are bytes, times are seconds. Any thread may use it.
    """

    def __init__(
        self,
        *,
        workers: int = 0,
        allow_http: bool = False,
        connection_timeout: float = 0,
        read_timeout: float = 0,
        limit_rate: int = 0,
        state_dir: str | os.PathLike[str] | None = None,
        cert_bundle: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        opc_client_request_id: str | None = None,
        events: Queue | None = None,
    ) -> None:
        options = Options(
            _abi.outlast_client_options,
            workers=workers,
            allow_http=allow_http,
            connection_timeout_ms=round(connection_timeout * 1000),
            read_timeout_ms=round(read_timeout * 1000),
            limit_rate=limit_rate,
            state_dir=state_dir,
            cert_bundle=cert_bundle,
            proxy=proxy,
            opc_client_request_id=opc_client_request_id,
        )
        out, error = c_void_p(), c_void_p()
        queue = events._handle if events else None
        check(library.outlast_client_new(byref(options.struct), queue, byref(out), byref(error)), error)
        self._own(out.value, library.outlast_client_free)
        self._events = events
        _open.add(self)

    def limit_rate(self, bytes_per_second: int | None) -> None:
        """Changes the rate limit over all uploads; None is without limit. Takes effect at once."""
        call(library.outlast_client_limit_rate, self._handle, bytes_per_second or 0)

    def close(self, timeout: float | None = 10) -> None:
        """Puts all uploads to rest (kept for resuming) and ends the threads. May be repeated."""
        if self._finalizer.alive:
            try:
                call(library.outlast_client_close, self._handle, millis(timeout))
            except Forked:
                pass  # it is the parent's to close
            finally:
                self._free()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@atexit.register
def _close_all() -> None:
    """No thread of the library may call into an interpreter that is shutting down."""
    for client in list(_open):
        try:
            client.close(5)
        except Error:
            pass
