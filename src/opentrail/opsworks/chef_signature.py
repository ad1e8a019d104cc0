"""Chef's request signature, version 1.3: RSA PKCS#1 v1.5 over SHA-256 of seven named lines.

Pure. The form is the opsworks-cm fact sheet's, section 12.4; the query string is not part of it.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SERVER_API_VERSION = "1"
_PIECE_LENGTH = 60


def signed_headers(
    method: str, path: str, body: bytes, *, user: str, key: rsa.RSAPrivateKey, at: datetime
) -> Mapping[str, str]:
    """The ``X-Ops-*`` headers that make a request ``user``'s; ``path`` is without its query string."""
    stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    content_hash = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
    signed = "\n".join(
        (
            f"Method:{method}",
            f"Path:{path}",
            f"X-Ops-Content-Hash:{content_hash}",
            "X-Ops-Sign:version=1.3",
            f"X-Ops-Timestamp:{stamp}",
            f"X-Ops-UserId:{user}",
            f"X-Ops-Server-API-Version:{SERVER_API_VERSION}",
        )
    )
    signature = base64.b64encode(key.sign(signed.encode("utf-8"), padding.PKCS1v15(), hashes.SHA256())).decode("ascii")
    pieces = [signature[start : start + _PIECE_LENGTH] for start in range(0, len(signature), _PIECE_LENGTH)]
    return {
        "X-Ops-Sign": "version=1.3",
        "X-Ops-Userid": user,
        "X-Ops-Timestamp": stamp,
        "X-Ops-Content-Hash": content_hash,
        "X-Ops-Server-API-Version": SERVER_API_VERSION,
    } | {f"X-Ops-Authorization-{number}": piece for number, piece in enumerate(pieces, 1)}
