"""One call to a service behind us, and the event record that it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opentrail.aws.model import Operation, Service
from opentrail.aws.protocols import WireProtocol
from opentrail.clock import Clock
from opentrail.events.call import Call, Outcome
from opentrail.events.call_facts import additional_event_data
from opentrail.events.resource_arns import Place
from opentrail.events.unknown_outcome import OUTCOME_UNKNOWN, UNANSWERED
from opentrail.gateway.exchange import Incoming, Intended, Recorder
from opentrail.gateway.s3_bodies import Arrival, CheckedBody
from opentrail.gateway.upstreams import Behind


@dataclass(slots=True)
class ServiceExchange:
    """What is known of one call by now.

    ``service`` is the likeliest until it is settled, ``operation`` what is asked of it (None where that cannot be
    told), ``body`` is set where that is a stream; ``upstream`` is None where nobody has the service; ``call`` is None
    until its caller is proven; ``resources`` are in record form; ``notes`` go into additionalEventData; ``intended`` is
    set once the intent is on disk.
    """

    incoming: Incoming
    arrival: Arrival
    service: Service
    wire: WireProtocol
    upstream: Behind | None
    operation: Operation | None = None
    body: CheckedBody | None = None
    call: Call | None = None
    resources: tuple[Mapping[str, str], ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    intended: Intended | None = None
    recorded: bool = False

    @property
    def behind(self) -> Behind:
        """The upstream, once it is known that there is one."""
        assert self.upstream is not None
        return self.upstream

    @property
    def known_call(self) -> Call:
        """The call, once its caller is proven."""
        assert self.call is not None
        return self.call


class ServiceEvidence:
    """Makes event records of exchanges and hands them to the recorder."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    async def intend(self, exchange: ServiceExchange) -> None:
        """Make it durable that a change is about to be sent on. Raises JournalError: then it must not be."""
        call = exchange.known_call
        if not call.read_only and exchange.behind.intents:
            exchange.intended = await self._recorder.intend(call, resources=exchange.resources)

    async def answered(
        self, exchange: ServiceExchange, *, response: Mapping[str, Any] | None = None, request_id: str = ""
    ) -> None:
        """Record a call that succeeded; ``request_id`` is the upstream's, where it gave one. Raises JournalError."""
        if request_id:
            exchange.call = replace(exchange.known_call, request_id=request_id)
        call = exchange.known_call
        if call.operation is not None and response is not None:
            place = Place(call.account_id, call.region)
            exchange.notes |= additional_event_data(call.operation, call.parameters or {}, response, place)
        await self._write(exchange, response=response)

    async def failed(self, exchange: ServiceExchange, code: str, message: str, *, request_id: str = "") -> None:
        """Record a call that was refused, here or by the upstream; once. Raises JournalError."""
        if exchange.recorded or exchange.call is None:
            return
        if request_id:
            exchange.call = replace(exchange.call, request_id=request_id)
        await self._write(exchange, error=(code, message))

    async def unanswered(self, exchange: ServiceExchange) -> None:
        """Record a change that was sent on and not answered. Raises JournalError."""
        await self.failed(exchange, OUTCOME_UNKNOWN, UNANSWERED)

    async def _write(
        self,
        exchange: ServiceExchange,
        *,
        response: Mapping[str, Any] | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        call = exchange.known_call
        code, message = error or (None, None)
        outcome = Outcome(
            completed_at=self._clock.now(),
            response=response,
            error_code=code,
            error_message=message,
            additional_event_data=exchange.notes or None,
            resources=exchange.resources,
        )
        if exchange.intended is not None:
            await self._recorder.conclude(exchange.intended, call, outcome)
        else:
            await self._recorder.record(call, outcome)
        exchange.recorded = True
