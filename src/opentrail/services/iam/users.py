"""Users: create, read, rename, delete."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import Entity, Kind
from opentrail.identity.iam_tables import access_keys, login_profiles, mfa_devices
from opentrail.identity.iam_tags import put_tags, tags_of
from opentrail.services.iam import refusals, rendering
from opentrail.services.iam.lifecycle import (
    create_entity,
    delete_entity,
    refuse_attached,
    rename_entity,
    under_path,
)
from opentrail.services.iam.parts import Surroundings, entity, new_tags, page, refuse_if, usable_policy, user_or_caller
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class UserOperations(Surroundings):
    """The operations on users; a part of ``IamService``."""

    @operation("CreateUser", writes=True)
    def create_user(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a user; he may do nothing yet."""
        tags = new_tags(request, what="User")
        boundary = request.get("PermissionsBoundary")
        if boundary is not None:
            usable_policy(unit.connection, call, boundary, scope=True)
        facts = {"path": request.get("Path"), "boundary_arn": boundary}
        new = self.parts.new_entity(call, Kind.USER, request["UserName"], facts)
        create_entity(self.parts, unit, new)
        put_tags(unit.connection, call.account_id, new.unique_id, tags)
        return {"User": rendering.user(new, tags)}

    @operation("GetUser")
    def get_user(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A user, or whoever calls."""
        with self.parts.identities.database.read() as connection:
            found = user_or_caller(connection, call, request)
            if found is not None:
                return {"User": rendering.user(found, tags_of(connection, found.unique_id))}
        account = next(item for item in self.parts.identities.list_accounts() if item.account_id == call.account_id)
        arn = f"arn:aws:iam::{call.account_id}:root"
        return {"User": {"UserId": call.account_id, "Arn": arn, "CreateDate": account.created_at}}

    @operation("ListUsers")
    def list_users(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's users under a path."""
        with self.parts.identities.database.read() as connection:
            found = iam_entities.listed(connection, call.account_id, Kind.USER)
        return page(request, under_path(found, request), "Users", lambda user: user.name, rendering.user)

    @operation("UpdateUser", writes=True)
    def update_user(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Rename a user, or move him to another path; everything of his stays his."""
        rename_entity(self.parts, unit, entity(unit.connection, call, Kind.USER, request["UserName"]), request)
        return {}

    @operation("DeleteUser", writes=True)
    def delete_user(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a user who has nothing left."""
        connection = unit.connection
        user = entity(connection, call, Kind.USER, request["UserName"])
        refuse_if(_has(connection, access_keys.c.owner_id, user), refusals.conflict("delete access keys"))
        refuse_attached(connection, user)
        refuse_if(iam_entities.groups_of(connection, user), refusals.conflict("remove users from group"))
        refuse_if(_has(connection, login_profiles.c.user_id, user), refusals.conflict("delete login profile"))
        refuse_if(_has(connection, mfa_devices.c.user_id, user), refusals.conflict("delete MFA device"))
        delete_entity(self.parts, unit, user)
        return {}


def _has(connection: sa.Connection, column: sa.Column[Any], user: Entity) -> bool:
    return connection.execute(sa.select(column).where(column == user.unique_id)).first() is not None
