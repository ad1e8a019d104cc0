"""CloudWatch Logs at an upstream, as CloudTrail calls it for trails (cloudtrail fact sheet 10)."""

from collections.abc import Sequence

from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.errors import OutboundError
from opentrail.events.internal_calls import InternalCall, InternalCalls
from opentrail.identity.principal import Principal
from opentrail.trails.bucket_access import CLOUDTRAIL
from opentrail.trails.log_groups import LogStream

_SERVICE = "logs"
_REJECTED = "rejectedLogEventsInfo"


class UpstreamLogGroups:
    """Calls the upstream that serves ``logs``, as the account that a stream is of.

    A stream that was made is recorded as CreateLogStream by the trail's role. Attempts that made nothing are not: a
    trail whose group is gone would deliver the record of every attempt, and attempt again.
    """

    def __init__(self, calls: UpstreamCalls, internal: InternalCalls) -> None:
        self._calls = calls
        self._internal = internal

    def is_served(self) -> bool:
        """Whether an upstream has log groups."""
        return self._calls.serves(_SERVICE)

    def create_stream(self, stream: LogStream, session: Principal) -> None:
        """Raises OutboundError with the service's code."""
        try:
            self._call("CreateLogStream", stream, {})
        except OutboundError as problem:
            if problem.code == "ResourceAlreadyExistsException":
                return
            raise
        made = InternalCall(
            service=CLOUDTRAIL.service,
            account_id=stream.account_id,
            region=stream.region,
            event_source="logs.amazonaws.com",
            event_name="CreateLogStream",
            parameters={"logGroupName": stream.group, "logStreamName": stream.name},
            on_behalf_of=session,
        )
        self._internal.record(made)

    def put(self, stream: LogStream, records: Sequence[bytes], at_ms: int) -> None:
        """Raises OutboundError with the service's code; RejectedLogEvents where it does not take the time for now."""
        events = [{"timestamp": at_ms, "message": record.decode()} for record in records]
        answer = self._call("PutLogEvents", stream, {"logEvents": events})
        if rejected := answer.get(_REJECTED):
            raise OutboundError("RejectedLogEvents", f"{stream.arn} refused events by their time: {rejected}")

    def _call(self, operation: str, stream: LogStream, more: dict[str, object]) -> dict[str, object]:
        parameters = {"logGroupName": stream.group, "logStreamName": stream.name, **more}
        return dict(self._calls.json(_SERVICE, operation, stream.account_id, stream.region, parameters))
