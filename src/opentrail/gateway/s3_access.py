"""May this caller do this to that bucket? Pure: from a request and the bucket's state to a refusal or none.

Rules (IAM's evaluation logic, narrowed to what exists here: bucket policies, and administrators instead of identity
policies). An explicit Deny refuses everybody, save the owner's root on the policy itself. Inside the owner's account,
root and administrators may do everything, others what the policy allows. From another account it takes both: the
policy's Allow, and a caller who speaks for its own account. Without credentials it takes the policy's Allow.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from opentrail.aws.http import RequestHead
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.errors import ApiError
from opentrail.events.s3 import CopySource, S3Call, query_pairs
from opentrail.gateway.exchange import Caller
from opentrail.identity.buckets import Bucket
from opentrail.identity.policy import (
    AccessRequest,
    Decision,
    evaluate,
    principal_context,
    speaks_for_account,
)
from opentrail.identity.principal import Principal, PrincipalType

POLICY_OPERATIONS = frozenset({"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"})
_CONDITION_HEADERS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
)
# What an upload says besides its content takes permissions of its own (User Guide, "Required permissions").
_HEADER_ACTIONS = {
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-bypass-governance-retention": "s3:BypassGovernanceRetention",
}
_CONDITION_QUERY = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


@dataclass(frozen=True, slots=True)
class Need:
    """One permission that a request takes: an action on a resource of a bucket."""

    bucket: str
    action: str
    resource: str


def needs(
    call: S3Call,
    source: CopySource | None,
    headers: Mapping[str, str],
    deleted: Iterable[tuple[str, str]] = (),
) -> Iterator[Need]:
    """Every permission that a request takes. ``deleted``: the keys and version ids that a DeleteObjects names."""
    arn = f"arn:aws:s3:::{call.bucket}"
    own = f"{arn}/{call.key}" if call.key else arn
    for header, action in _HEADER_ACTIONS.items():
        if header in headers and not call.read_only:
            yield Need(call.bucket, action, own)
    if call.operation == "DeleteObjects":
        for key, version_id in deleted:
            yield Need(call.bucket, "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject", f"{arn}/{key}")
        return
    if call.iam_action:
        yield Need(call.bucket, call.iam_action, own)
    if call.operation == "GetObjectAttributes":
        yield Need(call.bucket, "s3:GetObjectVersion" if call.version_id else "s3:GetObject", own)
    if source is not None and call.operation in ("CopyObject", "UploadPartCopy"):
        action = "s3:GetObjectVersion" if source.version_id else "s3:GetObject"
        yield Need(source.bucket, action, f"arn:aws:s3:::{source.bucket}/{source.key}")


def may_own_buckets(principal: Principal) -> bool:
    """Whether a caller may list and create its account's buckets: what no bucket policy can speak about."""
    return bool(principal.account_id) and speaks_for_account(principal)


def refusal(
    principal: Principal, bucket: Bucket, need: Need, context: Mapping[str, tuple[str, ...]]
) -> ApiError | None:
    """Why a need is refused; None where it is granted."""
    at_home = principal.account_id == bucket.account_id
    about_policy = need.action.removeprefix("s3:") in POLICY_OPERATIONS
    if at_home and about_policy and principal.type is PrincipalType.ROOT:
        return None  # the owner's root can always undo a policy that locks everybody out
    decision = Decision.IMPLICIT_DENY
    if bucket.policy is not None:
        decision = evaluate(bucket.policy, AccessRequest(principal, need.action, need.resource, context))
    if decision is Decision.EXPLICIT_DENY:
        return s3_error("AccessDenied")
    if at_home:
        return None if decision is Decision.ALLOW or speaks_for_account(principal) else s3_error("AccessDenied")
    if decision is not Decision.ALLOW or not (principal.is_anonymous or speaks_for_account(principal)):
        return s3_error("AccessDenied")
    # S3 lets only the owner's account at the policy, whatever the policy says (API Reference, PutBucketPolicy).
    return s3_error("MethodNotAllowed") if about_policy else None


def request_context(head: RequestHead, caller: Caller, call: S3Call, now: datetime) -> dict[str, tuple[str, ...]]:
    """The condition keys of a request (Service Authorization Reference, "Condition keys for Amazon S3")."""
    context = principal_context(caller.principal)
    found = {
        "aws:currenttime": now.isoformat(),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:sourceip": head.peer,
        "aws:securetransport": "true" if head.tls else "false",
        "aws:useragent": head.headers.get("user-agent", ""),
        "aws:referer": head.headers.get("referer", ""),
        "s3:versionid": call.version_id,
    }
    authorization = caller.authorization
    if authorization is not None:
        age_ms = int((now - authorization.signed_at).total_seconds() * 1000)
        found["s3:authtype"] = "REST-QUERY-STRING" if authorization.presigned else "REST-HEADER"
        found["s3:signatureversion"] = "AWS4-HMAC-SHA256"
        found["s3:signatureage"] = str(max(age_ms, 0))
    context |= {key: (value,) for key, value in found.items() if value}
    for name in _CONDITION_HEADERS:
        if name in head.headers:
            context[f"s3:{name}"] = (head.headers[name],)
    for name, value in query_pairs(head.query):
        if name in _CONDITION_QUERY:
            context[_CONDITION_QUERY[name]] = (value,)
    return context
