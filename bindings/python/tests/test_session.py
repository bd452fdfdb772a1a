"""Sessions alone."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import outlast
from outlast._events import convert
from outlast._handles import Queue


def test_tokens_and_headers(cloud: Any) -> None:
    with outlast.Session(**cloud.login(life=600)) as session:
        token = session.token()
        assert token.value.count(".") == 2 and token.value not in repr(token)
        assert token.expires_at and abs(token.expires_at - time.time() - 600) < 5
        headers = session.sign("GET", f"{cloud.endpoint}/n/")
        assert headers.generation == token.generation and "Signature" not in repr(headers)
        request = urllib.request.Request(f"{cloud.endpoint}/n/", headers=dict(headers))
        assert urllib.request.urlopen(request).read().decode().strip('"') == cloud.namespace
        assert session.namespace() == cloud.namespace
        assert session.status.state == "fresh"
        assert asyncio.run(session.atoken()).value == token.value
        assert asyncio.run(session.asign("GET", f"{cloud.endpoint}/n/"))["authorization"]


def test_defaults_come_from_the_file_that_is_named(cloud: Any, tmp_path: Path) -> None:
    arguments = cloud.login()
    with pytest.raises(outlast.ConfigError, match="the file of defaults /no/such/rc does not exist"):
        outlast.Session(**arguments, cli_rc_file="/no/such/rc")
    defaults = tmp_path / "rc"
    defaults.write_text(f"[OCI_CLI_SETTINGS]\ndefault_profile={arguments.pop('profile')}\n")
    with outlast.Session(**arguments, cli_rc_file=defaults) as session:
        assert session.namespace() == cloud.namespace


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "objectstorage.us-phoenix-1.oraclecloud.com"),
        ({"namespace": "told"}, "objectstorage.us-phoenix-1.oraclecloud.com"),
        ({"enable_dual_stack": True}, "objectstorage.us-phoenix-1.ds.oci.oraclecloud.com"),
        ({"realm_specific_endpoint": True}, "objectstorage.us-phoenix-1.oci.customer-oci.com"),
        (
            {"realm_specific_endpoint": True, "namespace": "told"},
            "told.objectstorage.us-phoenix-1.oci.customer-oci.com",
        ),
    ],
)
def test_where_object_storage_is(cloud: Any, options: dict[str, Any], host: str) -> None:
    arguments = {**cloud.login(), "endpoint": None, "auth_endpoint": None, "region": "us-phoenix-1"}
    # A proxy is asked for the host by its name, and refuses.
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        with outlast.Client(proxy=f"http://127.0.0.1:{port}") as client:
            session = outlast.Session(client=client, **arguments, **options)
            if "namespace" in options:
                assert session.namespace() == "told"
            upload = outlast.Uploader(session).start(
                b"x", bucket_name=cloud.bucket, name="x", namespace="told", no_retry=True
            )
            proxy.settimeout(60)
            connection, _ = proxy.accept()
            with connection:
                connection.settimeout(60)
                asked = connection.makefile("rb").readline()
                # Whatever follows is refused at once.
                proxy.close()
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            with pytest.raises(outlast.Error):
                upload.wait(60)
    assert asked == f"CONNECT {host}:443 HTTP/1.1\r\n".encode()


def test_a_refused_generation_is_replaced_once(cloud: Any) -> None:
    with outlast.Session(**cloud.login()) as session:
        first = session.token()
        session.accept(first.generation)
        # Tokens have whole seconds: within one the next would look like the same.
        time.sleep(1.1)
        for _ in range(5):
            session.reject(first.generation)
        second = session.token(timeout=10)
        assert second.generation == first.generation + 1 and second.value != first.value
        session.reject(first.generation)
        assert session.token().generation == second.generation


def test_an_ended_session_asks_for_a_person(cloud: Any) -> None:
    arguments = cloud.login(life=1)
    time.sleep(1.2)
    with outlast.Session(**arguments) as session:
        with pytest.raises(outlast.SignInNeeded) as caught:
            session.token(timeout=10)
        assert caught.value.retry == "after-sign-in"


def test_credentials_from_the_host(cloud: Any) -> None:
    asked = []

    def supply() -> outlast.Credential:
        asked.append(1)
        arguments_token = Path(cloud.token_file).read_text()
        return outlast.Credential(token=arguments_token, private_key=Path(cloud.key_file).read_bytes())

    cloud.login()
    with outlast.Session(supply=supply, endpoint=cloud.endpoint, title="the test's session") as session:
        uploader = outlast.Uploader(session)
        assert uploader.upload(b"supplied", bucket_name=cloud.bucket, name="supplied").size == 8
    assert asked == [1] and cloud.stored("supplied") == b"supplied"

    def refuse() -> outlast.Credential:
        raise outlast.SignInNeeded("nobody is at home")

    with outlast.Session(supply=refuse, endpoint=cloud.endpoint) as session:
        with pytest.raises(outlast.SignInNeeded, match="nobody is at home"):
            session.token(timeout=10)


def test_a_bearer_token_from_the_host(cloud: Any) -> None:
    def supply() -> outlast.Credential:
        return outlast.Credential(token="abc.def", token_type="bearer", expires_at=time.time() + 600)

    with outlast.Session(supply=supply, endpoint=cloud.endpoint) as session:
        assert session.token(timeout=10).value == "abc.def"
        assert session.sign("PATCH", f"{cloud.endpoint}/any", timeout=10) == {"authorization": "Bearer abc.def"}


def test_a_session_of_the_sessions_file(cloud: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file")
    file = tmp_path / "sessions.conf"
    file.write_text("[pod]\nfile = token\n")
    with outlast.Client() as client, outlast.Session(client=client, name="pod", sessions_file=file) as session:
        assert session.token(timeout=10).value == "from-a-file"
        assert session.sign("GET", "https://api.example.com/jobs", timeout=10)["authorization"] == "Bearer from-a-file"
    with pytest.raises(outlast.ConfigError, match="the file has pod"):
        outlast.Session(name="none", sessions_file=file)
    with pytest.raises(ValueError, match="either"):
        outlast.Session("LAB", name="pod")


def test_a_service_takes_over_on_record(cloud: Any, tmp_path: Path) -> None:
    arguments = cloud.login(life=1)
    service = cloud.control("api_key", {"profile": "SERVICE", "dir": str(cloud.dir)})
    time.sleep(1.2)
    audit = tmp_path / "audit.ndjson"
    queue = Queue()
    with outlast.Client(events=queue) as client, outlast.Session(client=client, **arguments) as session:
        session.service(profile="SERVICE", config_file=service["config_file"], principal="ann", audit_file=audit)
        assert session.token(timeout=20).value == service["key_id"]
        with pytest.raises(outlast.InvalidInput):
            session.service(profile="SERVICE", config_file=service["config_file"], principal="ann", audit_file=audit)
    told = list(iter(lambda: queue.take(convert), None))
    (over,) = [event for event in told if event.kind == "handed-over"]
    assert (over.text, over.principal) == ("SERVICE", "ann")
    assert '"ann"' in audit.read_text() and audit.stat().st_mode & 0o777 == 0o600


def _child(session: outlast.Session, arguments: dict[str, Any], answers: Any) -> None:
    try:
        session.token(timeout=5)
        answers.put("worked")
    except outlast.Forked as error:
        answers.put(error.code)
    session.close()
    with outlast.Session(**arguments) as own:
        answers.put(own.token(timeout=10).value.count("."))


def test_a_forked_child_is_told_and_can_begin_anew(cloud: Any) -> None:
    arguments = cloud.login()
    context = multiprocessing.get_context("fork")
    with outlast.Session(**arguments) as session:
        session.token()
        answers = context.Queue()
        child = context.Process(target=_child, args=(session, arguments, answers))
        child.start()
        assert answers.get(timeout=20) == "forked"
        assert answers.get(timeout=20) == 2
        child.join(20)
        assert child.exitcode == 0
        # The parent goes on.
        assert session.token().value


def test_closing_twice_and_using_what_is_closed(cloud: Any) -> None:
    session = outlast.Session(**cloud.login())
    session.close()
    session.close()
    with pytest.raises(outlast.Error):
        session.token()


def test_the_price_of_a_fresh_token(cloud: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with outlast.Session(**cloud.login()) as session:
        session.token()
        rounds = 5000
        begin = time.perf_counter()
        for _ in range(rounds):
            session.token()
        price = (time.perf_counter() - begin) / rounds
    with capsys.disabled():
        print(f"\na fresh token through ctypes: {price * 1e6:.1f} µs")
    assert os.environ.get("OUTLAST_LIBRARY") or price < 1e-3
