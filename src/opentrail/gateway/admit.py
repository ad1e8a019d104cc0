"""Who is calling? From a request's head to a caller whose signature holds, or a refusal in AWS's words.

Long-term keys are found in the identity snapshot; temporary ones bring a session token, which holds the secret and the
whole principal, so that neither takes a look into the database. Unknown access keys, and tokens that are not ours, take
the same path as known ones with a secret that nobody has, so that answers and timing tell nothing about which keys
exist. A refusal of a request that names a known key carries its owner: it is recorded there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Protocol

from opentrail.aws.http import RequestHead
from opentrail.aws.sigv2 import PresignedV2, read_presigned_v2, verify_v2
from opentrail.aws.sigv4 import (
    Authorization,
    ProblemKind,
    SignatureProblem,
    SigningKeys,
    read_authorization,
    verify,
)
from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError
from opentrail.events.s3 import locate
from opentrail.gateway.exchange import Caller
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType
from opentrail.identity.session_tokens import OpenedSession, TokenProblem, TokenProblemKind
from opentrail.identity.store import Credential, KeyUse

MAX_USES_NOTED = 65_536
"""How many last uses wait to be written; beyond it, some are noted at their next use."""

_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_NOT_YOURS = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_NO_SUCH_KEY = "The security token included in the request is invalid."
_TEXTS: dict[tuple[str, bool], str] = {
    # (reason, in S3's words)
    ("unknown", False): _NO_SUCH_KEY,
    ("unknown", True): "The AWS Access Key Id you provided does not exist in our records.",
    ("token", False): _NO_SUCH_KEY,
    ("token", True): "The provided token is malformed or otherwise invalid.",
    ("token expired", False): "The security token included in the request is expired",
    ("token expired", True): "The provided token has expired.",
}


class Dialect(StrEnum):
    """Three vocabularies for the same refusals."""

    JSON = "json"
    QUERY = "query"
    S3 = "s3"


class Refusal(ApiError):
    """A request whose signature is not accepted; ``owner`` is whose key it names, where somebody has that key."""

    def __init__(self, error: ApiError, owner: Principal | None) -> None:
        super().__init__(error.code, error.message, status=error.status)
        self.owner = owner


_CODES: dict[tuple[str, Dialect], tuple[str, int]] = {
    ("missing", Dialect.JSON): ("MissingAuthenticationTokenException", 400),
    ("missing", Dialect.QUERY): ("MissingAuthenticationToken", 403),
    ("unknown", Dialect.JSON): ("UnrecognizedClientException", 400),
    ("unknown", Dialect.QUERY): ("InvalidClientTokenId", 403),
    ("unknown", Dialect.S3): ("InvalidAccessKeyId", 403),
    ("token", Dialect.S3): ("InvalidToken", 400),
    ("token expired", Dialect.JSON): ("ExpiredTokenException", 400),
    ("token expired", Dialect.QUERY): ("ExpiredToken", 403),
    ("token expired", Dialect.S3): ("ExpiredToken", 400),
    ("malformed", Dialect.JSON): ("IncompleteSignatureException", 400),
    ("malformed", Dialect.QUERY): ("IncompleteSignature", 403),
    ("malformed", Dialect.S3): ("AuthorizationHeaderMalformed", 400),
    ("mismatch", Dialect.JSON): ("InvalidSignatureException", 400),
    ("mismatch", Dialect.QUERY): ("SignatureDoesNotMatch", 403),
    ("mismatch", Dialect.S3): ("SignatureDoesNotMatch", 403),
    ("skewed", Dialect.JSON): ("InvalidSignatureException", 400),
    ("skewed", Dialect.QUERY): ("SignatureDoesNotMatch", 403),
    ("skewed", Dialect.S3): ("RequestTimeTooSkewed", 403),
    ("expired", Dialect.JSON): ("InvalidSignatureException", 400),
    ("expired", Dialect.QUERY): ("SignatureDoesNotMatch", 403),
    ("expired", Dialect.S3): ("AccessDenied", 403),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What an unverified request says of its signature; None where it has none."""

    authorization: Authorization | None
    old_form: PresignedV2 | None = None


