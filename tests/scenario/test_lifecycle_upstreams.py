"""Lifecycle configurations behind the gateway: a foreign S3 keeps its own, the embedded one gave up what it had."""

from pathlib import Path

import pytest

from opentrail.app.core import Core, World
from opentrail.app.lifecycle import open_archive, open_lifecycle, take_over
from opentrail.app.object_storage import open_object_storage
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import load
from opentrail.errors import ConfigError
from opentrail.processes.supervisor import Supervisor
from opentrail.state.home import Home
from opentrail.storage.versions import S3Versions
from tests.support.gateway import running
from tests.support.ministack import running_ministack

TRANSITION = {"ID": "cold", "Status": "Enabled", "Filter": {"Prefix": "AWSLogs/"},
              "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}  # fmt: skip


def test_a_foreign_s3_server_keeps_rules_itself(tmp_path: Path) -> None:
    """With transitions, which the embedded one does not have; nothing of ours carries them out."""
    with running_ministack(tmp_path / "foreign") as ministack:
        credentials = tmp_path / "credentials"
        pair = ("123456789012", ministack.server.secret_access_key)
        credentials.write_text("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n".format(*pair))
        settings = {
            "OPENTRAIL_UPSTREAM_S3_ENDPOINT": ministack.server.endpoint,
            "OPENTRAIL_UPSTREAM_S3_CREDENTIALS": str(credentials),
            "OPENTRAIL_LOCAL_MINISTACK": "off",
        }
        with running(tmp_path / "home", settings) as gateway:
            s3 = gateway.client("s3")
            s3.create_bucket(Bucket="kept-elsewhere")
            s3.put_bucket_lifecycle_configuration(
                Bucket="kept-elsewhere", LifecycleConfiguration={"Rules": [TRANSITION]}
            )
            (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="kept-elsewhere")["Rules"]
            assert rule["Transitions"] == TRANSITION["Transitions"]
            theirs = ministack.client("s3", account="123456789012")
            assert theirs.get_bucket_lifecycle_configuration(Bucket="kept-elsewhere")["Rules"] == [rule]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A HOME of its own."""
    return World(Home(tmp_path / "home"), load(None, {}), SystemClock(), SystemEntropy())


def test_rules_that_an_older_release_left_to_the_embedded_server_are_taken_over(world: World, tmp_path: Path) -> None:
    """Once, and what S3 would have refused is dropped; the newer configuration is the one that counts."""
    supervisor = Supervisor(tmp_path / "children", world.clock)
    core = Core(world)
    storage = open_object_storage(world, supervisor)
    try:
        s3 = storage.store.client()
        with core.database.unit() as unit:
            for name in ("good-rules", "bad-rules", "no-rules", "newer-rules"):
                core.buckets.create(unit, name, "123456789012", "us-east-1", world.clock.now())
                s3.create_bucket(Bucket=name)
            core.buckets.put_lifecycle(unit, "newer-rules", "<kept/>")
        for name, days in (("good-rules", 30), ("bad-rules", 0), ("newer-rules", 9)):
            rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": days}}
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})  # type: ignore[list-item]
        for _ in range(2):
            take_over(core, storage)
        texts = {bucket.name: bucket.lifecycle_text for bucket in core.buckets.every()}
        assert "<Days>30</Days>" in (texts.pop("good-rules") or "")
        assert texts == {"bad-rules": None, "no-rules": None, "newer-rules": "<kept/>"}
        versions = S3Versions(storage.store)
        assert not any(versions.lifecycle(name) for name in ("good-rules", "bad-rules", "newer-rules"))
        assert open_lifecycle(core, storage) is not None
    finally:
        storage.stop()
        supervisor.stop_all()
        core.close()


def test_an_archive_without_its_credentials_is_told_at_start(tmp_path: Path) -> None:
    """By the section's name, before anything expires."""
    named = {"ENDPOINT": "http://127.0.0.1:1", "CREDENTIALS": str(tmp_path / "none"), "BUCKET": "b"}
    settings = load(None, {f"OPENTRAIL_UPSTREAM_ARCHIVE_{name}": value for name, value in named.items()})
    with pytest.raises(ConfigError, match=r"upstream\.archive\.credentials"):
        open_archive(settings)
    assert open_archive(load(None, {})) is None
