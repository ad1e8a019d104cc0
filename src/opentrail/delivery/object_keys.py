"""The object keys of log files, made and read back, and those of digest files (cloudtrail fact sheet 3.2, 5.1).

    ROOT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE16.json.gz
    ROOT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAILNAME_HOMEREGION_YYYYMMDDTHHMMSSZ.json.gz

ROOT is ``[prefix/]AWSLogs/[o-orgid/]ACCOUNT`` (``Trail.log_root``, with the slash that follows it).
A log file's stamp is the minute of delivery in UTC, never the time of an event; only UNIQUE16 keeps two files of a
minute apart. A digest file's stamp is the second at which its interval ends; it is what keeps two of them apart.
"""

import re
import string
from dataclasses import dataclass
from datetime import UTC, datetime

UNIQUE_ALPHABET = string.ascii_letters + string.digits
UNIQUE_LENGTH = 16
_KEY = re.compile(
    r"(?P<root>(?:.+/)?AWSLogs/(?:o-[a-z0-9]{10,32}/)?(?P<account>[0-9]{12})/)CloudTrail/(?P<region>[\w-]+)/(?P<folder>[0-9]{4}/[0-9]{2}/[0-9]{2})/"
    r"(?P=account)_CloudTrail_(?P=region)_(?P<stamp>[0-9]{8}T[0-9]{4}Z)_(?P<unique>[A-Za-z0-9]{16})\.json\.gz",
    re.DOTALL | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class LogFileKey:
    """What a log file's key says. ``stamp`` is an aware UTC datetime, whole minutes."""

    root: str
    region: str
    stamp: datetime
    unique: str

    @property
    def account_id(self) -> str:
        """Whose events the file holds."""
        return _account_of(self.root)

    def __str__(self) -> str:
        """The object key."""
        minute = self.stamp.astimezone(UTC)
        folder = f"{self.root}CloudTrail/{self.region}/{minute:%Y/%m/%d}"
        return f"{folder}/{self.account_id}_CloudTrail_{self.region}_{minute:%Y%m%dT%H%MZ}_{self.unique}.json.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFileKey:
    """What a digest file's key says. ``region`` is the one whose log files it covers, ``home_region`` the trail's;
    ``end`` is an aware UTC datetime, whole seconds.
    """

    root: str
    region: str
    trail_name: str
    home_region: str
    end: datetime

    @property
    def account_id(self) -> str:
        """Whose log files it covers."""
        return _account_of(self.root)

    def __str__(self) -> str:
        """The object key."""
        second = self.end.astimezone(UTC)
        folder = f"{self.root}CloudTrail-Digest/{self.region}/{second:%Y/%m/%d}"
        of_trail = f"{self.account_id}_CloudTrail-Digest_{self.region}_{self.trail_name}_{self.home_region}"
        return f"{folder}/{of_trail}_{second:%Y%m%dT%H%M%SZ}.json.gz"


def parse(key: str) -> LogFileKey | None:
    """The parts of a log file's key; None for any other key (markers, digests, strangers' objects)."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    try:
        stamp = datetime.strptime(match["stamp"], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    if f"{stamp:%Y/%m/%d}" != match["folder"]:
        return None
    return LogFileKey(match["root"], match["region"], stamp, match["unique"])


def _account_of(root: str) -> str:
    return root.split("/")[-2]
