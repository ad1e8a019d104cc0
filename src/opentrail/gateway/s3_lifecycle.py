"""Buckets' lifecycle configurations, where the S3 server behind leaves the rules to us.

Rules. A configuration is read with S3's refusals, which SeaweedFS 4.48 does not have (it takes zero days, dates within
a day and ids given twice, measured), and kept as we wrote it anew. A change is recorded before it is committed.
"""

from collections.abc import Awaitable, Callable, Mapping

from opentrail.aws.http import Reply
from opentrail.aws.protocols.s3_errors import s3_error
from opentrail.clock import Entropy
from opentrail.events.s3_documents import body_parameters
from opentrail.gateway.s3_bodies import MAX_DOCUMENT_BYTES
from opentrail.gateway.s3_evidence import Exchange
from opentrail.gateway.s3_own import XML, OwnOperations, bucket_of, document_of
from opentrail.identity.buckets import Buckets
from opentrail.lifecycle.document import read_configuration, write_configuration

# S3's own default, which it tells with each configuration; without transitions it has no effect.
_HEADERS = {"x-amz-transition-default-minimum-object-size": "all_storage_classes_128K"}


class LifecycleOperations:
    """Answers PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration and DeleteBucketLifecycle."""

    def __init__(self, own: OwnOperations, buckets: Buckets, entropy: Entropy) -> None:
        self._own = own
        self._buckets = buckets
        self._entropy = entropy
        self.handlers: Mapping[str, Callable[[Exchange], Awaitable[Reply]]] = {
            "PutBucketLifecycleConfiguration": self._put,
            "GetBucketLifecycleConfiguration": self._get,
            "DeleteBucketLifecycle": self._delete,
        }

    async def _put(self, exchange: Exchange) -> Reply:
        document = await document_of(exchange, MAX_DOCUMENT_BYTES)
        exchange.body_parameters = body_parameters(exchange.call, document)
        rules, name = read_configuration(document, new_id=self._entropy.uuid()), bucket_of(exchange).name
        text = write_configuration(rules).decode()
        answer = Reply(200, _HEADERS)
        return await self._own.change(
            exchange, lambda unit: self._buckets.put_lifecycle(unit, name, text), answer=answer
        )

    async def _get(self, exchange: Exchange) -> Reply:
        text = bucket_of(exchange).lifecycle_text
        if text is None:
            raise s3_error("NoSuchLifecycleConfiguration")
        return await self._own.read(exchange, text.encode(), {**XML, **_HEADERS})

    async def _delete(self, exchange: Exchange) -> Reply:
        name = bucket_of(exchange).name
        return await self._own.change(exchange, lambda unit: self._buckets.put_lifecycle(unit, name, None))
