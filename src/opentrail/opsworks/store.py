"""Servers, backups, server events and backup buckets in the control state.

Rules. Reads take a connection, so that a handler that writes sees its own unit; writes take a unit. Everything a caller
can name is looked up within one account and region. A server keeps its newest events only (``EVENTS_KEPT``).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from opentrail.opsworks.backups import Backup, BackupStatus, BackupType
from opentrail.opsworks.rows import backup_of, backup_row, server_of, server_row
from opentrail.opsworks.server import Server
from opentrail.opsworks.tables import backup_buckets, backups, custom_domains, node_requests, server_events, servers
from opentrail.state.database import Database, Unit
from opentrail.state.instants import from_ms, to_ms

EVENTS_KEPT = 1000
Numbered = tuple[int, Server]
NumberedBackup = tuple[int, Backup]


class OpsWorksStore:
    """The rows of OpsWorks CM; ``database`` gives the connections and units that its methods take."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # servers

    def server(self, connection: sa.Connection, account_id: str, region: str, name: str) -> Server | None:
        """The server of that name in an account and region."""
        rows = sa.select(servers).where(
            servers.c.account_id == account_id, servers.c.region == region, servers.c.name == name
        )
        row = connection.execute(rows).first()
        return None if row is None else server_of(row)

    def server_by_id(self, connection: sa.Connection, server_id: str) -> Server | None:
        """The server with that id, whoever owns it; for background work and ARNs, whose owner is checked there."""
        row = connection.execute(sa.select(servers).where(servers.c.server_id == server_id)).first()
        return None if row is None else server_of(row)

    def servers_of(
        self, connection: sa.Connection, account_id: str, region: str, *, before: int | None, limit: int | None
    ) -> list[Numbered]:
        """Servers with their numbers, newest first; only those numbered below ``before``."""
        query = sa.select(servers).where(servers.c.account_id == account_id, servers.c.region == region)
        rows = connection.execute(_page(query, servers.c.number, before, limit))
        return [(row.number, server_of(row)) for row in rows]

    def all_servers(self, connection: sa.Connection) -> list[Server]:
        """Every server of every account, oldest first."""
        return [server_of(row) for row in connection.execute(sa.select(servers).order_by(servers.c.number))]

    def count_servers(self, connection: sa.Connection, account_id: str) -> int:
        """How many servers an account has, in all regions and states (opsworks-cm fact sheet 9)."""
        query = sa.select(sa.func.count()).select_from(servers).where(servers.c.account_id == account_id)
        return int(connection.execute(query).scalar_one())

    def add_server(self, unit: Unit, server: Server) -> None:
        """A new row; the caller has checked that the name is free."""
        unit.execute(sa.insert(servers).values(server_row(server)))

    def put_server(self, unit: Unit, server: Server) -> None:
        """Write an existing server's row again."""
        unit.execute(sa.update(servers).where(servers.c.server_id == server.server_id).values(server_row(server)))

    def remove_server(self, unit: Unit, server: Server) -> None:
        """Forget a server, its events, its custom domain and what was asked for its nodes."""
        unit.execute(sa.delete(custom_domains).where(custom_domains.c.server_id == server.server_id))
        unit.execute(sa.delete(node_requests).where(node_requests.c.server_id == server.server_id))
        unit.execute(sa.delete(server_events).where(server_events.c.server_id == server.server_id))
        unit.execute(sa.delete(servers).where(servers.c.server_id == server.server_id))

    # backups

    def backup(self, connection: sa.Connection, account_id: str, region: str, backup_id: str) -> Backup | None:
        """The backup with that id in an account and region."""
        rows = sa.select(backups).where(
            backups.c.account_id == account_id, backups.c.region == region, backups.c.backup_id == backup_id
        )
        row = connection.execute(rows).first()
        return None if row is None else backup_of(row)

    def backup_by_number(self, connection: sa.Connection, number: int) -> Backup | None:
        """The backup with that row number."""
        row = connection.execute(sa.select(backups).where(backups.c.number == number)).first()
        return None if row is None else backup_of(row)

    def backups_of(
        self,
        connection: sa.Connection,
        scope: tuple[str, str],
        *,
        server_name: str | None,
        before: int | None,
        limit: int | None,
    ) -> list[NumberedBackup]:
        """Backups of an (account, region), of one server name or of all, newest first, numbered below ``before``."""
        query = sa.select(backups).where(backups.c.account_id == scope[0], backups.c.region == scope[1])
        if server_name is not None:
            query = query.where(backups.c.server_name == server_name)
        rows = connection.execute(_page(query, backups.c.number, before, limit))
        return [(row.number, backup_of(row)) for row in rows]

    def backup_in_progress(self, connection: sa.Connection, server_id: str) -> Backup | None:
        """The backup that a server is being backed up into."""
        query = sa.select(backups).where(
            backups.c.server_id == server_id, backups.c.status == BackupStatus.IN_PROGRESS.value
        )
        row = connection.execute(query.order_by(backups.c.number)).first()
        return None if row is None else backup_of(row)

    def backups_being_deleted(self, connection: sa.Connection) -> list[int]:
        """The numbers of all backups in state DELETING."""
        query = sa.select(backups.c.number).where(backups.c.status == BackupStatus.DELETING.value)
        return [row.number for row in connection.execute(query)]

    def automated_backups(self, connection: sa.Connection, server_id: str) -> list[NumberedBackup]:
        """The automated backups of a server, newest first."""
        query = sa.select(backups).where(backups.c.server_id == server_id, backups.c.type == BackupType.AUTOMATED.value)
        rows = connection.execute(query.order_by(backups.c.number.desc()))
        return [(row.number, backup_of(row)) for row in rows]

    def user_of(self, connection: sa.Connection, backup: Backup) -> Server | None:
        """The server that is being made from a backup."""
        for _, server in self.servers_of(connection, backup.account_id, backup.region, before=None, limit=None):
            if server.new_instance is not None and server.new_instance.backup_id == backup.backup_id:
                return server
        return None

    def count_manual_backups(self, connection: sa.Connection, account_id: str) -> int:
        """How many manual backups an account has, those of deleted servers included (section 13, trap 4)."""
        query = (
            sa.select(sa.func.count())
            .select_from(backups)
            .where(backups.c.account_id == account_id, backups.c.type == BackupType.MANUAL.value)
        )
        return int(connection.execute(query).scalar_one())

    def add_backup(self, unit: Unit, backup: Backup) -> int:
        """A new row; returns its number."""
        result = unit.execute(sa.insert(backups).values(backup_row(backup)).returning(backups.c.number))
        return int(result.scalar_one())

    def put_backup(self, unit: Unit, backup: Backup) -> None:
        """Write an existing backup's row again."""
        unit.execute(sa.update(backups).where(_is(backup)).values(backup_row(backup)))

    def remove_backup(self, unit: Unit, backup: Backup) -> None:
        """Forget a backup."""
        unit.execute(sa.delete(backups).where(_is(backup)))

    def number_of(self, connection: sa.Connection, backup: Backup) -> int:
        """A stored backup's row number."""
        return int(connection.execute(sa.select(backups.c.number).where(_is(backup))).scalar_one())

    # server events

    def note(self, unit: Unit, server: Server, message: str, at: datetime, log_url: str | None = None) -> None:
        """Add a server event, and forget those beyond the newest ``EVENTS_KEPT``."""
        own = server_events.c.server_id == server.server_id
        unit.execute(
            sa.insert(server_events).values(
                server_id=server.server_id, created_at_ms=to_ms(at), message=message, log_url=log_url
            )
        )
        newest = sa.select(server_events.c.number).where(own).order_by(server_events.c.number.desc())
        oldest_kept = unit.execute(newest.offset(EVENTS_KEPT - 1).limit(1)).scalar()
        if oldest_kept is not None:
            unit.execute(sa.delete(server_events).where(own, server_events.c.number < oldest_kept))

    def events_of(
        self, connection: sa.Connection, server_id: str, *, before: int | None, limit: int
    ) -> list[tuple[int, dict[str, Any]]]:
        """Server events with their numbers, newest first: keys ``created_at``, ``message``, ``log_url``."""
        query = sa.select(server_events).where(server_events.c.server_id == server_id)
        rows: Sequence[sa.Row[Any]] = connection.execute(_page(query, server_events.c.number, before, limit)).all()
        return [
            (row.number, {"created_at": from_ms(row.created_at_ms), "message": row.message, "log_url": row.log_url})
            for row in rows
        ]

    # the bucket for backups

    def backup_bucket(self, connection: sa.Connection, account_id: str, region: str) -> str | None:
        """The name of an account's bucket for backups in a region, once it was chosen."""
        query = sa.select(backup_buckets.c.bucket).where(
            backup_buckets.c.account_id == account_id, backup_buckets.c.region == region
        )
        return connection.execute(query).scalar()

    def add_backup_bucket(self, unit: Unit, account_id: str, region: str, bucket: str) -> None:
        """Write down the chosen name."""
        unit.execute(sa.insert(backup_buckets).values(account_id=account_id, region=region, bucket=bucket))


def _is(backup: Backup) -> sa.ColumnElement[bool]:
    return sa.and_(
        backups.c.account_id == backup.account_id,
        backups.c.region == backup.region,
        backups.c.backup_id == backup.backup_id,
    )


def _page(query: sa.Select[Any], number: sa.Column[int], before: int | None, limit: int | None) -> sa.Select[Any]:
    if before is not None:
        query = query.where(number < before)
    query = query.order_by(number.desc())
    return query if limit is None else query.limit(limit)
