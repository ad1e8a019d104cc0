"""The tables of organizations in the control state.

Rules. Instants are integer milliseconds since 1970 in UTC, as precise as the API shows them. ``number`` columns only
grow: they order lists, and give pages a place to go on from. An account's email address stays its own when it leaves an
organization, or when the organization is deleted.
"""

import sqlalchemy as sa

from opentrail.state.database import metadata


def _organization_id(*, primary: bool = False) -> "sa.Column[str]":
    key = sa.ForeignKey("organizations.organization_id", ondelete="CASCADE")
    return sa.Column("organization_id", sa.String(34), key, primary_key=primary, nullable=False, index=not primary)


organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("organization_id", sa.String(34), primary_key=True),
    sa.Column("master_account_id", sa.String(12), nullable=False, unique=True),
    sa.Column("feature_set", sa.String(24), nullable=False),
    sa.Column("root_id", sa.String(34), nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
)

members = sa.Table(
    "organizations_members",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    _organization_id(),
    sa.Column("email", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("joined_at_ms", sa.BigInteger, nullable=False),
    sa.Column("joined_method", sa.String(8), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("parent_id", sa.String(100), nullable=False),
)

units = sa.Table(
    "organizations_units",
    metadata,
    sa.Column("unit_id", sa.String(68), primary_key=True),
    _organization_id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parent_id", sa.String(100), nullable=False),
)

services = sa.Table(
    "organizations_services",
    metadata,
    _organization_id(primary=True),
    sa.Column("service", sa.String(128), primary_key=True),
    sa.Column("enabled_at_ms", sa.BigInteger, nullable=False),
)
"""Which service principals may work across an organization."""

delegations = sa.Table(
    "organizations_delegations",
    metadata,
    _organization_id(primary=True),
    sa.Column("service", sa.String(128), primary_key=True),
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("enabled_at_ms", sa.BigInteger, nullable=False),
)
"""Which accounts administer a service for an organization."""

tags = sa.Table(
    "organizations_tags",
    metadata,
    _organization_id(primary=True),
    sa.Column("resource_id", sa.String(130), primary_key=True),
    sa.Column("tags", sa.JSON, nullable=False),
)
"""What the root, units and accounts of an organization are tagged with."""

handshakes = sa.Table(
    "organizations_handshakes",
    metadata,
    sa.Column("handshake_id", sa.String(34), primary_key=True),
    sa.Column("organization_id", sa.String(34), nullable=False, index=True),
    sa.Column("master_account_id", sa.String(12), nullable=False),
    sa.Column("master_email", sa.String(64), nullable=False),
    sa.Column("master_name", sa.Text, nullable=False),
    sa.Column("feature_set", sa.String(24), nullable=False),
    sa.Column("action", sa.String(24), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("requested_at_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    sa.Column("closed_at_ms", sa.BigInteger),
    sa.Column("target_type", sa.String(12), nullable=False),
    sa.Column("target", sa.String(64), nullable=False, index=True),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("parent_id", sa.String(34), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
)
"""They are shown to whom they were sent after the organization is gone, so they do not go with it."""

creations = sa.Table(
    "organizations_account_creations",
    metadata,
    sa.Column("request_id", sa.String(36), primary_key=True),
    _organization_id(),
    sa.Column("account_name", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("requested_at_ms", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("failure_reason", sa.String(64), nullable=False),
)

emails = sa.Table(
    "organizations_emails",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("email", sa.String(64), nullable=False, unique=True),
)
"""The email addresses of accounts that CreateAccount made, in lower case."""
