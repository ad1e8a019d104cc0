"""Changes at the S3 server behind the door: announced before they are sent on, and never answered without evidence."""

import asyncio
import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from opentrail.aws.http import RequestHead
from opentrail.clock import SystemClock
from opentrail.gateway.exchange import Caller, Incoming
from opentrail.gateway.upstream import Upstream, UpstreamSettings
from opentrail.identity.buckets import Buckets
from opentrail.state.database import Database
from tests.support.door_server import A, DoorServer, ListingRecorder, door_of, running_door
from tests.support.seaweed import running_seaweed


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstreamSettings]:
    """A SeaweedFS for all tests of this file."""
    with running_seaweed(tmp_path_factory.mktemp("weed")) as s3:
        yield UpstreamSettings(s3.endpoint, "us-east-1", s3.access_key_id, s3.secret_access_key)


@pytest.fixture
def door(settings: UpstreamSettings) -> Iterator[DoorServer]:
    """A door with a bucket ``intents`` of account A; what it recorded so far is forgotten."""
    with running_door(settings, default_owner=A.account_id) as server:
        client = server.client(A)
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket="intents")
        client.put_object(Bucket="intents", Key="k", Body=b"content")
        server.recorder.records.clear()
        server.recorder.intents.clear()
        yield server


def test_changes_leave_an_intent_and_reads_leave_none(door: DoorServer) -> None:
    """One intent and one record for each change that is sent on; what is answered here needs no intent."""
    client = door.client(A)
    client.put_object(Bucket="intents", Key="k", Body=b"content")
    client.get_object(Bucket="intents", Key="k")["Body"].read()
    client.list_objects_v2(Bucket="intents")
    client.put_object_tagging(Bucket="intents", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    client.copy_object(Bucket="intents", Key="l", CopySource="intents/k")
    client.delete_objects(Bucket="intents", Delete={"Objects": [{"Key": "l"}]})
    client.delete_object(Bucket="intents", Key="k")
    client.create_bucket(Bucket="intents-2")
    client.delete_bucket_policy(Bucket="intents-2")
    client.delete_bucket(Bucket="intents-2")
    changes = ["PutObject", "PutObjectTagging", "CopyObject", "DeleteObjects", "DeleteObject"]
    assert door.recorder.intents == [*changes, "CreateBucket", "DeleteBucket"]
    recorded = door.recorder.names()
    assert [name for name in recorded if name in (*changes, "CreateBucket", "DeleteBucket")] == door.recorder.intents


def test_what_is_refused_here_leaves_no_intent(door: DoorServer) -> None:
    """An intent says that something was sent on, so it comes after every check."""
    client = door.client(A)
    with pytest.raises(ClientError):
        client.put_object(Bucket="intents-that-never-were", Key="k", Body=b"x")
    with pytest.raises(ClientError):
        client.put_object(Bucket="intents", Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert door.recorder.intents in ([], ["PutObject"])  # the digest is the server's to check
    assert len(door.recorder.records) == 2


def test_nothing_is_sent_on_while_intents_cannot_be_written(door: DoorServer) -> None:
    """A journal that takes no intent refuses the change before it happens."""
    client = door.client(A)
    door.recorder.failing = True
    changes: list[Callable[[], object]] = [
        lambda: client.put_object(Bucket="intents", Key="new", Body=b"x"),
        lambda: client.put_object(Bucket="intents", Key="new", Body=b"x" * 2_000_000),
        lambda: client.create_bucket(Bucket="intents-3"),
    ]
    for change in changes:
        with pytest.raises(ClientError) as caught:
            change()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    door.recorder.failing = False
    assert [item["Key"] for item in client.list_objects_v2(Bucket="intents")["Contents"]] == ["k"]


def test_an_outcome_that_cannot_be_recorded_is_not_answered(door: DoorServer) -> None:
    """The change was made and nobody is told so: the connection ends without a status, and the intent stays open."""
    client = door.client(A, inject_host_prefix=False)
    door.recorder.losing = True
    with pytest.raises((ConnectionClosedError, http.client.HTTPException)):
        client.put_object(Bucket="intents", Key="k", Body=b"changed")
    door.recorder.losing = False
    assert door.recorder.intents == ["PutObject"]
    assert door.recorder.records == []
    assert client.get_object(Bucket="intents", Key="k")["Body"].read() == b"changed"


@contextmanager
def silent_server() -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads a request and hangs up instead of answering it."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    heads.append(connection.recv(65536))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], heads
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.mark.parametrize("method", ["put_object", "get_object"])
def test_a_change_without_an_answer_is_recorded_as_unknown(method: str) -> None:
    """It was sent on and may have been made; a read just failed. The caller hears that the service is unavailable."""
    with silent_server() as (port, heads):
        settings = UpstreamSettings(f"http://127.0.0.1:{port}", "us-east-1", "K", "S", read_timeout_s=5)
        with running_door(settings) as door:
            _own(door, "bucket")
            with pytest.raises(ClientError) as caught:
                getattr(door.client(A), method)(Bucket="bucket", Key="k")
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert any(head for head in heads)
            (record,) = door.recorder.records
            expected = "OutcomeUnknown" if method == "put_object" else "ServiceUnavailable"
            assert record.outcome.error_code == expected


def test_a_change_that_could_not_be_sent_was_not_made() -> None:
    """Nobody listens: nothing is unknown about that."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        settings = UpstreamSettings(f"http://127.0.0.1:{reserved.getsockname()[1]}", "us-east-1", "K", "S")
        with running_door(settings) as door:
            _own(door, "bucket")
            with pytest.raises(ClientError):
                door.client(A).put_object(Bucket="bucket", Key="k", Body=b"x")
            assert [record.outcome.error_code for record in door.recorder.records] == ["ServiceUnavailable"]


def test_a_client_that_leaves_does_not_cancel_a_change(settings: UpstreamSettings, tmp_path: Path) -> None:
    """The change goes on, and its outcome is recorded, although nobody waits for the answer."""
    with slow_front(settings) as (slow, release), running_door(slow) as door:
        _own(door, "intents")
        head = door.client(A, signature_version="s3v4").generate_presigned_url(
            "put_object", Params={"Bucket": "intents", "Key": "left"}
        )
        path = head.partition(f":{door.port}")[2]
        with socket.create_connection(("127.0.0.1", door.port)) as client:
            client.sendall(
                f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nContent-Length: 4\r\n\r\nleft".encode()
            )
            assert slow_arrived.wait(10)
        release.set()
        deadline = threading.Event()
        for _ in range(100):
            if door.recorder.records:
                break
            deadline.wait(0.1)
        assert [(r.call.event_name, r.outcome.error_code) for r in door.recorder.records] == [("PutObject", None)]


def test_a_change_that_is_cancelled_after_it_was_sent_on_is_not_recorded_as_failed() -> None:
    """Stopped in the middle: it may still be made, so its intent stands for it, and the next start says so."""

    async def body() -> AsyncIterator[bytes]:
        yield b"content"

    async def main() -> ListingRecorder:
        arrived, recorder, database = asyncio.Event(), ListingRecorder(), Database(None)

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            arrived.set()
            await asyncio.Event().wait()

        listening = await asyncio.start_server(never_answer, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        upstream = Upstream(UpstreamSettings(f"http://127.0.0.1:{port}", "us-east-1", "K", "S"), SystemClock())
        database.create_tables()
        buckets = Buckets(database)
        with database.unit() as unit:
            buckets.create(unit, "bucket", A.account_id, "us-east-1", SystemClock().now())
        head = RequestHead("PUT", "/bucket/k", "", {"host": "localhost", "content-length": "7"})
        incoming = Incoming(head, body(), "r-1", SystemClock().now())
        call = asyncio.ensure_future(door_of(upstream, buckets, database, recorder).handle(incoming, Caller(A)))
        await arrived.wait()
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:  # as a loop that ends does it
            task.cancel()
        await asyncio.gather(call, *under_way, return_exceptions=True)
        return recorder

    recorder = asyncio.run(main())
    assert recorder.intents == ["PutObject"]
    assert recorder.records == []


slow_arrived = threading.Event()


@contextmanager
def slow_front(settings: UpstreamSettings) -> Iterator[tuple[UpstreamSettings, threading.Event]]:
    """A relay in front of the S3 server that lets requests through once it is told to."""
    release = threading.Event()
    slow_arrived.clear()
    target = int(settings.endpoint.rpartition(":")[2])
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(65536)
        slow_arrived.set()
        await asyncio.to_thread(release.wait, 10)
        answers, requests = await asyncio.open_connection("127.0.0.1", target)
        requests.write(request)
        writer.write(await answers.read(65536))
        await writer.drain()
        requests.close()
        writer.close()

    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = listening.sockets[0].getsockname()[1]
    where = UpstreamSettings(
        f"http://127.0.0.1:{port}", settings.region, settings.access_key_id, settings.secret_access_key
    )
    try:
        yield where, release
    finally:
        release.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _own(door: DoorServer, bucket: str) -> None:
    """Let account A own a bucket without asking the upstream."""
    with door.database.unit() as unit:
        door.buckets.create(unit, bucket, A.account_id, "us-east-1", SystemClock().now())
