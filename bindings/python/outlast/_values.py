"""Values on their way into option structs."""

from __future__ import annotations

import os
from ctypes import Structure, c_char_p, c_void_p, cast, sizeof
from typing import Any, TypeVar

from . import _abi

S = TypeVar("S", bound=Structure)


class Options:
    """An option struct and the texts it points to, which live as long as this object."""

    def __init__(self, kind: type[S], **values: Any) -> None:
        self.struct: Any = kind()
        self.struct.size = sizeof(kind)
        self.kept: list[Any] = []
        types = {field[0]: field[1] for field in kind._fields_}
        for name, value in values.items():
            if value is None:
                continue
            if types[name] is _abi.outlast_str:
                setattr(self.struct, name, self.text(value))
            elif isinstance(value, bool):
                setattr(self.struct, name, int(value))
            else:
                setattr(self.struct, name, value)

    def text(self, value: str | bytes | os.PathLike[str]) -> _abi.outlast_str:
        """A view of a text that this object keeps."""
        data = value if isinstance(value, bytes) else os.fsencode(value)
        holder = c_char_p(data)
        self.kept.append((data, holder))
        return _abi.outlast_str(cast(holder, c_void_p), len(data))


def filled(kind: type[S]) -> S:
    """A struct to be filled by the library."""
    struct = kind()
    struct.size = sizeof(kind)
    return struct


def millis(seconds: float | None) -> int:
    """A timeout of the ABI; None is without limit."""
    return -1 if seconds is None else max(0, round(seconds * 1000))
