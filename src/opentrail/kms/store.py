"""Where keys and aliases are kept.

Rules. Changes go through a unit of work; whoever decides on the strength of what exists asks ``within(unit)``.
Everybody else, the hot path above all, asks ``snapshot``: an immutable set in memory that is replaced after each
commit. Key material stands in the database sealed by HOME's own key, bound to its row.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import sqlalchemy as sa

from opentrail.identity.policy import Policy, parse
from opentrail.kms.key import Alias, Key, KeyMaterial, KeyState, RotationType
from opentrail.kms.references import KeyReference
from opentrail.state.database import Database, Unit, metadata
from opentrail.state.instants import from_ms, to_ms
from opentrail.state.sealing import Seal

MAX_POLICY_BYTES = 32 * 1024
"""The longest key policy (AWS KMS Developer Guide, "Resource quotas")."""


# Instants are integer milliseconds since 1970 in UTC, as precise as the API shows them.
keys_table = sa.Table(
    "kms_keys",
    metadata,
    sa.Column("key_id", sa.String(36), primary_key=True),
    sa.Column("account_id", sa.String(12), nullable=False),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("manager", sa.String(8), nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("rotation_days", sa.Integer),
    sa.Column("next_rotation_at_ms", sa.BigInteger),
    sa.Column("deletion_at_ms", sa.BigInteger),
    sa.Column("window_days", sa.Integer),
    sa.Column("tags", sa.Text, nullable=False),
)
materials_table = sa.Table(
    "kms_key_materials",
    metadata,
    sa.Column("key_id", sa.String(36), sa.ForeignKey("kms_keys.key_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("material_id", sa.String(64), nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("rotation", sa.String(9)),
    sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
)
aliases_table = sa.Table(
    "kms_aliases",
    metadata,
    sa.Column("account_id", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(256), primary_key=True),
    sa.Column("key_id", sa.String(36), sa.ForeignKey("kms_keys.key_id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
)


class KeySet:
    """All keys and aliases at one moment."""

    def __init__(self, keys: Iterable[Key] = (), aliases: Iterable[Alias] = ()) -> None:
        self._keys = {key.key_id: key for key in keys}
        self._aliases = {(alias.account_id, alias.region, alias.name): alias for alias in aliases}
        self._names: dict[str, list[Alias]] = {}
        for alias in self._aliases.values():
            self._names.setdefault(alias.key_id, []).append(alias)

    def by_id(self, key_id: str) -> Key | None:
        """The key of that id, whosever it is."""
        return self._keys.get(key_id)

    def find(self, reference: KeyReference) -> Key | None:
        """The key that a reference means, through an alias or not; None where there is none."""
        alias = self.alias(reference) if reference.is_alias else None
        key = self._keys.get(alias.key_id if alias else reference.name)
        if key is None or (key.account_id, key.region) != (reference.account_id, reference.region):
            return None
        return key

    def alias(self, reference: KeyReference) -> Alias | None:
        """The alias that a reference names."""
        return self._aliases.get((reference.account_id, reference.region, reference.name))

    def keys_of(self, account_id: str, region: str) -> list[Key]:
        """An account's keys in a region, by id."""
        found = (key for key in self._keys.values() if (key.account_id, key.region) == (account_id, region))
        return sorted(found, key=lambda key: key.key_id)

    def aliases_of(self, account_id: str, region: str) -> list[Alias]:
        """An account's aliases in a region, by name."""
        found = (alias for place, alias in self._aliases.items() if place[:2] == (account_id, region))
        return sorted(found, key=lambda alias: alias.name)

    def aliases_for(self, key_id: str) -> list[Alias]:
        """The aliases of one key, by name."""
        return sorted(self._names.get(key_id, ()), key=lambda alias: alias.name)

    def every(self) -> Iterable[Key]:
        """All keys of all accounts."""
        return self._keys.values()


