"""May this caller do this to that bucket? Pure: from a request and the bucket's state to a refusal or none.

Rules. The evaluator decides, over the caller's policies and the bucket's (``identity.authorization``): what S3 adds is
that the owner's root can always undo a policy that locks everybody out, and that nobody outside the owner's account
gets at the policy, whatever it says.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from opentrail.aws.http import RequestHead
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.aws.sigv2 import is_presigned_v2
from opentrail.errors import ApiError
from opentrail.events.s3 import CopySource, S3Call, query_pairs
from opentrail.gateway.exchange import Caller
from opentrail.identity.authorization import NO_POLICIES, PolicySet, ResourcePolicy, authorize
from opentrail.identity.buckets import Bucket
from opentrail.identity.context import RequestFacts, Values, session_age
from opentrail.identity.context import request_context as global_context
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.statements import AccessRequest

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
_OLDEST_SIGNATURE_MS = str(10**15)
_CONDITION_QUERY = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


@dataclass(frozen=True, slots=True)
class Need:
    """One permission that a request takes: an action on a resource of a bucket."""

    bucket: str
    action: str
    resource: str


LIST_BUCKETS = Need("", "s3:ListAllMyBuckets", "*")
NO_CONTEXT: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def create_bucket_need(name: str) -> Need:
    """The permission that making a bucket takes."""
    return Need(name, "s3:CreateBucket", f"arn:aws:s3:::{name}")


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


def may_own_buckets(
    principal: Principal,
    policies: PolicySet = NO_POLICIES,
    need: Need = LIST_BUCKETS,
    context: Mapping[str, tuple[str, ...]] = NO_CONTEXT,
) -> bool:
    """Whether a caller may list its account's buckets or create one there: what no bucket policy can speak about."""
    request = AccessRequest(principal, need.action, need.resource, context)
    return bool(principal.account_id) and authorize(request, policies).allowed


def refusal(
    principal: Principal,
    bucket: Bucket,
    need: Need,
    context: Mapping[str, tuple[str, ...]],
    policies: PolicySet = NO_POLICIES,
) -> ApiError | None:
    """Why a need is refused; None where it is granted. ``policies`` are the caller's own."""
    at_home = principal.account_id == bucket.account_id
    about_policy = need.action.removeprefix("s3:") in POLICY_OPERATIONS
    if at_home and about_policy and principal.type is PrincipalType.ROOT:
        return None
    request = AccessRequest(principal, need.action, need.resource, context)
    verdict = authorize(request, policies, resource=ResourcePolicy(bucket.account_id, bucket.policy_for(principal)))
    if not verdict.allowed:
        return s3_error("AccessDenied")
    # S3 lets only the owner's account at the policy, whatever the policy says (API Reference, PutBucketPolicy).
    return s3_error("MethodNotAllowed") if about_policy and not at_home else None


def request_context(head: RequestHead, caller: Caller, call: S3Call, now: datetime, told: Values) -> Values:
    """The condition keys of a request (Service Authorization Reference, "Condition keys for Amazon S3").

    ``told`` are those that follow from who calls.
    """
    authorization = caller.authorization
    facts = RequestFacts(
        at=now,
        source_ip=head.peer,
        secure=head.tls is not None,
        user_agent=head.headers.get("user-agent", ""),
        region=authorization.scope.region if authorization else "",
    )
    context = told | session_age(caller.principal, now) | global_context(facts)
    found = {
        "aws:referer": head.headers.get("referer", ""),
        "s3:versionid": call.version_id,
    }
    if authorization is not None:
        found["s3:authtype"] = "REST-QUERY-STRING" if authorization.presigned else "REST-HEADER"
        if is_presigned_v2(authorization):  # it does not say when it was signed: a limit on its age must hold it off
            found |= {"s3:signatureversion": "AWS", "s3:signatureage": _OLDEST_SIGNATURE_MS}
        else:
            age_ms = int((now - authorization.signed_at).total_seconds() * 1000)
            found |= {"s3:signatureversion": "AWS4-HMAC-SHA256", "s3:signatureage": str(max(age_ms, 0))}
    context |= {key: (value,) for key, value in found.items() if value}
    for name in _CONDITION_HEADERS:
        if name in head.headers:
            context[f"s3:{name}"] = (head.headers[name],)
    for name, value in query_pairs(head.query):
        if name in _CONDITION_QUERY:
            context[_CONDITION_QUERY[name]] = (value,)
    return context
