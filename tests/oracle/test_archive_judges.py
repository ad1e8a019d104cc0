"""A trail's files half in their bucket and half in the archive: what the AWS CLI and `opentrail validate` say of both.

docs/retention.md tells it, and is held against this.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opentrail.cli.doctor_buckets import archive_checks
from opentrail.config import load
from tests.support.archive import BUCKET as ARCHIVE
from tests.support.archive import ArchiveServer, running_archive
from tests.support.gateway import Gateway, make_trail, running
from tests.support.validate_logs import Verdict, verdict_of

BUCKET = "aws-cloudtrail-logs-123456789012-0000aaaa"
ARN = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"
DIGESTS = "/CloudTrail-Digest/us-east-1/2"
RULES = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "AWSLogs/"},
                    "Expiration": {"Date": "2024-01-01T00:00:00Z"}}]}  # fmt: skip
QUIET_S = 6.0
DOCS = (Path(__file__).resolve().parents[2] / "docs" / "retention.md").read_text()


def until(holds: Callable[[], bool], limit_s: float = 90) -> None:
    """Wait for something."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def digests(keys: list[str]) -> list[str]:
    """The digest files among keys, oldest first."""
    return sorted(key for key in keys if DIGESTS in key)


class Split:
    """The two buckets, and the judges."""

    def __init__(self, gateway: Gateway, archive: ArchiveServer) -> None:
        self.gateway, self.archive = gateway, archive
        self.since = datetime.now(UTC) - timedelta(minutes=1)
        self.s3 = gateway.client("s3")
        self.environment = {
            **gateway.tool_environment(),
            "AWS_ACCESS_KEY_ID": archive.key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": archive.key.secret_access_key,
        }

    def keys(self) -> list[str]:
        """What the trail's bucket has."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def ours(self, *arguments: str, archive: bool = False) -> tuple[int, dict[str, Any]]:
        """`opentrail validate`, as an operator calls it."""
        environment = {**os.environ, **self.environment}
        if archive:
            environment["AWS_ENDPOINT_URL_S3"] = self.archive.server.endpoint
        command = [sys.executable, "-m", "opentrail", "validate", *arguments, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def theirs(self, *options: str, archive: bool = False, since: str = "") -> tuple[int, Verdict]:
        """`aws cloudtrail validate-logs`, unmodified."""
        environment = dict(self.environment)
        if archive:
            environment["AWS_ENDPOINT_URL_S3"] = self.archive.server.endpoint
        times = ("--start-time", since or f"{self.since:%Y-%m-%dT%H:%M:%SZ}")
        done = self.gateway.cli(
            "cloudtrail", "validate-logs", "--trail-arn", ARN, "--verbose", *times, *options, environment=environment
        )
        return done.returncode, verdict_of(done.stdout, done.stderr)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """A trail with digest files, the older half of which a rule has moved to the archive."""
    directory = tmp_path_factory.mktemp("split")
    settings = {"OPENTRAIL_DELIVERY_DIGEST_INTERVAL_S": "2", "OPENTRAIL_LIFECYCLE_INTERVAL_S": "1"}
    with (
        running_archive(directory / "archive") as archive,
        running(directory / "home", {**settings, **archive.settings}) as gateway,
    ):
        pair = archive.key
        gateway.import_key("123456789012", pair, "--root")
        split = Split(gateway, archive)
        make_trail(gateway, BUCKET)
        cloudtrail = gateway.client("cloudtrail")
        cloudtrail.update_trail(Name="main", EnableLogFileValidation=True)
        _live(split, lambda: len(digests(split.keys())) > 4)
        split.s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=RULES)
        _live(split, lambda: len(digests(archive.listed())) > 4)
        split.s3.delete_bucket_lifecycle(Bucket=BUCKET)
        _live(split, lambda: len(digests(split.keys())) > 4)
        cloudtrail.stop_logging(Name="main")
        _until_quiet(split)
        yield split


def _until_quiet(split: Split) -> None:
    """Wait until the final digest file is there: nothing has been put for a while."""
    seen, since = split.keys(), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        time.sleep(0.2)
        if (now := split.keys()) != seen:
            seen, since = now, time.monotonic()


def _live(split: Split, enough: Callable[[], bool]) -> None:
    """Calls, until there is enough."""

    def call() -> bool:
        split.gateway.client("cloudtrail").list_trails()
        return enough()

    until(call)


def _stamp(key: str) -> str:
    found = re.search(r"_(\d{8}T\d{6})Z\.json\.gz$", key)
    assert found is not None
    return f"{datetime.strptime(found[1], '%Y%m%dT%H%M%S').replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%SZ}"


def test_the_bucket_says_that_its_past_is_gone(split: Split) -> None:
    """Both judges: truncated, exit code 1. From the first digest that is left, everything is valid."""
    code, report = split.ours(f"s3://{BUCKET}", "--end-time", _stamp(digests(split.keys())[-1]))
    assert code == 1
    assert {one["kind"] for one in report["findings"]} <= {"chain-truncated", "log-missing"}
    assert "chain-truncated" in {one["kind"] for one in report["findings"]}
    (chain,) = report["chains"]
    assert chain["digests"] == chain["digestsValid"] == len(digests(split.keys()))
    code, verdict = split.theirs()
    assert code == 1
    assert any(line.endswith("INVALID: not found") and line.startswith("Digest file") for line in verdict.invalid)
    assert verdict.digests_valid >= len(digests(split.keys()))
    assert "`chain-truncated`" in DOCS
    assert "`Digest file INVALID: not found`" in DOCS
    second = _stamp(digests(split.keys())[1])
    code, report = split.ours(f"s3://{BUCKET}", "--start-time", second, "--end-time", _stamp(digests(split.keys())[-1]))
    assert (code, report["findings"]) == (0, []), report
    code, verdict = split.theirs(since=second)
    assert (code, verdict.invalid) == (0, ()), verdict.text


def test_the_archive_is_whole_under_its_original_name(split: Split, tmp_path: Path) -> None:
    """With the original bucket's name; without it, every digest was moved."""
    last = digests(split.archive.listed())[-2]
    asked = (f"s3://{ARCHIVE}", "--end-time", _stamp(last))
    code, report = split.ours(*asked, "--original-bucket", BUCKET, archive=True)
    assert (code, report["findings"], report["readFrom"]) == (0, [], f"s3://{ARCHIVE}"), report
    assert sum(chain["logsValid"] for chain in report["chains"]) > 0
    code, report = split.ours(*asked, archive=True)
    assert code == 1
    assert {one["kind"] for one in report["findings"]} >= {"digest-moved"}
    code, verdict = split.theirs("--s3-bucket", ARCHIVE, archive=True)
    assert code == 1
    assert any("has been moved from its original location" in line for line in verdict.invalid), verdict.text
    assert "`has been moved from its original location`" in DOCS


