"""The object store port: the same promises from the in-memory store and from boto3 on a real SeaweedFS."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opentrail.errors import OutboundError
from opentrail.local.seaweedfs import SeaweedFS
from opentrail.processes.ports import free_ports
from opentrail.storage.bucket import ObjectStore, S3ObjectStore
from tests.support.memory_store import MemoryObjectStore
from tests.support.seaweed import running_seaweed

BUCKET = "contract-bucket"


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real server."""
    with running_seaweed(tmp_path_factory.mktemp("s3")) as server:
        server.store().create_bucket(BUCKET)
        yield server


@pytest.fixture(scope="module")
def memory() -> MemoryObjectStore:
    """The stand-in."""
    return MemoryObjectStore(BUCKET)


@pytest.fixture(params=["memory", "seaweed"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each implementation in turn, with an existing bucket."""
    made = request.getfixturevalue(request.param)
    return made.store() if isinstance(made, SeaweedFS) else made


def put(store: ObjectStore, key: str, body: bytes = b"body") -> str:
    """Store a plain object."""
    return store.put(BUCKET, key, body, content_type="text/plain")


def code_of(caught: pytest.ExceptionInfo[OutboundError]) -> tuple[str, bool]:
    """The error's code, and whether it may pass by itself."""
    return caught.value.code, caught.value.retryable


def test_an_object_comes_back_with_everything_it_was_put_with(store: ObjectStore) -> None:
    """Bytes, ETag, type, encoding, metadata and encryption are those of the put; nothing is decompressed."""
    body = b"\x1f\x8b not really gzip"
    etag = store.put(
        BUCKET,
        "a/b c+d é.json.gz",
        body,
        content_type="application/json",
        content_encoding="gzip",
        metadata={"Signature": "aabb"},
        acl="bucket-owner-full-control",
        server_side_encryption="AES256",
    )
    head = store.head(BUCKET, "a/b c+d é.json.gz")
    assert store.get(BUCKET, "a/b c+d é.json.gz") == body
    assert head is not None
    assert (head.size_bytes, head.etag, etag) == (len(body), hashlib.md5(body).hexdigest(), head.etag)
    assert (head.content_type, head.content_encoding) == ("application/json", "gzip")
    assert (dict(head.metadata), head.server_side_encryption) == ({"signature": "aabb"}, "AES256")


def test_a_file_is_sent_whole(store: ObjectStore) -> None:
    """A file object works like its bytes, wherever it stands."""
    file = io.BytesIO(b"kept" * 100_000)
    file.seek(4)
    store.put(BUCKET, "file", file, content_type="application/gzip")
    assert store.get(BUCKET, "file") == b"kept" * 100_000


def test_an_object_is_downloaded_into_a_file_as_it_is(store: ObjectStore) -> None:
    """What is larger than one piece comes whole and undecompressed; what is not there is NoSuchKey."""
    body = b"\x1f\x8b" + b"kept" * 400_000
    store.put(BUCKET, "large", body, content_type="application/gzip", content_encoding="gzip")
    out = io.BytesIO()
    store.download(BUCKET, "large", out)
    assert out.getvalue() == body
    with pytest.raises(OutboundError) as caught:
        store.download(BUCKET, "nothing", io.BytesIO())
    assert code_of(caught) == ("NoSuchKey", False)


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    """Zero bytes are stored too, as CloudTrail's marker object needs."""
    put(store, "empty/", b"")
    assert store.get(BUCKET, "empty/") == b""


def test_a_second_put_replaces(store: ObjectStore) -> None:
    """Without a condition the last one wins."""
    put(store, "twice", b"1")
    put(store, "twice", b"2")
    assert store.get(BUCKET, "twice") == b"2"


def test_only_if_absent_never_replaces(store: ObjectStore) -> None:
    """The first conditional put stores, the second is refused with PreconditionFailed and changes nothing."""
    store.put(BUCKET, "once", b"1", content_type="text/plain", only_if_absent=True)
    with pytest.raises(OutboundError) as caught:
        store.put(BUCKET, "once", b"2", content_type="text/plain", only_if_absent=True)
    assert code_of(caught) == ("PreconditionFailed", False)
    assert store.get(BUCKET, "once") == b"1"


def test_a_missing_object_is_told(store: ObjectStore) -> None:
    """GET says NoSuchKey, HEAD says None, DELETE is content."""
    with pytest.raises(OutboundError) as caught:
        store.get(BUCKET, "missing")
    assert code_of(caught) == ("NoSuchKey", False)
    assert store.head(BUCKET, "missing") is None
    store.delete(BUCKET, "missing")


def test_a_deleted_object_is_gone(store: ObjectStore) -> None:
    """After delete nothing is found."""
    put(store, "gone")
    store.delete(BUCKET, "gone")
    assert store.head(BUCKET, "gone") is None


def test_a_missing_bucket_is_told(store: ObjectStore) -> None:
    """Every call but HEAD names NoSuchBucket, and retrying is pointless."""
    for call in (
        lambda: store.put("no-such-bucket", "k", b"", content_type="text/plain"),
        lambda: store.get("no-such-bucket", "k"),
        lambda: list(store.list_keys("no-such-bucket", "")),
    ):
        with pytest.raises(OutboundError) as caught:
            call()
        assert code_of(caught) == ("NoSuchBucket", False)
    assert store.head("no-such-bucket", "k") is None
    assert not store.bucket_exists("no-such-bucket")


def test_a_bucket_is_created_once(store: ObjectStore) -> None:
    """A new bucket exists; creating it again is refused."""
    store.create_bucket("created-bucket")
    assert store.bucket_exists("created-bucket")
    with pytest.raises(OutboundError, match="BucketAlready"):
        store.create_bucket("created-bucket")


def test_keys_are_listed_by_prefix_in_order(store: ObjectStore) -> None:
    """Only keys below the prefix come, sorted; none is no error."""
    for key in ("list/b", "list/a/1", "list/a/2", "listless"):
        put(store, key)
    assert list(store.list_keys(BUCKET, "list/")) == ["list/a/1", "list/a/2", "list/b"]
    assert list(store.list_keys(BUCKET, "none/")) == []


def test_listing_goes_over_pages(seaweed: SeaweedFS) -> None:
    """More keys than one answer holds (1000) all come, in order."""
    store = seaweed.store()
    keys = [f"many/{number:04}" for number in range(1003)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: put(store, key, b""), keys))
    assert list(store.list_keys(BUCKET, "many/")) == keys


def test_one_of_many_conditional_puts_wins(seaweed: SeaweedFS) -> None:
    """Ten threads race for one key; one succeeds, nine are told so, and the winner's bytes stay."""
    store = seaweed.store()

    def race(body: bytes) -> bytes | str:
        try:
            store.put(BUCKET, "race", body, content_type="text/plain", only_if_absent=True)
        except OutboundError as error:
            return error.code
        return body

    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(race, [b"%d" % number for number in range(10)]))
    winners = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    assert winners == [store.get(BUCKET, "race")]
    assert outcomes.count("PreconditionFailed") == 9


