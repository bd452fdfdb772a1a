"""The official Python SDK's upload manager, with a session token."""

import os

import oci

env = {name: os.environ[f"BENCH_{name}"] for name in ("CONFIG", "PROFILE", "ENDPOINT", "CA", "NAMESPACE", "BUCKET", "FILE")}
config = oci.config.from_file(env["CONFIG"], env["PROFILE"])
with open(config["security_token_file"]) as file:
    token = file.read().strip()
signer = oci.auth.signers.SecurityTokenSigner(token, oci.signer.load_private_key_from_file(config["key_file"]))
client = oci.object_storage.ObjectStorageClient(config, signer=signer, service_endpoint=env["ENDPOINT"])
client.base_client.session.verify = env["CA"]
manager = oci.object_storage.UploadManager(
    client, allow_parallel_uploads=True, parallel_process_count=int(os.environ["BENCH_PARALLEL"])
)
answer = manager.upload_file(
    env["NAMESPACE"], env["BUCKET"], "object", env["FILE"], part_size=int(os.environ["BENCH_PART_MIB"]) << 20
)
assert answer.status == 200, answer.status
