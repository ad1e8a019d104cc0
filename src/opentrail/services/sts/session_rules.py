"""What temporary credentials may be asked for: lengths, tags, policies. Pure; every refusal is STS's own."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from opentrail.aws.arn import parse_arn
from opentrail.errors import ApiError
from opentrail.identity.policy import parse_session
from opentrail.identity.principal import SessionContext
from opentrail.services.sts.refusals import invalid

ROLE_DEFAULT_S = 3600
OWN_DEFAULT_S = 12 * 3600
ROOT_MAX_S = 3600
CHAINED_MAX_S = 3600
MAX_TAGS = 50
MAX_POLICY_ARNS = 10
MAX_POLICY_CHARS = 2048
PACKED_MAX_BYTES = 2300
"""What policies and tags may take of a session token, packed; the rest of its 4096 characters is for who it is."""

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_TAG_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SessionTags:
    """A session's tags, those inherited from the calling session first, and which of them go on from here."""

    tags: Tags = ()
    transitive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionPolicies:
    """Session policies: the inline documents and the ARNs of managed ones."""

    inline: tuple[str, ...] = ()
    arns: tuple[str, ...] = ()


def is_session_name(text: str) -> bool:
    """Whether it can be the name of a role session, or a source identity."""
    return _SESSION_NAME.fullmatch(text) is not None


def role_duration(requested_s: int | None, role_max_s: int, *, chained: bool) -> int:
    """How long a role session lasts, in seconds. Raises ApiError ValidationError."""
    duration_s = ROLE_DEFAULT_S if requested_s is None else requested_s
    if chained and duration_s > CHAINED_MAX_S:
        raise invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    if duration_s > role_max_s:
        raise invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    return duration_s


def own_duration(requested_s: int | None, *, is_root: bool) -> int:
    """How long a session of GetSessionToken or GetFederationToken lasts, in seconds: root's are cut at an hour."""
    duration_s = OWN_DEFAULT_S if requested_s is None else requested_s
    return min(duration_s, ROOT_MAX_S) if is_root else duration_s


def session_tags(tags: Tags, transitive: Sequence[str], calling: SessionContext | None) -> SessionTags:
    """The tags of a new session, with those that the calling session passes on. Raises ApiError ValidationError.

    Keys are told apart without case. A transitive tag of the calling session can be neither changed nor dropped.
    """
    keys = [key.lower() for key, _ in tags]
    if len(tags) > MAX_TAGS:
        raise invalid(f"1 validation error detected: Member must have length less than or equal to {MAX_TAGS}")
    if len(set(keys)) != len(keys):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for key, value in tags:
        if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(value) or key.lower().startswith("aws:"):
            raise invalid("A session tag has a key or value that is not allowed; keys must not begin with aws:")
    missing = {key.lower() for key in transitive} - set(keys)
    if missing:
        raise invalid("The specified transitive tag key must be included in the requested tags.")
    passed_on = {key.lower() for key in calling.transitive_tag_keys} if calling else set()
    if passed_on & set(keys):
        raise invalid("A requested tag conflicts with a transitive tag of the calling session.")
    inherited = tuple(pair for pair in calling.tags if pair[0].lower() in passed_on) if calling else ()
    wanted = {key.lower() for key in transitive}
    going_on = (*(key for key, _ in inherited), *(key for key, _ in tags if key.lower() in wanted))
    return SessionTags((*inherited, *tags), going_on)


def requested_tags(request: Mapping[str, Any]) -> Tags:
    """The ``Tags`` of a request as pairs."""
    return tuple((tag["Key"], tag["Value"]) for tag in request.get("Tags") or ())


def source_identity(requested: str | None, calling: SessionContext | None) -> str | None:
    """A new session's source identity: once set it stays, through every role that is assumed from there.

    Raises ApiError ValidationError for another one.
    """
    held = calling.source_identity if calling else None
    if held is not None and requested is not None and requested != held:
        raise invalid("The source identity of a session cannot be changed: it was set when the first role was assumed.")
    return requested or held


def session_policies(request: Mapping[str, Any]) -> SessionPolicies:
    """The session policies of a request. Raises ApiError MalformedPolicyDocument or ValidationError."""
    inline = request.get("Policy")
    if inline is not None:
        if len(inline) > MAX_POLICY_CHARS:
            raise invalid(f"Value at 'policy' must have length less than or equal to {MAX_POLICY_CHARS}")
        try:
            parse_session(inline)
        except ValueError as problem:
            raise ApiError("MalformedPolicyDocument", f"The policy is not valid: {problem}") from None
    arns = tuple(dict.fromkeys(item.get("arn") or "" for item in request.get("PolicyArns") or ()))
    if len(arns) > MAX_POLICY_ARNS:
        raise invalid(f"Value at 'policyArns' must have length less than or equal to {MAX_POLICY_ARNS}")
    return SessionPolicies(() if inline is None else (inline,), arns)


def require_usable(policies: SessionPolicies, account_id: str, exists: Callable[[str, str], bool]) -> None:
    """Refuse managed session policies that an account cannot use; ``exists(account_id, arn)`` knows.

    It is asked when the caller is known to get the session: others do not learn which policies there are. Raises
    ApiError ValidationError.
    """
    for arn in policies.arns:
        if not _is_policy_of(arn, account_id) or not exists(account_id, arn):
            raise invalid(f"The policy {arn} does not exist in account {account_id} or cannot be used there.")


def packed_percent(policies: SessionPolicies, tags: SessionTags) -> int | None:
    """How much of the space for policies and tags a session takes, in percent rounded up; None where it has neither.

    Raises ApiError PackedPolicyTooLarge above 100.
    """
    if not (policies.inline or policies.arns or tags.tags):
        return None
    packed = zlib.compress(orjson.dumps([policies.inline, policies.arns, tags.tags]), 9)
    percent = -(-len(packed) * 100 // PACKED_MAX_BYTES)
    if percent > 100:
        raise too_large(percent)
    return percent


def too_large(percent: int) -> ApiError:
    """The refusal of policies and tags that do not fit into a session token."""
    return ApiError(
        "PackedPolicyTooLarge", f"Packed size of session policies and tags consumes {percent}% of allotted space."
    )


def _is_policy_of(text: str, account_id: str) -> bool:
    try:
        arn = parse_arn(text)
    except ValueError:
        return False
    return arn.service == "iam" and arn.resource_type == "policy" and arn.account_id in (account_id, "aws")
