"""What the handlers of IAM work with, and what they share: look-ups, pages, tags and policy texts.

Everything is found within the caller's account; what belongs to another account does not exist.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.iam_entities import Entity, Kind, find, find_by_id, new_entity
from opentrail.identity.iam_policies import ManagedPolicy, find_policy
from opentrail.identity.policy import Policy
from opentrail.identity.principal import PrincipalType
from opentrail.identity.store import Identities
from opentrail.services.iam import limits, refusals

T = TypeVar("T")
DEFAULT_MAX_ITEMS = 100
_MARKER = re.compile(r"([0-9]{1,9})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's surroundings."""

    identities: Identities
    clock: Clock
    entropy: Entropy

    def new_entity(self, call: Call, kind: Kind, name: str, facts: Mapping[str, Any]) -> Entity:
        """A user, group or role of the caller's account, made now and not stored yet."""
        return new_entity(self.entropy, call.account_id, kind, name, call.received_at, **facts)


class Surroundings:
    """What every group of operations finds in ``self``."""

    parts: Parts


def entity(connection: sa.Connection, call: Call, kind: Kind, name: str) -> Entity:
    """The caller's user, group or role of that name. Raises ApiError NoSuchEntity."""
    found = find(connection, call.account_id, kind, name)
    if found is None:
        raise refusals.no_such(kind.value, name)
    return found


def user_or_caller(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> Entity | None:
    """The user that a request names, or else the one who calls; None is the account's root.

    Raises ApiError NoSuchEntity, or ValidationError where the caller is neither user nor root.
    """
    name = request.get("UserName")
    if name is not None:
        return entity(connection, call, Kind.USER, name)
    if call.principal.type is PrincipalType.ROOT:
        return None
    if call.principal.type is not PrincipalType.IAM_USER:
        raise refusals.needs_user_name()
    found = find_by_id(connection, call.principal.principal_id)
    if found is None:
        raise refusals.no_such("user", call.principal.user_name)
    return found


def usable_policy(connection: sa.Connection, call: Call, arn: str, *, scope: bool = False) -> ManagedPolicy:
    """A policy to attach, or to bound permissions with (``scope``). Raises ApiError NoSuchEntity."""
    found = find_policy(connection, call.account_id, arn)
    if found is None:
        raise refusals.not_found(f"{'Scope ARN: ' if scope else 'Policy '}{arn} does not exist or is not attachable.")
    return found


def policy(connection: sa.Connection, call: Call, arn: str) -> ManagedPolicy:
    """The policy with that ARN. Raises ApiError NoSuchEntity."""
    found = find_policy(connection, call.account_id, arn)
    if found is None:
        raise refusals.not_found(f"Policy {arn} was not found.")
    return found


def page(
    request: Mapping[str, Any], items: Iterable[T], member: str, key: Callable[[T], str], show: Callable[[T], Any]
) -> dict[str, Any]:
    """A page of a list: the response's list member, IsTruncated and Marker.

    ``key`` tells items apart; they come in its order. A marker goes on after the item that was last, or at its place
    where it is gone by now. Raises ApiError ValidationError for a marker that is none.
    """
    ordered = sorted(items, key=key)
    begin = _begin(request.get("Marker"), [_digest(key(item)) for item in ordered])
    end = begin + (request.get("MaxItems") or DEFAULT_MAX_ITEMS)
    answer: dict[str, Any] = {member: [show(item) for item in ordered[begin:end]], "IsTruncated": end < len(ordered)}
    if end < len(ordered):
        answer["Marker"] = f"{end}-{_digest(key(ordered[end - 1]))}"
    return answer


def _begin(marker: str | None, digests: Sequence[str]) -> int:
    if marker is None:
        return 0
    found = _MARKER.fullmatch(marker)
    if found is None:
        raise refusals.validation("Invalid Marker.")
    return digests.index(found[2]) + 1 if found[2] in digests else min(int(found[1]), len(digests))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def new_tags(
    request: Mapping[str, Any], existing: Mapping[str, str] | None = None, what: str = "Entity"
) -> dict[str, str]:
    """The tags that a request gives. Raises ApiError InvalidInput for keys given twice or reserved, LimitExceeded."""
    given = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()}
    folded = [tag["Key"].casefold() for tag in request.get("Tags") or ()]
    if len(set(folded)) != len(folded):
        raise refusals.invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in folded):
        raise refusals.invalid("Tag keys beginning with aws: are reserved for system use.")
    if len({key.casefold() for key in existing or ()} | set(folded)) > limits.TAGS:
        raise refusals.quota(f"TagsPer{what}", limits.TAGS)
    return given


def read_policy(read: Callable[[str], Policy], text: str) -> Policy:
    """A policy that a request carries, read by its rules. Raises ApiError MalformedPolicyDocument."""
    try:
        return read(text)
    except ValueError as problem:
        raise refusals.malformed(str(problem)) from None


def refuse_if(condition: object, refusal: ApiError) -> None:
    """Raise the refusal where the condition holds."""
    if condition:
        raise refusal
