"""Whether a bucket policy lets CloudTrail write, and what the refusal names."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.identity.policy import parse
from opentrail.trails.bucket_access import BucketFacts, BucketPolicyMode, insufficiency, missing_permissions
from opentrail.trails.trail import Trail

ACCOUNT = "123456789012"
BUCKET = "logs-bucket"
TRAIL = Trail(
    trail_id="t1",
    account_id=ACCOUNT,
    home_region="us-east-1",
    name="audit",
    bucket=BUCKET,
    prefix="org",
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
)
SERVICE = {"Service": "cloudtrail.amazonaws.com"}


def acl_statement(**changes: Any) -> dict[str, Any]:
    """The first statement of CloudTrail's documented bucket policy."""
    statement = {
        "Sid": "AWSCloudTrailAclCheck20150319",
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "s3:GetBucketAcl",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": {"StringEquals": {"aws:SourceArn": TRAIL.arn}},
    }
    return {**statement, **changes}


def write_statement(**changes: Any) -> dict[str, Any]:
    """The second statement of CloudTrail's documented bucket policy."""
    conditions = {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL.arn}
    statement = {
        "Sid": "AWSCloudTrailWrite20150319",
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/org/AWSLogs/{ACCOUNT}/*",
        "Condition": {"StringEquals": conditions},
    }
    return {**statement, **changes}


def bucket(*statements: dict[str, Any], owner: str | None = ACCOUNT) -> BucketFacts:
    """A bucket with a policy of these statements, or without one."""
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return BucketFacts(BUCKET, owner, parse(text) if statements else None)


def test_the_documented_policy_suffices() -> None:
    """CloudTrail's own example policy lets a trail write, also into another account's bucket."""
    assert insufficiency(TRAIL, bucket(acl_statement(), write_statement()), BucketPolicyMode.CHECK) is None
    foreign = bucket(acl_statement(), write_statement(), owner="210987654321")
    assert insufficiency(TRAIL, foreign, BucketPolicyMode.CHECK) is None


def test_source_account_may_stand_for_source_arn() -> None:
    """A policy that names aws:SourceAccount instead of the trail's ARN suffices."""
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    facts = bucket(acl_statement(Condition=condition), write_statement(Condition=condition))
    assert insufficiency(TRAIL, facts, BucketPolicyMode.CHECK) is None


def test_a_missing_statement_is_named() -> None:
    """The message begins like AWS's and names action, resource and conditions of what is missing, and nothing else."""
    message = insufficiency(TRAIL, bucket(acl_statement()), BucketPolicyMode.CHECK)
    assert message is not None
    assert message.startswith(f"Incorrect S3 bucket policy is detected for bucket: {BUCKET}. ")
    assert f"s3:PutObject on arn:aws:s3:::{BUCKET}/org/AWSLogs/{ACCOUNT}/*" in message
    assert "s3:x-amz-acl = bucket-owner-full-control" in message
    assert f"aws:SourceArn = {TRAIL.arn}" in message
    assert "s3:GetBucketAcl" not in message


def test_without_a_policy_both_permissions_are_missing() -> None:
    """A bucket without policy is refused in mode check, whoever owns it."""
    assert len(missing_permissions(TRAIL, bucket(), BucketPolicyMode.CHECK)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"Resource": f"arn:aws:s3:::{BUCKET}/AWSLogs/{ACCOUNT}/*"},
        {"Resource": f"arn:aws:s3:::{BUCKET}/org/AWSLogs/210987654321/*"},
        {"Principal": {"AWS": ACCOUNT}},
        {"Condition": {"StringEquals": {"aws:SourceArn": TRAIL.arn + "2"}}},
        {"Action": "s3:GetObject"},
        {"Effect": "Deny"},
    ],
)
def test_a_policy_for_something_else_does_not_suffice(wrong: dict[str, Any]) -> None:
    """Another prefix, account, principal, trail, action or effect leaves PutObject missing."""
    missing = missing_permissions(TRAIL, bucket(acl_statement(), write_statement(**wrong)), BucketPolicyMode.CHECK)
    assert [text.split()[0] for text in missing] == ["s3:PutObject"]


def test_the_key_to_be_written_decides() -> None:
    """Where a key is given, the policy is asked about that very object."""
    narrow = write_statement(Resource=f"arn:aws:s3:::{BUCKET}/org/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/*")
    facts = bucket(acl_statement(), narrow)
    inside = f"org/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/23/x.json.gz"
    assert missing_permissions(TRAIL, facts, BucketPolicyMode.CHECK, key=inside) == ()
    assert missing_permissions(TRAIL, facts, BucketPolicyMode.CHECK, key=inside.replace("us-east-1", "eu-west-1"))


def test_validation_needs_a_place_for_digest_files() -> None:
    """A policy that lets CloudTrail write log files only suffices until validation is on; the rest is told once."""
    facts = bucket(
        acl_statement(), write_statement(Resource=f"arn:aws:s3:::{BUCKET}/org/AWSLogs/{ACCOUNT}/CloudTrail/*")
    )
    assert insufficiency(TRAIL, facts, BucketPolicyMode.CHECK) is None
    validated = TRAIL.validated(TRAIL.created_at, enabled=True)
    message = insufficiency(validated, facts, BucketPolicyMode.CHECK)
    assert message is not None
    assert message.count("s3:PutObject") == 1
    assert (insufficiency(validated, bucket(), BucketPolicyMode.CHECK) or "").count("s3:PutObject") == 1


def test_trust_opens_the_own_accounts_buckets_only() -> None:
    """In mode trust the trail's own account's buckets need no policy; others' do, and a denial still counts."""
    assert insufficiency(TRAIL, bucket(), BucketPolicyMode.TRUST) is None
    assert insufficiency(TRAIL, bucket(owner="210987654321"), BucketPolicyMode.TRUST) is not None
    assert insufficiency(TRAIL, bucket(owner=None), BucketPolicyMode.TRUST) is not None
    denied = bucket(write_statement(Effect="Deny", Condition={}))
    assert len(missing_permissions(TRAIL, denied, BucketPolicyMode.TRUST)) == 1
