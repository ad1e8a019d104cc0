"""Policies through a real client: inline, managed, versions, attachments, boundaries; and all of an account at once."""

import json
from typing import Any

import pytest

from opentrail.identity.iam_managed import ADMINISTRATOR_ACCESS, BUILT_IN
from opentrail.identity.policy import parse_identity, size_chars
from tests.support.iam_world import ACCOUNT, OTHER, IamWorld, root_of
from tests.unit.test_iam_entities import ALLOW, OWN, refused

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def world() -> IamWorld:
    """Two empty accounts."""
    return IamWorld()


@pytest.fixture
def iam(world: IamWorld) -> Any:
    """A client of the first account's root, who has a user, a group and a role called x."""
    client = world.client()
    client.create_user(UserName="x")
    client.create_group(GroupName="x")
    client.create_role(RoleName="x", AssumeRolePolicyDocument=OWN)
    return client


def of_size(chars: int) -> str:
    """A policy of that many characters that are not white space."""
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    statement["Resource"] += "a" * (chars - size_chars(json.dumps(document)))
    return json.dumps(document, indent=4)


def test_aws_policies_can_be_read_and_are_in_every_account(world: IamWorld, iam: Any) -> None:
    """Each document is one that the evaluator takes, within IAM's size; nobody can change one."""
    for arn, made in BUILT_IN.items():
        assert parse_identity(made.text).statements
        assert size_chars(made.text) <= 6144
        document = world.client(root_of(OTHER)).get_policy_version(PolicyArn=arn, VersionId="v1")
        assert document["PolicyVersion"]["Document"] == json.loads(made.text)
    refused(iam.create_policy_version, "AccessDenied", status=403, PolicyArn=READ_ONLY, PolicyDocument=ALLOW)
    refused(iam.delete_policy, "AccessDenied", PolicyArn=READ_ONLY)
    refused(iam.tag_policy, "InvalidInput", PolicyArn=READ_ONLY, Tags=[{"Key": "a", "Value": "b"}])


@pytest.mark.parametrize(("kind", "limit"), [("user", 2048), ("group", 5120), ("role", 10240)])
def test_inline_policies_go_round(iam: Any, kind: str, limit: int) -> None:
    """Put, get, list, replace and delete; the document comes back as JSON; all of them together have a limit."""
    name = {f"{kind.capitalize()}Name": "x"}
    put, get = getattr(iam, f"put_{kind}_policy"), getattr(iam, f"get_{kind}_policy")
    listed, delete = getattr(iam, f"list_{kind}_policies"), getattr(iam, f"delete_{kind}_policy")
    put(**name, PolicyName="a", PolicyDocument=ALLOW)
    assert get(**name, PolicyName="a")["PolicyDocument"] == json.loads(ALLOW)
    assert listed(**name)["PolicyNames"] == ["a"]
    put(**name, PolicyName="a", PolicyDocument=of_size(limit))
    message = refused(put, "LimitExceeded", **name, PolicyName="b", PolicyDocument=ALLOW)
    assert message == f"Maximum policy size of {limit} bytes exceeded for {kind} x"
    refused(put, "MalformedPolicyDocument", **name, PolicyName="b", PolicyDocument='{"Statement": 1}')
    assert listed(**name)["PolicyNames"] == ["a"]
    delete(**name, PolicyName="a")
    assert refused(get, "NoSuchEntity", **name, PolicyName="a") == f"The {kind} policy with name a cannot be found."
    refused(delete, "NoSuchEntity", **name, PolicyName="a")


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_attachments_go_round(iam: Any, kind: str) -> None:
    """Attach twice, list by path, detach once; what does not exist is told; ten is the most."""
    name = {f"{kind.capitalize()}Name": "x"}
    attach, detach = getattr(iam, f"attach_{kind}_policy"), getattr(iam, f"detach_{kind}_policy")
    listed = getattr(iam, f"list_attached_{kind}_policies")
    attach(**name, PolicyArn=READ_ONLY)
    attach(**name, PolicyArn=READ_ONLY)
    assert listed(**name)["AttachedPolicies"] == [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    assert listed(**name, PathPrefix="/mine/")["AttachedPolicies"] == []
    missing = f"arn:aws:iam::{ACCOUNT}:policy/none"
    assert refused(attach, "NoSuchEntity", status=404, **name, PolicyArn=missing) == (
        f"Policy {missing} does not exist or is not attachable."
    )
    for n in range(9):
        attach(**name, PolicyArn=iam.create_policy(PolicyName=f"p{n}", PolicyDocument=ALLOW)["Policy"]["Arn"])
    eleventh = iam.create_policy(PolicyName="p11", PolicyDocument=ALLOW)["Policy"]["Arn"]
    assert refused(attach, "LimitExceeded", **name, PolicyArn=eleventh) == (
        f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: 10"
    )
    detach(**name, PolicyArn=READ_ONLY)
    assert refused(detach, "NoSuchEntity", **name, PolicyArn=READ_ONLY) == f"Policy {READ_ONLY} was not found."


def test_a_managed_policy_goes_round(iam: Any) -> None:
    """Create, get, list by scope and use, and delete when nobody uses it any more."""
    made = iam.create_policy(
        PolicyName="p", Path="/team/", PolicyDocument=ALLOW, Description="d", Tags=[{"Key": "a", "Value": "b"}]
    )["Policy"]
    arn = made["Arn"]
    assert (arn, made["DefaultVersionId"]) == (f"arn:aws:iam::{ACCOUNT}:policy/team/p", "v1")
    refused(iam.create_policy, "EntityAlreadyExists", status=409, PolicyName="P", PolicyDocument=ALLOW)
    refused(iam.create_policy, "LimitExceeded", PolicyName="big", PolicyDocument=of_size(6145))
    iam.create_policy(PolicyName="full", PolicyDocument=of_size(6144))
    iam.attach_group_policy(GroupName="x", PolicyArn=arn)
    iam.put_user_permissions_boundary(UserName="x", PermissionsBoundary=arn)
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (shown["AttachmentCount"], shown["PermissionsBoundaryUsageCount"], shown["Description"]) == (1, 1, "d")
    local = iam.list_policies(Scope="Local")["Policies"]
    assert [each["PolicyName"] for each in local] == ["full", "p"]
    assert [each["Arn"] for each in iam.list_policies(OnlyAttached=True)["Policies"]] == [arn]
    assert len(iam.list_policies(Scope="AWS")["Policies"]) == len(BUILT_IN)
    used = iam.list_entities_for_policy(PolicyArn=arn)
    assert ([u["UserName"] for u in used["PolicyUsers"]], [g["GroupName"] for g in used["PolicyGroups"]]) == (
        ["x"],
        ["x"],
    )
    assert iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="Role")["PolicyUsers"] == []
    assert refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn) == "Cannot delete a policy attached to entities."
    iam.detach_group_policy(GroupName="x", PolicyArn=arn)
    refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn)
    iam.delete_user_permissions_boundary(UserName="x")
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.get_policy, "NoSuchEntity", PolicyArn=arn) == f"Policy {arn} was not found."


