"""The tables of OpsWorks CM in the control state.

Rules. Instants are integer milliseconds since 1970 in UTC. ``number`` columns only grow: they give lists a stable
order and pages a place to go on from. A server's secrets are never here in clear.
"""

import sqlalchemy as sa

from opentrail.state.database import metadata

servers = sa.Table(
    "opsworks_servers",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("server_id", sa.String, nullable=False, unique=True),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("created_at_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("pivotal_public_key", sa.Text, nullable=False),
    sa.Column("sealed_admin_password", sa.LargeBinary),
    sa.UniqueConstraint("account_id", "region", "name"),
    sqlite_autoincrement=True,
)
"""One row per server; ``settings`` holds the members that are only shown again."""

backups = sa.Table(
    "opsworks_backups",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("backup_id", sa.String, nullable=False),
    sa.Column("account_id", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("server_id", sa.String, nullable=False, index=True),
    sa.Column("server_name", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("created_at_ms", sa.Integer, nullable=False),
    sa.Column("server", sa.JSON, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.UniqueConstraint("account_id", "region", "backup_id"),
    sqlite_autoincrement=True,
)
"""One row per backup; ``server`` is the snapshot of its server's settings, ``details`` what came out of it."""

server_events = sa.Table(
    "opsworks_server_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("server_id", sa.String, nullable=False, index=True),
    sa.Column("created_at_ms", sa.Integer, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("log_url", sa.Text),
    sqlite_autoincrement=True,
)

tags = sa.Table(
    "opsworks_tags",
    metadata,
    sa.Column("resource_arn", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

node_requests = sa.Table(
    "opsworks_node_requests",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("token", sa.String, nullable=False, unique=True),
    sa.Column("server_id", sa.String, nullable=False, index=True),
    sa.Column("node_name", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text),
    sa.Column("organization", sa.Text, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("created_at_ms", sa.Integer, nullable=False),
    sqlite_autoincrement=True,
)
"""Associations (with the node's public key) and disassociations (without), until a day after they were asked for."""

backup_buckets = sa.Table(
    "opsworks_backup_buckets",
    metadata,
    sa.Column("account_id", sa.String, primary_key=True),
    sa.Column("region", sa.String, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
)
"""The private bucket for backups of each account and region, named when its first server is made."""

custom_domains = sa.Table(
    "opsworks_custom_domains",
    metadata,
    sa.Column("domain", sa.String, primary_key=True),
    sa.Column("server_id", sa.String, nullable=False, unique=True),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
)
"""The certificate and key of each server that has a domain name of its own; the name is in lower case."""

authorities = sa.Table(
    "opsworks_authorities",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
)
"""The certificate authority of the Chef API door: one row, once it was made."""
