"""The account as a whole: its alias, its numbers, and everything in it at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity import iam_entities, iam_policies
from opentrail.identity.iam_entities import Entity, Kind
from opentrail.identity.iam_mfa import devices
from opentrail.identity.iam_policies import AWS_POLICIES, ManagedPolicy
from opentrail.identity.iam_providers import alias_of, counts, is_alias_taken, keys_of, profiles_of, set_alias
from opentrail.identity.iam_tables import attachments, versions
from opentrail.identity.iam_tags import tags_of
from opentrail.identity.policy import MAX_INLINE_GROUP_CHARS, MAX_INLINE_USER_CHARS, MAX_MANAGED_CHARS, MAX_TRUST_CHARS
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.instance_profiles import shown_profile
from opentrail.services.iam.parts import Surroundings, page, refuse_if
from opentrail.services.operation import operation
from opentrail.state.database import Unit

_QUOTAS = {
    "UsersQuota": limits.ENTITIES[Kind.USER][1],
    "GroupsQuota": limits.ENTITIES[Kind.GROUP][1],
    "RolesQuota": limits.ENTITIES[Kind.ROLE][1],
    "PoliciesQuota": limits.POLICIES,
    "InstanceProfilesQuota": limits.INSTANCE_PROFILES,
    "AccessKeysPerUserQuota": limits.ACCESS_KEYS,
    "GroupsPerUserQuota": limits.GROUPS_PER_USER,
    "AttachedPoliciesPerUserQuota": limits.ATTACHED_POLICIES,
    "AttachedPoliciesPerGroupQuota": limits.ATTACHED_POLICIES,
    "AttachedPoliciesPerRoleQuota": limits.ATTACHED_POLICIES,
    "VersionsPerPolicyQuota": limits.VERSIONS,
    "PolicySizeQuota": MAX_MANAGED_CHARS,
    "UserPolicySizeQuota": MAX_INLINE_USER_CHARS,
    "GroupPolicySizeQuota": MAX_INLINE_GROUP_CHARS,
    "AssumeRolePolicySizeQuota": MAX_TRUST_CHARS,
    "GlobalEndpointTokenVersion": 2,
}
_LISTS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}


@dataclass(frozen=True, slots=True)
class _Found:
    """One line of GetAccountAuthorizationDetails: of which kind, with which sorting key."""

    kind: str
    key: str
    item: Entity | ManagedPolicy


class AccountOperations(Surroundings):
    """The operations on the account as a whole; a part of ``IamService``."""

    @operation("CreateAccountAlias", writes=True)
    def create_account_alias(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Give the account an alias, instead of the one it has."""
        alias = request["AccountAlias"]
        taken = is_alias_taken(unit.connection, alias) and alias_of(unit.connection, call.account_id) != alias
        refuse_if(taken, refusals.exists(f"The account alias {alias} already exists."))
        set_alias(unit.connection, call.account_id, alias)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("DeleteAccountAlias", writes=True)
    def delete_account_alias(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Take the alias away."""
        alias = request["AccountAlias"]
        other = alias_of(unit.connection, call.account_id) != alias
        refuse_if(other, refusals.not_found(f"The account alias {alias} does not exist."))
        set_alias(unit.connection, call.account_id, None)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    @operation("ListAccountAliases")
    def list_account_aliases(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account's alias, if it has one."""
        with self.parts.identities.database.read() as connection:
            alias = alias_of(connection, call.account_id)
        return page(request, [alias] if alias else [], "AccountAliases", str, str)

    @operation("GetAccountSummary")
    def get_account_summary(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """How many of everything there are, and how many there may be."""
        account_id, identities = call.account_id, self.parts.identities
        with identities.database.read() as connection:
            mfa = devices(connection, identities.seal, account_id)
            own = iam_policies.own_policies(connection, account_id)
            number = counts(connection, account_id)
            attached = sa.select(sa.func.count(sa.distinct(attachments.c.policy_arn)))
            used = connection.execute(attached.where(attachments.c.account_id == account_id)).scalar_one()
            kept = sa.select(sa.func.count()).where(versions.c.account_id == account_id)
            summary = {
                **{f"{kind.capitalize()}s": iam_entities.count(connection, account_id, kind) for kind in Kind},
                "Policies": len(own),
                "PolicyVersionsInUse": connection.execute(kept).scalar_one(),
                "AttachedPolicies": used,
                "InstanceProfiles": number["iam_instance_profiles"],
                "Providers": number["iam_oidc_providers"] + number["iam_saml_providers"],
                "MFADevices": len(mfa),
                "MFADevicesInUse": sum(device.user_id is not None for device in mfa),
                "AccountMFAEnabled": 0,
                "AccountAccessKeysPresent": int(bool(keys_of(connection, account_id))),
            }
        return {"SummaryMap": summary | _QUOTAS}

    @operation("GetAccountAuthorizationDetails")
    def get_account_authorization_details(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Every user, group, role and policy with what each may do, by pages over all of them together."""
        wanted = request.get("Filter") or list(_LISTS)
        with self.parts.identities.database.read() as connection:
            found = [item for item in _everything(connection, call.account_id) if item.kind in wanted]
            answer = page(request, found, "found", lambda item: item.key, lambda item: item)
            chosen: list[_Found] = answer.pop("found")
            usage = iam_policies.usage(connection, call.account_id)
            for name in dict.fromkeys(_LISTS.values()):
                members = [item.item for item in chosen if _LISTS[item.kind] == name]
                answer[name] = [_detail(connection, item, usage) for item in members]
        return answer


def _everything(connection: sa.Connection, account_id: str) -> Iterator[_Found]:
    for rank, kind in enumerate((Kind.USER, Kind.GROUP, Kind.ROLE)):
        for entity in iam_entities.listed(connection, account_id, kind):
            yield _Found(kind.capitalize(), f"{rank}{entity.name}", entity)
    for policy in iam_policies.own_policies(connection, account_id):
        yield _Found("LocalManagedPolicy", f"3{policy.name}", policy)
    attached, bounded = iam_policies.usage(connection, account_id)
    for arn in AWS_POLICIES.keys() & (attached.keys() | bounded.keys()):  # as AWS: those in use
        yield _Found("AWSManagedPolicy", f"4{arn}", AWS_POLICIES[arn])


def _detail(
    connection: sa.Connection, item: Entity | ManagedPolicy, usage: tuple[Mapping[str, int], Mapping[str, int]]
) -> dict[str, Any]:
    if isinstance(item, ManagedPolicy):
        found = iam_policies.versions_of(connection, item)
        texts = [rendering.version(item, version, text=True) for version in found]
        return rendering.managed_policy(item, usage) | {"PolicyVersionList": texts}
    attached = iam_policies.attached_to(connection, item.unique_id)
    inline = iam_policies.inline_of(connection, item.unique_id)
    word = item.kind.capitalize()
    shown = {
        "AttachedManagedPolicies": [rendering.attached_policy(arn) for arn in attached],
        f"{word}PolicyList": [
            {"PolicyName": name, "PolicyDocument": rendering.document(text)} for name, text in inline.items()
        ],
    }
    if item.kind is Kind.GROUP:
        return rendering.summary(item) | shown
    tags = tags_of(connection, item.unique_id)
    if item.kind is Kind.USER:
        groups = [group.name for group in iam_entities.groups_of(connection, item)]
        return rendering.user(item, tags) | shown | {"GroupList": groups}
    profiles = [each for each in profiles_of(connection, item.account_id) if each.role_id == item.unique_id]
    described = rendering.role(item, tags)
    described = {name: value for name, value in described.items() if name not in ("MaxSessionDuration", "Description")}
    return described | shown | {"InstanceProfileList": [shown_profile(connection, each) for each in profiles]}
