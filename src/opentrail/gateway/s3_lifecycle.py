"""Buckets' lifecycle configurations, where the S3 server behind leaves the rules to us.

Rules. A configuration is read with S3's refusals, which SeaweedFS 4.48 does not have (it takes zero days, dates within
a day and ids given twice, measured), and kept as we wrote it anew. A change is recorded before it is committed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from opentrail.aws.http import Reply
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.clock import Entropy
from opentrail.events.s3_documents import body_parameters
from opentrail.gateway.s3_bodies import MAX_DOCUMENT_BYTES
from opentrail.gateway.s3_evidence import Evidence, Exchange
from opentrail.identity.buckets import Bucket, Buckets
from opentrail.lifecycle.document import read_configuration, write_configuration
from opentrail.state.database import Database

# S3's own default, which it tells with each configuration; without transitions it has no effect.
_HEADERS = {"x-amz-transition-default-minimum-object-size": "all_storage_classes_128K"}


class LifecycleOperations:
    """Answers PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration and DeleteBucketLifecycle."""

    def __init__(self, buckets: Buckets, database: Database, evidence: Evidence, entropy: Entropy) -> None:
        self._buckets = buckets
        self._database = database
        self._evidence = evidence
        self._entropy = entropy
        self._changing = asyncio.Lock()
        self.handlers: Mapping[str, Callable[[Exchange], Awaitable[Reply]]] = {
            "PutBucketLifecycleConfiguration": self._put,
            "GetBucketLifecycleConfiguration": self._get,
            "DeleteBucketLifecycle": self._delete,
        }

    async def _put(self, exchange: Exchange) -> Reply:
        document = await exchange.body.whole(MAX_DOCUMENT_BYTES) if exchange.body else b""
        exchange.body_parameters = body_parameters(exchange.call, document)
        rules = read_configuration(document, new_id=self._entropy.uuid())
        await self._change(exchange, write_configuration(rules).decode(), _HEADERS)
        return Reply(200, _HEADERS)

    async def _get(self, exchange: Exchange) -> Reply:
        text = _bucket_of(exchange).lifecycle_text
        if text is None:
            raise s3_error("NoSuchLifecycleConfiguration")
        body = text.encode()
        await self._evidence.write(exchange, bytes_out=len(body))
        return Reply(200, {"content-type": "application/xml", **_HEADERS}, body)

    async def _delete(self, exchange: Exchange) -> Reply:
        await self._change(exchange, None, {})
        return Reply(204)

    async def _change(self, exchange: Exchange, text: str | None, headers: Mapping[str, str]) -> None:
        name = _bucket_of(exchange).name

        def commit() -> None:
            with self._database.unit() as unit:
                self._buckets.put_lifecycle(unit, name, text)

        async with self._changing:
            await self._evidence.write(exchange, headers=headers)
            await asyncio.to_thread(commit)


def _bucket_of(exchange: Exchange) -> Bucket:
    if exchange.bucket is None:
        raise s3_error("NoSuchBucket")
    return exchange.bucket
