"""What ``opentrail doctor`` says of trails' buckets and of the archive: how long files live, and what protects them."""

from collections.abc import Mapping
from typing import Any

from opentrail.cli.checks import Check
from opentrail.cli.hardening import BucketFacts
from opentrail.cli.retention import difference
from opentrail.cli.trail_buckets import Buckets
from opentrail.config import Settings
from opentrail.errors import ConfigError, OutboundError


def bucket_checks(environment: Mapping[str, str], trail: Mapping[str, Any]) -> list[Check]:
    """A trail's bucket: one check for retention where digest files are written, one for each protection."""
    bucket, buckets = trail["S3BucketName"], Buckets(environment)
    facts = buckets.facts(bucket, tuple(buckets.roots(trail)))
    subject = f"bucket {bucket}"
    checks = []
    if trail["LogFileValidationEnabled"]:
        checks.append(_retention(subject, facts))
    if code := facts.refusals.get("versioning"):
        checks.append(Check(subject, "note", f"versioning cannot be looked at: {code}"))
    elif facts.versioning != "Enabled":
        checks.append(
            Check(subject, "note", "versioning is off: a deleted log file is gone; `opentrail trails harden`")
        )
    locked, code = buckets.has_object_lock(bucket)
    if not locked:
        why = f"cannot be looked at: {code}" if code else "is off: whoever may delete versions can delete log files"
        checks.append(Check(subject, "note", f"Object Lock {why}"))
    return checks


def _retention(subject: str, facts: BucketFacts) -> Check:
    if refused := facts.refusals.get("lifecycle rule"):
        return Check(subject, "note", f"lifecycle rules cannot be looked at: {refused}")
    uneven = "; ".join(text for root in facts.roots if (text := difference(facts.rules or [], *root.folders)))
    if not uneven:
        return Check(subject, "ok", "log files and digest files are kept equally long")
    return Check(subject, "problem", f"{uneven}: validation will fail for the time between; give both one rule")


def archive_checks(settings: Settings) -> list[Check]:
    """Whether the archive can be reached, where there is one."""
    from opentrail.app.lifecycle import open_archive  # the whole product behind it: other commands need not wait for it

    named = settings.upstream_archive
    if named is None:
        return []
    where = f"s3://{named.bucket} at {named.endpoint}"
    try:
        archive = open_archive(settings)
        there = archive is not None and archive.store.bucket_exists(named.bucket)
    except (ConfigError, OutboundError) as problem:
        return [Check("archive", "problem", f"{where}: {problem}; expired log files stay where they are")]
    if not there:
        return [Check("archive", "problem", f"{where}: there is no such bucket; expired log files stay where they are")]
    return [Check("archive", "ok", f"expired log and digest files move to {where}")]
