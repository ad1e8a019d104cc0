"""Bodies as they are meant: with ``Content-Encoding: gzip`` undone, within bounds.

Botocore compresses large PutMetricData requests, and servers may compress answers. Other encodings are not undone.
"""

import zlib
from collections.abc import Mapping

from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.scalars import Unreadable

_GZIP_WINDOW_BITS = 31


def plain_body(headers: Mapping[str, str], body: bytes) -> bytes:
    """A body without its compression. Raises Unreadable: not gzip, another encoding, or too large once unpacked."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity") or not body:
        plain = body
    elif encoding == "gzip":
        plain = _unzipped(body)
    else:
        raise Unreadable("The body's Content-Encoding is not understood")
    if len(plain) > scalars.BODY_BYTES_MAX:
        raise Unreadable(f"The body is larger than {scalars.BODY_BYTES_MAX} bytes")
    return plain


def _unzipped(body: bytes) -> bytes:
    """What one gzip member holds, or its first bytes where that is more than any modelled body."""
    stream = zlib.decompressobj(_GZIP_WINDOW_BITS)
    try:
        plain = stream.decompress(body, scalars.BODY_BYTES_MAX + 1)
    except zlib.error:
        raise Unreadable("The body is not gzip") from None
    if len(plain) <= scalars.BODY_BYTES_MAX and (not stream.eof or stream.unused_data):
        raise Unreadable("The body is not one whole gzip stream")
    return plain
