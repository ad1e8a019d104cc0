"""Organizations themselves: making, describing and deleting them."""

from collections.abc import Mapping
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations import handshakes
from opentrail.organizations.organization import ALL, Organization
from opentrail.services.operation import operation
from opentrail.services.organizations import rendering
from opentrail.services.organizations.parts import Surroundings, mastered, own_organization
from opentrail.state.database import Unit

Request = Mapping[str, Any]


class OrganizationOperations(Surroundings):
    """The operations on organizations; a part of ``OrganizationsService``."""

    @operation("CreateOrganization", writes=True)
    def create_organization(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make an organization whose master is the caller's account."""
        parts = self.parts
        if parts.organizations.within(unit).of(call.account_id) is not None:
            text = "The AWS account is already a member of an organization."
            raise ApiError("AlreadyInOrganizationException", text)
        master = parts.new_member(unit.connection, call, call.account_id)
        new = Organization(
            organization_id=parts.new_id("o-", 10),
            master_account_id=call.account_id,
            master_email=master.email,
            feature_set=request.get("FeatureSet") or ALL,
            root_id=parts.new_id("r-", 4),
            created_at=call.received_at,
            members={call.account_id: master},
        )
        parts.organizations.create(unit, new)
        return {"Organization": rendering.organization(new)}

    @operation("DescribeOrganization")
    def describe_organization(self, call: Call, _request: Request) -> Request:
        """The organization that the caller's account is a member of; every member may ask."""
        found = own_organization(self.parts.organizations.snapshot, call)
        return {"Organization": rendering.organization(found)}

    @operation("DeleteOrganization", writes=True)
    def delete_organization(self, call: Call, _request: Request, unit: Unit) -> Request:
        """Delete an organization that has no member but its master; invitations that wait are cancelled."""
        found = mastered(self.parts.organizations.within(unit), call)
        if len(found.members) > 1:
            text = (
                "To delete an organization you must first remove all member accounts (except the management account)."
            )
            raise ApiError("OrganizationNotEmptyException", text)
        sent = handshakes.of_organization(unit.connection, found.organization_id)
        handshakes.cancel_waiting(unit, sent, call.received_at)
        self.parts.organizations.delete(unit, found.organization_id)
        return {}
