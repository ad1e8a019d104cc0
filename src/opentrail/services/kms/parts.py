"""What the handlers of KMS work with, and the look-ups and checks that they share.

Order of checks: is there such a key, may the caller, does the key's state allow it (AWS KMS Developer Guide,
"Troubleshooting key access").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.authorization import PolicySet, authorize, denial_text
from opentrail.identity.principal import Principal
from opentrail.identity.statements import AccessRequest
from opentrail.kms.access import NO_VALUES, Asker, denial_abroad, verdict_on
from opentrail.kms.key import AWS, Key, KeyState
from opentrail.kms.references import KeyReference, parse_reference
from opentrail.kms.store import Keys, KeySet
from opentrail.kms.vault import Vault
from opentrail.services.answer import Answer
from opentrail.services.page_tokens import place_in, token_of

Request = Mapping[str, Any]
Response = Mapping[str, Any]
Conditions = Mapping[str, tuple[str, ...]]

_DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service's surroundings. ``policies_of`` and ``context_of`` tell of a caller and his call what policies need:
    his own policies, and the condition keys.
    """

    keys: Keys
    vault: Vault
    clock: Clock
    entropy: Entropy
    policies_of: Callable[[Principal], PolicySet]
    context_of: Callable[[Call], Conditions]

    def asker(self, call: Call) -> Asker:
        """The caller, as key policies see him."""
        return Asker(call.principal, self.policies_of(call.principal), self.context_of(call))

    def require_on_account(self, call: Call, resource: str = "*") -> None:
        """Raise ApiError unless the caller's own policies allow what is about no key."""
        request = AccessRequest(call.principal, f"kms:{call.event_name}", resource, self.context_of(call))
        verdict = authorize(request, self.policies_of(call.principal))
        if not verdict.allowed:
            raise ApiError("AccessDeniedException", denial_text(request, verdict))

    def key(self, call: Call, text: str, keys: KeySet, *, action: str = "", more: Conditions = NO_VALUES) -> Key:
        """The key that a request names, which the caller may do ``action`` with (by default the call's own).

        Raises ApiError NotFoundException or AccessDeniedException.
        """
        reference = reference_of(call, text)
        wanted = action or f"kms:{call.event_name}"
        key = keys.find(reference)
        if key is None:
            if reference.account_id != call.account_id:
                raise ApiError("AccessDeniedException", denial_abroad(call.principal, wanted))
            raise not_found(reference)
        named = {"kms:requestalias": (reference.name,)} if reference.is_alias else {}
        self.require(call, wanted, key, keys, more={**named, **more})
        return key

    def own_key(self, call: Call, text: str, keys: KeySet, *, more: Conditions = NO_VALUES) -> Key:
        """The same for operations that take keys of the caller's account alone."""
        reference = reference_of(call, text)
        if reference.account_id != call.account_id:
            raise ApiError("AccessDeniedException", denial_abroad(call.principal, f"kms:{call.event_name}"))
        return self.key(call, text, keys, more=more)

    def changeable_key(self, call: Call, text: str, keys: KeySet, *, more: Conditions = NO_VALUES) -> Key:
        """A key of the caller's account that he may change; not one that a service keeps, nor one pending deletion."""
        key = self.own_key(call, text, keys, more=more)
        require_customers(key, call)
        require_not_pending(key)
        return key

    def require(self, call: Call, action: str, key: Key, keys: KeySet, *, more: Conditions = NO_VALUES) -> None:
        """Raise ApiError AccessDeniedException unless the caller may do ``action`` with a key."""
        verdict = verdict_on(self.asker(call), action, key, keys.aliases_for(key.key_id), more)
        if not verdict.allowed:
            raise ApiError("AccessDeniedException", verdict.denial)


def reference_of(call: Call, text: str) -> KeyReference:
    """What a request names. Raises ApiError NotFoundException for what cannot be a key here."""
    try:
        return parse_reference(text, account_id=call.account_id, region=call.region)
    except ValueError as problem:
        raise ApiError("NotFoundException", str(problem)) from None


def not_found(reference: KeyReference) -> ApiError:
    """The refusal of a key or alias of the caller's account that does not exist."""
    if reference.is_alias:
        return ApiError("NotFoundException", f"Alias {reference.arn} is not found.")
    return ApiError("NotFoundException", f"Key '{reference.arn}' does not exist")


def require_customers(key: Key, call: Call) -> None:
    """Raise ApiError where a key is one that a service keeps: nobody changes it."""
    if key.manager == AWS:
        who, action = call.principal.arn, f"kms:{call.event_name}"
        said = f"User: {who} is not authorized to perform: {action} on resource: {key.arn} (a key managed by AWS)"
        raise ApiError("AccessDeniedException", said)


def require_not_pending(key: Key) -> None:
    """Raise ApiError KMSInvalidStateException where a key waits for its deletion."""
    if key.state is KeyState.PENDING_DELETION:
        raise ApiError("KMSInvalidStateException", f"{key.arn} is pending deletion.")


def about(key: Key, response: Response | None = None) -> Answer:
    """An answer whose record names the key, and which the key's account sees too."""
    return Answer(response or {}, also_for=(key.account_id,), resources=(key.record_resource,))


def page(request: Request, items: Sequence[Any], name_of: Callable[[Any], str]) -> tuple[Sequence[Any], dict[str, Any]]:
    """One page of a list in the order of names, and the members that lead on to the next.

    A marker is the last name of the page before: what comes or goes meanwhile repeats and skips nothing else. Raises
    ApiError InvalidMarkerException.
    """
    after = _read_marker(request["Marker"]) if "Marker" in request else None
    rest = [item for item in items if after is None or name_of(item) > after]
    limit = request.get("Limit", _DEFAULT_PAGE)
    shown = rest[:limit]
    if len(rest) <= limit:
        return shown, {"Truncated": False}
    return shown, {"Truncated": True, "NextMarker": token_of(name_of(shown[-1]))}


def _read_marker(text: str) -> str:
    try:
        return place_in(text)
    except ValueError:
        raise ApiError("InvalidMarkerException", "The marker is not valid") from None
