"""Amazon Resource Names: ``arn:partition:service:region:account:resource``. Only the resource may contain colons."""

import re
from dataclasses import dataclass

ARN_CHARS_MAX = 2048
"""The longest ARN that AWS's models allow (STS arnType)."""

_FIELDS = {
    "partition": re.compile(r"aws(?:-[a-z0-9]+)*"),
    "service": re.compile(r"[a-z0-9][a-z0-9.-]*"),
    "region": re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*|\*)?"),
    "account_id": re.compile(r"(?:[0-9]{12}|aws|cloudfront|\*)?"),
    # Control characters would break the lines of logs; everything else is the service's business.
    "resource": re.compile(r"[^\x00-\x1f\x7f]+"),
}


@dataclass(frozen=True, slots=True)
class Arn:
    """One ARN. ``region`` and ``account_id`` are empty where the service has none (S3, IAM's region).

    Raises ValueError for a field that cannot stand in an ARN, so that every value prints as a text that parses again.
    """

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    def __post_init__(self) -> None:
        for name, pattern in _FIELDS.items():
            if not pattern.fullmatch(getattr(self, name)):
                raise ValueError(f"not an ARN: its {name.replace('_', ' ')} is not valid")
        if len(str(self)) > ARN_CHARS_MAX:
            raise ValueError(f"not an ARN: longer than {ARN_CHARS_MAX} characters")

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"

    @property
    def resource_type(self) -> str:
        """What stands before the resource's first slash or colon (``trail`` in ``trail/audit``); empty without one."""
        return re.split("[/:]", self.resource, maxsplit=1)[0] if self._has_type else ""

    @property
    def resource_id(self) -> str:
        """The resource without its type (``audit`` in ``trail/audit``); all of it where it has none."""
        return re.split("[/:]", self.resource, maxsplit=1)[1] if self._has_type else self.resource

    @property
    def _has_type(self) -> bool:
        return "/" in self.resource or ":" in self.resource


def parse_arn(text: str) -> Arn:
    """Read an ARN. Raises ValueError, naming the part that is wrong, for anything else."""
    if len(text) > ARN_CHARS_MAX:
        raise ValueError(f"not an ARN: longer than {ARN_CHARS_MAX} characters")
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise ValueError("not an ARN: it must have the form arn:partition:service:region:account:resource")
    return Arn(*parts[1:])
