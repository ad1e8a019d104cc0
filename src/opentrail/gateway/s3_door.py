"""The S3 door: authorises S3 calls, checks and streams their bodies to the server behind, and records every one.

Rules. The order is always the same: what is asked, whose bucket it is, whether it is allowed, then the body, the
upstream, the record, the answer. Uploads are recorded when the upstream has answered, downloads before their first
byte leaves. What cannot be recorded is not answered with anything but 503. Callers see our request ids and our
errors; the upstream sees neither callers' credentials nor requests that have not been allowed.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from opentrail.aws.http import Reply
from opentrail.aws.protocols.s3_errors import (
    MAX_ERROR_BYTES,
    ErrorText,
    error_by_status,
    error_reply,
    read_error,
    s3_error,
)
from opentrail.clock import Clock, Entropy
from opentrail.errors import ApiError, JournalError, OutboundError
from opentrail.events.s3 import copy_source, identify, locate
from opentrail.events.s3_documents import body_parameters
from opentrail.events.unknown_outcome import OUTCOME_UNKNOWN, UNANSWERED
from opentrail.gateway.exchange import CUT, Caller, Incoming, Outgoing, Recorder
from opentrail.gateway.s3_access import needs, refusal, request_context
from opentrail.gateway.s3_address import check_acl, check_address, check_key, check_versioning
from opentrail.gateway.s3_bodies import (
    MAX_DOCUMENT_BYTES,
    Arrival,
    ClientLeft,
    checked_body,
    is_connection_fit,
    upload_payload,
)
from opentrail.gateway.s3_evidence import Evidence, Exchange
from opentrail.gateway.s3_forwarded import plain_headers, source_text, without_digests
from opentrail.gateway.s3_keys import CONTEXT, ObjectKeys, refuse_kms_by_default
from opentrail.gateway.s3_lifecycle import LifecycleOperations
from opentrail.gateway.s3_markup import read_deletion
from opentrail.gateway.s3_own import BucketState, OwnOperations
from opentrail.gateway.undisturbed import Undisturbed
from opentrail.gateway.upstream import NOTHING, NoAnswer, Payload, Upstream, UpstreamAnswer
from opentrail.identity.authorization import PolicySet
from opentrail.identity.buckets import Buckets
from opentrail.identity.context import Values
from opentrail.identity.principal import ANONYMOUS, Principal
from opentrail.state.database import Database

log = logging.getLogger(__name__)

_UPLOADS = frozenset({"PutObject", "UploadPart"})
_WITHOUT_BUCKET = frozenset({"ListBuckets", "CreateBucket"})
_OPERATORS_FAULT = frozenset({"SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"})
_OURS = frozenset({"server", "date", "x-amz-request-id", "x-amz-id-2", "connection"})


@dataclass(frozen=True, slots=True)
class _Request:
    """What goes to the upstream."""

    headers: Mapping[str, str]
    body: Payload = NOTHING


class Callers(Protocol):
    """What is known of callers: ``identity.directory.Directory``, as far as it matters here."""

    def policies_of(self, principal: Principal) -> PolicySet:
        """A caller's own policies, compiled."""

    def context_of(self, principal: Principal) -> Values:
        """The condition keys that follow from who calls."""


