"""A full disk: calls are refused while they cannot be recorded, and nothing acknowledged is lost."""

import http.client
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import call, delivered, make_trail, start

BUCKET = "aws-cloudtrail-logs-123456789012-0000ffff"
MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A HOME whose journal lies on a file system of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    journal = tmp_path / "home" / "journal"
    journal.mkdir(parents=True, mode=0o700)
    options = ("-t", "tmpfs", "-o", "size=8m,mode=700", "none", str(journal))
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounts")
    yield journal
    subprocess.run(["umount", "-l", str(journal)], check=True)


def test_a_full_disk_refuses_calls_and_loses_none(small_disk: Path) -> None:
    """503 and a red readiness while there is no room, service again when there is; no acknowledged call is lost."""
    settings = {"OPENTRAIL_JOURNAL_SEGMENT_BYTES": str(MIB), "OPENTRAIL_DELIVERY_INTERVAL_S": "3600"}
    gateway = start(small_disk.parent, settings)
    make_trail(gateway, BUCKET)
    (small_disk / "filler").write_bytes(b"\0" * (os.statvfs(small_disk).f_bavail * 4096))
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
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"))
    connection.request("GET", "/_opentrail/ready")
    answer = connection.getresponse()
    assert answer.status == 503
    assert b"the journal cannot grow" in answer.read()
    (small_disk / "filler").unlink()
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
