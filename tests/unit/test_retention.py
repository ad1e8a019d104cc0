"""Rules that treat log files and digest files differently are told; those that do not are not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.cli.retention import difference, expires

LOGS, DIGESTS = "p/AWSLogs/123456789012/CloudTrail/", "p/AWSLogs/123456789012/CloudTrail-Digest/"


def rule(prefix: str, days: int = 30, status: str = "Enabled", **more: Any) -> dict[str, Any]:
    """A rule as GetBucketLifecycleConfiguration gives it."""
    return {"ID": "r", "Status": status, "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}, **more}


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule("p/AWSLogs/")],
        [rule("")],
        [rule(LOGS), rule(DIGESTS)],
        [rule("p/AWSLogs/"), rule(LOGS, 400)],  # the earlier one decides
        [rule(LOGS, status="Disabled")],
        [rule("other/")],
        [rule("p/AWSLogs/123456789012/CloudTrail")],  # a prefix is no folder
        [{"Status": "Enabled", "Prefix": "p/", "Expiration": {"Date": datetime(2026, 1, 1, tzinfo=UTC)}}],
        [{"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}}],
    ],
)
def test_equal_treatment_is_no_difference(rules: list[dict[str, Any]]) -> None:
    """Whatever rules say, as long as they say it of both."""
    assert difference(rules, LOGS, DIGESTS) is None


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule(LOGS)], "log files go after 30 days, digest files never"),
        ([rule(DIGESTS)], "log files go never, digest files after 30 days"),
        ([rule(LOGS, 30), rule(DIGESTS, 60)], "log files go after 30 days, digest files after 60 days"),
        ([rule("p/AWSLogs/", 90), rule(LOGS, 30)], "log files go after 30 days, digest files after 90 days"),
        (
            [rule(f"{LOGS}us-east-1/")],
            "log files go after 30 days (below us-east-1/), digest files never",
        ),
        (
            [{"Status": "Enabled", "Prefix": LOGS, "Expiration": {"Date": datetime(2026, 1, 1, tzinfo=UTC)}}],
            "log files go at 2026-01-01, digest files never",
        ),
        (
            [{**rule(DIGESTS), "Expiration": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}],
            "log files go never, digest files after 3 days (versions that are not current)",
        ),
        (
            [rule("", Filter={"And": {"Prefix": LOGS, "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeLessThan": 9}})],
            "log files go after 30 days (tagged a=b, smaller than 9 bytes), digest files never",
        ),
    ],
)
def test_unequal_treatment_is_told(rules: list[dict[str, Any]], told: str) -> None:
    """In days, dates, parts of the folder, and of which versions."""
    assert difference(rules, LOGS, DIGESTS) == told


def test_what_expires_as_a_whole() -> None:
    """A rule for a part does not make the folder expire."""
    assert expires([rule("p/")], LOGS)
    assert not expires([rule(f"{LOGS}us-east-1/")], LOGS)
    assert not expires([rule("p/", status="Disabled")], LOGS)
