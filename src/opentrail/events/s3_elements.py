"""What S3's event records say about a request, beyond its name: requestParameters, additionalEventData, resources.

Rules (cloudtrail fact sheet 1.5, 1.9, 12.1): query and header names stand as they were sent, sub-resources as empty
text; bucketName, key and Host are ours and cannot be overwritten by a query. Never recorded: signatures,
credentials, security tokens, customer-provided keys (SSE-C) and their digests, MFA codes, user metadata.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.aws.http import RequestHead
from opentrail.events.s3 import S3Call, query_pairs

AUTH_HEADER = "AuthHeader"
QUERY_STRING = "QueryString"

_OURS = frozenset({"bucketname", "key", "host", "bucketpolicy"})
# Parts of names, in lower case, whose values are secret or let somebody act as the caller. ``signature`` and
# ``awsaccesskeyid`` also cover presigned addresses of the old signature version.
_NEVER = (
    "signature",
    "credential",
    "token",
    "customer-key",
    "awsaccesskeyid",
    "authorization",
    "mfa",
    "secret",
    "password",
)
_KEPT_DESPITE = frozenset({"continuation-token"})
_HEADERS = (
    "x-amz-acl",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-expected-bucket-owner",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-ownership",
    "x-amz-optional-object-attributes",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-website-redirect-location",
)


def request_parameters(call: S3Call, head: RequestHead, *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``requestParameters``. ``body`` adds what the body said (``s3_documents.body_parameters``).

    A query name given more than once has its values in a list.
    """
    shown: dict[str, Any] = {}
    for name, value in query_pairs(head.query):
        if not _is_shown(name):
            continue
        if name in shown:
            earlier = shown[name]
            shown[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            shown[name] = value
    if call.bucket:
        shown["bucketName"] = call.bucket
    if head.host:
        shown["Host"] = head.host
    if call.key:
        shown["key"] = call.key
    shown.update({name: head.headers[name] for name in _HEADERS if name in head.headers})
    shown.update(body or {})
    return shown


def additional_event_data(
    *,
    authentication: str | None,
    cipher_suite: str | None = None,
    bytes_in: int = 0,
    bytes_out: int = 0,
    host_id: str = "",
    signature_version: str = "SigV4",
) -> dict[str, Any]:
    """``additionalEventData``; ``authentication`` is ``AUTH_HEADER``, ``QUERY_STRING`` or None for anonymous calls
    (2.4).
    """
    data: dict[str, Any] = {}
    if authentication is not None:
        data["SignatureVersion"] = signature_version
    if cipher_suite:
        data["CipherSuite"] = cipher_suite
    data["bytesTransferredIn"] = bytes_in
    if authentication is not None:
        data["AuthenticationMethod"] = authentication
    if host_id:
        data["x-amz-id-2"] = host_id
    data["bytesTransferredOut"] = bytes_out
    return data


def resources(call: S3Call, owner_account_id: str | None, *, prefix: str = "") -> tuple[Mapping[str, str], ...]:
    """``resources``: the object without an account, then the bucket with its owner's, where that is known (1.5).

    Calls that list or name many objects show an ``ARNPrefix``; ``prefix`` is what a listing asked for.
    """
    if not call.bucket:
        return ()
    arn = f"arn:aws:s3:::{call.bucket}"
    bucket = {"accountId": owner_account_id} if owner_account_id else {}
    bucket |= {"type": "AWS::S3::Bucket", "ARN": arn}
    if call.key:
        return {"type": "AWS::S3::Object", "ARN": f"{arn}/{call.key}"}, bucket
    if call.management or call.event_name == "HeadBucket":
        return (bucket,)
    return {"type": "AWS::S3::Object", "ARNPrefix": f"{arn}/{prefix}"}, bucket


def _is_shown(name: str) -> bool:
    """Whether a query parameter may be recorded under its name."""
    lower = name.lower()
    if lower in _OURS:
        return False
    return lower in _KEPT_DESPITE or not any(part in lower for part in _NEVER)
