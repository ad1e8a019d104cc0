"""The S3 door in front of a real SeaweedFS, used by boto3, the AWS CLI and bare signed requests."""

import base64
import hashlib
import http.client
import io
import json
import os
import resource
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import ClientError

from opentrail.aws.sigv4 import Scope, SigningKey, sign
from opentrail.clock import SystemClock
from opentrail.gateway.upstream import UpstreamSettings
from opentrail.identity.principal import Principal
from tests.support.door_server import A_USER, ACCOUNT_A, ACCOUNT_B, B_USER, A, B, DoorServer, running_door, secret_of
from tests.support.seaweed import running_seaweed

MIB = 1024 * 1024
ODD_KEY = "dir/ä b+c%2F~!'()*&=?#:@,;$.gz"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamSettings]:
    """A SeaweedFS for all tests of this file."""
    with running_seaweed(tmp_path_factory.mktemp("weed")) as s3:
        yield UpstreamSettings(s3.endpoint, "us-east-1", s3.access_key_id, s3.secret_access_key)


@pytest.fixture(scope="module")
def door(settings: UpstreamSettings) -> Iterator[DoorServer]:
    """A door for all tests of this file."""
    with running_door(settings) as server:
        yield server


@pytest.fixture
def bucket(door: DoorServer) -> Iterator[str]:
    """A bucket of account A, with one object under ``k``; the records start empty."""
    name = f"b-{os.urandom(6).hex()}"
    client = door.client(A)
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="k", Body=b"content")
    door.recorder.records.clear()
    yield name
    door.recorder.failing = False
    for item in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


def refused(action: Callable[[], Any]) -> str:
    """The code that an action is refused with; empty where it is not."""
    try:
        action()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def keys_in(door: DoorServer, bucket: str) -> list[str]:
    """The keys in a bucket of account A."""
    return [item["Key"] for item in door.client(A).list_objects_v2(Bucket=bucket).get("Contents", [])]


def allow(door: DoorServer, bucket: str, *actions: str, principal: Any = None) -> None:
    """Let account B (or whom it says) do something with a bucket and its objects."""
    arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"AWS": ACCOUNT_B},
        "Action": list(actions),
        "Resource": [arn, f"{arn}/*"],
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    door.client(A).put_bucket_policy(Bucket=bucket, Policy=text)


