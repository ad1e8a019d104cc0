"""What a handler answers when its record needs more than the response: who called, who else sees it, and on what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentrail.errors import ApiError
from opentrail.identity.principal import Principal


@dataclass(frozen=True, slots=True)
class Answer(Mapping[str, Any]):
    """A response, in wire casing, with facts for its event record; as a mapping it is that response.

    ``caller``: who the record says called, where the request itself did not tell (web identity and SAML); its account
    becomes the record's recipient. ``also_for``: accounts that get a copy of the record besides the caller's.
    ``resources``: entries of the record's ``resources`` (``accountId``, ``type``, ``ARN``, in this order; cloudtrail
    fact sheet 1.5). ``additional_event_data``: members of the record's element of that name. ``region``: where it
    happened, where the request itself did not tell.
    """

    response: Mapping[str, Any] = field(repr=False)  # it may hold credentials
    caller: Principal | None = None
    also_for: tuple[str, ...] = ()
    resources: tuple[Mapping[str, str], ...] = ()
    additional_event_data: Mapping[str, Any] | None = None
    region: str | None = None

    def __getitem__(self, member: str) -> Any:
        return self.response[member]

    def __iter__(self) -> Iterator[str]:
        return iter(self.response)

    def __len__(self) -> int:
        return len(self.response)


class DeniedCaller(ApiError):
    """A refusal, 403, of somebody whom the handler knows though the request was not signed: its record's ``caller``."""

    def __init__(self, code: str, message: str, caller: Principal) -> None:
        super().__init__(code, message, status=403)
        self.caller = caller
