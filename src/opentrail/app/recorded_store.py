"""The object store as one of our services uses it: every call it makes to S3 for a customer leaves a record.

Rules. A change is announced before it is made, and recorded before the service goes on; a call that failed is recorded
with S3's code. Buckets that no account of ours owns concern nobody, so nothing is recorded. The courier does
not use this: deliveries are not recorded (cloudtrail fact sheet, trap 47).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from opentrail.errors import OutboundError
from opentrail.events.classify import is_read_only
from opentrail.events.internal_calls import InternalCall, InternalCalls, Place, s3_call
from opentrail.events.unknown_outcome import OUTCOME_UNKNOWN, UNANSWERED
from opentrail.identity.buckets import Buckets
from opentrail.storage.bucket import Encryption, KmsEncryption, ObjectHead, ObjectStore

_NO_HEADERS: Mapping[str, str] = {}


class RecordedStore:
    """An ObjectStore in front of another, seen by one service."""

    def __init__(
        self,
        store: ObjectStore,
        calls: InternalCalls,
        buckets: Buckets,
        service: str,
        *,
        probe: str | None = None,
    ) -> None:
        """``service``: the acting service's host name. ``probe``: the S3 operation that asking for a bucket is recorded
        as; None where that is the service's private matter.
        """
        self._store = store
        self._calls = calls
        self._buckets = buckets
        self._service = service
        self._probe = probe

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] = _NO_HEADERS,
        acl: str | None = None,
        server_side_encryption: Encryption | None = None,
        only_if_absent: bool = False,
    ) -> str:
        """Store one object; PutObject."""
        headers = {"x-amz-acl": acl} if acl else {}
        if isinstance(server_side_encryption, KmsEncryption):
            headers |= server_side_encryption.headers()
        elif server_side_encryption:
            headers["x-amz-server-side-encryption"] = server_side_encryption
        with self._recorded("PutObject", bucket, key, headers, bytes_in=_size(body)):
            return self._store.put(
                bucket,
                key,
                body,
                content_type=content_type,
                content_encoding=content_encoding,
                metadata=metadata,
                acl=acl,
                server_side_encryption=server_side_encryption,
                only_if_absent=only_if_absent,
            )

    def get(self, bucket: str, key: str) -> bytes:
        """The whole object; GetObject."""
        with self._recorded("GetObject", bucket, key):
            return self._store.get(bucket, key)

    def download(self, bucket: str, key: str, out: BinaryIO) -> None:
        """The object into a file; GetObject."""
        with self._recorded("GetObject", bucket, key):
            self._store.download(bucket, key, out)

    def head(self, bucket: str, key: str) -> ObjectHead | None:
        """What is known about an object; HeadObject."""
        with self._recorded("HeadObject", bucket, key):
            return self._store.head(bucket, key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; DeleteObject."""
        with self._recorded("DeleteObject", bucket, key):
            self._store.delete(bucket, key)

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys that start with a prefix; one ListObjects, however many pages it takes."""
        with self._recorded("ListObjects", bucket, "", {"prefix": prefix}):
            yield from self._store.list_keys(bucket, prefix)

    def bucket_exists(self, bucket: str) -> bool:
        """Whether there is such a bucket; the service's probe."""
        if self._probe is None:
            return self._store.bucket_exists(bucket)
        with self._recorded(self._probe, bucket):
            return self._store.bucket_exists(bucket)

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket; CreateBucket."""
        with self._recorded("CreateBucket", bucket):
            self._store.create_bucket(bucket)

    @contextmanager
    def _recorded(
        self,
        event_name: str,
        bucket: str,
        key: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        bytes_in: int = 0,
    ) -> Iterator[None]:
        owner = self._buckets.find(bucket)
        if owner is None:
            yield
            return
        call = s3_call(self._service, event_name, Place(bucket, owner.account_id, owner.region, key), headers)
        if is_read_only(call.event_source, call.event_name):
            with self._read(call):
                yield
        else:
            with self._changed(call, bytes_in):
                yield

    @contextmanager
    def _read(self, call: InternalCall) -> Iterator[None]:
        self._calls.require()
        try:
            yield
        except OutboundError as problem:
            self._calls.record(call, error=(problem.code, problem.message))
            raise
        except GeneratorExit:  # a listing that was not read to its end
            self._calls.record(call)
            raise
        self._calls.record(call)

    @contextmanager
    def _changed(self, call: InternalCall, bytes_in: int) -> Iterator[None]:
        """A change is announced before it is made; what ends it unexpectedly leaves its outcome unknown."""
        announced = self._calls.intend(call)
        try:
            yield
        except OutboundError as problem:
            announced.conclude(error=(problem.code, problem.message))
            raise
        except BaseException:
            announced.conclude(error=(OUTCOME_UNKNOWN, UNANSWERED))
            raise
        announced.conclude(bytes_in=bytes_in)


def _size(body: bytes | BinaryIO) -> int:
    """How many bytes will be sent: all of a file, which is left at its start."""
    if isinstance(body, bytes):
        return len(body)
    size = body.seek(0, 2)
    body.seek(0)
    return size
