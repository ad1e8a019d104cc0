"""Web identities: the ID token (JWT) of an OpenID Connect provider, verified.

Rules (AssumeRoleWithWebIdentity, OpenID Connect Core 3.1.3.7). Only asymmetric signatures count, by a key that the
issuer publishes. The audience must be one that the provider was registered with; ``azp`` stands for it where the token
has one. ``exp``, ``iat`` and ``sub`` are required. Times are held against the clock that is given; nothing here does
I/O: keys come through the port ``VerificationKeys``. Errors carry STS's codes and never the token.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import jwt
import orjson

from opentrail.errors import ApiError

MAX_TOKEN_CHARS = 20_000
SKEW_S = 60
"""How far an issuer's clock may be ahead of ours (``nbf``, ``iat``); an expired token gets no such allowance."""

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_TAGS_CLAIM = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY_CLAIM = "https://aws.amazon.com/source_identity"
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NOT_A_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_LAST_SECOND = datetime.max.replace(tzinfo=UTC).timestamp() - 1


class VerificationKeys(Protocol):
    """Where an issuer's public keys come from."""

    def find(self, issuer: str, key_id: str | None) -> list[Mapping[str, Any]]:
        """The issuer's keys (JWK) that may have signed: those with the id, or all where the token names none.

        Raises ApiError IDPCommunicationError where they cannot be had.
        """


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """What a token says of itself before anybody believed it: enough to know whom to ask."""

    text: str
    issuer: str
    algorithm: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """A verified ID token. ``audience`` is ``azp`` where the token has one; ``tags`` are session tags."""

    issuer: str
    subject: str
    audience: str
    amr: tuple[str, ...]
    expires_at: datetime
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None

    def condition_values(self, host: str) -> dict[str, tuple[str, ...]]:
        """The context keys that a trust policy may ask for, in lower case; ``host`` is the provider's URL as IAM has
        it, without its scheme.
        """
        prefix = host.lower()
        values = {f"{prefix}:aud": (self.audience,), f"{prefix}:sub": (self.subject,)}
        return values | ({f"{prefix}:amr": self.amr} if self.amr else {})


def provider_names(issuer: str) -> tuple[str, ...]:
    """How IAM may have named the provider of an issuer: its URL without ``https://``, as it is and without a slash at
    its end; nothing for issuers that are not HTTPS.
    """
    if not issuer.startswith("https://"):
        return ()
    name = issuer.removeprefix("https://")
    return tuple(dict.fromkeys((name, name.removesuffix("/"))))


def read(text: str) -> UnverifiedToken:
    """Read a token's head and issuer. Raises ApiError InvalidIdentityToken where it is no signed JWT."""
    if len(text) > MAX_TOKEN_CHARS or not _JWT.fullmatch(text):
        raise ApiError("InvalidIdentityToken", _NOT_A_JWT)
    head_text, body_text, _ = text.split(".")
    head, body = _json(head_text), _json(body_text)
    issuer, algorithm, key_id = body.get("iss"), head.get("alg"), head.get("kid")
    if not isinstance(issuer, str) or not issuer or len(issuer) > 2048:
        raise ApiError("InvalidIdentityToken", "Missing a required claim: iss")
    if algorithm not in ALGORITHMS:
        raise ApiError(
            "InvalidIdentityToken", "The ID Token provided is signed with an algorithm that is not supported"
        )
    if "crit" in head or not isinstance(key_id, str | None):
        raise ApiError("InvalidIdentityToken", _NOT_A_JWT)
    return UnverifiedToken(text, issuer, algorithm, key_id)


