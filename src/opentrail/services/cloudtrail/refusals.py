"""What CloudTrail's API has and this version does not: whole operations, and parameters of the trail operations.

Every refusal is a modelled error that says so plainly; nothing is accepted and ignored.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentrail.errors import ApiError

NO_LAKE = "CloudTrail Lake (event data stores, channels, queries, dashboards and imports) is not available"
_INSIGHTS = "no Insights events are computed"

_BY_REASON: Mapping[str, tuple[str, ...]] = {
    NO_LAKE: (
        *(
            "CancelQuery",
            "CreateChannel",
            "CreateDashboard",
            "CreateEventDataStore",
            "DeleteChannel",
            "DeleteDashboard",
        ),
        *(
            "DeleteEventDataStore",
            "DescribeQuery",
            "DisableFederation",
            "EnableFederation",
            "GenerateQuery",
            "GetChannel",
        ),
        *("GetDashboard", "GetEventDataStore", "GetImport", "GetQueryResults", "ListChannels", "ListDashboards"),
        *("ListEventDataStores", "ListImportFailures", "ListImports", "ListQueries", "RestoreEventDataStore"),
        *("SearchSampleQueries", "StartDashboardRefresh", "StartEventDataStoreIngestion", "StartImport", "StartQuery"),
        *("StopEventDataStoreIngestion", "StopImport", "UpdateChannel", "UpdateDashboard", "UpdateEventDataStore"),
    ),
    _INSIGHTS: ("ListInsightsData", "ListInsightsMetricData"),
    "the event history is not available; the log files in the trail's bucket are": ("LookupEvents",),
}

UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {name: f"{reason} in this version." for reason, names in _BY_REASON.items() for name in names}
)
"""Operation -> why it is refused. The dispatcher answers UnsupportedOperationException with this text."""


def refuse_unsupported_settings(request: Mapping[str, Any]) -> None:
    """Raise ApiError for a CreateTrail or UpdateTrail request that asks for something trails cannot do yet.

    Empty strings clear a setting (cloudtrail fact sheet 6.2), and there is nothing to clear: they pass.
    """
    for member, asked_for, code, reason in _SETTINGS:
        if member in request and asked_for(request[member]):
            raise ApiError(code, f"{member}: {reason} in this version.")


def _is_set(value: object) -> bool:
    return bool(value)


_SETTINGS = (
    (
        *("RecursiveLogging", _is_set, "UnsupportedOperationException"),
        "deliveries are never logged themselves, and that cannot be turned on",
    ),
)
