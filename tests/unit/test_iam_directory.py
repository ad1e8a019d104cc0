"""The directory: whose policies are whose, who is still alive, and what is seen when."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.identity.authorization import PolicySet, authorize
from opentrail.identity.directory import Directory
from opentrail.identity.iam_managed import ADMINISTRATOR_ACCESS
from opentrail.identity.iam_tables import inline_policies
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.identity.statements import AccessRequest
from tests.support.iam_world import ACCOUNT, OTHER, START, IamWorld, root_of
from tests.unit.test_iam_entities import OWN, trust

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def allow(action: str) -> str:
    """A policy that allows one action everywhere."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def world() -> IamWorld:
    """Two empty accounts."""
    return IamWorld()


@pytest.fixture
def iam(world: IamWorld) -> Any:
    """A client of the first account's root."""
    return world.client()


def test_a_caller_s_organization_counts_for_people_not_for_services(world: IamWorld) -> None:
    """What is told of the account holds for its users and sessions; a service is in no organization."""
    iam = world.client()
    iam.create_user(UserName="ada", Tags=[{"Key": "team", "Value": "red"}])
    ada = user(world, "ada")
    assert "aws:principalorgid" not in world.directory.context_of(ada)
    told = {ACCOUNT: {"aws:principalorgid": ("o-exampleorg1",)}}
    world.directory.ask_organizations(lambda account_id: told.get(account_id, {}))
    found = world.directory.context_of(ada)
    assert found["aws:principalorgid"] == ("o-exampleorg1",)
    assert found["aws:principaltag/team"] == ("red",)
    assert "aws:principalorgid" not in world.directory.context_of(root_of(OTHER))
    service = replace(ada, type=PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
    assert "aws:principalorgid" not in world.directory.context_of(service)


def user(world: IamWorld, name: str) -> Principal:
    """A user as a caller."""
    found = world.directory.user(ACCOUNT, name)
    assert found is not None
    return Principal(PrincipalType.IAM_USER, ACCOUNT, found.user_id, found.arn, "AKIA", name)


def session(world: IamWorld, role: str, *policies: str, arns: tuple[str, ...] = ()) -> Principal:
    """A session of a role as a caller."""
    found = world.directory.role(f"arn:aws:iam::{ACCOUNT}:role/{role}")
    assert found is not None
    issuer = SessionIssuer("Role", found.role_id, found.arn, ACCOUNT, role)
    context = SessionContext(START, issuer, policies=policies, policy_arns=arns)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s"
    return Principal(PrincipalType.ASSUMED_ROLE, ACCOUNT, f"{found.role_id}:s", arn, "ASIA", session=context)


def names(policies: PolicySet) -> tuple[list[str], str | None, list[str] | None]:
    """A policy set by its names."""
    boundary = policies.boundary.name if policies.boundary else None
    of_session = None if policies.session is None else [policy.name for policy in policies.session]
    return [policy.name for policy in policies.identity], boundary, of_session


def may(world: IamWorld, who: Principal, action: str) -> bool:
    """Whether the evaluator, with the directory's policies, allows an action."""
    request = AccessRequest(who, action, "*", {})
    return authorize(request, world.directory.policies_of(who)).allowed


def test_a_user_has_its_own_and_its_groups_policies(world: IamWorld, iam: Any) -> None:
    """Inline and attached, directly and through groups; the boundary apart; changes count at once."""
    iam.create_user(UserName="ada")
    ada = user(world, "ada")
    assert names(world.directory.policies_of(ada)) == ([], None, None)
    iam.put_user_policy(UserName="ada", PolicyName="own", PolicyDocument=allow("s3:GetObject"))
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=READ_ONLY)
    iam.put_group_policy(GroupName="g", PolicyName="in-group", PolicyDocument=allow("sns:Publish"))
    assert not may(world, ada, "sns:Publish")
    iam.add_user_to_group(GroupName="g", UserName="ada")
    assert names(world.directory.policies_of(ada)) == (["inline:own", "inline:in-group", READ_ONLY], None, None)
    assert may(world, ada, "sns:Publish")
    iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=READ_ONLY)
    assert names(world.directory.policies_of(ada))[1] == READ_ONLY
    assert not may(world, ada, "sns:Publish")
    iam.remove_user_from_group(GroupName="g", UserName="ada")
    assert names(world.directory.policies_of(ada))[0] == ["inline:own"]


