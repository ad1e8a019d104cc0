"""Groups and their members."""

from collections.abc import Mapping
from typing import Any

from opentrail.events.call import Call
from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import Kind
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.lifecycle import (
    create_entity,
    delete_entity,
    refuse_attached,
    rename_entity,
    under_path,
)
from opentrail.services.iam.parts import Surroundings, entity, page, refuse_if
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class GroupOperations(Surroundings):
    """The operations on groups; a part of ``IamService``."""

    @operation("CreateGroup", writes=True)
    def create_group(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a group."""
        new = self.parts.new_entity(call, Kind.GROUP, request["GroupName"], {"path": request.get("Path")})
        create_entity(self.parts, unit, new)
        return {"Group": rendering.summary(new)}

    @operation("GetGroup")
    def get_group(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A group and its users, by pages."""
        with self.parts.identities.database.read() as connection:
            group = entity(connection, call, Kind.GROUP, request["GroupName"])
            users = iam_entities.members_of(connection, group)
        shown = page(request, users, "Users", lambda user: user.name, rendering.user)
        return {"Group": rendering.summary(group)} | shown

    @operation("ListGroups")
    def list_groups(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's groups under a path."""
        with self.parts.identities.database.read() as connection:
            found = iam_entities.listed(connection, call.account_id, Kind.GROUP)
        return page(request, under_path(found, request), "Groups", lambda group: group.name, rendering.summary)

    @operation("ListGroupsForUser")
    def list_groups_for_user(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The groups that a user is in."""
        with self.parts.identities.database.read() as connection:
            user = entity(connection, call, Kind.USER, request["UserName"])
            found = iam_entities.groups_of(connection, user)
        return page(request, found, "Groups", lambda group: group.name, rendering.summary)

    @operation("UpdateGroup", writes=True)
    def update_group(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Rename a group, or move it to another path."""
        group = entity(unit.connection, call, Kind.GROUP, request["GroupName"])
        rename_entity(self.parts, unit, group, request)
        return {}

    @operation("DeleteGroup", writes=True)
    def delete_group(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a group without users and policies."""
        group = entity(unit.connection, call, Kind.GROUP, request["GroupName"])
        refuse_if(iam_entities.members_of(unit.connection, group), refusals.conflict("remove users from group"))
        refuse_attached(unit.connection, group)
        delete_entity(self.parts, unit, group)
        return {}

    @operation("AddUserToGroup", writes=True)
    def add_user_to_group(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a user a member; nothing changes where he is one."""
        group = entity(unit.connection, call, Kind.GROUP, request["GroupName"])
        user = entity(unit.connection, call, Kind.USER, request["UserName"])
        groups = iam_entities.groups_of(unit.connection, user)
        if group not in groups:
            full = len(groups) >= limits.GROUPS_PER_USER
            refuse_if(full, refusals.quota("GroupsPerUser", limits.GROUPS_PER_USER))
            iam_entities.join(unit.connection, group, user)
            self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("RemoveUserFromGroup", writes=True)
    def remove_user_from_group(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """End a membership."""
        group = entity(unit.connection, call, Kind.GROUP, request["GroupName"])
        user = entity(unit.connection, call, Kind.USER, request["UserName"])
        left = iam_entities.leave(unit.connection, group, user)
        refuse_if(not left, refusals.not_found(f"User {user.name} is not in group {group.name}"))
        self.parts.identities.changed(unit, call.account_id)
        return {}