def raw(
    door: DoorServer,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    payload_hash: str = "UNSIGNED-PAYLOAD",
    headers: dict[str, str] | None = None,
    query: str = "",
    who: Principal | None = A,
) -> tuple[int, dict[str, str], bytes]:
    """Send one request signed by hand (unsigned for None) and return status, headers and body."""
    own = {"host": f"127.0.0.1:{door.port}", **(headers or {})}
    if who is not None:
        now = SystemClock().now()
        scope = Scope(f"{now:%Y%m%d}", "us-east-1", "s3")
        key = SigningKey(secret_of(who), scope)
        own |= sign(
            method,
            path,
            query,
            own,
            key=key,
            access_key_id=who.access_key_id,
            scope=scope,
            signed_at=now,
            payload_hash=payload_hash,
        )
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    try:
        connection.request(method, f"{path}?{query}" if query else path, body, own)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_objects_come_back_as_they_were_put(door: DoorServer, bucket: str) -> None:
    """Bytes, metadata, content headers and odd keys survive; ranges, conditions and HEAD work."""
    client = door.client(A)
    packed = b"\x1f\x8b not really gzip"
    put = {"ContentType": "application/json", "ContentEncoding": "gzip", "Metadata": {"signature": "ab12"}}
    client.put_object(Bucket=bucket, Key=ODD_KEY, Body=packed, **put)
    found = client.get_object(Bucket=bucket, Key=ODD_KEY)
    assert found["Body"].read() == packed
    assert (found["ContentEncoding"], found["ContentType"], found["Metadata"]) == (
        "gzip",
        "application/json",
        {"signature": "ab12"},
    )
    assert client.get_object(Bucket=bucket, Key=ODD_KEY, Range="bytes=2-5")["Body"].read() == packed[2:6]
    assert client.head_object(Bucket=bucket, Key=ODD_KEY)["ContentLength"] == len(packed)
    assert refused(lambda: client.get_object(Bucket=bucket, Key=ODD_KEY, IfNoneMatch=found["ETag"])) == "304"
    assert refused(lambda: client.put_object(Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")) == "PreconditionFailed"
    assert client.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert refused(lambda: client.head_object(Bucket=bucket, Key="nope")) == "404"
    last = door.recorder.records[-1]
    assert (last.call.event_name, last.outcome.error_code) == ("HeadObject", "NoSuchKey")


def test_records_say_what_happened(door: DoorServer, bucket: str) -> None:
    """Writes show their answer's headers, reads do not; sizes, owner and names stand in the record."""
    client = door.client(A)
    client.put_object(Bucket=bucket, Key="a/b", Body=b"12345", ServerSideEncryption="AES256")
    client.get_object(Bucket=bucket, Key="a/b")["Body"].read()
    put, get = door.recorder.records
    assert (put.call.event_name, put.call.read_only, put.call.management_event) == ("PutObject", False, False)
    assert put.outcome.response is not None
    assert put.outcome.response["x-amz-server-side-encryption"] == "AES256"
    assert put.outcome.additional_event_data is not None
    assert put.outcome.additional_event_data["bytesTransferredIn"] == 5
    assert put.outcome.additional_event_data["SSEApplied"] == "SSE_S3"
    assert put.call.parameters is not None
    assert (put.call.parameters["bucketName"], put.call.parameters["key"]) == (bucket, "a/b")
    assert put.call.user_agent.startswith("[Boto3")
    assert get.outcome.response is None
    assert get.outcome.additional_event_data is not None
    assert get.outcome.additional_event_data["bytesTransferredOut"] == 5
    assert get.outcome.resources == (
        {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/a/b"},
        {"accountId": ACCOUNT_A, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
    )


def test_checksums_of_streamed_uploads_are_kept(door: DoorServer, bucket: str) -> None:
    """A trailing checksum is verified, forwarded and shown later, for small bodies and for streamed ones."""
    client = door.client(A)
    for size in (1000, 3 * MIB + 17):
        for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
            body = os.urandom(size)
            client.put_object(Bucket=bucket, Key="sum", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
            head = client.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
            assert head.get(f"Checksum{algorithm}"), (size, algorithm)
            assert "aws-chunked" not in head.get("ContentEncoding", "")
            assert client.get_object(Bucket=bucket, Key="sum")["Body"].read() == body


def test_multipart_uploads_work(door: DoorServer, bucket: str) -> None:
    """A multipart upload arrives whole, parts can be copied, and an aborted one leaves nothing."""
    client, body = door.client(A), os.urandom(12 * MIB)
    client.upload_fileobj(io.BytesIO(body), bucket, "big")
    assert client.get_object(Bucket=bucket, Key="big")["Body"].read() == body
    upload = client.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
    copied = client.upload_part_copy(
        Bucket=bucket, Key="copied", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "big"}
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    client.complete_multipart_upload(Bucket=bucket, Key="copied", UploadId=upload, MultipartUpload=parts)
    assert client.get_object(Bucket=bucket, Key="copied")["Body"].read() == body
    upload = client.create_multipart_upload(Bucket=bucket, Key="dropped")["UploadId"]
    client.upload_part(Bucket=bucket, Key="dropped", UploadId=upload, PartNumber=1, Body=body[: 5 * MIB])
    client.abort_multipart_upload(Bucket=bucket, Key="dropped", UploadId=upload)
    assert "dropped" not in keys_in(door, bucket)


def test_presigned_addresses_work_and_their_signatures_go_nowhere(door: DoorServer, bucket: str) -> None:
    """GET and PUT by presigned address; the record names the query form and holds neither signature nor credential."""
    client = door.client(A, signature_version="s3v4")
    target = {"Bucket": bucket, "Key": ODD_KEY}
    put = urllib.request.Request(client.generate_presigned_url("put_object", target), b"presigned", method="PUT")
    with urllib.request.urlopen(put) as answer:
        assert answer.status == 200
    address = client.generate_presigned_url("get_object", target)
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"presigned"
    for record in door.recorder.records[:2]:
        assert record.outcome.additional_event_data is not None
        assert record.outcome.additional_event_data["AuthenticationMethod"] == "QueryString"
        names = {name.lower() for name in record.call.parameters or {}}
        assert not names & {"x-amz-signature", "x-amz-credential", "x-amz-security-token"}
    with pytest.raises(urllib.error.HTTPError) as wrong:
        urllib.request.urlopen(address.replace("X-Amz-Signature=", "X-Amz-Signature=0"))
    assert wrong.value.code == 403


def test_a_wrong_payload_hash_stores_nothing(door: DoorServer, bucket: str) -> None:
    """Whether read whole or streamed, a body that is not the signed one is refused and leaves no object."""
    for size in (0, 1, 1000, 3 * MIB):
        body, lie = os.urandom(size), hashlib.sha256(b"something else").hexdigest()
        status, _, text = raw(door, "PUT", f"/{bucket}/bad", body, payload_hash=lie)
        assert (status, b"XAmzContentSHA256Mismatch" in text) == (400, True), size
        assert door.recorder.records[-1].outcome.error_code == "XAmzContentSHA256Mismatch"
        good = hashlib.sha256(body).hexdigest()
        assert raw(door, "PUT", f"/{bucket}/good", body, payload_hash=good)[0] == 200
    assert "bad" not in keys_in(door, bucket)


def chunked(
    body: bytes, who: Principal, path: str, door: DoorServer, *, flip: bool = False
) -> tuple[dict[str, str], bytes]:
    """An aws-chunked upload signed chunk by chunk, after AWS's description; ``flip`` breaks the last chunk's bytes."""
    now = SystemClock().now()
    scope = Scope(f"{now:%Y%m%d}", "us-east-1", "s3")
    key = SigningKey(secret_of(who), scope)
    form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    headers = {"host": f"127.0.0.1:{door.port}", "x-amz-decoded-content-length": str(len(body))}
    headers["content-encoding"] = "aws-chunked,gzip"
    signed = sign(
        "PUT",
        path,
        "",
        headers,
        key=key,
        access_key_id=who.access_key_id,
        scope=scope,
        signed_at=now,
        payload_hash=form,
    )
    previous = signed["authorization"].rpartition("=")[2]
    framed = b""
    empty = hashlib.sha256(b"").hexdigest()
    for start in range(0, len(body) + 1, 65536):
        piece = body[start : start + 65536]
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{signed['x-amz-date']}\n{scope}\n{previous}\n{empty}\n"
        previous = key.signature((text + hashlib.sha256(piece).hexdigest()).encode())
        sent = bytes([piece[0] ^ 1]) + piece[1:] if flip and piece and start + 65536 >= len(body) else piece
        framed += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), previous.encode(), sent)
    if not body:
        return headers | signed, framed
    text = f"AWS4-HMAC-SHA256-PAYLOAD\n{signed['x-amz-date']}\n{scope}\n{previous}\n{empty}\n{empty}"
    if body[(len(body) // 65536) * 65536 :]:
        framed += b"0;chunk-signature=%b\r\n\r\n" % key.signature(text.encode()).encode()
    return headers | signed, framed


@pytest.mark.parametrize("size", [0, 10, 200_000, 2 * MIB + 5])
def test_signed_chunks_are_decoded_and_a_flipped_bit_stores_nothing(door: DoorServer, bucket: str, size: int) -> None:
    """What is stored is the payload without its framing; a chunk that was changed on the way is refused."""
    body, path = os.urandom(size), f"/{bucket}/chunked"
    headers, framed = chunked(body, A, path, door)
    status, _, text = raw(door, "PUT", path, framed, headers=headers, who=None)
    assert status == 200, text
    found = door.client(A).get_object(Bucket=bucket, Key="chunked")
    assert found["Body"].read() == body
    assert found["ContentEncoding"] == "gzip"
    if size:
        headers, framed = chunked(body, A, f"/{bucket}/flipped", door, flip=True)
        status, _, text = raw(door, "PUT", f"/{bucket}/flipped", framed, headers=headers, who=None)
        assert (status, b"SignatureDoesNotMatch" in text) == (403, True)
        assert "flipped" not in keys_in(door, bucket)


def test_a_wrong_trailing_checksum_stores_nothing(door: DoorServer, bucket: str) -> None:
    """Small or streamed, a body whose checksum does not agree is refused."""
    for size in (100, 2 * MIB):
        body = os.urandom(size)
        wrong = base64.b64encode(zlib.crc32(body + b"x").to_bytes(4, "big"))
        framed = b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (size, body, wrong)
        headers = {"x-amz-decoded-content-length": str(size), "x-amz-trailer": "x-amz-checksum-crc32"}
        form = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        status, _, text = raw(door, "PUT", f"/{bucket}/bad", framed, payload_hash=form, headers=headers)
        assert (status, b"BadDigest" in text) == (400, True)
    assert "bad" not in keys_in(door, bucket)


def test_an_upload_that_breaks_off_stores_nothing_and_is_recorded(door: DoorServer, bucket: str) -> None:
    """A client that goes away in the middle leaves a record of it and no object."""
    body = b"x" * (4 * MIB)
    headers = {"content-length": str(len(body))}
    path = f"/{bucket}/broken"
    now = SystemClock().now()
    scope = Scope(f"{now:%Y%m%d}", "us-east-1", "s3")
    own = {"host": f"127.0.0.1:{door.port}", **headers}
    own |= sign(
        "PUT",
        path,
        "",
        own,
        key=SigningKey(secret_of(A), scope),
        access_key_id=A.access_key_id,
        scope=scope,
        signed_at=now,
        payload_hash="UNSIGNED-PAYLOAD",
    )
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
    for name, value in own.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[: 3 * MIB])
    connection.close()
    waited = threading.Event()
    for _ in range(100):
        if door.recorder.records:
            break
        waited.wait(0.05)
    assert [record.outcome.error_code for record in door.recorder.records] == ["IncompleteBody"]
    assert "broken" not in keys_in(door, bucket)


def test_lengths_and_digests_are_required_and_checked(door: DoorServer, bucket: str) -> None:
    """No length: 411. A wrong Content-MD5: BadDigest, told by the upstream. A nonsense form: 400."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    now = SystemClock().now()
    scope = Scope(f"{now:%Y%m%d}", "us-east-1", "s3")
    own = {"host": f"127.0.0.1:{door.port}"}
    path = f"/{bucket}/nolength"
    key = SigningKey(secret_of(A), scope)
    signed = sign(
        "PUT",
        path,
        "",
        own,
        key=key,
        access_key_id=A.access_key_id,
        scope=scope,
        signed_at=now,
        payload_hash="UNSIGNED-PAYLOAD",
    )
    connection.request("PUT", path, iter([b"abc"]), own | signed, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()
    wrong = {"content-md5": base64.b64encode(bytes(16)).decode()}
    assert b"BadDigest" in raw(door, "PUT", f"/{bucket}/md5", b"abc", headers=wrong)[2]
    assert raw(door, "PUT", f"/{bucket}/form", b"abc", payload_hash="nonsense")[0] == 400
    ecdsa = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
    length = {"x-amz-decoded-content-length": "3"}
    assert raw(door, "PUT", f"/{bucket}/form", b"abc", payload_hash=ecdsa, headers=length)[0] == 400
    assert keys_in(door, bucket) == ["k"]


def calls_on(client: Any, bucket: str) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Every kind of access to a bucket with an object ``k``: the action it takes, and the call."""
    target = {"Bucket": bucket, "Key": "k"}
    source = {"Bucket": bucket, "Key": "k"}
    return {
        "list": ("s3:ListBucket", lambda: client.list_objects_v2(Bucket=bucket)),
        "head bucket": ("s3:ListBucket", lambda: client.head_bucket(Bucket=bucket)),
        "versions": ("s3:ListBucketVersions", lambda: client.list_object_versions(Bucket=bucket)),
        "read": ("s3:GetObject", lambda: client.get_object(**target)["Body"].read()),
        "head": ("s3:GetObject", lambda: client.head_object(**target)),
        "copy from": ("s3:GetObject", lambda: client.copy_object(Bucket="own-of-b", Key="c", CopySource=source)),
        "write": ("s3:PutObject", lambda: client.put_object(Bucket=bucket, Key="w", Body=b"w")),
        "copy to": (
            "s3:PutObject",
            lambda: client.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": "own-of-b", "Key": "mine"}),
        ),
        "multipart": ("s3:PutObject", lambda: client.create_multipart_upload(Bucket=bucket, Key="m")),
        "delete": ("s3:DeleteObject", lambda: client.delete_object(Bucket=bucket, Key="w")),
        "delete many": (
            "s3:DeleteObject",
            lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "w"}]}),
        ),
        "acl": ("s3:GetBucketAcl", lambda: client.get_bucket_acl(Bucket=bucket)),
        "location": ("s3:GetBucketLocation", lambda: client.get_bucket_location(Bucket=bucket)),
        "tags": ("s3:GetObjectTagging", lambda: client.get_object_tagging(**target)),
        "uploads": ("s3:ListBucketMultipartUploads", lambda: client.list_multipart_uploads(Bucket=bucket)),
    }


