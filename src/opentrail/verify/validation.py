"""A validation: every chain of digest files under a prefix, the log files they list, and those that none lists.

The order of work, for each account and region: list its digest files; fetch and judge those of the time asked for,
newest first, with the log files they list; walk each chain; then list the log files themselves and look for those that
no digest file mentions. Memory grows with digest files (about a kilobyte each) and findings, not with log files.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opentrail.aws.arn import Arn
from opentrail.storage.reading import ObjectReader
from opentrail.verify.chain import Horizon, Link, Signed, compare, walk
from opentrail.verify.coverage import ListedFiles, merged
from opentrail.verify.digest import Found, LogEntry, Previous
from opentrail.verify.discovery import find_places
from opentrail.verify.fetching import Examined, Fetcher
from opentrail.verify.findings import Finding, Kind, Location, Note, NoteKind
from opentrail.verify.keys import KeyRing
from opentrail.verify.object_keys import AccountRegion, ChainName, before_day, parse_digest_key, parse_place
from opentrail.verify.public_keys import KeySource
from opentrail.verify.report import ChainTally, Report
from opentrail.verify.unlisted import Surroundings, find_unlisted

_SPILL = timedelta(hours=1)
"""Log files of the last hour asked for stand in a digest file that ends later (fact sheet 5.6 step 5)."""

_LOOK_BACK = timedelta(days=1)
"""So far before the time asked for digest files are listed (not fetched), to tell whether older ones exist."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to validate. Without ``trail`` every chain under the prefix; without ``start`` from the first digest on;
    without ``end`` until now.
    """

    bucket: str
    prefix: str = ""
    trail: Arn | None = None
    account_id: str | None = None
    region: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def asks_for(self, chain: ChainName) -> bool:
        """Whether a chain is part of the question."""
        return (
            (self.trail is None or chain.is_of(self.trail))
            and self.account_id in (None, chain.place.account_id)
            and self.region in (None, chain.place.region)
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a validation is. Totals grow while digest files are read."""

    digests: int
    digests_total: int
    logs: int
    logs_total: int


@dataclass(slots=True)
class _Chain:
    """A chain's stamps: in the time asked for, later ones, and whether there are older ones."""

    name: ChainName
    asked: list[datetime] = field(default_factory=list)
    later: list[datetime] = field(default_factory=list)
    anything_older: bool = False


