"""What the checker has to say: findings (something is wrong) and notes (something to know that proves nothing wrong).

A finding names its subject (an object or a key), when that was (the end of a digest's interval, the stamp of a log
file), and one sentence: what happened and what it means. Kinds are stable names, for programs.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong. Each is explained in docs/validate.md."""

    NO_DIGESTS = "no-digests"
    DIGEST_MISSING = "digest-missing"
    DIGESTS_MISSING = "digests-missing"
    CHAIN_TRUNCATED = "chain-truncated"
    CHAIN_ENDS_EARLY = "chain-ends-early"
    CHAIN_FORKED = "chain-forked"
    COVERAGE_GAP = "coverage-gap"
    PREDECESSOR_DIFFERS = "predecessor-differs"
    PREDECESSOR_IMPOSSIBLE = "predecessor-impossible"
    DIGEST_UNREADABLE = "digest-unreadable"
    DIGEST_MALFORMED = "digest-malformed"
    DIGEST_TRAILING_DATA = "digest-trailing-data"
    DIGEST_MOVED = "digest-moved"
    SIGNATURE_MISSING = "signature-missing"
    SIGNATURE_INVALID = "signature-invalid"
    KEY_UNKNOWN = "key-unknown"
    KEY_INVALID = "key-invalid"
    KEY_EXPIRED = "key-expired"
    LOG_MISSING = "log-missing"
    LOG_DIFFERS = "log-differs"
    LOG_MALFORMED = "log-malformed"
    LOG_TRAILING_DATA = "log-trailing-data"
    LOG_TOO_LARGE = "log-too-large"
    LOG_UNREADABLE = "log-unreadable"
    LOG_UNLISTED = "log-unlisted"


class NoteKind(StrEnum):
    """What is worth knowing."""

    CHAIN_RESTARTED = "chain-restarted"
    CHAIN_CONTINUES = "chain-continues"
    LOGS_UNPROVEN = "logs-unproven"
    FOREIGN_OBJECT = "foreign-object"


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object is."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    kind: Kind
    subject: str
    when: datetime | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that whoever reads the report should know."""

    kind: NoteKind
    subject: str
    when: datetime | None
    sentence: str
