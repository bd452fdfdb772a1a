"""`oci session …` against the cloud, through its proxy and its test certificate."""

import base64
import json
import pathlib

import pytest
from loopback import Lab


@pytest.fixture
def cloud(start):
    return start("--tls")


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def session(lab, *words, **options):
    return lab.oci("session", *words, endpoint=False, env=lab.redirected(), **options)


def test_refresh(lab, cloud):
    old = lab.token_file.read_text()
    cloud.post("clock", {"advance_s": 100})
    run = session(lab, "refresh")
    assert run.ok, run
    new = lab.token_file.read_text()
    assert claims(new)["exp"] - claims(old)["exp"] in (99, 100, 101, 102, 103)
    assert claims(new)["jwk"] == claims(old)["jwk"]
    assert cloud.stats()["refreshes"] == 1
    (entry,) = cloud.log("refresh")
    assert entry["headers"]["host"] == "auth.us-phoenix-1.oraclecloud.com"
    assert lab.put(lab.file("small", 10)).ok


def test_a_refresh_that_extends_nothing_looks_like_success(lab, cloud):
    """Exit 0, and the session ends when it would have ended. `outlast` must notice."""
    cloud.post("settings", {"refresh": "same_expiry"})
    old = lab.token_file.read_text()
    run = session(lab, "refresh")
    assert run.ok, run
    assert claims(lab.token_file.read_text())["exp"] == claims(old)["exp"]


def test_refused_and_failing_refreshes(lab, cloud):
    old = lab.token_file.read_text()
    for mode in ("refuse", "unavailable"):
        cloud.post("settings", {"refresh": mode})
        run = session(lab, "refresh")
        assert run.code == 1, run
        assert lab.token_file.read_text() == old


def test_validate(lab, cloud):
    run = session(lab, "validate")
    assert run.ok and "Session is valid" in run.err, run
    assert session(lab, "validate", "--local").ok
    cloud.post("revoke", {"session": "LAB"})
    run = session(lab, "validate")
    assert run.code == 1, run
    assert session(lab, "validate", "--local").ok, "nothing local tells a revoked token"


def test_authenticate_without_browser(lab, cloud, tmp_path):
    cloud.post("api_key", {"profile": "KEY", "dir": str(lab.home)})
    config = tmp_path / "made" / "config"
    config.parent.mkdir()
    words = ("--no-browser", "--region", "us-phoenix-1", "--profile-name", "UPST", "--session-expiration-in-minutes", 5)
    where = ("--config-location", config, "--token-location", tmp_path / "made" / "sessions")
    run = session(lab, "authenticate", *words, *where, profile="KEY", auth="api_key")
    assert run.ok, run
    token_file = pathlib.Path(tmp_path / "made" / "sessions" / "UPST" / "token")
    token = token_file.read_text()
    assert claims(token)["exp"] - claims(token)["iat"] == 300
    lab.config_file = str(config)
    assert lab.put(lab.file("small", 10), profile="UPST").ok
    assert session(lab, "refresh", profile="UPST").ok
    assert claims(token_file.read_text())["exp"] == claims(token)["exp"], "its end never moves"


def test_an_expired_session_cannot_be_refreshed(start, tmp_path):
    cloud = start("--tls", "--token-life", "2s")
    lab = Lab(cloud, tmp_path)
    cloud.post("clock", {"shift_s": 60})
    run = session(lab, "refresh")
    assert run.code == 1, run
    assert cloud.stats()["refreshes"] == 0
    assert "expired" in cloud.log("refresh")[0]["reason"]
