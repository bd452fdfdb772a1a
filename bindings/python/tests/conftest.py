"""A loopback cloud per module. OUTLAST_CLOUD names the outlast-cloud binary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import outlast

# Whoever starts tests in the background of a script hands them an ignored SIGINT, and Python then installs no handler.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Cloud:
    """A loopback cloud and a directory of profiles."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        binary = os.environ.get("OUTLAST_CLOUD", "outlast-cloud")
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())
        self.endpoint: str = self.facts["endpoint"]
        self.namespace: str = self.facts["namespace"]
        self.bucket: str = self.facts["buckets"][0]
        self.count = 0

    def control(self, path: str, value: Any = None) -> Any:
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/_control/{path}", data=data, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers.get("content-type") == "application/json" else content

    def login(self, life: float = 3600) -> dict[str, Any]:
        """Signs somebody in; the arguments of a Session."""
        self.count += 1
        profile = f"P{self.count}"
        found = self.control("login", {"profile": profile, "dir": str(self.dir), "token_life_s": life})
        self.token_file, self.key_file = found["token_file"], found["key_file"]
        return {
            "profile": profile,
            "config_file": found["config_file"],
            "endpoint": self.endpoint,
            "auth_endpoint": self.endpoint,
        }

    def stored(self, name: str) -> bytes:
        content: bytes = self.control(f"bytes?bucket={self.bucket}&name={name}")
        return content

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Cloud(tmp_path_factory.mktemp("oci"))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of a test are its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def uploader(cloud: Cloud) -> Any:
    with outlast.Uploader(**cloud.login()) as made:
        yield made
