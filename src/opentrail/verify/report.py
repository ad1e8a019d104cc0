"""What a validation brought: whole, or findings; and what was looked at, so that "whole" has a meaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opentrail.verify.findings import Finding, Note
from opentrail.verify.object_keys import ChainName
from opentrail.verify.times import display


@dataclass(slots=True)
class ChainTally:
    """What was found of one chain. ``first`` and ``last`` border the time of its authentic digest files."""

    chain: ChainName
    digests: int = 0
    digests_valid: int = 0
    logs: int = 0
    logs_valid: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a validation."""

    bucket: str
    chains: Sequence[ChainTally]
    findings: Sequence[Finding]
    notes: Sequence[Note]

    @property
    def whole(self) -> bool:
        """Nothing is wrong with what was looked at."""
        return not self.findings

    def document(self) -> dict[str, Any]:
        """The report for programs, as docs/validate.md describes it."""
        return {
            "whole": self.whole,
            "bucket": self.bucket,
            "chains": [_chain(tally) for tally in self.chains],
            "findings": [_remark(finding) for finding in self.findings],
            "notes": [_remark(note) for note in self.notes],
        }


def _chain(tally: ChainTally) -> dict[str, Any]:
    name = tally.chain
    return {
        "trail": name.trail_name,
        "homeRegion": name.home_region,
        "bucket": name.place.bucket,
        "accountId": name.place.account_id,
        "region": name.place.region,
        "backfill": name.backfill,
        "from": _time(tally.first),
        "until": _time(tally.last),
        "digests": tally.digests,
        "digestsValid": tally.digests_valid,
        "logs": tally.logs,
        "logsValid": tally.logs_valid,
    }


def _remark(remark: Finding | Note) -> dict[str, Any]:
    return {
        "kind": remark.kind.value,
        "subject": remark.subject,
        "when": _time(remark.when),
        "sentence": remark.sentence,
    }


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else display(instant)
