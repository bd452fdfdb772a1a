"""The field report: an upload that lasts longer than its token, with somebody refreshing the session beside it."""

MIB = 1 << 20


def test_the_official_client_dies_with_its_first_token(field_report):
    with field_report() as lab:
        cloud = lab.cloud
        file = lab.file("big", 32 * MIB)
        run = lab.put(file, "--name", "x", "--part-size", 1, "--parallel-upload-count", 2, "--force")

        assert run.code == 1, run
        assert "NotAuthenticated" in run.err and '"status": 401' in run.err, run
        (generation,) = cloud.stats()["by_generation"]
        refused = [entry for entry in cloud.log("upload_part") if entry["status"] == 401]
        assert refused and all("expired" in entry["reason"] for entry in refused)
        assert {entry["generation"] for entry in refused} == {int(generation)}, "it keeps the token it read first"
        newest = cloud.get("sessions")[0]["tokens"][-1]
        assert newest["generation"] > int(generation), "and a good one lay beside it all the time"

        (upload,) = cloud.get("uploads")
        assert 0 < len(upload["parts"]) < 32, "what it leaves is neither finished nor aborted"

        cloud.post("settings", {"bandwidth_bytes_per_s": None})
        words = ("--name", "x", "--file", file, "--upload-id", upload["id"], "--part-size", 1)
        again = lab.os("object", "resume-put", *words)
        assert again.ok, again
        assert cloud.bytes_of("x") == file.read_bytes()


def test_outlast_put_with_the_same_flags_finishes(field_report):
    with field_report() as lab:
        cloud = lab.cloud
        file = lab.file("big", 32 * MIB)
        run = lab.outlast_put(file, "--name", "x", "--part-size", 1, "--parallel-upload-count", 2, "--force")

        assert run.code == 0, run
        stats = cloud.stats()
        assert len(stats["by_generation"]) > 1, "it went on under the tokens that somebody else had refreshed"
        assert stats["parts_stored"] == 32, "every part was stored once"
        assert cloud.get("uploads") == []
        assert cloud.bytes_of("x") == file.read_bytes()
