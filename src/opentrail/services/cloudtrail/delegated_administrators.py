"""CloudTrail's delegated administrators in an organization, three at most (cloudtrail fact sheet 6.3)."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations.store import Delegation
from opentrail.services.cloudtrail.parts import Request, Response, Surroundings
from opentrail.services.operation import operation
from opentrail.state.database import Unit
from opentrail.trails.organizations import TRUSTED_SERVICE, managed_by, require_member, require_usable

MAX_DELEGATED_ADMINISTRATORS = 3


class DelegationOperations(Surroundings):
    """DeregisterOrganizationDelegatedAdmin, RegisterOrganizationDelegatedAdmin."""

    @operation("DeregisterOrganizationDelegatedAdmin", writes=True)
    def deregister_organization_delegated_admin(self, call: Call, request: Request, unit: Unit) -> Response:
        """Make a member no administrator of CloudTrail any more."""
        organization = managed_by(call.account_id, self.parts.organizations.within(unit))
        account_id = request["DelegatedAdminAccountId"]
        require_member(organization, account_id)
        if account_id not in organization.delegates(TRUSTED_SERVICE):
            text = f"Account {account_id} is not registered as a CloudTrail delegated administrator."
            raise ApiError("AccountNotRegisteredException", text)
        self.parts.organizations.undelegate(unit, organization.organization_id, account_id, TRUSTED_SERVICE)
        return {}

    @operation("RegisterOrganizationDelegatedAdmin", writes=True)
    def register_organization_delegated_admin(self, call: Call, request: Request, unit: Unit) -> Response:
        """Let a member administer the organization's trails."""
        organization = managed_by(call.account_id, self.parts.organizations.within(unit))
        account_id = request["MemberAccountId"]
        require_usable(organization)
        require_member(organization, account_id)
        if account_id == organization.master_account_id:
            text = "The management account cannot be a CloudTrail delegated administrator."
            raise ApiError("CannotDelegateManagementAccountException", text)
        delegates = organization.delegates(TRUSTED_SERVICE)
        if account_id in delegates:
            text = f"Account {account_id} is registered as a CloudTrail delegated administrator already."
            raise ApiError("AccountRegisteredException", text)
        if len(delegates) >= MAX_DELEGATED_ADMINISTRATORS:
            text = f"An organization has at most {MAX_DELEGATED_ADMINISTRATORS} CloudTrail delegated administrators."
            raise ApiError("DelegatedAdminAccountLimitExceededException", text)
        delegation = Delegation(account_id, TRUSTED_SERVICE, self.parts.clock.now())
        self.parts.organizations.delegate(unit, organization.organization_id, delegation)
        return {}
