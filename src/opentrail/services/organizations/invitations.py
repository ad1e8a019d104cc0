"""Handshakes as their senders and recipients see them: asking an account to join, and asking all to enable features."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations import handshakes
from opentrail.organizations.accounts import email_of
from opentrail.organizations.handshake import (
    ACCOUNT,
    APPROVE_ALL_FEATURES,
    EMAIL,
    ENABLE_ALL_FEATURES,
    INVITE,
    OPEN,
    REQUESTED,
    VALID,
    Handshake,
)
from opentrail.organizations.organization import INVITED, Organization
from opentrail.services.operation import operation
from opentrail.services.organizations import limits, refusals, rendering
from opentrail.services.organizations.parts import Surroundings, mastered, new_tags, page, readable
from opentrail.state.database import Unit
from opentrail.state.instants import to_ms

Request = Mapping[str, Any]

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


class InvitationOperations(Surroundings):
    """The operations that send and list handshakes; a part of ``OrganizationsService``."""

    @operation("InviteAccountToOrganization", writes=True)
    def invite_account_to_organization(self, call: Call, request: Request, unit: Unit) -> Request:
        """Ask an account to join, by its id or its email address. OpenTrail sends no mail: the account finds the
        invitation with ListHandshakesForAccount.
        """
        every = self.parts.organizations.within(unit)
        found = mastered(every, call)
        kind, target = request["Target"]["Type"], request["Target"]["Id"]
        self._check_target(unit, kind, target)
        if kind == ACCOUNT and every.of(target) is not None:
            raise refusals.in_an_organization()
        sent = handshakes.of_organization(unit.connection, found.organization_id)
        notes, tags = request.get("Notes") or "", new_tags(request)
        new = replace(self._new(call, found, INVITE, OPEN), target_type=kind, target=target, notes=notes, tags=tags)
        _check_invitation(call, found, sent, new)
        handshakes.forget_old(unit, call.received_at)
        handshakes.put(unit, new)
        return {"Handshake": rendering.handshake(new, call.received_at)}

    @operation("EnableAllFeatures", writes=True)
    def enable_all_features(self, call: Call, _request: Request, unit: Unit) -> Request:
        """Begin to give an organization all features: members that were invited are asked, the master confirms."""
        found = mastered(self.parts.organizations.within(unit), call)
        if found.has_all_features:
            text = "The organization has all features enabled already."
            raise refusals.handshake_constraint("ORGANIZATION_ALREADY_HAS_ALL_FEATURES", text)
        sent = handshakes.of_organization(unit.connection, found.organization_id)
        if _is_migrating(sent, call):
            text = "The organization is enabling all features already."
            raise refusals.handshake_constraint("ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION", text)
        asked = invited_members(found)
        handshakes.forget_old(unit, call.received_at)
        new = self._new(call, found, ENABLE_ALL_FEATURES, REQUESTED if asked else OPEN)
        handshakes.put(unit, new)
        for account_id in sorted(asked):
            approval = self._new(call, found, APPROVE_ALL_FEATURES, OPEN)
            asking = replace(approval, target_type=ACCOUNT, target=account_id, parent_id=new.handshake_id)
            handshakes.put(unit, asking)
        return {"Handshake": rendering.handshake(new, call.received_at)}

    @operation("ListHandshakesForAccount")
    def list_handshakes_for_account(self, call: Call, request: Request) -> Request:
        """What the caller's account was asked, whether it is in an organization or not."""
        with self.parts.organizations.database.read() as connection:
            email = email_of(connection, call.account_id)
            found = handshakes.sent_to(connection, call.account_id, email)
        return _listed(call, request, found)

    @operation("ListHandshakesForOrganization")
    def list_handshakes_for_organization(self, call: Call, request: Request) -> Request:
        """What the organization has asked."""
        organization = readable(self.parts.organizations.snapshot, call)
        with self.parts.organizations.database.read() as connection:
            found = handshakes.of_organization(connection, organization.organization_id)
        return _listed(call, request, found)

    def _check_target(self, unit: Unit, kind: str, target: str) -> None:
        if kind == EMAIL:
            if not _EMAIL.fullmatch(target):
                raise refusals.invalid("INVALID_EMAIL_ADDRESS_TARGET", "You specified an invalid email address.")
        elif kind != ACCOUNT:
            raise refusals.invalid("INVALID_PARTY_TYPE_TARGET", "An account is invited by its id or its email address.")
        elif not _ACCOUNT_ID.fullmatch(target):
            raise refusals.invalid("INVALID_PATTERN_TARGET_ID", "An account id has twelve digits.")
        elif self.parts.identities.account(unit.connection, target) is None:
            raise refusals.invalid("TARGET_NOT_SUPPORTED", "You specified an account that doesn't exist.")

    def _new(self, call: Call, found: Organization, action: str, state: str) -> Handshake:
        master = found.members[found.master_account_id]
        return Handshake(
            handshake_id=self.parts.new_id("h-", 16),
            organization_id=found.organization_id,
            master_account_id=found.master_account_id,
            action=action,
            state=state,
            requested_at=call.received_at,
            expires_at=call.received_at + VALID,
            master_email=master.email,
            master_name=master.name,
            feature_set=found.feature_set,
        )


def invited_members(found: Organization) -> frozenset[str]:
    """The accounts that have a say in enabling all features: those that were invited, without the master."""
    members = found.members.values()
    invited = {member.account_id for member in members if member.joined_method == INVITED}
    return frozenset(invited - {found.master_account_id})


def _check_invitation(call: Call, found: Organization, sent: list[Handshake], new: Handshake) -> None:
    """Raise ApiError where an organization may not send an invitation."""
    if _is_migrating(sent, call):
        text = "You can't invite accounts while the organization is enabling all features."
        raise refusals.handshake_constraint("INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES", text)
    if any(new.is_for(member.account_id, member.email) for member in found.members.values()):
        raise refusals.in_an_organization()
    if any(other.is_waiting(call.received_at) and other.is_same_request(new) for other in sent):
        text = "A handshake with the same action and target already exists."
        raise ApiError("DuplicateHandshakeException", text)
    if len(found.members) >= limits.ACCOUNTS:
        text = f"An organization has at most {limits.ACCOUNTS} accounts."
        raise refusals.handshake_constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", text)
    since = call.received_at - timedelta(days=1)
    if sum(other.requested_at > since for other in sent) >= limits.INVITATIONS_PER_DAY:
        text = "You have sent too many invitations today."
        raise refusals.handshake_constraint("HANDSHAKE_RATE_LIMIT_EXCEEDED", text)


def _is_migrating(sent: list[Handshake], call: Call) -> bool:
    """Whether an organization waits for all features."""
    return any(other.action == ENABLE_ALL_FEATURES and other.is_waiting(call.received_at) for other in sent)


def _listed(call: Call, request: Request, found: list[Handshake]) -> Request:
    wanted: Request = request.get("Filter") or {}
    action, parent_id = wanted.get("ActionType"), wanted.get("ParentHandshakeId")
    if action and parent_id:
        text = "A filter has an ActionType or a ParentHandshakeId, not both."
        raise refusals.invalid("MAX_LIMIT_EXCEEDED_FILTER", text)
    chosen = [
        handshake
        for handshake in found
        if handshake.is_shown(call.received_at)
        and action in (None, handshake.action)
        and parent_id in (None, handshake.parent_id)
    ]
    return page(request, chosen, "Handshakes", _place, lambda one: rendering.handshake(one, call.received_at))


def _place(handshake: Handshake) -> str:
    return f"{to_ms(handshake.requested_at):015}-{handshake.handshake_id}"
