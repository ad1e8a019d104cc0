"""What the handlers of Organizations work with, and what they share: look-ups, pages and tags.

Rules (API reference). Only the master may change anything but its own membership; accounts that administer any service
may read like the master.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from opentrail.clock import Entropy
from opentrail.events.call import Call
from opentrail.identity.store import Identities
from opentrail.organizations import accounts
from opentrail.organizations.organization import INVITED, JoinedMethod, Member, Organization
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.organizations.store import Organizations
from opentrail.services.organizations import limits, refusals
from opentrail.services.page_tokens import place_in, token_of

T = TypeVar("T")
PAGE = 20
"""How many items a list answers at once (the model's longest page)."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's surroundings."""

    organizations: Organizations
    identities: Identities
    entropy: Entropy

    def new_id(self, prefix: str, length: int) -> str:
        """A new identifier: the prefix and so many characters."""
        return prefix + self.entropy.text(length, _ALPHABET)

    def new_member(
        self, connection: sa.Connection, call: Call, account_id: str, method: JoinedMethod = INVITED
    ) -> Member:
        """An account that joins an organization now, directly below its root. Raises ApiError AccountNotFound."""
        account = self.identities.account(connection, account_id)
        if account is None:
            raise refusals.no_account()
        email = accounts.email_of(connection, account_id)
        return Member(account_id, email, account.name, call.received_at, method)


class Surroundings:
    """What every group of operations finds in ``self``."""

    parts: Parts


def own_organization(found: OrganizationSet, call: Call) -> Organization:
    """The organization of the caller's account. Raises ApiError AWSOrganizationsNotInUse."""
    organization = found.of(call.account_id)
    if organization is None:
        raise refusals.not_in_use()
    return organization


def mastered(found: OrganizationSet, call: Call) -> Organization:
    """The organization that the caller's account is the master of. Raises ApiError AccessDenied too."""
    organization = own_organization(found, call)
    if organization.master_account_id != call.account_id:
        raise refusals.denied()
    return organization


def readable(found: OrganizationSet, call: Call) -> Organization:
    """The organization that the caller's account may look into. Raises ApiError AccessDenied too."""
    organization = own_organization(found, call)
    if organization.master_account_id != call.account_id and not organization.is_delegated(call.account_id):
        raise refusals.denied()
    return organization


def member_of(organization: Organization, account_id: str) -> Member:
    """A member. Raises ApiError AccountNotFound."""
    found = organization.members.get(account_id)
    if found is None:
        raise refusals.no_account()
    return found


def page(
    request: Mapping[str, Any], items: Iterable[T], member: str, key: Callable[[T], str], show: Callable[[T], Any]
) -> dict[str, Any]:
    """A page of a list: its member and NextToken. ``key`` tells items apart, is never empty, and orders them.

    A token goes on after the item that was last, be it gone by now. Raises ApiError InvalidInput for one that is none.
    """
    size, after = request.get("MaxResults") or PAGE, _place(request.get("NextToken"))
    ordered = sorted((item for item in items if key(item) > after), key=key)
    answer: dict[str, Any] = {member: [show(item) for item in ordered[:size]]}
    if len(ordered) > size:
        answer["NextToken"] = token_of(key(ordered[size - 1]))
    return answer


def _place(token: str | None) -> str:
    try:
        return place_in(token or "")
    except ValueError:
        raise refusals.invalid("INVALID_NEXT_TOKEN", "You provided an invalid NextToken.") from None


def new_tags(request: Mapping[str, Any], existing: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags of a resource with those that a request gives. Raises ApiError InvalidInput for keys that are given
    twice or reserved, ConstraintViolation where there are too many.
    """
    given = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()}
    if len(given) != len(request.get("Tags") or ()):
        raise refusals.invalid("DUPLICATE_TAG_KEY", "Tag keys must be unique.")
    refuse_system_tags(given)
    tags = {**(existing or {}), **given}
    if len(tags) > limits.TAGS:
        raise refusals.constraint("MAX_TAG_LIMIT_EXCEEDED", f"A resource has at most {limits.TAGS} tags.")
    return tags


def refuse_system_tags(keys: Iterable[str]) -> None:
    """Raise ApiError InvalidInput where a key is AWS's own."""
    if any(key.lower().startswith("aws:") for key in keys):
        raise refusals.invalid("INVALID_SYSTEM_TAGS_PARAMETER", "Tag keys that begin with aws: are reserved.")
