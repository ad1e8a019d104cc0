"""OpenTrail's own service: accounts and the access keys that callers bring along."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.store import Account, Identities, KeyOwner
from opentrail.services.opentrail.operators import operators_only
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class OpenTrailService:
    """Handlers of the ``opentrail`` service."""

    def __init__(self, identities: Identities, operator_account_id: str) -> None:
        """``operator_account_id``: the account whose administrators run this OpenTrail."""
        self._identities = identities
        self._operator_account_id = operator_account_id

    @operation("CreateAccount", writes=True)
    def create_account(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Add an account; its name defaults to its id."""
        operators_only(call, self._operator_account_id)
        account_id = request["AccountId"]
        account = self._identities.create_account(unit, account_id, request.get("Name") or account_id, call.received_at)
        return {"Account": _described(account)}

    @operation("ListAccounts")
    def list_accounts(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Every account of this OpenTrail."""
        operators_only(call, self._operator_account_id)
        return {"Accounts": [_described(account) for account in self._identities.list_accounts()]}

    @operation("ImportAccessKey", writes=True)
    def import_access_key(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a key pair known; users and roles are made where they do not exist yet.

        ``Admin`` attaches AdministratorAccess; roles that are made here always get it, users start with nothing.
        """
        operators_only(call, self._operator_account_id)
        pair = (request["AccessKeyId"], request["SecretAccessKey"])
        principal = self._identities.import_key(
            unit,
            request["AccountId"],
            owner_of(request),
            pair,
            at=call.received_at,
            admin=bool(request.get("Admin")),
        )
        return {"AccessKeyId": principal.access_key_id, "Arn": principal.arn}


def owner_of(request: Mapping[str, Any]) -> KeyOwner:
    """Whose key a request imports. Raises ApiError ValidationException where the members do not fit together."""
    kind, name, session = request["OwnerType"], request.get("OwnerName"), request.get("SessionName")
    if kind == "Root":
        if name or session or request.get("Admin"):
            raise ApiError("ValidationException", "A root key has no owner name, session name or admin flag")
        return KeyOwner.root()
    if not name:
        raise ApiError("ValidationException", f"A {kind.lower()} key needs an OwnerName")
    if kind == "User":
        if session:
            raise ApiError("ValidationException", "A user's key has no session name")
        return KeyOwner.user(name)
    return KeyOwner.session(name, session or "session")


def _described(account: Account) -> dict[str, Any]:
    return {"AccountId": account.account_id, "Name": account.name, "CreatedAt": account.created_at}
