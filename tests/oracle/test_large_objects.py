"""Large objects through the endpoint with the AWS CLI: they arrive whole, and the gateway does not grow with them."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, delivered, make_trail, running

MIB = 1024 * 1024
BUCKET = "aws-cloudtrail-logs-123456789012-00001a26"
GROWTH_MAX_BYTES = 96 * MIB


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a trail that asks for S3's data events of one bucket."""
    with running(tmp_path_factory.mktemp("large") / "home") as started:
        make_trail(started, BUCKET)
        started.client("s3").create_bucket(Bucket="large")
        selector = {
            "ReadWriteType": "All",
            "IncludeManagementEvents": True,
            "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::large/"]}],
        }
        started.client("cloudtrail").put_event_selectors(TrailName="main", EventSelectors=[selector])
        yield started


def peak_bytes(gateway: Gateway) -> int:
    """The most memory that the gateway's process ever had."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def made(path: Path, size_bytes: int) -> str:
    """A file of a size whose blocks all differ; its SHA-256."""
    digest, block = hashlib.sha256(), os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(size_bytes // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def hash_of(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def there_and_back(gateway: Gateway, folder: Path, size_bytes: int, timeout_s: float) -> None:
    """``aws s3 cp`` up and down; equal, in flat memory, and with the records of a multipart upload."""
    warm = folder / "warm"
    made(warm, 32 * MIB)
    assert gateway.cli("s3", "cp", str(warm), "s3://large/warm").returncode == 0
    before = peak_bytes(gateway)
    source, copy = folder / "source", folder / "copy"
    expected = made(source, size_bytes)
    started = time.monotonic()
    done = gateway.cli("s3", "cp", str(source), "s3://large/object", timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr[-2000:]
    uploaded = time.monotonic()
    done = gateway.cli("s3", "cp", "s3://large/object", str(copy), timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr[-2000:]
    down_s, up_s = time.monotonic() - uploaded, uploaded - started
    assert hash_of(copy) == expected
    growth = peak_bytes(gateway) - before
    mib = size_bytes // MIB
    print(
        f"{mib} MiB: up {mib / up_s:.0f} MiB/s, down {mib / down_s:.0f} MiB/s, peak memory grew {growth / MIB:.1f} MiB"
    )
    assert growth < GROWTH_MAX_BYTES
    _assert_recorded(gateway)


def _assert_recorded(gateway: Gateway) -> None:
    s3, deadline = gateway.client("s3"), time.monotonic() + 60
    wanted = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "GetObject"}
    names: set[str] = set()
    while not wanted <= names and time.monotonic() < deadline:
        time.sleep(1)
        records = delivered(s3, BUCKET)
        names = {r["eventName"] for r in records if (r["requestParameters"] or {}).get("key") == "object"}
    assert wanted <= names


def test_a_large_object_goes_up_and_comes_back(gateway: Gateway, tmp_path: Path) -> None:
    """256 MiB in parts, as the AWS CLI sends them."""
    there_and_back(gateway, tmp_path, 256 * MIB, 200)


@pytest.mark.soak
def test_five_gigabytes_go_up_and_come_back(gateway: Gateway, tmp_path: Path) -> None:
    """5 GiB, in memory that does not grow with it."""
    there_and_back(gateway, tmp_path, 5 * 1024 * MIB, 1700)
