"""Outlast from Python."""

import os

import outlast

env = {name: os.environ[f"BENCH_{name}"] for name in ("CONFIG", "PROFILE", "ENDPOINT", "CA", "NAMESPACE", "BUCKET", "FILE", "STATE")}
with outlast.Client(state_dir=env["STATE"], cert_bundle=env["CA"]) as client, outlast.Uploader(
    client=client,
    config_file=env["CONFIG"],
    profile=env["PROFILE"],
    endpoint=env["ENDPOINT"],
    auth_endpoint=env["ENDPOINT"],
) as uploader:
    uploader.upload(
        env["FILE"],
        bucket_name=env["BUCKET"],
        namespace=env["NAMESPACE"],
        name="object",
        part_size=int(os.environ["BENCH_PART_MIB"]) << 20,
        parallel_upload_count=int(os.environ["BENCH_PARALLEL"]),
    )
