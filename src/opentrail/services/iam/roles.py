"""Roles: who may assume them, and for how long."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import DEFAULT_MAX_SESSION_S, Entity, Kind
from opentrail.identity.iam_tables import profiles
from opentrail.identity.iam_tags import put_tags, tags_of
from opentrail.identity.policy import MAX_TRUST_CHARS, parse_trust, size_chars
from opentrail.services.iam import refusals, rendering
from opentrail.services.iam.lifecycle import create_entity, delete_entity, refuse_attached, under_path
from opentrail.services.iam.parts import (
    Surroundings,
    entity,
    new_tags,
    page,
    read_policy,
    refuse_if,
    usable_policy,
)
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class RoleOperations(Surroundings):
    """The operations on roles; a part of ``IamService``."""

    @operation("CreateRole", writes=True)
    def create_role(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a role; whom its trust policy names may ask for its sessions."""
        tags = new_tags(request, what="Role")
        boundary = request.get("PermissionsBoundary")
        if boundary is not None:
            usable_policy(unit.connection, call, boundary, scope=True)
        facts = {
            "path": request.get("Path"),
            "boundary_arn": boundary,
            "trust": self._trust(unit.connection, request["AssumeRolePolicyDocument"]),
            "description": request.get("Description"),
            "max_session_s": request.get("MaxSessionDuration") or DEFAULT_MAX_SESSION_S,
        }
        new = self.parts.new_entity(call, Kind.ROLE, request["RoleName"], facts)
        create_entity(self.parts, unit, new)
        put_tags(unit.connection, call.account_id, new.unique_id, tags)
        shown = rendering.role(new, tags)
        return {"Role": {name: value for name, value in shown.items() if name != "RoleLastUsed"}}

    @operation("GetRole")
    def get_role(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A role with its trust policy, tags and last use."""
        with self.parts.identities.database.read() as connection:
            role = entity(connection, call, Kind.ROLE, request["RoleName"])
            return {"Role": rendering.role(role, tags_of(connection, role.unique_id))}

    @operation("ListRoles")
    def list_roles(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's roles under a path."""
        with self.parts.identities.database.read() as connection:
            found = iam_entities.listed(connection, call.account_id, Kind.ROLE)
        return page(request, under_path(found, request), "Roles", lambda role: role.name, rendering.role)

    @operation("UpdateAssumeRolePolicy", writes=True)
    def update_assume_role_policy(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Give a role another trust policy."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        self._change_role(unit, role, trust=self._trust(unit.connection, request["PolicyDocument"]))
        return {}

    @operation("UpdateRole", writes=True)
    def update_role(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Change a role's description or its longest session; what is not given stays."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        description = request.get("Description")
        self._change_role(
            unit,
            role,
            description=role.description if description is None else description,
            max_session_s=request.get("MaxSessionDuration") or role.max_session_s,
        )
        return {}

    @operation("UpdateRoleDescription", writes=True)
    def update_role_description(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Change a role's description, and show the role."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        self._change_role(unit, role, description=request["Description"])
        return {"Role": rendering.role(entity(unit.connection, call, Kind.ROLE, role.name))}

    @operation("DeleteRole", writes=True)
    def delete_role(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a role; its sessions end with it."""
        role = entity(unit.connection, call, Kind.ROLE, request["RoleName"])
        in_profile = unit.execute(sa.select(profiles.c.name).where(profiles.c.role_id == role.unique_id)).first()
        refuse_if(in_profile, refusals.conflict("remove roles from instance profile"))
        refuse_attached(unit.connection, role)
        delete_entity(self.parts, unit, role)
        return {}

    def _change_role(self, unit: Unit, role: Entity, **values: Any) -> None:
        iam_entities.change(unit.connection, role, **values)
        self.parts.identities.changed(unit, role.account_id)

    def _trust(self, connection: sa.Connection, text: str) -> str:
        """A trust policy that may be stored. Raises ApiError MalformedPolicyDocument, LimitExceeded."""
        read_policy(parse_trust, text)
        refuse_if(size_chars(text) > MAX_TRUST_CHARS, refusals.quota("ACLSizePerRole", MAX_TRUST_CHARS))
        for arn in _trusted_arns(text):
            refuse_if(self._is_gone(connection, arn), refusals.malformed(f'Invalid principal in policy: "AWS":"{arn}"'))
        return text

    def _is_gone(self, connection: sa.Connection, arn: str) -> bool:
        """Whether an ARN names a user or role that does not exist, of an account that we can look into."""
        account_id, _, resource = arn.partition("::")[2].partition(":")
        kind, _, rest = resource.partition("/")
        if kind not in ("user", "role") or not self.parts.identities.directory.has_account(account_id):
            return False
        found = iam_entities.find(connection, account_id, Kind(kind), rest.rpartition("/")[2])
        return found is None or found.arn != arn


def _trusted_arns(text: str) -> Iterator[str]:
    """The ARNs of users and roles that a trust policy's principals name."""
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        named = statement.get("Principal") or statement.get("NotPrincipal")
        aws = named.get("AWS", []) if isinstance(named, dict) else []
        yield from (arn for arn in ([aws] if isinstance(aws, str) else aws) if arn.startswith("arn:"))
