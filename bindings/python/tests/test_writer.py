"""A file to write to whose bytes become an object."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

import outlast

MIB = 1 << 20


def test_what_is_written_becomes_the_object(cloud: Any, uploader: outlast.Uploader) -> None:
    data = os.urandom(2 * MIB + 7)
    with uploader.writer(bucket_name=cloud.bucket, name="written", part_size=MIB) as file:
        assert file.writable() and file.write(data[:5]) == 5
        assert file.write(bytearray(data[5:MIB])) == MIB - 5
        assert file.write(memoryview(data)[MIB:]) == MIB + 7
    assert file.closed and file.result.size == len(data) and file.result.verified
    assert cloud.stored("written") == data
    with pytest.raises(ValueError):
        file.write(b"late")


def test_tarfile_writes_to_it(cloud: Any, uploader: outlast.Uploader, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1" * 100_000)
    with (
        uploader.writer(bucket_name=cloud.bucket, name="home.tar", part_size=MIB) as file,
        tarfile.open(fileobj=file, mode="w|") as tar,
    ):
        tar.add(tmp_path / "one", "one")
    with tarfile.open(fileobj=io.BytesIO(cloud.stored("home.tar"))) as tar:
        member = tar.extractfile("one")
        assert member is not None and member.read() == b"1" * 100_000


def test_half_the_bytes_make_no_object(cloud: Any, uploader: outlast.Uploader) -> None:
    with pytest.raises(RuntimeError, match="torn"):
        with uploader.writer(bucket_name=cloud.bucket, name="half", part_size=MIB, on_failure="abort") as file:
            file.write(b"x" * MIB)
            raise RuntimeError("torn")
    forgotten = uploader.writer(bucket_name=cloud.bucket, name="forgotten", on_failure="abort")
    forgotten.write(b"x")
    upload = forgotten.upload
    del forgotten
    with pytest.raises(outlast.SourceError):
        upload.wait(timeout=30)
    assert not {"half", "forgotten"} & {found["name"] for found in cloud.control("objects")}


def test_a_write_raises_what_the_upload_failed_with(cloud: Any, uploader: outlast.Uploader) -> None:
    with pytest.raises(outlast.NotFound):
        with uploader.writer(bucket_name="no-such-bucket", name="x", part_size=MIB) as file:
            for _ in range(64):
                file.write(b"x" * MIB)


def test_ctrl_c_gets_through_a_write_that_waits(cloud: Any) -> None:
    with outlast.Client(limit_rate=64 << 10) as client, outlast.Session(client=client, **cloud.login()) as session:
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            with outlast.Uploader(session).writer(bucket_name=cloud.bucket, name="slow", part_size=MIB, parallel_upload_count=1) as file:
                for _ in range(64):
                    file.write(b"x" * MIB)
        timer.join()
