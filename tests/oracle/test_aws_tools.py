"""Strangers' tools have the last word: the unmodified AWS CLI and boto3 against a whole, real OpenTrail."""

import base64
import gzip
import io
import json
import time
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from opentrail.local.goiardi import goiardi_binary
from tests.support.gateway import Gateway, delivered, make_trail, running, trail_policy

BUCKET = "aws-cloudtrail-logs-123456789012-0000aaaa"
PROFILE = "arn:aws:iam::123456789012:instance-profile/aws-opsworks-cm-ec2-role"
ROLE = "arn:aws:iam::123456789012:role/service-role/aws-opsworks-cm-service-role"
needs_goiardi = pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail with a trail, for all tests here."""
    with running(tmp_path_factory.mktemp("oracle") / "home", {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "1"}) as gateway:
        make_trail(gateway, BUCKET)
        yield gateway


def _until(holds: Callable[[], Any], what: str, patience_s: float = 60) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.2)
    return found


def _json(gateway: Gateway, *arguments: str) -> Any:
    done = gateway.cli(*arguments)
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout or "{}")


@needs_goiardi
@pytest.mark.goiardi
def test_the_aws_cli_drives_every_opsworks_cm_operation(gateway: Gateway) -> None:
    """`aws opsworkscm`: create, wait, describe, update, tag, back up, delete; each call stands in the trail once."""
    base = ("--instance-profile-arn", PROFILE, "--service-role-arn", ROLE, "--instance-type", "m5.large")
    create = (
        "create-server",
        "--server-name",
        "cli-one",
        "--engine",
        "ChefAutomate",
        "--engine-model",
        "Single",
        *base,
    )
    made = _json(gateway, "opsworkscm", *create)["Server"]
    assert made["Status"] == "CREATING"
    secrets = {item["Name"]: item["Value"] for item in made["EngineAttributes"]}
    load_pem_private_key(secrets["CHEF_AUTOMATE_PIVOTAL_KEY"].encode(), None)
    kit = zipfile.ZipFile(io.BytesIO(base64.b64decode(secrets["CHEF_STARTER_KIT"])))
    assert ".chef/knife.rb" in kit.namelist()

    def server() -> dict[str, Any]:
        found: dict[str, Any] = _json(gateway, "opsworkscm", "describe-servers", "--server-name", "cli-one")["Servers"][
            0
        ]
        return found

    _until(lambda: server()["Status"] == "HEALTHY", "HEALTHY")
    assert server().get("EngineAttributes", []) == []
    arn = made["ServerArn"]
    updated = _json(gateway, "opsworkscm", "update-server", "--server-name", "cli-one", "--backup-retention-count", "7")
    assert updated["Server"]["BackupRetentionCount"] == 7
    _json(gateway, "opsworkscm", "tag-resource", "--resource-arn", arn, "--tags", "Key=stage,Value=test")
    tags = _json(gateway, "opsworkscm", "list-tags-for-resource", "--resource-arn", arn)["Tags"]
    assert tags == [{"Key": "stage", "Value": "test"}]
    _json(gateway, "opsworkscm", "untag-resource", "--resource-arn", arn, "--tag-keys", "stage")
    backup = _json(gateway, "opsworkscm", "create-backup", "--server-name", "cli-one")["Backup"]["BackupId"]

    def backup_state() -> str:
        found = _json(gateway, "opsworkscm", "describe-backups", "--backup-id", backup)["Backups"]
        return str(found[0]["Status"])

    _until(lambda: backup_state() == "OK", "the backup")
    assert _json(gateway, "opsworkscm", "describe-events", "--server-name", "cli-one")["ServerEvents"]
    attributes = _json(gateway, "opsworkscm", "describe-account-attributes")["Attributes"]
    assert {item["Name"]: item["Used"] for item in attributes} == {"ServerLimit": 1, "ManualBackupLimit": 1}
    _json(gateway, "opsworkscm", "delete-backup", "--backup-id", backup)
    _json(gateway, "opsworkscm", "delete-server", "--server-name", "cli-one")
    _until(lambda: not _json(gateway, "opsworkscm", "describe-servers")["Servers"], "the server to be gone")

    s3 = gateway.client("s3")
    wanted = {
        "CreateServer",
        "UpdateServer",
        "TagResource",
        "UntagResource",
        "CreateBackup",
        "DeleteBackup",
        "DeleteServer",
    }

    def counted() -> Counter[str]:
        records = delivered(s3, BUCKET)
        mine = [record for record in records if "aws-cli" in record["userAgent"]]
        return Counter(record["eventName"] for record in mine if record["eventSource"] == "opsworks-cm.amazonaws.com")

    _until(lambda: wanted <= set(counted()), "the records")
    assert {name: counted()[name] for name in wanted} == dict.fromkeys(wanted, 1)
    text = json.dumps(delivered(s3, BUCKET))
    for secret in secrets.values():
        assert (secret[40:80] or secret) not in text


def test_the_aws_cli_drives_every_trail_operation(gateway: Gateway) -> None:
    """`aws cloudtrail`: create, get, describe, list, update, start, status, stop, delete, and what is refused."""
    bucket = "second-trail-bucket"
    gateway.client("s3").create_bucket(Bucket=bucket)
    refused = gateway.cli("cloudtrail", "create-trail", "--name", "second", "--s3-bucket-name", bucket)
    assert "InsufficientS3BucketPolicyException" in refused.stderr
    gateway.client("s3").put_bucket_policy(Bucket=bucket, Policy=trail_policy(bucket, "123456789012", "second"))
    made = _json(gateway, "cloudtrail", "create-trail", "--name", "second", "--s3-bucket-name", bucket)
    arn = made["TrailARN"]
    assert _json(gateway, "cloudtrail", "get-trail", "--name", "second")["Trail"]["HomeRegion"] == "us-east-1"
    assert "second" in {trail["Name"] for trail in _json(gateway, "cloudtrail", "describe-trails")["trailList"]}
    assert arn in {trail["TrailARN"] for trail in _json(gateway, "cloudtrail", "list-trails")["Trails"]}
    _json(gateway, "cloudtrail", "start-logging", "--name", arn)
    assert _json(gateway, "cloudtrail", "get-trail-status", "--name", "second")["IsLogging"] is True
    multi = _json(gateway, "cloudtrail", "update-trail", "--name", "second", "--is-multi-region-trail")
    assert multi["IsMultiRegionTrail"] is True
    _json(gateway, "cloudtrail", "stop-logging", "--name", "second")
    assert _json(gateway, "cloudtrail", "get-trail-status", "--name", "second")["IsLogging"] is False
    unsupported = gateway.cli("cloudtrail", "lookup-events")
    assert "UnsupportedOperationException" in unsupported.stderr
    missing = gateway.cli("cloudtrail", "get-trail-status", "--name", "nosuch")
    assert "TrailNotFoundException" in missing.stderr
    _json(gateway, "cloudtrail", "delete-trail", "--name", "second")
    s3 = gateway.client("s3")
    names = _until(
        lambda: {"StartLogging", "StopLogging"} <= (found := {r["eventName"] for r in delivered(s3, bucket)}) and found,
        "the second trail's records",
    )
    assert "DeleteTrail" not in names, "the trail did not log any more when it was deleted"


def test_the_aws_cli_reads_a_log_file(gateway: Gateway, tmp_path: Path) -> None:
    """`aws s3 cp` of a log file: one gzip member, one Records key, each of our calls in it exactly once."""
    answer = gateway.client("opsworkscm").describe_servers()["ResponseMetadata"]
    s3 = gateway.client("s3")
    _until(lambda: answer["RequestId"] in {r["requestID"] for r in delivered(s3, BUCKET)}, "the record")
    listing = gateway.cli("s3", "ls", "--recursive", f"s3://{BUCKET}/AWSLogs/")
    keys = [line.split()[-1] for line in listing.stdout.splitlines() if line.endswith(".json.gz")]
    target = tmp_path / "x.json.gz"
    assert gateway.cli("s3", "cp", f"s3://{BUCKET}/{keys[-1]}", str(target)).returncode == 0
    document = json.loads(gzip.decompress(target.read_bytes()))
    assert list(document) == ["Records"]
    ids = Counter(record["eventID"] for record in delivered(s3, BUCKET))
    assert set(ids.values()) == {1}
    head = s3.head_object(Bucket=BUCKET, Key=keys[-1])
    assert head["ContentType"] == "application/json"
    assert head["ContentEncoding"] == "gzip"
    assert head["ServerSideEncryption"] == "AES256"


def test_the_aws_cli_moves_objects(gateway: Gateway, tmp_path: Path) -> None:
    """`aws s3 mb, cp (small, multipart), ls, presign, rm, rb`: bytes come back as they went."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"hello")
    large.write_bytes(bytes(range(256)) * 4096 * 20)
    assert gateway.cli("s3", "mb", "s3://objects-one").returncode == 0
    for file in (small, large):
        done = gateway.cli("s3", "cp", str(file), f"s3://objects-one/d/{file.name}")
        assert done.returncode == 0, done.stderr
    assert gateway.cli("s3", "cp", "s3://objects-one/d/large", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert "small" in gateway.cli("s3", "ls", "s3://objects-one/d/").stdout
    settings = tmp_path / "config"
    settings.write_text("[default]\ns3 =\n  signature_version = s3v4\n")  # without it, AWS CLI 1 signs with version 2
    for more in ({}, {"AWS_CONFIG_FILE": str(settings)}):
        signing = gateway.tool_environment() | more
        link = gateway.cli("s3", "presign", "s3://objects-one/d/small", environment=signing).stdout.strip()
        with urllib.request.urlopen(link) as answer:
            assert answer.read() == b"hello"
    assert gateway.cli("s3", "rm", "--recursive", "s3://objects-one/d/").returncode == 0
    assert gateway.cli("s3", "rb", "s3://objects-one").returncode == 0


def test_sts_says_who_calls(gateway: Gateway) -> None:
    """`aws sts get-caller-identity` over the Query protocol."""
    assert _json(gateway, "sts", "get-caller-identity") == {
        "UserId": "123456789012",
        "Account": "123456789012",
        "Arn": "arn:aws:iam::123456789012:root",
    }


def test_what_nobody_here_serves_is_refused_and_recorded(gateway: Gateway) -> None:
    """Neither we nor MiniStack have Glacier: a clear error, and a record that somebody tried."""
    with pytest.raises(ClientError, match="OpenTrail does not serve Glacier") as caught:
        gateway.client("glacier").list_vaults(accountId="-")
    wanted = caught.value.response["ResponseMetadata"]["RequestId"]
    s3 = gateway.client("s3")
    record = _until(lambda: [r for r in delivered(s3, BUCKET) if r.get("requestID") == wanted], "the record")[0]
    assert (record["eventSource"], record["eventName"]) == ("glacier.amazonaws.com", "ListVaults")
    assert record["errorCode"] == "UnsupportedOperationException"


def test_uploads_over_https_with_trailing_checksums(tmp_path: Path) -> None:
    """boto3 sends aws-chunked bodies with a trailing checksum over HTTPS; tlsDetails are recorded."""
    with running(tmp_path / "home", None, "--tls") as gateway:
        assert gateway.url.startswith("https://")
        make_trail(gateway, BUCKET)
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket="over-https")
        for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
            s3.put_object(
                Bucket="over-https", Key=algorithm, Body=io.BytesIO(b"x" * 100_000), ChecksumAlgorithm=algorithm
            )
            assert s3.get_object(Bucket="over-https", Key=algorithm)["Body"].read() == b"x" * 100_000
        identity = gateway.client("sts").get_caller_identity()["ResponseMetadata"]["RequestId"]
        record = _until(lambda: [r for r in delivered(s3, BUCKET) if r.get("requestID") == identity], "the record")[0]
        assert record["tlsDetails"]["tlsVersion"] == "TLSv1.3"
        assert record["tlsDetails"]["clientProvidedHostHeader"].startswith("127.0.0.1")
        listed = gateway.cli("s3", "ls", "s3://over-https")
        assert listed.returncode == 0, listed.stderr


