"""Objects encrypted with KMS keys on a running gateway: on disk, after a kill, and for those who may and may not."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, delivered, make_trail, running, start, trail_policy

ACCOUNT = "123456789012"
SETTINGS = {"OPENTRAIL_DELIVERY_DIGEST_INTERVAL_S": "2"}
MARK = b"a text that must not be on the disk "
READER = Key("AKIAKMSREADER0000001", "a-secret-of-a-reader")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway with a trail that delivers each second, and a user who may do everything with S3 alone."""
    with running(tmp_path_factory.mktemp("sse") / "home", SETTINGS) as gateway:
        make_trail(gateway, "sse-logs")
        gateway.client("s3").create_bucket(Bucket="sealed")
        gateway.import_key(ACCOUNT, READER, "--user", "reader")
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        gateway.client("iam").put_user_policy(UserName="reader", PolicyName="s3", PolicyDocument=json.dumps(allow))
        yield gateway


def is_on_disk(gateway: Gateway, text: bytes) -> bool:
    """Whether any file of the object store holds these bytes."""
    files = (path for path in (gateway.home / "seaweedfs").rglob("*") if path.is_file())
    return any(text in path.read_bytes() for path in files)


def code(call: Any, **request: Any) -> str:
    """The code that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def sealed(key_id: str = "", **more: Any) -> dict[str, Any]:
    """The parameters of an upload that asks for KMS."""
    return {
        "Bucket": "sealed",
        "ServerSideEncryption": "aws:kms",
        **({"SSEKMSKeyId": key_id} if key_id else {}),
        **more,
    }


def test_the_cli_uploads_sealed_and_downloads_in_clear(gateway: Gateway, tmp_path: Path) -> None:
    """`aws s3 cp --sse aws:kms` by key id and by alias, small and in parts; the disk holds none of it in clear."""
    kms, s3 = gateway.client("kms"), gateway.client("s3")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/objects", TargetKeyId=key["KeyId"])
    small, large, back = tmp_path / "small", tmp_path / "large", tmp_path / "back"
    small.write_bytes(MARK * 10)
    large.write_bytes(MARK * 300_000)
    for source, key_id in ((small, key["KeyId"]), (large, "alias/objects")):
        target = f"s3://sealed/{source.name}"
        done = gateway.cli("s3", "cp", str(source), target, "--sse", "aws:kms", "--sse-kms-key-id", key_id)
        assert done.returncode == 0, done.stderr
        assert gateway.cli("s3", "cp", target, str(back)).returncode == 0
        assert back.read_bytes() == source.read_bytes()
        head = s3.head_object(Bucket="sealed", Key=source.name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key["Arn"])
        assert "x-amz-server-side-encryption-context" not in head["ResponseMetadata"]["HTTPHeaders"]
    assert not is_on_disk(gateway, MARK)
    in_clear = b"and this one shows that it would be seen"
    s3.put_object(Bucket="sealed", Key="in-clear.bin", Body=in_clear)
    assert is_on_disk(gateway, in_clear)
    part = s3.get_object(Bucket="sealed", Key="large", Range="bytes=7000000-7000035")["Body"].read()
    assert part == (MARK * 2)[7_000_000 % len(MARK) :][: len(part)]
    assert len(part) == 36


def test_without_a_key_the_account_has_one_for_s3(gateway: Gateway) -> None:
    """alias/aws/s3 comes into being, for use through S3 only, and nobody changes it."""
    kms, s3 = gateway.client("kms"), gateway.client("s3")
    s3.put_object(Key="plainly-asked", Body=MARK, **sealed())
    assert s3.get_object(Bucket="sealed", Key="plainly-asked")["Body"].read() == MARK
    key = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert key["KeyManager"] == "AWS"
    assert s3.head_object(Bucket="sealed", Key="plainly-asked")["SSEKMSKeyId"] == key["Arn"]
    assert code(kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x") == "AccessDeniedException"
    assert code(kms.schedule_key_deletion, KeyId=key["KeyId"]) == "AccessDeniedException"


def test_callers_need_the_key_as_well_as_the_object(gateway: Gateway) -> None:
    """With S3 alone neither upload, nor download, nor copy; with kms:Decrypt through S3 the download."""
    kms, s3, reader = gateway.client("kms"), gateway.client("s3"), gateway.client("s3", READER)
    key = kms.create_key()["KeyMetadata"]
    odd = "a key/with? #odd%20 é+signs"
    for name in ("guarded", odd):
        s3.put_object(Key=name, Body=MARK, **sealed(key["KeyId"]))
    for call, request in (
        (reader.put_object, {"Key": "mine", "Body": b"x", **sealed(key["KeyId"])}),
        (reader.get_object, {"Bucket": "sealed", "Key": "guarded"}),
        (reader.get_object, {"Bucket": "sealed", "Key": odd}),
        (reader.copy_object, {"Bucket": "sealed", "Key": "copy", "CopySource": "sealed/guarded"}),
        (reader.copy_object, {"Bucket": "sealed", "Key": "copy", "CopySource": {"Bucket": "sealed", "Key": odd}}),
    ):
        assert code(call, **request) == "AccessDenied"
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
    condition = {
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::sealed/guarded",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/reader"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"StringEquals": condition},
    }
    policy["Statement"].append(statement)
    kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(policy))
    assert reader.get_object(Bucket="sealed", Key="guarded")["Body"].read() == MARK
    reader.copy_object(Bucket="sealed", Key="copy", CopySource="sealed/guarded")
    assert reader.head_object(Bucket="sealed", Key="copy")["ServerSideEncryption"] == "AES256"
    assert reader.get_object(Bucket="sealed", Key="copy")["Body"].read() == MARK
    assert not is_on_disk(gateway, MARK)
    assert code(reader.put_object, Key="mine", Body=b"x", **sealed(key["KeyId"])) == "AccessDenied"


def test_a_disabled_key_opens_nothing_and_errors_say_so(gateway: Gateway) -> None:
    """At once, for uploads and downloads; enabled again, all is readable. Unknown keys and headers are refused."""
    kms, s3 = gateway.client("kms"), gateway.client("s3")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Key="off", Body=MARK, **sealed(key_id))
    assert s3.get_object(Bucket="sealed", Key="off")["Body"].read() == MARK
    kms.disable_key(KeyId=key_id)
    assert code(s3.get_object, Bucket="sealed", Key="off") == "KMS.DisabledException"
    assert code(s3.put_object, Key="more", Body=b"x", **sealed(key_id)) == "KMS.DisabledException"
    kms.enable_key(KeyId=key_id)
    assert s3.get_object(Bucket="sealed", Key="off")["Body"].read() == MARK
    for unknown in ("11111111-2222-3333-4444-555555555555", "alias/none", "nonsense"):
        assert code(s3.put_object, Key="more", Body=b"x", **sealed(unknown)) == "KMS.NotFoundException"
    assert code(s3.put_object, Key="k", Body=b"x", **sealed(ServerSideEncryption="aws:kms:dsse")) == "InvalidArgument"
    assert code(s3.put_object, Key="k", Body=b"x", **sealed(key_id, SSEKMSEncryptionContext="e30")) == "InvalidArgument"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_id}}
    configuration = {"Rules": [rule]}
    refused = code(s3.put_bucket_encryption, Bucket="sealed", ServerSideEncryptionConfiguration=configuration)
    assert refused == "NotImplemented"


def test_records_show_the_use_of_keys_through_s3(gateway: Gateway) -> None:
    """GenerateDataKey and Decrypt by the caller, invoked by AWS, with the object's ARN in the context."""
    s3 = gateway.client("s3")
    key = gateway.client("kms").create_key()["KeyMetadata"]
    s3.put_object(Key="seen", Body=MARK, **sealed(key["KeyId"]))
    s3.get_object(Bucket="sealed", Key="seen")["Body"].read()
    deadline = time.monotonic() + 30
    while True:
        records = [item for item in delivered(s3, "sse-logs") if key["Arn"] in json.dumps(item.get("resources"))]
        mine = {item["eventName"]: item for item in records}
        if mine.keys() >= {"GenerateDataKey", "Decrypt"} or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    for name in ("GenerateDataKey", "Decrypt"):
        assert mine[name]["userIdentity"]["type"] == "Root"
        assert mine[name]["userIdentity"]["invokedBy"] == "AWS Internal"
        assert mine[name]["requestParameters"]["encryptionContext"] == {"aws:s3:arn": "arn:aws:s3:::sealed/seen"}
        assert mine[name]["readOnly"] is True


