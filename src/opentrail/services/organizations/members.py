"""Accounts of an organization: making them, listing them, and their ways out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations import accounts, handshakes
from opentrail.organizations.accounts import FAILED, SUCCEEDED, AccountCreation
from opentrail.organizations.organization import CREATED, Organization
from opentrail.services.operation import operation
from opentrail.services.organizations import limits, refusals, rendering
from opentrail.services.organizations.answers import settle_features
from opentrail.services.organizations.parts import (
    Surroundings,
    mastered,
    member_of,
    new_tags,
    own_organization,
    page,
    readable,
)
from opentrail.state.database import Unit

Request = Mapping[str, Any]

ACCESS_ROLE = "OrganizationAccountAccessRole"
"""The role that lets the master into an account that it made (API reference, CreateAccount)."""


class MemberOperations(Surroundings):
    """The operations on member accounts; a part of ``OrganizationsService``."""

    @operation("CreateAccount", writes=True)
    def create_account(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make an account that is a member, with a role for the master. It is there when the answer comes."""
        parts = self.parts
        found, tags = mastered(parts.organizations.within(unit), call), new_tags(request)
        if len(found.members) >= limits.ACCOUNTS:
            raise refusals.too_many_accounts(limits.ACCOUNTS)
        if accounts.count_creations(unit.connection, found.organization_id) >= limits.CREATIONS_KEPT:
            text = "The organization has made as many requests for accounts as are kept."
            raise refusals.constraint("ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED", text)
        creation = AccountCreation(
            request_id=parts.new_id("car-", 32),
            organization_id=found.organization_id,
            account_name=request["AccountName"],
            state=FAILED,
            requested_at=call.received_at,
            failure_reason="EMAIL_ALREADY_EXISTS",
        )
        if not accounts.has_email(unit.connection, request["Email"]):
            account_id = self._make(call, found, request, unit)
            accounts.put_tags(unit, found.organization_id, account_id, tags)
            creation = replace(creation, state=SUCCEEDED, account_id=account_id, failure_reason="")
        accounts.put_creation(unit, creation)
        return {"CreateAccountStatus": rendering.creation(creation)}

    @operation("DescribeCreateAccountStatus")
    def describe_create_account_status(self, call: Call, request: Request) -> Request:
        """What became of a CreateAccount."""
        for creation in self._creations(call):
            if creation.request_id == request["CreateAccountRequestId"]:
                return {"CreateAccountStatus": rendering.creation(creation)}
        text = "You specified a create account request that doesn't exist."
        raise ApiError("CreateAccountStatusNotFoundException", text)

    @operation("ListCreateAccountStatus")
    def list_create_account_status(self, call: Call, request: Request) -> Request:
        """What became of the organization's requests, of certain states only where the request says so."""
        states = request.get("States")
        chosen = [creation for creation in self._creations(call) if not states or creation.state in states]
        return page(request, chosen, "CreateAccountStatuses", lambda one: one.request_id, rendering.creation)

    @operation("ListAccounts")
    def list_accounts(self, call: Call, request: Request) -> Request:
        """Every account of the organization, the master included."""
        found = readable(self.parts.organizations.snapshot, call)
        members = found.members.values()
        return page(request, members, "Accounts", lambda one: one.account_id, lambda one: rendering.account(found, one))

    @operation("DescribeAccount")
    def describe_account(self, call: Call, request: Request) -> Request:
        """One account of the organization."""
        found = readable(self.parts.organizations.snapshot, call)
        return {"Account": rendering.account(found, member_of(found, request["AccountId"]))}

    @operation("LeaveOrganization", writes=True)
    def leave_organization(self, call: Call, _request: Request, unit: Unit) -> Request:
        """End the membership of the caller's account."""
        self._remove(call, own_organization(self.parts.organizations.within(unit), call), call.account_id, unit)
        return {}

    @operation("RemoveAccountFromOrganization", writes=True)
    def remove_account_from_organization(self, call: Call, request: Request, unit: Unit) -> Request:
        """End the membership of an account, which stays and has its own identities."""
        self._remove(call, mastered(self.parts.organizations.within(unit), call), request["AccountId"], unit)
        return {}

    def _creations(self, call: Call) -> list[AccountCreation]:
        found = readable(self.parts.organizations.snapshot, call)
        with self.parts.organizations.database.read() as connection:
            return accounts.creations_of(connection, found.organization_id)

    def _make(self, call: Call, found: Organization, request: Request, unit: Unit) -> str:
        """Make the account with its address and role; its id."""
        parts = self.parts
        account_id = self._free_id(unit)
        parts.identities.create_account(unit, account_id, request["AccountName"], call.received_at)
        role = request.get("RoleName") or ACCESS_ROLE
        parts.identities.create_admin_role(unit, account_id, role, trusted=found.master_account_id, at=call.received_at)
        accounts.put_email(unit, account_id, request["Email"])
        member = parts.new_member(unit.connection, call, account_id, CREATED)
        parts.organizations.put_member(unit, found.organization_id, replace(member, email=request["Email"]))
        return account_id

    def _free_id(self, unit: Unit) -> str:
        while True:
            account_id = self.parts.entropy.text(12, "0123456789")
            if self.parts.identities.account(unit.connection, account_id) is None:
                return account_id

    def _remove(self, call: Call, found: Organization, account_id: str, unit: Unit) -> None:
        member_of(found, account_id)
        if account_id == found.master_account_id:
            raise refusals.master_stays()
        if found.is_delegated(account_id):
            text = "You must first deregister the account as a delegated administrator."
            raise refusals.constraint("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", text)
        organizations = self.parts.organizations
        organizations.remove_member(unit, account_id)
        sent = handshakes.of_organization(unit.connection, found.organization_id)
        asked = [handshake for handshake in sent if handshake.is_for(account_id, found.members[account_id].email)]
        handshakes.cancel_waiting(unit, asked, call.received_at)
        remaining = organizations.within(unit).get(found.organization_id)
        if remaining is not None:
            settle_features(call, remaining, unit)
