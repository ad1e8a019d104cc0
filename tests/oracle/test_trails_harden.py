"""`opentrail trails harden` and `doctor` on a running OpenTrail: what they recommend, and that it holds."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, delivered, make_trail, running

BUCKET = "logs-to-be-hardened"
ACCOUNT = "123456789012"
ROOT = f"AWSLogs/{ACCOUNT}/"
ADA = Key("AKIAADAADAADAADAADAA", "a" * 40)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An OpenTrail with one trail, as anybody would set it up, and an administrator."""
    with running(tmp_path_factory.mktemp("up") / "home") as gateway:
        make_trail(gateway, BUCKET)
        gateway.import_key(ACCOUNT, ADA, "--user", "ada", "--admin")
        yield gateway


def until(holds: Callable[[], bool], limit_s: float = 60) -> None:
    """Wait for something."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def harden(gateway: Gateway, *options: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the state of each measure."""
    done = gateway.opentrail("trails", "harden", "--json", *options)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, {one["measure"]: one["state"] for one in json.loads(done.stdout)}


def doctor(gateway: Gateway) -> list[dict[str, str]]:
    """What doctor says of the bucket."""
    checks = json.loads(gateway.opentrail("doctor", "--json").stdout)
    return [check for check in checks if check["subject"] == f"bucket {BUCKET}"]


MEASURES = ("versioning", "bucket policy", "lifecycle rule", "log file validation")


def test_it_shows_first_and_changes_only_when_told(gateway: Gateway) -> None:
    """Dry: exit 1, nothing changed. Applied: exit 0, and again nothing is left to do. Then it holds."""
    s3 = gateway.client("s3")
    assert harden(gateway) == (1, dict.fromkeys(MEASURES, "missing"))
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    assert "Deny" not in s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert [check["state"] for check in doctor(gateway)] == ["note", "note"]
    assert harden(gateway, "--trail", "main", "--apply", "--expire-days", "400") == (
        0,
        dict.fromkeys(MEASURES, "applied"),
    )
    assert harden(gateway) == (0, dict.fromkeys(MEASURES, "ok"))
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert (rule["Filter"], rule["Expiration"]) == ({"Prefix": ROOT}, {"Days": 400})
    assert gateway.client("cloudtrail").get_trail(Name="main")["Trail"]["LogFileValidationEnabled"]
    before = len(delivered(s3, BUCKET))
    until(lambda: len(delivered(s3, BUCKET)) > before)
    key = next(item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{ROOT}CloudTrail/us")["Contents"])
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("s3", ADA).delete_object(Bucket=BUCKET, Key=key)
    gateway.client("s3", ADA).put_object(Bucket=BUCKET, Key="other/1", Body=b"x")
    gateway.client("s3", ADA).delete_object(Bucket=BUCKET, Key="other/1")
    s3.delete_object(Bucket=BUCKET, Key=key)
    versions: Any = s3.list_object_versions(Bucket=BUCKET, Prefix=key)
    assert len(versions["Versions"]) == len(versions["DeleteMarkers"]) == 1
    assert [check["state"] for check in doctor(gateway)] == ["ok", "note"]


def test_rules_that_part_logs_from_digests_are_told(gateway: Gateway) -> None:
    """By doctor, with exit code 1, and by harden, which leaves them to people."""
    s3 = gateway.client("s3")
    harden(gateway, "--apply")
    kept = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    parted = {"ID": "p", "Status": "Enabled", "Filter": {"Prefix": f"{ROOT}CloudTrail/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [*kept, parted]})
    retention = doctor(gateway)[0]
    assert retention["state"] == "problem"
    assert "log files go after 30 days, digest files after" in retention["detail"]
    assert gateway.opentrail("doctor").returncode == 1
    code, states = harden(gateway, "--apply")
    assert (code, states["lifecycle rule"]) == (1, "by hand")
    assert len(s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]) == 2
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": kept})


def test_wrong_use(gateway: Gateway) -> None:
    """Exit code 2, one line."""
    for options in (("--trail", "nobody"), ("--expire-days", "0")):
        done = gateway.opentrail("trails", "harden", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1


def test_people_get_a_table(gateway: Gateway) -> None:
    """The same in words."""
    done = gateway.opentrail("trails", "harden")
    assert "log file validation" in done.stdout
