"""Which account owns which bucket, and the bucket policies and public access blocks, ours to keep and to evaluate.

Rules. A bucket has one owner, set when it is created; the name is reserved (``ready`` false) before the bucket is made
at the upstream and confirmed afterwards, so that a crash between the two leaves a name that only its owner can claim,
never a bucket that nobody owns. Reads come from a snapshot in memory that is swapped after each commit.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from types import MappingProxyType

import sqlalchemy as sa

from opentrail.identity.policy import Policy, parse
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.public_access import PublicAccessBlock, is_public
from opentrail.state.database import Database, Unit, metadata

buckets_table = sa.Table(
    "buckets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False, index=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("ready", sa.Boolean, nullable=False),
    sa.Column("object_ownership", sa.Text, nullable=False),
    sa.Column("policy", sa.Text, nullable=True),
    sa.Column("lifecycle", sa.Text, nullable=True),
    sa.Column("public_access_block", sa.Text, nullable=True),  # the settings that are on, with commas; null: no block
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket as the last commit left it; ``ready`` is false while it is being created. ``lifecycle_text`` is its
    lifecycle configuration, in S3's XML, where the server behind leaves that to us.
    """

    name: str
    account_id: str
    region: str
    created_at: datetime
    ready: bool
    policy_text: str | None
    policy: Policy | None
    lifecycle_text: str | None = None
    is_public: bool = False
    block: PublicAccessBlock | None = None

    def policy_for(self, principal: Principal) -> Policy | None:
        """The policy as it works for a caller: a public one is none to strangers where RestrictPublicBuckets is on.

        Services of AWS are no strangers, and all that such a policy gives to other accounts goes with the rest of it
        (Amazon S3 API Reference, PublicAccessBlockConfiguration).
        """
        if self.block is None or not self.block.restrict_public_buckets or not self.is_public:
            return self.policy
        at_home = principal.account_id == self.account_id or principal.type is PrincipalType.AWS_SERVICE
        return self.policy if at_home else None


class Buckets:
    """The owners and policies of every bucket. Reads are safe from any thread and never touch the database."""

    def __init__(self, database: Database) -> None:
        """Load the snapshot; the tables must exist."""
        self._database = database
        self._reloading = Lock()
        self._buckets: Mapping[str, Bucket] = MappingProxyType({})
        self.reload()

    def reload(self) -> None:
        """Take the snapshot anew from the database."""
        with self._reloading, self._database.read() as connection:  # in turns: an older view never replaces a newer one
            rows = connection.execute(sa.select(buckets_table)).all()
            self._buckets = MappingProxyType({row.name: _bucket(row, self._buckets.get(row.name)) for row in rows})

    def find(self, name: str) -> Bucket | None:
        """All that is known of a bucket, reserved names included; None where no account has it."""
        return self._buckets.get(name)

    def owner(self, name: str) -> str | None:
        """The account that owns a bucket (or has reserved its name); None where no account does."""
        bucket = self._buckets.get(name)
        return bucket.account_id if bucket else None

    def policy(self, name: str) -> Policy | None:
        """The bucket's policy, compiled; None where it has none or is unknown."""
        bucket = self._buckets.get(name)
        return bucket.policy if bucket else None

    def policy_text(self, name: str) -> str | None:
        """The bucket's policy as it was put."""
        bucket = self._buckets.get(name)
        return bucket.policy_text if bucket else None

    def names_of(self, account_id: str) -> list[tuple[str, datetime]]:
        """Names and creation times of an account's buckets, in name order; without those still being created."""
        owned = (bucket for bucket in self._buckets.values() if bucket.account_id == account_id and bucket.ready)
        return sorted((bucket.name, bucket.created_at) for bucket in owned)

    def create(
        self, unit: Unit, name: str, account_id: str, region: str, created_at: datetime, *, ready: bool = True
    ) -> None:
        """Give a name to an account, or confirm what it has reserved; a policy and rules that were left over go.

        Raises ValueError where another account has the name.
        """
        holder = unit.execute(sa.select(buckets_table.c.account_id).where(buckets_table.c.name == name)).scalar()
        if holder is not None and holder != account_id:
            raise ValueError(f"the bucket {name} belongs to another account")
        values: dict[str, object] = {"region": region, "created_at": created_at.isoformat(), "ready": ready}
        values |= {"policy": None, "lifecycle": None, "public_access_block": None}
        if holder is None:
            unit.execute(
                sa.insert(buckets_table).values(
                    name=name, account_id=account_id, object_ownership="BucketOwnerEnforced", **values
                )
            )
        else:
            unit.execute(sa.update(buckets_table).where(buckets_table.c.name == name).values(**values))
        unit.after_commit(self.reload)

    def delete(self, unit: Unit, name: str) -> None:
        """Forget a bucket, its policy and its lifecycle configuration; nothing happens where it is unknown."""
        unit.execute(sa.delete(buckets_table).where(buckets_table.c.name == name))
        unit.after_commit(self.reload)

    def put_block(self, unit: Unit, name: str, block: PublicAccessBlock | None) -> None:
        """Set or remove (None) a bucket's public access block. Raises KeyError for an unknown bucket."""
        self._put(unit, name, "public_access_block", None if block is None else ",".join(block.names()))

    def put_policy(self, unit: Unit, name: str, text: str | None) -> None:
        """Set or remove (None) a bucket's policy. Raises ValueError for a policy that cannot be read; KeyError for an
        unknown bucket.
        """
        if text is not None:
            parse(text)
        self._put(unit, name, "policy", text)

    def _put(self, unit: Unit, name: str, column: str, text: str | None) -> None:
        changed = unit.execute(sa.update(buckets_table).where(buckets_table.c.name == name).values({column: text}))
        if not changed.rowcount:
            raise KeyError(name)
        unit.after_commit(self.reload)

    def put_lifecycle(self, unit: Unit, name: str, text: str | None) -> None:
        """Set or remove (None) a bucket's lifecycle configuration. Raises KeyError for an unknown bucket."""
        self._put(unit, name, "lifecycle", text)

    def every(self) -> list[Bucket]:
        """All buckets but those still being created, in name order."""
        return sorted((bucket for bucket in self._buckets.values() if bucket.ready), key=lambda bucket: bucket.name)


def canonical_user_id(account_id: str) -> str:
    """The 64 hexadecimal digits by which S3's XML names an account: stable, and not the account id itself."""
    return hashlib.sha256(f"opentrail canonical user {account_id}".encode()).hexdigest()


def _bucket(row: sa.Row[tuple[object, ...]], previous: Bucket | None) -> Bucket:
    text: str | None = row.policy
    unchanged = previous is not None and previous.policy_text == text
    policy = previous.policy if unchanged and previous else (parse(text) if text is not None else None)
    block: str | None = row.public_access_block
    return Bucket(
        name=row.name,
        account_id=row.account_id,
        region=row.region,
        created_at=datetime.fromisoformat(row.created_at),
        ready=row.ready,
        policy_text=text,
        policy=policy,
        lifecycle_text=row.lifecycle,
        is_public=previous.is_public if unchanged and previous else policy is not None and is_public(policy),
        block=None if block is None else PublicAccessBlock.of(block.split(",")),
    )
