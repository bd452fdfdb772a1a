"""Uploads: started, watched, waited for, cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import AsyncIterator, Callable, Iterator
from ctypes import byref, c_void_p
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import _abi
from ._client import Client
from ._errors import Error, Timeout, check, text
from ._events import Event, convert
from ._handles import Owned, Queue, call
from ._library import library
from ._session import Session
from ._source import Reader, Source, describe, raise_for
from ._values import Options, filled, millis

_CHECKSUMS = {"CRC32C": _abi.CHECKSUM_CRC32C, "SHA256": _abi.CHECKSUM_SHA256, "SHA384": _abi.CHECKSUM_SHA384}
_FAILURE = {"retain": _abi.ON_FAILURE_RETAIN, "abort": _abi.ON_FAILURE_ABORT}
_INTEGRITY = {"verify": _abi.INTEGRITY_VERIFY, "off": _abi.INTEGRITY_OFF}
#: How long an interrupted wait gives the upload to write down what is stored, seconds.
_PARTING = 10.0


@dataclass(frozen=True)
class Progress:
    """How far an upload is. Sizes are bytes, times seconds."""

    #: None while a stream goes on.
    total: int | None
    #: Bytes of stored parts.
    stored: int
    #: Bytes sent but not acknowledged.
    in_flight: int
    parts_total: int
    parts_stored: int
    parts_reused: int
    retries: int
    #: Parts sent again because their credential was refused.
    refusals: int
    #: The session waits for somebody to sign in.
    parked: bool
    paused: bool
    bytes_per_second: float
    eta: float | None

    @property
    def sent(self) -> int:
        """Bytes stored or sent: what a progress bar shows."""
        return self.stored + self.in_flight


@dataclass(frozen=True)
class Result:
    """An object that was made. Texts are as the service sent them, None where it sent none."""

    size: int
    parts: int
    parts_reused: int
    retries: int
    refusals: int
    #: Our checksums were compared with the object's.
    verified: bool
    etag: str | None
    upload_id: str | None
    version_id: str | None
    last_modified: str | None
    content_md5: str | None
    multipart_md5: str | None
    crc32c: str | None
    sha256: str | None
    sha384: str | None
    multipart_sha256: str | None
    multipart_sha384: str | None


OnProgress = Callable[[Progress], object]


class Upload(Owned):
    """A running or ended upload: wait for it, ``await`` it, or iterate over its events (one of these at a time)."""

    def __init__(self, client: Client, session: Session, source: Source, options: dict[str, Any]) -> None:
        self._session = session
        self._queue = Queue()
        built = _options(options)
        built.struct.events = self._queue._handle
        self._reader: Reader | None = None if built.struct.writer else describe(source, built)
        out, error = c_void_p(), c_void_p()
        status = library.outlast_upload_start(
            client._handle, session._handle, byref(built.struct), byref(out), byref(error)
        )
        check(status, error)
        self._own(out.value, library.outlast_upload_free)

    @property
    def progress(self) -> Progress:
        """How far it is; at most a quarter of a second old. Never blocks."""
        raw = filled(_abi.outlast_progress)
        call(library.outlast_upload_progress, self._handle, byref(raw))
        return Progress(
            total=raw.total_bytes if raw.total_bytes >= 0 else None,
            stored=raw.stored_bytes,
            in_flight=raw.in_flight_bytes,
            parts_total=raw.parts_total,
            parts_stored=raw.parts_stored,
            parts_reused=raw.parts_reused,
            retries=raw.retries,
            refusals=raw.refusals,
            parked=bool(raw.parked),
            paused=bool(raw.paused),
            bytes_per_second=raw.bytes_per_second,
            eta=raw.eta_ms / 1000 if raw.eta_ms >= 0 else None,
        )

    def pause(self) -> None:
        """Begins no further parts; those in flight are finished."""
        call(library.outlast_upload_pause, self._handle)

    def resume(self) -> None:
        """Goes on after a pause."""
        call(library.outlast_upload_resume, self._handle)

    def cancel(self, on_failure: str | None = None) -> None:
        """Stops it; its end still follows. What is stored is kept for resuming (``"retain"``) or aborted (``"abort"``); not
        given: as the upload's own ``on_failure`` says."""
        call(library.outlast_upload_cancel, self._handle, _choice(_FAILURE, on_failure, "on_failure"))

    def wait(self, timeout: float | None = None, progress: OnProgress | None = None) -> Result:
        """Waits for the end, without holding the GIL. ``progress`` is called on this thread.

        An exception in ``progress``, and Ctrl-C, cancel the upload (kept for resuming, unless ``on_failure`` is ``"abort"``)
        and are raised here.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._ended():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not select.select([self._queue.fd], [], [], left)[0]:
                    error = Timeout(f"the upload did not end within {timeout} s")
                    error.code = "timeout"
                    raise error
                self._drain(progress)
        except Timeout:
            raise
        except BaseException:
            self.cancel()
            library.outlast_upload_wait(self._handle, millis(_PARTING), None, None)
            raise
        if progress is not None:
            progress(self.progress)
        return self._result()

    async def await_result(self, progress: OnProgress | None = None) -> Result:
        """Waits for the end without blocking the loop. ``progress`` is called on the loop's thread.

        Cancelling the task, and an exception in ``progress``, cancel the upload (kept for resuming).
        """
        try:
            while not self._ended():
                await self._readable()
                self._drain(progress)
        except BaseException:
            self.cancel()
            ending = asyncio.ensure_future(
                asyncio.to_thread(library.outlast_upload_wait, self._handle, millis(_PARTING), None, None)
            )
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ending)
            raise
        if progress is not None:
            progress(self.progress)
        return self._result()

    def __await__(self) -> Any:
        return self.await_result().__await__()

    def events(self) -> Iterator[Event]:
        """All events to the last, blocking in between."""
        while True:
            event: Event | None = self._queue.take(convert)
            if event is None:
                select.select([self._queue.fd], [], [])
                continue
            yield event
            if event.kind == "finished" and event.upload == self.number:
                return

    async def aevents(self) -> AsyncIterator[Event]:
        """All events to the last, without blocking the loop."""
        while True:
            event: Event | None = self._queue.take(convert)
            if event is None:
                await self._readable()
                continue
            yield event
            if event.kind == "finished" and event.upload == self.number:
                return

    @property
    def number(self) -> int:
        """Its number in events."""
        return int(library.outlast_upload_number(self._handle))

    @property
    def result(self) -> Result:
        """The result of an upload that has ended; raises what it failed with, or Timeout while it goes on."""
        return self._result()

    def close(self) -> None:
        """Lets go of it. A running upload goes on until its client is closed."""
        self._free()

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended():
            self.cancel()
        self.close()

    def _ended(self) -> bool:
        # An upload that failed with a timeout has ended as well: only its own error tells the two apart.
        error = c_void_p()
        status = library.outlast_upload_wait(self._handle, 0, None, byref(error))
        retry = library.outlast_error_retry(error)
        library.outlast_error_free(error)
        return not (status == _abi.E_TIMEOUT and retry == _abi.RETRY_LATER)

    def _drain(self, progress: OnProgress | None) -> None:
        told = False
        while (event := self._queue.take(convert)) is not None:
            if event.kind == "finished" and event.upload == self.number:
                # The result is there, or about to be.
                library.outlast_upload_wait(self._handle, millis(_PARTING), None, None)
            told = told or event.kind in ("progress", "parked", "resumed")
        if told and progress is not None:
            progress(self.progress)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def arrived() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(self._queue.fd, arrived)
        try:
            await ready
        finally:
            loop.remove_reader(self._queue.fd)

    def _result(self) -> Result:
        raw, slot = filled(_abi.outlast_upload_result), c_void_p()
        try:
            check(library.outlast_upload_wait(self._handle, 0, byref(raw), byref(slot)), slot)
        except Error as error:
            error.resumable = bool(library.outlast_upload_is_resumable(self._handle))
            raise_for(self._reader, error)
        texts = {
            field[0]: text(getattr(raw, field[0]))
            for field in _abi.outlast_upload_result._fields_
            if field[1] is _abi.outlast_str
        }
        return Result(
            size=raw.object_bytes,
            parts=raw.parts,
            parts_reused=raw.parts_reused,
            retries=raw.retries,
            refusals=raw.refusals,
            verified=bool(raw.verified),
            **texts,
        )


def _choice(choices: dict[str, int], value: str | None, what: str) -> int:
    if value is None:
        return 0
    if value not in choices:
        raise ValueError(f"{what} is none of {', '.join(choices)}")
    return choices[value]


def _options(given: dict[str, Any]) -> Options:
    given = dict(given)
    metadata: dict[str, str] = given.pop("metadata", None) or {}
    writer: int | None = given.pop("_writer", None)
    parallel: int | str = given.pop("parallel_upload_count", 0)
    options = Options(
        _abi.outlast_upload_options,
        namespace_name=given.pop("namespace"),
        bucket_name=given.pop("bucket_name"),
        name=given.pop("name", None),
        part_size_bytes=given.pop("part_size", 0),
        parallel_upload_count=_abi.PARALLEL_AUTO if parallel == "auto" else parallel,
        integrity=_choice(_INTEGRITY, given.pop("integrity", None), "integrity"),
        opc_checksum_algorithm=_choice(_CHECKSUMS, given.pop("opc_checksum_algorithm", None), "opc_checksum_algorithm"),
        on_failure=_choice(_FAILURE, given.pop("on_failure", None), "on_failure"),
        file=given.pop("source_name", None),
        progress_interval_ms=round(given.pop("progress_interval", 0.25) * 1000),
        **given,
    )
    pairs = (_abi.outlast_pair * len(metadata))(
        *(_abi.outlast_pair(options.text(name), options.text(value)) for name, value in metadata.items())
    )
    options.kept.append(pairs)
    options.struct.metadata, options.struct.metadata_count = pairs, len(metadata)
    if writer is not None:
        options.struct.source, options.struct.writer = _abi.SOURCE_WRITER, writer
    return options
