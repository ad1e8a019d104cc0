"""A copy of the control state: making one beside whoever writes, and judging one that nobody has open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from opentrail.errors import IntegrityError


def copy_database(database: Path, copy: Path) -> None:
    """A consistent copy, whatever the write-ahead log still holds. Raises sqlite3.Error where a disk refuses."""
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)


@contextmanager
def read_copy(copy: Path) -> Iterator[sa.Connection]:
    """A connection to a copy that leaves it, and the directory it is in, as they are.

    Raises IntegrityError where SQLite finds the copy damaged.
    """
    uri = f"file:{quote(str(copy))}?mode=ro&immutable=1"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            if found != ["ok"]:
                raise IntegrityError(f"{copy}: {found[0] if found else 'not readable'}")
            yield connection
    except sa.exc.DatabaseError as problem:
        raise IntegrityError(f"{copy}: {problem.orig}") from problem
    finally:
        engine.dispose()
