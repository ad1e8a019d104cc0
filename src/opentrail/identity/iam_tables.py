"""The tables of IAM: who exists in each account, what they carry, and what they may do.

Rules. Whatever hangs on a user, group, role, policy or profile names it by its unique id, which never changes and is
never given twice: renaming is one row, and who is made anew under an old name inherits nothing. Names are unique in
their account without regard to case, and keep their case. Every row names its account, so that an account's identities
can be read together.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.state.database import metadata

Row = sa.RowMapping | Mapping[str, Any]
"""A row as it is read, or as it is about to be stored."""


def _account() -> sa.Column[str]:
    return sa.Column("account_id", sa.String(12), sa.ForeignKey("accounts.account_id"), nullable=False, index=True)


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

entities = sa.Table(
    "iam_entities",
    metadata,
    sa.Column("unique_id", sa.String(32), primary_key=True),
    _account(),
    sa.Column("kind", sa.String(5), nullable=False, comment="user, group or role"),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("path", sa.String(512), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("boundary_arn", sa.Text, nullable=True),
    sa.Column("trust", sa.Text, nullable=True, comment="roles: the trust policy's text"),
    sa.Column("description", sa.Text, nullable=True),
    sa.Column("max_session_s", sa.Integer, nullable=True),
    sa.Column("last_used_at", sa.Float, nullable=True),
    sa.Column("last_used_region", sa.Text, nullable=True),
)
sa.Index("iam_entities_name", entities.c.account_id, entities.c.kind, sa.func.lower(entities.c.name), unique=True)

members = sa.Table(
    "iam_group_members",
    metadata,
    sa.Column("group_id", sa.String(32), primary_key=True),
    sa.Column("user_id", sa.String(32), primary_key=True, index=True),
    _account(),
)

access_keys = sa.Table(
    "iam_access_keys",
    metadata,
    sa.Column("access_key_id", sa.String(128), primary_key=True),
    _account(),
    sa.Column("owner_id", sa.String(32), nullable=False, index=True, comment="a unique id; the account's for its root"),
    sa.Column("session_name", sa.String(64), nullable=False, comment="imported keys of a role's session only"),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.String(8), nullable=False, comment="Active or Inactive"),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("last_used_at", sa.Float, nullable=True),
    sa.Column("last_used_service", sa.Text, nullable=True),
    sa.Column("last_used_region", sa.Text, nullable=True),
)

policies = sa.Table(
    "iam_policies",
    metadata,
    sa.Column("policy_id", sa.String(32), primary_key=True),
    _account(),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("path", sa.String(512), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("default_version", sa.Integer, nullable=False),
    sa.Column("last_version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
)
sa.Index("iam_policies_name", policies.c.account_id, sa.func.lower(policies.c.name), unique=True)

versions = sa.Table(
    "iam_policy_versions",
    metadata,
    sa.Column("policy_id", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    _account(),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

attachments = sa.Table(
    "iam_attachments",
    metadata,
    sa.Column("owner_id", sa.String(32), primary_key=True),
    sa.Column("policy_arn", sa.Text, primary_key=True, index=True),
    _account(),
)

inline_policies = sa.Table(
    "iam_inline_policies",
    metadata,
    sa.Column("owner_id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    _account(),
    sa.Column("text", sa.Text, nullable=False),
)

tags = sa.Table(
    "iam_tags",
    metadata,
    sa.Column("owner_id", sa.Text, primary_key=True, comment="a unique id, or the ARN of a provider or MFA device"),
    sa.Column("folded_key", sa.Text, primary_key=True, comment="keys are told apart without regard to case"),
    _account(),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
)

login_profiles = sa.Table(
    "iam_login_profiles",
    metadata,
    sa.Column("user_id", sa.String(32), primary_key=True),
    _account(),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("reset_required", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

mfa_devices = sa.Table(
    "iam_mfa_devices",
    metadata,
    sa.Column("serial", sa.String(256), primary_key=True),
    _account(),
    sa.Column("sealed_seed", sa.LargeBinary, nullable=False),
    sa.Column("user_id", sa.String(32), nullable=True, index=True),
    sa.Column("enabled_at", sa.Float, nullable=True),
    sa.Column("offset_steps", sa.Integer, nullable=False, comment="how far the device's clock is ahead, in 30 s steps"),
    sa.Column("created_at", sa.Float, nullable=False),
)

aliases = sa.Table(
    "iam_account_aliases",
    metadata,
    sa.Column("account_id", sa.String(12), sa.ForeignKey("accounts.account_id"), primary_key=True),
    sa.Column("alias", sa.String(63), nullable=False, unique=True),
)

oidc_providers = sa.Table(
    "iam_oidc_providers",
    metadata,
    sa.Column("arn", sa.Text, primary_key=True),
    _account(),
    sa.Column("url", sa.Text, nullable=False, comment="without https://"),
    sa.Column("client_ids", sa.JSON, nullable=False),
    sa.Column("thumbprints", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

saml_providers = sa.Table(
    "iam_saml_providers",
    metadata,
    sa.Column("arn", sa.Text, primary_key=True),
    _account(),
    sa.Column("uuid", sa.String(36), nullable=False),
    sa.Column("metadata_xml", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)

profiles = sa.Table(
    "iam_instance_profiles",
    metadata,
    sa.Column("profile_id", sa.String(32), primary_key=True),
    _account(),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("path", sa.String(512), nullable=False),
    sa.Column("role_id", sa.String(32), nullable=True, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
)
sa.Index("iam_instance_profiles_name", profiles.c.account_id, sa.func.lower(profiles.c.name), unique=True)
