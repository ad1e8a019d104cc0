"""The public keys of OpenID Connect issuers: from files or URLs that the operator names, or as issuers publish them.

Rules. What the operator configured for an issuer is the only source for it. Otherwise the issuer is asked for its
``/.well-known/openid-configuration`` over HTTPS, and its document must name the very issuer. Keys are kept for an hour;
a key id that is not among them makes us look again, once a minute at most, and a failure is remembered for a while, so
that strangers with invented tokens cannot make us ask without end. One thread asks an issuer at a time. Only issuers
that IAM knows as providers are ever looked for: the handler sees to that.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import orjson

from opentrail.clock import Clock
from opentrail.errors import ApiError, OutboundError

log = logging.getLogger(__name__)

KEEP_S = 3600.0
RETRY_S = 60.0
RETRY_FAILED_S = 15.0
MAX_ISSUERS = 256
MAX_KEYS = 100
_LOCKS = 64
MAX_FILE_BYTES = 1024 * 1024


class Fetcher(Protocol):
    """Gets small documents from the web (``services.sts.fetcher.HttpFetcher``)."""

    def get(self, url: str) -> bytes:
        """The document at a URL. Raises OutboundError where it cannot be had, is too large or too slow."""


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: tuple[Mapping[str, Any], ...] | None  # None: they could not be had
    at: float  # monotonic seconds

    def matching(self, key_id: str | None) -> list[Mapping[str, Any]]:
        return [key for key in self.keys or () if key_id is None or key.get("kid") in (None, key_id)]

    def is_good(self, key_id: str | None, now: float) -> bool:
        age_s = now - self.at
        if self.keys is None:
            return age_s < RETRY_FAILED_S
        return age_s < (KEEP_S if self.matching(key_id) else RETRY_S)


class ProviderKeys:
    """The keys of issuers (``identity.web_identity.VerificationKeys``). Safe for threads."""

    def __init__(self, fetcher: Fetcher, sources: Mapping[str, str], clock: Clock) -> None:
        """``sources``: issuer (URL) to the path of a file, or the URL, of its JSON Web Key Set."""
        self._fetcher = fetcher
        self._sources = {issuer.rstrip("/"): source for issuer, source in sources.items()}
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asking = tuple(Lock() for _ in range(_LOCKS))

    def find(self, issuer: str, key_id: str | None) -> list[Mapping[str, Any]]:
        """The issuer's keys that may have signed. Raises ApiError IDPCommunicationError where none can be had."""
        kept = self._good(issuer, key_id)
        if kept is None:
            with self._asking[hash(issuer) % _LOCKS]:  # the others wait for the one that asks
                kept = self._good(issuer, key_id) or self._ask(issuer)
        if kept.keys is None:
            raise ApiError(
                "IDPCommunicationError",
                "Couldn't retrieve verification key from your identity provider, please reference "
                "AssumeRoleWithWebIdentity documentation for requirements",
            )
        return kept.matching(key_id)

    def _good(self, issuer: str, key_id: str | None) -> _Kept | None:
        kept = self._kept.get(issuer)
        return kept if kept is not None and kept.is_good(key_id, self._clock.monotonic()) else None

    def _ask(self, issuer: str) -> _Kept:
        keys = None
        try:
            keys = _keys_in(self._document(issuer))
        except (OutboundError, OSError, ValueError) as problem:
            log.warning("the keys of the OpenID Connect issuer %s cannot be had: %s", issuer, problem)
        kept = self._kept[issuer] = _Kept(keys, self._clock.monotonic())
        if len(self._kept) > MAX_ISSUERS:
            self._kept.popitem(last=False)
        return kept

    def _document(self, issuer: str) -> bytes:
        source = self._sources.get(issuer.rstrip("/"))
        if source is None:
            return self._discovered(issuer)
        if source.startswith(("https://", "http://")):
            return self._fetcher.get(source)
        with Path(source).open("rb") as file:
            return file.read(MAX_FILE_BYTES)

    def _discovered(self, issuer: str) -> bytes:
        if not issuer.startswith("https://"):
            raise ValueError("an issuer that is not configured must be an HTTPS URL")
        described = orjson.loads(self._fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        address = described.get("jwks_uri") if isinstance(described, dict) else None
        if not isinstance(address, str) or not address.startswith("https://"):
            raise ValueError("the issuer's configuration names no HTTPS address of its keys")
        if described.get("issuer") != issuer:
            raise ValueError("the issuer's configuration is that of another one")
        return self._fetcher.get(address)


def _keys_in(document: bytes) -> tuple[Mapping[str, Any], ...]:
    """The keys for signatures in a JSON Web Key Set. Raises ValueError where it is none."""
    found = orjson.loads(document)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise ValueError("not a JSON Web Key Set")  # noqa: TRY004 - one family of error for the whole document
    usable = [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]
    return tuple(usable[:MAX_KEYS])
