"""What the handlers of the Resource Groups Tagging API work with, and where a page begins.

Our resources come first, then those of the upstream that serves the API for its own resources; a token says where one
is in either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.page_tokens import place_in, token_of
from opentrail.services.tagging.tagged import Tagged

Request = Mapping[str, Any]
Response = Mapping[str, Any]
Source = Callable[[str, str], Iterable[Tagged]]
"""Account id and region to one service's tagged resources there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a resource could not be tagged, in its own service's words."""

    status: int
    code: str
    message: str


class Taggers(Protocol):
    """Ways to change tags of our own resources: through each one's own service, as the caller."""

    def change(self, call: Call, arn: str, tags: Mapping[str, str] | Sequence[str]) -> Failure | None:
        """Add tags (a mapping) to a resource, or take tags off it (their keys). Raises JournalError."""


class Elsewhere(Protocol):
    """The upstream's Resource Groups Tagging API, for resources that are not ours."""

    def is_there(self) -> bool:
        """Whether an upstream serves it."""

    def read(self, operation: str, call: Call, request: Request) -> Mapping[str, Any]:
        """Ask it, as the caller's account. Raises ApiError."""

    def change(self, operation: str, call: Call, request: Request) -> Mapping[str, Any]:
        """Change tags there, announced in the journal before and recorded afterwards. Raises ApiError, JournalError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The API's surroundings. ``sources``: by the service in the resources' ARNs; ``own``: every service whose
    resources are ours, taggable or not.
    """

    sources: Mapping[str, Source]
    own: frozenset[str]
    taggers: Taggers
    elsewhere: Elsewhere

    def resources(self, call: Call) -> list[Tagged]:
        """The caller's account's tagged resources of ours in the call's region."""
        return [one for source in self.sources.values() for one in source(call.account_id, call.region)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind an item of ours, or at a token of the upstream's (``is_ours`` false)."""

    is_ours: bool = True
    after: str = ""

    def token(self) -> str:
        """The PaginationToken that leads here."""
        return token_of(f"{'o' if self.is_ours else 'u'}{self.after}")


def place_of(request: Request) -> Place:
    """Where a request's page begins. Raises ApiError InvalidParameterException for a token that is none."""
    token = request.get("PaginationToken")
    if not token:
        return Place()
    try:
        text = place_in(token)
    except ValueError:
        raise invalid("The PaginationToken is not valid") from None
    if text[:1] not in ("o", "u"):
        raise invalid("The PaginationToken is not valid")
    return Place(text[0] == "o", text[1:])


def invalid(message: str) -> ApiError:
    """The refusal of a parameter."""
    return ApiError("InvalidParameterException", message)
