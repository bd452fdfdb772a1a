"""The same under asyncio."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import outlast

MIB = 1 << 20


def test_an_upload_leaves_the_loop_free(cloud: Any) -> None:
    async def main() -> None:
        data = os.urandom(2 * MIB)
        ticks = 0
        threads = set()

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        with outlast.Client(limit_rate=2 * MIB) as client:
            uploader = outlast.Uploader(outlast.Session(client=client, **cloud.login()))
            ticking = asyncio.ensure_future(tick())
            result = await uploader.aupload(
                data,
                bucket_name=cloud.bucket,
                name="async",
                part_size=MIB // 2,
                progress=lambda _: threads.add(threading.current_thread()),
            )
            ticking.cancel()
        assert result.size == len(data) and cloud.stored("async") == data
        assert ticks > 20
        assert threads == {threading.current_thread()}

    asyncio.run(main())


def test_two_at_once_and_events(cloud: Any, uploader: outlast.Uploader) -> None:
    async def main() -> None:
        async def one(name: str) -> list[str]:
            with uploader.start(os.urandom(MIB), bucket_name=cloud.bucket, name=name, part_size=MIB // 4) as upload:
                return [event.kind async for event in upload.aevents()]

        for kinds in await asyncio.gather(one("left"), one("right")):
            assert kinds.count("part-stored") == 4 and kinds[-1] == "finished"
        upload = uploader.start(b"x", bucket_name=cloud.bucket, name="awaited")
        assert (await upload).size == 1

    asyncio.run(main())


def test_cancelling_the_task_cancels_the_upload(cloud: Any) -> None:
    async def main() -> None:
        with outlast.Client(limit_rate=MIB // 2) as client:
            uploader = outlast.Uploader(outlast.Session(client=client, **cloud.login()))
            task = asyncio.ensure_future(
                uploader.aupload(os.urandom(3 * MIB), bucket_name=cloud.bucket, name="task", part_size=MIB)
            )
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_an_asynchronous_iterable_is_a_source(cloud: Any, uploader: outlast.Uploader) -> None:
    data = os.urandom(2 * MIB + 5)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 70_001):
            await asyncio.sleep(0)
            yield data[at : at + 70_001]

    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        raise RuntimeError("torn")

    async def main() -> None:
        await uploader.aupload(pieces(), bucket_name=cloud.bucket, name="apieces", part_size=MIB)
        with pytest.raises(outlast.SourceError) as caught:
            await uploader.aupload(torn(), bucket_name=cloud.bucket, name="torn", part_size=MIB)
        assert isinstance(caught.value.__cause__, RuntimeError)

    asyncio.run(main())
    assert cloud.stored("apieces") == data