def test_only_the_default_version_counts(world: IamWorld, iam: Any) -> None:
    """A new version changes nothing until it is the default."""
    iam.create_user(UserName="ada")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=allow("s3:GetObject"))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ada", PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("sns:Publish"))
    ada = user(world, "ada")
    assert (may(world, ada, "s3:GetObject"), may(world, ada, "sns:Publish")) == (True, False)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert (may(world, ada, "s3:GetObject"), may(world, ada, "sns:Publish")) == (False, True)
    assert world.directory.policy_text(ACCOUNT, arn) == allow("sns:Publish")
    assert world.directory.policy_text(OTHER, arn) is None


def test_a_session_has_its_roles_policies_and_its_own(world: IamWorld, iam: Any) -> None:
    """Session policies come on top; without any there is no such part at all."""
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=OWN)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMINISTRATOR_ACCESS)
    assert names(world.directory.policies_of(session(world, "r"))) == ([ADMINISTRATOR_ACCESS], None, None)
    narrowed = session(world, "r", allow("s3:*"), arns=(READ_ONLY,))
    assert names(world.directory.policies_of(narrowed)) == ([ADMINISTRATOR_ACCESS], None, ["session", READ_ONLY])
    assert (may(world, narrowed, "s3:PutObject"), may(world, narrowed, "sns:Publish")) == (True, False)
    gone = session(world, "r", arns=(f"arn:aws:iam::{ACCOUNT}:policy/gone",))
    assert not may(world, gone, "s3:PutObject")


def test_a_federated_user_has_nothing_without_session_policies(world: IamWorld, iam: Any) -> None:
    """GetFederationToken: what the issuer may do, cut by the session policies; none given, nothing allowed."""
    iam.create_user(UserName="ada")
    iam.attach_user_policy(UserName="ada", PolicyArn=ADMINISTRATOR_ACCESS)
    ada = user(world, "ada")
    issuer = SessionIssuer("IAMUser", ada.principal_id, ada.arn, ACCOUNT, "ada")
    bob = Principal(
        PrincipalType.FEDERATED_USER, ACCOUNT, f"{ACCOUNT}:bob", f"arn:aws:sts::{ACCOUNT}:federated-user/bob", "ASIA",
        session=SessionContext(START, issuer),
    )  # fmt: skip
    assert names(world.directory.policies_of(bob)) == ([ADMINISTRATOR_ACCESS], None, [])
    assert not may(world, bob, "s3:GetObject")
    assert bob.session is not None
    with_policy = replace(bob, session=replace(bob.session, policies=(allow("s3:*"),)))
    assert (may(world, with_policy, "s3:GetObject"), may(world, with_policy, "sns:Publish")) == (True, False)
    by_root = replace(bob.session, issuer=SessionIssuer("Root", ACCOUNT, "", ACCOUNT, ""), policies=(allow("s3:*"),))
    assert may(world, replace(bob, session=by_root), "s3:GetObject")
    assert world.directory.is_alive(bob)
    iam.detach_user_policy(UserName="ada", PolicyArn=ADMINISTRATOR_ACCESS)
    iam.delete_user(UserName="ada")
    assert not world.directory.is_alive(bob)


def test_root_may_everything_and_nobody_known_nothing(world: IamWorld) -> None:
    """Root needs no policy; anonymous callers, services, strangers and other accounts' ids have none."""
    assert may(world, root_of(ACCOUNT), "iam:DeleteUser")
    assert world.directory.is_alive(root_of(ACCOUNT))
    strangers = (
        ANONYMOUS,
        Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com"),
        Principal(PrincipalType.UNKNOWN, ACCOUNT, ACCOUNT),
        Principal(PrincipalType.IAM_USER, ACCOUNT, "AIDANOBODY", "", "AKIA", "nobody"),
        Principal(PrincipalType.ASSUMED_ROLE, ACCOUNT, "AROANOBODY:s"),
        root_of("999999999999"),
    )
    for stranger in strangers:
        assert names(world.directory.policies_of(stranger)) == ([], None, None)
    assert [world.directory.is_alive(stranger) for stranger in strangers] == [True, True, False, False, False, False]


def test_who_is_made_anew_is_somebody_else(world: IamWorld, iam: Any) -> None:
    """Sessions and keys of a deleted user or role are dead, also when the name exists again."""
    iam.create_user(UserName="ada")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=OWN)
    ada, old = user(world, "ada"), session(world, "r")
    assert (world.directory.is_alive(ada), world.directory.is_alive(old)) == (True, True)
    iam.update_user(UserName="ada", NewUserName="ada2")
    assert world.directory.is_alive(ada)
    iam.delete_user(UserName="ada2")
    iam.delete_role(RoleName="r")
    iam.create_user(UserName="ada")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=OWN)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMINISTRATOR_ACCESS)
    assert (world.directory.is_alive(ada), world.directory.is_alive(old)) == (False, False)
    assert names(world.directory.policies_of(old)) == ([], None, None)


