"""object_store through obstore."""

import os
from pathlib import Path

import obstore
from obstore.store import S3Store

store = S3Store(
    os.environ["BENCH_BUCKET"],
    endpoint=os.environ["BENCH_S3"],
    region="us-east-1",
    access_key_id="bench",
    secret_access_key="bench",
    virtual_hosted_style_request=False,
    client_options={"allow_http": True},
)
obstore.put(
    store,
    "object",
    Path(os.environ["BENCH_FILE"]),
    use_multipart=True,
    chunk_size=int(os.environ["BENCH_PART_MIB"]) << 20,
    max_concurrency=int(os.environ["BENCH_PARALLEL"]),
)
