"""One log file: the bytes that a digest file listed, no others behind them, and no more than a log file may have."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from opentrail.verify.digest import LogEntry
from opentrail.verify.findings import Finding, Kind
from opentrail.verify.inflate import Flaw, FlawedGzip, inflate

MAX_LOG_BYTES = 256 * 1024 * 1024
"""The largest content that is inflated: five times CloudTrail's limit of 50 MB per file (fact sheet 3.1)."""

_FLAWS = {
    Flaw.NOT_GZIP: (Kind.LOG_MALFORMED, "it is not gzip, or its bytes were damaged"),
    Flaw.CUT_OFF: (Kind.LOG_MALFORMED, "its end is missing"),
    Flaw.SECOND_MEMBER: (
        Kind.LOG_TRAILING_DATA,
        "a second gzip member follows the delivered one: some readers would take it for part of the log",
    ),
    Flaw.TRAILING_BYTES: (Kind.LOG_TRAILING_DATA, "bytes follow the delivered ones: somebody appended to it"),
    Flaw.TOO_LARGE: (Kind.LOG_TOO_LARGE, "it inflates to more than any log file may; it was not read to its end"),
}


def check_log(
    entry: LogEntry, when: datetime, pieces: Iterable[bytes], max_bytes: int = MAX_LOG_BYTES
) -> Finding | None:
    """What is wrong with a log file, given its stored bytes; None where it is what was delivered.

    ``when`` is the end of the interval of the digest file that lists it.
    """
    content = sha256()
    try:
        for piece in inflate(pieces, max_bytes):
            content.update(piece)
    except FlawedGzip as error:
        kind, sentence = _FLAWS[error.flaw]
        return Finding(kind, str(entry.location), when, sentence)
    if content.hexdigest() == entry.sha256:
        return None
    return Finding(
        Kind.LOG_DIFFERS,
        str(entry.location),
        when,
        f"its content hashes to {content.hexdigest()}, delivered was {entry.sha256}: records were changed",
    )


def missing_log(entry: LogEntry, when: datetime) -> Finding:
    """A log file that a digest lists and the bucket does not have."""
    sentence = "a digest file lists it, but it is gone: its records were deleted, or it expired before its digest file"
    return Finding(Kind.LOG_MISSING, str(entry.location), when, sentence)


def unreadable_log(entry: LogEntry, when: datetime, code: str) -> Finding:
    """A log file that the store has but does not hand out."""
    return Finding(Kind.LOG_UNREADABLE, str(entry.location), when, f"the bucket refuses to give it: {code}; unproven")
