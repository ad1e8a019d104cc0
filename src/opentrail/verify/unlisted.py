"""Looking through the log files of an account and region for those that no digest file lists.

A file that the digest files asked about do not list may still be listed by one of a later hour or of another trail, so
before it is called unlisted those are read too (only then: most times there is nothing to ask about). The log files are
listed once more after that instead of being remembered: memory stays flat.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opentrail.storage.listings import ObjectEntry
from opentrail.storage.reading import ObjectReader
from opentrail.verify.coverage import ListedFiles, Standing, standing_of
from opentrail.verify.findings import Finding, Kind, Location, Note, NoteKind
from opentrail.verify.object_keys import LOG_KINDS, AccountRegion, before_day, parse_log_key


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An account and region, the time its digest files cover, and the time asked for."""

    place: AccountRegion
    covered: list[tuple[datetime, datetime]]
    start: datetime | None
    end: datetime
    now: datetime


def find_unlisted(
    reader: ObjectReader,
    surroundings: Surroundings,
    listed: ListedFiles,
    others: Callable[[], Iterable[Location]],
) -> tuple[list[Finding], list[Note]]:
    """The log files that no digest file lists, and how many stand where no digest file covers the time.

    ``others`` reads further digest files and gives the log files that they list.
    """
    strays = _strays(reader, surroundings, listed)
    if any(standing is Standing.UNLISTED for _, _, standing in strays):
        for location in others():
            listed.add(location)
    findings: list[Finding] = []
    uncovered = 0
    for location, stamp, standing in _strays(reader, surroundings, listed):
        if standing is Standing.UNLISTED:
            findings.append(_unlisted(location, stamp))
        elif standing is Standing.UNCOVERED:
            uncovered += 1
    return findings, _unproven(surroundings, uncovered)


def _strays(
    reader: ObjectReader, surroundings: Surroundings, listed: ListedFiles
) -> Iterator[tuple[Location, datetime, Standing]]:
    """The log files that are not listed, with what that means."""
    for entry, stamp in _log_files(reader, surroundings):
        location = Location(surroundings.place.bucket, entry.key)
        if location not in listed:
            means = standing_of(stamp, entry.modified_at, surroundings.covered, surroundings.now)
            yield location, stamp, means


def _log_files(reader: ObjectReader, surroundings: Surroundings) -> Iterator[tuple[ObjectEntry, datetime]]:
    """The log files with a stamp in the time asked for, listed from its first day to its last."""
    place, start, end = surroundings.place, surroundings.start, surroundings.end
    for kind in LOG_KINDS:
        folder = place.log_folder(kind)
        last = f"{folder}{end:%Y/%m/%d}/~"
        after = before_day(folder, start) if start else ""
        for entry in reader.list_objects(place.bucket, folder, after):
            if entry.key > last:
                break
            stamp = parse_log_key(place, kind, entry.key)
            # Readers skip empty objects (fact sheet 3.4), so they are no log files.
            if stamp is not None and entry.size_bytes and (start is None or stamp >= start) and stamp <= end:
                yield entry, stamp


def _unlisted(location: Location, stamp: datetime) -> Finding:
    sentence = "no digest file lists it: it was put there by somebody else, or by a trail without log file validation"
    return Finding(Kind.LOG_UNLISTED, str(location), stamp, sentence)


def _unproven(surroundings: Surroundings, count: int) -> list[Note]:
    if not count:
        return []
    subject = f"s3://{surroundings.place.bucket}/{surroundings.place.root}"
    sentence = (
        f"{count} log file{'s' if count > 1 else ''} of {surroundings.place.region} cannot be proven: none of the "
        "digest files asked about lists them or covers their time"
    )
    return [Note(NoteKind.LOGS_UNPROVEN, subject, None, sentence)]
