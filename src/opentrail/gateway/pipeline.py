"""The way of every request: identify, authenticate, parse, authorise, handle, record, reply. In this order, always.

Rules. Nothing is answered before its record is on disk. While the journal cannot take records, calls are refused before
they do anything. Whatever goes wrong inside is told to the caller as InternalFailure, and to us in the log.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from opentrail.aws.model import Catalogue
from opentrail.aws.protocols import refusal as refusal_reply
from opentrail.aws.protocols import speaking
from opentrail.errors import ApiError, JournalError
from opentrail.events.call import Call
from opentrail.gateway.admit import Admission, Claim, Dialect, Refusal
from opentrail.gateway.calls import UNKNOWN_NAME, name_of, parsed
from opentrail.gateway.dispatch import Dispatcher, Executed, Hosted, appending
from opentrail.gateway.entrance import Entrance
from opentrail.gateway.exchange import Caller, Incoming, Outgoing
from opentrail.gateway.recording import Recording
from opentrail.gateway.refusals import internal_failure, unavailable, unserved
from opentrail.gateway.route import Destination, destination, form_destination
from opentrail.gateway.service_door import ServiceDoor
from opentrail.gateway.upstreams import Upstreams

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Largest request to a service of ours; the largest legal one carries a 2 MiB certificate (opsworks-cm sheet 3)."""

_WORKERS = 32


class Door(Protocol):
    """A service whose requests and answers stream through us."""

    async def handle(self, incoming: Incoming, caller: Caller) -> Outgoing:
        """Carry out an authenticated (or anonymous) call."""

    async def refuse(self, incoming: Incoming, error: ApiError, caller: Caller | None) -> Outgoing:
        """Answer a refusal in the service's own form, recorded where an account owns the key."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline is put together from."""

    catalogue: Catalogue
    admission: Admission
    entrance: Entrance
    dispatcher: Dispatcher
    recording: Recording
    hosted: Mapping[str, Hosted]
    s3_door: Door
    upstreams: Upstreams
    service_door: ServiceDoor
    own_pages: Callable[[Incoming], Outgoing]
    appended: Callable[[int], None]
    journal_failure: Callable[[], str | None]


class Pipeline:
    """Handles requests, whatever server they came through."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._workers = ThreadPoolExecutor(_WORKERS, "call")

    def close(self) -> None:
        """Wait for calls under way."""
        self._workers.shutdown()

    async def handle(self, incoming: Incoming) -> Outgoing:
        """Answer one request."""
        parts = self._parts
        try:
            claim = parts.admission.claim(incoming.head, Dialect.JSON)
        except Refusal:
            claim = None  # told again below, in the right dialect
        to = destination(incoming.head, claim.authorization if claim else None, parts.catalogue)
        if to.kind == "own":
            return parts.own_pages(incoming)
        try:
            if claim is None:
                parts.admission.claim(incoming.head, to.dialect)  # raises
                raise internal_failure()
            if to.kind == "s3":
                return await self._through_door(incoming, claim)
            if self._is_behind(to):
                self._require_journal()
                return await parts.service_door.handle(incoming, to, claim)
            body = await read_whole(incoming)
            if to.service is None:
                to = form_destination(incoming.head, body, (hosted.service for hosted in parts.hosted.values()))
            return await self._to_service(incoming, to, claim, body)
        except ApiError as error:
            return await self._refused(incoming, to, error)
        except JournalError as problem:
            return await self._refused(incoming, to, unavailable(problem))
        except Exception:
            log.exception("a request failed", extra={"requestID": incoming.request_id})
            return await self._refused(incoming, to, internal_failure())

    def _is_behind(self, to: Destination) -> bool:
        """Whether an upstream has what is asked for. What we serve ourselves we serve alone, also where an upstream has
        a service of the same signing name (``iam-toolbox`` has IAM's).
        """
        parts = self._parts
        if any(service.name in parts.hosted for service in to.services):
            return False
        return any(parts.upstreams.find(service) for service in to.services)

    async def _through_door(self, incoming: Incoming, claim: Claim) -> Outgoing:
        self._require_journal()
        caller = self._parts.admission.admit(incoming.head, claim, None, Dialect.S3)
        return await self._parts.s3_door.handle(incoming, caller)

    async def _to_service(self, incoming: Incoming, to: Destination, claim: Claim, body: bytes) -> Outgoing:
        self._require_journal()
        service = to.service
        hosted = self._parts.hosted.get(service.name) if service is not None else None
        if hosted is not None:
            hosted = hosted.spoken(incoming.head)

        def name() -> str:
            return (
                UNKNOWN_NAME if service is None else name_of(service, speaking(service, incoming.head), incoming, body)
            )

        unsigned = claim.authorization is None and hosted is not None and name() in hosted.unsigned
        payload_hash = hashlib.sha256(body).hexdigest()
        _, call = await self._parts.entrance.enter(
            incoming, to, claim, name, payload_hash=payload_hash, unsigned=unsigned
        )
        if hosted is None:
            error = unserved(service)
            await self._parts.entrance.record_refusal(call, error)
            raise error
        loop = asyncio.get_running_loop()
        executed = await loop.run_in_executor(self._workers, self._execute, hosted, call, incoming, body)
        return await self._answer(executed)

    def _execute(self, hosted: Hosted, call: Call, incoming: Incoming, body: bytes) -> Executed:
        """On a worker thread: parse the body, then carry the call out."""
        dispatcher = self._parts.dispatcher
        try:
            name = hosted.wire.operation_name(hosted.service, incoming.head, body)
            operation = hosted.service.operation(name)
            parameters = hosted.wire.parse(operation, incoming.head, body)
        except ApiError as error:
            return dispatcher.refuse(hosted, call, error)
        except Exception:
            log.exception("a request could not be read", extra={"requestID": call.request_id})
            return dispatcher.refuse(hosted, call, internal_failure())
        return dispatcher.execute(hosted, parsed(call, operation, parameters))

    async def _answer(self, executed: Executed) -> Outgoing:
        """Reply once the evidence is on disk."""
        with appending(executed, self._parts.appended):
            await self._parts.recording.write(executed.drafts)
        reply = executed.reply
        return Outgoing(reply.status, reply.headers, reply.body)

    async def _refused(self, incoming: Incoming, to: Destination, error: ApiError) -> Outgoing:
        """A refusal before any handler; where it names a known key, it is recorded already or by the door."""
        try:
            if to.kind == "s3":
                owner = error.owner if isinstance(error, Refusal) else None
                return await self._parts.s3_door.refuse(incoming, error, Caller(owner) if owner else None)
        except JournalError as problem:
            error = unavailable(problem)
        reply = refusal_reply(error, incoming.request_id, to.service, incoming.head)
        return Outgoing(reply.status, reply.headers, reply.body)

    def _require_journal(self) -> None:
        reason = self._parts.journal_failure()
        if reason is not None:
            raise unavailable(JournalError(reason))


async def read_whole(incoming: Incoming) -> bytes:
    """A request's body, at most MAX_BODY_BYTES. Raises ApiError RequestEntityTooLarge."""
    too_large = ApiError(
        "RequestEntityTooLargeException", f"The request is larger than {MAX_BODY_BYTES} bytes", status=413
    )
    announced = incoming.head.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise too_large
    pieces, size = [], 0
    async for piece in incoming.body:
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)
