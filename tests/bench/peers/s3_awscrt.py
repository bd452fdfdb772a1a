"""The AWS common runtime's S3 client."""

import os

from awscrt import auth, http, io, s3

env = {name: os.environ[f"BENCH_{name}"] for name in ("S3", "BUCKET", "FILE", "PART_MIB", "PARALLEL", "CRC")}
group = io.EventLoopGroup()
bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
credentials = auth.AwsCredentialsProvider.new_static("bench", "bench")
client = s3.S3Client(
    bootstrap=bootstrap,
    region="us-east-1",
    signing_config=s3.create_default_s3_signing_config(region="us-east-1", credential_provider=credentials),
    tls_mode=s3.S3RequestTlsMode.DISABLED,
    part_size=int(env["PART_MIB"]) << 20,
    throughput_target_gbps=10.0,
)
headers = http.HttpHeaders([
    ("host", env["S3"].removeprefix("http://")),
    ("content-length", str(os.path.getsize(env["FILE"]))),
])
checksum = s3.S3ChecksumConfig(
    algorithm=s3.S3ChecksumAlgorithm.CRC32C, location=s3.S3ChecksumLocation.HEADER
) if env["CRC"] == "1" else None
request = client.make_request(
    type=s3.S3RequestType.PUT_OBJECT,
    request=http.HttpRequest("PUT", f"/{env['BUCKET']}/object", headers),
    send_filepath=env["FILE"],
    checksum_config=checksum,
)
request.finished_future.result()
