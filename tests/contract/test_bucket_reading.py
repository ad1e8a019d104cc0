"""The port that the checker reads buckets through: boto3's credentials and a hand-made GET on a real SeaweedFS."""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from opentrail.clock import SystemClock
from opentrail.errors import ConfigError, OutboundError
from opentrail.local.seaweedfs import SeaweedFS
from opentrail.processes.ports import free_ports
from opentrail.storage.reading import S3ObjectReader
from opentrail.verify.keys import KeyRing, read_key_ring
from opentrail.verify.validation import Question, validate
from tests.support.digest_world import BUCKET, MemoryReader, Trail
from tests.support.seaweed import running_seaweed

ODD_KEYS = ["a b/c+d=e&f", "a/ü/日本.gz", "a/%41", "a/~'()*!", "AWSLogs/x:y@z,$;?#[]"]
BIG = gzip.compress(bytes(range(256)) * 2000)
DAYS = [f"days/2026/0{month}/{day:02}/{name}" for month in (1, 2) for day in (1, 9, 10) for name in ("1_x", "1_y")]


def reader_of(server: SeaweedFS, *, secret: str | None = None, endpoint: str | None = None) -> S3ObjectReader:
    session = boto3.session.Session(
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=secret or server.secret_access_key,
        region_name="us-east-1",
    )
    where = endpoint or server.endpoint
    return S3ObjectReader(session, SystemClock(), endpoint=where, region="us-east-1", connections=8)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real server with a trail's bucket and some odd keys."""
    with running_seaweed(tmp_path_factory.mktemp("s3")) as server:
        store = server.store()
        store.create_bucket(BUCKET)
        store.create_bucket("odd-keys")
        for key in ODD_KEYS:
            store.put("odd-keys", key, key.encode(), content_type="text/plain", metadata={"Named": "yes"})
        for key in DAYS:
            store.put("odd-keys", key, b"x", content_type="text/plain")
        store.put("odd-keys", "big", BIG, content_type="application/json", content_encoding="gzip")
        yield server


def content(reader: S3ObjectReader, bucket: str, key: str) -> bytes:
    with reader.open(bucket, key) as opened:
        return b"".join(opened.pieces)


def test_objects_come_as_stored_with_their_metadata(server: SeaweedFS) -> None:
    """Whatever their keys, and never inflated on the way (trap 49)."""
    reader = reader_of(server)
    for key in ODD_KEYS:
        with reader.open("odd-keys", key) as opened:
            assert b"".join(opened.pieces) == key.encode()
            assert opened.metadata == {"named": "yes"}
    assert content(reader, "odd-keys", "big") == BIG


def test_what_is_not_there_or_not_ours_is_told_apart(server: SeaweedFS) -> None:
    """By S3's own codes; none of them is worth another try."""
    cases = [
        (reader_of(server), BUCKET, "nothing", {"NoSuchKey"}),
        (reader_of(server), "no-such-bucket", "x", {"NoSuchBucket"}),
        (reader_of(server, secret="wrong"), "odd-keys", "big", {"SignatureDoesNotMatch", "AccessDenied"}),
    ]
    for reader, bucket, key, codes in cases:
        with pytest.raises(OutboundError) as refused:
            content(reader, bucket, key)
        assert refused.value.code in codes
        assert not refused.value.retryable


def test_a_server_that_is_not_there_may_be_asked_again(server: SeaweedFS) -> None:
    """The error says so; patience is the caller's."""
    nobody = reader_of(server, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(OutboundError) as refused:
        content(nobody, BUCKET, "x")
    assert refused.value.retryable


def test_no_credentials_is_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Told before anything is sent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError):
        S3ObjectReader(boto3.session.Session(), SystemClock(), endpoint="http://x", region="r", connections=1)


def test_listings_tell_keys_sizes_times_and_folders(server: SeaweedFS) -> None:
    """Odd keys come back as they were put."""
    reader = reader_of(server)
    entries = list(reader.list_objects("odd-keys", ""))
    assert {entry.key for entry in entries} == {*ODD_KEYS, *DAYS, "big"}
    assert {entry.size_bytes for entry in entries if entry.key == "a/%41"} == {5}
    assert all(datetime.now(UTC) - entry.modified_at < timedelta(minutes=10) for entry in entries)
    assert sorted(reader.list_folders("odd-keys", "")) == ["AWSLogs/", "a b/", "a/", "days/"]
    assert reader.list_folders("odd-keys", "days/2026/01/") == [f"days/2026/01/{day}/" for day in ("01", "09", "10")]


def test_days_are_listed_in_order_and_from_where_told(server: SeaweedFS) -> None:
    """What lies in date folders comes by date, as the checker needs it."""
    reader = reader_of(server)
    assert [entry.key for entry in reader.list_objects("odd-keys", "days/2026/")] == DAYS
    for after in (
        DAYS[3],
        "days/2026/01/08/~",
        "days/2026/01/09/~",
        "days/2026/01/31/~",
        "days/2026/03/01/~",
        "days/2025/12/31/~",
    ):
        listed = [entry.key for entry in reader.list_objects("odd-keys", "days/2026/", after)]
        assert listed == [key for key in DAYS if key > after]


def test_many_threads_share_one_reader(server: SeaweedFS) -> None:
    """More threads than connections."""
    reader = reader_of(server)
    with ThreadPoolExecutor(24) as pool:
        bodies = list(pool.map(lambda _: content(reader, "odd-keys", "big"), range(100)))
    assert set(bodies) == {BIG}


def test_a_bucket_on_a_real_server_is_validated(server: SeaweedFS) -> None:
    """The whole way: listings, folders, metadata, streams."""
    trail = Trail(MemoryReader().objects, prefix="deep/down").hours(3)
    store = server.store()

    class Keys:
        def ring(self, *_: object) -> KeyRing:
            return read_key_ring([trail.key.entry])

    for (_, key), stored in trail.objects.items():
        store.put(BUCKET, key, stored.body, content_type="application/json", content_encoding="gzip",
                  metadata=stored.metadata)  # fmt: skip
    question = Question(BUCKET, end=trail.now)
    report = validate(question, reader_of(server), Keys(), now=datetime.now(UTC), secret=b"s" * 32)
    assert report.whole, report.findings
    assert (report.chains[0].digests_valid, report.chains[0].logs_valid) == (3, 6)
    store.delete(BUCKET, trail.logs[1])
    report = validate(question, reader_of(server), Keys(), now=datetime.now(UTC), secret=b"s" * 32)
    assert [finding.kind for finding in report.findings] == ["log-missing"]
