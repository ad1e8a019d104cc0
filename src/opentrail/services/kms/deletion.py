"""Deleting keys: never at once, and to be cancelled until it is done."""

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.key import DEFAULT_WINDOW_DAYS, KeyState
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import Parts, Request, about, require_customers
from opentrail.services.operation import operation
from opentrail.state.database import Unit

_MIN_DAYS, _MAX_DAYS = 7, 30


class DeletionOperations:
    """Operations on deletion."""

    parts: Parts

    @operation("ScheduleKeyDeletion", writes=True)
    def schedule_key_deletion(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Delete a key after a waiting period."""
        days = request.get("PendingWindowInDays", DEFAULT_WINDOW_DAYS)
        if not _MIN_DAYS <= days <= _MAX_DAYS:
            raise ApiError("ValidationException", f"PendingWindowInDays must be between {_MIN_DAYS} and {_MAX_DAYS}")
        more = {"kms:schedulekeydeletionpendingwindowindays": (str(days),)}
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit), more=more)
        pending = key.deleted_in(days, self.parts.clock.now())
        self.parts.keys.put(unit, pending)
        response = {
            "KeyId": pending.arn,
            "DeletionDate": pending.deletion_at,
            "KeyState": pending.state.value,
            "PendingWindowInDays": days,
        }
        return about(pending, response)

    @operation("CancelKeyDeletion", writes=True)
    def cancel_key_deletion(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Keep a key after all; it is disabled."""
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.within(unit))
        require_customers(key, call)
        if key.state is not KeyState.PENDING_DELETION:
            raise ApiError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
        self.parts.keys.put(unit, key.deletion_cancelled())
        return about(key, {"KeyId": key.arn})
