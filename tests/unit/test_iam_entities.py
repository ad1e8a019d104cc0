"""Users, groups and roles through a real client: round trips, AWS's errors, pages, and what deleting asks for."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.services.iam.parts import page
from tests.support.iam_world import ACCOUNT, OTHER, START, IamWorld, root_of

ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


def trust(principal: Any) -> str:
    """A trust policy that names somebody."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


OWN = trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})


@pytest.fixture
def world() -> IamWorld:
    """Two empty accounts."""
    return IamWorld()


@pytest.fixture
def iam(world: IamWorld) -> Any:
    """A client of the first account's root."""
    return world.client()


def refused(call: Any, *code: str, **parameters: Any) -> str:
    """The message of a call that must fail with a code, and with ``status`` where that is given."""
    status = parameters.pop("status", None)
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] in code, caught.value
    if status is not None:
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    return str(caught.value.response["Error"]["Message"])


def test_a_user_goes_round(iam: Any) -> None:
    """Create, get, list, rename and delete, with path, tags and AWS's fields."""
    made = iam.create_user(UserName="Ada", Path="/eng/", Tags=[{"Key": "Team", "Value": "core"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/eng/Ada"
    assert made["UserId"].startswith("AIDA")
    assert made["CreateDate"] == START
    assert iam.get_user(UserName="Ada")["User"] == made
    assert [user["UserName"] for user in iam.list_users(PathPrefix="/eng/")["Users"]] == ["Ada"]
    assert iam.list_users(PathPrefix="/ops/")["Users"] == []
    iam.update_user(UserName="Ada", NewUserName="Ada.L", NewPath="/")
    renamed = iam.get_user(UserName="Ada.L")["User"]
    assert (renamed["Arn"], renamed["UserId"]) == (f"arn:aws:iam::{ACCOUNT}:user/Ada.L", made["UserId"])
    assert renamed["Tags"] == [{"Key": "Team", "Value": "core"}]
    iam.delete_user(UserName="Ada.L")
    message = refused(iam.get_user, "NoSuchEntity", status=404, UserName="Ada.L")
    assert message == "The user with name Ada.L cannot be found."


def test_names_differ_in_more_than_case(iam: Any) -> None:
    """A name taken in another case is taken (409), also when renaming; one's own name may change its case."""
    iam.create_user(UserName="Ada")
    iam.create_user(UserName="bob")
    assert refused(iam.create_user, "EntityAlreadyExists", status=409, UserName="ADA") == (
        "User with name ADA already exists."
    )
    refused(iam.update_user, "EntityAlreadyExists", UserName="bob", NewUserName="ada")
    iam.update_user(UserName="bob", NewUserName="Bob")
    iam.create_role(RoleName="ada", AssumeRolePolicyDocument=OWN)


def test_who_calls_is_the_default_user(world: IamWorld) -> None:
    """Root is described as AWS does, a user as himself; a session has to name somebody."""
    iam = world.client()
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    made = iam.create_user(UserName="ada")["User"]
    ada = Principal(PrincipalType.IAM_USER, ACCOUNT, made["UserId"], made["Arn"], "AKIA", "ada")
    assert world.client(ada).get_user()["User"]["UserName"] == "ada"
    issuer = SessionIssuer("Role", "AROAX", f"arn:aws:iam::{ACCOUNT}:role/x", ACCOUNT, "x")
    session = Principal(
        PrincipalType.ASSUMED_ROLE, ACCOUNT, "AROAX:s", session=SessionContext(START, issuer)
    )  # fmt: skip
    assert refused(world.client(session).get_user, "ValidationError") == (
        "Must specify userName when calling with non-User credentials"
    )


def test_another_account_has_its_own_names(world: IamWorld) -> None:
    """What one account has does not exist in another."""
    world.client().create_user(UserName="ada")
    there = world.client(root_of(OTHER))
    refused(there.get_user, "NoSuchEntity", UserName="ada")
    there.create_user(UserName="ada")
    assert len(there.list_users()["Users"]) == 1


def test_lists_come_in_pages(iam: Any) -> None:
    """The SDK's paginator sees every name once, in order, also when one disappears between two pages."""
    names = [f"user{n:03}" for n in range(25)]
    for name in names:
        iam.create_user(UserName=name)
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 10})
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    first = iam.list_users(MaxItems=10)
    assert first["IsTruncated"] is True
    iam.delete_user(UserName="user009")
    assert iam.list_users(Marker=first["Marker"])["Users"][0]["UserName"] in ("user010", "user011")
    iam.delete_user(UserName="user003")
    refused(iam.list_users, "ValidationError", Marker="no marker of ours")
    assert iam.list_users()["IsTruncated"] is False


@settings(max_examples=150, deadline=None)
@given(marker=st.one_of(st.text(max_size=60), st.from_regex(r"[0-9]{1,9}-[0-9a-f]{32}", fullmatch=True)))
def test_any_marker_is_refused_or_begins_somewhere(marker: str) -> None:
    """A marker that we did not make never fails otherwise than with ValidationError, and repeats nothing."""
    items = [f"item{n}" for n in range(7)]
    try:
        answer = page({"Marker": marker, "MaxItems": 3}, items, "Items", str, str)
    except ApiError as error:
        assert error.code == "ValidationError"
    else:
        assert answer["Items"] == [item for item in items if item in answer["Items"]]
        assert len(answer["Items"]) <= 3
        assert ("Marker" in answer) is answer["IsTruncated"]


def test_a_user_is_deleted_last(world: IamWorld) -> None:
    """Each thing that hangs on a user is a DeleteConflict (409) that names it, until it is gone."""
    iam = world.client()
    iam.create_user(UserName="ada")
    iam.create_group(GroupName="g")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=ALLOW)
    iam.add_user_to_group(UserName="ada", GroupName="g")
    iam.create_login_profile(UserName="ada", Password="Passw0rd-1")
    steps: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("delete access keys", lambda: iam.delete_access_key(UserName="ada", AccessKeyId=key)),
        (
            "detach all policies",
            lambda: iam.detach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ),
        ("delete policies", lambda: iam.delete_user_policy(UserName="ada", PolicyName="p")),
        ("remove users from group", lambda: iam.remove_user_from_group(UserName="ada", GroupName="g")),
        ("delete login profile", lambda: iam.delete_login_profile(UserName="ada")),
    )
    for first, step in steps:
        message = refused(iam.delete_user, "DeleteConflict", status=409, UserName="ada")
        assert message == f"Cannot delete entity, must {first} first."
        step()
    iam.delete_user(UserName="ada")


