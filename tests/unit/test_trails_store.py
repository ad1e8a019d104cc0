"""Trails in the database: round trips, the snapshot, and delivery status."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from opentrail.events.selectors import read
from opentrail.state.database import Database
from opentrail.trails.store import DeliveryStatus, Trails
from opentrail.trails.trail import Trail

NOW = datetime(2026, 11, 23, 12, 0, 1, 234567, tzinfo=UTC)


def trail(**changes: Any) -> Trail:
    """A trail with everything set."""
    values: dict[str, Any] = {
        "trail_id": "t1",
        "account_id": "123456789012",
        "home_region": "us-east-1",
        "name": "audit",
        "bucket": "logs-bucket",
        "prefix": "org",
        "created_at": NOW,
        "started_at": NOW,
        "is_logging": True,
        "validated_since": NOW,
        "tags": {"team": "audit", "empty": None},
        "selectors": read({"EventSelectors": [{"ReadWriteType": "WriteOnly"}]}),
    }
    return Trail(**{**values, **changes})


@pytest.fixture(params=["memory", "file"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database with tables, in memory and in a file."""
    found = Database(None if request.param == "memory" else tmp_path / "state.db")
    found.create_tables()
    return found


def test_a_trail_survives_a_restart(database: Database) -> None:
    """What was committed is read back equal, microseconds, tags, event selectors and all."""
    trails = Trails(database)
    with database.unit() as unit:
        trails.put(unit, trail())
    assert Trails(database).find("123456789012", "us-east-1", "audit") == trail()


def test_the_snapshot_follows_commits_only(database: Database) -> None:
    """A unit sees its own change, the snapshot after the commit, and a rolled back change nobody."""
    trails = Trails(database)
    with database.unit() as unit:
        trails.put(unit, trail())
        assert trails.within(unit).get("t1") == trail()
        assert trails.snapshot.get("t1") is None
    assert trails.snapshot.get("t1") == trail()
    with pytest.raises(RuntimeError), database.unit() as unit:
        trails.put(unit, trail(name="other"))
        raise RuntimeError
    assert trails.snapshot.get("t1") == trail()


def test_a_live_name_is_unique_in_its_region(database: Database) -> None:
    """The database itself refuses a second live trail of a name, and allows one beside a deleted one."""
    trails = Trails(database)
    with database.unit() as unit:
        trails.put(unit, trail())
    with pytest.raises(sa.exc.IntegrityError), database.unit() as unit:
        trails.put(unit, trail(trail_id="t2"))
    with database.unit() as unit:
        trails.put(unit, trail().deleted(NOW))
        trails.put(unit, trail(trail_id="t2"))
    assert [found.trail_id for found in trails.snapshot.of("123456789012")] == ["t2"]


def test_forgetting_removes_trail_and_status(database: Database) -> None:
    """After forget neither the trail nor its delivery status is left."""
    trails = Trails(database)
    with database.unit() as unit:
        trails.put(unit, trail())
        trails.put_delivery_status(unit, "t1", DeliveryStatus().delivered(NOW))
    with database.unit() as unit:
        trails.forget(unit, "t1")
    assert trails.snapshot.every() == ()
    assert trails.delivery_status("t1") == DeliveryStatus()


def test_a_failure_keeps_the_last_success(database: Database) -> None:
    """A failed attempt shows its code and time, and the time of the last delivery stays."""
    trails = Trails(database)
    later = NOW + timedelta(minutes=1)
    with database.unit() as unit:
        trails.put_delivery_status(unit, "t1", DeliveryStatus().delivered(NOW).failed(later, "NoSuchBucket"))
    assert trails.delivery_status("t1") == DeliveryStatus(NOW, later, "NoSuchBucket")
    assert DeliveryStatus(NOW, later, "NoSuchBucket").delivered(later).latest_error is None


def test_a_time_without_zone_is_refused(database: Database) -> None:
    """A naive datetime never reaches the database."""
    trails = Trails(database)
    with pytest.raises(sa.exc.StatementError), database.unit() as unit:
        trails.put(unit, trail(created_at=NOW.replace(tzinfo=None)))
