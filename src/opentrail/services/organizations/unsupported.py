"""What of Organizations is not there, and why; callers are told so plainly instead of being half served."""

from collections.abc import Mapping

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "organizations have no policies here": (
        "AttachPolicy",
        "CreatePolicy",
        "DeletePolicy",
        "DescribeEffectivePolicy",
        "DescribePolicy",
        "DetachPolicy",
        "DisablePolicyType",
        "EnablePolicyType",
        "ListAccountsWithInvalidEffectivePolicy",
        "ListEffectivePolicyValidationErrors",
        "ListPolicies",
        "ListPoliciesForTarget",
        "ListTargetsForPolicy",
        "UpdatePolicy",
    ),
    "an organization has no resource policy here": (
        "DeleteResourcePolicy",
        "DescribeResourcePolicy",
        "PutResourcePolicy",
    ),
    "OpenTrail sends no bills": (
        "DescribeResponsibilityTransfer",
        "InviteOrganizationToTransferResponsibility",
        "ListInboundResponsibilityTransfers",
        "ListOutboundResponsibilityTransfers",
        "TerminateResponsibilityTransfer",
        "UpdateResponsibilityTransfer",
    ),
    "accounts are not closed: their event records stay theirs": ("CloseAccount",),
    "OpenTrail has one partition": ("CreateGovCloudAccount",),
}

UNSUPPORTED: Mapping[str, str] = {name: reason for reason, names in _GROUPS.items() for name in names}
"""Operation -> why it is refused."""
