"""`oci os object put` and back, in all its forms."""

import base64
import hashlib
import json

import pytest


def test_single(lab, cloud):
    file = lab.file("small", 100_000)
    run = lab.put(file, "--name", "dir one/a+b.bin", "--verify-checksum", "--content-type", "text/plain")
    assert run.ok, run
    md5 = base64.b64encode(hashlib.md5(file.read_bytes()).digest()).decode()
    assert run.json()["opc-content-md5"] == md5
    assert "md5 checksum matches" in run.err
    assert cloud.bytes_of("dir one/a+b.bin") == file.read_bytes()
    assert cloud.objects()["dir one/a+b.bin"]["content_type"] == "text/plain"
    assert cloud.stats()["unauthenticated"] == 0


def test_multipart_there_and_back(lab, cloud):
    file = lab.file("big", 5_500_000)
    words = ("--part-size", 1, "--parallel-upload-count", 3, "--verify-checksum", "--metadata", '{"k1": "v1"}')
    run = lab.put(file, "--name", "ü b/c", *words, "--storage-tier", "InfrequentAccess")
    assert run.ok, run
    assert "md5 checksum matches" in run.err
    assert run.json()["opc-multipart-md5"].endswith("-6")
    assert 1 < cloud.stats()["max_parts_in_flight"] <= 3

    head = lab.os("object", "head", "--name", "ü b/c")
    assert head.json()["opc-meta-k1"] == "v1", head
    assert head.json()["storage-tier"] == "InfrequentAccess"
    assert head.json()["opc-multipart-md5"] == run.json()["opc-multipart-md5"]

    back = lab.directory / "back"
    assert lab.os("object", "get", "--name", "ü b/c", "--file", back).ok
    assert back.read_bytes() == file.read_bytes()
    assert cloud.stats()["unauthenticated"] == 0


def test_asks_for_the_namespace(lab, cloud):
    file = lab.file("small", 10)
    run = lab.oci("os", "object", "put", "-bn", cloud.bucket, "--file", file, "--force")
    assert run.ok, run
    assert [entry["op"] for entry in cloud.log()] == ["get_namespace", "put_object"]


def test_api_key(lab, cloud):
    cloud.post("api_key", {"profile": "KEY", "dir": str(lab.home)})
    run = lab.put(lab.file("small", 3_000_000), "--part-size", 1, profile="KEY", auth="api_key")
    assert run.ok, run
    assert {entry["session"] for entry in cloud.log()} == {None}


def test_stdin(lab, cloud):
    body = lab.file("big", 12_000_000).read_bytes()
    run = lab.put("-", "--name", "stream", stdin=body)
    assert run.ok, run
    assert cloud.bytes_of("stream") == body
    assert all("content-md5" in entry["headers"] for entry in cloud.log("upload_part"))
    run = lab.put("-", "--name", "nothing", stdin=b"")
    assert run.ok, run
    assert cloud.objects()["nothing"]["size"] == 0
    assert cloud.stats()["aborted"] == 1, "it creates an upload, aborts it, and puts an empty object"


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256", "SHA384"])
def test_additional_checksums(lab, cloud, algorithm):
    file = lab.file("big", 2_500_000)
    run = lab.put(file, "--name", "parts", "--part-size", 1, "--opc-checksum-algorithm", algorithm)
    assert run.ok, run
    whole = {"CRC32C": "opc-content-crc32c"}.get(algorithm, f"opc-multipart-{algorithm.lower()}")
    assert run.json()[whole]
    assert all(entry["headers"][f"opc-content-{algorithm.lower()}"] for entry in cloud.log("upload_part"))
    single = lab.put(file, "--name", "single", "--opc-checksum-algorithm", algorithm)
    assert single.ok, single
    value = single.json()[f"opc-content-{algorithm.lower()}"]
    if algorithm == "CRC32C":
        assert value == run.json()[whole], "the CRC32C of parts is that of the whole"
    else:
        digest = hashlib.new(algorithm.lower(), file.read_bytes()).digest()
        assert value == base64.b64encode(digest).decode()


def test_overwriting(lab, cloud):
    old, new = lab.file("old", 1000, seed=1), lab.file("new", 1000, seed=2)
    assert lab.put(old, "--name", "x").ok
    kept = lab.put(new, "--name", "x", "--no-overwrite")
    assert kept.ok, kept
    assert cloud.bytes_of("x") == old.read_bytes()
    declined = lab.put(new, "--name", "x", stdin=b"n\n")
    assert declined.code == 1, declined
    accepted = lab.put(new, "--name", "x", stdin=b"y\n")
    assert accepted.ok, accepted
    assert cloud.bytes_of("x") == new.read_bytes()
    mismatch = lab.put(old, "--name", "x", "--force", "--if-match", "other")
    assert mismatch.code == 1 and "IfMatchFailed" in mismatch.err, mismatch
    assert lab.put(old, "--name", "x", "--force").ok
    assert cloud.bytes_of("x") == old.read_bytes()


def test_customer_key(lab, cloud):
    key = lab.directory / "key"
    key.write_text(base64.b64encode(bytes(range(32))).decode())
    file = lab.file("big", 2_500_000)
    run = lab.put(file, "--name", "x", "--part-size", 1, "--encryption-key-file", key)
    assert run.ok, run
    assert cloud.bytes_of("x") == file.read_bytes()
    assert lab.os("object", "head", "--name", "x").code == 1
    assert lab.os("object", "head", "--name", "x", "--encryption-key-file", key).ok


def test_the_official_verification_does_not_see_a_damaged_part(lab, cloud):
    """It compares the server with itself. `outlast` must not."""
    cloud.fault({"kind": "corrupt"}, ops=["upload_part"], part=2)
    file = lab.file("big", 2_500_000)
    run = lab.put(file, "--name", "x", "--part-size", 1, "--verify-checksum")
    assert run.ok and "md5 checksum matches" in run.err, run
    assert cloud.bytes_of("x") != file.read_bytes()


def test_list_and_delete(lab, cloud):
    assert lab.put(lab.file("small", 10), "--name", "a/1").ok
    listed = lab.os("object", "list", "--prefix", "a/")
    assert [item["name"] for item in listed.json()["data"]] == ["a/1"], listed
    assert lab.os("object", "delete", "--name", "a/1", "--force").ok
    assert cloud.objects() == {}


def test_errors_look_like_the_service(lab, cloud):
    file = lab.file("small", 10)
    run = lab.oci("os", "object", "put", "-ns", cloud.namespace, "-bn", "nowhere", "--file", file)
    assert run.code == 1
    run = lab.oci("os", "object", "put", "-ns", cloud.namespace, "-bn", "nowhere", "--file", file, "--force")
    error = json.loads(run.err[run.err.index("{") :])
    assert (error["status"], error["code"]) == (404, "BucketNotFound")
    assert error["opc-request-id"].startswith("phx-1:")
