"""A HOME of format 2: its trails go on as they were, with the event selectors of a new trail."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from opentrail.errors import ConfigError
from opentrail.events.selectors import DEFAULT
from opentrail.state.database import Database
from opentrail.state.home import FORMAT_VERSION, Home, format_of
from opentrail.state.migrations import STEPS, prepare
from opentrail.state.private_files import write_private
from opentrail.trails.store import Trails
from opentrail.trails.trail import Trail

_FORMAT_2 = """CREATE TABLE trails (trail_id VARCHAR(36) NOT NULL, account_id VARCHAR(12) NOT NULL,
    home_region VARCHAR(64) NOT NULL, name VARCHAR(128) NOT NULL, bucket VARCHAR(63) NOT NULL,
    prefix VARCHAR(200) NOT NULL, include_global_service_events BOOLEAN NOT NULL, is_multi_region BOOLEAN NOT NULL,
    is_logging BOOLEAN NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT, stopped_at BIGINT, deleted_at BIGINT,
    tags TEXT NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY (trail_id))"""
_INDEX_2 = """CREATE UNIQUE INDEX trails_live_name ON trails (account_id, home_region, name)
    WHERE deleted_at IS NULL"""
_ROW = ("t1", "123456789012", "us-east-1", "audit", "logs-bucket", "org", True, False, True, 1_000_001, 2_000_000, None,
        None, '{"team": "audit"}', 7)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A HOME of format 2 with one trail."""
    home = Home(tmp_path)
    write_private(home.format_file, b"2\n")
    home.database.parent.mkdir()
    database = Database(home.database)
    with database.unit() as unit:
        unit.connection.exec_driver_sql(_FORMAT_2)
        unit.connection.exec_driver_sql(_INDEX_2)
        unit.connection.exec_driver_sql(f"INSERT INTO trails VALUES ({', '.join('?' * len(_ROW))})", _ROW)
    database.close()
    return home


def _opened(home: Home) -> Database:
    prepare(home)
    database = Database(home.database)
    database.create_tables()
    return database


def test_trails_are_kept_with_the_selectors_of_a_new_trail(home: Home) -> None:
    """Every setting is that of before; what a trail selects is what it took before."""
    (found,) = Trails(_opened(home)).snapshot.every()
    assert format_of(home) == FORMAT_VERSION
    assert found == Trail(
        trail_id="t1",
        account_id="123456789012",
        home_region="us-east-1",
        name="audit",
        bucket="logs-bucket",
        prefix="org",
        is_logging=True,
        created_at=datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC),
        started_at=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
        tags={"team": "audit"},
        selectors=DEFAULT,
        generation=7,
    )


def test_a_migration_that_was_not_stamped_is_done_again(home: Home) -> None:
    """A stop between the change and its stamp costs nothing: the same step finds its work done."""
    _opened(home).close()
    write_private(home.format_file, b"2\n")
    assert [trail.name for trail in Trails(_opened(home)).snapshot.every()] == ["audit"]


def test_the_migrated_table_is_that_of_a_new_home(home: Home) -> None:
    """Columns and indexes of trails do not depend on how a HOME came about."""
    fresh = Database(None)
    fresh.create_tables()

    def described(database: Database) -> tuple[list[str], list[str]]:
        with database.read() as connection:
            columns = connection.exec_driver_sql("PRAGMA table_info(trails)").all()
            indexes = connection.exec_driver_sql("PRAGMA index_list(trails)").all()
        return sorted(map(repr, columns)), sorted(repr(tuple(row)[1:]) for row in indexes)

    assert described(_opened(home)) == described(fresh)


def test_the_state_before_is_kept_aside(home: Home) -> None:
    """The copy of the older format still holds the trail, without the new column."""
    _opened(home).close()
    with sa.create_engine(f"sqlite:///{home.database}.format-2").connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM trails").one() == _ROW


def test_there_is_a_step_away_from_every_older_format(home: Home) -> None:
    """No HOME of an earlier release is refused, and a step that is missing is said to be."""
    assert set(STEPS) == set(range(1, FORMAT_VERSION))
    with pytest.raises(ConfigError, match="use a release in between"):
        prepare(home, {}, FORMAT_VERSION)
