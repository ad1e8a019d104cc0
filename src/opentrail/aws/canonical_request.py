"""The texts that Signature Version 4 signs: the canonical request, and the string to sign made from it.

They are public and separate, so that someone whose signature does not match can compare them step by step.

Rules. A request's head comes raw from the wire and stays raw: only these functions decode and encode it again. Header
values go back to the bytes they were (Latin-1). The path is treated as botocore treats it: S3 (and its relatives) signs
it as sent, encoded once; every other service removes dot segments and empty segments and encodes the rest once more. In
a query, ``+`` is a space, a parameter without a value has an empty one, and empty parameters do not count.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from opentrail.aws.http import RequestHead

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
SIGNATURE_PARAMETER = "X-Amz-Signature"
AMZ_PREFIX = "x-amz-"
_MAX_CACHED_CHARACTERS = 256  # presigned queries are longer, and never the same twice
_PATH_AS_SENT = frozenset({"s3", "s3express", "s3-object-lambda", "s3-outposts"})
_plain_path = re.compile(r"[A-Za-z0-9\-._~/]*").fullmatch
_encoded_once = re.compile(r"(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*").fullmatch
_visible = re.compile(r"[!-~]*").fullmatch


@dataclass(frozen=True, slots=True)
class Scope:
    """Where and when a signing key is good for; ``date`` is ``YYYYMMDD``.

    ``text`` (and ``str()``) is the form that is signed, ``20261123/us-east-1/s3/aws4_request``.
    """

    date: str
    region: str
    service: str
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.date}/{self.region}/{self.service}/{TERMINATOR}")

    def __str__(self) -> str:
        return self.text


class HeaderLayout(NamedTuple):
    """How the signed headers stand in a canonical request.

    ``pick`` takes their values out of a request's headers, ``pieces`` is the text around them (every other piece is a
    value's place), ``amz_headers`` is how many of them are ``x-amz-``.
    """

    names: tuple[str, ...]
    pick: Callable[[Mapping[str, str]], str | tuple[str, ...]]
    pieces: list[str]
    amz_headers: int


@lru_cache(maxsize=256)
def stamp(instant: datetime) -> str:
    """An instant in the form that signatures use, ``20261123T164955Z``; whole seconds, UTC."""
    text = (instant if instant.tzinfo is UTC else instant.astimezone(UTC)).isoformat()
    return f"{text[:4]}{text[5:7]}{text[8:13]}{text[14:16]}{text[17:19]}Z"


def canonical_request(head: RequestHead, signed_headers: tuple[str, ...], payload_hash: str) -> bytes:
    """The canonical request of a head whose path is already in canonical form (see ``canonical_paths``).

    Lines: method, path, query, one ``name:value`` per signed header, an empty line, the names joined by semicolons, and
    the payload hash. Raises KeyError for a signed header that the request does not have, and UnicodeEncodeError for a
    header value that is not Latin-1 text.
    """
    return fill(header_layout(signed_headers), head, payload_hash)


def fill(layout: HeaderLayout, head: RequestHead, payload_hash: str) -> bytes:
    """``canonical_request`` for who already has the layout of the signed headers."""
    values = layout.pick(head.headers)
    # Only white space needs work, and one look at all values finds it. (A lone value comes as text, not as a tuple.)
    text = "".join(values)
    pieces = layout.pieces.copy()
    if text.split(None, 1) == [text] and not isinstance(values, str):
        pieces[1::2] = values
    else:
        pieces[1::2] = [collapse(head.headers[name]) for name in layout.names]
    query = canonical_query(head.query) if head.query else ""
    return f"{head.method}\n{head.path}\n{query}\n{''.join(pieces)}\n{payload_hash}".encode("latin-1")


@lru_cache(maxsize=512)
def header_layout(signed_headers: tuple[str, ...]) -> HeaderLayout:
    """The layout of a list of signed headers, which clients repeat all day."""
    pieces = []
    for name in signed_headers:
        pieces += [f"\n{name}:", ""]
    pieces[0] = pieces[0][1:]
    pieces.append(f"\n\n{';'.join(signed_headers)}")
    return HeaderLayout(
        signed_headers, itemgetter(*signed_headers), pieces, "\n".join(signed_headers).count(AMZ_PREFIX)
    )


def string_to_sign(canonical: bytes, scope: Scope, signed_at: datetime) -> bytes:
    """The four lines that are signed: the algorithm, the time, the scope, and the canonical request's SHA-256."""
    return _opening(scope.text, signed_at) + sha256(canonical).hexdigest().encode()


@lru_cache(maxsize=512)
def _opening(scope: str, signed_at: datetime) -> bytes:
    """The lines before the hash: the same for everybody who signs in the same second for the same service."""
    return f"{ALGORITHM}\n{stamp(signed_at)}\n{scope}\n".encode()


def canonical_paths(path: str, service: str) -> tuple[str, ...]:
    """The canonical forms that a raw path may have been signed in, the usual one first.

    There is one, except where an S3 path holds characters that AWS would have encoded: then clients sign either what
    AWS makes of it or what they sent. Both name the same resource: segments are never decoded across a slash.
    """
    if path == "/":
        return ("/",)
    if service not in _PATH_AS_SENT:
        return (_normalised(path),)
    if path and _encoded_once(path):
        return (path,)
    encoded = "/".join(_encode(segment) for segment in path.split("/")) or "/"
    return (encoded, path) if path and _visible(path) else (encoded,)


def canonical_query(query: str) -> str:
    """A raw query with its parameters decoded, encoded AWS's way and sorted; ``X-Amz-Signature`` left out."""
    return _short_query(query) if len(query) <= _MAX_CACHED_CHARACTERS else _short_query.__wrapped__(query)


@lru_cache(maxsize=512)
def _short_query(query: str) -> str:
    pairs = sorted(_encoded_pair(part) for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in pairs if name != SIGNATURE_PARAMETER)


def query_parameters(query: str) -> dict[str, list[str]]:
    """A raw query's parameters, decoded (bytes that are not UTF-8 become replacement characters), in order."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(_decode(name).decode("utf-8", "replace"), []).append(
                _decode(value).decode("utf-8", "replace")
            )
    return found


def collapse(value: str) -> str:
    """A header value without space around it, and every run of white space inside it as one space."""
    return b" ".join(value.encode("latin-1").split()).decode("latin-1")


def _encoded_pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return quote(_decode(name), safe="~"), quote(_decode(value), safe="~")


def _decode(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1"))


def _encode(segment: str) -> str:
    return quote(unquote_to_bytes(segment.encode("latin-1")), safe="~")


def _normalised(path: str) -> str:
    if _plain_path(path) and "//" not in path and "/." not in path and path[:1] == "/":
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{slash}".encode("latin-1"), safe="/~")
