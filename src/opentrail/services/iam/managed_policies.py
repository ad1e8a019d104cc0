"""Managed policies and their versions."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity import iam_policies
from opentrail.identity.iam_entities import Entity, Kind, new_id
from opentrail.identity.iam_policies import AWS_POLICIES, ManagedPolicy, PolicyVersion
from opentrail.identity.iam_tags import clear_tags, put_tags, tags_of
from opentrail.identity.policy import MAX_MANAGED_CHARS, parse_identity, size_chars
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.parts import Surroundings, new_tags, page, policy, read_policy, refuse_if
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class ManagedPolicyOperations(Surroundings):
    """The operations on managed policies; a part of ``IamService``."""

    @operation("CreatePolicy", writes=True)
    def create_policy(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Make a policy; its text is version v1."""
        name, tags, connection = request["PolicyName"], new_tags(request, what="Policy"), unit.connection
        text = _text(request)
        taken = iam_policies.is_policy_name_taken(connection, call.account_id, name)
        refuse_if(taken, refusals.exists(f"A policy called {name} already exists. Duplicate names are not allowed."))
        full = len(iam_policies.own_policies(connection, call.account_id)) >= limits.POLICIES
        refuse_if(full, refusals.quota("PoliciesPerAccount", limits.POLICIES))
        path, at = request.get("Path") or "/", call.received_at
        unique_id = new_id(self.parts.entropy, "ANPA")
        made = ManagedPolicy(
            unique_id, call.account_id, name, path, request.get("Description") or "", 1, 1, at, at
        )  # fmt: skip
        iam_policies.insert_policy(connection, made)
        iam_policies.add_version(connection, made, PolicyVersion(1, text, at))
        put_tags(connection, call.account_id, unique_id, tags)
        self.parts.identities.changed(unit, call.account_id)
        shown = rendering.managed_policy(made, ({}, {}))
        return {"Policy": shown | ({"Tags": rendering.tag_list(tags)} if tags else {})}

    @operation("GetPolicy")
    def get_policy(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A policy, without its text."""
        with self.parts.identities.database.read() as connection:
            found = policy(connection, call, request["PolicyArn"])
            shown = rendering.managed_policy(found, iam_policies.usage(connection, call.account_id))
            tags = rendering.tag_list(tags_of(connection, found.policy_id))
        return {"Policy": shown | {"Description": found.description, "Tags": tags}}

    @operation("ListPolicies")
    def list_policies(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's policies and AWS's, by scope, path and use."""
        scope, prefix = request.get("Scope") or "All", request.get("PathPrefix") or "/"
        with self.parts.identities.database.read() as connection:
            found = [] if scope == "AWS" else iam_policies.own_policies(connection, call.account_id)
            usage = iam_policies.usage(connection, call.account_id)
        found = [*found, *(() if scope == "Local" else AWS_POLICIES.values())]
        use = {"PermissionsPolicy": [usage[0]], "PermissionsBoundary": [usage[1]]}.get(
            request.get("PolicyUsageFilter", ""), list(usage)
        )
        narrow = request.get("OnlyAttached") or request.get("PolicyUsageFilter")
        found = [item for item in found if not narrow or any(item.arn in counts for counts in use)]
        found = [item for item in found if item.path.startswith(prefix)]

        def show(item: ManagedPolicy) -> dict[str, Any]:
            return rendering.managed_policy(item, usage)

        return page(request, found, "Policies", lambda item: f"{item.name}:{item.account_id}", show)

    @operation("DeletePolicy", writes=True)
    def delete_policy(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a policy that nobody uses, with its last version."""
        connection = unit.connection
        found = self._own(connection, call, request)
        attached, bounded = iam_policies.usage(connection, call.account_id)
        refuse_if(
            found.arn in attached or found.arn in bounded, _conflict("Cannot delete a policy attached to entities.")
        )
        several = "This policy has more than one version. Before you delete a policy, you must delete the policy's "
        several += "versions. The default version is deleted with the policy."
        refuse_if(len(iam_policies.versions_of(connection, found)) > 1, _conflict(several))
        clear_tags(connection, found.policy_id)
        iam_policies.remove_policy(connection, found)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("CreatePolicyVersion", writes=True)
    def create_policy_version(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Add a version; it counts once it is the default."""
        found, text = self._own(unit.connection, call, request), _text(request)
        full = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
        full += "existing version."
        many = len(iam_policies.versions_of(unit.connection, found)) >= limits.VERSIONS
        refuse_if(many, refusals.limit_exceeded(full))
        added = PolicyVersion(found.last_version + 1, text, call.received_at)
        iam_policies.add_version(unit.connection, found, added)
        default = added.version if request.get("SetAsDefault") else found.default_version
        self._change_policy(unit, call, found, last_version=added.version, default_version=default)
        shown = rendering.version(found, added) | {"IsDefaultVersion": default == added.version}
        return {"PolicyVersion": shown}

    @operation("GetPolicyVersion")
    def get_policy_version(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A version with its text."""
        with self.parts.identities.database.read() as connection:
            found = policy(connection, call, request["PolicyArn"])
            version = _version(connection, found, request["VersionId"])
        return {"PolicyVersion": rendering.version(found, version, text=True)}

    @operation("ListPolicyVersions")
    def list_policy_versions(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """A policy's versions, the newest first."""
        with self.parts.identities.database.read() as connection:
            found = policy(connection, call, request["PolicyArn"])
            versions = iam_policies.versions_of(connection, found)

        def show(version: PolicyVersion) -> dict[str, Any]:
            return rendering.version(found, version)

        return page(request, versions, "Versions", lambda item: f"{10**9 - item.version:010}", show)

    @operation("SetDefaultPolicyVersion", writes=True)
    def set_default_policy_version(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Say which version counts."""
        found = self._own(unit.connection, call, request)
        version = _version(unit.connection, found, request["VersionId"])
        self._change_policy(unit, call, found, default_version=version.version)
        return {}

    @operation("DeletePolicyVersion", writes=True)
    def delete_policy_version(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Delete a version that is not the default."""
        found = self._own(unit.connection, call, request)
        version = _version(unit.connection, found, request["VersionId"])
        default = version.version == found.default_version
        refuse_if(default, _conflict("Cannot delete the default version of a policy."))
        iam_policies.remove_version(unit.connection, found, version.version)
        return {}

    @operation("ListEntitiesForPolicy")
    def list_entities_for_policy(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Who a policy is attached to, or bounds."""
        wanted, usage = request.get("EntityFilter"), request.get("PolicyUsageFilter")
        with self.parts.identities.database.read() as connection:
            arn = policy(connection, call, request["PolicyArn"]).arn
            found: list[Entity] = []
            if usage != "PermissionsBoundary":
                found += iam_policies.users_of_policy(connection, call.account_id, arn)
            if usage != "PermissionsPolicy":
                found += iam_policies.bounded_by(connection, call.account_id, arn)
        prefix = request.get("PathPrefix") or "/"
        chosen = {item.unique_id: item for item in found if item.path.startswith(prefix)}
        chosen = {key: item for key, item in chosen.items() if wanted in (None, item.kind.capitalize())}
        shown = page(request, chosen.values(), "found", lambda item: f"{item.kind}/{item.name}", lambda item: item)
        chosen_page: list[Entity] = shown.pop("found")
        for kind, word in ((Kind.GROUP, "Group"), (Kind.USER, "User"), (Kind.ROLE, "Role")):
            members = [item for item in chosen_page if item.kind is kind]
            shown[f"Policy{word}s"] = [{f"{word}Name": item.name, f"{word}Id": item.unique_id} for item in members]
        return shown

    def _own(self, connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> ManagedPolicy:
        """A policy that the account may change. Raises ApiError NoSuchEntity, AccessDenied for AWS's."""
        found = policy(connection, call, request["PolicyArn"])
        if found.is_aws:
            who = f"User: {call.principal.arn} is not authorized to perform: iam:{call.event_name}"
            raise ApiError("AccessDenied", f"{who} on resource: policy {found.arn}", status=403)
        return found

    def _change_policy(self, unit: Unit, call: Call, found: ManagedPolicy, **values: Any) -> None:
        iam_policies.change_policy(unit.connection, found, updated_at=call.received_at.timestamp(), **values)
        self.parts.identities.changed(unit, call.account_id)


def _text(request: Mapping[str, Any]) -> str:
    text: str = request["PolicyDocument"]
    read_policy(parse_identity, text)
    refuse_if(size_chars(text) > MAX_MANAGED_CHARS, refusals.quota("PolicySize", MAX_MANAGED_CHARS))
    return text


def _version(connection: sa.Connection, found: ManagedPolicy, version_id: str) -> PolicyVersion:
    for version in iam_policies.versions_of(connection, found):
        if version.version_id == version_id:
            return version
    raise refusals.not_found(f"Policy {found.arn} version {version_id} does not exist or is not attachable.")


def _conflict(text: str) -> ApiError:
    return ApiError("DeleteConflictException", text)
