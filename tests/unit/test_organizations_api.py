"""The organization itself, its accounts and its tree, as clients see them; every refusal with its reason."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.identity.iam_managed import ADMINISTRATOR_ACCESS
from opentrail.services.organizations import limits
from tests.support.organizations_world import ACCOUNT, OTHER, THIRD, OrganizationsWorld

NOBODY = "999999999999"


@pytest.fixture
def world() -> OrganizationsWorld:
    """Three accounts."""
    return OrganizationsWorld()


@contextmanager
def refused(code: str, reason: str | None = None) -> Iterator[None]:
    """The block's call is refused with a code and, where there is one, the model's reason."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"]
    assert caught.value.response.get("Reason") == reason


def test_an_organization_is_made_described_and_deleted(world: OrganizationsWorld) -> None:
    """Its master is its first member; after its deletion the account may make another."""
    master = world.of(ACCOUNT)
    with refused("AWSOrganizationsNotInUseException"):
        master.describe_organization()
    made = master.create_organization()["Organization"]
    assert made == master.describe_organization()["Organization"]
    assert made["FeatureSet"] == "ALL"
    assert made["MasterAccountId"] == ACCOUNT
    assert made["MasterAccountArn"] == f"arn:aws:organizations::{ACCOUNT}:account/{made['Id']}/{ACCOUNT}"
    assert made["Arn"] == f"arn:aws:organizations::{ACCOUNT}:organization/{made['Id']}"
    assert made["AvailablePolicyTypes"] == []
    with refused("AlreadyInOrganizationException"):
        master.create_organization()
    [account] = master.list_accounts()["Accounts"]
    assert (account["Id"], account["JoinedMethod"], account["State"]) == (ACCOUNT, "INVITED", "ACTIVE")
    assert account["Email"] == made["MasterAccountEmail"] == f"{ACCOUNT}@opentrail.invalid"
    master.delete_organization()
    assert not world.organizations.snapshot.every()
    assert master.create_organization(FeatureSet="CONSOLIDATED_BILLING")["Organization"]["Id"] != made["Id"]


def test_an_organization_with_members_is_not_deleted(world: OrganizationsWorld) -> None:
    """Members go first; the master never does."""
    master = world.founded()
    world.joined(OTHER)
    with refused("OrganizationNotEmptyException"):
        master.delete_organization()
    with refused("MasterCannotLeaveOrganizationException"):
        master.leave_organization()
    with refused("MasterCannotLeaveOrganizationException"):
        master.remove_account_from_organization(AccountId=ACCOUNT)
    with refused("AccountNotFoundException"):
        master.remove_account_from_organization(AccountId=THIRD)
    master.remove_account_from_organization(AccountId=OTHER)
    assert world.organizations.snapshot.of(OTHER) is None
    master.delete_organization()


def test_an_account_that_is_made_lets_its_master_in(world: OrganizationsWorld) -> None:
    """It has a role with AdministratorAccess that trusts the master alone, an address, a name and tags."""
    master = world.founded()
    status = master.create_account(Email="Dev@Example.com", AccountName="Dev", Tags=[{"Key": "team", "Value": "dev"}])[
        "CreateAccountStatus"
    ]
    assert status["State"] == "SUCCEEDED"
    account_id = status["AccountId"]
    assert master.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"] == status
    account = master.describe_account(AccountId=account_id)["Account"]
    assert (account["Name"], account["Email"], account["JoinedMethod"]) == ("Dev", "Dev@Example.com", "CREATED")
    assert account["Paths"] == [world.organization().path_of(account_id)]
    role = world.directory.role(f"arn:aws:iam::{account_id}:role/OrganizationAccountAccessRole")
    assert role is not None
    assert f'"arn:aws:iam::{ACCOUNT}:root"' in world.trust_text(account_id, "OrganizationAccountAccessRole")
    assert world.attached(account_id, "OrganizationAccountAccessRole") == [ADMINISTRATOR_ACCESS]
    assert master.list_tags_for_resource(ResourceId=account_id)["Tags"] == [{"Key": "team", "Value": "dev"}]
    other = master.create_account(Email="ops@example.com", AccountName="Ops", RoleName="Door")["CreateAccountStatus"]
    assert world.directory.role(f"arn:aws:iam::{other['AccountId']}:role/Door") is not None