def test_look_ups_find_what_there_is(world: IamWorld, iam: Any) -> None:
    """ARNs with their paths, tags, roles with trust and length; None for everything else."""
    iam.create_user(UserName="ada", Path="/eng/", Tags=[{"Key": "team", "Value": "core"}])
    iam.create_role(
        RoleName="r", Path="/x/", AssumeRolePolicyDocument=trust({"AWS": "*"}), MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "b"}],
    )  # fmt: skip
    tags = [{"Key": "c", "Value": "d"}]
    iam.create_policy(PolicyName="p", Path="/y/", PolicyDocument=allow("s3:*"), Tags=tags)
    iam.create_instance_profile(InstanceProfileName="i")
    directory = world.directory
    assert directory.arn_of(ACCOUNT, "user", "ada") == f"arn:aws:iam::{ACCOUNT}:user/eng/ada"
    assert directory.arn_of(ACCOUNT, "policy", "p") == f"arn:aws:iam::{ACCOUNT}:policy/y/p"
    assert directory.arn_of(ACCOUNT, "instance-profile", "i") == f"arn:aws:iam::{ACCOUNT}:instance-profile/i"
    assert directory.arn_of(OTHER, "user", "ada") is None
    assert directory.tags_of(user(world, "ada")) == (("team", "core"),)
    assert directory.tags_of(ANONYMOUS) == ()
    role = directory.role(f"arn:aws:iam::{ACCOUNT}:role/x/r")
    assert role is not None
    assert (role.max_session_s, role.tags, role.path) == (7200, (("a", "b"),), "/x/")
    assert directory.tags_of_resource(role.arn) == (("a", "b"),)
    assert directory.tags_of_resource(f"arn:aws:iam::{ACCOUNT}:policy/y/p") == (("c", "d"),)
    assert directory.role(f"arn:aws:iam::{ACCOUNT}:role/r") is None
    for nonsense in ("", "arn", "arn:aws:iam::999999999999:role/r", ":::::"):
        assert directory.role(nonsense) is None
        assert directory.oidc_provider(nonsense) is None
        assert directory.saml_provider(nonsense) is None
        assert directory.mfa_device(nonsense) is None
        assert directory.tags_of_resource(nonsense) == ()


def test_nothing_is_seen_before_the_commit_nor_after_a_rollback(world: IamWorld) -> None:
    """A change shows once its unit is committed; a unit that fails leaves no trace."""

    def create(name: str, *, fail: bool) -> None:
        with world.database.unit() as unit:
            handler = world.handlers["CreateUser"]
            handler.method(world.call("CreateUser", root_of(ACCOUNT)), {"UserName": name}, unit)
            assert world.directory.user(ACCOUNT, name) is None
            if fail:
                raise ApiError("InternalFailure", "")

    create("ada", fail=False)
    assert world.directory.user(ACCOUNT, "ada") is not None
    with pytest.raises(ApiError):
        create("bob", fail=True)
    assert world.directory.user(ACCOUNT, "bob") is None


def test_a_policy_that_cannot_be_read_denies_everything(world: IamWorld, iam: Any) -> None:
    """Should a stored text not be readable any more, nothing is allowed by mistake."""
    iam.create_user(UserName="ada")
    iam.attach_user_policy(UserName="ada", PolicyArn=ADMINISTRATOR_ACCESS)
    iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=allow("s3:*"))
    with world.database.unit() as unit:
        unit.execute(sa.update(inline_policies).values(text="{broken"))
        world.identities.changed(unit, ACCOUNT)
    assert not may(world, user(world, "ada"), "s3:GetObject")


def test_a_restart_sees_the_same(world: IamWorld, iam: Any) -> None:
    """A directory read anew answers as the one that was swapped commit by commit."""
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    iam.attach_user_policy(UserName="ada", PolicyArn=READ_ONLY)
    again = Directory(world.database, world.identities.seal)
    assert again.credential(key) == world.directory.credential(key)
    assert names(again.policies_of(user(world, "ada"))) == names(world.directory.policies_of(user(world, "ada")))


def test_concurrent_changes_are_all_seen(world: IamWorld) -> None:
    """Whichever commit swaps last, the directory shows every user that was made."""

    def create(name: str) -> None:
        with world.database.unit() as unit:
            call = world.call("CreateUser", root_of(ACCOUNT))
            world.handlers["CreateUser"].method(call, {"UserName": name}, unit)

    threads = [threading.Thread(target=create, args=(f"u{n}",)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(world.directory.user(ACCOUNT, f"u{n}") is not None for n in range(16))
