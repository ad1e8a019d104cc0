"""A bucket with everything in it, as lifecycle rules need it: versions, delete markers, pending uploads (a port), and
any S3 behind it.

Versions come in the server's own order, because which of two is the newer one is for the server to say: stamps in
listings may be alike. boto3 splits its answer into versions and delete markers and forgets that order, so the document
is read here once more.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from opentrail.errors import OutboundError
from opentrail.storage.bucket import S3ObjectStore, translated

PAGE_ENTRIES = 1000
_ORDERED, _DOCUMENT = "OpenTrailOrdered", "OpenTrailDocument"
_GET_LIFECYCLE = "GetBucketLifecycleConfiguration"
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404"})


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker. ``version_id`` is ``null`` where the bucket keeps no versions;
    ``modified_at`` is aware. No ETag: SeaweedFS lists another one for encrypted objects than it answers (measured).
    """

    key: str
    version_id: str
    is_latest: bool
    is_marker: bool
    modified_at: datetime
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    initiated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A whole object: its bytes as stored, and what belongs to it. Names of ``metadata`` are in lower case; ``put_at``
    is in whole seconds.
    """

    body: bytes
    put_at: datetime
    metadata: Mapping[str, str]
    content_type: str
    content_encoding: str | None
    is_encrypted: bool


class VersionStore(Protocol):
    """Versions of objects, to be looked at and removed. Every method raises OutboundError, with the server's code."""

    def list_versions(self, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
        """Versions and delete markers below a prefix, those of one key together, the newest first."""

    def list_uploads(self, bucket: str, prefix: str) -> Iterator[PendingUpload]:
        """Multipart uploads under way below a prefix."""

    def tags(self, bucket: str, key: str, version_id: str) -> Mapping[str, str]:
        """The tags of a version."""

    def read(self, bucket: str, key: str, version_id: str) -> StoredFile:
        """A version with all that belongs to it. Code NoSuchKey or NoSuchVersion when there is none."""

    def put_at(self, bucket: str, key: str) -> datetime | None:
        """When that was put which a plain GET would give now, in whole seconds; None where that is nothing."""

    def remove(self, bucket: str, key: str, version_id: str | None) -> None:
        """Remove a version for good; without ``version_id`` delete the object as a caller would, which leaves a delete
        marker where the bucket keeps versions. What is not there is no error.
        """

    def abort(self, bucket: str, upload: PendingUpload) -> None:
        """Give up a multipart upload. One that is not there is no error."""


class S3Versions:
    """Any S3 through boto3, with the client of an S3ObjectStore.

    What does not fit on one page is listed folder by folder. SeaweedFS goes through folders in the order of their names
    and goes on after a key in the order of keys, in which ``CloudTrail-Digest/`` comes before ``CloudTrail/``: over
    several pages it leaves the one out (measured). What is still left out, among more than a page of names in one
    folder of which one begins with another, is listed once there are fewer.
    """

    def __init__(self, store: S3ObjectStore, *, page_entries: int = PAGE_ENTRIES) -> None:
        self._store = store
        self._page_entries = page_entries

    def list_versions(self, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
        with translated({}):
            versioning = self._store.client().get_bucket_versioning(Bucket=bucket)
        if "Status" not in versioning:
            yield from self._objects(bucket, prefix)
            return
        waiting = [prefix]
        while waiting:
            below = waiting.pop()
            whole = self._version_page(bucket, below)
            if not whole.get("IsTruncated"):
                yield from whole[_ORDERED]
                continue
            folders: list[str] = []
            for page in self._version_pages(bucket, below):
                yield from page[_ORDERED]
                folders += [folder["Prefix"] for folder in page.get("CommonPrefixes", [])]
            waiting += reversed([folder for folder in dict.fromkeys(folders) if folder != below])

    def _objects(self, bucket: str, prefix: str) -> Iterator[ObjectVersion]:
        """The objects of a bucket that never kept versions; cheaper to list (measured)."""
        more: dict[str, Any] = {}
        while True:
            with translated({}):
                page: Any = self._store.client().list_objects_v2(
                    Bucket=bucket, Prefix=prefix, MaxKeys=self._page_entries, **more
                )
            for one in page.get("Contents", []):
                yield ObjectVersion(
                    one["Key"],
                    "null",
                    is_latest=True,
                    is_marker=False,
                    modified_at=one["LastModified"],
                    size_bytes=one["Size"],
                )
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _version_pages(self, bucket: str, prefix: str) -> Iterator[Any]:
        """Pages of one folder: what is in it, and the names of those below."""
        more: dict[str, Any] = {}
        while True:
            page = self._version_page(bucket, prefix, Delimiter="/", **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"]}
            if page.get("NextVersionIdMarker"):
                more["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _version_page(self, bucket: str, prefix: str, **asked: Any) -> Any:
        client = self._store.client()
        client.meta.events.register("after-call.s3.ListObjectVersions", _keep_order, unique_id="opentrail-order")
        with translated({}):
            return client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=self._page_entries, **asked)

    def list_uploads(self, bucket: str, prefix: str) -> Iterator[PendingUpload]:
        more: dict[str, Any] = {}
        while True:
            with translated({}):
                page: Any = self._store.client().list_multipart_uploads(
                    Bucket=bucket, Prefix=prefix, MaxUploads=self._page_entries, **more
                )
            for one in page.get("Uploads", []):
                yield PendingUpload(one["Key"], one["UploadId"], one["Initiated"])
            if not page.get("IsTruncated"):
                return
            # SeaweedFS orders uploads by their ids, names no key to go on after, and goes wrong with one (measured).
            names = ("KeyMarker", "UploadIdMarker")
            more = {name: page[f"Next{name}"] for name in names if page.get(f"Next{name}")}

    def tags(self, bucket: str, key: str, version_id: str) -> Mapping[str, str]:
        with translated({}):
            answer = self._store.client().get_object_tagging(Bucket=bucket, Key=key, **_version(version_id))
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def read(self, bucket: str, key: str, version_id: str) -> StoredFile:
        with translated({"404": "NoSuchKey"}):
            answer = self._store.client().get_object(Bucket=bucket, Key=key, **_version(version_id))
            body: bytes = answer["Body"].read()
        return StoredFile(
            body,
            answer["LastModified"].replace(microsecond=0),
            {name.lower(): value for name, value in answer["Metadata"].items()},
            answer.get("ContentType") or "binary/octet-stream",
            answer.get("ContentEncoding"),
            is_encrypted=bool(answer.get("ServerSideEncryption")),
        )

    def put_at(self, bucket: str, key: str) -> datetime | None:
        try:
            with translated({"404": "NoSuchKey"}):
                answer = self._store.client().head_object(Bucket=bucket, Key=key)
        except OutboundError as error:
            if error.code in _GONE:
                return None
            raise
        return answer["LastModified"].replace(microsecond=0)

    def remove(self, bucket: str, key: str, version_id: str | None) -> None:
        arguments: dict[str, Any] = {"VersionId": version_id} if version_id is not None else {}
        with _gone_is_fine(), translated({}):
            self._store.client().delete_object(Bucket=bucket, Key=key, **arguments)

    def abort(self, bucket: str, upload: PendingUpload) -> None:
        with _gone_is_fine(), translated({}):
            self._store.client().abort_multipart_upload(Bucket=bucket, Key=upload.key, UploadId=upload.upload_id)

    def lifecycle(self, bucket: str) -> bytes | None:
        """The lifecycle configuration that the server keeps for a bucket, in S3's XML; None where there is none."""
        client = self._store.client()
        client.meta.events.register(f"after-call.s3.{_GET_LIFECYCLE}", _keep_document, unique_id="opentrail-document")
        try:
            with translated({}):
                answer: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
        except OutboundError as error:
            if error.code in ("NoSuchLifecycleConfiguration", "NoSuchBucket"):
                return None
            raise
        document: bytes = answer[_DOCUMENT]
        return document

    def delete_lifecycle(self, bucket: str) -> None:
        """Remove the configuration that the server keeps."""
        with translated({}):
            self._store.client().delete_bucket_lifecycle(Bucket=bucket)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except OutboundError as error:
        if error.code not in _GONE:
            raise


def _version(version_id: str) -> dict[str, Any]:
    """The parameter for a version; where there are no versions, servers know the object by its key alone."""
    return {} if version_id == "null" else {"VersionId": version_id}


def _keep_order(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code == 200:
        parsed[_ORDERED] = read_versions(http_response.content)


def _keep_document(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code == 200:
        parsed[_DOCUMENT] = http_response.content


def read_versions(document: bytes) -> list[ObjectVersion]:
    """The entries of a ListObjectVersions answer in its order. Raises OutboundError where it is none."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - this Python's expat stops entity bombs
        space = root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""
        encoded = root.findtext(f"{space}EncodingType") == "url"
        names = {f"{space}Version", f"{space}DeleteMarker"}
        return [_entry(node, space, encoded) for node in root if node.tag in names]
    except (ElementTree.ParseError, ValueError, OverflowError) as error:
        message = f"the server's listing of versions cannot be read: {error}"
        raise OutboundError("InvalidListing", message, retryable=False) from error


def _entry(node: ElementTree.Element, space: str, encoded: bool) -> ObjectVersion:  # noqa: FBT001 - private
    key = node.findtext(f"{space}Key")
    if not key:
        raise ValueError("an entry without a key")
    modified = datetime.fromisoformat(node.findtext(f"{space}LastModified") or "")
    return ObjectVersion(
        unquote_plus(key) if encoded else key,
        node.findtext(f"{space}VersionId") or "null",
        is_latest=node.findtext(f"{space}IsLatest") == "true",
        is_marker=node.tag == f"{space}DeleteMarker",
        modified_at=modified if modified.tzinfo else modified.replace(tzinfo=UTC),
        size_bytes=int(node.findtext(f"{space}Size") or "0"),
    )
