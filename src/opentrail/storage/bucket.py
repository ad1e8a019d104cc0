"""The bucket: what OpenTrail itself needs of an object store (a port), and boto3 behind it.

Nothing is retried here: whoever calls knows what a repetition means (a conditional put that succeeded and lost its
answer looks like a conflict the second time), so callers retry. Every put carries a Content-MD5, because servers
check that one and not the payload hash of the signature (measured with SeaweedFS 4.48).
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from opentrail.errors import OutboundError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTION_ERROR = "ConnectionError"
PRECONDITION_FAILED = "PreconditionFailed"

_NO_METADATA: Mapping[str, str] = MappingProxyType({})
_RETRYABLE = frozenset(
    {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "ThrottlingException", "OperationAborted"}
    | {"ConditionalRequestConflict", "BadDigest", "IncompleteBody"}
)
# A HEAD answer has no body, so the client can only report its status.
_HEAD_BUCKET_CODES = {"403": "AccessDenied", "404": "NoSuchBucket", "400": "BadRequest"}
_HEAD_OBJECT_CODES = {"403": "AccessDenied", "404": "NoSuchKey", "400": "BadRequest", "412": PRECONDITION_FAILED}
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KmsEncryption:
    """Encryption with a KMS key (``aws:kms``), bound to an encryption context."""

    key_arn: str
    context: Mapping[str, str]

    def headers(self) -> dict[str, str]:
        """The request headers that ask for it."""
        context = json.dumps(dict(self.context), separators=(",", ":")).encode()
        return {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": self.key_arn,
            "x-amz-server-side-encryption-context": base64.b64encode(context).decode(),
        }


Encryption = str | KmsEncryption
"""How the server encrypts an object: ``AES256``, or with a KMS key."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What HEAD tells about an object. ``etag`` is without quotes; ``metadata`` has lower-case names without
    ``x-amz-meta-``; ``kms_key_id`` names the key where ``server_side_encryption`` is ``aws:kms``.
    """

    size_bytes: int
    etag: str
    metadata: Mapping[str, str]
    content_type: str | None
    content_encoding: str | None
    server_side_encryption: str | None = None
    kms_key_id: str | None = None


class ObjectStore(Protocol):
    """An object store as delivery and backups need it.

    Every method raises OutboundError: with the server's own error code (NoSuchBucket, AccessDenied, ...), or
    ``ConnectionError`` when no answer came; ``retryable`` tells whether the same call may succeed later without
    anybody changing anything.
    """

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] = _NO_METADATA,
        acl: str | None = None,
        server_side_encryption: Encryption | None = None,
        only_if_absent: bool = False,
    ) -> str:
        """Store one object and return its ETag without quotes. A file must be seekable; all of
        it is sent, from its start.

        With ``only_if_absent`` an existing object stays as it is and the error's code is ``PreconditionFailed``.
        """

    def get(self, bucket: str, key: str) -> bytes:
        """The whole object, byte for byte as stored (never decompressed). Code NoSuchKey when there is none."""

    def download(self, bucket: str, key: str, out: BinaryIO) -> None:
        """Write an object to a file, piece by piece; what was written before a failure stays. Code NoSuchKey when there
        is none. Raises OSError where the file cannot be written.
        """

    def head(self, bucket: str, key: str) -> ObjectHead | None:
        """What is known about an object; None when there is no such object (or bucket)."""

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; deleting one that is not there succeeds."""

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys that start with a prefix, in order, page by page as they are consumed."""

    def bucket_exists(self, bucket: str) -> bool:
        """Whether there is such a bucket. One that exists but is not ours to read raises AccessDenied."""

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket. Code BucketAlreadyExists or BucketAlreadyOwnedByYou when there is one."""


