"""Properties of keys, log files and delivery as a whole."""

import gzip
import hashlib
import json
import re
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.delivery.logfile import Compression, LogFileWriter, build, content_sha256
from opentrail.delivery.object_keys import UNIQUE_ALPHABET, LogFileKey, parse
from opentrail.errors import OutboundError
from opentrail.trails.names import log_root
from tests.support.delivery_world import BUCKET, IRELAND, VIRGINIA, DeliveryWorld
from tests.support.memory_store import MemoryObjectStore

# What AWS's own reader recognises log files by (cloudtrail fact sheet 3.2).
READERS_PATTERN = re.compile(r".+_CloudTrail_[\w\-]+_\d{8}T\d{4}Z_[\w]+\.json\.gz")
MINUTES = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1)).map(  # noqa: DTZ001  # the zone comes with replace
    lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
)
KEYS = st.builds(
    LogFileKey,
    root=st.builds(
        log_root,
        st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9._ -]{1,20}(/[A-Za-z0-9._-]{1,20}){0,2}", fullmatch=True)),
        st.from_regex(r"[0-9]{12}", fullmatch=True),
        st.one_of(st.none(), st.from_regex(r"o-[a-z0-9]{10,32}", fullmatch=True)),
    ),
    region=st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1", "ap-southeast-2"]),
    stamp=MINUTES,
    unique=st.text(UNIQUE_ALPHABET, min_size=16, max_size=16),
)
COMPRESSIONS = st.one_of(
    st.builds(Compression, st.just("isal"), st.integers(0, 3)),
    st.builds(Compression, st.just("zlib"), st.integers(0, 9)),
)
RECORDS = st.lists(st.binary(max_size=20).map(lambda raw: json.dumps({"x": raw.hex()}).encode()), min_size=1)


def _one_character_less(key: str) -> st.SearchStrategy[str]:
    return st.integers(0, len(key) - 1).map(lambda cut: key[:cut] + key[cut + 1 :])


@given(KEYS)
@settings(max_examples=200)
def test_a_key_reads_back_and_is_recognised_by_readers(key: LogFileKey) -> None:
    """Every key that we make parses back to the same parts, and matches the pattern of AWS's reader."""
    assert parse(str(key)) == key
    assert READERS_PATTERN.fullmatch(str(key))


@given(st.one_of(st.text(max_size=200), KEYS.map(str).flatmap(_one_character_less)))
@settings(max_examples=200)
def test_any_text_parses_to_its_own_key_or_to_nothing(text: str) -> None:
    """Parsing never raises, and what it finds prints as the text it was found in."""
    found = parse(text)
    assert found is None or str(found) == text


@given(RECORDS, COMPRESSIONS, st.data())
@settings(max_examples=100)
def test_a_log_file_holds_its_records_and_nothing_else(
    records: list[bytes], compression: Compression, data: st.DataObject
) -> None:
    """The content is the envelope around the records' own bytes, in one gzip member without a time, however fed."""
    file = build(records, compression)
    content = b'{"Records":[' + b",".join(records) + b"]}"
    assert gzip.decompress(file.body) == content
    assert file.body[4:8] == bytes(4)
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert file.record_count == len(records)
    assert content_sha256(file.body, max_bytes=len(content)) == file.sha256
    writer = LogFileWriter(compression)
    cut = data.draw(st.integers(0, len(records)))
    writer.add(records[:cut])
    writer.add(records[cut:])
    assert writer.finish() == file


@given(st.binary(max_size=300), st.integers(0, 1000))
@settings(max_examples=200)
def test_strange_objects_never_raise(body: bytes, limit: int) -> None:
    """Whatever lies at a key, comparing it with a log file gives a hash or None."""
    assert content_sha256(body, max_bytes=limit) in (None, *_possible_hashes(body))


def _possible_hashes(body: bytes) -> list[str]:
    try:
        return [hashlib.sha256(gzip.decompress(body)).hexdigest()]
    except (OSError, EOFError, ValueError):
        return []


class CrashError(BaseException):
    """The process ends here."""


class FailingStore(MemoryObjectStore):
    """A store whose next puts fail, or end the process, before or after they happened; as told in ``script``."""

    def __init__(self) -> None:
        super().__init__(BUCKET, "second-bucket")
        self.script: list[str] = []

    def put(self, *args: Any, **kwargs: Any) -> str:
        step = self.script.pop(0) if self.script else "ok"
        if step == "crash before":
            raise CrashError
        if step == "fail before":
            raise OutboundError("SlowDown", "later")
        etag = super().put(*args, **kwargs)
        if step == "crash after":
            raise CrashError
        if step == "fail after":
            raise OutboundError("ConnectionError", "the answer was lost")
        return etag


STEPS = st.one_of(
    st.tuples(
        st.just("record"),
        st.integers(1, 4),
        st.sets(st.sampled_from(["t1", "t2", "unknown"])),
        st.sampled_from([VIRGINIA, IRELAND]),
        st.integers(0, 200),
    ),
    st.tuples(st.just("script"), st.sampled_from(["ok", "crash before", "crash after", "fail before", "fail after"])),
    st.tuples(st.just("flush")),
    st.tuples(st.just("pass"), st.sampled_from([1, 10, 61])),
    st.tuples(st.just("restart")),
)


@given(st.lists(STEPS, max_size=25))
@settings(max_examples=60, deadline=None)
def test_every_routed_record_lands_in_exactly_one_log_file(steps: list[tuple[Any, ...]]) -> None:
    """Whatever happens in between (failures, lost answers, crashes around a put, restarts), at the end each trail's
    bucket holds every record that was routed to it exactly once.
    """
    with tempfile.TemporaryDirectory() as directory:
        store = FailingStore()
        world = DeliveryWorld(Path(directory), store, max_bytes=600)
        world.trail("t1")
        world.trail("t2", bucket="second-bucket")
        routed: dict[str, Counter[str]] = {"t1": Counter(), "t2": Counter(), "unknown": Counter()}
        for step in steps:
            _take(world, store, step, routed)
        store.script.clear()
        world.restart_courier()
        world.courier.flush()
        assert Counter(world.delivered(BUCKET)) == routed["t1"]
        assert Counter(world.delivered("second-bucket")) == routed["t2"]
        assert world.courier.lag.failure is None
        world.close()


def _take(world: DeliveryWorld, store: FailingStore, step: tuple[Any, ...], routed: dict[str, Counter[str]]) -> None:
    match step:
        case ("record", count, routes, partition, size_bytes):
            ids = world.record(count, routes=sorted(routes), partition=partition, size_bytes=size_bytes)
            for route in routes:
                routed[route].update(ids)
        case ("script", what):
            store.script.append(what)
        case ("flush",):
            _flush_or_crash(world)
        case ("pass", seconds):
            # Carriers run on threads there, and a crash must end the whole "process": only failures are left to them.
            store.script = [what for what in store.script if not what.startswith("crash")]
            world.pass_after(seconds)
        case _:
            world.restart_courier()


def _flush_or_crash(world: DeliveryWorld) -> None:
    try:
        world.courier.flush()
    except CrashError:
        world.restart_courier()