def test_versions_go_round(iam: Any) -> None:
    """Five versions at most, one of them the default, which cannot be deleted; numbers are never given twice."""
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=of_size(200), SetAsDefault=True)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    for _ in range(3):
        assert (
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)["PolicyVersion"]["IsDefaultVersion"] is False
        )
    refused(iam.create_policy_version, "LimitExceeded", PolicyArn=arn, PolicyDocument=ALLOW)
    refused(iam.delete_policy_version, "DeleteConflict", PolicyArn=arn, VersionId="v2")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)["PolicyVersion"]["VersionId"] == "v6"
    listed = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [each["VersionId"] for each in listed] == ["v6", "v4", "v3", "v2", "v1"]
    assert [each["VersionId"] for each in listed if each["IsDefaultVersion"]] == ["v2"]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
    refused(iam.set_default_policy_version, "NoSuchEntity", PolicyArn=arn, VersionId="v9")
    refused(iam.delete_policy, "DeleteConflict", PolicyArn=arn)


def test_boundaries_go_round(iam: Any) -> None:
    """A boundary is a managed policy that exists; it is shown, and taken away once."""
    iam.create_user(UserName="b", PermissionsBoundary=READ_ONLY)
    shown = iam.get_user(UserName="b")["User"]["PermissionsBoundary"]
    assert shown == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
    missing = f"arn:aws:iam::{ACCOUNT}:policy/none"
    assert refused(iam.put_role_permissions_boundary, "NoSuchEntity", RoleName="x", PermissionsBoundary=missing) == (
        f"Scope ARN: {missing} does not exist or is not attachable."
    )
    refused(iam.create_user, "NoSuchEntity", UserName="c", PermissionsBoundary=missing)
    iam.put_role_permissions_boundary(RoleName="x", PermissionsBoundary=ADMINISTRATOR_ACCESS)
    iam.delete_role_permissions_boundary(RoleName="x")
    refused(iam.delete_role_permissions_boundary, "NoSuchEntity", RoleName="x")


def test_everything_at_once(iam: Any) -> None:
    """GetAccountAuthorizationDetails has each entity with its policies, by pages and by kind; the summary counts."""
    iam.put_user_policy(UserName="x", PolicyName="inline", PolicyDocument=ALLOW)
    iam.add_user_to_group(GroupName="x", UserName="x")
    iam.attach_role_policy(RoleName="x", PolicyArn=READ_ONLY)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="x")
    iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)
    found: dict[str, list[Any]] = {}
    pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2})
    for each in pages:
        for name in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
            found.setdefault(name, []).extend(each[name])
    user, role = found["UserDetailList"][0], found["RoleDetailList"][0]
    assert user["UserPolicyList"] == [{"PolicyName": "inline", "PolicyDocument": json.loads(ALLOW)}]
    assert user["GroupList"] == ["x"]
    assert role["AttachedManagedPolicies"][0]["PolicyArn"] == READ_ONLY
    assert role["InstanceProfileList"][0]["InstanceProfileName"] == "p"
    assert sorted(each["PolicyName"] for each in found["Policies"]) == ["ReadOnlyAccess", "p"]
    only = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])
    assert (len(only["Policies"]), only["UserDetailList"]) == (1, [])
    assert only["Policies"][0]["PolicyVersionList"][0]["Document"] == json.loads(ALLOW)
    summary = iam.get_account_summary()["SummaryMap"]
    counted = {name: summary[name] for name in ("Users", "Groups", "Roles", "Policies", "AttachedPolicies")}
    assert counted == {"Users": 1, "Groups": 1, "Roles": 1, "Policies": 1, "AttachedPolicies": 1}
    assert summary["AccessKeysPerUserQuota"] == 2
