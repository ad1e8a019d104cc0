"""What a request says about its signature: reading the Authorization header, or the query of a presigned address.

Rules. Reading proves nothing; it turns well-formed text into values and refuses everything else with AWS's wording.
Messages never hold a signature, a token or a credential.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from opentrail.aws.canonical_request import ALGORITHM, SIGNATURE_PARAMETER, TERMINATOR, Scope, query_parameters
from opentrail.aws.http import RequestHead
from opentrail.errors import OpenTrailError

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
MAX_EXPIRES_S = 7 * 24 * 3600
_SCHEME = f"{ALGORITHM} "
_MAX_AUTHORIZATION_CHARACTERS = 8192
_MAX_CACHED_CHARACTERS = 1024
_scope_part = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_access_key_id = re.compile(r"[!-+\--.0-~]{1,128}").fullmatch  # visible, without comma and slash
_header_name = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}").fullmatch
_new = tuple.__new__  # what a named tuple's constructor comes down to, in half the time (measured)
_stamp = re.compile(r"[0-9]{8}T[0-9]{6}Z").fullmatch


class ProblemKind(StrEnum):
    """Why a signature is not accepted."""

    MALFORMED = "Malformed"
    UNSIGNED_HEADER = "UnsignedHeader"
    SKEWED = "Skewed"
    EXPIRED = "Expired"
    BAD_SCOPE = "BadScope"
    MISMATCH = "Mismatch"
    BAD_CONTENT_HASH = "BadContentHash"


class SignatureProblem(OpenTrailError):
    """A signature that cannot be accepted; ``message`` is fit for the caller and the record."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Authorization(NamedTuple):
    """What a signed request says about its signature; nothing of it is proven yet.

    ``payload_hash`` is ``x-amz-content-sha256`` as sent (header, or query where presigned); None where the request has
    none and the body must be hashed. ``expires_s`` counts from ``signed_at`` and is None for the header form. (A named
    tuple, because one is made per call and costs a third of a frozen dataclass: measured.)
    """

    access_key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    presigned: bool
    expires_s: int | None
    payload_hash: str | None
    security_token: str | None

    def __repr__(self) -> str:
        return (
            f"Authorization({self.access_key_id}/{self.scope}, signed_at={self.signed_at}, presigned={self.presigned})"
        )


def read_authorization(head: RequestHead) -> Authorization | None:
    """What a request says about its signature; None where it carries none (an anonymous request).

    Raises SignatureProblem (MALFORMED) for anything that is not a well-formed Version 4 signature.
    """
    header = head.headers.get("authorization")
    if header is not None:
        if head.query and ("X-Amz-Algorithm=" in head.query or f"{SIGNATURE_PARAMETER}=" in head.query):
            raise _malformed(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified"
            )
        return _from_header(header, head.headers)
    return _from_query(head) if head.query else None


def _malformed(message: str) -> SignatureProblem:
    return SignatureProblem(ProblemKind.MALFORMED, message)


def _from_header(header: str, headers: Mapping[str, str]) -> Authorization:
    # Nearly everybody writes the 64 hex digits of the signature last; what stands before them repeats all day.
    repeated, signature = header[:-64], header[-64:]
    if repeated[-10:] != "Signature=" or not (signature.isalnum() and signature.isascii()):
        repeated, signature = _rearranged(header)
    parse = _credential if len(header) <= _MAX_CACHED_CHARACTERS else _credential.__wrapped__
    access_key_id, scope, signed_headers = parse(repeated)
    payload_hash = headers.get("x-amz-content-sha256")
    if payload_hash is None and scope.service == "s3":
        raise _malformed("Missing required header for this request: x-amz-content-sha256")
    date = headers.get("x-amz-date")
    signed_at = _date_header(headers.get("date")) if date is None else _instant(date)
    token = headers.get("x-amz-security-token")
    fields = (access_key_id, scope, signed_headers, signature, signed_at, False, None, payload_hash, token)
    return _new(Authorization, fields)


def _rearranged(header: str) -> tuple[str, str]:
    """A header in an unusual order or form, with ``Signature=`` moved to the end, and the signature."""
    before, named, rest = header.rpartition("Signature=")
    signature, _, after = rest.partition(",")
    if not header.startswith(_SCHEME):
        raise _malformed(_unsupported_scheme(header))
    if not named or not signature.strip() or not signature.isascii():
        raise _malformed("Authorization header requires 'Signature' parameter.")
    return f"{before}, {after}, Signature=", signature.strip()