class Known(Protocol):
    """What is known of identities: ``identity.directory.Directory``, as far as it matters here."""

    def credential(self, access_key_id: str) -> Credential | None:
        """A key that is in use; None where nobody has it, or it is inactive."""

    def is_alive(self, principal: Principal) -> bool:
        """Whether the user or role behind a session still exists."""

    def account_alias(self, account_id: str) -> str | None:
        """The account's alias, where it has one."""


class Tokens(Protocol):
    """``identity.session_tokens.SessionTokens``, as far as it matters here."""

    def open(self, token: str, access_key_id: str, now: datetime) -> OpenedSession:
        """What a token holds. Raises TokenProblem."""


class KeyUses:
    """The last use of each long-term access key and each role since somebody took the notes; thread-safe, bounded."""

    def __init__(self) -> None:
        self._keys: dict[str, KeyUse] = {}
        self._roles: dict[str, KeyUse] = {}
        self._lock = Lock()

    def note(self, principal: Principal, use: KeyUse) -> None:
        """Remember a use by a caller that proved itself: of his access key, and of his role where he has one."""
        issuer = principal.session.issuer if principal.session else None
        with self._lock:
            if principal.session is None:
                _remember(self._keys, principal.access_key_id, use)
            elif issuer is not None and issuer.type == "Role":
                _remember(self._roles, issuer.principal_id, use)

    def take(self) -> tuple[Mapping[str, KeyUse], Mapping[str, KeyUse]]:
        """Everything noted since the last time: by access key id, and by the role's unique id."""
        with self._lock:
            taken = self._keys, self._roles
            self._keys, self._roles = {}, {}
        return taken


def _remember(uses: dict[str, KeyUse], name: str, use: KeyUse) -> None:
    if name in uses or len(uses) < MAX_USES_NOTED:
        uses[name] = use


@dataclass(frozen=True, slots=True)
class _Claimed:
    """Whom a request claims to be: the secret that its signature must fit, and why it is refused even so."""

    secret: str
    cache_name: str
    principal: Principal | None = None
    problem: str | None = None


def refused(reason: str, dialect: Dialect, message: str, owner: Principal | None = None) -> Refusal:
    """The refusal for a reason (``missing``, ``unknown``, ...) in a dialect's code."""
    code, status = _CODES.get((reason, dialect)) or _CODES["unknown", dialect]
    return Refusal(ApiError(code, message, status=status), owner)


