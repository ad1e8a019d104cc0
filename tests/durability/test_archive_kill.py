"""Log files on their way to the archive, and the whole product killed meanwhile: each is in at least one place."""

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.archive import BUCKET as ARCHIVE
from tests.support.archive import ArchiveServer, running_archive
from tests.support.gateway import start

BUCKET = "killed-while-moving"
FOLDER = "AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/23"
RULES = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "AWSLogs/"},
                    "Expiration": {"Date": "2024-01-01T00:00:00Z"}}]}  # fmt: skip


def until(holds: Callable[[], bool], limit_s: float = 240) -> None:
    """Wait for something."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _has(archive: ArchiveServer, count: int) -> bool:
    return len(archive.listed()) >= count


def _keys(s3: Any) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_kills_at_any_moment_lose_no_file(tmp_path: Path, kills: int) -> None:
    """The source is listed before the archive, and a file leaves it after its copy was verified: none is missing in
    both. At the end the archive has every file, byte for byte and with its metadata, and the source has none.
    """
    chance = random.Random(20261123)
    files = {f"{FOLDER}/{n:03}.json.gz": f"log {n}".encode() * 100 for n in range(60 + 20 * kills)}
    with running_archive(tmp_path / "archive") as archive:
        gateway = start(tmp_path / "home")
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key, body in files.items():
            named = {"ContentEncoding": "gzip", "ContentType": "application/json", "ServerSideEncryption": "AES256"}
            s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"signature": key[-11:-8]}, **named)
        s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=RULES)
        assert gateway.stop() == 0
        tools = gateway.environment
        settings = {**archive.settings, "OPENTRAIL_LIFECYCLE_INTERVAL_S": "1"}
        for _ in range(kills):
            moved = min(len(archive.listed()) + chance.randint(1, 8), len(files))  # all, where a kill came late
            gateway = start(tmp_path / "home", settings, tools=tools)
            until(partial(_has, archive, moved))
            time.sleep(chance.uniform(0.0, 0.05))
            gateway.kill()
        assert len(archive.listed()) < len(files), "no kill came while files were moving"
        gateway = start(tmp_path / "home", settings, tools=tools)
        s3 = gateway.client("s3")
        deadline = time.monotonic() + 300
        while left := _keys(s3):  # the source is listed first: what moves meanwhile is in the archive by then
            assert left | set(archive.listed()) == set(files)
            assert time.monotonic() < deadline, f"{len(left)} are left"
            time.sleep(0.5)
        assert gateway.stop() == 0
        for key, body in files.items():
            head = archive.store.head(ARCHIVE, key)
            assert archive.store.get(ARCHIVE, key) == body
            assert head is not None
            assert (dict(head.metadata), head.content_encoding) == ({"signature": key[-11:-8]}, "gzip")
