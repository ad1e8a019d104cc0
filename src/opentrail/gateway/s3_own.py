"""The S3 operations that are answered from our own state: who owns which bucket, and what its policy says.

Rules. A bucket's name is reserved in our state before the upstream makes the bucket and confirmed afterwards; it is
forgotten only after the upstream has removed it. So a crash in between leaves a name that its owner can claim or remove
again, and never a bucket that a stranger could. A change of ours is recorded before it is committed, one at a time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from opentrail.aws.http import Reply
from opentrail.aws.protocols.s3_errors import ErrorText, read_error, s3_error
from opentrail.clock import Clock
from opentrail.errors import ApiError, OutboundError
from opentrail.events.s3 import query_pairs
from opentrail.events.s3_documents import body_parameters
from opentrail.gateway import s3_markup as markup
from opentrail.gateway.s3_access import LIST_BUCKETS, Need, create_bucket_need, may_own_buckets, request_context
from opentrail.gateway.s3_bodies import MAX_DOCUMENT_BYTES
from opentrail.gateway.s3_evidence import Evidence, Exchange
from opentrail.gateway.upstream import NOTHING, Upstream, UpstreamAnswer
from opentrail.identity.buckets import Bucket, Buckets
from opentrail.identity.policy import Policy, parse
from opentrail.identity.public_access import is_public
from opentrail.state.database import Database, Unit

XML = {"content-type": "application/xml"}
NO_CONTENT = Reply(204)
_ABSENT_FOR_S = 5.0
_ABSENT_NAMES = 1024
_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class BucketState:
    """Where buckets are kept: here and at the upstream. ``default_owner`` owns those that nobody created through us."""

    buckets: Buckets
    database: Database
    upstream: Upstream
    clock: Clock
    region: str
    default_owner: str | None


class OwnOperations:
    """Answers ListBuckets, CreateBucket, DeleteBucket, GetBucketLocation, GetBucketAcl, and the operations on policies
    and public access blocks.
    """

    def __init__(self, state: BucketState, evidence: Evidence) -> None:
        self._state = state
        self._evidence = evidence
        self._changing = asyncio.Lock()
        self._absent: OrderedDict[str, float] = OrderedDict()
        self.handlers: Mapping[str, Callable[[Exchange], Awaitable[Reply]]] = {
            "ListBuckets": self._list_buckets,
            "CreateBucket": self._create_bucket,
            "DeleteBucket": self._delete_bucket,
            "GetBucketLocation": self._get_bucket_location,
            "GetBucketAcl": self._get_bucket_acl,
            "GetBucketPolicy": self._get_bucket_policy,
            "GetBucketPolicyStatus": self._get_bucket_policy_status,
            "PutBucketPolicy": self._put_bucket_policy,
            "DeleteBucketPolicy": self._delete_bucket_policy,
            "GetPublicAccessBlock": self._get_public_access_block,
            "PutPublicAccessBlock": self._put_public_access_block,
            "DeletePublicAccessBlock": self._delete_public_access_block,
        }

    async def find(self, name: str) -> Bucket | None:
        """A bucket that can be used; adopted here where it is at the upstream and a default owner is set.

        Raises OutboundError where the upstream must be asked and does not answer.
        """
        state = self._state
        bucket = state.buckets.find(name)
        if bucket is not None:
            return bucket if bucket.ready else None
        if state.default_owner is None or self._absent.get(name, 0.0) > state.clock.monotonic():
            return None
        if not await self._is_upstream(name):
            self._absent[name] = state.clock.monotonic() + _ABSENT_FOR_S
            if len(self._absent) > _ABSENT_NAMES:
                self._absent.popitem(last=False)
            return None
        await self._adopt([name], state.default_owner)
        return state.buckets.find(name)

    async def adopt_existing(self) -> int:
        """Give every bucket of the upstream that nobody owns to the default owner; returns how many there were.

        Raises OutboundError where the upstream cannot be asked.
        """
        state = self._state
        if state.default_owner is None:
            return 0
        answer = await state.upstream.send("GET", "/")
        body = await answer.read(MAX_DOCUMENT_BYTES)
        if answer.status != 200:
            raise _outbound(answer, body)
        unknown = [name for name in markup.read_bucket_names(body) if state.buckets.find(name) is None]
        await self._adopt(unknown, state.default_owner)
        return len(unknown)

    async def _list_buckets(self, exchange: Exchange) -> Reply:
        state = self._state
        self._require_own(exchange, LIST_BUCKETS)
        account = exchange.caller.principal.account_id
        found = [(name, created_at, self._region_of(name)) for name, created_at in state.buckets.names_of(account)]
        body = markup.list_buckets(account, found, dict(query_pairs(exchange.incoming.head.query)))
        return await self.read(exchange, body)

    async def _create_bucket(self, exchange: Exchange) -> Reply:
        account, name = exchange.caller.principal.account_id, exchange.call.bucket
        self._require_own(exchange, create_bucket_need(name))
        document = await document_of(exchange, MAX_DOCUMENT_BYTES)
        region = markup.read_location_constraint(document)
        exchange.body_parameters = body_parameters(exchange.call, document)
        async with self._changing:
            await self._require_free(name, account)
            now = self._state.clock.now()
            await self._commit(lambda unit: self._state.buckets.create(unit, name, account, region, now, ready=False))
            exchange.bucket = self._state.buckets.find(name)
            await self._make_upstream(exchange, name)
            headers = {"location": f"/{name}"}
            await self._evidence.write(exchange, headers=headers)
            await self._commit(lambda unit: self._state.buckets.create(unit, name, account, region, now))
        return Reply(200, headers)

    def _require_own(self, exchange: Exchange, need: Need) -> None:
        """Raise ApiError where the caller's policies do not allow what no bucket policy can speak about."""
        head, caller = exchange.incoming.head, exchange.caller
        context = request_context(head, caller, exchange.call, self._state.clock.now(), exchange.told)
        if not may_own_buckets(caller.principal, exchange.policies, need, context):
            raise s3_error("AccessDenied")

    async def _require_free(self, name: str, account: str) -> None:
        """Raise ApiError where a name is taken: by a row of ours, or by a bucket that is just there."""
        bucket = self._state.buckets.find(name)
        if bucket is not None and bucket.account_id != account:
            raise s3_error("BucketAlreadyExists")
        if bucket is not None and not bucket.ready:
            return  # reserved while the name was free, and never confirmed: whatever is there is this account's
        if not await self._is_upstream(name):
            return
        owner = bucket.account_id if bucket else self._state.default_owner
        raise s3_error("BucketAlreadyOwnedByYou" if owner == account else "BucketAlreadyExists")

    async def _make_upstream(self, exchange: Exchange, name: str) -> None:
        await self._evidence.intend(exchange)
        answer = await self._state.upstream.send("PUT", f"/{name}", "", exchange.incoming.head.headers, NOTHING)
        body = await answer.read(_ERROR_BYTES)
        if answer.status == 200:
            return
        error = read_error(answer.status, body)
        if error.code == "BucketAlreadyOwnedByYou":
            return
        if answer.status < 500:  # refused for good: the reservation would be in nobody's interest
            await self._commit(lambda unit: self._state.buckets.delete(unit, name))
            exchange.bucket = None
            raise ApiError(error.code, error.message, status=answer.status)
        raise _outbound(answer, body)

    async def _delete_bucket(self, exchange: Exchange) -> Reply:
        name = exchange.call.bucket
        async with self._changing:
            await self._evidence.intend(exchange)
            answer = await self._state.upstream.send("DELETE", f"/{name}")
            body = await answer.read(_ERROR_BYTES)
            error = None if answer.status < 300 else read_error(answer.status, body)
            if error is not None and error.code != "NoSuchBucket":
                raise ApiError(error.code, error.message, status=answer.status)
            await self._evidence.write(exchange, error=error)
            await self._commit(lambda unit: self._state.buckets.delete(unit, name))
        if error is not None:
            raise s3_error("NoSuchBucket")
        return Reply(204)

    async def _get_bucket_location(self, exchange: Exchange) -> Reply:
        return await self.read(exchange, markup.location(bucket_of(exchange).region))

    async def _get_bucket_acl(self, exchange: Exchange) -> Reply:
        return await self.read(exchange, markup.owner_acl(bucket_of(exchange).account_id))

    async def _get_bucket_policy(self, exchange: Exchange) -> Reply:
        text = bucket_of(exchange).policy_text
        if text is None:
            raise s3_error("NoSuchBucketPolicy")
        return await self.read(exchange, text.encode(), {"content-type": "application/json"})

    async def _get_bucket_policy_status(self, exchange: Exchange) -> Reply:
        bucket = bucket_of(exchange)
        if bucket.policy is None:
            raise s3_error("NoSuchBucketPolicy")
        return await self.read(exchange, markup.policy_status(is_public=bucket.is_public))

    async def _put_bucket_policy(self, exchange: Exchange) -> Reply:
        document = await document_of(exchange, MAX_DOCUMENT_BYTES)
        exchange.body_parameters = body_parameters(exchange.call, document)
        name = exchange.call.bucket
        try:
            policy = parse(document)
        except ValueError as problem:
            raise s3_error("MalformedPolicy", str(problem)) from problem
        if markup.outside_of(name, policy.resource_texts()):
            raise s3_error("MalformedPolicy", "Policy has invalid resource")
        return await self.change(
            exchange,
            lambda unit: self._state.buckets.put_policy(unit, name, document.decode()),
            lambda: self._require_unblocked(name, policy),
        )

    async def _delete_bucket_policy(self, exchange: Exchange) -> Reply:
        name = exchange.call.bucket
        return await self.change(exchange, lambda unit: self._state.buckets.put_policy(unit, name, None))

    def _require_unblocked(self, name: str, policy: Policy) -> None:
        bucket = self._state.buckets.find(name)
        if bucket is not None and bucket.block and bucket.block.block_public_policy and is_public(policy):
            raise s3_error("AccessDenied")

    async def _get_public_access_block(self, exchange: Exchange) -> Reply:
        block = bucket_of(exchange).block
        if block is None:
            raise s3_error("NoSuchPublicAccessBlockConfiguration")
        return await self.read(exchange, markup.access_block(block))

    async def _put_public_access_block(self, exchange: Exchange) -> Reply:
        document = await document_of(exchange, MAX_DOCUMENT_BYTES)
        exchange.body_parameters = body_parameters(exchange.call, document)
        block, name = markup.read_access_block(document), exchange.call.bucket
        return await self.change(
            exchange, lambda unit: self._state.buckets.put_block(unit, name, block), answer=Reply(200)
        )

    async def _delete_public_access_block(self, exchange: Exchange) -> Reply:
        name = exchange.call.bucket
        return await self.change(exchange, lambda unit: self._state.buckets.put_block(unit, name, None))

    async def change(
        self,
        exchange: Exchange,
        change: Callable[[Unit], None],
        check: Callable[[], None] = lambda: None,
        answer: Reply = NO_CONTENT,
    ) -> Reply:
        """Record a change of what is known of a bucket, then commit it; ``check`` may refuse it with an ApiError."""
        async with self._changing:
            check()  # in turns: what it looks at must still hold when the change is made
            await self._evidence.write(exchange, headers=answer.headers)
            await self._commit(change)
        return answer

    async def read(self, exchange: Exchange, body: bytes, headers: Mapping[str, str] = XML) -> Reply:
        """Record that something was shown, and show it."""
        await self._evidence.write(exchange, bytes_out=len(body))
        return Reply(200, headers, body)

    async def _is_upstream(self, name: str) -> bool:
        answer = await self._state.upstream.send("HEAD", f"/{name}")
        answer.close()
        if answer.status not in (200, 404):
            raise OutboundError("ServiceUnavailable", f"the upstream answered {answer.status} to a HEAD of a bucket")
        return answer.status == 200

    async def _adopt(self, names: list[str], account: str) -> None:
        state, now = self._state, self._state.clock.now()

        def adopt(unit: Unit) -> None:
            for name in names:
                if state.buckets.find(name) is None:
                    state.buckets.create(unit, name, account, state.region, now)

        async with self._changing:
            await self._commit(adopt)

    async def _commit(self, change: Callable[[Unit], None]) -> None:
        def commit() -> None:
            with self._state.database.unit() as unit:
                change(unit)

        await asyncio.to_thread(commit)

    def _region_of(self, name: str) -> str:
        bucket = self._state.buckets.find(name)
        return bucket.region if bucket else self._state.region


def bucket_of(exchange: Exchange) -> Bucket:
    """The bucket that a call is about. Raises ApiError NoSuchBucket."""
    if exchange.bucket is None:
        raise s3_error("NoSuchBucket")
    return exchange.bucket


async def document_of(exchange: Exchange, limit_bytes: int) -> bytes:
    """A request's body, whole."""
    return await exchange.body.whole(limit_bytes) if exchange.body else b""


def _outbound(answer: UpstreamAnswer, body: bytes) -> OutboundError:
    error: ErrorText = read_error(answer.status, body)
    return OutboundError(error.code, error.message)