class Admission:
    """Checks signatures against the known access keys and our own session tokens."""

    def __init__(
        self,
        known: Known,
        tokens: Tokens,
        clock: Clock,
        entropy: Entropy,
        *,
        region: str = "us-east-1",
        base_hosts: tuple[str, ...] = (),
    ) -> None:
        """``region``: of addresses whose signature names none; ``base_hosts``: as for the S3 door."""
        self._region = region
        self._base_hosts = base_hosts
        self._known = known
        self._tokens = tokens
        self._clock = clock
        self._keys = SigningKeys()
        self._nobodys_secret = entropy.token(30).hex()
        self.uses = KeyUses()

    def claim(self, head: RequestHead, dialect: Dialect) -> Claim:
        """Read the signature's parts without trusting them. Raises Refusal where they make no sense."""
        try:
            if (old_form := read_presigned_v2(head)) is not None:
                return Claim(old_form.authorization(self._region), old_form)
            return Claim(read_authorization(head))
        except SignatureProblem as problem:
            raise refused("malformed", dialect, problem.message) from problem

    def admit(
        self, head: RequestHead, claim: Claim, payload_hash: str | None, dialect: Dialect, *, unsigned: bool = False
    ) -> Caller:
        """Verify a claim. ``payload_hash``: the body's own hash, or None to take what the request declares (S3: the
        body is checked while it streams). ``unsigned``: the operation may be called without a signature.

        Raises Refusal. Otherwise an unsigned request is refused, except by S3, where policies may allow everybody.
        """
        authorization = claim.authorization
        if authorization is None:
            if dialect is Dialect.S3 or unsigned:
                return Caller(ANONYMOUS)
            raise refused("missing", dialect, "Missing Authentication Token")
        now = self._clock.now()
        claimed = self._claimed(authorization, now)
        key = self._keys.get(claimed.cache_name, claimed.secret, authorization.scope)
        owner = _shadow(claimed.principal) if claimed.principal else None
        try:
            if claim.old_form is not None and dialect is not Dialect.S3:
                raise SignatureProblem(ProblemKind.MALFORMED, "Signature version 2 is for S3 only")
            if claim.old_form is not None:
                verify_v2(head, claim.old_form, claimed.secret, self._resource(head), now=now)
            else:
                declared = authorization.payload_hash or "UNSIGNED-PAYLOAD"
                verify(head, authorization, key, payload_hash or declared, now=now)
        except SignatureProblem as problem:
            if claimed.principal is None:
                raise _unproven(claimed.problem or "unknown", dialect, None) from problem
            raise self._refusal(problem, dialect, owner) from problem
        if claimed.problem is not None or claimed.principal is None:
            raise _unproven(claimed.problem or "unknown", dialect, owner)
        scope = authorization.scope
        if not is_region(scope.region):
            message = "Credential should be scoped to a valid region."
            raise refused("mismatch", dialect, message, owner)
        self.uses.note(claimed.principal, KeyUse(now, scope.service, scope.region))
        return Caller(self._named(claimed.principal), authorization, key)

    def _named(self, principal: Principal) -> Principal:
        """A root goes by its account's alias, where it has one (cloudtrail fact sheet 2.1)."""
        alias = self._known.account_alias(principal.account_id) if principal.type is PrincipalType.ROOT else None
        return replace(principal, user_name=alias) if alias else principal

    def _claimed(self, authorization: Authorization, now: datetime) -> _Claimed:
        """Whose key a request names. What is unknown gets a secret that nobody has, under a single cache name: keys
        that a caller makes up must not fill the cache.
        """
        key_id, token = authorization.access_key_id, authorization.security_token
        credential = self._known.credential(key_id)
        if credential is not None:
            problem = None if token is None else "token"
            return _Claimed(credential.secret_access_key, key_id, credential.principal, problem)
        if token is None:
            return _Claimed(self._nobodys_secret, "-", problem="unknown")
        try:
            opened, problem = self._tokens.open(token, key_id, now), None
        except TokenProblem as refusal:
            if refusal.kind is not TokenProblemKind.EXPIRED or refusal.session is None:
                return _Claimed(self._nobodys_secret, "-", problem="token")
            opened, problem = refusal.session, "token expired"
        if problem is None and not self._known.is_alive(opened.principal):
            problem = "token"
        return _Claimed(opened.secret_access_key, key_id, opened.principal, problem)

    def forget(self, access_key_id: str) -> None:
        """Drop what is cached for an access key whose secret changed."""
        self._keys.forget(access_key_id)

    def _resource(self, head: RequestHead) -> str:
        """The bucket and key of an address, as version 2 signs them."""
        by_host = locate(head.host, "/", self._base_hosts).bucket
        return f"/{by_host}{head.path}" if by_host else head.path

    def _refusal(self, problem: SignatureProblem, dialect: Dialect, owner: Principal | None) -> Refusal:
        reason = {
            ProblemKind.MALFORMED: "malformed",
            ProblemKind.SKEWED: "skewed",
            ProblemKind.EXPIRED: "expired",
        }.get(problem.kind, "mismatch")
        message = _NOT_YOURS if problem.kind is ProblemKind.MISMATCH else problem.message
        return refused(reason, dialect, message, owner)


def is_region(text: str) -> bool:
    """Whether a signature's region could be one; it becomes part of object keys, so nothing else may pass."""
    return _REGION.fullmatch(text) is not None


def _unproven(reason: str, dialect: Dialect, owner: Principal | None) -> Refusal:
    """The refusal of a key or token that is unknown, not ours or too old, in the dialect's words."""
    return refused(reason, dialect, _TEXTS[reason, dialect is Dialect.S3], owner)


def _shadow(owner: Principal) -> Principal:
    """The owner of a key that somebody used without proving it: known as far as the key tells, and no more."""
    return Principal(PrincipalType.UNKNOWN, owner.account_id, owner.principal_id, access_key_id=owner.access_key_id)