def test_an_address_is_one_account_s(world: OrganizationsWorld) -> None:
    """A request for one that is taken fails, and is listed as failed; nothing is made."""
    master = world.founded()
    master.create_account(Email="dev@example.com", AccountName="Dev")
    before = len(world.identities.list_accounts())
    for taken in ("DEV@example.com", f"{OTHER}@opentrail.invalid"):
        failed = master.create_account(Email=taken, AccountName="Twice")["CreateAccountStatus"]
        assert (failed["State"], failed["FailureReason"]) == ("FAILED", "EMAIL_ALREADY_EXISTS")
        assert "AccountId" not in failed
    assert len(world.identities.list_accounts()) == before
    listed = master.list_create_account_status(States=["FAILED"])["CreateAccountStatuses"]
    assert [one["AccountName"] for one in listed] == ["Twice", "Twice"]
    assert len(master.list_create_account_status()["CreateAccountStatuses"]) == 3
    with refused("CreateAccountStatusNotFoundException"):
        master.describe_create_account_status(CreateAccountRequestId="car-12345678")


def test_an_organization_has_so_many_accounts(world: OrganizationsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, made or invited."""
    monkeypatch.setattr(limits, "ACCOUNTS", 2)
    master = world.founded()
    invited = master.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": OTHER})["Handshake"]["Id"]
    master.create_account(Email="dev@example.com", AccountName="Dev")
    with refused("ConstraintViolationException", "ACCOUNT_NUMBER_LIMIT_EXCEEDED"):
        master.create_account(Email="ops@example.com", AccountName="Ops")
    with refused("HandshakeConstraintViolationException", "ACCOUNT_NUMBER_LIMIT_EXCEEDED"):
        master.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": THIRD})
    with refused("HandshakeConstraintViolationException", "ACCOUNT_NUMBER_LIMIT_EXCEEDED"):
        world.of(OTHER).accept_handshake(HandshakeId=invited)


def test_requests_for_accounts_are_bounded(world: OrganizationsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is kept too, so it counts."""
    monkeypatch.setattr(limits, "CREATIONS_KEPT", 1)
    master = world.founded()
    master.create_account(Email="dev@example.com", AccountName="Dev")
    with refused("ConstraintViolationException", "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"):
        master.create_account(Email="dev@example.com", AccountName="Dev")


def test_a_member_leaves(world: OrganizationsWorld) -> None:
    """It takes nothing along: tags of the account are gone when it comes back."""
    master = world.founded()
    member = world.joined(OTHER)
    master.tag_resource(ResourceId=OTHER, Tags=[{"Key": "team", "Value": "dev"}])
    member.leave_organization()
    with refused("AWSOrganizationsNotInUseException"):
        member.leave_organization()
    world.joined(OTHER)
    assert master.list_tags_for_resource(ResourceId=OTHER)["Tags"] == []


MASTERS: dict[str, dict[str, Any]] = {
    "create_account": {"Email": "dev@example.com", "AccountName": "Dev"},
    "create_organizational_unit": {"ParentId": "r-abcd", "Name": "dev"},
    "delete_organization": {},
    "delete_organizational_unit": {"OrganizationalUnitId": "ou-abcd-12345678"},
    "deregister_delegated_administrator": {"AccountId": OTHER, "ServicePrincipal": "config.amazonaws.com"},
    "disable_aws_service_access": {"ServicePrincipal": "config.amazonaws.com"},
    "enable_all_features": {},
    "enable_aws_service_access": {"ServicePrincipal": "config.amazonaws.com"},
    "invite_account_to_organization": {"Target": {"Type": "ACCOUNT", "Id": THIRD}},
    "move_account": {"AccountId": OTHER, "SourceParentId": "r-abcd", "DestinationParentId": "r-abce"},
    "register_delegated_administrator": {"AccountId": OTHER, "ServicePrincipal": "config.amazonaws.com"},
    "remove_account_from_organization": {"AccountId": OTHER},
    "tag_resource": {"ResourceId": OTHER, "Tags": [{"Key": "a", "Value": "b"}]},
    "untag_resource": {"ResourceId": OTHER, "TagKeys": ["a"]},
    "update_organizational_unit": {"OrganizationalUnitId": "ou-abcd-12345678"},
}
READERS: dict[str, dict[str, Any]] = {
    "describe_account": {"AccountId": OTHER},
    "describe_create_account_status": {"CreateAccountRequestId": "car-12345678"},
    "describe_organizational_unit": {"OrganizationalUnitId": "ou-abcd-12345678"},
    "list_accounts": {},
    "list_accounts_for_parent": {"ParentId": "r-abcd"},
    "list_aws_service_access_for_organization": {},
    "list_children": {"ParentId": "r-abcd", "ChildType": "ACCOUNT"},
    "list_create_account_status": {},
    "list_delegated_administrators": {},
    "list_delegated_services_for_account": {"AccountId": OTHER},
    "list_handshakes_for_organization": {},
    "list_organizational_units_for_parent": {"ParentId": "r-abcd"},
    "list_parents": {"ChildId": OTHER},
    "list_roots": {},
    "list_tags_for_resource": {"ResourceId": OTHER},
}


@pytest.mark.parametrize("name", [*MASTERS, *READERS])
def test_others_are_refused(world: OrganizationsWorld, name: str) -> None:
    """A member that administers nothing may neither read nor change; an account on its own has no organization."""
    world.founded()
    asked: Callable[..., Any] = getattr(world.of(OTHER), name)
    arguments = MASTERS.get(name, READERS.get(name, {}))
    with refused("AWSOrganizationsNotInUseException"):
        asked(**arguments)
    world.joined(OTHER)
    before = world.organization()
    with refused("AccessDeniedException"):
        asked(**arguments)
    assert world.organization() == before


def test_who_administers_a_service_may_read_and_not_write(world: OrganizationsWorld) -> None:
    """Every read is answered as to the master; every change is refused."""
    master = world.founded()
    world.joined(OTHER)
    master.enable_aws_service_access(ServicePrincipal="config.amazonaws.com")
    master.register_delegated_administrator(AccountId=OTHER, ServicePrincipal="config.amazonaws.com")
    root_id, administrator = world.organization().root_id, world.of(OTHER)
    unit_id = master.create_organizational_unit(ParentId=root_id, Name="dev")["OrganizationalUnit"]["Id"]
    creation = master.create_account(Email="dev@example.com", AccountName="Dev")["CreateAccountStatus"]["Id"]
    real = {"ParentId": root_id, "OrganizationalUnitId": unit_id, "CreateAccountRequestId": creation}
    for name, arguments in READERS.items():
        known = {member: real.get(member, value) for member, value in arguments.items()}
        told, same = getattr(administrator, name)(**known), getattr(master, name)(**known)
        assert {**told, "ResponseMetadata": None} == {**same, "ResponseMetadata": None}, name
    for name, arguments in MASTERS.items():
        with refused("AccessDeniedException"):
            getattr(administrator, name)(**arguments)
    assert administrator.describe_organization()["Organization"] == master.describe_organization()["Organization"]


def test_the_tree_grows_and_is_walked(world: OrganizationsWorld) -> None:
    """Units below the root and below units; accounts move between them."""
    master = world.founded()
    [root] = master.list_roots()["Roots"]
    assert (root["Name"], root["PolicyTypes"]) == ("Root", [])
    outer = master.create_organizational_unit(ParentId=root["Id"], Name="outer")["OrganizationalUnit"]
    inner = master.create_organizational_unit(
        ParentId=outer["Id"], Name="inner", Tags=[{"Key": "team", "Value": "dev"}]
    )["OrganizationalUnit"]
    assert inner["Id"].startswith(f"ou-{root['Id'][2:]}-")
    assert inner["Path"] == f"{outer['Path']}{inner['Id']}/"
    assert master.list_tags_for_resource(ResourceId=inner["Id"])["Tags"] == [{"Key": "team", "Value": "dev"}]
    master.move_account(AccountId=ACCOUNT, SourceParentId=root["Id"], DestinationParentId=inner["Id"])
    assert master.list_parents(ChildId=ACCOUNT)["Parents"] == [{"Id": inner["Id"], "Type": "ORGANIZATIONAL_UNIT"}]
    assert master.list_parents(ChildId=outer["Id"])["Parents"] == [{"Id": root["Id"], "Type": "ROOT"}]
    assert [one["Id"] for one in master.list_accounts_for_parent(ParentId=inner["Id"])["Accounts"]] == [ACCOUNT]
    units = master.list_organizational_units_for_parent(ParentId=root["Id"])["OrganizationalUnits"]
    assert units == [outer]
    children = master.list_children(ParentId=outer["Id"], ChildType="ORGANIZATIONAL_UNIT")["Children"]
    assert children == [{"Id": inner["Id"], "Type": "ORGANIZATIONAL_UNIT"}]
    assert master.list_children(ParentId=root["Id"], ChildType="ACCOUNT")["Children"] == []
    renamed = master.update_organizational_unit(OrganizationalUnitId=inner["Id"], Name="depth")["OrganizationalUnit"]
    assert renamed == {**inner, "Name": "depth"}
    assert master.describe_organizational_unit(OrganizationalUnitId=inner["Id"])["OrganizationalUnit"] == renamed
    assert master.update_organizational_unit(OrganizationalUnitId=inner["Id"])["OrganizationalUnit"] == renamed


def test_units_are_deleted_when_they_are_empty(world: OrganizationsWorld) -> None:
    """Accounts and units on it keep a unit."""
    master = world.founded()
    root_id = world.organization().root_id
    outer = master.create_organizational_unit(ParentId=root_id, Name="outer")["OrganizationalUnit"]["Id"]
    inner = master.create_organizational_unit(ParentId=outer, Name="inner")["OrganizationalUnit"]["Id"]
    master.move_account(AccountId=ACCOUNT, SourceParentId=root_id, DestinationParentId=inner)
    for full in (outer, inner):
        with refused("OrganizationalUnitNotEmptyException"):
            master.delete_organizational_unit(OrganizationalUnitId=full)
    master.move_account(AccountId=ACCOUNT, SourceParentId=inner, DestinationParentId=root_id)
    master.delete_organizational_unit(OrganizationalUnitId=inner)
    master.delete_organizational_unit(OrganizationalUnitId=outer)
    assert not world.organization().units


def test_what_is_not_in_the_tree(world: OrganizationsWorld) -> None:
    """Parents, children, units and accounts that do not exist, each in its own words."""
    master = world.founded()
    root_id, nowhere = world.organization().root_id, "ou-abcd-12345678"
    with refused("ParentNotFoundException"):
        master.create_organizational_unit(ParentId=nowhere, Name="dev")
    for name in ("list_accounts_for_parent", "list_organizational_units_for_parent"):
        with refused("ParentNotFoundException"):
            getattr(master, name)(ParentId=nowhere)
    with refused("ParentNotFoundException"):
        master.list_children(ParentId=nowhere, ChildType="ACCOUNT")
    for name in ("describe", "update", "delete"):
        with refused("OrganizationalUnitNotFoundException"):
            getattr(master, f"{name}_organizational_unit")(OrganizationalUnitId=nowhere)
    for child in (nowhere, NOBODY):
        with refused("ChildNotFoundException"):
            master.list_parents(ChildId=child)
    with refused("AccountNotFoundException"):
        master.describe_account(AccountId=OTHER)
    with refused("AccountNotFoundException"):
        master.move_account(AccountId=OTHER, SourceParentId=root_id, DestinationParentId=root_id)
    with refused("SourceParentNotFoundException"):
        master.move_account(AccountId=ACCOUNT, SourceParentId=nowhere, DestinationParentId=root_id)
    with refused("DestinationParentNotFoundException"):
        master.move_account(AccountId=ACCOUNT, SourceParentId=root_id, DestinationParentId=nowhere)
    with refused("DuplicateAccountException"):
        master.move_account(AccountId=ACCOUNT, SourceParentId=root_id, DestinationParentId=root_id)


def test_units_have_names_of_their_own_and_limits(world: OrganizationsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """No namesake below the same parent; five levels; so many in all."""
    master = world.founded()
    parent = world.organization().root_id
    first = master.create_organizational_unit(ParentId=parent, Name="dev")["OrganizationalUnit"]["Id"]
    with refused("DuplicateOrganizationalUnitException"):
        master.create_organizational_unit(ParentId=parent, Name="dev")
    other = master.create_organizational_unit(ParentId=parent, Name="ops")["OrganizationalUnit"]["Id"]
    with refused("DuplicateOrganizationalUnitException"):
        master.update_organizational_unit(OrganizationalUnitId=other, Name="dev")
    parent = first
    for _ in range(limits.UNIT_DEPTH - 1):
        parent = master.create_organizational_unit(ParentId=parent, Name="dev")["OrganizationalUnit"]["Id"]
    with refused("ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED"):
        master.create_organizational_unit(ParentId=parent, Name="dev")
    monkeypatch.setattr(limits, "UNITS", len(world.organization().units))
    with refused("ConstraintViolationException", "OU_NUMBER_LIMIT_EXCEEDED"):
        master.create_organizational_unit(ParentId=first, Name="more")


def test_lists_come_in_pages(world: OrganizationsWorld) -> None:
    """botocore's paginators collect everything, whatever the size of a page; made-up tokens are refused."""
    master = world.founded()
    for number in range(24):
        master.create_account(Email=f"dev{number}@example.com", AccountName=f"Dev {number}")
    everything = [one["Id"] for page in master.get_paginator("list_accounts").paginate() for one in page["Accounts"]]
    assert everything == sorted(world.organization().members)
    first = master.list_accounts()
    assert len(first["Accounts"]) == 20
    small = [
        one["Id"]
        for page in master.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 7})
        for one in page["Accounts"]
    ]
    assert small == everything
    statuses = master.get_paginator("list_create_account_status").paginate()
    assert len({one["Id"] for page in statuses for one in page["CreateAccountStatuses"]}) == 24
    for token in ("%", "a", "é", "/w=="):
        with refused("InvalidInputException", "INVALID_NEXT_TOKEN"):
            master.list_accounts(NextToken=token)


