"""Whole uploads."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import outlast

MIB = 1 << 20


def test_every_source_becomes_its_object(cloud: Any, uploader: outlast.Uploader, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB + 7)
    file = tmp_path / "blob"
    file.write_bytes(data)
    opened = file.open("rb")
    sources: dict[str, Any] = {
        "path": file,
        "text-path": str(file),
        "bytes": data,
        "bytearray": bytearray(data),
        "view": memoryview(data),
        "file": opened,
        "stream": io.BytesIO(data),
        "pieces": (data[at : at + 100_003] for at in range(0, len(data), 100_003)),
        "empty": b"",
    }
    options: dict[str, Any] = {"parallel_upload_count": "auto", "verify_checksum": True, "max_retries": 9}
    for name, source in sources.items():
        result = uploader.upload(source, bucket_name=cloud.bucket, name=name, part_size=MIB, **options)
        wanted = b"" if name == "empty" else data
        assert cloud.stored(name) == wanted, name
        assert result.verified and result.size == len(wanted) and result.etag
    opened.close()


def test_five_token_lifetimes_with_progress(cloud: Any, tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(os.urandom(5 * MIB))
    seen: list[outlast.Progress] = []
    threads = set()

    def progress(now: outlast.Progress) -> None:
        seen.append(now)
        threads.add(threading.current_thread())

    # 5 MiB at 256 KiB a second under tokens of four seconds.
    with outlast.Client(limit_rate=MIB // 4) as client:
        session = outlast.Session(client=client, **cloud.login(life=4))
        uploader = outlast.Uploader(session)
        result = uploader.upload(file, bucket_name=cloud.bucket, part_size=MIB // 2, parallel_upload_count=2, progress=progress)
        assert result.parts == 10 and result.verified
        assert session.status.refreshes >= 4
        session.close()
    assert cloud.stored("blob") == file.read_bytes()
    assert threads == {threading.current_thread()}
    assert [now.sent for now in seen] == sorted(now.sent for now in seen)
    assert seen[-1].stored == 5 * MIB and len(seen) > 10


def slow(cloud: Any, **options: Any) -> tuple[outlast.Client, outlast.Uploader]:
    client = outlast.Client(limit_rate=MIB // 2)
    return client, outlast.Uploader(outlast.Session(client=client, **cloud.login(**options)))


def test_a_cancelled_upload_goes_on_later(cloud: Any, tmp_path: Path) -> None:
    file = tmp_path / "again"
    file.write_bytes(os.urandom(4 * MIB))
    client, uploader = slow(cloud)
    with client:
        with uploader.start(file, bucket_name=cloud.bucket, part_size=MIB, parallel_upload_count=1) as upload:
            for event in upload.events():
                if event.kind == "part-stored":
                    upload.cancel()
            with pytest.raises(outlast.Cancelled) as caught:
                upload.wait()
        assert caught.value.resumable and caught.value.code == "cancelled"
        client.limit_rate(None)
        result = uploader.upload(file, bucket_name=cloud.bucket, part_size=MIB)
    assert result.parts_reused >= 1 and cloud.stored("again") == file.read_bytes()


def test_an_exception_in_progress_cancels_and_is_raised(cloud: Any) -> None:
    class Enough(Exception):
        pass

    def progress(now: outlast.Progress) -> None:
        if now.sent:
            raise Enough

    client, uploader = slow(cloud)
    with client, pytest.raises(Enough):
        uploader.upload(
            os.urandom(3 * MIB), bucket_name=cloud.bucket, name="enough", part_size=MIB, on_failure="abort", progress=progress
        )
    assert "enough" not in [found["name"] for found in cloud.control("objects")]


def test_ctrl_c_cancels_and_is_raised(cloud: Any) -> None:
    client, uploader = slow(cloud)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    with client:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            uploader.upload(os.urandom(3 * MIB), bucket_name=cloud.bucket, name="interrupted", part_size=MIB)
    timer.join()


def test_what_a_reader_raises_is_the_cause(cloud: Any, uploader: outlast.Uploader) -> None:
    def pieces() -> Any:
        yield b"x" * MIB
        raise RuntimeError("the tape is torn")

    with pytest.raises(outlast.SourceError) as caught:
        uploader.upload(pieces(), bucket_name=cloud.bucket, name="torn", part_size=MIB)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_errors_say_what_the_service_said(cloud: Any, uploader: outlast.Uploader) -> None:
    with pytest.raises(outlast.NotFound) as caught:
        uploader.upload(b"x", bucket_name="no-such-bucket", name="x")
    error = caught.value
    assert (error.code, error.retry, error.http_status) == ("not-found", "never", 404)
    assert error.request_id and error.service_code == "BucketNotFound"
    uploader.upload(b"x", bucket_name=cloud.bucket, name="once")
    with pytest.raises(outlast.PreconditionFailed):
        uploader.upload(b"y", bucket_name=cloud.bucket, name="once", no_overwrite=True)
    with pytest.raises(outlast.InvalidInput):
        uploader.upload(b"x", bucket_name=cloud.bucket, name="x", storage_tier="Attic")
    with pytest.raises(ValueError):
        uploader.upload(b"x", bucket_name=cloud.bucket, name="x", opc_checksum_algorithm="MD4")
    with pytest.raises(TypeError):
        uploader.upload(7, bucket_name=cloud.bucket, name="x")  # type: ignore[arg-type]


def test_bytes_without_the_checksum_that_was_vouched_for_are_not_stored(cloud: Any, uploader: outlast.Uploader) -> None:
    def base64_of(algorithm: str, data: bytes) -> str:
        return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()

    crc32c = {"yes": "yZRlqg==", "no": "AAAAAA=="}
    for option, right, wrong in [
        ("content_md5", base64_of("md5", b"hello world"), base64_of("md5", b"")),
        ("opc_content_crc32c", crc32c["yes"], crc32c["no"]),
        ("opc_content_sha256", base64_of("sha256", b"hello world"), base64_of("sha256", b"")),
        ("opc_content_sha384", base64_of("sha384", b"hello world"), base64_of("sha384", b"")),
    ]:
        options: dict[str, Any] = {"bucket_name": cloud.bucket, "name": option}
        with pytest.raises(outlast.IntegrityError, match="the bytes do not have the"):
            uploader.upload(b"hello world", **options, **{option: wrong})
        assert option not in [found["name"] for found in cloud.control("objects")]
        uploader.upload(b"hello world", **options, **{option: right})
        assert cloud.stored(option) == b"hello world"
        with pytest.raises(outlast.InvalidInput, match="is sent in parts"):
            uploader.upload(b"hello world", part_size=4, **options, **{option: right})


def test_a_wait_ends_in_time_and_leaves_the_upload_alone(cloud: Any) -> None:
    client, uploader = slow(cloud)
    with client:
        with uploader.start(os.urandom(2 * MIB), bucket_name=cloud.bucket, name="patience", part_size=MIB) as upload:
            with pytest.raises(outlast.Timeout):
                upload.wait(timeout=0.1)
            upload.pause()
            upload.resume()
            client.limit_rate(None)
            assert upload.wait(timeout=30).size == 2 * MIB
