"""Who runs this OpenTrail: the principals of one account, and nobody else whatever his policies say."""

from opentrail.errors import ApiError
from opentrail.events.call import Call


def operators_only(call: Call, operator_account_id: str) -> None:
    """Raise ApiError AccessDeniedException for callers of any other account."""
    if call.principal.account_id != operator_account_id:
        raise ApiError(
            "AccessDeniedException",
            f"User: {call.principal.arn} is not authorized to perform: opentrail:{call.event_name}: "
            f"only account {operator_account_id}, which runs this OpenTrail, may",
        )
