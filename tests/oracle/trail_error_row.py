"""A row of the table of refusals, and the world that the rows speak of: accounts, regions, buckets, ARNs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, STRANGER = "123456789012", "210987654321"
HOME, IRELAND, FULL, BROKEN, NEW = "us-east-1", "eu-west-1", "ap-south-1", "ca-central-1", "eu-north-1"
"""Regions: of most trails; of a trail and a namesake; with five trails; with trails that lost something; with none."""

LOGS = "trail-errors-logs"
"""A bucket that takes the log files of every trail of the account."""

CLOSED = "trail-errors-closed"
"""A bucket without a policy."""

NO_KEY = "11111111-2222-3333-4444-555555555555"
UUID = "0f14d0ab-9605-4a62-a9e4-5ed26688389b"


@dataclass(frozen=True)
class Row:
    """One refused call. ``keeps`` names what must be as before, by the readers of the test; nothing for reads."""

    operation: str
    parameters: Mapping[str, Any]
    code: str
    text: str | None = None
    region: str = HOME
    keeps: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"{self.operation}-{self.code.removesuffix('Exception')}"


def arn(name: str, region: str = HOME, account: str = ACCOUNT, kind: str = "trail") -> str:
    """The ARN of one of CloudTrail's resources."""
    return f"arn:aws:cloudtrail:{region}:{account}:{kind}/{name}"


def unknown(shown: str) -> str:
    """TrailNotFoundException's text (cloudtrail fact sheet 6.2)."""
    return f"Unknown trail: {shown} for the user: {ACCOUNT}"


STORE = arn(UUID, kind="eventdatastore")
# What begins like an ARN and is none of a trail, other partitions among it.
NOT_TRAIL_ARNS = (
    "arn:aws:cloudtrail",
    arn("ab"),
    arn("single", kind="channel"),
    arn("single").replace("arn:aws:", "arn:aws-us-gov:"),
    arn("single").replace("arn:aws:", "arn:aws-cn:"),
    arn("single", account="1234"),
    arn("single", region=""),
    arn("single").replace(":cloudtrail:", ":s3:"),
)
