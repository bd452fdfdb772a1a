"""OpenDAL, a part's worth at a time."""

import os

import opendal

operator = opendal.Operator(
    "s3",
    bucket=os.environ["BENCH_BUCKET"],
    endpoint=os.environ["BENCH_S3"],
    region="us-east-1",
    access_key_id="bench",
    secret_access_key="bench",
    disable_config_load="true",
    disable_ec2_metadata="true",
)
part = int(os.environ["BENCH_PART_MIB"]) << 20
with open(os.environ["BENCH_FILE"], "rb") as source:
    with operator.open("object", "wb", chunk=part, concurrent=int(os.environ["BENCH_PARALLEL"])) as target:
        while block := source.read(part):
            target.write(block)
