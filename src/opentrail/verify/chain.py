"""One chain of digest files, walked from its newest back to its oldest.

Every authentic digest signs the place, the hash and the signature of its predecessor, so what is missing, exchanged or
added in between shows. The steps at each digest:

1. not authentic: it was reported by itself and says nothing about its predecessor; go on with the next older one. The
   distance tells whether some are missing in between.
2. no predecessor: the trail's own restart (logging stopped, validation off). A note; go on with the next older one.
3. a predecessor elsewhere: the trail was pointed to another bucket or prefix. A note, and ``continues`` says where.
   Here go on with the next older one, because a trail may have come back.
4. a predecessor that cannot be older: the links contradict time.
5. a predecessor that is not there: missing, alone or with others before it; or, where nothing older exists, truncated.
6. a predecessor that is there: same hash and signature as signed, and ending where this one begins.

Authentic digests that the walk passes by are a fork: two histories signed with the trail's keys.
The AWS CLI follows the links too, but compares neither hashes nor signatures with the predecessor it fetches, and does
not see forks (cloudtrail fact sheet 5.6, trap 15).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opentrail.verify.coverage import BORDER, merged
from opentrail.verify.digest import Previous
from opentrail.verify.findings import Finding, Kind, Location, Note, NoteKind
from opentrail.verify.times import display

_USUAL_INTERVAL = timedelta(hours=1)  # fact sheet 5.2
_LONGEST_INTERVAL = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Signed:
    """What an authentic digest file says that its neighbours are compared with. ``signature`` is its own, in hex."""

    start: datetime
    sha256: str
    signature: str
    previous: Previous | None


@dataclass(frozen=True, slots=True)
class Link:
    """A digest file of a chain; ``signed`` is None where it is not authentic. ``stamp`` is its interval's end."""

    location: Location
    stamp: datetime
    signed: Signed | None


@dataclass(frozen=True, slots=True)
class Horizon:
    """What part of a chain is looked at. Digests that ended before ``start`` are not in the links; ``anything_older``
    tells whether there are any. The newest should not end before ``due`` (None: no matter). Backfill digests have no
    regular intervals: they are not asked to be complete.
    """

    start: datetime | None = None
    due: datetime | None = None
    anything_older: bool = False
    backfill: bool = False