def test_another_account_gets_nothing_until_the_policy_says_so(door: DoorServer, bucket: str) -> None:
    """Each kind of access is refused to B, granted by exactly its action, and recorded for both accounts."""
    other = door.client(B)
    other.create_bucket(Bucket="own-of-b")
    other.put_object(Bucket="own-of-b", Key="mine", Body=b"b")
    for what, (action, call) in calls_on(other, bucket).items():
        door.recorder.records.clear()
        assert refused(call) in ("AccessDenied", "403"), what
        record = door.recorder.records[-1]
        assert (record.outcome.error_code, record.also_for) == ("AccessDenied", (ACCOUNT_A,)), what
        assert not any("accountId" in resource for resource in record.outcome.resources if bucket in str(resource)), (
            what
        )
        allow(door, bucket, action)
        assert refused(call) == "", what
        assert door.recorder.records[-1].also_for == (ACCOUNT_A,)
        assert refused(lambda: door.client(B_USER).head_bucket(Bucket=bucket)) == "403", (
            "no user of B has been given it"
        )
        door.client(A).delete_bucket_policy(Bucket=bucket)
        assert refused(call) in ("AccessDenied", "403"), what
    assert door.client(A).list_buckets()["Buckets"] != other.list_buckets()["Buckets"]
    assert [found["Name"] for found in other.list_buckets()["Buckets"]] == ["own-of-b"]
    assert refused(lambda: door.client(A).delete_bucket(Bucket="own-of-b")) == "AccessDenied"
    other.delete_objects(Bucket="own-of-b", Delete={"Objects": [{"Key": "mine"}, {"Key": "c"}]})
    other.delete_bucket(Bucket="own-of-b")


