"""The keys of digest files and log files, read from what a bucket holds (cloudtrail fact sheet 3.2 and 5.1).

    [prefix/]AWSLogs/[o-orgid/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAILNAME_HOMEREGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz

TRAILNAME may contain ``_``; regions never do, so a name is read from both ends. Date folders must agree with the stamp.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentrail.aws.arn import Arn
from opentrail.verify.times import parse_minute_stamp, parse_stamp

LOG_KINDS = ("CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated")
"""The folders of log files."""

_DIGEST_NAME = re.compile(
    r"(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/(?P<account>[0-9]{12})_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_(?P<trail>[A-Za-z0-9._-]+)"
    r"_(?P<home>[a-z0-9-]+)_(?P<stamp>[0-9]{8}T[0-9]{6}Z)(?P<backfill>_backfill)?\.json\.gz"
)
_LOG_NAME = re.compile(
    r"(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/(?P<account>[0-9]{12})_(?P<kind>CloudTrail[A-Za-z-]*)_(?P<region>[a-z0-9-]+)"
    r"_(?P<stamp>[0-9]{8}T[0-9]{4}Z)_[A-Za-z0-9_]+\.json\.gz"
)


@dataclass(frozen=True, slots=True)
class AccountRegion:
    """Everything of one account and region in one place of a bucket. ``root`` ends at the account: it is
    ``[prefix/]AWSLogs/[o-orgid/]ACCOUNT/``.
    """

    bucket: str
    root: str
    account_id: str
    region: str

    @property
    def in_organization(self) -> bool:
        """Whether an organization's id stands before the account."""
        return self.root.split("/")[-3].startswith("o-")

    @property
    def digest_folder(self) -> str:
        """The prefix of its digest files' keys."""
        return f"{self.root}CloudTrail-Digest/{self.region}/"

    def log_folder(self, kind: str) -> str:
        """The prefix of one kind of its log files' keys."""
        return f"{self.root}{kind}/{self.region}/"


@dataclass(frozen=True, slots=True)
class ChainName:
    """One chain of digest files: of a trail, in an account and region; backfill digests have a chain of their own."""

    place: AccountRegion
    trail_name: str
    home_region: str
    backfill: bool = False

    def key(self, stamp: datetime) -> str:
        """The key of the digest file whose interval ended at ``stamp``."""
        place = self.place
        name = f"{place.account_id}_CloudTrail-Digest_{place.region}_{self.trail_name}_{self.home_region}"
        suffix = "_backfill" if self.backfill else ""
        return f"{place.digest_folder}{stamp:%Y/%m/%d}/{name}_{stamp:%Y%m%dT%H%M%SZ}{suffix}.json.gz"

    def __str__(self) -> str:
        kind = " (backfill)" if self.backfill else ""
        return f"{self.trail_name} ({self.home_region}) in {self.place.account_id} {self.place.region}{kind}"

    def is_of(self, trail: Arn) -> bool:
        """Whether this is a chain of a trail. An organization's trail has chains of other accounts than its own."""
        same_owner = trail.account_id == self.place.account_id or self.place.in_organization
        return same_owner and (trail.region, trail.resource) == (self.home_region, f"trail/{self.trail_name}")


def before_day(folder: str, day: datetime) -> str:
    """A key that comes after everything of the days before a day, and before everything of that day."""
    return f"{folder}{day - timedelta(days=1):%Y/%m/%d}/~"


def parse_digest_key(place: AccountRegion, key: str) -> tuple[ChainName, datetime] | None:
    """The chain of a digest file and the end of its interval; None for any other key."""
    if not key.startswith(place.digest_folder):
        return None
    match = _DIGEST_NAME.fullmatch(key[len(place.digest_folder) :])
    if match is None or match["account"] != place.account_id or match["region"] != place.region:
        return None
    stamp = _stamp(match, parse_stamp)
    if stamp is None:
        return None
    return ChainName(place, match["trail"], match["home"], backfill=bool(match["backfill"])), stamp


def parse_log_key(place: AccountRegion, kind: str, key: str) -> datetime | None:
    """The stamp of a log file; None for any other key."""
    folder = place.log_folder(kind)
    match = _LOG_NAME.fullmatch(key[len(folder) :]) if key.startswith(folder) else None
    if match is None or (match["account"], match["kind"], match["region"]) != (place.account_id, kind, place.region):
        return None
    return _stamp(match, parse_minute_stamp)


def _stamp(match: re.Match[str], parse: Callable[[str], datetime]) -> datetime | None:
    try:
        stamp = parse(match["stamp"])
    except ValueError:
        return None
    return stamp if f"{stamp:%Y/%m/%d}" == match["day"] else None


def parse_place(bucket: str, digest_key: str) -> AccountRegion | None:
    """The place that a digest file's key is in; None for any other key."""
    parts = digest_key.rsplit("/", 6)
    if len(parts) != 7 or parts[1] != "CloudTrail-Digest":
        return None
    root = f"{parts[0]}/"
    place = AccountRegion(bucket, root, root.split("/")[-2], parts[2])
    return place if parse_digest_key(place, digest_key) else None