@pytest.mark.parametrize(("key_id", "secret"), [("AKIAUNKNOWN", "x"), (None, "wrong")])
def test_wrong_keys_are_refused(seaweed: SeaweedFS, key_id: str | None, secret: str) -> None:
    """Unknown keys and wrong secrets are errors that waiting does not cure, also where the answer has no body."""
    store = S3ObjectStore(seaweed.endpoint, "us-east-1", key_id or seaweed.access_key_id, secret)
    with pytest.raises(OutboundError) as caught:
        put(store, "k")
    assert not caught.value.retryable
    with pytest.raises(OutboundError) as caught:
        store.bucket_exists(BUCKET)
    assert code_of(caught) == ("AccessDenied", False)


def test_no_answer_is_a_connection_error_that_may_pass(tmp_path: Path) -> None:
    """Where nobody listens every call says ConnectionError, without retries of its own and without the keys."""
    store = S3ObjectStore(f"http://127.0.0.1:{free_ports(1)[0]}", "us-east-1", "AKIAKEY", "canary")
    for call in (lambda: put(store, "k"), lambda: store.head(BUCKET, "k"), lambda: list(store.list_keys(BUCKET, ""))):
        with pytest.raises(OutboundError) as caught:
            call()
        assert code_of(caught) == ("ConnectionError", True)
        assert "canary" not in str(caught.value)


def test_what_cannot_be_asked_is_not_retryable(seaweed: SeaweedFS) -> None:
    """A call that the client library refuses to send is an InvalidRequest."""
    with pytest.raises(OutboundError) as caught:
        seaweed.store().put("not a bucket name", "k", b"", content_type="text/plain")
    assert code_of(caught) == ("InvalidRequest", False)


def test_the_memory_store_fails_as_told() -> None:
    """An outage fails every call, a listed failure only one."""
    store = MemoryObjectStore(BUCKET)
    store.failures.append(OutboundError("SlowDown", "once"))
    with pytest.raises(OutboundError, match="SlowDown"):
        put(store, "k")
    put(store, "k")
    store.outage = OutboundError("ConnectionError", "down")
    with pytest.raises(OutboundError, match="ConnectionError"):
        store.head(BUCKET, "k")
    assert store.puts == [(BUCKET, "k")]
