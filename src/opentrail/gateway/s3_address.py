"""What an S3 request may look like before anything is decided about it.

Rules. Every part of an address must mean the same to us, who decide, and to the server behind, which acts. So a bucket
has a legal name, a query names nothing twice, and keys that file-backed S3 servers store under another name are
refused: with an empty, ``.`` or ``..`` segment, a leading slash or a backslash (measured with SeaweedFS 4.48: ``a//b``,
``/a/b`` and ``a\\b`` all become ``a/b``, which a policy about ``a/b`` would not see).
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.errors import ApiError
from opentrail.events.s3 import CopySource, S3Call, query_pairs

MAX_KEY_BYTES = 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_PREFIXES = frozenset({"prefix", "marker", "start-after", "key-marker"})
_ACL_HEADERS = tuple(f"x-amz-grant-{what}" for what in ("full-control", "read", "read-acp", "write", "write-acp"))
_HARMLESS_ACLS = ("", "private", "bucket-owner-full-control")


def is_bucket_name(name: str) -> bool:
    """Whether a name is one that S3 accepts for new buckets (User Guide, "Bucket naming rules")."""
    return (
        _BUCKET.fullmatch(name) is not None
        and not any(pair in name for pair in ("..", ".-", "-."))
        and _IP_ADDRESS.fullmatch(name) is None
        and not name.startswith(("xn--", "sthree-"))
        and not name.endswith(("-s3alias", "--ol-s3"))
    )


def check_address(call: S3Call, query: str, headers: Mapping[str, str], source: CopySource | None) -> None:
    """Raise ApiError where a request's address is not one that we and the upstream read alike."""
    if call.unsupported:
        raise ApiError("NotImplemented", f"OpenTrail does not serve this request: {call.unsupported[:200]}", status=501)
    if call.bucket and not is_bucket_name(call.bucket):
        raise s3_error("InvalidBucketName")
    if call.key:
        check_key(call.key)
    for name, value in headers.items():
        if not value.isascii() and not _is_utf8(value):
            raise s3_error("InvalidArgument", f"The header {name} is not UTF-8 text.")
    counts = Counter(name for name, _ in query_pairs(query))
    if counts and max(counts.values()) > 1:
        raise s3_error("InvalidArgument", "A query parameter may be given only once.")
    for name, value in query_pairs(query):
        if name in _PREFIXES and not _reads_alike(value):
            raise s3_error("InvalidArgument", f"This server cannot tell keys apart by this {name}.")
    if "x-amz-copy-source" in headers:
        if source is None or not is_bucket_name(source.bucket):
            raise s3_error("InvalidArgument", "Copy Source must mention the source bucket and key: bucket/key.")
        check_key(source.key)


def check_key(key: str) -> None:
    """Raise ApiError where a (decoded) key is too long or would be stored under another name."""
    if len(key.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        raise ApiError("KeyTooLongError", "Your key is too long", status=400)
    if not _reads_alike(key) or "\0" in key:
        raise s3_error("InvalidArgument", "This server cannot store objects under this key without renaming them.")


def check_acl(call: S3Call, headers: Mapping[str, str]) -> None:
    """Raise AccessControlListNotSupported for an ACL that would grant something: here policies alone grant.

    That is the default of AWS too since April 2023 (Object Ownership "bucket owner enforced"), which accepts the ACL
    ``bucket-owner-full-control``; ``private`` says no more than that.
    """
    if headers.get("x-amz-acl", "") not in _HARMLESS_ACLS or any(name in headers for name in _ACL_HEADERS):
        raise s3_error("AccessControlListNotSupported")
    if call.operation in ("PutBucketAcl", "PutObjectAcl") and not headers.get("x-amz-acl"):
        raise s3_error("AccessControlListNotSupported")


def check_versioning(parameters: Mapping[str, Any]) -> None:
    """Raise ApiError NotImplemented for a PutBucketVersioning that turns MFA delete on: SeaweedFS answers success and
    drops it (measured), and who asked would believe his versions guarded.
    """
    document = parameters.get("VersioningConfiguration")
    if isinstance(document, Mapping) and "enabled" in str(document.get("MfaDelete", "")).lower():
        raise s3_error("NotImplemented", "The S3 server behind OpenTrail has no MFA delete.")


def _reads_alike(key: str) -> bool:
    if key.startswith("/") or "\\" in key or "//" in key:
        return False
    return not any(segment in (".", "..") for segment in key.split("/"))


def _is_utf8(value: str) -> bool:
    try:
        value.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True
