"""Where public keys come from: CloudTrail's ListPublicKeys, region by region, or files with its answers."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import orjson

from opentrail.errors import ConfigError, OutboundError
from opentrail.verify.keys import KeyRing, read_key_ring

_MARGIN = timedelta(days=1)
_PAGES_MAX = 100
_FILE_BYTES_MAX = 16 * 1024 * 1024


class KeySource(Protocol):
    """Gives the public keys of a region that were valid in a time. Raises OutboundError."""

    def ring(self, region: str, start: datetime, end: datetime) -> KeyRing:
        """The keys."""


class ListedKeys:
    """ListPublicKeys through boto3; key pairs are per region, so each region is asked (fact sheet 5.5)."""

    def __init__(self, client_in: Callable[[str], Any]) -> None:
        """``client_in`` makes a CloudTrail client of a region."""
        self._client_in = client_in
        self._known: dict[str, tuple[datetime, datetime, KeyRing]] = {}

    def ring(self, region: str, start: datetime, end: datetime) -> KeyRing:
        known = self._known.get(region)
        if known is None or start < known[0] or end > known[1]:
            known = (start - _MARGIN, end + _MARGIN, read_key_ring(self._list(region, start - _MARGIN, end + _MARGIN)))
            self._known[region] = known
        return known[2]

    def _list(self, region: str, start: datetime, end: datetime) -> list[Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._client_in(region)
        entries: list[Any] = []
        more: dict[str, str] = {}
        try:
            for _ in range(_PAGES_MAX):
                answer = client.list_public_keys(StartTime=start, EndTime=end, **more)
                entries += answer["PublicKeyList"]
                if not answer.get("NextToken"):
                    break
                more = {"NextToken": answer["NextToken"]}
        except ClientError as error:
            described = error.response.get("Error", {})
            raise OutboundError(
                described.get("Code") or "InternalError", f"ListPublicKeys in {region}: {described.get('Message')}"
            ) from error
        except BotoCoreError as error:
            raise OutboundError("ConnectionError", f"ListPublicKeys in {region}: {error}") from error
        return entries


class KeyFiles:
    """Answers of ``aws cloudtrail list-public-keys``, kept in files: one ring for all regions."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Reads the files. Raises ConfigError for one that holds no such answer."""
        entries: list[object] = []
        for path in paths:
            entries += _entries_of(path)
        self._ring = read_key_ring(entries)

    def ring(self, region: str, start: datetime, end: datetime) -> KeyRing:  # noqa: ARG002 - files have them all
        return self._ring


def _entries_of(path: Path) -> list[object]:
    try:
        with path.open("rb") as file:
            document = orjson.loads(file.read(_FILE_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"--public-keys {path}: {error}") from error
    entries = document.get("PublicKeyList") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ConfigError(f"--public-keys {path}: not what `aws cloudtrail list-public-keys` prints")
    return entries
