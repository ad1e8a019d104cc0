"""Instance profiles: the name under which a machine is given a role."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity.iam_entities import Kind, find_by_id, new_id
from opentrail.identity.iam_providers import (
    InstanceProfile,
    insert_profile,
    profiles_of,
    remove_profile,
    set_profile_role,
)
from opentrail.identity.iam_tags import clear_tags, put_tags, tags_of
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.parts import Surroundings, entity, new_tags, page, refuse_if
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class InstanceProfileOperations(Surroundings):
    """The operations on instance profiles; a part of ``IamService``."""

    @operation("CreateInstanceProfile", writes=True)
    def create_instance_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make an empty profile."""
        name, tags = request["InstanceProfileName"], new_tags(request, what="InstanceProfile")
        others = profiles_of(unit.connection, call.account_id)
        taken = any(each.name.lower() == name.lower() for each in others)
        refuse_if(taken, refusals.exists(f"Instance Profile {name} already exists."))
        full = len(others) >= limits.INSTANCE_PROFILES
        refuse_if(full, refusals.quota("InstanceProfilesPerAccount", limits.INSTANCE_PROFILES))
        made = InstanceProfile(
            new_id(self.parts.entropy, "AIPA"),
            call.account_id,
            name,
            request.get("Path") or "/",
            None,
            call.received_at,
        )
        insert_profile(unit.connection, made)
        put_tags(unit.connection, call.account_id, made.profile_id, tags)
        self.parts.identities.changed(unit, call.account_id)
        return {"InstanceProfile": shown_profile(unit.connection, made, tags)}

    @operation("GetInstanceProfile")
    def get_instance_profile(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A profile and its role."""
        with self.parts.identities.database.read() as connection:
            found = instance_profile(connection, call, request)
            return {"InstanceProfile": shown_profile(connection, found, tags_of(connection, found.profile_id))}

    @operation("ListInstanceProfiles")
    def list_instance_profiles(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's profiles under a path."""
        prefix = request.get("PathPrefix") or "/"
        with self.parts.identities.database.read() as connection:
            found = [each for each in profiles_of(connection, call.account_id) if each.path.startswith(prefix)]
            return self._profiles_page(connection, request, found)

    @operation("ListInstanceProfilesForRole")
    def list_instance_profiles_for_role(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The profiles that a role is in."""
        with self.parts.identities.database.read() as connection:
            role = entity(connection, call, Kind.ROLE, request["RoleName"])
            found = [each for each in profiles_of(connection, call.account_id) if each.role_id == role.unique_id]
            return self._profiles_page(connection, request, found)

    @operation("AddRoleToInstanceProfile", writes=True)
    def add_role_to_instance_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Put a role into a profile; there is room for one."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        profile = instance_profile(unit.connection, call, request)
        refuse_if(profile.role_id, refusals.quota("InstanceSessionsPerInstanceProfile", 1))
        set_profile_role(unit.connection, profile, role)
        return {}

    @operation("RemoveRoleFromInstanceProfile", writes=True)
    def remove_role_from_instance_profile(
        self, call: Call, request: Mapping[str, Any], unit: Unit
    ) -> Mapping[str, Any]:
        """Take a role out of a profile."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        profile = instance_profile(unit.connection, call, request)
        elsewhere = f"Role {role.name} is not in instance profile {profile.name}."
        refuse_if(profile.role_id != role.unique_id, refusals.not_found(elsewhere))
        set_profile_role(unit.connection, profile, None)
        return {}

    @operation("DeleteInstanceProfile", writes=True)
    def delete_instance_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete an empty profile."""
        profile = instance_profile(unit.connection, call, request)
        refuse_if(profile.role_id, refusals.conflict("remove roles from instance profile"))
        clear_tags(unit.connection, profile.profile_id)
        remove_profile(unit.connection, profile)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _profiles_page(
        self, connection: sa.Connection, request: Mapping[str, Any], found: list[InstanceProfile]
    ) -> dict[str, Any]:
        def show(profile: InstanceProfile) -> dict[str, Any]:
            return shown_profile(connection, profile)

        return page(request, found, "InstanceProfiles", lambda profile: profile.name, show)


def instance_profile(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> InstanceProfile:
    """The profile that a request names. Raises ApiError NoSuchEntity."""
    name = request["InstanceProfileName"]
    for found in profiles_of(connection, call.account_id):
        if found.name == name:
            return found
    raise refusals.not_found(f"Instance Profile {name} cannot be found.")


def shown_profile(
    connection: sa.Connection, profile: InstanceProfile, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A profile as the API has it; lists leave tags out."""
    role = find_by_id(connection, profile.role_id) if profile.role_id else None
    shown = {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.profile_id,
        "Arn": profile.arn,
        "CreateDate": profile.created_at,
        "Roles": [rendering.role(role)] if role else [],
    }
    return shown | {"Tags": rendering.tag_list(tags)} if tags else shown
