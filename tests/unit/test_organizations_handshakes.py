"""Handshakes, trusted services and delegated administrators, as clients see them; every refusal with its reason."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.organizations import handshakes
from opentrail.services.organizations import limits
from tests.support.organizations_world import ACCOUNT, OTHER, THIRD, OrganizationsWorld, root_of
from tests.unit.test_organizations_api import NOBODY, refused

DAY_S = 86_400
CLOUDTRAIL = "cloudtrail.amazonaws.com"


@pytest.fixture
def world() -> OrganizationsWorld:
    """Three accounts."""
    return OrganizationsWorld()


def invite(world: OrganizationsWorld, account_id: str = OTHER, **more: Any) -> str:
    """The id of the first account's invitation of another."""
    answer = world.of(ACCOUNT).invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": account_id}, **more)
    return str(answer["Handshake"]["Id"])


def state_of(world: OrganizationsWorld, handshake_id: str) -> str:
    """The state that the sender sees."""
    return str(world.of(ACCOUNT).describe_handshake(HandshakeId=handshake_id)["Handshake"]["State"])


def test_an_invitation_says_who_asks_whom_for_what(world: OrganizationsWorld) -> None:
    """Parties, resources, ARN and the fifteen days that it is good for; both sides see the same."""
    master = world.founded()
    organization = world.organization()
    made = master.invite_account_to_organization(
        Target={"Type": "ACCOUNT", "Id": OTHER}, Notes="join us", Tags=[{"Key": "team", "Value": "dev"}]
    )["Handshake"]
    arn = f"arn:aws:organizations::{ACCOUNT}:handshake/{organization.organization_id}/invite/{made['Id']}"
    assert (made["Arn"], made["Action"], made["State"]) == (arn, "INVITE", "OPEN")
    assert (made["ExpirationTimestamp"] - made["RequestedTimestamp"]).days == 15
    assert made["Parties"] == [
        {"Type": "ORGANIZATION", "Id": organization.organization_id},
        {"Type": "ACCOUNT", "Id": OTHER},
    ]
    inviting, invited, notes = made["Resources"]
    assert inviting["Value"] == organization.organization_id
    assert [one["Type"] for one in inviting["Resources"]] == ["MASTER_EMAIL", "MASTER_NAME", "ORGANIZATION_FEATURE_SET"]
    assert invited == {"Type": "ACCOUNT", "Value": OTHER}
    assert notes == {"Type": "NOTES", "Value": "join us"}
    recipient = world.of(OTHER)
    assert recipient.list_handshakes_for_account()["Handshakes"] == [made]
    assert recipient.describe_handshake(HandshakeId=made["Id"])["Handshake"] == made
    assert master.list_handshakes_for_organization()["Handshakes"] == [made]
    accepted = recipient.accept_handshake(HandshakeId=made["Id"])["Handshake"]
    assert accepted == {**made, "State": "ACCEPTED"}
    account = master.describe_account(AccountId=OTHER)["Account"]
    assert (account["JoinedMethod"], account["Name"]) == ("INVITED", OTHER)
    assert master.list_tags_for_resource(ResourceId=OTHER)["Tags"] == [{"Key": "team", "Value": "dev"}]


def test_an_account_is_invited_by_its_address(world: OrganizationsWorld) -> None:
    """Whoever has the address may accept, whatever its case."""
    master = world.founded()
    made = master.create_account(Email="dev@example.com", AccountName="Dev")["CreateAccountStatus"]["AccountId"]
    master.remove_account_from_organization(AccountId=made)
    invited = master.invite_account_to_organization(Target={"Type": "EMAIL", "Id": "Dev@Example.com"})["Handshake"]
    assert invited["Parties"][1] == {"Type": "EMAIL", "Id": "Dev@Example.com"}
    with refused("HandshakeNotFoundException"):
        world.of(OTHER).accept_handshake(HandshakeId=invited["Id"])
    member = world.of(made)
    assert [one["Id"] for one in member.list_handshakes_for_account()["Handshakes"]] == [invited["Id"]]
    member.accept_handshake(HandshakeId=invited["Id"])
    assert made in world.organization().members
    with refused("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION"):
        master.invite_account_to_organization(Target={"Type": "EMAIL", "Id": "dev@example.com"})


