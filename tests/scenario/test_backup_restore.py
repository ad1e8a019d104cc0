"""``opentrail backup`` and ``restore``: beside a gateway under load, without one, and what delivery does afterwards."""

import json
import shutil
import stat
import time
from pathlib import Path
from typing import Any, BinaryIO

from opentrail.app.core import Core, World
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import Settings
from opentrail.state.database_copy import copy_database
from opentrail.state.home import Home
from tests.durability.test_whole_product import Load
from tests.support.delivery_world import BUCKET, DeliveryWorld
from tests.support.gateway import Gateway, Key, delivered, make_trail, running
from tests.support.memory_store import MemoryObjectStore

LOGS = "aws-cloudtrail-logs-123456789012-0000bbbb"
ADA = Key("AKIAADAADAADAADAADA3", "canary-ada-secret-backup")
NO_DELIVERY = {"OPENTRAIL_DELIVERY_INTERVAL_S": "3600", "OPENTRAIL_LOCAL_MINISTACK": "off"}
QUICK_DELIVERY = {"OPENTRAIL_DELIVERY_INTERVAL_S": "1", "OPENTRAIL_LOCAL_MINISTACK": "off"}
PATIENCE_S = 60


def _backup(gateway: Gateway, target: Path) -> dict[str, Any]:
    done = gateway.opentrail("backup", str(target), "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _restore(source: Path, home: Path) -> Gateway:
    """A stopped gateway on a restored HOME."""
    gateway = Gateway(home, None, "", home.parent / "log")  # type: ignore[arg-type] # no process is needed
    done = gateway.opentrail("restore", str(source))
    assert done.returncode == 0, done.stderr
    assert str(home) in done.stdout
    return gateway


def test_a_backup_under_load_loses_nothing_that_was_acknowledged_before_it(tmp_path: Path) -> None:
    """Eight writers before, during and after; the old gateway delivers nothing, so that all comes from the backup."""
    with running(tmp_path / "home", NO_DELIVERY) as gateway:
        make_trail(gateway, LOGS)
        gateway.import_key("123456789012", ADA, "--user", "ada", "--admin")
        load = Load(gateway, threads=8)
        _until(lambda: len(load.acknowledged) > 100)
        before = dict(load.acknowledged)
        facts = _backup(gateway, tmp_path / "kept")
        during = len(load.acknowledged) - len(before)
        _until(lambda: len(load.acknowledged) > len(before) + during + 10)
        load.stop()
        assert during > 0, "the load stood still while the backup was made"
        assert list((gateway.home / "backups").iterdir()) == []
        assert delivered(gateway.client("s3"), LOGS) == []
    assert facts["lastSequence"] >= len(before)
    _restore(tmp_path / "kept", tmp_path / "new")
    # The bucket's objects have a backup of their own: here, the stopped server's files.
    shutil.copytree(
        tmp_path / "home" / "seaweedfs", tmp_path / "new" / "seaweedfs", ignore=shutil.ignore_patterns("*.sock")
    )
    with running(tmp_path / "new", QUICK_DELIVERY) as restored:
        assert restored.root == gateway.root
        who = restored.client("sts", ADA).get_caller_identity()["Arn"]
        assert who == "arn:aws:iam::123456789012:user/ada"
        s3 = restored.client("s3")
        found: dict[str, str] = {}
        _until(lambda: before.items() <= _delivered_load(s3, found).items())
        assert set(found.values()) <= load.sent
        event_ids = [record["eventID"] for record in delivered(s3, LOGS)]
        assert len(event_ids) == len(set(event_ids))
        accounts = json.loads(restored.opentrail("accounts", "list", "--json").stdout)
        made = [record for record in delivered(s3, LOGS) if record["eventName"] == "CreateAccount"]
        known = {account["AccountId"] for account in accounts}
        assert {record["requestParameters"]["accountId"] for record in made if record["requestID"] in before} <= known
        assert any(record["eventName"] == "CreateBackup" for record in delivered(s3, LOGS)) is False


def _delivered_load(s3: Any, found: dict[str, str]) -> dict[str, str]:
    found |= {
        record["requestID"]: record["userAgent"]
        for record in delivered(s3, LOGS)
        if record["userAgent"].startswith("load/")
    }
    return found


def _until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_stopped_home_is_backed_up_too_and_mistakes_are_told(tmp_path: Path) -> None:
    """Without a gateway the command opens HOME itself; what cannot be done is one line, with its exit code."""
    Core(World(Home(tmp_path / "home"), Settings(), SystemClock(), SystemEntropy())).close()
    gateway = Gateway(tmp_path / "home", None, "", tmp_path / "log")  # type: ignore[arg-type] # no process is needed
    _backup(gateway, tmp_path / "kept")
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    _is_told(gateway.opentrail("backup", str(tmp_path / "kept")), 2, "not empty")

    new = Gateway(tmp_path / "new", None, "", tmp_path / "log")  # type: ignore[arg-type] # no process is needed
    key = tmp_path / "kept" / "keys" / "sealing.key"
    content = key.read_bytes()
    key.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    _is_told(new.opentrail("restore", str(tmp_path / "kept")), 1, "sealing.key")
    assert not (tmp_path / "new").exists()
    key.write_bytes(content)
    _restore(tmp_path / "kept", tmp_path / "new")
    listed = new.opentrail("accounts", "list", "--json")
    assert [account["AccountId"] for account in json.loads(listed.stdout)] == ["123456789012"]


def _is_told(done: Any, code: int, text: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


class _CopiedAtPut(MemoryObjectStore):
    """A bucket that makes a copy of the world just before, and just after, its first log file is stored."""

    def __init__(self) -> None:
        super().__init__(BUCKET)
        self.world: DeliveryWorld | None = None

    def put(self, bucket: str, key: str, body: bytes | BinaryIO, **options: Any) -> str:
        self._copy("before")
        etag = super().put(bucket, key, body, **options)
        self._copy("after")
        return etag

    def _copy(self, name: str) -> None:
        if self.world is None:
            return
        place = self.world.directory / name
        if place.exists():
            return
        place.mkdir()
        (place / "journal").mkdir()
        with self.world.journal.unpruned():
            copy_database(self.world.directory / "state.db", place / "state.db")
            self.world.journal.copy(place / "journal")


def test_what_was_planned_at_the_backup_is_delivered_once_by_old_and_new(tmp_path: Path) -> None:
    """A plan that the backup has is finished by the restored OpenTrail with the same key and the same bytes, whether
    the old one had put the object or not."""
    store = _CopiedAtPut()
    old = store.world = DeliveryWorld(tmp_path, store)
    old.trail()
    ids = old.record(50)
    old.courier.flush()
    old.close()
    files = dict(store.buckets[BUCKET])
    assert old.delivered() == sorted(ids)
    store.world = None
    for name in ("before", "after"):
        restored = DeliveryWorld(tmp_path / name, store)
        assert restored.courier.lag.lanes[0].waiting_records == 50, "the plan is in the copy, and not its mark"
        restored.courier.flush()
        assert store.buckets[BUCKET] == files
        assert restored.status().latest_error is None
        more = restored.record(3)
        restored.courier.flush()
        assert restored.delivered() == sorted(ids + more)
        for key in set(store.buckets[BUCKET]) - set(files):
            store.delete(BUCKET, key)
        restored.close()
