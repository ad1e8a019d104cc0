"""Whether CloudTrail may write a trail's log files into a bucket, by the bucket's policy (cloudtrail fact sheet 3.5).

Pure decisions over the bucket's owner and policy. They are asked when a trail is created or given another bucket, and
again before every delivery, because a policy can be revoked. What is missing is named, so that it can be added.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from opentrail.identity.policy import AccessRequest, Decision, Policy, evaluate
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.trails.trail import Trail

LOG_FILE_ACL = "bucket-owner-full-control"
LOG_FILE_ENCRYPTION = "AES256"
CLOUDTRAIL = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")


def service_context(trail: Trail) -> dict[str, tuple[str, ...]]:
    """The condition keys of what CloudTrail does for a trail."""
    return {
        "aws:sourcearn": (trail.arn,),
        "aws:sourceaccount": (trail.account_id,),
        "aws:securetransport": ("true",),  # a service's own traffic never leaves it unencrypted, as for AWS's services
        "aws:principalisawsservice": ("true",),
        "aws:principalservicename": (CLOUDTRAIL.service,),
    }


class BucketPolicyMode(StrEnum):
    """``CHECK``: as AWS does, always ask the policy. ``TRUST``: the trail's own account's buckets need none."""

    CHECK = "check"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What decides about a bucket: its owner's account (None: not known to us) and its policy (None: it has none)."""

    name: str
    owner: str | None
    policy: Policy | None


class BucketDirectory(Protocol):
    """What is known of buckets: ``identity.buckets.Buckets``, as far as it matters here."""

    def owner(self, name: str) -> str | None:
        """The account that owns a bucket; None where it is not known."""

    def policy(self, name: str) -> Policy | None:
        """The bucket's policy; None where it has none."""


def facts_of(buckets: BucketDirectory, name: str) -> BucketFacts:
    """What is known of a bucket now."""
    return BucketFacts(name, buckets.owner(name), buckets.policy(name))


def marker_keys(trail: Trail) -> tuple[str, ...]:
    """The marker objects that a trail leaves in its bucket: for log files, and for digest files if it has any."""
    keys = (trail.marker_key, trail.digest_marker_key)
    return keys if trail.validated_since is not None else keys[:1]


def missing_permissions(trail: Trail, bucket: BucketFacts, mode: BucketPolicyMode, *, key: str = "") -> tuple[str, ...]:
    """The permissions that CloudTrail lacks, each in words with action, resource and conditions; empty if none.

    ``key`` is the object about to be written, by default the trail's marker object. In mode ``TRUST`` a bucket of the
    trail's own account is open to its trails unless its policy denies explicitly.
    """
    root = trail.log_root(trail.account_id)
    if trail.is_organization:  # one statement lets all its accounts' files in (cloudtrail fact sheet 3.5)
        root = root.removesuffix(f"{trail.account_id}/")
    object_arn = f"arn:aws:s3:::{bucket.name}/{key or trail.marker_key}"
    needs = (
        (_request("s3:GetBucketAcl", f"arn:aws:s3:::{bucket.name}", trail, {}), f"arn:aws:s3:::{bucket.name}", ""),
        (
            _request("s3:PutObject", object_arn, trail, _put_context(trail)),
            f"arn:aws:s3:::{bucket.name}/{root}*",
            f"s3:x-amz-acl = {LOG_FILE_ACL} and ",
        ),
    )
    trusted = mode is BucketPolicyMode.TRUST and bucket.owner == trail.account_id
    return tuple(
        f"{request.action} on {resource} for the service principal {CLOUDTRAIL.service} "
        f"(with {condition}aws:SourceArn = {trail.arn})"
        for request, resource, condition in needs
        if not _allows(bucket.policy, request, trusted=trusted)
    )


def insufficiency(trail: Trail, bucket: BucketFacts, mode: BucketPolicyMode) -> str | None:
    """The message of InsufficientS3BucketPolicyException: AWS's sentence, then what is missing. None if all is well."""
    missing = tuple(
        dict.fromkeys(
            permission for key in marker_keys(trail) for permission in missing_permissions(trail, bucket, mode, key=key)
        )
    )
    if not missing:
        return None
    return (
        f"Incorrect S3 bucket policy is detected for bucket: {bucket.name}. It does not allow {'; nor '.join(missing)}."
    )


def _allows(policy: Policy | None, request: AccessRequest, *, trusted: bool) -> bool:
    decision = Decision.IMPLICIT_DENY if policy is None else evaluate(policy, request)
    return decision is Decision.ALLOW or (trusted and decision is Decision.IMPLICIT_DENY)


def _request(action: str, resource: str, trail: Trail, extra: dict[str, tuple[str, ...]]) -> AccessRequest:
    return AccessRequest(CLOUDTRAIL, action, resource, {**service_context(trail), **extra})


def _put_context(trail: Trail) -> dict[str, tuple[str, ...]]:
    encryption = "aws:kms" if trail.kms_key_arn else LOG_FILE_ENCRYPTION
    context: dict[str, tuple[str, ...]] = {
        "s3:x-amz-acl": (LOG_FILE_ACL,),
        "s3:x-amz-server-side-encryption": (encryption,),
    }
    if trail.kms_key_arn:
        context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = (trail.kms_key_arn,)
    return context
