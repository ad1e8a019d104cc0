"""The ways in which a request names a key: id, key ARN, ``alias/name``, alias ARN. Pure.

Rules (AWS KMS API Reference, ``KeyId``). An id or alias name is one of the caller's account in the call's region; an
ARN may be of another account, never of another region.
"""

import re
from dataclasses import dataclass

from opentrail.aws.arn import parse_arn

_KEY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


@dataclass(frozen=True, slots=True)
class KeyReference:
    """A key or alias that a request names. ``name`` is a key id, or an alias with its ``alias/``."""

    account_id: str
    region: str
    name: str

    @property
    def is_alias(self) -> bool:
        """Whether it names an alias."""
        return self.name.startswith("alias/")

    @property
    def arn(self) -> str:
        """The ARN of what is named."""
        kind = "" if self.is_alias else "key/"
        return f"arn:aws:kms:{self.region}:{self.account_id}:{kind}{self.name}"


def parse_reference(text: str, *, account_id: str, region: str) -> KeyReference:
    """Read what a caller of ``account_id`` in ``region`` gives as a key.

    Raises ValueError, in AWS's words, for what cannot be a key's or alias's name there.
    """
    if not text.startswith("arn:"):
        name = text.lower() if _KEY_ID.fullmatch(text.lower()) else text
        if not _KEY_ID.fullmatch(name) and not _ALIAS.fullmatch(name):
            raise ValueError(f"Invalid keyId '{text[:200]}'")
        return KeyReference(account_id, region, name)
    try:
        arn = parse_arn(text)
    except ValueError:
        raise ValueError(f"Invalid arn {text[:200]}") from None
    name = arn.resource if arn.resource.startswith("alias/") else arn.resource.removeprefix("key/").lower()
    is_name = _ALIAS.fullmatch(name) if name.startswith("alias/") else _KEY_ID.fullmatch(name)
    if (arn.partition, arn.service) != ("aws", "kms") or not is_name or not re.fullmatch(r"\d{12}", arn.account_id):
        raise ValueError(f"Invalid arn {text[:200]}")
    if arn.region != region:
        raise ValueError(f"Invalid arn {arn.region}")
    return KeyReference(arn.account_id, arn.region, name)


def is_alias_name(text: str) -> bool:
    """Whether a text can be an alias's name."""
    return _ALIAS.fullmatch(text) is not None
