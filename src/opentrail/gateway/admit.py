"""Who is calling? From a request's head to a caller whose signature holds, or a refusal in AWS's words.

Unknown access keys take the same path as known ones, with a secret that nobody has, so that answers and timing tell
nothing about which keys exist. A refusal of a request that names a known key carries its owner: it is recorded there.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

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
from opentrail.identity.store import Identities

_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_NOT_YOURS = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_NO_SUCH_KEY = "The security token included in the request is invalid."


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


def refused(reason: str, dialect: Dialect, message: str, owner: Principal | None = None) -> Refusal:
    """The refusal for a reason (``missing``, ``unknown``, ...) in a dialect's code."""
    code, status = _CODES.get((reason, dialect)) or _CODES["unknown", dialect]
    return Refusal(ApiError(code, message, status=status), owner)


class Admission:
    """Checks signatures against the known access keys."""

    def __init__(
        self,
        identities: Identities,
        clock: Clock,
        entropy: Entropy,
        *,
        region: str,
        base_hosts: tuple[str, ...] = (),
    ) -> None:
        """``region``: of addresses whose signature names none; ``base_hosts``: as for the S3 door."""
        self._region = region
        self._base_hosts = base_hosts
        self._identities = identities
        self._clock = clock
        self._keys = SigningKeys()
        self._nobodys_secret = entropy.token(30).hex()

    def claim(self, head: RequestHead, dialect: Dialect) -> Claim:
        """Read the signature's parts without trusting them. Raises Refusal where they make no sense."""
        try:
            if (old_form := read_presigned_v2(head)) is not None:
                return Claim(old_form.authorization(self._region), old_form)
            return Claim(read_authorization(head))
        except SignatureProblem as problem:
            raise refused("malformed", dialect, problem.message) from problem

    def admit(self, head: RequestHead, claim: Claim, payload_hash: str | None, dialect: Dialect) -> Caller:
        """Verify a claim. ``payload_hash``: the body's own hash, or None to take what the request declares (S3: the
        body is checked while it streams).

        Raises Refusal. An unsigned request is refused, except by S3, where policies may allow everybody.
        """
        authorization = claim.authorization
        if authorization is None:
            if dialect is Dialect.S3:
                return Caller(ANONYMOUS)
            raise refused("missing", dialect, "Missing Authentication Token")
        credential = self._identities.credential(authorization.access_key_id)
        # An unknown key must not fill the cache: it is the caller's choice, and there is no end of them.
        secret = credential.secret_access_key if credential else self._nobodys_secret
        cache_name = authorization.access_key_id if credential else "-"
        key = self._keys.get(cache_name, secret, authorization.scope)
        owner = _shadow(credential.principal) if credential else None
        try:
            if claim.old_form is not None:
                verify_v2(head, claim.old_form, secret, self._resource(head), now=self._clock.now())
            else:
                declared = authorization.payload_hash or "UNSIGNED-PAYLOAD"
                verify(head, authorization, key, payload_hash or declared, now=self._clock.now())
        except SignatureProblem as problem:
            if credential is None:
                raise refused("unknown", dialect, _unknown_key_text(dialect)) from problem
            raise self._refusal(problem, dialect, owner) from problem
        if credential is None:
            raise refused("unknown", dialect, _unknown_key_text(dialect))
        if authorization.security_token is not None:
            raise refused("token", dialect, _NO_SUCH_KEY, owner)
        if not is_region(authorization.scope.region):
            message = "Credential should be scoped to a valid region."
            raise refused("mismatch", dialect, message, owner)
        return Caller(credential.principal, authorization, key)

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


def _unknown_key_text(dialect: Dialect) -> str:
    if dialect is Dialect.S3:
        return "The AWS Access Key Id you provided does not exist in our records."
    return _NO_SUCH_KEY


def _shadow(owner: Principal) -> Principal:
    """The owner of a key that somebody used without proving it: known as far as the key tells, and no more."""
    return Principal(PrincipalType.UNKNOWN, owner.account_id, owner.principal_id, access_key_id=owner.access_key_id)
