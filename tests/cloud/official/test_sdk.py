"""The official SDK's upload manager."""

import io

import oci
import pytest
from oci.object_storage import ObjectStorageClient, UploadManager


@pytest.fixture
def client(lab, cloud, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    key = oci.signer.load_private_key_from_file(lab.profile["key_file"])
    signer = oci.auth.signers.SecurityTokenSigner(lab.token_file.read_text(), key)
    config = {"region": cloud.ready["region"]}
    return ObjectStorageClient(config, signer=signer, service_endpoint=cloud.endpoint, retry_strategy=oci.retry.NoneRetryStrategy())


def test_upload_file(client, lab, cloud):
    file = lab.file("big", 5_300_000)
    manager = UploadManager(client, allow_parallel_uploads=True, parallel_process_count=3)
    answer = manager.upload_file(
        cloud.namespace, cloud.bucket, "a/ b", str(file), part_size=1 << 20, metadata={"k": "v"}
    )
    assert answer.status == 200
    assert cloud.bytes_of("a/ b") == file.read_bytes()
    assert cloud.objects()["a/ b"]["metadata"] == {"opc-meta-k": "v"}
    head = client.head_object(cloud.namespace, cloud.bucket, "a/ b")
    assert head.headers["opc-multipart-md5"].endswith("-6")
    assert cloud.stats()["unauthenticated"] == 0


def test_upload_stream(client, lab, cloud):
    body = lab.file("big", 3_000_000).read_bytes()
    UploadManager(client).upload_stream(cloud.namespace, cloud.bucket, "s", io.BytesIO(body), part_size=1 << 20)
    assert cloud.bytes_of("s") == body


def test_errors_carry_the_service_code(client, cloud):
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        client.get_object(cloud.namespace, cloud.bucket, "nothing")
    assert (caught.value.status, caught.value.code) == (404, "ObjectNotFound")
    cloud.post("revoke", "all")
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        client.get_namespace()
    assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")
    assert caught.value.message == "The required information to complete authentication was not provided."


def test_every_read_of_the_api(client, cloud):
    client.put_object(cloud.namespace, cloud.bucket, "x", b"0123456789")
    assert client.get_namespace().data == cloud.namespace
    assert client.get_bucket(cloud.namespace, cloud.bucket).data.name == cloud.bucket
    assert client.head_bucket(cloud.namespace, cloud.bucket).status == 200
    part = client.get_object(cloud.namespace, cloud.bucket, "x", range="bytes=2-4")
    assert (part.status, part.data.content) == (206, b"234")
    assert client.list_objects(cloud.namespace, cloud.bucket, prefix="x").data.objects[0].name == "x"
    assert client.list_multipart_uploads(cloud.namespace, cloud.bucket).data == []
    assert client.delete_object(cloud.namespace, cloud.bucket, "x").status == 204
