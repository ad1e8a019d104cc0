"""IAM's resources as its API shows them. Policy texts are percent-encoded (RFC 3986), which SDKs undo."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from opentrail.identity.iam_entities import DEFAULT_MAX_SESSION_S, Entity, Kind
from opentrail.identity.iam_mfa import MfaDevice
from opentrail.identity.iam_policies import ManagedPolicy, PolicyVersion

_NAMES = {Kind.USER: "User", Kind.GROUP: "Group", Kind.ROLE: "Role"}


def document(text: str) -> str:
    """A policy's text as it stands in an answer."""
    return quote(text, safe="")


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def summary(entity: Entity) -> dict[str, Any]:
    """A user, group or role by name, without what only the full description tells."""
    name = _NAMES[entity.kind]
    return {
        "Path": entity.path,
        f"{name}Name": entity.name,
        f"{name}Id": entity.unique_id,
        "Arn": entity.arn,
        "CreateDate": entity.created_at,
    }


def user(entity: Entity, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A user; lists leave tags and boundary out."""
    return summary(entity) if tags is None else summary(entity) | _boundary(entity) | _tags(tags)


def role(entity: Entity, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A role; lists leave tags, boundary and last use out."""
    shown = summary(entity) | {
        "AssumeRolePolicyDocument": document(entity.trust or ""),
        "MaxSessionDuration": entity.max_session_s or DEFAULT_MAX_SESSION_S,
    }
    if entity.description:
        shown["Description"] = entity.description
    return shown if tags is None else shown | _boundary(entity) | _tags(tags) | {"RoleLastUsed": role_last_used(entity)}


def role_last_used(entity: Entity) -> dict[str, Any]:
    """When and where a role was last used; empty where it never was."""
    if entity.last_used_at is None:
        return {}
    return {"LastUsedDate": entity.last_used_at, "Region": entity.last_used_region or ""}


def _boundary(entity: Entity) -> dict[str, Any]:
    if entity.boundary_arn is None:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": entity.boundary_arn}}


def _tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"Tags": tag_list(tags)} if tags else {}


def managed_policy(policy: ManagedPolicy, usage: tuple[Mapping[str, int], Mapping[str, int]]) -> dict[str, Any]:
    """A managed policy; ``usage`` counts attachments and boundaries by ARN."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default_version}",
        "AttachmentCount": usage[0].get(policy.arn, 0),
        "PermissionsBoundaryUsageCount": usage[1].get(policy.arn, 0),
        "IsAttachable": True,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.updated_at,
    }


def version(policy: ManagedPolicy, found: PolicyVersion, *, text: bool = False) -> dict[str, Any]:
    """A version of a policy, with its text where asked for."""
    shown = {
        "VersionId": found.version_id,
        "IsDefaultVersion": found.version == policy.default_version,
        "CreateDate": found.created_at,
    }
    return shown | {"Document": document(found.text)} if text else shown


def attached_policy(policy_arn: str) -> dict[str, str]:
    """A policy as lists of attachments show it."""
    return {"PolicyName": policy_arn.rpartition("/")[2], "PolicyArn": policy_arn}


def mfa_device(device: MfaDevice, owner: Entity | None) -> dict[str, Any]:
    """A virtual MFA device in lists."""
    shown: dict[str, Any] = {"SerialNumber": device.serial}
    if owner is not None:
        shown |= {"User": user(owner), "EnableDate": device.enabled_at}
    return shown
