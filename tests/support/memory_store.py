"""An object store in memory, behind the same port as the real one, which can be told to fail."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from opentrail.errors import OutboundError
from opentrail.storage.bucket import Encryption, KmsEncryption, ObjectHead


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its bytes, what HEAD says of it, and the ACL and encryption context it was put with."""

    body: bytes
    head: ObjectHead
    acl: str | None
    encryption_context: Mapping[str, str] = field(default_factory=dict)


class MemoryObjectStore:
    """Buckets are dictionaries in ``buckets``. ``outage``, when set, is raised by every call; ``failures`` are raised
    once each, in order.

    ``puts`` lists (bucket, key) of every put that stored something, so that tests can count them.
    """

    def __init__(self, *buckets: str) -> None:
        self.buckets: dict[str, dict[str, StoredObject]] = {name: {} for name in buckets}
        self.outage: OutboundError | None = None
        self.failures: list[OutboundError] = []
        self.puts: list[tuple[str, str]] = []

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        acl: str | None = None,
        server_side_encryption: Encryption | None = None,
        only_if_absent: bool = False,
    ) -> str:
        objects = self._objects(bucket)
        if only_if_absent and key in objects:
            raise OutboundError("PreconditionFailed", "the object exists", retryable=False)
        if not isinstance(body, bytes):
            body.seek(0)
        content = body if isinstance(body, bytes) else body.read()
        kms = server_side_encryption if isinstance(server_side_encryption, KmsEncryption) else None
        head = ObjectHead(
            size_bytes=len(content),
            etag=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            metadata={name.lower(): value for name, value in (metadata or {}).items()},
            content_type=content_type,
            content_encoding=content_encoding,
            server_side_encryption="aws:kms"
            if isinstance(server_side_encryption, KmsEncryption)
            else server_side_encryption,
            kms_key_id=kms.key_arn if kms else None,
        )
        objects[key] = StoredObject(content, head, acl, dict(kms.context) if kms else {})
        self.puts.append((bucket, key))
        return head.etag

    def get(self, bucket: str, key: str) -> bytes:
        objects = self._objects(bucket)
        if key not in objects:
            raise OutboundError("NoSuchKey", "The specified key does not exist.", retryable=False)
        return objects[key].body

    def download(self, bucket: str, key: str, out: BinaryIO) -> None:
        out.write(self.get(bucket, key))

    def head(self, bucket: str, key: str) -> ObjectHead | None:
        self._fail_if_told()
        stored = self.buckets.get(bucket, {}).get(key)
        return stored.head if stored is not None else None

    def delete(self, bucket: str, key: str) -> None:
        self._objects(bucket).pop(key, None)

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self._objects(bucket) if key.startswith(prefix))

    def bucket_exists(self, bucket: str) -> bool:
        self._fail_if_told()
        return bucket in self.buckets

    def create_bucket(self, bucket: str) -> None:
        self._fail_if_told()
        if bucket in self.buckets:
            raise OutboundError("BucketAlreadyExists", "The requested bucket name is not available.", retryable=False)
        self.buckets[bucket] = {}

    def _objects(self, bucket: str) -> dict[str, StoredObject]:
        self._fail_if_told()
        if bucket not in self.buckets:
            raise OutboundError("NoSuchBucket", "The specified bucket does not exist", retryable=False)
        return self.buckets[bucket]

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.outage is not None:
            raise self.outage