def test_tags(world: OrganizationsWorld) -> None:
    """Of the root, units and accounts; reserved, doubled and too many keys are refused and change nothing."""
    master = world.founded()
    root_id = world.organization().root_id
    master.tag_resource(ResourceId=root_id, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    master.tag_resource(ResourceId=root_id, Tags=[{"Key": "a", "Value": "2"}])
    kept = [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    assert master.list_tags_for_resource(ResourceId=root_id)["Tags"] == kept
    with refused("InvalidInputException", "DUPLICATE_TAG_KEY"):
        master.tag_resource(ResourceId=root_id, Tags=[{"Key": "c", "Value": "1"}, {"Key": "c", "Value": "2"}])
    with refused("InvalidInputException", "INVALID_SYSTEM_TAGS_PARAMETER"):
        master.tag_resource(ResourceId=root_id, Tags=[{"Key": "aws:c", "Value": "1"}])
    with refused("InvalidInputException", "INVALID_SYSTEM_TAGS_PARAMETER"):
        master.untag_resource(ResourceId=root_id, TagKeys=["AWS:c"])
    with refused("ConstraintViolationException", "MAX_TAG_LIMIT_EXCEEDED"):
        master.tag_resource(ResourceId=root_id, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(limits.TAGS)])
    for ask in (master.list_tags_for_resource, lambda **n: master.untag_resource(**n, TagKeys=["a"])):
        with refused("TargetNotFoundException"):
            ask(ResourceId=OTHER)
    assert master.list_tags_for_resource(ResourceId=root_id)["Tags"] == kept
    master.untag_resource(ResourceId=root_id, TagKeys=["a", "none"])
    assert master.list_tags_for_resource(ResourceId=root_id)["Tags"] == [{"Key": "b", "Value": ""}]