def verify(
    token: UnverifiedToken, keys: list[Mapping[str, Any]], client_ids: frozenset[str], now: datetime
) -> WebIdentity:
    """Verify a token's signature with any of the keys, then its claims.

    Raises ApiError InvalidIdentityToken, or ExpiredTokenException for a genuine token past its time.
    """
    claims = _signed_claims(token, keys)
    if claims.get("iss") != token.issuer:
        raise ApiError("InvalidIdentityToken", _NOT_A_JWT)
    expires_at = _check_times(claims, now)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise ApiError("InvalidIdentityToken", "Missing a required claim: sub")
    tags, transitive = _tags(claims.get(_TAGS_CLAIM))
    source_identity = claims.get(_SOURCE_IDENTITY_CLAIM)
    if not isinstance(source_identity, str | None):
        raise _invalid_claim(_SOURCE_IDENTITY_CLAIM)
    return WebIdentity(
        token.issuer,
        subject,
        _audience(claims, client_ids),
        tuple(_texts(claims.get("amr", []), "amr")),
        expires_at,
        tags,
        transitive,
        source_identity,
    )


def _json(part: str) -> dict[str, Any]:
    try:
        value = orjson.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise ApiError("InvalidIdentityToken", _NOT_A_JWT) from None
    if not isinstance(value, dict):
        raise ApiError("InvalidIdentityToken", _NOT_A_JWT)
    return value


def _signed_claims(token: UnverifiedToken, keys: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The claims, from the first key that made the signature; the library checks nothing else, we do."""
    nothing_else = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False)
    options: Any = nothing_else | {"verify_signature": True, "verify_sub": False, "verify_jti": False}
    for key in keys:
        try:
            # Only as a key of the kind that the algorithm needs: never what the token says the key is.
            public = jwt.PyJWK(dict(key), algorithm=token.algorithm)
            found = jwt.decode(token.text, public, algorithms=[token.algorithm], options=options)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if isinstance(found, dict):
            return found
    raise ApiError("InvalidIdentityToken", "Couldn't verify the signature of the ID Token with a key of its issuer")


def _check_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    """When the token expires, if it is valid now."""
    expires = _seconds(claims, "exp")
    if now.timestamp() >= expires:
        message = f"Token expired: current date/time {int(now.timestamp())} must be before the expiration date/time "
        raise ApiError("ExpiredTokenException", f"{message}{int(expires)}")
    begins = [_seconds(claims, name) for name in ("iat", "nbf") if name in claims or name == "iat"]
    if any(moment > now.timestamp() + SKEW_S for moment in begins):
        raise ApiError("InvalidIdentityToken", "The ID Token provided is not valid yet")
    return datetime.fromtimestamp(min(expires, _LAST_SECOND), UTC)


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ApiError("InvalidIdentityToken", f"Missing a required claim: {name}")
    return float(min(value, _LAST_SECOND))  # a huge whole number would not become a float


def _audience(claims: Mapping[str, Any], client_ids: frozenset[str]) -> str:
    """The audience that the provider was registered with: ``azp`` alone where there is one."""
    candidates = _texts(claims["azp"] if "azp" in claims else claims.get("aud", []), "aud")
    for candidate in candidates:
        if candidate in client_ids:
            return candidate
    raise ApiError("InvalidIdentityToken", "Incorrect token audience")


def _tags(claim: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Session tags, as ``{"principal_tags": {"Key": ["Value"]}, "transitive_tag_keys": ["Key"]}``."""
    if claim is None:
        return (), ()
    if not isinstance(claim, dict) or not isinstance(claim.get("principal_tags", {}), dict):
        raise _invalid_claim(_TAGS_CLAIM)
    tags = []
    for name, value in claim.get("principal_tags", {}).items():
        values = _texts(value, _TAGS_CLAIM)
        if len(values) != 1:
            raise _invalid_claim(_TAGS_CLAIM)
        tags.append((name, values[0]))
    return tuple(tags), tuple(_texts(claim.get("transitive_tag_keys", []), _TAGS_CLAIM))


def _texts(value: Any, claim: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if len(values) > 100 or not all(isinstance(item, str) for item in values):
        raise _invalid_claim(claim)
    return values


def _invalid_claim(claim: str) -> ApiError:
    return ApiError("InvalidIdentityToken", f"The claim {claim} of the ID Token provided is invalid")
