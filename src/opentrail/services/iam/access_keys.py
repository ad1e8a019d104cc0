"""Access keys of users and of the account's root. A secret is told once, when it is made."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import unique_ids
from opentrail.identity.iam_entities import find_by_id
from opentrail.identity.iam_providers import find_key, instant, keys_of, remove_key, set_key_status
from opentrail.identity.iam_tables import Row
from opentrail.services.iam import limits, refusals
from opentrail.services.iam.parts import Surroundings, page, refuse_if, user_or_caller
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class AccessKeyOperations(Surroundings):
    """The operations on access keys; a part of ``IamService``."""

    @operation("CreateAccessKey", writes=True)
    def create_access_key(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a key pair; nobody can read the secret again."""
        identities, entropy = self.parts.identities, self.parts.entropy
        owner_id, name = _owner(unit.connection, call, request)
        full = len(keys_of(unit.connection, owner_id)) >= limits.ACCESS_KEYS
        refuse_if(full, refusals.quota("AccessKeysPerUser", limits.ACCESS_KEYS))
        key_id, secret = unique_ids.access_key_id(entropy), unique_ids.secret_access_key(entropy)
        key = {"access_key_id": key_id, "account_id": call.account_id, "owner_id": owner_id, "session_name": ""}
        identities.insert_key(unit, key, secret, call.received_at)
        identities.changed(unit, call.account_id)
        shown = {"AccessKeyId": key_id, "Status": "Active", "SecretAccessKey": secret, "CreateDate": call.received_at}
        return {"AccessKey": name | shown}

    @operation("ListAccessKeys")
    def list_access_keys(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The ids of somebody's keys."""
        with self.parts.identities.database.read() as connection:
            owner_id, name = _owner(connection, call, request)
            found = keys_of(connection, owner_id)

        def show(key: Row) -> dict[str, Any]:
            facts = {"AccessKeyId": key["access_key_id"], "Status": key["status"]}
            return name | facts | {"CreateDate": instant(key["created_at"])}

        return page(request, found, "AccessKeyMetadata", lambda key: str(key["access_key_id"]), show)

    @operation("UpdateAccessKey", writes=True)
    def update_access_key(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Switch a key off or on; one that is off is an unknown one."""
        key_id = _owned_key(unit.connection, call, request)
        refuse_if(request["Status"] not in ("Active", "Inactive"), refusals.invalid("Invalid access key status"))
        set_key_status(unit.connection, key_id, request["Status"])
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("DeleteAccessKey", writes=True)
    def delete_access_key(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a key."""
        remove_key(unit.connection, _owned_key(unit.connection, call, request))
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("GetAccessKeyLastUsed")
    def get_access_key_last_used(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """When a key was last used, for which service, in which region."""
        with self.parts.identities.database.read() as connection:
            key = find_key(connection, call.account_id, request["AccessKeyId"])
            if key is None:
                raise _no_such_key(request["AccessKeyId"])
            owner = find_by_id(connection, key["owner_id"])
        used: dict[str, Any] = {"ServiceName": "N/A", "Region": "N/A"}
        if key["last_used_at"] is not None:
            used = {"LastUsedDate": instant(key["last_used_at"]), "ServiceName": key["last_used_service"]}
            used["Region"] = key["last_used_region"]
        return {"AccessKeyLastUsed": used} | ({"UserName": owner.name} if owner else {})


def _owner(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Whose keys a request means: the id, and the member that names a user."""
    user = user_or_caller(connection, call, request)
    return (call.account_id, {}) if user is None else (user.unique_id, {"UserName": user.name})


def _owned_key(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> str:
    owner_id, _ = _owner(connection, call, request)
    key_id: str = request["AccessKeyId"]
    if all(key["access_key_id"] != key_id for key in keys_of(connection, owner_id)):
        raise _no_such_key(key_id)
    return key_id


def _no_such_key(key_id: str) -> ApiError:
    return refusals.not_found(f"The Access Key with id {key_id} cannot be found.")
