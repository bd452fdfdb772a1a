"""Uploads that were interrupted, and many at a time."""

import json


def interrupted(lab, cloud, file, part):
    """Leaves an upload without one part, and says its id."""
    rule = cloud.fault({"kind": "answer", "status": 403, "code": "NotAuthorized"}, ops=["upload_part"], part=part)
    run = lab.put(file, "--name", "x", "--part-size", 1, "--force")
    assert run.code == 1 and "NotAuthorized" in run.err, run
    cloud.post("fault/remove", {"id": rule})
    (upload,) = cloud.get("uploads")
    assert part not in [stored["part"] for stored in upload["parts"]]
    return upload["id"]


def test_resume(lab, cloud):
    cloud.post("settings", {"page_size": 2})
    file = lab.file("big", 6_500_000)
    upload = interrupted(lab, cloud, file, 7)
    assert cloud.stats()["parts_stored"] == 6
    run = lab.os("object", "resume-put", "--name", "x", "--file", file, "--upload-id", upload, "--part-size", 1)
    assert run.ok, run
    assert cloud.bytes_of("x") == file.read_bytes()
    assert cloud.stats()["parts_stored"] == 7, "only what was missing"
    assert len(cloud.log("list_parts")) >= 3, "it follows the pages"
    assert cloud.stats()["unauthenticated"] == 0, "page tokens with reserved characters are signed as sent"


def test_list_and_abort(lab, cloud):
    cloud.post("settings", {"page_size": 1})
    file = lab.file("big", 2_500_000)
    first = interrupted(lab, cloud, file, 2)
    listed = lab.os("multipart", "list", "--all")
    assert [item["upload-id"] for item in listed.json()["data"]] == [first], listed
    aborted = lab.os("multipart", "abort", "--object-name", "x", "--upload-id", first, "--force")
    assert aborted.ok, aborted
    assert cloud.get("uploads") == []
    gone = lab.os("multipart", "abort", "--object-name", "x", "--upload-id", first, "--force")
    assert gone.code == 1 and "NoSuchUpload" in gone.err, gone


def test_bulk_upload(lab, cloud):
    source = lab.directory / "tree"
    (source / "deep").mkdir(parents=True)
    for name, size in (("a", 10), ("deep/b", 2_500_000), ("deep/c", 0)):
        lab.file(f"tree/{name}", size)
    run = lab.os("object", "bulk-upload", "--src-dir", source, "--part-size", 1, "--object-prefix", "p/")
    assert run.ok, run
    assert json.loads(run.out)["upload-failures"] == {}
    for name in ("a", "deep/b", "deep/c"):
        assert cloud.bytes_of(f"p/{name}") == (source / name).read_bytes()


def test_a_short_retry_stores_nothing(lab, cloud):
    """After a late 503 the official client announces a whole part and sends nothing; only its outer loop mends that."""
    cloud.post("settings", {"body_timeout_s": 1})
    late = {"kind": "answer", "status": 503, "code": "ServiceUnavailable", "at": "body_end"}
    cloud.fault(late, when={"count": 1}, ops=["upload_part"], part=1)
    file = lab.file("big", 1_500_000)
    run = lab.oci("--max-retries", 3, *put_words(cloud, file))
    parts = [entry for entry in cloud.log("upload_part") if entry["part"] == 1]
    short = [entry for entry in parts if entry["status"] == 0]
    assert parts[0]["status"] == 503
    assert short and all(entry["received"] < entry["length"] for entry in short)
    assert run.ok and cloud.bytes_of("x") == file.read_bytes(), run


def put_words(cloud, file):
    where = ("-ns", cloud.namespace, "-bn", cloud.bucket, "--file", file, "--name", "x")
    return ("os", "object", "put", *where, "--part-size", 1, "--force")
