"""Session tokens: temporary credentials that carry themselves, sealed, so that opening one needs no look-up.

Rules. A token holds the whole principal and the secret access key, compressed, under AES-256-GCM. The id of the sealing
key stands in clear before it, and the access key id is bound to it as associated data: a token opens only together
with the access key it was issued with. At most 4096 characters of base64. Whatever was changed, made elsewhere or
sealed by a key that is gone is ``invalid``; a genuine token past its time is ``expired``, which is looked at each time,
also where the opened token was remembered.
"""

import binascii
import zlib
from base64 import b32decode, b32encode, b64decode, b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from threading import Lock
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag

from opentrail.clock import Entropy
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.sealing_keys import KEY_ID_BYTES, NONCE_BYTES, SealingKeys

MAX_TOKEN_CHARS = 4096
_VERSION = b"\x01"
_TAG_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What most tokens have in common; part of the format: changing it needs another version byte.
_DICTIONARY = (
    b'"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Deny","Effect":"Allow","Principal":"Action":['
    b'"NotAction":"Resource":"*"}]}"Condition":{"StringEquals":{"aws:PrincipalTag/s3:GetObjects3:PutObjects3:ListBucket'
    b"cloudtrail:LookupEventson-behalf-ofagentrunarn:aws:s3:::arn:aws:iam::aws:policy/arn:aws:iam:::oidc-provider/"
    b":saml-provider/:policy/:user/:role/arn:aws:sts:::federated-user/:assumed-role/WebIdentityUserFederatedUserIAMUser"
    b'Root","AssumedRole","Role","AROAAIDA'
)


class TokenProblemKind(StrEnum):
    """Why a token is not accepted."""

    INVALID = "invalid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """What a token held: the principal that the session calls as, and the secret that it signs with."""

    principal: Principal
    secret_access_key: str = field(repr=False)


class TokenProblem(Exception):
    """A token that is not accepted; ``session`` is what an expired one held: its owner is known and may be recorded."""

    def __init__(self, kind: TokenProblemKind, session: OpenedSession | None = None) -> None:
        super().__init__(f"the session token is {kind.value}")
        self.kind = kind
        self.session = session


class TokenTooLarge(ValueError):
    """A session whose policies, tags and names do not fit into one token."""


class SessionTokens:
    """Issues and opens session tokens. Safe for threads."""

    def __init__(self, keys: SealingKeys, *, remembered: int = 8192) -> None:
        """``remembered``: how many opened tokens are kept, the most recently used ones."""
        self._keys = keys
        self._remembered = remembered
        self._opened: OrderedDict[bytes, OpenedSession] = OrderedDict()
        self._lock = Lock()

    def issue(self, session: Principal, secret: str, *, minimum_chars: int = 0) -> str:
        """The token of a session and its secret access key, at least that many characters long (up to 4096).

        Raises ValueError where the session has no end, TokenTooLarge where it does not fit.
        """
        if session.session is None or session.session.expires_at is None:
            raise ValueError("only sessions with an expiry get a token")
        compressor = zlib.compressobj(9, wbits=-15, zdict=_DICTIONARY)
        # What follows the end of the compressed data is padding, and is not looked at again.
        packed = compressor.compress(orjson.dumps(_to_row(session, secret))) + compressor.flush()
        overhead = len(_VERSION) + KEY_ID_BYTES + NONCE_BYTES + _TAG_BYTES
        packed = packed.ljust(-(-min(minimum_chars, MAX_TOKEN_CHARS) // 4) * 3 - overhead, b"\x00")
        sealed = self._keys.current().seal(packed, _context(session.access_key_id), self._keys.new_nonce())
        token = b64encode(_VERSION + sealed).decode()
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenTooLarge(f"the session token would have {len(token)} characters")
        return token

    def open(self, token: str, access_key_id: str, now: datetime) -> OpenedSession:
        """The session of a token that was issued together with this access key. Raises TokenProblem."""
        if not 0 < len(token) <= MAX_TOKEN_CHARS or not token.isascii():
            raise TokenProblem(TokenProblemKind.INVALID)
        digest = sha256(token.encode()).digest()
        with self._lock:
            opened = self._opened.get(digest)
            if opened is not None:
                self._opened.move_to_end(digest)
        if opened is None:
            opened = self._unseal(token, access_key_id)
            self._remember(digest, opened)
        elif opened.principal.access_key_id != access_key_id:
            raise TokenProblem(TokenProblemKind.INVALID)
        session = opened.principal.session
        if session is None or session.expires_at is None or session.expires_at <= now:
            raise TokenProblem(TokenProblemKind.EXPIRED, opened)
        return opened

    def _unseal(self, token: str, access_key_id: str) -> OpenedSession:
        try:
            raw = b64decode(token, validate=True)
            key = self._keys.by_id(raw[1 : 1 + KEY_ID_BYTES])
            if raw[:1] != _VERSION or key is None:
                raise TokenProblem(TokenProblemKind.INVALID)
            packed = key.open(raw[1:], _context(access_key_id))
        except (binascii.Error, InvalidTag, ValueError):
            raise TokenProblem(TokenProblemKind.INVALID) from None
        row = orjson.loads(zlib.decompressobj(wbits=-15, zdict=_DICTIONARY).decompress(packed))  # ours: it is sealed
        return _from_row(row, access_key_id)

    def _remember(self, digest: bytes, opened: OpenedSession) -> None:
        with self._lock:
            self._opened[digest] = opened
            while len(self._opened) > self._remembered:
                self._opened.popitem(last=False)


def temporary_key_id(entropy: Entropy, account_id: str) -> str:
    """The id of a new temporary access key: ``ASIA`` and 16 characters that tell the account, as AWS's do.

    The first 48 bits are a one, the account's number in 40 bits, and seven random bits; 32 random bits follow.
    """
    noise = entropy.token(5)
    number = 1 << 47 | int(account_id) << 7 | noise[0] & 0x7F
    return "ASIA" + b32encode(number.to_bytes(6, "big") + noise[1:]).decode()


def account_of_key_id(access_key_id: str) -> str | None:
    """The account that a temporary access key's id tells of; None where the id is not of that kind."""
    if len(access_key_id) != 20 or not access_key_id.startswith("ASIA"):
        return None
    try:
        number = int.from_bytes(b32decode(access_key_id[4:])[:6], "big")
    except ValueError:
        return None
    account = number >> 7 & (1 << 40) - 1
    return f"{account:012}" if number >> 47 and account < 10**12 else None