@dataclass(slots=True)
class Walk:
    """What walking a chain brought. ``covered`` are the intervals of its authentic digests, merged, oldest first;
    a starting digest's own interval is not in them, because it begins before the chain did (fact sheet 5.2).
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    covered: list[tuple[datetime, datetime]] = field(default_factory=list)
    continues: list[Previous] = field(default_factory=list)


def walk(links: Sequence[Link], horizon: Horizon) -> Walk:
    """Walk a chain; ``links`` are all its digest files within the horizon, by stamp, oldest first."""
    return _Walker(links, horizon).walk()


class _Walker:
    def __init__(self, links: Sequence[Link], horizon: Horizon) -> None:
        self._links = links
        self._horizon = horizon
        self._index = {link.location: at for at, link in enumerate(links)}
        self._interval = _usual_interval(links)
        self._result = Walk()

    def walk(self) -> Walk:
        at: int | None = len(self._links) - 1 if self._links else None
        if at is not None:
            self._check_newest(self._links[at])
        while at is not None:
            at = self._step(at)
        self._result.covered = _covered(self._links)
        return self._result

    def _check_newest(self, newest: Link) -> None:
        due = self._horizon.due
        if due is not None and not self._horizon.backfill and newest.stamp + max(2 * self._interval, BORDER) < due:
            self._find(
                Kind.CHAIN_ENDS_EARLY,
                newest.location,
                newest.stamp,
                f"no digest file covers the time from {display(newest.stamp)} to {display(due)}: the newest ones were "
                "deleted, or the trail stopped (then ask with --end-time)",
            )

    def _step(self, at: int) -> int | None:
        """Check one digest against its predecessor; the index of the next one to look at."""
        link = self._links[at]
        if link.signed is None:
            return self._after_unproven(at)
        start = self._horizon.start
        if start is not None and link.signed.start <= start:
            self._passed_by(self._first_after(link.signed.start), at, link)
            return None
        previous = link.signed.previous
        if previous is None:
            return self._after_restart(at, link.signed)
        if _folder_of_chain(previous.location) != _folder_of_chain(link.location):
            return self._elsewhere(at, previous)
        there = self._index.get(previous.location)
        if there is None:
            return self._after_missing(at, previous.location)
        if there >= at:
            self._find(
                Kind.PREDECESSOR_IMPOSSIBLE,
                link.location,
                link.stamp,
                f"it names {previous.location} as its predecessor, which is not older",
            )
            return _older(at)
        self._passed_by(there + 1, at, link)
        self._result.findings += compare(previous, self._links[there])
        self._check_seam(link, link.signed, self._links[there])
        return there

    def _after_unproven(self, at: int) -> int | None:
        older = _older(at)
        if older is not None and not self._horizon.backfill:
            link, before = self._links[at], self._links[older]
            self._report_run(before, link.stamp - self._interval)
        return older

    def _after_restart(self, at: int, signed: Signed) -> int | None:
        older = _older(at)
        if older is not None:
            link, before = self._links[at], self._links[older]
            self._note(
                NoteKind.CHAIN_RESTARTED,
                link,
                f"the trail began a new chain here; no digest file covers the time from {display(before.stamp)} to "
                f"{display(max(signed.start, before.stamp))} (logging stopped, or log file validation switched off)",
            )
        return older

    def _elsewhere(self, at: int, previous: Previous) -> int | None:
        link = self._links[at]
        self._note(NoteKind.CHAIN_CONTINUES, link, f"its predecessor is in another place: {previous.location}")
        self._result.continues.append(previous)
        return _older(at)

    def _after_missing(self, at: int, missing: Location) -> int | None:
        link = self._links[at]
        assert link.signed is not None
        gone_at = link.signed.start
        older = self._first_from(gone_at) - 1
        self._passed_by(older + 1, at, link)
        if older < 0 and not self._horizon.anything_older:
            self._find(
                Kind.CHAIN_TRUNCATED,
                missing,
                gone_at,
                f"it and everything before it is gone: nothing before {display(gone_at)} can be proven "
                "(deleted, or expired under a lifecycle rule)",
            )
            return None
        self._find(
            Kind.DIGEST_MISSING,
            missing,
            gone_at,
            f"{link.location} names it as its predecessor, but it is gone: the log files it listed cannot be proven",
        )
        if older < 0:
            return None
        if not self._horizon.backfill:
            self._report_run(self._links[older], gone_at - self._interval)
        return older

    def _report_run(self, before: Link, until: datetime) -> None:
        """Digests that nobody names any more: between one that is there and the estimated start of the next one known
        of.
        """
        hole = until - before.stamp
        if hole <= self._interval / 2:
            return
        count = max(1, round(hole / self._interval))
        self._find(
            Kind.DIGESTS_MISSING,
            before.location,
            before.stamp,
            f"after it about {count} more digest file{'s are' if count > 1 else ' is'} gone: nothing delivered between "
            f"{display(before.stamp)} and {display(until)} can be proven",
        )

    def _passed_by(self, first: int, last: int, link: Link) -> None:
        for stray in self._links[first:last]:
            if stray.signed is not None:
                self._find(
                    Kind.CHAIN_FORKED,
                    stray.location,
                    stray.stamp,
                    f"it is signed with a key of the trail, but {link.location} goes past it to an older predecessor: "
                    "there are two histories of this time",
                )

    def _check_seam(self, link: Link, signed: Signed, before: Link) -> None:
        if not self._horizon.backfill and before.signed is not None and before.stamp < signed.start:
            self._find(
                Kind.COVERAGE_GAP,
                link.location,
                link.stamp,
                f"its interval starts at {display(signed.start)}, its predecessor's ends at {display(before.stamp)}: "
                "no digest file covers the time between",
            )

    def _first_from(self, instant: datetime) -> int:
        return bisect_left(self._links, instant, key=_stamp)

    def _first_after(self, instant: datetime) -> int:
        return bisect_right(self._links, instant, key=_stamp)

    def _find(self, kind: Kind, location: Location, when: datetime, sentence: str) -> None:
        self._result.findings.append(Finding(kind, str(location), when, sentence))

    def _note(self, kind: NoteKind, link: Link, sentence: str) -> None:
        self._result.notes.append(Note(kind, str(link.location), link.stamp, sentence))


def compare(said: Previous, there: Link) -> list[Finding]:
    """The predecessor as its successor signed it, against the one that is there."""
    if there.signed is None:  # reported by itself
        return []
    pairs = (("content", said.sha256, there.signed.sha256), ("signature", said.signature, there.signed.signature))
    differing = [name for name, signed, found in pairs if signed != found]
    if not differing:
        return []
    sentence = (
        f"its {' and '.join(differing)} differ{'s' if len(differing) == 1 else ''} from what its successor signed: "
        "another file, signed with a key of the trail, stands in its place"
    )
    return [Finding(Kind.PREDECESSOR_DIFFERS, str(there.location), there.stamp, sentence)]


def _stamp(link: Link) -> datetime:
    return link.stamp


def _older(at: int) -> int | None:
    return at - 1 if at else None


def _folder_of_chain(location: Location) -> tuple[str, str]:
    """What stays the same along a chain in one place: the key without its date folders and file name."""
    return location.bucket, location.key.rsplit("/", 4)[0]


def _usual_interval(links: Sequence[Link]) -> timedelta:
    """The median interval of the authentic digests but starting ones; a day at most, an hour without any."""
    lengths = sorted(link.stamp - link.signed.start for link in links if link.signed and link.signed.previous)
    return min(max(lengths[len(lengths) // 2], timedelta(seconds=1)), _LONGEST_INTERVAL) if lengths else _USUAL_INTERVAL


def _covered(links: Sequence[Link]) -> list[tuple[datetime, datetime]]:
    return merged((link.signed.start, link.stamp) for link in links if link.signed and link.signed.previous)
