"""Lifecycle rules put with the unmodified AWS CLI and boto3: kept, shown, refused, recorded and carried out."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, delivered, make_trail, running

BUCKET = "lifecycle-through-the-endpoint"
PAST = "2024-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An OpenTrail that looks at rules every second."""
    with running(tmp_path_factory.mktemp("up") / "home", {"OPENTRAIL_LIFECYCLE_INTERVAL_S": "1"}) as gateway:
        yield gateway


def until(holds: Callable[[], bool], limit_s: float = 60) -> None:
    """Wait for something."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def keys(s3: Any, bucket: str = BUCKET) -> list[str]:
    """What a bucket lists."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_the_cli_puts_a_rule_that_expires_log_files(gateway: Gateway, tmp_path: Path) -> None:
    """put, get, the effect, delete; and the records of it in the trail."""
    s3 = gateway.client("s3")
    make_trail(gateway, BUCKET)
    until(lambda: any("/CloudTrail/" in key and key.endswith(".gz") for key in keys(s3)))
    s3.put_object(Bucket=BUCKET, Key="kept/1", Body=b"x")
    rules = {
        "Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "AWSLogs/"}, "Expiration": {"Date": PAST}}]
    }
    gateway.client("cloudtrail").stop_logging(Name="main")
    api = ("s3api", "--output", "json")
    done = gateway.cli(
        *api, "put-bucket-lifecycle-configuration", "--bucket", BUCKET, "--lifecycle-configuration", json.dumps(rules)
    )
    assert done.returncode == 0, done.stderr
    until(lambda: keys(s3) == ["kept/1"])
    done = gateway.cli(*api, "get-bucket-lifecycle-configuration", "--bucket", BUCKET)
    assert json.loads(done.stdout)["Rules"][0]["ID"] == "old", done.stderr
    done = gateway.cli(*api, "delete-bucket-lifecycle", "--bucket", BUCKET)
    assert done.returncode == 0, done.stderr
    done = gateway.cli(*api, "get-bucket-lifecycle-configuration", "--bucket", BUCKET)
    assert "NoSuchLifecycleConfiguration" in done.stderr
    assert "lifecycle: 's3://" in gateway.log.read_text()
    with urllib.request.urlopen(f"{gateway.url}/_opentrail/metrics", timeout=30) as page:
        counted = re.search(r'opentrail_lifecycle_actions_total\{action="expired"\} (\d+)', page.read().decode())
    assert counted is not None
    assert int(counted[1]) >= 1
    gateway.client("cloudtrail").start_logging(Name="main")
    names = ("PutBucketLifecycle", "GetBucketLifecycle", "DeleteBucketLifecycle")
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=_days(3650))
    s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    until(lambda: set(names) <= {record["eventName"] for record in delivered(s3, BUCKET)})
    put = next(record for record in delivered(s3, BUCKET) if record["eventName"] == names[0])
    rule = put["requestParameters"]["LifecycleConfiguration"]["Rule"]
    assert rule["Expiration"] == {"Days": 3650}
    assert put["eventSource"] == "s3.amazonaws.com"
    assert not put["readOnly"]


def _days(days: int) -> dict[str, Any]:
    return {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "AWSLogs/"}, "Expiration": {"Days": days}}]}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "NotImplemented"),
        ({}, "InvalidRequest"),
    ],
)
def test_refusals_are_modelled_and_change_nothing(gateway: Gateway, rule: dict[str, Any], code: str) -> None:
    """The rule of before stays."""
    s3 = gateway.client("s3")
    bucket = f"lifecycle-refused-{code.lower()}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=_days(3650))
    bad = {"Rules": [{"ID": "bad", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]}
    with pytest.raises(ClientError) as refused:
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=bad)
    assert refused.value.response["Error"]["Code"] == code
    (kept,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert kept["Expiration"] == {"Days": 3650}


def test_a_bucket_that_is_made_again_has_no_rules(gateway: Gateway) -> None:
    """Rules go with their bucket."""
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="lifecycle-again")
    s3.put_bucket_lifecycle_configuration(Bucket="lifecycle-again", LifecycleConfiguration=_days(1))
    s3.delete_bucket(Bucket="lifecycle-again")
    s3.create_bucket(Bucket="lifecycle-again")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="lifecycle-again")


def test_an_archive_that_comes_later_waits_for_a_restart(gateway: Gateway) -> None:
    """A reload tells it; rules do not change their way under way."""
    archive = '[upstream.archive]\nendpoint = "http://127.0.0.1:1"\ncredentials = "{}"\nbucket = "b"\n'
    path = gateway.home / "opentrail.toml"
    path.write_text(archive.format(gateway.home / "credentials"))
    done = gateway.opentrail("reload", "--json")
    path.unlink()
    assert "upstream.archive" in json.loads(done.stdout)["waitingForRestart"], done.stderr