def test_configurations_that_the_s3_server_does_not_know_never_touch_the_bucket(gateway: Gateway) -> None:
    """SeaweedFS would take them for DeleteBucket or CreateBucket; they are refused, and the bucket stays."""
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="spared-bucket")
    attempts: list[Callable[[], Any]] = [
        lambda: s3.delete_bucket_website(Bucket="spared-bucket"),
        lambda: s3.delete_bucket_replication(Bucket="spared-bucket"),
        lambda: s3.delete_bucket_metrics_configuration(Bucket="spared-bucket", Id="x"),
        lambda: s3.delete_bucket_inventory_configuration(Bucket="spared-bucket", Id="x"),
        lambda: s3.delete_bucket_analytics_configuration(Bucket="spared-bucket", Id="x"),
        lambda: s3.delete_bucket_intelligent_tiering_configuration(Bucket="spared-bucket", Id="x"),
        lambda: s3.put_bucket_logging(Bucket="spared-bucket", BucketLoggingStatus={}),
        lambda: s3.put_bucket_notification_configuration(Bucket="spared-bucket", NotificationConfiguration={}),
        lambda: s3.get_object_torrent(Bucket="spared-bucket", Key="k"),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError, match="NotImplemented"):
            attempt()
        s3.head_bucket(Bucket="spared-bucket")
    s3.delete_bucket(Bucket="spared-bucket")
