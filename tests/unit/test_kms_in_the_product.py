"""KMS put together with the rest: what the clock does is recorded with it, and a foreign KMS goes before ours."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from opentrail.app.core import Core, World
from opentrail.app.kms import host_key_service
from opentrail.app.ticks import Ticks
from opentrail.clock import SystemEntropy
from opentrail.config import Settings, UpstreamSettings
from opentrail.gateway.admit import KeyUses
from opentrail.state.home import Home
from tests.support.iam_world import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def core(tmp_path: Path, clock: SettableClock) -> Iterator[Core]:
    core = Core(World(Home(tmp_path), Settings(), clock, SystemEntropy()))
    yield core
    core.close()


def test_rotation_and_deletion_are_recorded_with_their_change(core: Core, clock: SettableClock) -> None:
    """One service event each, of the key's account and with the key in its resources."""
    assert host_key_service(core)
    rotating, doomed = (core.call("kms", "CreateKey", {})["KeyMetadata"]["KeyId"] for _ in range(2))
    core.call("kms", "EnableKeyRotation", {"KeyId": rotating, "RotationPeriodInDays": 90})
    core.call("kms", "ScheduleKeyDeletion", {"KeyId": doomed, "PendingWindowInDays": 7})
    ticks = Ticks(core, KeyUses())
    ticks.look_after_keys()
    clock.at += timedelta(days=91)
    ticks.look_after_keys()
    ticks.look_after_keys()
    records = [orjson.loads(frame.payload) for frame in core.journal.read(0, max_bytes=1 << 20)]
    found = {record["eventName"]: record for record in records if record["eventType"] == "AwsServiceEvent"}
    assert found.keys() == {"RotateKey", "DeleteKey"}
    assert found["RotateKey"]["serviceEventDetails"] == {"rotationType": "AUTOMATIC", "keyId": rotating}
    assert found["DeleteKey"]["resources"][0]["ARN"].endswith(doomed)
    assert core.keys.snapshot.by_id(doomed) is None
    assert sum(record["eventName"] == "RotateKey" for record in records) == 1


def test_an_upstream_that_is_named_for_kms_gets_its_calls(tmp_path: Path) -> None:
    """Then KMS is not ours; the settings that name other services leave it so."""
    upstream = UpstreamSettings(endpoint="http://127.0.0.1:9", services=("kms",), credentials="none")
    settings = Settings(upstreams={"mine": upstream})
    core = Core(World(Home(tmp_path), settings, SettableClock(), SystemEntropy()))
    try:
        assert not host_key_service(core)
        assert "kms" not in core.hosted
    finally:
        core.close()