def test_groups_and_members_go_round(iam: Any) -> None:
    """Members by pages, groups of a user, the quota of ten groups, and a group that is deleted empty."""
    group = iam.create_group(GroupName="ops", Path="/x/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/x/ops"
    iam.create_user(UserName="ada")
    iam.add_user_to_group(GroupName="ops", UserName="ada")
    iam.add_user_to_group(GroupName="ops", UserName="ada")
    shown = iam.get_group(GroupName="ops")
    assert (shown["Group"], [user["UserName"] for user in shown["Users"]]) == (group, ["ada"])
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName="ada")["Groups"]] == ["ops"]
    refused(iam.delete_group, "DeleteConflict", GroupName="ops")
    for n in range(9):
        iam.create_group(GroupName=f"g{n}")
        iam.add_user_to_group(GroupName=f"g{n}", UserName="ada")
    iam.create_group(GroupName="eleventh")
    assert refused(iam.add_user_to_group, "LimitExceeded", status=409, GroupName="eleventh", UserName="ada") == (
        "Cannot exceed quota for GroupsPerUser: 10"
    )
    iam.remove_user_from_group(GroupName="ops", UserName="ada")
    refused(iam.remove_user_from_group, "NoSuchEntity", GroupName="ops", UserName="ada")
    iam.update_group(GroupName="ops", NewGroupName="operators")
    iam.delete_group(GroupName="operators")
    assert len(iam.list_groups()["Groups"]) == 10


def test_a_role_goes_round(iam: Any) -> None:
    """The trust policy comes back as JSON, updates keep what they do not name, the description can be emptied."""
    made = iam.create_role(
        RoleName="auditor", AssumeRolePolicyDocument=OWN, Description="reads", MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]  # fmt: skip
    assert made["RoleId"].startswith("AROA")
    assert made["AssumeRolePolicyDocument"] == json.loads(OWN)
    iam.update_role(RoleName="auditor", Description="")
    shown = iam.get_role(RoleName="auditor")["Role"]
    assert ("Description" in shown, shown["MaxSessionDuration"], shown["RoleLastUsed"]) == (False, 7200, {})
    assert iam.update_role_description(RoleName="auditor", Description="x")["Role"]["Description"] == "x"
    other = trust({"Service": "opsworks-cm.amazonaws.com"})
    iam.update_assume_role_policy(RoleName="auditor", PolicyDocument=other)
    assert iam.list_roles()["Roles"][0]["AssumeRolePolicyDocument"] == json.loads(other)
    iam.delete_role(RoleName="auditor")
    refused(iam.get_role, "NoSuchEntity", RoleName="auditor")


