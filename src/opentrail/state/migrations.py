"""Bringing an older HOME to this release's format: copy the state aside, change it step by step, stamp the version.

A step changes the database from one format to the next, in one transaction. It is never edited after a release.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from opentrail.errors import ConfigError
from opentrail.state.database import Database
from opentrail.state.home import FORMAT_VERSION, Home, format_of, stamp_format

log = logging.getLogger(__name__)

Step = Callable[[sa.Connection], None]

STEPS: Mapping[int, Step] = {}
"""The step that leads away from each older format. Format 1 is the first, so there is none yet."""


def prepare(home: Home, steps: Mapping[int, Step] = STEPS, target: int = FORMAT_VERSION) -> None:
    """Make a HOME's state ready for this release. Raises ConfigError where it is newer, or too old to be migrated."""
    found = format_of(home)
    if found is not None and found < target:
        _migrate(home, found, steps, target)
    if found != target:
        stamp_format(home)


def _migrate(home: Home, found: int, steps: Mapping[int, Step], target: int) -> None:
    missing = [version for version in range(found, target) if version not in steps]
    if missing:
        raise ConfigError(f"{home.root} has format {found}; this OpenTrail cannot migrate it: use a release in between")
    copy = home.database.with_name(f"{home.database.name}.format-{found}")
    _copy(home.database, copy)
    log.info("migrating %s from format %d to %d; the state before is in %s", home.root, found, target, copy)
    database = Database(home.database)
    try:
        with database.unit() as unit:
            for version in range(found, target):
                steps[version](unit.connection)
    finally:
        database.close()


def _copy(database: Path, copy: Path) -> None:
    """A consistent copy of the database, whatever its write-ahead log still holds."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