def _unsupported_scheme(header: str) -> str:
    if header.startswith("AWS4-ECDSA-P256-SHA256"):
        return f"The authorization mechanism AWS4-ECDSA-P256-SHA256 (SigV4A) is not supported. Please use {ALGORITHM}."
    if header.startswith(("AWS ", "AWS3")):
        return f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
    if header.startswith(ALGORITHM):
        return "Authorization header is not well-formed."
    return "Unsupported Authorization Type"


@lru_cache(maxsize=1024)
def _credential(parameters: str) -> tuple[str, Scope, tuple[str, ...]]:
    """The part of an Authorization header that a client repeats all day: everything but its signature."""
    if not parameters.startswith(_SCHEME) or len(parameters) > _MAX_AUTHORIZATION_CHARACTERS:
        raise _malformed(_unsupported_scheme(parameters))
    found: dict[str, str] = {}
    for part in parameters.removeprefix(_SCHEME).removesuffix("Signature=").split(","):
        name, equals, value = part.strip().partition("=")
        if (name and not equals) or name in found:
            raise _malformed("Authorization header is not well-formed.")
        if name:
            found[name] = value.strip()
    for name in ("Credential", "SignedHeaders"):
        if not found.get(name):
            raise _malformed(f"Authorization header requires '{name}' parameter.")
    return *_scope(found["Credential"]), _signed_headers(found["SignedHeaders"])


def _scope(credential: str) -> tuple[str, Scope]:
    parts = credential.split("/")
    if len(parts) != 5:
        raise _malformed(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term."
        )
    access_key_id, date, region, service, terminator = parts
    if terminator != TERMINATOR:
        raise _malformed(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
    if not _access_key_id(access_key_id):
        raise _malformed("Credential has no valid access key ID.")
    if not (len(date) == 8 and date.isascii() and date.isdigit() and _scope_part(region) and _scope_part(service)):
        raise _malformed("Credential should be scoped to a valid date, region and service.")
    return access_key_id, Scope(date, region, service)


def _signed_headers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if not all(map(_header_name, names)) or len(set(names)) != len(names):
        raise _malformed("SignedHeaders must be lower-case header names, each once, separated by semicolons.")
    if "host" not in names:
        raise _malformed("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    return names


def _date_header(text: str | None) -> datetime:
    if text is None:
        raise _malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if _stamp(text):
        return _instant(text)
    try:
        instant = parsedate_to_datetime(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _malformed("Date must be in ISO-8601 'basic format' or an HTTP date.") from None


@lru_cache(maxsize=256)
def _instant(text: str) -> datetime:
    try:
        if _stamp(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    raise _malformed("Date must be in ISO-8601 'basic format', e.g. 20261123T000000Z.")


def _from_query(head: RequestHead) -> Authorization | None:
    try:
        parameters = query_parameters(head.query)
    except UnicodeEncodeError:
        raise _malformed("The query must be percent-encoded.") from None
    if "X-Amz-Algorithm" not in parameters and SIGNATURE_PARAMETER not in parameters:
        if "AWSAccessKeyId" in parameters and "Signature" in parameters:
            raise _malformed(_unsupported_scheme("AWS "))
        return None
    if _one(parameters, "X-Amz-Algorithm") != ALGORITHM:
        raise _malformed(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    access_key_id, scope = _scope(_one(parameters, "X-Amz-Credential"))
    signature = _one(parameters, SIGNATURE_PARAMETER)
    if not signature.isascii():
        raise _malformed("X-Amz-Signature must be a hex-encoded SHA-256 hash.")
    payload_hash = _optional(parameters, "X-Amz-Content-Sha256") or head.headers.get("x-amz-content-sha256")
    return Authorization(
        access_key_id,
        scope,
        _signed_headers(_one(parameters, "X-Amz-SignedHeaders")),
        signature,
        _instant(_one(parameters, "X-Amz-Date")),
        True,
        _expires_s(_one(parameters, "X-Amz-Expires")),
        payload_hash or (UNSIGNED_PAYLOAD if scope.service == "s3" else None),
        _optional(parameters, "X-Amz-Security-Token"),
    )


def _one(parameters: Mapping[str, list[str]], name: str) -> str:
    value = _optional(parameters, name)
    if not value:
        raise _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            f"X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters ({name} is missing)."
        )
    return value


def _optional(parameters: Mapping[str, list[str]], name: str) -> str | None:
    values = parameters.get(name, [])
    if len(values) > 1:
        raise _malformed(f"{name} may be given only once.")
    return values[0] if values else None


def _expires_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _malformed("X-Amz-Expires should be a number")
    if int(text) < 1:
        raise _malformed("X-Amz-Expires must be positive")
    if int(text) > MAX_EXPIRES_S:
        raise _malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be "
            f"less than {MAX_EXPIRES_S} seconds"
        )
    return int(text)
