"""Plays the scenarios of tests/scenarios from Python; what they mean is told there.

python conformance.py [NAME…]       OUTLAST_CLOUD is the cloud's program, OUTLAST_REPORT a file that takes a line per scenario
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import outlast

#: No step waits longer, seconds.
LIMIT = 120
SCENARIOS = Path(os.environ.get("OUTLAST_SCENARIOS", Path(__file__).parents[3] / "tests" / "scenarios"))


class Skipped(Exception):
    """The scenario cannot be played here; says why."""


def content(source: dict[str, Any]) -> bytes:
    # In blocks of 256, each of which counts up from its own beginning.
    count, blocks = bytes(range(256)) * 2, []
    for block in range(-(-source["bytes"] // 256)):
        begin = (source["seed"] + 7 * block + 13 * (block >> 8)) & 255
        blocks.append(count[begin : begin + 256])
    return b"".join(blocks)[: source["bytes"]]


def compare(what: str, found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert set(wanted) <= {"at_least", "at_most"}, f"{what}: unknown keys {sorted(wanted)}"
        good = wanted.get("at_least", found) <= found <= wanted.get("at_most", found)
    else:
        good = found == wanted
    assert good, f"{what} is {found!r}, expected {wanted!r}"


class Stage:
    """One scenario's cloud, directory and client, and what a runner has to remember."""

    def __init__(self, directory: Path, cloud: dict[str, Any]) -> None:
        self.dir = directory
        self.process = subprocess.Popen([os.environ["OUTLAST_CLOUD"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())
        self.client = outlast.Client(state_dir=directory / "state")
        self.session: outlast.Session | None = None
        self.supplied, self.generation = 0, 0
        known = {"settings", "faults", "login", "clock"}
        assert set(cloud) <= known, f"unknown keys in cloud: {set(cloud) - known}"
        self.control("settings", cloud.get("settings", {}))
        for fault in cloud.get("faults", []):
            self.control("fault", fault)
        self.login(**cloud.get("login", {}))
        self.control("clock", cloud.get("clock", {}))

    def close(self) -> None:
        try:
            if self.session is not None:
                self.session.close()
            self.client.close(30)
        finally:
            assert self.process.stdin is not None and self.process.stdout is not None
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait(10)

    def http(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(self.facts["endpoint"] + target, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

    def control(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        status, found = self.http(method, f"/_control/{path}", data, {"content-type": "application/json"})
        assert status == 200, f"{method} {path}: {status} {found!r}"
        return found if path.startswith("bytes") else json.loads(found)

    # Each of the following is one kind of step.

    def login(self, kind: str = "login", **login: Any) -> None:
        self.profile = self.control(kind, {"profile": "LAB", "dir": str(self.dir / "oci"), **login})

    def open(
        self,
        kind: str,
        profile: str = "LAB",
        name: str | None = None,
        sessions: str | None = None,
        wait_for_login_ms: int = 0,
        supply: str | None = None,
        expect: dict[str, Any] | None = None,
    ) -> None:
        if self.session is not None:
            self.session.close()
        common: dict[str, Any] = {"endpoint": self.facts["endpoint"], "wait_for_login": wait_for_login_ms / 1000}
        if kind == "supplied":
            self.supply(supply or "")
            common |= {"supply": self.give}
            # A supplied session has a client of its own.
            os.environ["XDG_STATE_HOME"] = str(self.dir)
        elif kind == "defined":
            file = self.dir / "sessions.conf"
            if sessions is not None:
                file.touch(mode=0o600)
                file.write_text(sessions.replace("{endpoint}", self.facts["endpoint"]))
            common |= {"client": self.client, "name": name, "sessions_file": file}
        else:
            assert kind == "profile", f"unknown kind {kind}"
            common |= {
                "client": self.client,
                "profile": profile,
                "config_file": self.profile["config_file"],
                "auth_endpoint": self.facts["auth_endpoint"],
            }
        status = "ok"
        try:
            self.session = outlast.Session(**common)
        except outlast.Error as error:
            status = error.code
        compare("status", status, (expect or {"status": "ok"})["status"])

    def supply(self, answer: str) -> None:
        assert answer in ("fresh", "sign-in-needed"), f"unknown supply {answer}"
        self.answer = answer

    def give(self) -> outlast.Credential:
        if self.answer == "sign-in-needed":
            raise outlast.SignInNeeded("nobody is signed in")
        self.control("refresh", {"profile": "LAB"})
        self.supplied += 1
        token = self.control("token?profile=LAB")["token"]
        return outlast.Credential(token=token, private_key=Path(self.profile["key_file"]).read_bytes())

    def start(self, object: str, source: dict[str, Any], options: dict[str, Any], bucket: str | None = None) -> None:
        assert self.session is not None, "no session"
        names = {
            "part_size_bytes": "part_size", "parallel_upload_count": "parallel_upload_count", "no_multipart": "no_multipart",
            "no_overwrite": "no_overwrite", "if_match": "if_match", "on_failure": "on_failure",
        }  # fmt: skip
        chosen: dict[str, Any] = {names[name]: value for name, value in options.items()}
        chosen |= {"bucket_name": bucket or self.facts["buckets"][0], "namespace": self.facts["namespace"], "name": object}
        kind, data = source["kind"], content(source)
        file = self.dir / f"source-{source['seed']}-{source['bytes']}"
        if kind in ("path", "fd") and not file.exists():
            file.write_bytes(data)
        uploader = outlast.Uploader(self.session)
        self.began, self.events = time.monotonic(), Counter[str]()
        self.failure: outlast.Error | None = None
        self.writer: outlast.ObjectWriter | None = None
        try:
            if kind == "path":
                self.upload = uploader.start(file, **chosen)
            elif kind == "fd":
                with open(file, "rb") as opened:
                    self.upload = uploader.start(opened, **chosen)
            elif kind == "bytes":
                self.upload = uploader.start(data, **chosen)
            elif kind == "stream":
                pieces = (data[at : at + 70_001] for at in range(0, len(data), 70_001))
                self.upload = uploader.start(pieces, **chosen)
            elif kind == "writer":
                self.writer = uploader.writer(**chosen)
                self.upload = self.writer.upload
                for at in range(0, len(data), 70_001):
                    self.writer.write(data[at : at + 70_001])
                self.upload.writer.finish()  # type: ignore[attr-defined]
            else:
                raise AssertionError(f"unknown source {kind}")
            self.told = self.upload.events()
        except outlast.Error as error:
            self.failure = error

    def until(self, event: str | None, count: int = 0) -> None:
        if self.failure is None:
            while event is None or self.events[event] < count:
                found = next(self.told, None)
                if found is None:
                    assert event is None, f"the upload ended before {count} of {event}"
                    break
                self.events[found.kind] += 1

    def wait(self, expect: dict[str, Any]) -> None:
        self.until(None)
        found: dict[str, Any] = {"status": "ok", "took_ms": (time.monotonic() - self.began) * 1000}
        failure = self.failure
        try:
            if failure is None:
                result = self.upload.result
                names = {"bytes": "size"}
                for name in ("bytes", "parts", "parts_reused", "retries", "refusals", "verified"):
                    found[name] = getattr(result, names.get(name, name))
        except outlast.Error as error:
            failure = error
        if failure is not None:
            found |= {"status": failure.code, "retry": failure.retry, "resumable": failure.resumable}
            found["http_status"] = failure.http_status
        said = f" ({failure})" if failure is not None else ""
        for name, wanted in expect.items():
            if name == "events":
                for kind, number in wanted.items():
                    compare(f"events {kind}", self.events[kind], number)
            else:
                assert name in found, f"{name} cannot be compared: {found}{said}"
                compare(name + said, found[name], wanted)
        if failure is None:
            self.upload.close()

    def sign(
        self,
        method: str,
        target: str,
        status: int,
        content_type: str | None = None,
        body: str | None = None,
        newer: bool = False,
    ) -> None:
        assert self.session is not None
        data = None if body is None else body.encode()
        url = self.facts["endpoint"] + target
        headers = self.session.sign(method, url, body=data, content_type=content_type)
        assert not newer or headers.generation > self.generation, f"still generation {headers.generation}"
        self.generation = headers.generation
        more = {"content-type": content_type} if content_type else {}
        answered, _ = self.http(method, target, data, {**headers, **more})
        if answered != 401:
            self.session.accept(headers.generation)
        compare("status", answered, status)

    def token(self) -> None:
        assert self.session is not None
        token = self.session.token()
        assert token.value == self.control("token?profile=LAB")["token"], "not the newest token"
        assert token.generation >= self.generation

    def check(self, **wanted: Any) -> None:
        for what, expected in wanted.items():
            if what == "objects":
                found: Any = {}
                for each in self.control("objects"):
                    data = self.control(f"bytes?bucket={each['bucket']}&name={each['name']}")
                    found[each["name"]] = hashlib.sha256(data).hexdigest()
                assert found == expected, f"objects are {found}, expected {expected}"
            elif what == "uploads":
                compare(what, len(self.control("uploads")), expected)
            elif what == "supplied":
                compare(what, self.supplied, expected)
            elif what == "stats":
                stats = self.control("stats")
                for name, number in expected.items():
                    compare(f"stats {name}", stats[name], number)
            else:
                raise AssertionError(f"unknown check {what}")

    def step(self, do: str, **keys: Any) -> None:
        assert self.session is not None or do in ("open", "login", "control", "check"), "no session"
        acts: dict[str, Any] = {
            "open": self.open, "start": self.start, "wait": self.wait, "sign": self.sign, "token": self.token,
            "check": self.check, "login": self.login, "control": self.control, "await": self.until, "supply": self.supply,
            "cancel": lambda on_failure: self.upload.cancel(on_failure),
            "pause": lambda: self.upload.pause(),
            "resume": lambda: self.upload.resume(),
            "touch": lambda: self.session.touch(),  # type: ignore[union-attr]
            "reject": lambda: self.session.reject(self.generation),  # type: ignore[union-attr]
        }  # fmt: skip
        assert do in acts, f"unknown step {do}"
        acts[do](**keys)


def play(scenario: dict[str, Any], directory: Path) -> None:
    assert set(scenario) <= {"name", "about", "needs", "cloud", "steps"}, "unknown keys"
    for feature in scenario["needs"]:
        if not outlast.has_feature(feature):
            raise Skipped(f"this library has no {feature}")
    stage = Stage(directory, scenario.get("cloud", {}))
    try:
        for number, step in enumerate(scenario["steps"], 1):
            signal.alarm(LIMIT)
            try:
                stage.step(**step)
            except Exception as error:
                error.add_note(f"step {number}: {step['do']}")
                raise
    finally:
        signal.alarm(0)
        stage.close()


def main(names: list[str]) -> int:
    def too_long(*_: Any) -> None:
        raise TimeoutError(f"nothing happened for {LIMIT} s")

    signal.signal(signal.SIGALRM, too_long)
    failed = 0
    for file in sorted(SCENARIOS.glob("*.json")):
        if names and file.stem not in names:
            continue
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as directory:
                play(json.loads(file.read_text()), Path(directory))
            line = f"played {file.stem} {time.monotonic() - began:.1f}"
        except Skipped as reason:
            line = f"skipped {file.stem} {reason}"
        except Exception as error:
            failed += 1
            line = f"failed {file.stem} {' '.join([*getattr(error, '__notes__', []), str(error) or repr(error)])}"
            if not isinstance(error, AssertionError):
                traceback.print_exc()
        print(line, flush=True)
        if report := os.environ.get("OUTLAST_REPORT"):
            with open(report, "a") as lines:
                print(line, file=lines)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
