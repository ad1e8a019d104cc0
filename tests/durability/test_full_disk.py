"""A full disk: calls are refused while they cannot be recorded, before they are sent on and never after, and nothing
acknowledged is lost.
"""

import http.client
import os
import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.behind import running_world
from tests.support.callers import Callers
from tests.support.gateway import Gateway, call, delivered, make_trail, start
from tests.support.ledger import Ledger
from tests.support.reckoning import UNKNOWN

BUCKET = "aws-cloudtrail-logs-123456789012-0000ffff"
MIB = 1 << 20
DISK_CALLERS = 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A HOME whose journal lies on a file system of 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    journal = tmp_path / "home" / "journal"
    journal.mkdir(parents=True, mode=0o700)
    options = ("-t", "tmpfs", "-o", "size=16m,mode=700", "none", str(journal))
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    yield journal
    subprocess.run(["umount", "-l", str(journal)], check=True)


def _fill(disk: Path) -> Path:
    """Leave no room on a disk; the file that takes it."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:  # somebody else may want the last bytes too
        while file.write(b"\0" * 65536):
            pass
    return filler


def _not_ready(gateway: Gateway) -> str:
    """What the gateway says while it is not ready."""
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"))
    connection.request("GET", "/_opentrail/ready")
    answer = connection.getresponse()
    assert answer.status == 503
    return answer.read().decode()


def test_a_full_disk_refuses_calls_and_loses_none(small_disk: Path) -> None:
    """503 and a red readiness while there is no room, service again when there is; no acknowledged call is lost."""
    settings = {"OPENTRAIL_JOURNAL_SEGMENT_BYTES": str(MIB), "OPENTRAIL_DELIVERY_INTERVAL_S": "3600"}
    gateway = start(small_disk.parent, settings)
    make_trail(gateway, BUCKET)
    filler = _fill(small_disk)
    acknowledged: list[str] = []
    padding = "x" * 900
    statuses: set[int] = set()
    for _ in range(8000):
        status, request_id = call(gateway, "opsworks-cm", "DescribeServers", {}, f"fill/{uuid.uuid4()}/{padding}")
        statuses.add(status)
        if status == 200:
            acknowledged.append(request_id)
        if status == 503:
            break
    assert statuses == {200, 503}
    assert "the journal cannot grow" in _not_ready(gateway)
    filler.unlink()
    deadline = time.monotonic() + 20
    while (outcome := call(gateway, "opsworks-cm", "DescribeServers", {}, f"fill/{uuid.uuid4()}"))[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    acknowledged.append(outcome[1])
    assert gateway.stop() == 0
    gateway = start(small_disk.parent, {"OPENTRAIL_JOURNAL_SEGMENT_BYTES": str(MIB)})
    s3 = gateway.client("s3")
    wanted = set(acknowledged)
    deadline = time.monotonic() + 60
    while not wanted <= {record["requestID"] for record in delivered(s3, BUCKET)}:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert gateway.stop() == 0


def _until(callers: Callers, status: int) -> None:
    """Wait until so many calls in a row were answered so that it is a state, not an incident."""
    deadline = time.monotonic() + 60
    while True:
        before = callers.answered
        callers.wait_for_calls(3 * DISK_CALLERS)
        if (callers.answered - before)[status] >= 2 * DISK_CALLERS:
            return
        assert time.monotonic() < deadline, f"{status} is not what is answered: {callers.answered - before}"


def test_a_full_disk_refuses_changes_before_and_never_after(small_disk: Path, tmp_path: Path) -> None:
    """Filled at random moments under callers who change things at two upstreams: what is refused never got there, what
    is under way gets its outcome and its answer, and service resumes when there is room.
    """
    with running_world(tmp_path, Ledger(tmp_path / "ledger"), {"OPENTRAIL_DELIVERY_INTERVAL_S": "3600"}) as world:
        callers = Callers(world.gateway, DISK_CALLERS, padding="/" + "x" * 1500)
        for _ in range(2):
            callers.wait_for_calls(DISK_CALLERS)
            time.sleep(random.uniform(0, 0.2))
            filler = _fill(small_disk)
            _until(callers, 503)
            assert "the journal cannot grow" in _not_ready(world.gateway)
            filler.unlink()
            _until(callers, 200)
        callers.stop()
        assert not [seen for seen in callers.seen.values() if seen.reply is None], "no connection was cut"
        refused = {name: seen for name, seen in callers.seen.items() if seen.reply and seen.reply.status == 503}
        reached = world.ledger.arrived() + world.effects(callers.seen).happened
        after = [name for name in refused if name in reached]
        assert not after, "refused after it was sent on"
        assert world.gateway.stop() == 0
        world.restart_gateway({})
        records = world.reckon({name: seen for name, seen in callers.seen.items() if name not in refused})
        assert UNKNOWN not in {record.get("errorCode") for record in records}