def test_everything_decrypts_after_a_kill_of_everything(tmp_path: Path) -> None:
    """SIGKILL for us takes the object store along; afterwards every object is read again, before and after rotation."""
    gateway = start(tmp_path / "home")
    kms, s3 = gateway.client("kms"), gateway.client("s3")
    s3.create_bucket(Bucket="sealed")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Key="a", Body=MARK + b"a", **sealed(key_id))
    kms.rotate_key_on_demand(KeyId=key_id)
    s3.put_object(Key="b", Body=MARK + b"b", **sealed(key_id))
    gateway.kill()
    with running(tmp_path / "home") as again:
        s3 = again.client("s3")
        assert [s3.get_object(Bucket="sealed", Key=key)["Body"].read()[-1:] for key in "ab"] == [b"a", b"b"]
        assert not is_on_disk(again, MARK)


def key_policy(trail: str, readers: str) -> str:
    """The key policy that CloudTrail's documentation asks for (cloudtrail fact sheet 3.6), for one reader of logs."""
    context = "kms:EncryptionContext:aws:cloudtrail:arn"
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statements = [
        {"Effect": "Allow", "Principal": root, "Action": ["kms:*"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": "kms:GenerateDataKey*",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{trail}"},
                "StringLike": {context: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"},
            },
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": readers},
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"Null": {context: "false"}},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def eventually(condition: Any, limit_s: float = 90) -> Any:
    """The first true value of a condition that comes true by itself."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.3)
    return found


def test_a_trail_delivers_sealed_log_files_to_those_who_may_read_them(gateway: Gateway) -> None:
    """The CLI's --kms-key-id; sealed on disk, readable with kms:Decrypt alone, waiting while the key is disabled."""
    kms, s3, cloudtrail = gateway.client("kms"), gateway.client("s3"), gateway.client("cloudtrail")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_policy(Bucket="kept", Policy=trail_policy("kept", ACCOUNT, "kept"))
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=key["KeyId"])
    named = ("--name", "kept", "--s3-bucket-name", "kept", "--kms-key-id", "alias/kept")
    arguments = (*named, "--enable-log-file-validation")
    refused = gateway.cli("cloudtrail", "create-trail", *arguments)
    assert "(InsufficientEncryptionPolicyException)" in refused.stderr
    nobody = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    kms.put_key_policy(KeyId=key["KeyId"], Policy=key_policy("kept", nobody))
    made = gateway.cli("cloudtrail", "create-trail", *arguments, "--output", "json")
    assert json.loads(made.stdout)["KmsKeyId"] == key["Arn"], made.stderr
    cloudtrail.start_logging(Name="kept")

    def files(directory: str) -> list[str]:
        found = s3.list_objects_v2(Bucket="kept", Prefix=f"AWSLogs/{ACCOUNT}/{directory}/").get("Contents", [])
        return [item["Key"] for item in found if item["Key"].endswith(".json.gz")]

    def log_files() -> list[str]:
        return files("CloudTrail")

    kms.describe_key(KeyId="alias/kept")
    first = eventually(log_files)[0]
    head = s3.head_object(Bucket="kept", Key=first)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key["Arn"])
    body = s3.get_object(Bucket="kept", Key=first)["Body"].read()
    assert gzip.decompress(body).startswith(b'{"Records":[')
    assert not is_on_disk(gateway, body)
    digest = eventually(lambda: files("CloudTrail-Digest"))[0]
    assert s3.head_object(Bucket="kept", Key=digest)["SSEKMSKeyId"] == key["Arn"]
    reader = gateway.client("s3", READER)
    assert code(reader.get_object, Bucket="kept", Key=first) == "AccessDenied"
    kms.put_key_policy(KeyId=key["KeyId"], Policy=key_policy("kept", f"arn:aws:iam::{ACCOUNT}:user/reader"))
    assert reader.get_object(Bucket="kept", Key=first)["Body"].read() == body
    kms.disable_key(KeyId=key["KeyId"])

    def error() -> str:  # a put that was under way shows the S3 server's word first
        found: str = cloudtrail.get_trail_status(Name="kept").get("LatestDeliveryError", "")
        return found

    eventually(lambda: error() == "KMS.DisabledException")
    assert code(cloudtrail.update_trail, Name="kept", KmsKeyId=key["KeyId"]) == "KmsException"
    before = len(log_files())
    kms.enable_key(KeyId=key["KeyId"])
    eventually(lambda: len(log_files()) > before)
    eventually(lambda: not error())
    eventually(lambda: {"DisableKey", "EnableKey"} <= {record["eventName"] for record in delivered(s3, "kept")})
    cloudtrail.delete_trail(Name="kept")


def test_mfa_delete_is_refused_rather_than_dropped(gateway: Gateway) -> None:
    """The embedded object store would answer success and forget it; versioning itself works."""
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="versions")
    guarded = {"Status": "Enabled", "MFADelete": "Enabled"}
    asked = {"Bucket": "versions", "VersioningConfiguration": guarded, "MFA": "arn:aws:iam::123456789012:mfa/x 123456"}
    assert code(s3.put_bucket_versioning, **asked) == "NotImplemented"
    assert "Status" not in s3.get_bucket_versioning(Bucket="versions")
    plain = {"Status": "Enabled", "MFADelete": "Disabled"}
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration=plain)
    assert s3.get_bucket_versioning(Bucket="versions")["Status"] == "Enabled"
