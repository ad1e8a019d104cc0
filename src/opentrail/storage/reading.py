"""Reading a bucket of somebody else's: a port (whole streams, metadata, listings), and any S3 behind it.

Reading only: nothing here writes. An object comes in pieces as it arrives, byte for byte as stored, so that memory does
not grow with objects. GETs are signed and sent by hand over botocore's connection pool, because its client costs about
a millisecond of CPU per object, more than checking one (measured); listings, which are few, go through the client.
Nothing is retried here; ``retryable`` of the error says whether the whole object may be asked for again.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from opentrail.aws.sigv4 import Scope, SigningKeys, sign
from opentrail.clock import Clock
from opentrail.errors import ConfigError, OutboundError
from opentrail.storage.bucket import CONNECTION_ERROR, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE_BYTES = 64 * 1024
_METADATA_PREFIX = "x-amz-meta-"
_EMPTY_SHA256 = sha256(b"").hexdigest()
_MAX_ERROR_BYTES = 64 * 1024
_RETRYABLE_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One line of a listing; ``modified_at`` is when the store took the object (aware)."""

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object that is being read. ``metadata`` has lower-case names without ``x-amz-meta-``; ``pieces`` can be
    consumed once, and raises OutboundError where the transfer breaks.
    """

    metadata: Mapping[str, str]
    pieces: Iterator[bytes]


class ObjectReader(Protocol):
    """A bucket as whoever checks it needs it. Every method raises OutboundError, with the server's own code."""

    def open(self, bucket: str, key: str) -> AbstractContextManager[OpenObject]:
        """One object, byte for byte as stored. Code NoSuchKey when there is none."""

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        """The objects whose keys start with a prefix and come after a key.

        In the server's order: that of the keys' bytes at S3, while SeaweedFS goes folder by folder (measured). What
        differs only in digits comes in order everywhere. ``after`` need not exist, but must not be a folder of what is
        wanted: SeaweedFS would pass over all of it (measured).
        """

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        """The prefixes one level below a prefix, each with its closing slash."""


class S3ObjectReader:
    """Any S3, with the credentials and the endpoint of a boto3 session. Safe for threads.

    Raises ConfigError where the session has no credentials.
    """

    def __init__(self, session: Any, clock: Clock, *, endpoint: str | None, region: str, connections: int) -> None:
        from botocore.config import Config
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        self._credentials = session.get_credentials()
        if self._credentials is None:
            raise ConfigError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
        self._clock = clock
        self._region = region
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5, "mode": "standard"})
        self._client: S3Client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        base = self._client.meta.endpoint_url
        parts = urlsplit(base)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._root = parts.path.rstrip("/")
        self._signing_keys = SigningKeys(capacity=4)
        bundle = session._session.get_config_variable("ca_bundle")  # noqa: SLF001 - where AWS_CA_BUNDLE and profiles meet
        self._http = URLLib3Session(
            verify=bundle or True, proxies=get_environ_proxies(base), timeout=60, max_pool_connections=connections
        )

    @contextmanager
    def open(self, bucket: str, key: str) -> Iterator[OpenObject]:
        answer = self._get(f"{self._root}/{quote(bucket, safe='')}/{quote(key, safe='/~')}")
        try:
            if answer.status_code != 200:
                raise _refused(answer.status_code, _error_body(answer.raw))
            metadata = {
                name.lower().removeprefix(_METADATA_PREFIX): value
                for name, value in answer.headers.items()
                if name.lower().startswith(_METADATA_PREFIX)
            }
            length = answer.headers.get("Content-Length")
            yield OpenObject(metadata, _pieces(answer.raw, int(length) if length is not None else None))
        finally:
            answer.raw.release_conn() if answer.raw.isclosed() else answer.raw.close()

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        more: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:
            with translated({}):
                page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
            for entry in page.get("Contents", []):
                yield ObjectEntry(entry["Key"], entry["Size"], entry["LastModified"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            with translated({}):
                page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/", **more)
            found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _get(self, path: str) -> Any:
        from botocore.awsrequest import AWSPreparedRequest, HeadersDict
        from botocore.exceptions import BotoCoreError

        now = self._clock.now()
        frozen = self._credentials.get_frozen_credentials()
        headers = {"host": self._host}
        if frozen.token:
            headers["x-amz-security-token"] = frozen.token
        scope = Scope(f"{now:%Y%m%d}", self._region, "s3")
        headers |= sign(
            "GET",
            path,
            "",
            headers,
            key=self._signing_keys.get(frozen.access_key, frozen.secret_key, scope),
            access_key_id=frozen.access_key,
            scope=scope,
            signed_at=now,
            payload_hash=_EMPTY_SHA256,
        )
        request = AWSPreparedRequest(
            method="GET", url=self._origin + path, headers=HeadersDict(headers), body=None, stream_output=True
        )
        try:
            return self._http.send(request)
        except BotoCoreError as error:
            raise OutboundError(CONNECTION_ERROR, str(error)) from error


def _pieces(raw: Any, length: int | None) -> Iterator[bytes]:
    """The body as it comes, never decompressed. Raises OutboundError where it ends before its announced length."""
    from urllib3.exceptions import HTTPError

    received = 0
    try:
        while piece := raw.read(PIECE_BYTES, decode_content=False):
            received += len(piece)
            yield piece
    except (HTTPError, OSError) as error:
        raise OutboundError(CONNECTION_ERROR, f"the transfer broke: {error}") from error
    if length is not None and received != length:
        raise OutboundError(CONNECTION_ERROR, f"the transfer ended after {received} of {length} bytes")


def _error_body(raw: Any) -> bytes:
    from urllib3.exceptions import HTTPError

    try:
        body: bytes = raw.read(_MAX_ERROR_BYTES, decode_content=True)
    except (HTTPError, OSError):
        return b""
    return body


def _refused(status: int, body: bytes) -> OutboundError:
    """S3's error document as an error; a bare status where the body is none."""
    bare = {404: "NoSuchKey", 403: "AccessDenied"}.get(status, f"HTTP{status}")
    try:
        document = ElementTree.fromstring(body)  # noqa: S314 - expat of this Python refuses entity bombs; 64 KiB at most
        code, message = document.findtext("Code") or bare, document.findtext("Message") or ""
    except ElementTree.ParseError:
        code, message = bare, ""
    return OutboundError(code, message or f"the server answered {status}", retryable=status in _RETRYABLE_STATUSES)
