"""The door to services behind us: whatever speaks AWS is decoded, authorised, recorded and passed on.

Rules. The order is always the same: who calls, what is asked, whether it is allowed, the intent of a change, the
upstream, the record, the answer. The bytes of a request and of an answer pass as they are, except for the addresses in
them (``addresses``). An answer that a record shows something of is here, whole, before the record is made; a stream
is recorded before its first byte leaves. A change that was sent on is brought to its end although nobody waits for it,
and where its outcome cannot be recorded, the connection is cut. What no model describes is refused or passed on, as the
upstream is configured, and recorded either way.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace

from opentrail.aws.protocols import speaking
from opentrail.clock import Clock
from opentrail.errors import ApiError, JournalError, OutboundError
from opentrail.gateway.admit import Claim
from opentrail.gateway.authorise import Directory
from opentrail.gateway.calls import name_of
from opentrail.gateway.entrance import Entrance
from opentrail.gateway.exchange import CUT, Caller, Incoming, Outgoing, Recorder
from opentrail.gateway.refusals import internal_failure, unavailable, unserved
from opentrail.gateway.route import Destination, is_form
from opentrail.gateway.s3_bodies import Arrival, ClientLeft, checked_body, is_connection_fit, upload_payload
from opentrail.gateway.service_answers import Answers
from opentrail.gateway.service_evidence import ServiceEvidence, ServiceExchange
from opentrail.gateway.service_requests import Decoder, forwarded_body, permit, signed_hash, streams_in
from opentrail.gateway.spool import Spool, Spooling
from opentrail.gateway.undisturbed import Undisturbed
from opentrail.gateway.upstream import NoAnswer, Payload, Target
from opentrail.gateway.upstreams import Upstreams

log = logging.getLogger(__name__)


class ServiceDoor:
    """Every service behind us, behind one method."""

    def __init__(
        self,
        upstreams: Upstreams,
        entrance: Entrance,
        recorder: Recorder,
        clock: Clock,
        *,
        spooling: Spooling,
        directory: Directory,
        open_account_id: str,
    ) -> None:
        """``open_account_id``: the account in which calls are recorded that take no signature."""
        self._open_account_id = open_account_id
        self._upstreams = upstreams
        self._entrance = entrance
        self._directory = directory
        self._spooling = spooling
        self._evidence = ServiceEvidence(recorder, clock)
        self._answers = Answers(self._evidence)
        self._decoder = Decoder()
        self._undisturbed = Undisturbed()

    async def handle(self, incoming: Incoming, to: Destination, claim: Claim) -> Outgoing:
        """Carry out one call; answers errors too, and records both where a caller is known."""
        service = to.services[0]
        wire = speaking(service, incoming.head)
        exchange = ServiceExchange(incoming, Arrival(incoming.body), service, wire, self._upstreams.find(service))
        outgoing = await self._guarded(exchange, self._carried_out(exchange, to, claim))
        if outgoing is not CUT and not await is_connection_fit(incoming.head.headers, exchange.arrival, started=True):
            return replace(outgoing, headers={**outgoing.headers, "connection": "close"})
        return outgoing

    async def settle(self, limit_s: float) -> bool:
        """Wait until every change that was sent on has its record, at most so long; whether all have."""
        return await self._undisturbed.settle(limit_s)

    async def _carried_out(self, exchange: ServiceExchange, to: Destination, claim: Claim) -> Outgoing:
        head = exchange.incoming.head
        if not is_form(head):
            await self._decoder.settle(exchange, to.services, b"")
            if streams_in(exchange):
                return await self._streamed(exchange, to, claim)
        async with AsyncExitStack() as kept:
            spool = await kept.enter_async_context(self._spooling.taken(head.headers, exchange.arrival))
            body = await _whole(spool)
            if is_form(head):
                await self._decoder.settle(exchange, to.services, body)
            exchange.upstream = self._upstreams.find(exchange.service)
            await self._enter(exchange, to, claim, body, signed_hash(exchange, spool))
            await self._decoder.decode(exchange, body)
            permit(exchange, self._directory)
            payload, headers = forwarded_body(exchange, spool)
            if exchange.known_call.read_only:
                return await self._forward(exchange, payload, headers)
            await self._evidence.intend(exchange)
            return await self._undisturbed.run(self._changed(exchange, payload, headers, kept.pop_all()))

    async def _enter(
        self, exchange: ServiceExchange, to: Destination, claim: Claim, body: bytes, payload_hash: str | None
    ) -> Caller:
        """Prove the caller, and that there is somebody to send his call to. Raises ApiError."""
        operation = exchange.operation

        def name() -> str:
            return operation.name if operation else name_of(exchange.service, exchange.wire, exchange.incoming, body)

        meant = replace(to, services=(exchange.service,))
        unsigned = claim.authorization is None and operation is not None and operation.open_to_all
        caller, call = await self._entrance.enter(
            exchange.incoming, meant, claim, name, payload_hash=payload_hash, unsigned=unsigned
        )
        exchange.call = replace(call, account_id=self._open_account_id) if unsigned else call
        if exchange.upstream is None:
            raise unserved(exchange.service)
        return caller

    async def _changed(
        self, exchange: ServiceExchange, payload: Payload, headers: dict[str, str], kept: AsyncExitStack
    ) -> Outgoing:
        """Send a change on, whose body is kept until that is done."""
        async with kept:
            return await self._guarded(exchange, self._forward(exchange, payload, headers))

    async def _streamed(self, exchange: ServiceExchange, to: Destination, claim: Claim) -> Outgoing:
        """A request whose body is data: it passes through, and only its size is recorded."""
        incoming = exchange.incoming
        exchange.upstream = self._upstreams.find(exchange.service)
        caller = await self._enter(exchange, to, claim, b"", None)
        await self._decoder.decode(exchange, b"")
        permit(exchange, self._directory)
        body = exchange.body = checked_body(incoming.head, exchange.arrival, caller, needs_length=True)
        exchange.notes["bytesTransferredIn"] = body.framing.payload_bytes
        payload, added = await upload_payload(body)
        payload = replace(payload, form=_declared(caller, payload))
        await self._evidence.intend(exchange)
        work = self._forward(exchange, payload, {**incoming.head.headers, **added})
        return await self._undisturbed.run(self._guarded(exchange, work))

    async def _forward(self, exchange: ServiceExchange, payload: Payload, headers: dict[str, str]) -> Outgoing:
        head, call = exchange.incoming.head, exchange.known_call
        target = Target(exchange.service.signing_name, call.region, call.account_id)
        try:
            answer = await exchange.behind.upstream.send(
                head.method, head.path, head.query, headers, payload, target=target
            )
        except OutboundError:
            if exchange.body is not None and exchange.body.problem is not None:
                raise exchange.body.problem from None  # we broke the request ourselves
            raise
        try:
            return await self._answers.passed_on(exchange, answer)
        except BaseException:
            answer.close()
            raise

    async def _guarded(self, exchange: ServiceExchange, work: Awaitable[Outgoing]) -> Outgoing:
        """Whatever goes wrong becomes an answer in the caller's protocol, and a record."""
        try:
            return await work
        except ApiError as error:
            return await self._refused(exchange, error)
        except ClientLeft:
            return await self._refused(exchange, ApiError("RequestAbortedException", "The client left.", status=400))
        except OutboundError as problem:
            return await self._unreached(exchange, problem)
        except JournalError as problem:
            return self._unrecordable(exchange, problem)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a call failed", extra={"requestID": exchange.incoming.request_id})
            return await self._refused(exchange, internal_failure())

    async def _unreached(self, exchange: ServiceExchange, problem: OutboundError) -> Outgoing:
        name = exchange.behind.name
        log.warning("upstream %s failed: %s", name, problem, extra={"requestID": exchange.incoming.request_id})
        call = exchange.call
        if call is not None and not call.read_only and isinstance(problem, NoAnswer) and problem.may_have_acted:
            try:
                await self._evidence.unanswered(exchange)
            except JournalError as broken:
                return self._unrecordable(exchange, broken)
        message = "The server that this service runs on cannot be reached. Try again."
        return await self._refused(exchange, ApiError("ServiceUnavailable", message, status=503))

    async def _refused(self, exchange: ServiceExchange, error: ApiError) -> Outgoing:
        try:
            await self._evidence.failed(exchange, error.code, error.message)
        except JournalError as problem:
            return self._unrecordable(exchange, problem)
        return _error(exchange, error)

    def _unrecordable(self, exchange: ServiceExchange, problem: JournalError) -> Outgoing:
        if exchange.intended is not None:  # it may have had its effect: no status would be true
            log.error("a call is cut: its outcome cannot be recorded: %s", problem)
            return CUT
        return _error(exchange, unavailable(problem))


def _error(exchange: ServiceExchange, error: ApiError) -> Outgoing:
    reply = exchange.wire.serialise_error(exchange.service, error, exchange.incoming.request_id)
    return Outgoing(reply.status, reply.headers, reply.body)


async def _whole(spool: Spool) -> bytes:
    return spool.whole() if spool.is_small else await asyncio.to_thread(spool.whole)


def _declared(caller: Caller, payload: Payload) -> str:
    """What the upstream is told of a stream's hash: what the caller signed, which has been or will be checked."""
    form = caller.authorization.payload_hash if caller.authorization else None
    return form if form and len(form) == 64 else payload.form
