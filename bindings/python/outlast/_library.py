"""Finding and loading the shared library."""

from __future__ import annotations

import os
import sys
from ctypes import CDLL, c_char_p, c_void_p, cast
from pathlib import Path

from . import _abi

_NAME = "liboutlast.dylib" if sys.platform == "darwin" else "liboutlast.so"


def _load() -> CDLL:
    given = os.environ.get("OUTLAST_LIBRARY")
    path = given or str(Path(__file__).parent / "_native" / _NAME)
    loaded: CDLL = _abi.bind(path)
    found = loaded.outlast_abi_version()
    if found != _abi.ABI_VERSION:
        raise ImportError(f"{path} has ABI {found}, this package needs {_abi.ABI_VERSION}")
    return loaded


#: The library, its functions typed. ``OUTLAST_LIBRARY`` names another file than the package's own.
library = _load()


def has_feature(name: str) -> bool:
    """Whether the library can do something; see ``outlast_has_feature`` in outlast.h for the names."""
    text = name.encode()
    held = c_char_p(text)
    return bool(library.outlast_has_feature(_abi.outlast_str(cast(held, c_void_p), len(text))))
