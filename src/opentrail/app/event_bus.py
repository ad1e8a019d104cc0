"""EventBridge at an upstream: accounts' default buses, as CloudTrail tells them (cloudtrail fact sheet 10)."""

from collections.abc import Sequence

from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.delivery.bus_entries import Entry
from opentrail.errors import OutboundError

_FINAL = frozenset(
    {
        *("NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "InvalidArgument"),
        *("InvalidAccountIdException", "MalformedDetail", "RedactionFailure"),
    }
)
"""What is said of an entry that will never be taken (EventBridge API reference, PutEventsResultEntry)."""


class UpstreamEventBus:
    """Calls the upstream that serves ``events``, as the account whose bus it is. No record is left: a record of each
    call would be one more to tell.
    """

    def __init__(self, calls: UpstreamCalls) -> None:
        self._calls = calls

    def put(self, account_id: str, region: str, entries: Sequence[Entry]) -> Sequence[str]:
        """Raises OutboundError with the service's code, also that of the first entry which can be tried again."""
        parameters = {"Entries": [entry.parameters() for entry in entries]}
        answer = self._calls.json("events", "PutEvents", account_id, region, parameters)
        results = answer.get("Entries")
        if (
            not isinstance(results, list)
            or len(results) != len(entries)
            or not all(isinstance(result, dict) for result in results)
        ):
            raise OutboundError("UnreadableAnswer", "PutEvents was answered with something else")
        refused = {str(result["ErrorCode"]): result for result in results if result.get("ErrorCode")}
        for code in refused.keys() - _FINAL:
            raise OutboundError(code, str(refused[code].get("ErrorMessage", "")))
        return [str(result["ErrorCode"]) for result in results if result.get("ErrorCode")]
