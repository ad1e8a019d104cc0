"""How long a bucket's rules let log files and digest files live, and whether that is equally long. Pure.

A digest file that outlives its log files makes validation fail on each of them; log files that outlive their digest
files cannot be proven any more (cloudtrail fact sheet, trap 21).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

RETENTION_RULE_ID = "opentrail-retention"


@dataclass(frozen=True, slots=True)
class Removal:
    """When a rule removes what is in a folder: after ``days``, or at ``date``; ``part`` says of what in it (a deeper
    prefix, tags, sizes), and is empty where that is everything. ``kind`` is ``current`` or ``noncurrent``.
    """

    kind: str
    days: int | None
    date: datetime | None
    part: str = ""

    def __str__(self) -> str:
        when = f"after {self.days} days" if self.days is not None else f"at {self.date:%Y-%m-%d}"
        what = " (versions that are not current)" if self.kind == "noncurrent" else ""
        return f"{when}{what}{f' ({self.part})' if self.part else ''}"


def removals(rules: Iterable[Mapping[str, Any]], folder: str) -> frozenset[Removal]:
    """What the enabled rules of a GetBucketLifecycleConfiguration answer remove in a folder (a prefix).

    Of those that take all of it only the earliest counts: what is gone cannot go again.
    """
    found = {removal for rule in rules if rule.get("Status") == "Enabled" for removal in _of_rule(rule, folder)}
    for kind in ("current", "noncurrent"):
        whole = sorted(one.days for one in found if one.kind == kind and not one.part and one.days is not None)
        found -= {one for one in found if one.kind == kind and whole and one.days is not None and one.days > whole[0]}
    return frozenset(found)


def expires(rules: Iterable[Mapping[str, Any]], folder: str) -> bool:
    """Whether some rule removes everything in a folder one day."""
    return any(one.kind == "current" and not one.part for one in removals(rules, folder))


def difference(rules: Iterable[Mapping[str, Any]], logs: str, digests: str) -> str | None:
    """How rules treat the folder of log files and that of digest files differently; None where they do not."""
    known = list(rules)
    of_logs, of_digests = removals(known, logs), removals(known, digests)
    if of_logs == of_digests:
        return None
    logs_go, digests_go = (_told(found) for found in (of_logs - of_digests, of_digests - of_logs))
    return f"log files go {logs_go}, digest files {digests_go}"


def _of_rule(rule: Mapping[str, Any], folder: str) -> Iterator[Removal]:
    prefix, conditions = _filter(rule)
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return
    parts = [f"below {prefix.removeprefix(folder)}"] if len(prefix) > len(folder) else []
    part = ", ".join(parts + conditions)
    expiration = rule.get("Expiration", {})
    if "Days" in expiration or "Date" in expiration:
        yield Removal("current", expiration.get("Days"), expiration.get("Date"), part)
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    if "NoncurrentDays" in noncurrent:
        yield Removal("noncurrent", noncurrent["NoncurrentDays"], None, part)


def _filter(rule: Mapping[str, Any]) -> tuple[str, list[str]]:
    taken = rule.get("Filter", {})
    taken = taken.get("And", taken)
    prefix: str = rule.get("Prefix") or taken.get("Prefix") or ""
    tags = [*taken.get("Tags", []), *([taken["Tag"]] if "Tag" in taken else [])]
    conditions = [f"tagged {tag['Key']}={tag['Value']}" for tag in tags]
    for name, words in (("ObjectSizeGreaterThan", "larger than"), ("ObjectSizeLessThan", "smaller than")):
        if name in taken:
            conditions.append(f"{words} {taken[name]} bytes")
    return prefix, conditions


def _told(found: frozenset[Removal]) -> str:
    return " and ".join(sorted(str(one) for one in found)) or "never"
