"""The way of every request: identify, authenticate, parse, authorise, handle, record, reply. In this order, always.

Rules. Nothing is answered before its record is on disk. While the journal cannot take records, calls are refused before
they do anything. Whatever goes wrong inside is told to the caller as InternalFailure, and to us in the log.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from opentrail.aws.model import Catalogue, Operation, Service
from opentrail.aws.protocols import protocol_of
from opentrail.aws.protocols import refusal as refusal_reply
from opentrail.clock import Clock
from opentrail.errors import ApiError, JournalError
from opentrail.events.call import Call, Outcome
from opentrail.events.classify import is_read_only
from opentrail.gateway.admit import Admission, Claim, Dialect, Refusal, refused
from opentrail.gateway.dispatch import Dispatcher, Executed, Hosted, internal_failure
from opentrail.gateway.exchange import Caller, Incoming, Outgoing
from opentrail.gateway.recording import Recording
from opentrail.gateway.route import Destination, destination, form_destination
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.trails.routing import GLOBAL_EVENT_SOURCES, GLOBAL_SERVICE_REGION

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Largest request to a service of ours; the largest legal one carries a 2 MiB certificate (opsworks-cm sheet 3)."""

_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]{1,128})(?:&|$)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")
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
    dispatcher: Dispatcher
    recording: Recording
    hosted: Mapping[str, Hosted]
    s3_door: Door
    own_pages: Callable[[Incoming], Outgoing]
    appended: Callable[[int], None]
    journal_failure: Callable[[], str | None]
    clock: Clock
    region: str


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

    async def _through_door(self, incoming: Incoming, claim: Claim) -> Outgoing:
        self._require_journal()
        caller = self._parts.admission.admit(incoming.head, claim, None, Dialect.S3)
        return await self._parts.s3_door.handle(incoming, caller)

    async def _to_service(self, incoming: Incoming, to: Destination, claim: Claim, body: bytes) -> Outgoing:
        self._require_journal()
        service = to.service
        hosted = self._parts.hosted.get(service.name) if service is not None else None
        unsigned = False
        if claim.authorization is None and hosted is not None and hosted.unsigned:
            unsigned = self._name_of(hosted.service, incoming, body) in hosted.unsigned
        payload_hash = hashlib.sha256(body).hexdigest()
        try:
            caller = self._parts.admission.admit(incoming.head, claim, payload_hash, to.dialect, unsigned=unsigned)
        except Refusal as refusal:
            if service is not None and refusal.owner is not None:
                name = self._name_of(service, incoming, body)
                await self._record_refusal(self._call(incoming, service, refusal.owner, claim, name), refusal)
            raise
        if service is None:
            raise ApiError(
                "UnknownService", f"No AWS service is meant by this request to {incoming.head.host!r}", status=400
            )
        name = self._name_of(service, incoming, body)
        call = self._call(incoming, service, caller.principal, claim, name)
        if claim.authorization is not None and claim.authorization.scope.service != service.signing_name:
            message = f"Credential should be scoped to correct service: '{service.signing_name}'."
            misdirected = refused("mismatch", to.dialect, message)
            await self._record_refusal(call, misdirected)
            raise misdirected
        if hosted is None:
            error = ApiError(
                "UnsupportedOperationException", f"OpenTrail does not serve {service.service_id}", status=501
            )
            reply = refusal_reply(error, call.request_id, service)
            return await self._answer(Executed(reply, self._refusal_drafts(call, error)))
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
        try:
            await self._parts.recording.write(executed.drafts)
        except JournalError:
            if executed.outbox_row is None:
                raise
            log.exception("the journal failed; the record is safe in the outbox")
        else:
            if executed.outbox_row is not None:
                self._parts.appended(executed.outbox_row)
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
        reply = refusal_reply(error, incoming.request_id, to.service)
        return Outgoing(reply.status, reply.headers, reply.body)

    async def _record_refusal(self, call: Call, error: ApiError) -> None:
        await self._parts.recording.write(self._refusal_drafts(call, error))

    def _refusal_drafts(self, call: Call, error: ApiError) -> list[Any]:
        outcome = Outcome(completed_at=self._parts.clock.now(), error_code=error.code, error_message=error.message)
        return list(self._parts.recording.drafts(call, outcome))

    def _require_journal(self) -> None:
        reason = self._parts.journal_failure()
        if reason is not None:
            raise unavailable(JournalError(reason))

    def _name_of(self, service: Service, incoming: Incoming, body: bytes) -> str:
        """The operation's name as far as it can be told; ``Unknown`` rather than a caller's arbitrary text."""
        try:
            name = protocol_of(service).operation_name(service, incoming.head, body)
        except ApiError:
            found = _ACTION.search(body[:8192]) if service.protocol in {"query", "ec2"} else None
            name = found[1].decode() if found else ""
        return name if _NAME.fullmatch(name) else "Unknown"

    def _call(self, incoming: Incoming, service: Service, who: Principal, claim: Claim, name: str) -> Call:
        head = incoming.head
        proved = claim.authorization is not None and who.type is not PrincipalType.UNKNOWN
        region = claim.authorization.scope.region if claim.authorization and proved else self._parts.region
        if service.event_source in GLOBAL_EVENT_SOURCES:
            region = GLOBAL_SERVICE_REGION
        return Call(
            request_id=incoming.request_id,
            received_at=incoming.received_at,
            account_id=who.account_id,
            region=region,
            principal=who,
            event_source=service.event_source,
            event_name=name,
            read_only=is_read_only(service.event_source, name),
            source_ip=head.peer,
            user_agent=head.headers.get("user-agent", ""),
            host=head.host,
            tls=head.tls,
        )


def parsed(call: Call, operation: Operation, parameters: Mapping[str, Any]) -> Call:
    """A call, now that its operation and parameters are known."""
    return replace(call, event_name=operation.name, operation=operation, parameters=parameters)


def unavailable(problem: JournalError) -> ApiError:
    """Without evidence, no effect: the refusal while the journal cannot be written."""
    log.error("refusing a call: %s", problem)
    return ApiError(
        "ServiceUnavailable", "Calls are refused because they cannot be recorded at the moment.", status=503
    )


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