def test_what_comes_with_an_upload_takes_permissions_of_its_own(door: DoorServer, bucket: str) -> None:
    """Tags and attributes are no free extra of writing and reading."""
    other = door.client(B)
    allow(door, bucket, "s3:PutObject", "s3:GetObjectAttributes")
    tagged = {"Bucket": bucket, "Key": "t", "Body": b"", "Tagging": "a=b"}
    assert refused(lambda: other.put_object(**tagged)) == "AccessDenied"
    attributes = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["ETag"]}
    assert refused(lambda: other.get_object_attributes(**attributes)) == "AccessDenied"
    allow(door, bucket, "s3:PutObject", "s3:PutObjectTagging")
    other.put_object(**tagged)


def test_an_upstream_that_is_down_is_told_and_recorded(settings: UpstreamSettings) -> None:
    """503 for the caller, a record for the account, and it works again once the upstream is back on another port."""
    with running_door(settings) as lonely:
        owner, name = lonely.client(A), f"down-{os.urandom(4).hex()}"
        owner.create_bucket(Bucket=name)
        lonely.upstream.endpoint = "http://127.0.0.1:1"
        for call in (
            lambda: owner.get_object(Bucket=name, Key="k"),
            lambda: owner.put_object(Bucket=name, Key="k", Body=b"x"),
            lambda: owner.delete_bucket(Bucket=name),
        ):
            assert refused(call) == "ServiceUnavailable"
            assert lonely.recorder.records[-1].outcome.error_code == "ServiceUnavailable"
        lonely.upstream.endpoint = settings.endpoint
        owner.put_object(Bucket=name, Key="k", Body=b"x")
        owner.delete_object(Bucket=name, Key="k")
        owner.delete_bucket(Bucket=name)