class Keys:
    """The keys of every account. Reads are safe from any thread and never touch the database."""

    def __init__(self, database: Database, seal: Seal) -> None:
        """Read all keys; the tables must exist. Raises IntegrityError where key material cannot be opened."""
        self._database = database
        self._seal = seal
        self._reloading = threading.Lock()
        self._snapshot = KeySet()
        self.reload()

    @property
    def snapshot(self) -> KeySet:
        """The keys as of the last commit."""
        return self._snapshot

    def reload(self) -> None:
        """Replace the snapshot by what is committed."""
        with self._reloading, self._database.read() as connection:  # in turns: an older view never replaces a newer one
            self._snapshot = self._load(connection)

    def within(self, unit: Unit) -> KeySet:
        """The keys as the unit's transaction sees them."""
        return self._load(unit.connection)

    def put(self, unit: Unit, key: Key) -> None:
        """Write a key, new or changed, and those of its materials that are new."""
        row = _row(key)
        exists = sa.select(keys_table.c.key_id).where(keys_table.c.key_id == key.key_id)
        if unit.execute(exists).first() is None:
            unit.execute(sa.insert(keys_table).values(**row))
        else:
            unit.execute(sa.update(keys_table).where(keys_table.c.key_id == key.key_id).values(**row))
        known = sa.select(materials_table.c.number).where(materials_table.c.key_id == key.key_id)
        numbers = set(unit.execute(known).scalars())
        for material in key.materials:
            if material.number not in numbers:
                unit.execute(sa.insert(materials_table).values(**self._material_row(key.key_id, material)))
        unit.after_commit(self.reload)

    def delete(self, unit: Unit, key_id: str) -> None:
        """Destroy a key with its material and its aliases: nothing it encrypted can be read again."""
        for table in (aliases_table, materials_table, keys_table):
            unit.execute(sa.delete(table).where(table.c.key_id == key_id))
        unit.after_commit(self.reload)

    def put_alias(self, unit: Unit, alias: Alias) -> None:
        """Write an alias, new or pointing to another key."""
        self._remove_alias(unit, alias)
        unit.execute(
            sa.insert(aliases_table).values(
                account_id=alias.account_id,
                region=alias.region,
                name=alias.name,
                key_id=alias.key_id,
                created_at_ms=to_ms(alias.created_at),
                updated_at_ms=to_ms(alias.updated_at),
            )
        )
        unit.after_commit(self.reload)

    def delete_alias(self, unit: Unit, alias: Alias) -> None:
        """Forget an alias; its key stays."""
        self._remove_alias(unit, alias)
        unit.after_commit(self.reload)

    def _remove_alias(self, unit: Unit, alias: Alias) -> None:
        columns = aliases_table.c
        place = sa.tuple_(columns.account_id, columns.region, columns.name)
        unit.execute(sa.delete(aliases_table).where(place == (alias.account_id, alias.region, alias.name)))

    def _load(self, connection: sa.Connection) -> KeySet:
        known = self._snapshot
        materials: dict[str, list[KeyMaterial]] = {}
        for row in connection.execute(sa.select(materials_table).order_by(materials_table.c.number)).mappings():
            materials.setdefault(row["key_id"], []).append(self._material(row, known.by_id(row["key_id"])))
        keys = [
            _key(row, tuple(materials[row["key_id"]]), known.by_id(row["key_id"]))
            for row in connection.execute(sa.select(keys_table)).mappings()
        ]
        return KeySet(keys, map(_alias, connection.execute(sa.select(aliases_table)).mappings()))

    def _material(self, row: sa.RowMapping, known: Key | None) -> KeyMaterial:
        """A material never changes: one that is known already is not opened again."""
        found = known.material(row["number"]) if known is not None else None
        if found is not None and found.material_id == row["material_id"]:
            return found
        return KeyMaterial(
            number=row["number"],
            material_id=row["material_id"],
            created_at=from_ms(row["created_at_ms"]),
            secret=self._seal.open(row["sealed_secret"], _context(row["key_id"], row["number"])),
            rotation=RotationType(row["rotation"]) if row["rotation"] else None,
        )

    def _material_row(self, key_id: str, material: KeyMaterial) -> Mapping[str, object]:
        return {
            "key_id": key_id,
            "number": material.number,
            "material_id": material.material_id,
            "created_at_ms": to_ms(material.created_at),
            "rotation": material.rotation,
            "sealed_secret": self._seal.seal(material.secret, _context(key_id, material.number)),
        }


def compiled_policy(text: str) -> Policy:
    """A key policy, compiled. Raises ValueError with the reason it is refused."""
    return parse(text, max_bytes=MAX_POLICY_BYTES)


def _context(key_id: str, number: int) -> str:
    return f"kms/{key_id}/{number}"


def _row(key: Key) -> Mapping[str, object]:
    return {
        "key_id": key.key_id,
        "account_id": key.account_id,
        "region": key.region,
        "created_at_ms": to_ms(key.created_at),
        "description": key.description,
        "state": key.state.value,
        "manager": key.manager,
        "policy": key.policy_text,
        "rotation_days": key.rotation_days,
        "next_rotation_at_ms": None if key.next_rotation_at is None else to_ms(key.next_rotation_at),
        "deletion_at_ms": None if key.deletion_at is None else to_ms(key.deletion_at),
        "window_days": key.window_days,
        "tags": json.dumps(dict(key.tags)),
    }


def _key(row: sa.RowMapping, materials: tuple[KeyMaterial, ...], known: Key | None) -> Key:
    text: str = row["policy"]
    next_ms, deletion_ms = row["next_rotation_at_ms"], row["deletion_at_ms"]
    return Key(
        key_id=row["key_id"],
        account_id=row["account_id"],
        region=row["region"],
        created_at=from_ms(row["created_at_ms"]),
        policy_text=text,
        policy=known.policy if known is not None and known.policy_text == text else compiled_policy(text),
        materials=materials,
        description=row["description"],
        state=KeyState(row["state"]),
        manager=row["manager"],
        rotation_days=row["rotation_days"],
        next_rotation_at=None if next_ms is None else from_ms(next_ms),
        deletion_at=None if deletion_ms is None else from_ms(deletion_ms),
        window_days=row["window_days"],
        tags=MappingProxyType(json.loads(row["tags"])),
    )


def _alias(row: sa.RowMapping) -> Alias:
    return Alias(
        name=row["name"],
        account_id=row["account_id"],
        region=row["region"],
        key_id=row["key_id"],
        created_at=from_ms(row["created_at_ms"]),
        updated_at=from_ms(row["updated_at_ms"]),
    )
