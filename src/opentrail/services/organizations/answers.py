"""Answering handshakes: describing, accepting, declining and cancelling them, and what follows."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations import handshakes
from opentrail.organizations.accounts import email_of, put_tags
from opentrail.organizations.handshake import (
    ACCEPTED,
    APPROVE_ALL_FEATURES,
    CANCELED,
    DECLINED,
    ENABLE_ALL_FEATURES,
    INVITE,
    REQUESTED,
    Handshake,
)
from opentrail.organizations.organization import ALL, Organization
from opentrail.services.operation import operation
from opentrail.services.organizations import limits, refusals, rendering
from opentrail.services.organizations.invitations import invited_members
from opentrail.services.organizations.parts import Surroundings
from opentrail.state.database import Unit

Request = Mapping[str, Any]


class AnswerOperations(Surroundings):
    """The operations that answer handshakes; a part of ``OrganizationsService``."""

    @operation("DescribeHandshake")
    def describe_handshake(self, call: Call, request: Request) -> Request:
        """A handshake that the caller's account sent or was sent."""
        with self.parts.organizations.database.read() as connection:
            found = _known(connection, call, request["HandshakeId"])
        return {"Handshake": rendering.handshake(found, call.received_at)}

    @operation("AcceptHandshake", writes=True)
    def accept_handshake(self, call: Call, request: Request, unit: Unit) -> Request:
        """Join an organization, agree to all features, or, as the master, put them in force."""
        found = _known(unit.connection, call, request["HandshakeId"])
        accepted = _ended(call, found, ACCEPTED, may=_is_recipient(unit.connection, call, found))
        organization = self.parts.organizations.within(unit).get(found.organization_id)
        if organization is None:
            raise refusals.no_handshake()
        if found.action == INVITE:
            self._join(call, organization, found, unit)
        handshakes.put(unit, accepted)
        if found.action == APPROVE_ALL_FEATURES:
            settle_features(call, organization, unit)
        elif found.action == ENABLE_ALL_FEATURES:
            self.parts.organizations.set_features(unit, found.organization_id, ALL)
        return {"Handshake": rendering.handshake(accepted, call.received_at)}

    @operation("DeclineHandshake", writes=True)
    def decline_handshake(self, call: Call, request: Request, unit: Unit) -> Request:
        """Say no to what the caller's account was asked."""
        found = _known(unit.connection, call, request["HandshakeId"])
        declined = _ended(call, found, DECLINED, may=_is_recipient(unit.connection, call, found))
        handshakes.put(unit, declined)
        return {"Handshake": rendering.handshake(declined, call.received_at)}

    @operation("CancelHandshake", writes=True)
    def cancel_handshake(self, call: Call, request: Request, unit: Unit) -> Request:
        """Take back what the caller's account asked."""
        found = _known(unit.connection, call, request["HandshakeId"])
        cancelled = _ended(call, found, CANCELED, may=call.account_id == found.master_account_id)
        handshakes.put(unit, cancelled)
        handshakes.cancel_waiting(unit, handshakes.approvals(unit.connection, found.handshake_id), call.received_at)
        return {"Handshake": rendering.handshake(cancelled, call.received_at)}

    def _join(self, call: Call, organization: Organization, invitation: Handshake, unit: Unit) -> None:
        parts = self.parts
        present = parts.organizations.within(unit).of(call.account_id)
        if present is not None and present.master_account_id == call.account_id:
            raise refusals.master_stays()
        if present is not None:
            raise refusals.in_an_organization()
        if len(organization.members) >= limits.ACCOUNTS:
            text = f"An organization has at most {limits.ACCOUNTS} accounts."
            raise refusals.handshake_constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", text)
        member = parts.new_member(unit.connection, call, call.account_id)
        parts.organizations.put_member(unit, organization.organization_id, member)
        put_tags(unit, organization.organization_id, call.account_id, invitation.tags)


def settle_features(call: Call, organization: Organization, unit: Unit) -> None:
    """Let the master put all features in force once every member that was invited has agreed."""
    for parent in handshakes.of_organization(unit.connection, organization.organization_id):
        if parent.action != ENABLE_ALL_FEATURES or parent.state_at(call.received_at) != REQUESTED:
            continue
        answers = handshakes.approvals(unit.connection, parent.handshake_id)
        agreed = {answer.target for answer in answers if answer.state == ACCEPTED}
        if invited_members(organization) <= agreed:
            handshakes.put(unit, parent.opened())


def _known(connection: sa.Connection, call: Call, handshake_id: str) -> Handshake:
    """A handshake that the caller's account has a part in. Raises ApiError HandshakeNotFound."""
    found = handshakes.find(connection, handshake_id)
    if found is None or not found.is_shown(call.received_at):
        raise refusals.no_handshake()
    if not found.has_part(call.account_id, email_of(connection, call.account_id)):
        raise refusals.no_handshake()
    return found


def _is_recipient(connection: sa.Connection, call: Call, found: Handshake) -> bool:
    """Whether the caller's account is to answer; an organization that asks itself is answered by its master."""
    if not found.target:
        return call.account_id == found.master_account_id
    return found.is_for(call.account_id, email_of(connection, call.account_id))


def _ended(call: Call, found: Handshake, state: str, *, may: bool) -> Handshake:
    """A handshake that ends in a state. Raises ApiError AccessDenied, HandshakeAlreadyInState,
    InvalidHandshakeTransition.
    """
    if not may:
        raise refusals.denied()
    present = found.state_at(call.received_at)
    if present == state:
        text = "The specified handshake is already in the requested state."
        raise ApiError("HandshakeAlreadyInStateException", text)
    if not found.is_waiting(call.received_at) or (present, state) == (REQUESTED, ACCEPTED):
        text = f"You can't perform the operation on the handshake in its current state, {present}."
        raise ApiError("InvalidHandshakeTransitionException", text)
    return found.ended(state, call.received_at)
