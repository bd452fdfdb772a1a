"""What owns a handle of the library: closed once, by hand, by a with statement or by the garbage collector."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from ctypes import byref, c_void_p
from typing import Any

from . import _abi
from ._errors import check
from ._library import library


class Owned:
    """A handle and its finalizer."""

    def _own(self, handle: int | None, free: Callable[[int], object]) -> None:
        assert handle is not None
        self._handle: int = handle
        self._finalizer = weakref.finalize(self, free, handle)

    def _free(self) -> None:
        self._finalizer()


class Queue(Owned):
    """A completion queue."""

    def __init__(self) -> None:
        out, error = c_void_p(), c_void_p()
        check(library.outlast_queue_new(byref(out), byref(error)), error)
        self._own(out.value, library.outlast_queue_free)
        self.fd: int = library.outlast_queue_fd(self._handle)

    def take(self, convert: Callable[[_abi.outlast_event], Any]) -> Any | None:
        """The next event if one waits, converted while it is alive."""
        from ._values import filled

        event = filled(_abi.outlast_event)
        status = library.outlast_queue_next(self._handle, 0, byref(event), None)
        if status == _abi.E_TIMEOUT:
            return None
        check(status, c_void_p())
        try:
            return convert(event)
        finally:
            library.outlast_event_clear(byref(event))


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function whose last parameter is the error slot."""
    error = c_void_p()
    check(function(*arguments, byref(error)), error)
