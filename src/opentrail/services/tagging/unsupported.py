"""What of the Resource Groups Tagging API is not there, and why."""

from collections.abc import Mapping

_NO_POLICIES = "OpenTrail has no tag policies, so there is nothing to comply with"

UNSUPPORTED: Mapping[str, str] = dict.fromkeys(
    ("DescribeReportCreation", "GetComplianceSummary", "ListRequiredTags", "StartReportCreation"), _NO_POLICIES
)
"""Operation -> why it is refused."""