class S3ObjectStore:
    """Any S3 server through boto3: path-style addresses, one attempt per call, no checksums but Content-MD5. Thread
    safe.

    The client is made at the first call, because loading it takes a moment.
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        *,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 60.0,
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._lock = threading.Lock()
        self._made: S3Client | None = None

    def reconfigure(self, endpoint: str, region: str, access_key_id: str, secret_access_key: str) -> None:
        """Call this server with these credentials from now on; calls under way end as they began."""
        with self._lock:
            self._endpoint, self._region = endpoint, region
            self._access_key_id, self._secret_access_key = access_key_id, secret_access_key
            self._made = None

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] = _NO_METADATA,
        acl: str | None = None,
        server_side_encryption: Encryption | None = None,
        only_if_absent: bool = False,
    ) -> str:
        optional = {
            "ContentEncoding": content_encoding,
            "ACL": acl,
            "IfNoneMatch": "*" if only_if_absent else None,
            **_encryption(server_side_encryption),
        }
        arguments: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        with translated({"412": PRECONDITION_FAILED}):
            answer = self.client().put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ContentMD5=_content_md5(body),
                Metadata=dict(metadata),
                **arguments,
            )
        return answer["ETag"].strip('"')

    def get(self, bucket: str, key: str) -> bytes:
        with translated({"404": "NoSuchKey", "403": "AccessDenied"}):
            content: bytes = self.client().get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

    def download(self, bucket: str, key: str, out: BinaryIO) -> None:
        with translated({"404": "NoSuchKey", "403": "AccessDenied"}):
            out.writelines(self.client().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_PIECE_BYTES))

    def head(self, bucket: str, key: str) -> ObjectHead | None:
        try:
            with translated(_HEAD_OBJECT_CODES):
                answer = self.client().head_object(Bucket=bucket, Key=key)
        except OutboundError as error:
            if error.code in ("NoSuchKey", "NoSuchBucket"):
                return None
            raise
        return ObjectHead(
            size_bytes=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            metadata={name.lower(): value for name, value in answer["Metadata"].items()},
            content_type=answer.get("ContentType"),
            content_encoding=answer.get("ContentEncoding"),
            server_side_encryption=answer.get("ServerSideEncryption"),
            kms_key_id=answer.get("SSEKMSKeyId"),
        )

    def delete(self, bucket: str, key: str) -> None:
        with translated({}):
            self.client().delete_object(Bucket=bucket, Key=key)

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            with translated({}):
                page = self.client().list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
            for entry in page.get("Contents", []):
                yield entry["Key"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def bucket_exists(self, bucket: str) -> bool:
        try:
            with translated(_HEAD_BUCKET_CODES):
                self.client().head_bucket(Bucket=bucket)
        except OutboundError as error:
            if error.code == "NoSuchBucket":
                return False
            raise
        return True

    def create_bucket(self, bucket: str) -> None:
        # us-east-1 is the one region that must not be named as a location.
        arguments: dict[str, Any] = {}
        if self._region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        with translated({}):
            self.client().create_bucket(Bucket=bucket, **arguments)

    def client(self) -> "S3Client":
        """The client library's own client, for calls that the port has no word for; errors are to be ``translated``."""
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _make_client(self) -> "S3Client":
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=self._connect_timeout_s,
            read_timeout=self._read_timeout_s,
            max_pool_connections=32,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        )
        # A session of its own: the default one is shared by the whole process and would read the user's AWS profile.
        client: S3Client = boto3.session.Session().client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=self._region,
            aws_access_key_id=self._access_key_id,
            aws_secret_access_key=self._secret_access_key,
            config=config,
        )
        return client


def _encryption(wanted: Encryption | None) -> dict[str, str | None]:
    """An encryption as the client library's parameters."""
    if not isinstance(wanted, KmsEncryption):
        return {"ServerSideEncryption": wanted}
    names = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext")
    return dict(zip(names, wanted.headers().values(), strict=True))


def _content_md5(body: bytes | BinaryIO) -> str:
    """The Content-MD5 of bytes, or of a whole file, which is rewound to its start."""
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(body, bytes):
        digest.update(body)
    else:
        body.seek(0)  # where the client library rewinds to before it sends
        while piece := body.read(_PIECE_BYTES):
            digest.update(piece)
        body.seek(0)
    return base64.b64encode(digest.digest()).decode()


@contextmanager
def translated(codes: Mapping[str, str]) -> Iterator[None]:
    """Turn the client library's errors into OutboundError; ``codes`` names what a bare HTTP status means for this
    call.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        described = error.response.get("Error", {})
        code = described.get("Code") or "InternalError"
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        retryable = status >= 500 or status == 429 or code in _RETRYABLE
        raise OutboundError(
            codes.get(code, code), described.get("Message") or str(error), retryable=retryable
        ) from error
    except BotoCoreError as error:
        raise _unanswered(error) from error


def _unanswered(error: Exception) -> OutboundError:
    """No usable answer: the connection or the transfer failed (worth another try), or the call could not even be made
    (not).
    """
    from botocore import exceptions

    transient = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        exceptions.ReadTimeoutError,
        exceptions.ResponseStreamingError,
    )
    if isinstance(error, transient):
        return OutboundError(CONNECTION_ERROR, str(error))
    return OutboundError("InvalidRequest", str(error), retryable=False)