def _context(access_key_id: str) -> bytes:
    return f"session-token/{access_key_id}".encode()


def _to_row(principal: Principal, secret: str) -> list[Any]:
    """Everything but the access key id, which is bound to the token and need not be in it."""
    session = principal.session
    return [
        secret,
        principal.type.value,
        principal.account_id,
        principal.principal_id,
        principal.arn,
        principal.user_name,
        principal.service,
        principal.identity_provider,
        _session_row(session) if session else None,
    ]


def _session_row(session: SessionContext) -> list[Any]:
    issuer = session.issuer
    return [
        _stamp(session.created_at),
        [issuer.type, issuer.principal_id, issuer.arn, issuer.account_id, issuer.user_name] if issuer else None,
        _stamp(session.expires_at),
        _stamp(session.mfa_at),
        session.source_identity,
        session.provider,
        session.provider_attributes,
        session.tags,
        session.transitive_tag_keys,
        session.policies,
        session.policy_arns,
    ]


def _from_row(row: list[Any], access_key_id: str) -> OpenedSession:
    secret, kind, account_id, principal_id, arn, user_name, service, provider, session = row
    principal = Principal(
        PrincipalType(kind),
        account_id,
        principal_id,
        arn,
        access_key_id,
        user_name,
        _session(session) if session else None,
        service,
        provider,
    )
    return OpenedSession(principal, secret)


def _session(row: list[Any]) -> SessionContext:
    created, issuer, expires, mfa, source_identity, provider, attributes, tags, transitive, policies, arns = row
    return SessionContext(
        created_at=_EPOCH + created * _MICROSECOND,
        issuer=SessionIssuer(*issuer) if issuer else None,
        expires_at=None if expires is None else _EPOCH + expires * _MICROSECOND,
        mfa_at=None if mfa is None else _EPOCH + mfa * _MICROSECOND,
        source_identity=source_identity,
        provider=provider,
        provider_attributes=_pairs(attributes),
        tags=_pairs(tags),
        transitive_tag_keys=tuple(transitive),
        policies=tuple(policies),
        policy_arns=tuple(arns),
    )


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def _stamp(moment: datetime | None) -> int | None:
    """Microseconds since 1970: whole numbers come back exactly."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND
