"""How organizations and what belongs to them look in answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentrail.organizations.accounts import AccountCreation
from opentrail.organizations.handshake import APPROVE_ALL_FEATURES, INVITE, Handshake
from opentrail.organizations.organization import Member, Organization, OrganizationalUnit

Answer = Mapping[str, Any]


def organization(found: Organization) -> Answer:
    """The Organization structure; there are no policies, so no types of them."""
    return {
        "Id": found.organization_id,
        "Arn": found.arn,
        "FeatureSet": found.feature_set,
        "MasterAccountArn": found.member_arn(found.master_account_id),
        "MasterAccountId": found.master_account_id,
        "MasterAccountEmail": found.master_email,
        "AvailablePolicyTypes": [],
    }


def account(found: Organization, member: Member) -> dict[str, Any]:
    """The Account structure."""
    return {
        "Id": member.account_id,
        "Arn": found.member_arn(member.account_id),
        "Email": member.email,
        "Name": member.name,
        "Status": member.status,
        "State": member.status,
        "Paths": [found.path_of(member.account_id)],
        "JoinedMethod": member.joined_method,
        "JoinedTimestamp": member.joined_at,
    }


def root(found: Organization) -> Answer:
    """The Root structure."""
    return {"Id": found.root_id, "Arn": found.root_arn, "Name": "Root", "PolicyTypes": []}


def unit(found: Organization, branch: OrganizationalUnit) -> Answer:
    """The OrganizationalUnit structure."""
    return {
        "Id": branch.unit_id,
        "Arn": found.unit_arn(branch.unit_id),
        "Name": branch.name,
        "Path": found.path_of(branch.unit_id),
    }


def creation(found: AccountCreation) -> Answer:
    """The CreateAccountStatus structure; requests are carried out at once."""
    shown: dict[str, Any] = {
        "Id": found.request_id,
        "AccountName": found.account_name,
        "State": found.state,
        "RequestedTimestamp": found.requested_at,
        "CompletedTimestamp": found.requested_at,
    }
    if found.account_id:
        shown["AccountId"] = found.account_id
    if found.failure_reason:
        shown["FailureReason"] = found.failure_reason
    return shown


def handshake(found: Handshake, now: datetime) -> Answer:
    """The Handshake structure, with its state by ``now``."""
    sent_to = {"Type": found.target_type, "Id": found.target}
    return {
        "Id": found.handshake_id,
        "Arn": found.arn,
        "Parties": [{"Type": "ORGANIZATION", "Id": found.organization_id}, *([sent_to] if found.target else [])],
        "State": found.state_at(now),
        "RequestedTimestamp": found.requested_at,
        "ExpirationTimestamp": found.expires_at,
        "Action": found.action,
        "Resources": _resources(found),
    }


def _resources(found: Handshake) -> list[Answer]:
    inviting: dict[str, Any] = {"Type": "ORGANIZATION", "Value": found.organization_id}
    if found.action == INVITE:
        inviting["Resources"] = [
            {"Type": "MASTER_EMAIL", "Value": found.master_email},
            {"Type": "MASTER_NAME", "Value": found.master_name},
            {"Type": "ORGANIZATION_FEATURE_SET", "Value": found.feature_set},
        ]
    resources: list[Answer] = [inviting]
    if found.target:
        resources.append({"Type": found.target_type, "Value": found.target})
    if found.action == APPROVE_ALL_FEATURES:
        resources.append({"Type": "PARENT_HANDSHAKE", "Value": found.parent_id})
    if found.notes:
        resources.append({"Type": "NOTES", "Value": found.notes})
    return resources


def tag_list(tags: Mapping[str, str]) -> list[Answer]:
    """Tags as the API lists them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