def validate(
    question: Question,
    reader: ObjectReader,
    keys: KeySource,
    *,
    now: datetime,
    secret: bytes,
    workers: int = 32,
    on_progress: Callable[[Progress], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Validate what a question asks for. Raises OutboundError where the store or CloudTrail do not answer, or refuse
    what everything depends on, and ConfigError where the prefix is too wide. ``secret`` is 32 random bytes of this run.
    """
    with Fetcher(reader, workers, sleep) as fetcher:
        return _Validation(question, reader, keys, fetcher, now, secret, on_progress).run()


class _Validation:
    def __init__(
        self,
        question: Question,
        reader: ObjectReader,
        keys: KeySource,
        fetcher: Fetcher,
        now: datetime,
        secret: bytes,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._question = question
        self._reader = reader
        self._keys = keys
        self._fetcher = fetcher
        self._now = now
        self._secret = secret
        self._on_progress = on_progress
        self._until = min(question.end or now, now)
        self._tallies: list[ChainTally] = []
        self._findings: list[Finding] = []
        self._notes: list[Note] = []
        self._newest: dict[ChainName, Link] = {}
        self._continues: list[tuple[ChainName, Previous]] = []
        self._digests_total = self._digests = self._logs_total = self._logs = 0

    def run(self) -> Report:
        question = self._question
        done: set[AccountRegion] = set()
        for place in find_places(self._reader, question.bucket, question.prefix):
            if question.region in (None, place.region) and question.account_id in (None, place.account_id):
                done.add(place)
                self._check_place(place)
        for chain, previous in self._continues:  # grows while it is gone through
            there = parse_place(previous.location.bucket, previous.location.key)
            if there is not None and there not in done:
                done.add(there)
                self._check_place(there)
            self._join(chain, previous)
        if not any(tally.digests for tally in self._tallies):
            self._findings.append(self._nothing_found())
        findings = sorted(self._findings, key=lambda one: (one.when or self._until, one.kind, one.subject))
        return Report(question.bucket, self._tallies, findings, self._notes)

    def _nothing_found(self) -> Finding:
        question = self._question
        whose = f" of {question.trail}" if question.trail else ""
        subject = f"s3://{question.bucket}/{question.prefix}"
        sentence = f"no digest file{whose} is here for the time asked for: nothing can be proven"
        return Finding(Kind.NO_DIGESTS, subject, None, sentence)

    def _check_place(self, place: AccountRegion) -> None:
        chains = self._list_chains(place)
        asked = [chain for chain in chains if chain.asked and self._question.asks_for(chain.name)]
        if not asked:
            return
        oldest = min(chain.asked[0] for chain in chains if chain.asked)
        ring = self._keys.ring(place.region, oldest - _SPILL, self._now)
        listed = ListedFiles(self._secret)
        self._digests_total += sum(len(chain.asked) for chain in asked)
        covered: list[tuple[datetime, datetime]] = []
        for chain in asked:
            covered += self._check_chain(chain, ring, listed)
        witnesses = [(c.name, stamp) for c in chains for stamp in (c.later if c in asked else c.asked + c.later)]
        surroundings = Surroundings(place, merged(covered), self._question.start, self._until, self._now)
        findings, notes = find_unlisted(self._reader, surroundings, listed, lambda: self._listed_by(witnesses, ring))
        self._findings += findings
        self._notes += notes

    def _list_chains(self, place: AccountRegion) -> list[_Chain]:
        """The chains of a place with their stamps, oldest first."""
        chains: dict[ChainName, _Chain] = {}
        start = self._question.start
        after = before_day(place.digest_folder, start - _LOOK_BACK) if start else ""
        for entry in self._reader.list_objects(place.bucket, place.digest_folder, after):
            parsed = parse_digest_key(place, entry.key)
            if parsed is None:
                if not entry.key.endswith("/"):  # markers of CreateTrail (fact sheet 3.4)
                    self._notes.append(_foreign(Location(place.bucket, entry.key)))
                continue
            name, stamp = parsed
            chain = chains.setdefault(name, _Chain(name))
            if start is not None and stamp < start:
                chain.anything_older = True
            elif stamp <= self._until + _SPILL:
                chain.asked.append(stamp)
            else:
                chain.later.append(stamp)
        for chain in chains.values():
            chain.asked.sort()
        return list(chains.values())

    def _check_chain(self, chain: _Chain, ring: KeyRing, listed: ListedFiles) -> list[tuple[datetime, datetime]]:
        """Judge a chain's digest files and their log files; what it covers."""
        tally = ChainTally(chain.name)
        self._tallies.append(tally)
        links: list[Link] = []
        digests = self._fetcher.in_order(lambda found: self._fetcher.digest(found, ring), _newest_first(chain))
        entries = self._entries(digests, tally, links, listed)
        for finding in self._fetcher.in_order(lambda entry: self._fetcher.log(*entry), entries):
            self._logs += 1
            if finding is None:
                tally.logs_valid += 1
            else:
                self._findings.append(finding)
            self._show()
        links.reverse()
        horizon = Horizon(self._question.start, self._until, chain.anything_older, chain.name.backfill)
        result = walk(links, horizon)
        self._findings += result.findings
        self._notes += result.notes
        self._continues += [(chain.name, previous) for previous in result.continues]
        if links:
            self._newest[chain.name] = links[-1]
        return result.covered

    def _entries(
        self, digests: Iterable[Examined], tally: ChainTally, links: list[Link], listed: ListedFiles
    ) -> Iterator[tuple[LogEntry, datetime]]:
        """The log files of the digest files that are authentic; everything else about these is noted on the way."""
        for examined in digests:
            self._digests += 1
            self._show()
            if examined.gone:
                continue
            tally.digests += 1
            links.append(_link(examined))
            if examined.finding is not None:
                self._findings.append(examined.finding)
            if examined.digest is None:
                continue
            digest = examined.digest
            tally.digests_valid += 1
            tally.first = min(tally.first or digest.start, digest.start)
            tally.last = max(tally.last or digest.end, digest.end)
            tally.logs += len(digest.log_files)
            self._logs_total += len(digest.log_files)
            for entry in digest.log_files:
                listed.add(entry.location)
                yield entry, digest.end

    def _listed_by(self, witnesses: list[tuple[ChainName, datetime]], ring: KeyRing) -> Iterator[Location]:
        """The log files of digest files that were not asked for: of later hours, and of other trails."""
        founds = (_found(name, stamp) for name, stamp in sorted(witnesses, key=lambda one: one[1]))
        for examined in self._fetcher.in_order(lambda found: self._fetcher.digest(found, ring), founds):
            if examined.digest is not None:
                for entry in examined.digest.log_files:
                    yield entry.location

    def _join(self, chain: ChainName, previous: Previous) -> None:
        """Hold a chain's end in one place against its continuation in another."""
        place = parse_place(previous.location.bucket, previous.location.key)
        parsed = parse_digest_key(place, previous.location.key) if place else None
        newest = self._newest.get(parsed[0]) if parsed else None
        if newest is not None:  # it ended there because it goes on elsewhere
            ended = (Kind.CHAIN_ENDS_EARLY, str(newest.location))
            self._findings = [one for one in self._findings if (one.kind, one.subject) != ended]
        if parsed is None or newest is None or newest.stamp < parsed[1]:
            sentence = f"the chain of {chain} goes on there, but it is gone: the log files it listed cannot be proven"
            when = parsed[1] if parsed else None
            self._findings.append(Finding(Kind.DIGEST_MISSING, str(previous.location), when, sentence))
        elif newest.location == previous.location:
            self._findings += compare(previous, newest)

    def _show(self) -> None:
        self._on_progress(Progress(self._digests, self._digests_total, self._logs, self._logs_total))


def _newest_first(chain: _Chain) -> Iterator[Found]:
    return (_found(chain.name, stamp) for stamp in reversed(chain.asked))


def _found(name: ChainName, stamp: datetime) -> Found:
    location = Location(name.place.bucket, name.key(stamp))
    return Found(location, stamp, name.place.account_id, name.backfill)


def _link(examined: Examined) -> Link:
    digest = examined.digest
    signed = Signed(digest.start, digest.sha256, examined.signature, digest.previous) if digest else None
    return Link(examined.found.location, examined.found.stamp, signed)


def _foreign(location: Location) -> Note:
    sentence = "it is among the digest files, but its name is not a digest file's: somebody else put it there"
    return Note(NoteKind.FOREIGN_OBJECT, str(location), None, sentence)
