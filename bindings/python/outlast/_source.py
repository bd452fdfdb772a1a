"""What can be uploaded, and how its bytes get to the library."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from ctypes import c_char, c_void_p, cast, memmove
from itertools import count
from typing import Any, BinaryIO, Union

from . import _abi
from ._errors import Error
from ._values import Options

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, Iterable[bytes]]

# What the library uses until it says that it is done, by the number that it was given.
_kept: dict[int, Any] = {}
_numbers = count(1)


def _release(number: int | None) -> None:
    _kept.pop(number or 0, None)


def _read(buffer: int, capacity: int, number: int | None) -> int:
    reader = _kept.get(number or 0)
    return reader.into(buffer, capacity) if isinstance(reader, Reader) else -1


# Alive as long as the library may call them: for ever.
RELEASE = _abi.outlast_free_fn(_release)
READ = _abi.outlast_read_fn(_read)


class Reader:
    """A file-like object or an iterable of bytes, read on a thread of the library, which holds the GIL meanwhile."""

    def __init__(self, source: Any) -> None:
        self.failure: BaseException | None = None
        self._read = getattr(source, "read", None)
        self._items: Iterator[bytes] = iter(()) if self._read else iter(source)
        self._rest = memoryview(b"")

    def into(self, buffer: int, capacity: int) -> int:
        """Copies the next bytes; -1 when that raised, 0 at the end."""
        try:
            while not self._rest:
                data = self._read(capacity) if self._read else next(self._items, None)
                if data is None or (self._read and not data):
                    return 0
                self._rest = memoryview(data).cast("B")
            piece = self._rest[:capacity]
            memmove(buffer, bytes(piece), len(piece))
            self._rest = self._rest[len(piece) :]
            return len(piece)
        except BaseException as failure:  # told to whoever waits for the upload
            self.failure = failure
            return -1


def describe(source: Source, options: Options) -> Reader | None:
    """Sets the source's fields. Returns the reader whose failure is to be raised, if there is one."""
    struct = options.struct
    if isinstance(source, (str, os.PathLike)):
        struct.source = _abi.SOURCE_PATH
        struct.file = options.text(source)
        return None
    if isinstance(source, (bytes, bytearray, memoryview)):
        view = memoryview(source).cast("B")
        struct.source = _abi.SOURCE_BYTES
        if view.readonly:
            held: Any = bytes(view) if not isinstance(source, bytes) else source
            struct.bytes = options.text(held)
        else:
            # The export keeps a bytearray from being resized while the library reads it.
            held = (c_char * len(view)).from_buffer(view)
            struct.bytes = _abi.outlast_str(cast(held, c_void_p), len(view))
        _keep((held, options), struct)
        return None
    fd = _regular(source)
    if fd is not None:
        struct.source, struct.fd = _abi.SOURCE_FD, fd
        struct.file = options.text(os.path.abspath(getattr(source, "name", f"fd{fd}")))
        return None
    if not hasattr(source, "read") and not hasattr(source, "__iter__"):
        raise TypeError(f"{type(source).__name__} cannot be uploaded")
    reader = Reader(source)
    struct.source = _abi.SOURCE_READ
    struct.read_fn = cast(READ, c_void_p)
    _keep(reader, struct)
    return reader


def _keep(what: Any, struct: Any) -> None:
    number = next(_numbers)
    _kept[number] = what
    struct.source_data = number
    struct.free_fn = cast(RELEASE, c_void_p)


def _regular(source: Any) -> int | None:
    """The descriptor of an ordinary file that is at its beginning: it can be read by position, and resumed."""
    try:
        fd = source.fileno()
        at_start = source.tell() == 0
        named = isinstance(source.name, str)
    except (AttributeError, OSError, ValueError):
        return None
    plain = isinstance(fd, int) and stat.S_ISREG(os.fstat(fd).st_mode)
    return fd if plain and at_start and named else None


def raise_for(reader: Reader | None, error: Error) -> None:
    """Raises what a reader raised in the first place, else the error."""
    if reader is not None and reader.failure is not None:
        raise error from reader.failure
    raise error