def test_an_upload_part_copy_needs_to_read_its_source(door: DoorServer, bucket: str) -> None:
    """Writing parts into one's own bucket is no way around the source's policy."""
    other = door.client(B)
    other.create_bucket(Bucket="parts-of-b")
    upload = other.create_multipart_upload(Bucket="parts-of-b", Key="x")["UploadId"]
    part = {"Bucket": "parts-of-b", "Key": "x", "UploadId": upload, "PartNumber": 1}
    denials = ("AccessDenied", "InvalidArgument")
    for source in (f"{bucket}/k", f"/{bucket}/k", quote(f"{bucket}/k"), quote(f"/{bucket}/k", safe="")):
        assert refused(partial(other.upload_part_copy, **part, CopySource=source)) in denials
    allow(door, bucket, "s3:GetObject")
    other.upload_part_copy(**part, CopySource=f"{bucket}/k")
    other.abort_multipart_upload(Bucket="parts-of-b", Key="x", UploadId=upload)
    other.delete_bucket(Bucket="parts-of-b")


def test_users_need_the_policy_and_a_deny_beats_administrators(door: DoorServer, bucket: str) -> None:
    """A plain user of the owner gets what a policy names him for; a Deny refuses root too, save at the policy."""
    ada, owner = door.client(A_USER), door.client(A)
    assert refused(lambda: ada.get_object(Bucket=bucket, Key="k")) == "AccessDenied"
    assert refused(lambda: ada.list_buckets()) == "AccessDenied"
    assert refused(lambda: ada.create_bucket(Bucket="adas-own")) == "AccessDenied"
    allow(door, bucket, "s3:GetObject", principal={"AWS": A_USER.arn})
    assert ada.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"
    assert refused(lambda: ada.put_object(Bucket=bucket, Key="k", Body=b"")) == "AccessDenied"
    arn = f"arn:aws:s3:::{bucket}"
    locked = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": locked}))
    assert refused(lambda: owner.get_object(Bucket=bucket, Key="k")) == "AccessDenied"
    assert refused(lambda: owner.list_objects_v2(Bucket=bucket)) == "AccessDenied"
    assert json.loads(owner.get_bucket_policy(Bucket=bucket)["Policy"]) == {"Statement": locked}
    owner.delete_bucket_policy(Bucket=bucket)
    assert owner.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"


