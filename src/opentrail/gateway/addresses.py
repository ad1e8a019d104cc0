"""URLs of the server behind us become ours in its answers, and ours become its in requests. Pure.

Services answer addresses of themselves (SQS queue URLs, API endpoints) that a caller must be able to use, and he can
only use ours. Only whole origins are replaced (``http://127.0.0.1:9324`` where nothing of a host name or port follows),
in the forms in which they stand in JSON, XML and forms, and hosts with their port by themselves (DynamoDB's
DescribeEndpoints). What is recorded of a request is what the caller sent.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, urlsplit

_ENDS = rb"(?![0-9A-Za-z.:-])"


@lru_cache(maxsize=256)
def replacer(origins: tuple[str, ...], ours: str) -> "Replacer":
    """What replaces any of the origins by ours; origins have no path (``http://host:port``)."""
    return Replacer(origins, ours)


class Replacer:
    """Replaces origins in bodies and header values."""

    def __init__(self, origins: Iterable[str], ours: str) -> None:
        self._forms: dict[bytes, bytes] = {}
        for origin in origins:
            for spell in (_plain, _escaped, _quoted, _quoted_low):
                self._forms[spell(origin)] = spell(ours)
            host = urlsplit(origin).netloc
            if ":" in host:
                self._forms[host.encode()] = urlsplit(ours).netloc.encode()
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = (
            re.compile(b"(?:%b)%b" % (b"|".join(map(re.escape, longest_first)), _ENDS)) if self._forms else None
        )

    def body(self, data: bytes) -> bytes:
        """A body with every origin replaced; the same object where there is none."""
        if self._pattern is None or self._pattern.search(data) is None:
            return data
        return self._pattern.sub(lambda found: self._forms[found[0]], data)

    def text(self, value: str) -> str:
        """A header's value (Latin-1 text) with every origin replaced."""
        return self.body(value.encode("latin-1")).decode("latin-1") if ":" in value else value


def _plain(origin: str) -> bytes:
    return origin.encode()


def _escaped(origin: str) -> bytes:
    """As some JSON writers spell it."""
    return origin.replace("/", "\\/").encode()


def _quoted(origin: str) -> bytes:
    """As forms and queries spell it."""
    return quote(origin, safe="").encode()


def _quoted_low(origin: str) -> bytes:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(origin, safe="")).encode()
