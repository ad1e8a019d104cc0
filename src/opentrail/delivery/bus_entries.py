"""Event records as entries of EventBridge's PutEvents, and which of them go there (cloudtrail fact sheet 10). Pure.

Rules. Management events of accounts with a trail that logs; of other events those that a trail keeps. Records over
256 KB are left out, and so are management events that only read, unless they are asked for. The bus makes the members
``version``, ``id`` and ``account`` of the envelope itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

RECORD_BYTES_MAX = 256 * 1024
ENTRIES_MAX = 10
REQUEST_BYTES_MAX = 256 * 1024
"""What the entries of one PutEvents may have together, counted as the API reference says; one alone may have more."""

_TIME_BYTES = 14
_DETAIL_TYPES = {
    "AwsApiCall": "AWS API Call via CloudTrail",
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Signin via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsCloudTrailInsight": "AWS Insight via CloudTrail",
    "AwsVpceEvent": "AWS Network Activity Event via CloudTrail",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What goes to buses: ``read_only``: management events that only read too; ``source``: what sources begin with."""

    read_only: bool = False
    source: str = "aws."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``time_s`` is the event's time in epoch seconds, ``detail`` the whole record as it was captured."""

    time_s: int
    source: str
    detail_type: str
    detail: bytes

    @property
    def size_bytes(self) -> int:
        """How much of a request it takes (EventBridge User Guide, "Calculating PutEvents event entry size")."""
        return _TIME_BYTES + len(self.source.encode()) + len(self.detail_type.encode()) + len(self.detail)

    def parameters(self) -> dict[str, Any]:
        """The entry in wire casing."""
        return {
            "Time": self.time_s,
            "Source": self.source,
            "Resources": [],
            "DetailType": self.detail_type,
            "Detail": self.detail.decode(),
        }


@dataclass(frozen=True, slots=True)
class Request:
    """The entries of one PutEvents. Everything that goes up to ``through_sequence`` is in it or was before."""

    entries: tuple[Entry, ...]
    through_sequence: int


def entry_of(record: bytes, choice: Choice, *, account_logs: bool, is_kept: bool) -> Entry | None:
    """The entry that a record becomes; None where it does not go to the bus.

    ``account_logs``: the account has a trail that logs; ``is_kept``: a trail keeps the record.
    """
    if len(record) > RECORD_BYTES_MAX or not (account_logs or is_kept):
        return None
    event = orjson.loads(record)
    detail_type = _DETAIL_TYPES.get(event.get("eventType"))
    if detail_type is None:
        return None
    if event.get("managementEvent") is True:
        if event.get("readOnly") is True and not choice.read_only:
            return None
    elif not is_kept:
        return None
    time_s = int(datetime.fromisoformat(event["eventTime"]).timestamp())
    return Entry(time_s, choice.source + event["eventSource"].partition(".")[0], detail_type, record)


def requests(entries: Iterable[tuple[int, Entry]]) -> Iterator[Request]:
    """The calls of PutEvents that entries with their sequences take: in order, each once, within the limits."""
    taken: list[Entry] = []
    taken_bytes = last = 0
    for sequence, entry in entries:
        size_bytes = entry.size_bytes
        if taken and (len(taken) == ENTRIES_MAX or taken_bytes + size_bytes > REQUEST_BYTES_MAX):
            yield Request(tuple(taken), last)
            taken, taken_bytes = [], 0
        taken.append(entry)
        taken_bytes += size_bytes
        last = sequence
    if taken:
        yield Request(tuple(taken), last)
