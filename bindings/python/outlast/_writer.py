"""Pushed bytes: what is written becomes the object."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterable
from ctypes import addressof, byref, c_char, c_char_p, c_size_t, c_void_p, cast
from types import TracebackType
from typing import Any

from . import _abi
from ._client import Client
from ._errors import Cancelled, Error, Timeout, check
from ._handles import Owned, call
from ._library import library
from ._session import Session
from ._upload import Result, Upload

#: A write that waits for the network returns to the interpreter this often, so that Ctrl-C works, milliseconds.
_SLICE_MS = 200


class Writer(Owned):
    """The pushing end of a stream, as the library has it."""

    def __init__(self) -> None:
        out = c_void_p()
        call(library.outlast_writer_new, byref(out))
        self._own(out.value, library.outlast_writer_free)

    def write(self, data: Any) -> int:
        """Writes all of a bytes-like object at the pace of the network; the only copy is into the buffers sent from."""
        view = memoryview(data).cast("B")
        # Keeps the bytes where they are until the call is over.
        kept: Any
        if view.readonly:
            kept = data if isinstance(data, bytes) else bytes(view)
            start = cast(c_char_p(kept), c_void_p).value or 0
        else:
            kept = (c_char * len(view)).from_buffer(view)
            start = addressof(kept)
        done = 0
        while done < len(view):
            written, error = c_size_t(), c_void_p()
            status = library.outlast_writer_write(
                self._handle, start + done, len(view) - done, _SLICE_MS, byref(written), byref(error)
            )
            done += written.value
            try:
                check(status, error)
            except Timeout:
                continue
        return done

    def finish(self) -> None:
        """All has been written."""
        call(library.outlast_writer_finish, self._handle)

    def abandon(self) -> None:
        """The rest will not come: no object is made."""
        call(library.outlast_writer_abandon, self._handle)


class Written(Upload):
    """An upload whose bytes are pushed."""

    def __init__(self, client: Client, session: Session, source: Any, options: dict[str, Any]) -> None:
        self.writer = Writer()
        super().__init__(client, session, source, {**options, "_writer": self.writer._handle})

    async def feed(self, source: AsyncIterable[bytes]) -> None:
        """Writes until the iterable ends."""
        try:
            async for piece in source:
                await asyncio.to_thread(self.writer.write, piece)
            self.writer.finish()
        except BaseException:
            with contextlib.suppress(Error):
                self.writer.abandon()
            raise


class ObjectWriter(io.RawIOBase):
    """A file to write to whose bytes become an object: for tarfile, zipfile, csv, shutil.copyfileobj.

    Leaving the ``with`` block, or :meth:`close`, waits until the object is there and raises what went wrong; an exception
    in the block abandons it: no object is made.
    """

    def __init__(self, upload: Written) -> None:
        super().__init__()
        self._upload = upload

    @property
    def upload(self) -> Upload:
        """The upload: its progress, its events, its result after the end."""
        return self._upload

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """Writes all of it, at the pace of the network; raises what the upload has failed with."""
        if self.closed:
            raise ValueError("write to closed object")
        try:
            return self._upload.writer.write(data)
        except Cancelled as error:
            self._upload.wait()  # it has ended, and this raises why
            raise error

    def close(self) -> None:
        """All has been written: waits until it is an object."""
        if self.closed:
            return
        super().close()
        self._upload.writer.finish()
        self._upload.wait()

    def abandon(self) -> None:
        """The rest will not come: no object is made."""
        if not self.closed:
            super().close()
            with contextlib.suppress(Error):
                self._upload.writer.abandon()

    @property
    def result(self) -> Result:
        """The object that was made, once closed."""
        return self._upload.result

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is None:
            self.close()
            return
        self.abandon()
        with contextlib.suppress(Error):
            self._upload.wait()

    def __del__(self) -> None:
        # Forgotten is not finished: an object must not be made of half the bytes.
        self.abandon()