def test_whom_one_cannot_invite(world: OrganizationsWorld) -> None:
    """Organizations, what is no account, no address, a member, another organization's member, the same one twice."""
    master = world.founded()
    invite(world)
    with refused("DuplicateHandshakeException"):
        invite(world)
    for reason, kind, target in (
        ("INVALID_PARTY_TYPE_TARGET", "ORGANIZATION", "o-exampleorg1"),
        ("INVALID_EMAIL_ADDRESS_TARGET", "EMAIL", "nobody"),
        ("INVALID_PATTERN_TARGET_ID", "ACCOUNT", "12345"),
        ("TARGET_NOT_SUPPORTED", "ACCOUNT", NOBODY),
    ):
        with refused("InvalidInputException", reason):
            master.invite_account_to_organization(Target={"Type": kind, "Id": target})
    world.of(THIRD).create_organization()
    for taken in (ACCOUNT, THIRD):
        with refused("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION"):
            invite(world, taken)


def test_invitations_are_so_many_a_day(world: OrganizationsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a day ago do not count."""
    monkeypatch.setattr(limits, "INVITATIONS_PER_DAY", 1)
    world.founded()
    invite(world)
    with refused("HandshakeConstraintViolationException", "HANDSHAKE_RATE_LIMIT_EXCEEDED"):
        invite(world, THIRD)
    world.clock.advance(DAY_S)
    invite(world, THIRD)


def test_how_invitations_end(world: OrganizationsWorld) -> None:
    """The recipient accepts or declines, the sender cancels; what has ended cannot end again."""
    world.founded()
    ends = {"decline_handshake": "DECLINED", "cancel_handshake": "CANCELED", "accept_handshake": "ACCEPTED"}
    for end, state in ends.items():
        handshake_id = invite(world)
        right, wrong = (ACCOUNT, OTHER) if end == "cancel_handshake" else (OTHER, ACCOUNT)
        with refused("AccessDeniedException"):
            getattr(world.of(wrong), end)(HandshakeId=handshake_id)
        with refused("HandshakeNotFoundException"):
            getattr(world.of(THIRD), end)(HandshakeId=handshake_id)
        assert state_of(world, handshake_id) == "OPEN"
        assert getattr(world.of(right), end)(HandshakeId=handshake_id)["Handshake"]["State"] == state
        with refused("HandshakeAlreadyInStateException"):
            getattr(world.of(right), end)(HandshakeId=handshake_id)
        with refused("InvalidHandshakeTransitionException"):
            other_end = "decline_handshake" if end != "decline_handshake" else "accept_handshake"
            getattr(world.of(OTHER), other_end)(HandshakeId=handshake_id)
    assert OTHER in world.organization().members


@pytest.mark.parametrize("name", ["describe", "accept", "decline", "cancel"])
def test_what_is_no_handshake_of_ours(world: OrganizationsWorld, name: str) -> None:
    """One that does not exist, and one between others, are the same."""
    world.founded()
    for asker, handshake_id in ((OTHER, "h-12345678"), (THIRD, invite(world))):
        with refused("HandshakeNotFoundException"):
            getattr(world.of(asker), f"{name}_handshake")(HandshakeId=handshake_id)


def test_invitations_expire_and_are_forgotten(world: OrganizationsWorld) -> None:
    """After 15 days nobody can accept; after 30 more nobody is shown it, and the next one clears it away."""
    world.founded()
    handshake_id = invite(world)
    world.clock.advance(15 * DAY_S)
    assert state_of(world, handshake_id) == "EXPIRED"
    with refused("InvalidHandshakeTransitionException"):
        world.of(OTHER).accept_handshake(HandshakeId=handshake_id)
    again = invite(world)
    world.of(OTHER).decline_handshake(HandshakeId=again)
    world.clock.advance(30 * DAY_S)
    assert world.of(OTHER).list_handshakes_for_account()["Handshakes"] == []
    with refused("HandshakeNotFoundException"):
        state_of(world, handshake_id)
    world.clock.advance(1)
    latest = invite(world)
    with world.database.read() as connection:
        kept = handshakes.of_organization(connection, world.organization().organization_id)
    assert [one.handshake_id for one in kept] == [latest]


def test_one_organization_at_a_time(world: OrganizationsWorld) -> None:
    """Who has accepted another's invitation, or made an organization, cannot join."""
    world.founded()
    first = invite(world)
    other_master = world.of(THIRD)
    other_master.create_organization()
    second = other_master.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": OTHER})["Handshake"]["Id"]
    member = world.of(OTHER)
    member.accept_handshake(HandshakeId=first)
    with refused("HandshakeConstraintViolationException", "ALREADY_IN_AN_ORGANIZATION"):
        member.accept_handshake(HandshakeId=second)
    member.leave_organization()
    member.create_organization()
    with refused("MasterCannotLeaveOrganizationException"):
        member.accept_handshake(HandshakeId=second)
    member.delete_organization()
    other_master.delete_organization()
    assert member.describe_handshake(HandshakeId=second)["Handshake"]["State"] == "CANCELED"


def test_handshakes_are_filtered_and_paged(world: OrganizationsWorld) -> None:
    """By what they ask for or by the one that they belong to; not by both."""
    master = world.founded("CONSOLIDATED_BILLING")
    world.joined(OTHER)
    parent = master.enable_all_features()["Handshake"]["Id"]
    asked = {"Filter": {"ActionType": "APPROVE_ALL_FEATURES"}}
    [approval] = master.list_handshakes_for_organization(**asked)["Handshakes"]
    same = master.list_handshakes_for_organization(Filter={"ParentHandshakeId": parent})["Handshakes"]
    assert same == [approval]
    with refused("InvalidInputException", "MAX_LIMIT_EXCEEDED_FILTER"):
        master.list_handshakes_for_organization(Filter={"ActionType": "INVITE", "ParentHandshakeId": parent})
    pages = master.get_paginator("list_handshakes_for_organization").paginate(PaginationConfig={"PageSize": 1})
    assert len({one["Id"] for page in pages for one in page["Handshakes"]}) == 3


def test_all_features_take_every_invited_member_s_consent(world: OrganizationsWorld) -> None:
    """Members that were made here are not asked; the master confirms when all others have agreed."""
    master = world.founded("CONSOLIDATED_BILLING")
    members = [world.joined(account_id) for account_id in (OTHER, THIRD)]
    master.create_account(Email="dev@example.com", AccountName="Dev")
    parent = master.enable_all_features()["Handshake"]
    assert (parent["Action"], parent["State"]) == ("ENABLE_ALL_FEATURES", "REQUESTED")
    with refused("HandshakeConstraintViolationException", "ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION"):
        master.enable_all_features()
    with refused("HandshakeConstraintViolationException", "INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES"):
        invite(world, world.new_account())
    for member in members:
        with refused("InvalidHandshakeTransitionException"):
            master.accept_handshake(HandshakeId=parent["Id"])
        [approval] = member.list_handshakes_for_account(Filter={"ActionType": "APPROVE_ALL_FEATURES"})["Handshakes"]
        assert {"Type": "PARENT_HANDSHAKE", "Value": parent["Id"]} in approval["Resources"]
        member.accept_handshake(HandshakeId=approval["Id"])
    assert state_of(world, parent["Id"]) == "OPEN"
    assert not world.organization().has_all_features
    master.accept_handshake(HandshakeId=parent["Id"])
    assert master.describe_organization()["Organization"]["FeatureSet"] == "ALL"
    with refused("HandshakeConstraintViolationException", "ORGANIZATION_ALREADY_HAS_ALL_FEATURES"):
        master.enable_all_features()


def test_who_leaves_is_not_waited_for(world: OrganizationsWorld) -> None:
    """A member that declined holds all features up until it is gone."""
    master = world.founded("CONSOLIDATED_BILLING")
    member = world.joined(OTHER)
    parent = master.enable_all_features()["Handshake"]["Id"]
    [approval] = member.list_handshakes_for_account(Filter={"ActionType": "APPROVE_ALL_FEATURES"})["Handshakes"]
    member.decline_handshake(HandshakeId=approval["Id"])
    assert state_of(world, parent) == "REQUESTED"
    member.leave_organization()
    assert state_of(world, parent) == "OPEN"


def test_cancelling_all_features_cancels_what_was_asked_for_it(world: OrganizationsWorld) -> None:
    """Then invitations go out again."""
    master = world.founded("CONSOLIDATED_BILLING")
    member = world.joined(OTHER)
    parent = master.enable_all_features()["Handshake"]["Id"]
    master.cancel_handshake(HandshakeId=parent)
    [approval] = member.list_handshakes_for_account(Filter={"ActionType": "APPROVE_ALL_FEATURES"})["Handshakes"]
    assert approval["State"] == "CANCELED"
    invite(world, THIRD)


def test_without_invited_members_the_master_confirms_at_once(world: OrganizationsWorld) -> None:
    """There is nobody to ask."""
    master = world.founded("CONSOLIDATED_BILLING")
    parent = master.enable_all_features()["Handshake"]
    assert parent["State"] == "OPEN"
    master.accept_handshake(HandshakeId=parent["Id"])
    assert world.organization().has_all_features


def test_services_are_trusted_and_shut_out(world: OrganizationsWorld) -> None:
    """Once is enough, either way; the date is the first one."""
    master = world.founded()
    master.enable_aws_service_access(ServicePrincipal=CLOUDTRAIL)
    world.clock.advance(DAY_S)
    master.enable_aws_service_access(ServicePrincipal=CLOUDTRAIL)
    master.enable_aws_service_access(ServicePrincipal="config.amazonaws.com")
    listed = master.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert [one["ServicePrincipal"] for one in listed] == [CLOUDTRAIL, "config.amazonaws.com"]
    assert listed[0]["DateEnabled"] == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert world.organization().is_trusted(CLOUDTRAIL)
    for _ in range(2):
        master.disable_aws_service_access(ServicePrincipal=CLOUDTRAIL)
    assert not world.organization().is_trusted(CLOUDTRAIL)


@pytest.mark.parametrize("principal", ["cloudtrail", "cloudtrail.example.com", ".amazonaws.com", "a@amazonaws.com"])
def test_what_is_no_service(world: OrganizationsWorld, principal: str) -> None:
    """Refused wherever it is named."""
    master = world.founded()
    for name in ("enable_aws_service_access", "disable_aws_service_access"):
        with refused("InvalidInputException", "UNRECOGNIZED_SERVICE_PRINCIPAL"):
            getattr(master, name)(ServicePrincipal=principal)
    for name in ("register_delegated_administrator", "deregister_delegated_administrator"):
        with refused("InvalidInputException", "UNRECOGNIZED_SERVICE_PRINCIPAL"):
            getattr(master, name)(AccountId=ACCOUNT, ServicePrincipal=principal)


def test_services_need_all_features(world: OrganizationsWorld) -> None:
    """Consolidated billing is not enough."""
    master = world.founded("CONSOLIDATED_BILLING")
    world.joined(OTHER)
    for name, more in (
        ("enable_aws_service_access", {}),
        ("disable_aws_service_access", {}),
        ("register_delegated_administrator", {"AccountId": OTHER}),
    ):
        with refused("ConstraintViolationException", "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"):
            getattr(master, name)(ServicePrincipal=CLOUDTRAIL, **more)


@pytest.fixture
def trusted(world: OrganizationsWorld) -> Iterator[Any]:
    """The master's client, with a member and CloudTrail trusted."""
    master = world.founded()
    world.joined(OTHER)
    master.enable_aws_service_access(ServicePrincipal=CLOUDTRAIL)
    yield master


def test_a_member_administers_a_service(world: OrganizationsWorld, trusted: Any) -> None:
    """It is listed by service and by account, and cannot leave before it is deregistered."""
    trusted.register_delegated_administrator(AccountId=OTHER, ServicePrincipal=CLOUDTRAIL)
    assert world.organization().delegates(CLOUDTRAIL) == {OTHER}
    [administrator] = trusted.list_delegated_administrators()["DelegatedAdministrators"]
    assert (administrator["Id"], administrator["JoinedMethod"]) == (OTHER, "INVITED")
    assert administrator["DelegationEnabledDate"] == world.clock.now()
    asked = trusted.list_delegated_administrators
    assert asked(ServicePrincipal=CLOUDTRAIL)["DelegatedAdministrators"] == [administrator]
    assert asked(ServicePrincipal="config.amazonaws.com")["DelegatedAdministrators"] == []
    [service] = trusted.list_delegated_services_for_account(AccountId=OTHER)["DelegatedServices"]
    assert service["ServicePrincipal"] == CLOUDTRAIL
    with refused("AccountAlreadyRegisteredException"):
        trusted.register_delegated_administrator(AccountId=OTHER, ServicePrincipal=CLOUDTRAIL)
    with refused("ConstraintViolationException", "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"):
        trusted.remove_account_from_organization(AccountId=OTHER)
    with refused("ConstraintViolationException", "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"):
        world.of(OTHER).leave_organization()
    trusted.deregister_delegated_administrator(AccountId=OTHER, ServicePrincipal=CLOUDTRAIL)
    with refused("AccountNotRegisteredException"):
        trusted.deregister_delegated_administrator(AccountId=OTHER, ServicePrincipal=CLOUDTRAIL)
    with refused("AccountNotRegisteredException"):
        trusted.list_delegated_services_for_account(AccountId=OTHER)
    world.of(OTHER).leave_organization()


def test_who_cannot_administer_a_service(world: OrganizationsWorld, trusted: Any) -> None:
    """The master, strangers, members of a service that is not trusted, and one more than CloudTrail takes."""
    ask = trusted.register_delegated_administrator
    with refused("ConstraintViolationException", "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"):
        ask(AccountId=ACCOUNT, ServicePrincipal=CLOUDTRAIL)
    for call in (ask, trusted.deregister_delegated_administrator):
        with refused("AccountNotFoundException"):
            call(AccountId=THIRD, ServicePrincipal=CLOUDTRAIL)
    with refused("AccountNotFoundException"):
        trusted.list_delegated_services_for_account(AccountId=THIRD)
    with refused("ConstraintViolationException", "SERVICE_ACCESS_NOT_ENABLED"):
        ask(AccountId=OTHER, ServicePrincipal="config.amazonaws.com")
    for number in range(4):
        made = trusted.create_account(Email=f"dev{number}@example.com", AccountName="Dev")["CreateAccountStatus"]
        if number < 3:
            ask(AccountId=made["AccountId"], ServicePrincipal=CLOUDTRAIL)
        else:
            with refused("ConstraintViolationException", "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED"):
                ask(AccountId=made["AccountId"], ServicePrincipal=CLOUDTRAIL)


def test_members_see_their_organization(world: OrganizationsWorld) -> None:
    """DescribeOrganization is open to every member, and the same for all."""
    master, member = world.founded(), world.joined(OTHER)
    assert member.describe_organization()["Organization"] == master.describe_organization()["Organization"]
    assert world.organization(root_of(OTHER)) == world.organization()
