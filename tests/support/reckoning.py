"""The reckoning: what clients saw, what the servers behind hold, and what the delivered records say, held together.

The rules are the promise "no effect without evidence", one by one. Pure: values in, findings out.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.callers import Name, Reply, Seen

UNKNOWN = "OutcomeUnknown"

_MARK = re.compile(r"(?:refused-)?m[0-9a-f]{32}")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Effects:
    """What the servers behind the gateway hold: which calls had an effect, how often; ``undone`` are calls whose effect
    a later call took away, so that nothing can be seen of them."""

    happened: Counter[Name]
    undone: frozenset[Name] = frozenset()


def objects_effects(seen: Mapping[Name, Seen], keys: set[str]) -> Effects:
    """What a bucket's keys tell: who was put, and what is gone that had been there."""
    happened = {("PutObject", key) for key in keys}
    undone = set()
    for event, mark in seen:
        if event == "DeleteObject" and mark not in keys:  # only what was put with success is ever deleted
            happened.add((event, mark))
            undone.add(("PutObject", mark))
    return Effects(Counter(happened), frozenset(undone))


def name_of(record: Record) -> Name | None:
    """The call that a record is about; None for one that carries no mark."""
    marks = set(_MARK.findall(json.dumps(record["requestParameters"])))
    assert len(marks) <= 1, record
    return (record["eventName"], marks.pop()) if marks else None


def findings(seen: Mapping[Name, Seen], effects: Effects, records: Sequence[Record]) -> list[str]:
    """Everything that breaks the promise, each as a sentence."""
    by_name: dict[Name, list[Record]] = defaultdict(list)
    for record in records:
        name = name_of(record)
        if name is not None:
            by_name[name].append(record)
    ids = Counter(record["requestID"] for record in records)
    events = Counter(record["eventID"] for record in records)
    found = [f"event {event} stands {count} times" for event, count in events.items() if count > 1]
    found += [f"{name} is recorded and was never sent" for name in by_name if name not in seen]
    found += [f"{name} was never sent and has an effect" for name in effects.happened if name not in seen]
    for name, one in seen.items():
        problems = [*_of_records(one, by_name[name], ids), *_of_effects(one, by_name[name], effects)]
        found += [f"{name} (reply: {one.reply}): {problem}" for problem in problems]
    return found


def _of_records(seen: Seen, records: Sequence[Record], ids: Mapping[str, int]) -> Iterator[str]:
    """A reply has one record, which is that call's; nothing has two."""
    if len(records) > 1:
        yield f"has {len(records)} records"
    if seen.reply is None:
        return
    if seen.reply.request_id is None:
        yield "was answered without a request id"
    elif ids.get(seen.reply.request_id, 0) != 1:
        yield f"its request id stands in {ids.get(seen.reply.request_id, 0)} records"
    elif [record["requestID"] for record in records] != [seen.reply.request_id]:
        yield "its request id stands in the record of another call"
    elif records[0].get("errorCode") is None and not _is_success(seen.reply):
        yield "was answered with an error and is recorded as done"
    elif records[0].get("errorCode") is not None and _is_success(seen.reply):
        yield f"was answered with success and is recorded as {records[0]['errorCode']}"


def _of_effects(seen: Seen, records: Sequence[Record], effects: Effects) -> Iterator[str]:
    """An effect has a record that does not deny it; what is said to be done, is."""
    name = seen.request.name
    happened = effects.happened[name]
    if happened > 1:
        yield f"reached the server {happened} times"
    if seen.request.read_only:
        return
    if happened and not records:
        yield "has an effect and no record"
    codes = {record.get("errorCode") for record in records}
    if happened and codes - {None, UNKNOWN}:
        yield f"has an effect and is recorded as {codes}"
    if happened or name in effects.undone:
        return
    if seen.reply is not None and _is_success(seen.reply):
        yield "was answered with success and has no effect"
    if None in codes:
        yield "is recorded as done and has no effect"


def _is_success(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def figures(seen: Mapping[Name, Seen], effects: Effects, records: Sequence[Record]) -> str:
    """How many of each kind there were, for people."""
    recorded = {name: record.get("errorCode") for record in records if (name := name_of(record)) is not None}
    replies = Counter(f"{one.reply.status // 100}xx" for one in seen.values() if one.reply is not None)
    silent = [one for one in seen.values() if one.reply is None]
    unanswered = [name for name in effects.happened if name in seen and seen[name].reply is None]
    known = sum(recorded.get(name, UNKNOWN) is None for name in unanswered)
    told = sum(name in seen and seen[name].reply is not None for name in recorded)
    kinds = Counter("unknown" if code == UNKNOWN else "failed" if code else "done" for code in recorded.values())
    lines = (
        f"{len(seen)} calls, {sum(not one.request.read_only for one in seen.values())} of them changes",
        f"replies: {replies.total()} {dict(sorted(replies.items()))}",
        f"without a reply: {len(silent)} calls, {sum(one.request.name in recorded for one in silent)} of them recorded",
        f"effects at the servers: {effects.happened.total()}",
        f"effects without a reply: {len(unanswered)}, {known} of them recorded as done, the others as {UNKNOWN}",
        f"records: {len(recorded)}, {told} of them with a reply {dict(sorted(kinds.items()))}",
    )
    return "\n".join(lines)