def test_a_trust_policy_is_checked(iam: Any) -> None:
    """Malformed documents, principals that do not exist in accounts of ours, and long documents are refused."""
    create = iam.create_role
    refused(create, "MalformedPolicyDocument", RoleName="r", AssumeRolePolicyDocument="{")
    refused(create, "MalformedPolicyDocument", RoleName="r", AssumeRolePolicyDocument=ALLOW)
    nobody = f"arn:aws:iam::{OTHER}:user/nobody"
    assert refused(
        create, "MalformedPolicyDocument", RoleName="r", AssumeRolePolicyDocument=trust({"AWS": nobody})
    ) == (f'Invalid principal in policy: "AWS":"{nobody}"')
    long = trust({"AWS": [f"arn:aws:iam::{n:012}:root" for n in range(1, 80)]})
    refused(create, "LimitExceeded", RoleName="r", AssumeRolePolicyDocument=long)
    create(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": "arn:aws:iam::999999999999:user/elsewhere"}))
    refused(create, "ValidationError", RoleName="s", AssumeRolePolicyDocument=OWN, MaxSessionDuration=50_000)


def test_instance_profiles_go_round(iam: Any) -> None:
    """A profile has room for one role; neither is deleted while the other is in it."""
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=OWN)
    iam.create_role(RoleName="s", AssumeRolePolicyDocument=OWN)
    made = iam.create_instance_profile(InstanceProfileName="p", Tags=[{"Key": "k", "Value": "v"}])["InstanceProfile"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/p"
    assert made["Roles"] == []
    refused(iam.create_instance_profile, "EntityAlreadyExists", InstanceProfileName="P")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    refused(iam.add_role_to_instance_profile, "LimitExceeded", InstanceProfileName="p", RoleName="s")
    assert iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Roles"][0]["RoleName"] == "r"
    assert len(iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]) == 1
    assert len(iam.list_instance_profiles()["InstanceProfiles"]) == 1
    refused(iam.delete_role, "DeleteConflict", RoleName="r")
    refused(iam.delete_instance_profile, "DeleteConflict", InstanceProfileName="p")
    refused(iam.remove_role_from_instance_profile, "NoSuchEntity", InstanceProfileName="p", RoleName="s")
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.delete_instance_profile(InstanceProfileName="p")
    refused(iam.get_instance_profile, "NoSuchEntity", InstanceProfileName="p")


def test_tags_of_every_kind_go_round(iam: Any, world: IamWorld) -> None:
    """Tag, list and untag for each kind of resource; keys are told apart without case; 50 is the most."""
    iam.create_user(UserName="n")
    iam.create_role(RoleName="n", AssumeRolePolicyDocument=OWN)
    iam.create_instance_profile(InstanceProfileName="n")
    arn = iam.create_policy(PolicyName="n", PolicyDocument=ALLOW)["Policy"]["Arn"]
    oidc = iam.create_open_id_connect_provider(Url="https://id.example.com")["OpenIDConnectProviderArn"]
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="n")["VirtualMFADevice"]["SerialNumber"]
    kinds: list[tuple[str, dict[str, str]]] = [
        ("user", {"UserName": "n"}),
        ("role", {"RoleName": "n"}),
        ("instance_profile", {"InstanceProfileName": "n"}),
        ("policy", {"PolicyArn": arn}),
        ("open_id_connect_provider", {"OpenIDConnectProviderArn": oidc}),
        ("mfa_device", {"SerialNumber": serial}),
    ]
    for kind, name in kinds:
        tag, untag = getattr(iam, f"tag_{kind}"), getattr(iam, f"untag_{kind}")
        listed = getattr(iam, f"list_{kind}_tags")
        tag(**name, Tags=[{"Key": "Env", "Value": "dev"}, {"Key": "b", "Value": ""}])
        tag(**name, Tags=[{"Key": "env", "Value": "prod"}])
        assert listed(**name)["Tags"] == [{"Key": "b", "Value": ""}, {"Key": "env", "Value": "prod"}]
        untag(**name, TagKeys=["ENV", "absent"])
        assert [each["Key"] for each in listed(**name)["Tags"]] == ["b"]
        refused(tag, "InvalidInput", **name, Tags=[{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}])
        refused(tag, "InvalidInput", **name, Tags=[{"Key": "aws:x", "Value": "1"}])
        refused(tag, "LimitExceeded", **name, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    iam.delete_user(UserName="n")
    iam.create_user(UserName="n")
    assert iam.list_user_tags(UserName="n")["Tags"] == []
