"""The uploader: a session and where its objects go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Any

from ._session import Session
from ._source import Source
from ._upload import OnProgress, Result, Upload
from ._writer import ObjectWriter, Written


class Uploader:
    """Uploads under one session, which it makes of its arguments unless one is given.

    Options of the methods, named as the command line's flags: ``bucket_name``, ``namespace`` (default: asked of the service,
    once), ``name`` (default: the file's), ``part_size`` (bytes), ``parallel_upload_count`` (or ``"auto"``), ``no_multipart``,
    ``integrity`` (``"verify"``, ``"off"``), ``opc_checksum_algorithm`` (``"CRC32C"``, ``"SHA256"``, ``"SHA384"``),
    ``verify_checksum``, ``no_overwrite``, ``if_match``, ``content_type``, ``content_language``, ``content_encoding``,
    ``content_disposition``, ``cache_control``, ``storage_tier``, ``opc_sse_kms_key_id``, ``metadata`` (dict), ``max_retries``,
    ``no_retry``, ``restart``; base64 of a checksum that the object must have, of a single put only: ``content_md5``, and one of
    ``opc_content_crc32c``, ``opc_content_sha256``, ``opc_content_sha384``; and what no flag says: ``encryption_key`` (what ``--encryption-key-file`` holds),
    ``encryption_key_sha256``, ``on_failure`` (``"retain"``, ``"abort"``), ``source_name``, ``progress_interval`` (seconds).
    """

    def __init__(self, session: Session | None = None, **options: Any) -> None:
        self._own_session = session is None
        self.session = session or Session(**options)
        self._namespace: str | None = None

    def start(self, source: Source, *, bucket_name: str, namespace: str | None = None, **options: Any) -> Upload:
        """Starts an upload and returns at once.

        A path, or an ordinary file opened for reading, can be resumed: the same call goes on where the last one stopped. Bytes
        are not copied; other readable objects and iterables of bytes are read once, on another thread.
        """
        upload: Upload = self._start(Upload, source, {"bucket_name": bucket_name, "namespace": namespace, **options})
        return upload

    def upload(self, source: Source, *, progress: OnProgress | None = None, **options: Any) -> Result:
        """Uploads and waits. Ctrl-C, and an exception in ``progress``, cancel the upload and are raised here."""
        with self.start(source, **options) as upload:
            return upload.wait(progress=progress)

    def writer(self, *, bucket_name: str, name: str, namespace: str | None = None, **options: Any) -> ObjectWriter:
        """A file to write to whose bytes become an object, at the pace of the network and of any length.

        ``with uploader.writer(bucket_name="backups", name="home.tar") as file, tarfile.open(fileobj=file, mode="w|") as tar: …``
        """
        where = {"bucket_name": bucket_name, "name": name, "namespace": namespace}
        return ObjectWriter(self._start(Written, b"", {**where, **options}))

    async def aupload(
        self, source: Source | AsyncIterable[bytes], *, progress: OnProgress | None = None, **options: Any
    ) -> Result:
        """:meth:`upload` without blocking the loop; ``source`` may be an asynchronous iterable of bytes, too."""
        if options.get("namespace") is None and self._namespace is None:
            self._namespace = await asyncio.to_thread(self.session.namespace)
        if not isinstance(source, AsyncIterable):
            with self.start(source, **options) as upload:
                return await upload.await_result(progress)
        with self._start(Written, b"", {"namespace": None, **options}) as upload:
            feeding = asyncio.ensure_future(upload.feed(source))
            try:
                result: Result = await upload.await_result(progress)
                await feeding
                return result
            except Exception as error:
                # What the iterable raised is the cause; the upload only noticed.
                if feeding.done() and not feeding.cancelled() and feeding.exception() is not None:
                    raise error from feeding.exception()
                raise
            finally:
                feeding.cancel()
                with contextlib.suppress(BaseException):
                    await feeding

    def _start(self, kind: Any, source: Any, options: dict[str, Any]) -> Any:
        if options.get("namespace") is None:
            if self._namespace is None:
                self._namespace = self.session.namespace()
            options["namespace"] = self._namespace
        return kind(self.session.client, self.session, source, options)

    def close(self) -> None:
        """Ends the session if it was made here, and with it whatever is running (kept for resuming)."""
        if self._own_session:
            self.session.close()

    def __enter__(self) -> Uploader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
