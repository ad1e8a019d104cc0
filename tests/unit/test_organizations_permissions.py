"""Which permissions calls to Organizations take, on which ARNs, and which conditions they meet."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from opentrail.app.resources import organization_finder
from opentrail.aws.model import Catalogue
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.gateway.authorise import authorise
from opentrail.gateway.permissions import permissions
from opentrail.identity.principal import Principal, PrincipalType
from tests.support.organizations_world import ACCOUNT, OTHER, THIRD, OrganizationsWorld, root_of
from tests.unit.test_authorization_calls import FixedDirectory

USER = Principal(PrincipalType.IAM_USER, ACCOUNT, "AIDA1", f"arn:aws:iam::{ACCOUNT}:user/ada", user_name="ada")
SERVICE = Catalogue().service("organizations")


@pytest.fixture
def world() -> OrganizationsWorld:
    """An organization with one tagged member."""
    world = OrganizationsWorld()
    world.founded().create_organizational_unit(ParentId=world.organization().root_id, Name="dev")
    world.joined(OTHER)
    world.of(ACCOUNT).tag_resource(ResourceId=OTHER, Tags=[{"Key": "team", "Value": "red"}])
    return world


def call(world: OrganizationsWorld, name: str, account_id: str = ACCOUNT, **parameters: Any) -> Call:
    """A parsed call of an account's root."""
    made = world.call(name, root_of(account_id))
    return replace(made, operation=SERVICE.operation(name), parameters=parameters)


def asked(world: OrganizationsWorld, made: Call) -> list[tuple[str, str]]:
    """Action and resource of every permission."""
    find = organization_finder(world.organizations)
    return [(one.action, one.resource) for one in permissions(made, FixedDirectory(), find)]


def test_resources_are_what_a_request_names(world: OrganizationsWorld) -> None:
    """Accounts, units, the root, handshakes; several where it names several."""
    found = world.organization()
    [unit_id] = found.units
    root, unit = found.root_arn, found.unit_arn(unit_id)
    describing = call(world, "DescribeAccount", AccountId=OTHER)
    assert asked(world, describing) == [("organizations:DescribeAccount", found.member_arn(OTHER))]
    listing = call(world, "ListChildren", ParentId=found.root_id, ChildType="ACCOUNT")
    assert asked(world, listing) == [("organizations:ListChildren", root)]
    move = {"AccountId": OTHER, "SourceParentId": found.root_id, "DestinationParentId": unit_id}
    moving = asked(world, call(world, "MoveAccount", **move))
    assert [resource for _, resource in moving] == [found.member_arn(OTHER), root, unit]
    inviting = call(world, "InviteAccountToOrganization", Target={"Type": "ACCOUNT", "Id": THIRD})
    assert asked(world, inviting) == [("organizations:InviteAccountToOrganization", found.member_arn(THIRD))]
    assert asked(world, call(world, "DescribeOrganization")) == [("organizations:DescribeOrganization", "*")]
    on_its_own = call(world, "DescribeAccount", THIRD, AccountId=THIRD)
    assert asked(world, on_its_own) == [("organizations:DescribeAccount", "*")]


def test_a_handshake_is_a_resource_to_those_who_have_a_part_in_it(world: OrganizationsWorld) -> None:
    """To others its ARN tells nothing."""
    invited = world.of(ACCOUNT).invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": THIRD})["Handshake"]
    for account_id, resource in ((ACCOUNT, invited["Arn"]), (THIRD, invited["Arn"]), (OTHER, "*")):
        made = call(world, "DescribeHandshake", account_id, HandshakeId=invited["Id"])
        assert asked(world, made) == [("organizations:DescribeHandshake", resource)]


def test_tagging_something_new_takes_a_permission_of_its_own(world: OrganizationsWorld) -> None:
    """As CreateAccount's reference says."""
    tags = [{"Key": "team", "Value": "red"}]
    creating = call(world, "CreateAccount", Email="dev@example.com", AccountName="Dev", Tags=tags)
    assert asked(world, creating) == [("organizations:CreateAccount", "*"), ("organizations:TagResource", "*")]
    tagging = call(world, "TagResource", ResourceId=OTHER, Tags=tags)
    assert asked(world, tagging) == [("organizations:TagResource", world.organization().member_arn(OTHER))]


def test_conditions_see_the_service_and_the_tags(world: OrganizationsWorld) -> None:
    """organizations:ServicePrincipal, and aws:ResourceTag of an account."""
    statements: list[Mapping[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": "organizations:EnableAWSServiceAccess",
            "Resource": "*",
            "Condition": {"StringEquals": {"organizations:ServicePrincipal": "cloudtrail.amazonaws.com"}},
        },
        {
            "Effect": "Allow",
            "Action": "organizations:DescribeAccount",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}},
        },
    ]
    directory = FixedDirectory(statements)
    find = organization_finder(world.organizations)

    def allowed(name: str, **parameters: Any) -> bool:
        made = replace(call(world, name, **parameters), principal=USER)
        try:
            authorise(made, directory, find=find)
        except ApiError as error:
            assert error.code == "AccessDeniedException"
            return False
        return True

    assert allowed("EnableAWSServiceAccess", ServicePrincipal="cloudtrail.amazonaws.com")
    assert not allowed("EnableAWSServiceAccess", ServicePrincipal="config.amazonaws.com")
    assert allowed("DescribeAccount", AccountId=OTHER)
    assert not allowed("DescribeAccount", AccountId=ACCOUNT)
