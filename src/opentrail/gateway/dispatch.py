"""Carrying out a call to a service of ours: validate, authorise, handle, and prepare the evidence, on a worker thread.

A state change, its answer and its event records are made inside one unit of work: all of them exist, or none does.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Service
from opentrail.aws.protocols import WireProtocol, speaking
from opentrail.aws.validate import check
from opentrail.clock import Clock
from opentrail.errors import ApiError, JournalError
from opentrail.events.call import Call, Outcome
from opentrail.events.call_facts import describe
from opentrail.events.resource_arns import Place
from opentrail.gateway.recording import Recording
from opentrail.gateway.refusals import internal_failure
from opentrail.journal import outbox
from opentrail.journal.frames import Draft
from opentrail.journal.journal import Journal
from opentrail.services.answer import Answer, DeniedCaller
from opentrail.services.operation import Handler, handlers_of
from opentrail.state.database import Database, Unit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Executed:
    """A call that was carried out or refused: its answer, its evidence, and the outbox row that already holds it."""

    reply: Reply
    drafts: Sequence[Draft]
    outbox_row: int | None = None


@contextmanager
def appending(executed: Executed, appended: Callable[[int], None]) -> Iterator[None]:
    """The block appends a call's drafts to the journal; ``appended`` is told of an outbox row that is needed no more.

    Raises the block's JournalError where the evidence is nowhere on disk: otherwise it is safe in the outbox.
    """
    try:
        yield
    except JournalError:
        if executed.outbox_row is None:
            raise
        log.exception("the journal failed; the record is safe in the outbox")
    else:
        if executed.outbox_row is not None:
            appended(executed.outbox_row)


Throttle = Callable[[Call], None]
"""Counts a call; raises ApiError ThrottlingException where it is one too many."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A service of ours with its model, wire protocol and handlers."""

    service: Service
    wire: WireProtocol
    handlers: Mapping[str, Handler]
    unsupported: Mapping[str, str]
    open_to_all: frozenset[str]
    unsigned: frozenset[str] = frozenset()
    throttle: Throttle | None = None

    @classmethod
    def of(
        cls,
        service: Service,
        wire: WireProtocol,
        implementation: object,
        unsupported: Mapping[str, str],
        *,
        open_to_all: frozenset[str] = frozenset(),
        unsigned: frozenset[str] = frozenset(),
        throttle: Throttle | None = None,
    ) -> "Hosted":
        """Join a model with the object whose decorated methods answer it.

        ``unsupported``: operations that are refused, with the reason; ``open_to_all``: those that need no permission,
        or whose handler asks for it itself; ``unsigned``: those that may come without a signature; ``throttle`` is
        asked before anything else is done.
        """
        handlers = handlers_of(implementation)
        return cls(service, wire, handlers, unsupported, open_to_all | unsigned, unsigned, throttle)

    def spoken(self, head: RequestHead) -> "Hosted":
        """The same service in the protocol that a request speaks, where its model has several."""
        return replace(self, wire=speaking(self.service, head)) if len(self.service.protocols) > 1 else self

    def joined_by(self, implementation: object) -> "Hosted":
        """The same service with a further object's operations. Raises ValueError where it has one of them already."""
        further = handlers_of(implementation)
        twice = further.keys() & self.handlers.keys()
        if twice:
            raise ValueError(f"two handlers for {', '.join(sorted(twice))} of {self.service.name}")
        return replace(self, handlers={**self.handlers, **further})


Authorise = Callable[[Call], None]
"""Raises ApiError where the caller may not do what it asks for."""

NewRoutes = Callable[[Unit, Call], tuple[str, ...]]
"""The trails that will take a call's record once a unit is committed."""


class Dispatcher:
    """Executes calls to hosted services."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        recording: Recording,
        clock: Clock,
        *,
        authorise: Authorise,
        drain: outbox.OutboxDrain,
        new_routes: NewRoutes,
    ) -> None:
        self._database = database
        self._journal = journal
        self._recording = recording
        self._clock = clock
        self._authorise = authorise
        self._drain = drain
        self._new_routes = new_routes

    def execute(self, hosted: Hosted, call: Call) -> Executed:
        """Carry out one authenticated, parsed call. Never raises for what a caller did; bugs answer InternalFailure."""
        try:
            handler = self._admitted(hosted, call)
            if handler.writes:
                return self._write(hosted, call, handler)
            result = handler.method(call, call.parameters)
            return self._done(hosted, call, result)
        except DeniedCaller as denied:
            known = replace(call, principal=denied.caller, account_id=denied.caller.account_id)
            return self.refuse(hosted, known, denied)
        except ApiError as error:
            return self.refuse(hosted, call, error)
        except Exception:
            log.exception("%s:%s failed", call.event_source, call.event_name, extra={"requestID": call.request_id})
            return self.refuse(hosted, call, internal_failure())

    def refuse(self, hosted: Hosted, call: Call, error: ApiError) -> Executed:
        """A refusal, with its evidence."""
        outcome = Outcome(
            completed_at=self._clock.now(),
            error_code=error.code,
            error_message=error.message,
            resources=_data_resources(call),
        )
        reply = hosted.wire.serialise_error(hosted.service, error, call.request_id)
        return Executed(reply, self._recording.drafts(call, outcome))

    def _admitted(self, hosted: Hosted, call: Call) -> Handler:
        name = call.event_name
        handler = hosted.handlers.get(name)
        if call.operation is None or call.parameters is None:
            raise internal_failure()
        if hosted.throttle is not None:
            hosted.throttle(call)
        code = "ValidationError" if hosted.service.protocol == "query" else "ValidationException"
        check(call.operation, call.parameters, error_code=code)
        if name not in hosted.open_to_all:
            self._authorise(call)
        if handler is None:
            reason = hosted.unsupported.get(name, "it is not served")
            raise ApiError("UnsupportedOperationException", f"OpenTrail does not support {name}: {reason}")
        return handler

    def _write(self, hosted: Hosted, call: Call, handler: Handler) -> Executed:
        with self._database.unit() as unit:
            result = handler.method(call, call.parameters, unit)
            done = self._done(hosted, call, result, routes=self._new_routes(unit, call))
            self._drain.sweep(unit)
            row = outbox.add(unit, done.drafts, self._journal.next_sequence)
        return Executed(done.reply, done.drafts, row)

    def _done(self, hosted: Hosted, call: Call, result: Mapping[str, Any], *, routes: tuple[str, ...] = ()) -> Executed:
        if call.operation is None:
            raise internal_failure()
        answer = result if isinstance(result, Answer) else Answer(result)
        reply = hosted.wire.serialise(call.operation, answer.response, call.request_id)
        outcome = Outcome(
            completed_at=self._clock.now(),
            response=answer.response,
            additional_event_data=answer.additional_event_data,
            resources=answer.resources or _data_resources(call),
        )
        if answer.region is not None:
            call = replace(call, region=answer.region)
        if answer.caller is not None:
            call = replace(call, principal=answer.caller, account_id=answer.caller.account_id)
        drafts = self._recording.drafts(call, outcome, also_for=answer.also_for, routes=routes)
        return Executed(reply, drafts)


def _data_resources(call: Call) -> tuple[Mapping[str, str], ...]:
    """What a data event is about, by which selectors choose it; nothing for other calls."""
    if call.management_event or call.operation is None:
        return ()
    return describe(call.operation, call.parameters, Place(call.account_id, call.region)).resources
