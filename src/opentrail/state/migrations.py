"""Bringing an older HOME to this release's format: copy the state aside, change it step by step, stamp the version.

A step changes the database from one format to the next, in one transaction. It is never edited after a release.
"""

import logging
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from opentrail.errors import ConfigError
from opentrail.state.database import Database
from opentrail.state.database_copy import copy_database
from opentrail.state.home import FORMAT_VERSION, Home, format_of, stamp_format

log = logging.getLogger(__name__)

Step = Callable[[sa.Connection], None]

_TO_2 = (
    # Users and roles with policies instead of a flag; the flag becomes AdministratorAccess (the state's own SQL, not
    # today's tables: a step must go on doing what it did).
    """CREATE TABLE iam_entities (unique_id VARCHAR(32) NOT NULL, account_id VARCHAR(12) NOT NULL,
        kind VARCHAR(5) NOT NULL, name VARCHAR(128) NOT NULL, path VARCHAR(512) NOT NULL, created_at FLOAT NOT NULL,
        boundary_arn TEXT, trust TEXT, description TEXT,
        max_session_s INTEGER, last_used_at FLOAT, last_used_region TEXT, PRIMARY KEY (unique_id),
        FOREIGN KEY(account_id) REFERENCES accounts (account_id))""",
    "CREATE UNIQUE INDEX iam_entities_name ON iam_entities (account_id, kind, lower(name))",
    "CREATE INDEX ix_iam_entities_account_id ON iam_entities (account_id)",
    """INSERT INTO iam_entities (unique_id, account_id, kind, name, path, created_at, trust, max_session_s)
        SELECT unique_id, account_id, kind,
            name || CASE WHEN (SELECT count(*) FROM identities other WHERE other.account_id = identities.account_id
                AND other.kind = identities.kind AND lower(other.name) = lower(identities.name)
                AND other.name < identities.name) > 0 THEN '-' || lower(substr(unique_id, -6)) ELSE '' END,
            '/', created_at,
            CASE kind WHEN 'role' THEN '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": '
                || '{"AWS": "arn:aws:iam::' || account_id || ':root"}, "Action": "sts:AssumeRole"}]}' END,
            CASE kind WHEN 'role' THEN 3600 END
        FROM identities""",
    """CREATE TABLE iam_attachments (owner_id VARCHAR(32) NOT NULL, policy_arn TEXT NOT NULL,
        account_id VARCHAR(12) NOT NULL, PRIMARY KEY (owner_id, policy_arn),
        FOREIGN KEY(account_id) REFERENCES accounts (account_id))""",
    "CREATE INDEX ix_iam_attachments_account_id ON iam_attachments (account_id)",
    "CREATE INDEX ix_iam_attachments_policy_arn ON iam_attachments (policy_arn)",
    """INSERT INTO iam_attachments (owner_id, policy_arn, account_id)
        SELECT unique_id, 'arn:aws:iam::aws:policy/AdministratorAccess', account_id FROM identities WHERE admin""",
    """CREATE TABLE iam_access_keys (access_key_id VARCHAR(128) NOT NULL, account_id VARCHAR(12) NOT NULL,
        owner_id VARCHAR(32) NOT NULL, session_name VARCHAR(64) NOT NULL, sealed_secret BLOB NOT NULL,
        status VARCHAR(8) NOT NULL, created_at FLOAT NOT NULL, last_used_at FLOAT, last_used_service TEXT,
        last_used_region TEXT, PRIMARY KEY (access_key_id),
        FOREIGN KEY(account_id) REFERENCES accounts (account_id))""",
    "CREATE INDEX ix_iam_access_keys_account_id ON iam_access_keys (account_id)",
    "CREATE INDEX ix_iam_access_keys_owner_id ON iam_access_keys (owner_id)",
    """INSERT INTO iam_access_keys
            (access_key_id, account_id, owner_id, session_name, sealed_secret, status, created_at)
        SELECT key.access_key_id, key.account_id, coalesce(owner.unique_id, key.account_id), key.session_name,
            key.sealed_secret, 'Active', key.created_at
        FROM access_keys key LEFT JOIN identities owner
            ON owner.account_id = key.account_id AND owner.kind = key.kind AND owner.name = key.name""",
    "DROP TABLE access_keys",
    "DROP TABLE identities",
)


def _to_2(connection: sa.Connection) -> None:
    tables = sa.inspect(connection).get_table_names()
    if "identities" not in tables:  # stamped, and stopped before its first tables were made
        return
    for statement in _TO_2:
        connection.exec_driver_sql(statement)


def _to_3(connection: sa.Connection) -> None:
    """Trails have event selectors, log file validation, a topic and a KMS key; null stands for those of a new trail,
    and for validation being off, which is what every trail had.

    From format 3 on the journal may hold intents, which a release of format 2 would take for records and deliver: that
    it refuses the HOME is what the number is for.
    """
    _add_columns(
        connection,
        ("trails", "selectors", "TEXT"),
        ("trails", "validated_since", "BIGINT"),
        ("trails", "sns_topic_arn", "TEXT"),
        ("trails", "kms_key_arn", "TEXT"),
    )


def _to_4(connection: sa.Connection) -> None:
    """Trails may be an organization's, have a log group, ask for Insights and for aggregated events; none did so.
    Buckets may have lifecycle rules and public access blocks here; null: none.
    """
    _add_columns(
        connection,
        ("buckets", "lifecycle", "TEXT"),
        ("trails", "organization_id", "VARCHAR(34)"),
        ("trails", "is_organization", "BOOLEAN DEFAULT 0 NOT NULL"),
        ("trails", "insight_selectors", "TEXT"),
        ("trails", "aggregations", "TEXT"),
        ("trails", "log_group_arn", "TEXT"),
        ("trails", "logs_role_arn", "TEXT"),
        ("buckets", "public_access_block", "TEXT"),
    )


def _add_columns(connection: sa.Connection, *columns: tuple[str, str, str]) -> None:
    """Add what is missing; all of it is there already where a start failed between this and the stamp."""
    found = sa.inspect(connection)
    tables = set(found.get_table_names())
    for table, name, kind in columns:
        if table in tables and name not in {column["name"] for column in found.get_columns(table)}:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


STEPS: Mapping[int, Step] = {1: _to_2, 2: _to_3, 3: _to_4}
"""The step that leads away from each older format."""


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
    copy_database(home.database, copy)
    log.info("migrating %s from format %d to %d; the state before is in %s", home.root, found, target, copy)
    database = Database(home.database)
    try:
        with database.unit() as unit:
            for version in range(found, target):
                steps[version](unit.connection)
    finally:
        database.close()
