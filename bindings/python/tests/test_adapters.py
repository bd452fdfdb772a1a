"""Where users already are: the official SDK, requests, httpx."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

import outlast

MIB = 1 << 20


def throttled(cloud: Any) -> None:
    # About 20 s for the file below: five lifetimes of a token of four seconds.
    cloud.control("settings", {"bandwidth_bytes_per_s": MIB // 4})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(5 * MIB))
    return path


def sdk_client(cloud: Any, arguments: dict[str, Any], signer: Any) -> Any:
    oci = pytest.importorskip("oci")
    config = oci.config.from_file(arguments["config_file"], arguments["profile"])
    return oci.object_storage.ObjectStorageClient(
        config, signer=signer, service_endpoint=cloud.endpoint, retry_strategy=oci.retry.NoneRetryStrategy()
    )


def send(cloud: Any, client: Any, file: Path, name: str) -> Any:
    oci = pytest.importorskip("oci")
    manager = oci.object_storage.UploadManager(client, allow_parallel_uploads=True, parallel_process_count=2)
    return manager.upload_file(cloud.namespace, cloud.bucket, name, str(file), part_size=MIB // 2)


def test_the_sdks_upload_manager_outlives_tokens_with_our_signer(cloud: Any, file: Path) -> None:
    # Importing the SDK takes seconds: before the sign-in, not after it.
    pytest.importorskip("oci.object_storage")
    from outlast.oci_signer import SessionSigner

    arguments = cloud.login(life=4)
    throttled(cloud)
    try:
        with outlast.Session(**arguments) as session:
            client = sdk_client(cloud, arguments, SessionSigner(session))
            assert send(cloud, client, file, "by-sdk").status == 200
            assert session.status.refreshes >= 3
    finally:
        cloud.control("settings", {"bandwidth_bytes_per_s": None})
    assert cloud.stored("by-sdk") == file.read_bytes()


def test_the_sdks_upload_manager_dies_without_it(cloud: Any, file: Path) -> None:
    oci = pytest.importorskip("oci")
    pytest.importorskip("oci.object_storage")
    arguments = cloud.login(life=4)
    token = Path(cloud.token_file).read_text()
    key = oci.signer.load_private_key_from_file(cloud.key_file)
    client = sdk_client(cloud, arguments, oci.auth.signers.SecurityTokenSigner(token, key))
    throttled(cloud)
    try:
        with pytest.raises(Exception) as caught:
            send(cloud, client, file, "never")
    finally:
        cloud.control("settings", {"bandwidth_bytes_per_s": None})
    assert "never" not in [found["name"] for found in cloud.control("objects")]
    assert caught.value is not None


def test_requests(cloud: Any) -> None:
    requests = pytest.importorskip("requests")
    from outlast.requests_auth import SessionAuth

    base = f"{cloud.endpoint}/n/{cloud.namespace}/b/{cloud.bucket}"
    with outlast.Session(**cloud.login()) as session:
        auth = SessionAuth(session)
        assert requests.get(f"{cloud.endpoint}/n/", auth=auth).json() == cloud.namespace
        assert requests.put(f"{base}/o/by%20requests", data=b"bytes", auth=auth).status_code == 200
        made = requests.post(f"{base}/u", json={"object": "o"}, auth=auth)
        assert made.status_code == 200 and made.json()["uploadId"]
        missing = requests.get(f"{base}/o/none", auth=auth)
        assert missing.status_code == 404


def test_httpx(cloud: Any) -> None:
    httpx = pytest.importorskip("httpx")
    from outlast.httpx_auth import SessionAuth

    base = f"{cloud.endpoint}/n/{cloud.namespace}/b/{cloud.bucket}"
    with outlast.Session(**cloud.login()) as session:
        auth = SessionAuth(session)
        assert httpx.get(f"{cloud.endpoint}/n/", auth=auth).json() == cloud.namespace
        assert httpx.put(f"{base}/o/by-httpx", content=b"bytes", auth=auth).status_code == 200
        assert httpx.post(f"{base}/u", json={"object": "o"}, auth=auth).status_code == 200

        async def main() -> Any:
            async with httpx.AsyncClient() as client:
                return await client.get(f"{cloud.endpoint}/n/", auth=auth)

        assert asyncio.run(main()).json() == cloud.namespace


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_a_refused_request_is_sent_again(cloud: Any, library: str) -> None:
    module = pytest.importorskip(library)
    auth_module = pytest.importorskip(f"outlast.{library}_auth")
    with outlast.Session(**cloud.login()) as session:
        session.accept(session.token().generation)
        time.sleep(1.1)
        cloud.control(
            "fault",
            {"on": {"ops": ["get_namespace"]}, "when": {"count": 1},
             "do": {"kind": "answer", "status": 401, "code": "NotAuthenticated"}},
        )
        answer = module.get(f"{cloud.endpoint}/n/", auth=auth_module.SessionAuth(session))
        assert answer.status_code == 200
        assert session.status.generation >= 2
