"""Encoded authorization messages: why a call was denied, sealed, for those who may call DecodeAuthorizationMessage.

Rules. A message opens only in the account whose call was denied, and only as long as the key that sealed it is kept
(36 hours at least). The text inside is the JSON that AWS documents; values are cut so that a message stays within the
10240 characters that the operation takes.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag

from opentrail.errors import ApiError
from opentrail.identity.sealing_keys import KEY_ID_BYTES, SealingKeys

MAX_MESSAGE_CHARS = 10_240
_VERSION = b"\x01"
_PLAIN_MAX_BYTES = 7000  # as base64, with nonce and tag, below the limit even where nothing can be compressed
_VALUE_CHARS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """One denied request. ``context`` has condition keys with their values; ``statement`` is the Sid that denied."""

    account_id: str
    principal_id: str
    principal_arn: str
    action: str
    resource: str
    explicit: bool
    statement: str | None = None
    policy: str | None = None
    context: Mapping[str, tuple[str, ...]]


class DenialMessages:
    """Seals and opens encoded authorization messages."""

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys

    def encode(self, denial: Denial) -> str:
        """The encoded message of a denial; URL-safe base64."""
        packed = zlib.compress(_text(denial), 9)
        sealed = self._keys.current().seal(packed, _context(denial.account_id), self._keys.new_nonce())
        return urlsafe_b64encode(_VERSION + sealed).decode().rstrip("=")

    def decode(self, message: str, account_id: str) -> str:
        """The JSON text in a message about a call of that account.

        Raises ApiError InvalidAuthorizationMessageException for everything else.
        """
        refusal = ApiError("InvalidAuthorizationMessageException", "Invalid authorization message")
        if len(message) > MAX_MESSAGE_CHARS:
            raise refusal
        try:
            raw = urlsafe_b64decode(message.encode() + b"=" * (-len(message) % 4))
            key = self._keys.by_id(raw[1 : 1 + KEY_ID_BYTES])
            if raw[:1] != _VERSION or key is None:
                raise refusal
            packed = key.open(raw[1:], _context(account_id))
        except (binascii.Error, InvalidTag, ValueError):
            raise refusal from None
        return zlib.decompress(packed).decode()


def _text(denial: Denial) -> bytes:
    """The document, with fewer conditions where it would be too long."""
    conditions = [
        {"key": key, "values": _items([{"value": value[:_VALUE_CHARS_MAX]} for value in values])}
        for key, values in sorted(denial.context.items())
    ]
    matched = {"statementId": denial.statement, "effect": "DENY", "policy": denial.policy}
    document: dict[str, Any] = {
        "allowed": False,
        "explicitDeny": denial.explicit,
        "matchedStatements": _items([matched] if denial.explicit else []),
        "failures": _items([]),
        "context": {
            "principal": {"id": denial.principal_id, "arn": denial.principal_arn},
            "action": denial.action,
            "resource": denial.resource[:1024],
            "conditions": _items(conditions),
        },
    }
    text = orjson.dumps(document)
    while len(text) > _PLAIN_MAX_BYTES and conditions:
        conditions.pop()
        text = orjson.dumps(document)
    return text


def _items(items: list[Any]) -> dict[str, list[Any]]:
    return {"items": items}


def _context(account_id: str) -> bytes:
    return f"denial/{account_id}".encode()
