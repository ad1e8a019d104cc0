"""Reading a bucket of somebody else's: a port (whole streams, metadata, listings), and any S3 behind it.

Reading only: nothing here writes. An object comes in pieces as it arrives, byte for byte as stored, so that memory does
not grow with objects. Requests are signed and sent by hand over botocore's connection pool, because its client costs
about a millisecond of CPU per object and a fifth of one per line of a listing, more than checking a file (measured).
A listing's page is asked for again while the store is busy. An object is not, because its reader would have to
begin anew: ``retryable`` of the error says whether that may help.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from opentrail.aws.sigv4 import Scope, SigningKeys, sign
from opentrail.clock import Clock
from opentrail.errors import ConfigError, OutboundError
from opentrail.storage.bucket import CONNECTION_ERROR
from opentrail.storage.listings import ListingPage, ObjectEntry, read_listing
from opentrail.storage.patience import patiently

PIECE_BYTES = 64 * 1024
_METADATA_PREFIX = "x-amz-meta-"
_EMPTY_SHA256 = sha256(b"").hexdigest()
_MAX_ERROR_BYTES = 64 * 1024
_RETRYABLE_STATUSES = frozenset({429, 500, 502, 503, 504})


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

    Raises ConfigError where the session has no usable credentials, profile or endpoint.
    """

    def __init__(
        self,
        session: Any,
        clock: Clock,
        *,
        endpoint: str | None,
        region: str,
        connections: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        # A client is made only to learn the endpoint, which profiles, variables and partitions have a say in.
        config = Config(s3={"addressing_style": "path"})
        try:
            self._credentials = session.get_credentials()
            base = session.client("s3", endpoint_url=endpoint, region_name=region, config=config).meta.endpoint_url
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise ConfigError(str(error)) from error
        if self._credentials is None:
            raise ConfigError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
        self._clock = clock
        self._sleep = sleep
        self._region = region
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
            _let_go(answer.raw)

    def list_objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        for page in self._pages(bucket, {"prefix": prefix} | ({"start-after": after} if after else {})):
            yield from page.entries

    def list_folders(self, bucket: str, prefix: str) -> list[str]:
        pages = self._pages(bucket, {"prefix": prefix, "delimiter": "/"})
        return [folder for page in pages for folder in page.folders]

    def _pages(self, bucket: str, query: Mapping[str, str]) -> Iterator[ListingPage]:
        more: dict[str, str] = {}
        while True:
            # Keys may hold characters that XML cannot, so they are asked for percent-encoded, as botocore does.
            asked = urlencode({"list-type": "2", "encoding-type": "url", **query, **more}, quote_via=quote, safe="~")
            page = patiently(partial(self._page, bucket, asked), self._sleep)
            yield page
            if page.next_token is None:
                return
            more = {"continuation-token": page.next_token}

    def _page(self, bucket: str, query: str) -> ListingPage:
        answer = self._get(f"{self._root}/{quote(bucket, safe='')}", query)
        try:
            if answer.status_code != 200:
                raise _refused(answer.status_code, _error_body(answer.raw))
            return read_listing(b"".join(_pieces(answer.raw, None)))
        finally:
            _let_go(answer.raw)

    def _get(self, path: str, query: str = "") -> Any:
        from botocore.awsrequest import AWSPreparedRequest, HeadersDict
        from botocore.exceptions import BotoCoreError

        now = self._clock.now()
        try:
            frozen = self._credentials.get_frozen_credentials()  # may ask STS or the machine for new ones
        except BotoCoreError as error:
            raise OutboundError("CredentialsUnavailable", str(error), retryable=False) from error
        headers = {"host": self._host}
        if frozen.token:
            headers["x-amz-security-token"] = frozen.token
        scope = Scope(f"{now:%Y%m%d}", self._region, "s3")
        headers |= sign(
            "GET",
            path,
            query,
            headers,
            key=self._signing_keys.get(frozen.access_key, frozen.secret_key, scope),
            access_key_id=frozen.access_key,
            scope=scope,
            signed_at=now,
            payload_hash=_EMPTY_SHA256,
        )
        request = AWSPreparedRequest(
            method="GET",
            url=f"{self._origin}{path}{'?' if query else ''}{query}",
            headers=HeadersDict(headers),
            body=None,
            stream_output=True,
        )
        try:
            return self._http.send(request)
        except BotoCoreError as error:
            raise OutboundError(CONNECTION_ERROR, str(error)) from error


def _let_go(raw: Any) -> None:
    """Give a connection back where its answer was read to the end; drop it otherwise, for the rest is in the way."""
    if raw.isclosed():
        raw.release_conn()
    else:
        raw.close()


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
