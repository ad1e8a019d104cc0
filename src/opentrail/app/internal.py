"""The InternalCalls port on the journal: what our services do by themselves, durable before they go on."""

from collections.abc import Callable
from dataclasses import dataclass

from opentrail.clock import Clock, Entropy
from opentrail.errors import JournalError
from opentrail.events.call import Call
from opentrail.events.internal_calls import Announced, InternalCall, call_of, outcome_of
from opentrail.events.record import ServiceEvent, service_event
from opentrail.gateway.exchange import Intended
from opentrail.gateway.recording import Recording
from opentrail.journal import Draft, Journal

EventRoutes = Callable[[ServiceEvent], tuple[str, ...]]
"""The trails that take a service event."""


class RecordedInternally:
    """Records internal calls and service events; the calling thread waits for the disk."""

    def __init__(
        self, journal: Journal, recording: Recording, clock: Clock, entropy: Entropy, routes: EventRoutes
    ) -> None:
        self._journal = journal
        self._recording = recording
        self._clock = clock
        self._entropy = entropy
        self._routes = routes

    def require(self) -> None:
        """Raise JournalError where nothing could be recorded now."""
        if self._journal.failure is not None:
            raise JournalError(self._journal.failure)

    def record(self, call: InternalCall, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        """Make the record of a call durable. Raises JournalError."""
        at = self._clock.now()
        made = call_of(call, request_id=self._entropy.uuid(), at=at)
        drafts = self._recording.drafts(made, outcome_of(call, at=at, error=error, bytes_in=bytes_in))
        if drafts:
            self._journal.append(drafts).result()

    def intend(self, call: InternalCall) -> Announced:
        """Make it durable that a change is about to be made. Raises JournalError."""
        made = call_of(call, request_id=self._entropy.uuid(), at=self._clock.now())
        intended = self._recording.intend_blocking(made, resources=call.resources)
        return _Change(self._recording, self._clock, call, made, intended)

    def happened(self, event: ServiceEvent) -> None:
        """Make a service event durable. Raises JournalError."""
        self._journal.append([self.draft(event)]).result()

    def draft(self, event: ServiceEvent) -> Draft:
        """A service event's record, for those who commit it together with what it tells of."""
        event_id = self._entropy.uuid()
        payload = service_event(event, event_id=event_id)
        partition = f"{event.account_id}/{event.region}"
        return Draft(event_id, int(event.occurred_at.timestamp()), partition, self._routes(event), payload)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a service's own that is under way."""

    recording: Recording
    clock: Clock
    internal: InternalCall
    call: Call
    intended: Intended

    def conclude(self, *, error: tuple[str, str] | None = None, bytes_in: int = 0) -> None:
        """Record how it ended. Raises JournalError: the next start then records that the outcome is unknown."""
        outcome = outcome_of(self.internal, at=self.clock.now(), error=error, bytes_in=bytes_in)
        self.recording.conclude_blocking(self.intended, self.call, outcome)
