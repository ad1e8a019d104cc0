"""What `opentrail trails harden` recommends for a trail and its bucket: decided from what both say of themselves. Pure.

* versioning, so that a deletion or an overwriting leaves what was there;
* a bucket policy by which nobody but named principals deletes log files and digest files;
* one lifecycle rule for log files and digest files together (cloudtrail fact sheet, trap 21);
* log file validation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentrail.cli.retention import RETENTION_RULE_ID, difference, expires

DENIAL = "OpenTrailDenyDeletesOfLogFiles"
DELETIONS = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
NONCURRENT_DAYS = 90
ABORT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Measure:
    """One recommendation. ``state``: ``ok``, ``missing`` (can be applied), ``by hand``, ``unavailable`` (the server has
    it not), and after applying ``applied`` or ``failed``. ``value`` is what would be put.
    """

    subject: str
    measure: str
    state: str
    detail: str
    value: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Root:
    """Where a trail writes: everything below ``prefix``, which ends at the account, or at the organization; ``account``
    is the prefix of one account in it.
    """

    prefix: str
    account: str

    @property
    def folders(self) -> tuple[str, str]:
        """Where log files are, and where digest files are (cloudtrail fact sheet 3.2, 5.1)."""
        return f"{self.account}CloudTrail/", f"{self.account}CloudTrail-Digest/"


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What a bucket says. ``roots`` is where trails write in it. None: it has none; ``refusals`` has the error code of
    each question that was not answered.
    """

    bucket: str
    roots: tuple[Root, ...]
    versioning: str | None = None
    policy: Mapping[str, Any] | None = None
    rules: Sequence[Mapping[str, Any]] | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)


def measures_of_bucket(facts: BucketFacts, keepers: Sequence[str], expire_days: int) -> list[Measure]:
    """What is recommended for a bucket."""
    subject = f"bucket {facts.bucket}"
    wanted = (
        _versioning(subject, facts),
        _policy(subject, facts, keepers),
        _lifecycle(subject, facts, expire_days),
    )
    refusals = facts.refusals
    return [_refused(subject, one.measure, refusals[one.measure]) if one.measure in refusals else one for one in wanted]


def measure_of_trail(name: str, *, is_validated: bool) -> Measure:
    """Whether a trail has log file validation."""
    subject, measure = f"trail {name}", "log file validation"
    if is_validated:
        return Measure(subject, measure, "ok", "on")
    return Measure(
        subject, measure, "missing", "off: nothing will show that log files were changed or deleted", value=True
    )


def denial(bucket: str, roots: Sequence[str], keepers: Sequence[str]) -> dict[str, Any]:
    """The statement by which only ``keepers`` (ARNs) delete what is below ``roots``."""
    return {
        "Sid": DENIAL,
        "Effect": "Deny",
        "Principal": "*",
        "Action": DELETIONS,
        "Resource": [f"arn:aws:s3:::{bucket}/{root}*" for root in sorted(roots)],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": sorted(keepers)}},
    }


def retention_rule(root: str, days: int) -> dict[str, Any]:
    """The rule for everything below a root, log files and digest files alike."""
    return {
        "ID": f"{RETENTION_RULE_ID}:{root}",
        "Status": "Enabled",
        "Filter": {"Prefix": root},
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
    }


def _versioning(subject: str, facts: BucketFacts) -> Measure:
    if facts.versioning == "Enabled":
        return Measure(subject, "versioning", "ok", "on")
    return Measure(subject, "versioning", "missing", "off: what is deleted or written over is gone", value="Enabled")


def _policy(subject: str, facts: BucketFacts, keepers: Sequence[str]) -> Measure:
    policy = dict(facts.policy or {"Version": "2012-10-17"})
    given = policy.get("Statement", [])
    statements = [given] if isinstance(given, Mapping) else list(given)
    ours = [one for one in statements if one.get("Sid") == DENIAL]
    known = {root for one in ours for root in _roots(facts.bucket, one)}
    wanted = denial(facts.bucket, sorted(known | {root.prefix for root in facts.roots}), keepers)
    if [_comparable(one) for one in ours] == [_comparable(wanted)]:
        return Measure(subject, "bucket policy", "ok", f"only {', '.join(sorted(keepers))} deletes log files")
    others = [one for one in statements if one.get("Sid") != DENIAL]
    value = json.dumps({**policy, "Statement": [*others, wanted]})
    detail = f"whoever may delete objects may delete log files; to be left to {', '.join(sorted(keepers))}"
    return Measure(subject, "bucket policy", "missing", detail, value)


def _roots(bucket: str, statement: Mapping[str, Any]) -> list[str]:
    resources = statement.get("Resource", [])
    texts = [resources] if isinstance(resources, str) else resources
    start = f"arn:aws:s3:::{bucket}/"
    return [text.removeprefix(start).removesuffix("*") for text in texts if text.startswith(start)]


def _comparable(statement: Mapping[str, Any]) -> str:
    """A statement as text in which lists of one and single values are alike, and no order counts."""
    return json.dumps(_plain(statement), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return sorted(value) if isinstance(value, list) else [value]


def _lifecycle(subject: str, facts: BucketFacts, expire_days: int) -> Measure:
    rules = list(facts.rules or [])
    uneven = [text for root in facts.roots if (text := difference(rules, *root.folders))]
    if uneven:
        return Measure(subject, "lifecycle rule", "by hand", f"{'; '.join(uneven)}: give both one rule")
    endless = [root.prefix for root in facts.roots if not expires(rules, root.folders[0])]
    if not endless:
        return Measure(subject, "lifecycle rule", "ok", "log files and digest files expire together")
    detail = f"{', '.join(endless)}: never expires; a rule for log files and digest files together, {expire_days} days"
    return Measure(
        subject, "lifecycle rule", "missing", detail, [*rules, *(retention_rule(root, expire_days) for root in endless)]
    )


def _refused(subject: str, measure: str, code: str) -> Measure:
    if code in ("NotImplemented", "MethodNotAllowed"):
        return Measure(subject, measure, "unavailable", f"the S3 server has none ({code})")
    return Measure(subject, measure, "failed", f"cannot be looked at: {code}")