def test_doctor_looks_at_the_archive(split: Split) -> None:
    """Where it is, or that there is no such bucket, or nobody."""
    settings = dict(split.archive.settings)
    (check,) = archive_checks(load(None, settings))
    assert (check.state, f"s3://{ARCHIVE} at " in check.detail) == ("ok", True)
    for change in ({"BUCKET": "nowhere"}, {"ENDPOINT": "http://127.0.0.1:1"}, {"CREDENTIALS": "/nowhere"}):
        changed = settings | {f"OPENTRAIL_UPSTREAM_ARCHIVE_{name}": value for name, value in change.items()}
        (check,) = archive_checks(load(None, changed))
        assert check.state == "problem", change
        assert "stay where they are" in check.detail
    assert archive_checks(load(None, {})) == []


def test_a_tampered_archive_is_noticed(split: Split) -> None:
    """The option forgives the place, nothing else."""
    key = next(key for key in split.archive.listed() if "/CloudTrail/us-east-1/2" in key)
    body = split.archive.store.get(ARCHIVE, key)
    split.archive.store.put(ARCHIVE, key, body[:-1] + bytes([body[-1] ^ 1]), content_type="application/json")
    asked = (f"s3://{ARCHIVE}", "--end-time", _stamp(digests(split.archive.listed())[-2]), "--original-bucket", BUCKET)
    code, report = split.ours(*asked, archive=True)
    split.archive.store.put(ARCHIVE, key, body, content_type="application/json")
    assert code == 1
    assert [one["kind"] for one in report["findings"]] == ["log-malformed"]


def test_a_downloaded_archive_is_whole(split: Split, tmp_path: Path) -> None:
    """A directory is judged under the name that its digest files have."""
    for key in split.archive.listed():
        path = tmp_path / "copy" / key
        if key.endswith("/") or (DIGESTS in key and key > digests(split.archive.listed())[-2]):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(split.archive.store.get(ARCHIVE, key))
        head = split.archive.store.head(ARCHIVE, key)
        assert head is not None
        path.with_name(f"{path.name}.metadata.json").write_text(json.dumps({"Metadata": dict(head.metadata)}))
    keys = split.gateway.cli(
        "cloudtrail", "list-public-keys", "--start-time", f"{split.since:%Y-%m-%dT%H:%M:%SZ}", "--output", "json"
    )
    (tmp_path / "keys.json").write_text(keys.stdout)
    last = _stamp(digests(split.archive.listed())[-2])
    code, report = split.ours(str(tmp_path / "copy"), "--public-keys", str(tmp_path / "keys.json"), "--end-time", last)
    assert (code, report["findings"]) == (0, []), report
