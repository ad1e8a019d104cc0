"""Control state: one SQLite database in WAL mode, flushed at every commit, changed only through units of work.

Rules. One writer at a time. A unit's changes and the event record of the call that made them commit together (the
outbox), so that neither exists without the other. Readers see the last committed state and never wait for a writer.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

log = logging.getLogger(__name__)

metadata = sa.MetaData()
"""Every table of the control state; packages declare theirs beside the code that uses them."""


class Unit:
    """A state change in the making: one transaction, begun when first needed, and what to do once it is committed.

    Whoever has slow work to do (making a key pair) does it before he touches the unit: from then on others wait.
    """

    def __init__(self, begin: Callable[[], sa.Connection]) -> None:
        self._begin = begin
        self._connection: sa.Connection | None = None
        self._after_commit: list[Callable[[], None]] = []

    @property
    def connection(self) -> sa.Connection:
        """The connection inside the transaction."""
        if self._connection is None:
            self._connection = self._begin()
        return self._connection

    def execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        """Run one statement inside the unit."""
        return self.connection.execute(statement)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something (start a job, refresh a snapshot) once the change is durable; the same thing is done once."""
        if action not in self._after_commit:
            self._after_commit.append(action)

    def committed(self) -> None:
        """Run what was left for after the commit, in order.

        The change stands, whatever happens here: an action that fails is tried once more, then told in the log, and
        keeps nobody from the next one.
        """
        for action in self._after_commit:
            try:
                action()
            except Exception:
                log.exception("what follows a change failed; trying once more")
                _last_try(action)


class Database:
    """The state database of one HOME.

    ``read()`` gives a connection for queries; ``unit()`` a unit of work that commits when its block ends and is rolled
    back when the block raises.
    """

    def __init__(self, path: Path | None) -> None:
        """Open (or create) the database file; None keeps it in memory, for tests."""
        pool: dict[str, Any] = {"poolclass": sa.StaticPool} if path is None else {"pool_size": 32, "max_overflow": 32}
        url = "sqlite://" if path is None else f"sqlite:///{path}"
        self._engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 30}, **pool)
        self._writer = threading.RLock()
        self._in_memory = path is None
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)

    @property
    def engine(self) -> sa.Engine:
        """The engine behind, for migrations only."""
        return self._engine

    def create_tables(self) -> None:
        """Create the tables that do not exist yet."""
        with self._writer:
            metadata.create_all(self._engine)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that sees the last committed state."""
        if self._in_memory:  # one shared connection: readers take turns with the writer
            with self._writer, self._engine.connect() as connection:
                yield connection
            return
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """A unit of work; the only way to change anything."""
        with ExitStack() as stack:

            def begin() -> sa.Connection:
                stack.enter_context(self._writer)
                connection = stack.enter_context(self._engine.connect()).execution_options(opentrail_writes=True)
                stack.enter_context(connection.begin())
                return connection

            unit = Unit(begin)
            yield unit
        unit.committed()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _last_try(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:
        log.critical("what follows a change failed again: restart OpenTrail to make it true everywhere", exc_info=True)


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3's own transaction guessing off: SQLAlchemy's begin event does it
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("opentrail_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