class S3Door:
    """Everything S3, behind one method."""

    def __init__(
        self,
        upstream: Upstream,
        buckets: Buckets,
        database: Database,
        recorder: Recorder,
        clock: Clock,
        entropy: Entropy,
        *,
        directory: Callers,
        region: str,
        default_owner: str | None = None,
        base_hosts: tuple[str, ...] = (),
        not_served: frozenset[str] = frozenset(),
        intents: bool = True,
        keys: ObjectKeys | None = None,
        keeps_lifecycles: bool = False,
    ) -> None:
        """``default_owner`` is the account that buckets belong to which were not created through us; ``base_hosts`` are
        the host names in front of which virtual-host style addresses put the bucket; ``intents``: whether changes leave
        one before they are sent on; ``keys``: the KMS that the upstream encrypts with, where it is ours;
        ``keeps_lifecycles``: whether lifecycle configurations are kept here instead of there.
        """
        self._upstream = upstream
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._base_hosts = base_hosts
        self._not_served = not_served
        self._evidence = Evidence(recorder, clock, region, intents=intents)
        self._keys = keys
        self._undisturbed = Undisturbed()
        self._own = OwnOperations(
            BucketState(buckets, database, upstream, clock, region, default_owner), self._evidence
        )
        lifecycles = LifecycleOperations(self._own, buckets, entropy)
        self._handlers = {**self._own.handlers, **(lifecycles.handlers if keeps_lifecycles else {})}

    def reconfigure(self, *, intents: bool) -> None:
        """Leave intents, or none, from now on."""
        self._evidence.intents = intents

    async def adopt_existing(self) -> int:
        """Give the upstream's ownerless buckets to the default owner; for the start. Raises OutboundError."""
        return await self._own.adopt_existing()

    async def handle(self, incoming: Incoming, caller: Caller) -> Outgoing:
        """Carry out one call of an authenticated (or anonymous) caller; answers errors too, and records both."""
        exchange = self._exchange(incoming, caller)
        work = self._handled(exchange)
        outgoing = await (work if exchange.call.read_only else self._undisturbed.run(work))
        return await _settled(exchange, outgoing)

    async def settle(self, limit_s: float) -> bool:
        """Wait until every change that was sent on has its record, at most so long; whether all have."""
        return await self._undisturbed.settle(limit_s)

    async def _handled(self, exchange: Exchange) -> Outgoing:
        request_id = exchange.incoming.request_id
        try:
            return await self._carry_out(exchange)
        except ApiError as error:
            return await self._refused(exchange, error)
        except ClientLeft:
            return await self._refused(exchange, s3_error("IncompleteBody"))
        except OutboundError as problem:
            log.warning("the S3 upstream failed: %s", problem, extra={"requestID": request_id})
            return await self._refused(exchange, s3_error("ServiceUnavailable"), _unknown(exchange, problem))
        except JournalError as problem:
            return self._unrecordable(exchange, problem)
        except asyncio.CancelledError:
            if exchange.intended is None:  # what was sent on may have had its effect: its intent stands for it
                await asyncio.shield(self._refused(exchange, s3_error("IncompleteBody")))
            raise
        except Exception:
            log.exception("an S3 call failed", extra={"requestID": request_id})
            return await self._refused(exchange, s3_error("InternalError"))

    async def refuse(self, incoming: Incoming, error: ApiError, caller: Caller | None) -> Outgoing:
        """Answer a refusal that was decided before the door, in S3's form; recorded where an account owns the key."""
        exchange = self._exchange(incoming, caller or Caller(ANONYMOUS))
        exchange.recorded = caller is None
        return await _settled(exchange, await self._refused(exchange, error))

    def _exchange(self, incoming: Incoming, caller: Caller) -> Exchange:
        head = incoming.head
        location = locate(head.host, head.path, self._base_hosts)
        call = identify(head.method, location, head.query, head.headers)
        host_id = base64.b64encode(self._entropy.token(48)).decode()
        return Exchange(
            incoming,
            Arrival(incoming.body),
            caller,
            call,
            location,
            copy_source(head.headers),
            host_id,
            policies=self._directory.policies_of(caller.principal),
            told=self._directory.context_of(caller.principal),
        )

    async def _carry_out(self, exchange: Exchange) -> Outgoing:
        call, head = exchange.call, exchange.incoming.head
        check_address(call, head.query, head.headers, exchange.source)
        if call.operation in self._not_served:
            raise ApiError("NotImplemented", f"The S3 server behind OpenTrail has no {call.operation}.", status=501)
        check_acl(call, head.headers)
        upload = call.operation in _UPLOADS
        if call.operation not in _WITHOUT_BUCKET:
            await self._find_buckets(exchange)
            if call.operation != "DeleteObjects":  # that one is decided key by key, once its body is here
                self._authorise(exchange)
            if self._keys is not None:
                exchange.encryption = await self._keys.for_request(exchange)
        exchange.body = checked_body(head, exchange.arrival, exchange.caller, needs_length=upload)
        if handler := self._handlers.get(call.operation):
            if head.method in ("GET", "DELETE"):
                await exchange.body.whole(0)
            return self._answer(exchange, await handler(exchange))
        request = await self._upload(exchange) if upload else await self._document(exchange)
        return await self._forward(exchange, request)

    async def _find_buckets(self, exchange: Exchange) -> None:
        call, headers = exchange.call, exchange.incoming.head.headers
        exchange.bucket = await self._own.find(call.bucket)
        if exchange.bucket is None:
            raise s3_error("NoSuchBucket")
        if exchange.source is not None:
            exchange.source_bucket = await self._own.find(exchange.source.bucket)
            if exchange.source_bucket is None:
                raise s3_error("NoSuchBucket")
        # SeaweedFS ignores these two headers (measured), and its owner is not the bucket's anyway.
        _expect_owner(headers.get("x-amz-expected-bucket-owner"), exchange.bucket.account_id)
        if exchange.source_bucket is not None:
            _expect_owner(headers.get("x-amz-source-expected-bucket-owner"), exchange.source_bucket.account_id)

    def _authorise(self, exchange: Exchange, deleted: tuple[tuple[str, str], ...] = ()) -> None:
        """Raise ApiError for the first permission that is missing."""
        head = exchange.incoming.head
        context = request_context(head, exchange.caller, exchange.call, self._clock.now(), exchange.told)
        for need in needs(exchange.call, exchange.source, head.headers, deleted):
            bucket = exchange.bucket if need.bucket == exchange.call.bucket else exchange.source_bucket
            if bucket is None:
                raise s3_error("NoSuchBucket")
            error = refusal(exchange.caller.principal, bucket, need, context, exchange.policies)
            if error is not None:
                raise error

    async def _upload(self, exchange: Exchange) -> _Request:
        if exchange.body is None:
            raise s3_error("InternalError")
        payload, added = await upload_payload(exchange.body)
        return _Request({**plain_headers(exchange.incoming.head.headers), **added, **exchange.encryption}, payload)

    async def _document(self, exchange: Exchange) -> _Request:
        """Requests without a body to stream: the document, if any, is read whole and checked."""
        head = exchange.incoming.head
        data = await exchange.body.whole(MAX_DOCUMENT_BYTES) if exchange.body else b""
        headers = plain_headers(head.headers)
        exchange.body_parameters = body_parameters(exchange.call, data)
        if exchange.call.operation == "DeleteObjects":
            deletion = read_deletion(data)
            exchange.body_parameters = deletion.to_record()
            for key, _ in deletion.objects:
                check_key(key)
            self._authorise(exchange, deletion.objects)
            data = deletion.to_xml()
            # The checksums were of the document as it came; it goes on as we wrote it.
            headers = without_digests(headers)
        if exchange.source is not None:
            headers["x-amz-copy-source"] = source_text(exchange.source)
        if self._keys is not None and exchange.call.operation == "PutBucketEncryption":
            refuse_kms_by_default(exchange.body_parameters)
        if self._keys is not None and exchange.call.operation == "PutBucketVersioning":
            check_versioning(exchange.body_parameters)
        return _Request({**headers, **exchange.encryption}, Payload(data, len(data)) if data else NOTHING)

    async def _forward(self, exchange: Exchange, request: _Request) -> Outgoing:
        head, location = exchange.incoming.head, exchange.location
        path = f"/{location.bucket}/{location.key}" if location.key else f"/{location.bucket}"
        await self._evidence.intend(exchange)
        try:
            answer = await self._upstream.send(head.method, path, head.query, request.headers, request.body)
        except OutboundError:
            if exchange.body is not None and exchange.body.problem is not None:
                raise exchange.body.problem from None  # we broke the request ourselves
            raise
        try:
            return await self._passed_on(exchange, answer)
        except BaseException:
            answer.close()
            raise

    async def _passed_on(self, exchange: Exchange, answer: UpstreamAnswer) -> Outgoing:
        """Record the upstream's answer, then hand it on."""
        head_only = exchange.incoming.head.method == "HEAD"
        if self._keys is not None:
            await self._keys.for_answer(exchange, answer)
        if answer.status >= 400 and not head_only:
            text = read_error(answer.status, await answer.read(MAX_ERROR_BYTES))
            if text.code in _OPERATORS_FAULT:
                raise OutboundError(text.code, "the upstream does not accept our credentials")
            raise ApiError(text.code, text.message, status=answer.status)
        error: ErrorText | None = error_by_status(answer.status) if answer.status >= 300 else None
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name not in _OURS and not name.startswith("seaweed-")
        }
        if exchange.call.read_only:
            headers.pop(CONTEXT, None)  # S3 tells nobody an object's encryption context
        length = headers.get("content-length", "")
        silent = head_only or answer.status in (204, 304)
        bytes_out = int(length) if length.isdecimal() and not silent else 0
        await self._evidence.write(exchange, error=error, headers=headers, bytes_out=bytes_out)
        if silent or length == "0":
            answer.close()
            return Outgoing(answer.status, headers | _ids(exchange), b"")
        return Outgoing(answer.status, headers | _ids(exchange), answer)

    def _answer(self, exchange: Exchange, reply: Reply) -> Outgoing:
        return Outgoing(reply.status, {**reply.headers, **_ids(exchange)}, reply.body)

    async def _refused(self, exchange: Exchange, error: ApiError, recorded: ErrorText | None = None) -> Outgoing:
        """Answer an error; ``recorded``: what the record says instead, where the caller cannot be told the whole."""
        if not exchange.recorded:
            try:
                await self._evidence.write(exchange, error=recorded or ErrorText(error.code, error.message))
            except JournalError as problem:
                return self._unrecordable(exchange, problem)
        return self._error(exchange, error)

    def _unrecordable(self, exchange: Exchange, problem: JournalError) -> Outgoing:
        if exchange.intended is not None:  # it may have had its effect: no status would be true
            log.error("an S3 call is cut: its outcome cannot be recorded: %s", problem)
            return CUT
        log.error("an S3 call is refused: it cannot be recorded: %s", problem)
        return self._error(exchange, s3_error("ServiceUnavailable"))

    def _error(self, exchange: Exchange, error: ApiError) -> Outgoing:
        head = exchange.incoming.head
        reply = error_reply(
            error,
            resource=head.path,
            request_id=exchange.incoming.request_id,
            host_id=exchange.host_id,
            method=head.method,
        )
        return Outgoing(reply.status, reply.headers, reply.body)


async def _settled(exchange: Exchange, outgoing: Outgoing) -> Outgoing:
    """The answer, with the connection closed after it where part of the request's body is still to come."""
    if outgoing is CUT:
        return outgoing
    headers = exchange.incoming.head.headers
    if await is_connection_fit(headers, exchange.arrival, started=exchange.body is not None):
        return outgoing
    return replace(outgoing, headers={**outgoing.headers, "connection": "close"})


def _unknown(exchange: Exchange, problem: OutboundError) -> ErrorText | None:
    """What the record of a change says that was sent on and not answered."""
    if exchange.call.read_only or not isinstance(problem, NoAnswer) or not problem.may_have_acted:
        return None
    return ErrorText(OUTCOME_UNKNOWN, UNANSWERED)


def _ids(exchange: Exchange) -> dict[str, str]:
    ids = {"x-amz-request-id": exchange.incoming.request_id, "x-amz-id-2": exchange.host_id}
    if exchange.call.operation == "HeadBucket" and exchange.bucket is not None:
        ids["x-amz-bucket-region"] = exchange.bucket.region
    return ids


def _expect_owner(expected: str | None, owner: str) -> None:
    if expected is not None and expected != owner:
        raise s3_error("AccessDenied")