def test_policies_are_ours_and_recorded_as_objects(door: DoorServer, bucket: str) -> None:
    """Policies are checked, kept, shown and removed here; the record embeds the parsed policy; strangers stay out."""
    owner = door.client(A)
    assert refused(lambda: owner.get_bucket_policy(Bucket=bucket)) == "NoSuchBucketPolicy"
    allow(door, bucket, "s3:*", principal="*")
    record = door.recorder.records[-1]
    assert (record.call.event_name, record.call.management_event) == ("PutBucketPolicy", True)
    assert record.call.parameters is not None
    assert record.call.parameters["bucketPolicy"]["Statement"][0]["Action"] == ["s3:*"]
    assert owner.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    for bad in ("{", '{"Statement":[]}', json.dumps({"Statement": {"Effect": "Allow"}})):
        assert refused(partial(owner.put_bucket_policy, Bucket=bucket, Policy=bad)) == "MalformedPolicy"
    elsewhere = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::another/*"}
    text = json.dumps({"Statement": elsewhere})
    assert refused(lambda: owner.put_bucket_policy(Bucket=bucket, Policy=text)) == "MalformedPolicy"
    assert refused(lambda: door.client(B).delete_bucket_policy(Bucket=bucket)) == "MethodNotAllowed"
    assert refused(lambda: door.client(B).put_bucket_policy(Bucket=bucket, Policy=text)) == "MethodNotAllowed"
    owner.delete_bucket_policy(Bucket=bucket)
    assert refused(lambda: owner.get_bucket_policy(Bucket=bucket)) == "NoSuchBucketPolicy"


def test_strangers_read_what_is_public_and_are_recorded_for_the_owner(door: DoorServer, bucket: str) -> None:
    """Without credentials nothing is given until a policy allows everybody; the record goes to the owner."""
    status, _, text = raw(door, "GET", f"/{bucket}/k", who=None)
    assert (status, b"<Code>AccessDenied</Code>" in text) == (403, True)
    assert (door.recorder.records[-1].call.account_id, door.recorder.records[-1].also_for) == ("", (ACCOUNT_A,))
    assert raw(door, "GET", "/", who=None)[0] == 403
    assert raw(door, "PUT", "/strangers-own", who=None)[0] == 403
    allow(door, bucket, "s3:GetObject", principal="*")
    assert raw(door, "GET", f"/{bucket}/k", who=None)[2] == b"content"
    assert raw(door, "PUT", f"/{bucket}/k", b"mine now", who=None)[0] == 403


@pytest.mark.parametrize(
    "path", ["/{0}/../{0}/k", "/{0}/%2e%2e/{0}/k", "/{0}/..%2F{0}%2Fk", "/{0}//k", "/{0}/a%5Ck", "/{0}/./k", "/{0}%2Fk"]
)
def test_addresses_that_the_upstream_would_read_otherwise_are_refused(door: DoorServer, bucket: str, path: str) -> None:
    """A key that SeaweedFS stores under another name would be invisible to a policy about that name."""
    status, _, text = raw(door, "GET", path.format(bucket))
    assert status in (400, 404), text
    assert text != b"content"


def test_prefixes_sources_and_lists_of_keys_are_held_to_the_same_rule(door: DoorServer, bucket: str) -> None:
    """The same holds for listings, copies and multi-object deletes, and for parameters given twice."""
    client = door.client(A)
    arn = f"arn:aws:s3:::{bucket}/k"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": arn}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": deny}))
    for key in ("k", "/k", "./k", "x/../k"):
        delete = {"Objects": [{"Key": "other"}, {"Key": key}]}
        assert refused(partial(client.delete_objects, Bucket=bucket, Delete=delete)) in (
            "AccessDenied",
            "InvalidArgument",
        )
    assert refused(lambda: client.list_objects_v2(Bucket=bucket, Prefix="../")) == "InvalidArgument"
    assert raw(door, "GET", f"/{bucket}/k", query="versionId=&versionId=a")[0] in (400, 501)
    assert raw(door, "GET", f"/{bucket}", query="list-type=2&prefix=a&prefix=b")[0] in (400, 501)
    assert raw(door, "PUT", f"/{bucket}/c", headers={"x-amz-copy-source": f"/{bucket}/../{bucket}/k"})[0] == 400
    assert keys_in(door, bucket) == ["k"]
    client.delete_bucket_policy(Bucket=bucket)


def test_acls_that_would_grant_something_are_refused(door: DoorServer, bucket: str) -> None:
    """Policies alone grant here, as with AWS's bucket-owner-enforced ownership; harmless ACLs pass."""
    client = door.client(A)
    assert refused(lambda: client.put_object(Bucket=bucket, Key="p", Body=b"", ACL="public-read")) == (
        "AccessControlListNotSupported"
    )
    assert refused(lambda: client.put_bucket_acl(Bucket=bucket, ACL="public-read")) == "AccessControlListNotSupported"
    client.put_object(Bucket=bucket, Key="p", Body=b"", ACL="bucket-owner-full-control")
    assert client.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_expected_owners_are_checked(door: DoorServer, bucket: str) -> None:
    """x-amz-expected-bucket-owner holds, though the upstream knows nothing of accounts."""
    client = door.client(A)
    assert refused(lambda: client.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=ACCOUNT_B)) == "AccessDenied"
    client.get_object(Bucket=bucket, Key="k", ExpectedBucketOwner=ACCOUNT_A)


def test_names_of_buckets_are_one_account_s(door: DoorServer, bucket: str) -> None:
    """Existing names are refused to both, bad names and regions too; a bucket's region is kept."""
    owner, other = door.client(A), door.client(B)
    assert refused(lambda: owner.create_bucket(Bucket=bucket)) == "BucketAlreadyOwnedByYou"
    assert refused(lambda: other.create_bucket(Bucket=bucket)) == "BucketAlreadyExists"
    assert raw(door, "PUT", "/UPPER")[0] == 400
    assert refused(lambda: owner.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"
    assert refused(lambda: owner.head_bucket(Bucket="nobody-has-this")) == "404"
    place = {"LocationConstraint": "eu-west-1"}
    owner.create_bucket(Bucket="far-away-bucket", CreateBucketConfiguration=place)
    record = door.recorder.records[-1]
    assert record.call.parameters is not None
    assert record.call.parameters["CreateBucketConfiguration"]["LocationConstraint"] == "eu-west-1"
    assert record.call.region == "eu-west-1"
    assert owner.get_bucket_location(Bucket="far-away-bucket")["LocationConstraint"] == "eu-west-1"
    listed = owner.list_buckets(Prefix="far-", MaxBuckets=1)["Buckets"]
    assert [found["Name"] for found in listed] == ["far-away-bucket"]
    owner.delete_bucket(Bucket="far-away-bucket")


def test_a_crash_while_creating_leaves_a_name_for_its_owner_alone(door: DoorServer) -> None:
    """A name that was reserved and never confirmed cannot be used or taken, but can be created again by its owner."""
    name, now = f"half-{os.urandom(4).hex()}", SystemClock().now()
    with door.database.unit() as unit:
        door.buckets.create(unit, name, ACCOUNT_A, "us-east-1", now, ready=False)
    owner = door.client(A)
    assert refused(lambda: owner.put_object(Bucket=name, Key="k", Body=b"")) == "NoSuchBucket"
    assert refused(lambda: door.client(B).create_bucket(Bucket=name)) == "BucketAlreadyExists"
    owner.create_bucket(Bucket=name)
    assert name in [found["Name"] for found in owner.list_buckets()["Buckets"]]
    owner.delete_bucket(Bucket=name)


def test_nothing_is_answered_that_cannot_be_recorded(door: DoorServer, bucket: str) -> None:
    """While the recorder fails, reads give no content and policies do not change: 503."""
    door.recorder.failing = True
    status, _, text = raw(door, "GET", f"/{bucket}/k")
    assert (status, b"content" in text) == (503, False)
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Statement": allowed})
    assert refused(lambda: door.client(A).put_bucket_policy(Bucket=bucket, Policy=policy)) == "ServiceUnavailable"
    assert refused(lambda: door.client(A).create_bucket(Bucket=f"{bucket}-2")) == "ServiceUnavailable"
    door.recorder.failing = False
    assert refused(lambda: door.client(A).get_bucket_policy(Bucket=bucket)) == "NoSuchBucketPolicy"
    door.client(A).create_bucket(Bucket=f"{bucket}-2")
    door.client(A).delete_bucket(Bucket=f"{bucket}-2")


def test_the_upstream_s_identity_does_not_leak(door: DoorServer, bucket: str, settings: UpstreamSettings) -> None:
    """Answers carry our request id and neither the upstream's name, ids nor credentials."""
    status, headers, body = raw(door, "GET", f"/{bucket}/k")
    assert status == 200
    assert headers["x-amz-request-id"] == door.recorder.records[-1].call.request_id
    assert headers["x-amz-id-2"]
    everything = f"{headers} {body!r} {raw(door, 'GET', f'/{bucket}/nope')}".lower()
    assert "seaweed" not in everything
    assert settings.access_key_id.lower() not in everything
    assert settings.secret_access_key.lower() not in everything


def test_refused_uploads_leave_the_connection_usable_or_closed(door: DoorServer, bucket: str) -> None:
    """A client that waits for 100 Continue and is refused can go on; its next request is not taken for the body."""
    other = door.client(B)
    for _ in range(3):
        assert refused(lambda: other.put_object(Bucket=bucket, Key="w", Body=io.BytesIO(b"z" * MIB))) == "AccessDenied"
        assert isinstance(other.list_buckets()["Buckets"], list)


def test_the_aws_cli_works(door: DoorServer, tmp_path: Path) -> None:
    """mb, cp up and down (small and multipart), ls, presign, rm and rb with the command that everybody has."""
    configuration = tmp_path / "config"
    configuration.write_text("[default]\ns3 =\n  signature_version = s3v4\n")  # its presign still makes SigV2 else
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": A.access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_of(A),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": door.endpoint,
        "AWS_CONFIG_FILE": str(configuration),
        "AWS_MAX_ATTEMPTS": "1",
    }

    def aws(*words: str) -> str:
        command = [str(Path(sys.executable).with_name("aws")), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"small")
    large.write_bytes(os.urandom(20 * MIB))
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "cp", str(small), "s3://cli-bucket/dir/small")
    aws("s3", "cp", str(large), "s3://cli-bucket/large")
    assert "cli-bucket" in aws("s3", "ls")
    assert "large" in aws("s3", "ls", "s3://cli-bucket/", "--recursive")
    aws("s3", "cp", "s3://cli-bucket/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    with urllib.request.urlopen(aws("s3", "presign", "s3://cli-bucket/dir/small").strip()) as answer:
        assert answer.read() == b"small"
    aws("s3", "rb", "s3://cli-bucket", "--force")
    names = door.recorder.names()
    assert {"CreateBucket", "PutObject", "UploadPart", "CompleteMultipartUpload", "DeleteBucket"} <= set(names)


def test_virtual_host_addresses_reach_the_same_objects(door: DoorServer, bucket: str) -> None:
    """``BUCKET.localhost`` means what ``/BUCKET`` means."""
    host = {"host": f"{bucket}.localhost:{door.port}"}
    assert raw(door, "GET", "/k", headers=host)[2] == b"content"


@pytest.mark.parametrize("size_mib", [64, pytest.param(200, marks=pytest.mark.soak)])
def test_large_uploads_and_downloads_stream(door: DoorServer, bucket: str, size_mib: int) -> None:
    """Large objects go through both ways with memory far below their size."""
    body = os.urandom(MIB) * size_mib
    client = door.client(A)
    client.put_object(Bucket=bucket, Key="warm", Body=b"")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.put_object(Bucket=bucket, Key="large", Body=io.BytesIO(body))
    digest = hashlib.sha256()
    for piece in client.get_object(Bucket=bucket, Key="large")["Body"].iter_chunks(MIB):
        digest.update(piece)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert digest.digest() == hashlib.sha256(body).digest()
    assert grown_kib < 40 * 1024, f"grew by {grown_kib} KiB"


def test_buckets_that_were_there_before_belong_to_the_default_owner(
    settings: UpstreamSettings, door: DoorServer
) -> None:
    """With a default owner, buckets nobody created through us are that account's; without one they do not exist."""
    name = f"old-{os.urandom(4).hex()}"
    direct = boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name="us-east-1",
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )
    direct.create_bucket(Bucket=name)
    direct.put_object(Bucket=name, Key="k", Body=b"old")
    assert refused(lambda: door.client(A).get_object(Bucket=name, Key="k")) == "NoSuchBucket"
    assert refused(lambda: door.client(A).create_bucket(Bucket=name)) == "BucketAlreadyExists"
    with running_door(settings, default_owner=ACCOUNT_A) as adopting:
        assert refused(lambda: adopting.client(B).get_object(Bucket=name, Key="k")) == "AccessDenied"
        assert adopting.client(A).get_object(Bucket=name, Key="k")["Body"].read() == b"old"
        assert refused(lambda: adopting.client(A).get_object(Bucket="never-was", Key="k")) == "NoSuchBucket"
        assert adopting.buckets.owner(name) == ACCOUNT_A
    direct.delete_object(Bucket=name, Key="k")
    direct.delete_bucket(Bucket=name)
