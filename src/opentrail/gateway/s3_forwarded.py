"""What of a caller's S3 headers goes on to the upstream besides what every upstream call leaves out. Pure."""

from collections.abc import Mapping
from urllib.parse import quote

from opentrail.events.s3 import CopySource

_FRAMING = frozenset({"x-amz-trailer", "x-amz-decoded-content-length"})


def plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A caller's headers without those of the aws-chunked framing, which ends here."""
    return {name: value for name, value in headers.items() if name not in _FRAMING}


def without_digests(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without the digests of a body that does not go on as it came."""
    return {name: value for name, value in headers.items() if not _is_digest(name)}


def source_text(source: CopySource) -> str:
    """``x-amz-copy-source``, spelt anew from what was decided about, so that the upstream reads the same object."""
    version = f"?versionId={quote(source.version_id, safe='')}" if source.version_id else ""
    return f"/{source.bucket}/{quote(source.key, safe='/-_.~')}{version}"


def _is_digest(name: str) -> bool:
    return name in ("content-md5", "x-amz-sdk-checksum-algorithm") or name.startswith("x-amz-checksum-")
