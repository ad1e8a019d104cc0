"""The keys that session tokens and encoded denials are sealed with: a new one every day, old ones kept for a while.

Rules. One key is current: it seals; all that are kept open. A key that stopped sealing is deleted once nothing that it
sealed can still be valid (36 hours is the longest session that STS issues). The keys themselves stand in the
database sealed by HOME's own key. Reads come from a snapshot in memory, swapped after each commit, and never touch the
database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opentrail.clock import Clock, Entropy
from opentrail.state.database import Database, Unit, metadata
from opentrail.state.sealing import Seal

ROTATE_S = 24 * 3600.0
"""How long a key seals, unless told otherwise."""

KEEP_S = 36 * 3600.0
"""How long a key opens after it stopped sealing: the longest session (GetSessionToken, GetFederationToken)."""

_GRACE_S = 300.0  # a call that took the current key just before a rotation may issue with it a moment later
_KEY_BYTES = 32
KEY_ID_BYTES = 6
NONCE_BYTES = 12

sealing_keys = sa.Table(
    "sealing_keys",
    metadata,
    sa.Column("key_id", sa.LargeBinary(KEY_ID_BYTES), primary_key=True),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("retired_at", sa.Float, nullable=True, comment="when it stopped sealing; the current key has none"),
)


@dataclass(frozen=True, slots=True)
class SealingKey:
    """One AES-256-GCM key; its id stands in clear in what it sealed. ``created_at``: seconds since 1970."""

    key_id: bytes
    created_at: float
    cipher: AESGCM = field(repr=False, compare=False)

    def seal(self, plaintext: bytes, context: bytes, nonce: bytes) -> bytes:
        """Key id, nonce (12 bytes, never the same twice) and ciphertext, bound to a context."""
        return self.key_id + nonce + self.cipher.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext of what ``seal`` made. Raises cryptography's InvalidTag for everything else."""
        start = KEY_ID_BYTES + NONCE_BYTES
        return self.cipher.decrypt(sealed[KEY_ID_BYTES:start], sealed[start:], context)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    current: SealingKey | None
    keys: Mapping[bytes, SealingKey]


class SealingKeys:
    """The sealing keys of one HOME. Reads are safe from any thread."""

    def __init__(
        self, database: Database, seal: Seal, clock: Clock, entropy: Entropy, *, rotate_s: float = ROTATE_S
    ) -> None:
        """Load the keys; the tables must exist. The first key of a HOME is made here.

        ``rotate_s``: seconds for which a key seals. Raises IntegrityError where a key cannot be opened with HOME's own.
        """
        self._database = database
        self._seal = seal
        self._clock = clock
        self._entropy = entropy
        self._rotate_s = rotate_s
        self._snapshot = _Snapshot(None, {})
        self.reload()
        if self._snapshot.current is None:
            with database.unit() as unit:
                self.rotate_if_due(unit)

    def reload(self) -> None:
        """Take the snapshot anew from the database."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(sealing_keys).order_by(sealing_keys.c.created_at)).all()
        known = self._snapshot.keys
        keys = {row.key_id: known.get(row.key_id) or self._key(row) for row in rows}
        sealing = [keys[row.key_id] for row in rows if row.retired_at is None]
        self._snapshot = _Snapshot(sealing[-1] if sealing else None, MappingProxyType(keys))

    def current(self) -> SealingKey:
        """The key that seals now."""
        current = self._snapshot.current
        if current is None:
            raise LookupError("there is no sealing key")
        return current

    def by_id(self, key_id: bytes) -> SealingKey | None:
        """The key with that id; None where it was never ours or is gone."""
        return self._snapshot.keys.get(key_id)

    def new_nonce(self) -> bytes:
        """Twelve fresh bytes for ``SealingKey.seal``."""
        return self._entropy.token(NONCE_BYTES)

    def is_due(self) -> bool:
        """Whether ``rotate_if_due`` would change anything; cheap, for a tick that opens no transaction in vain."""
        current, now = self._snapshot.current, self._clock.now().timestamp()
        return current is None or now - current.created_at >= self._rotate_s

    def rotate_if_due(self, unit: Unit) -> bool:
        """Where the current key has sealed long enough, make a new one current; delete those that opened long enough.

        Returns whether it did. The snapshot changes when the unit is committed.
        """
        if not self.is_due():
            return False
        now = self._clock.now().timestamp()
        retired, columns = sealing_keys.c.retired_at, sealing_keys
        unit.execute(sa.delete(columns).where(retired < now - KEEP_S - _GRACE_S))
        unit.execute(sa.update(columns).where(retired.is_(None)).values(retired_at=now))
        key_id, key = self._entropy.token(KEY_ID_BYTES), self._entropy.token(_KEY_BYTES)
        sealed = self._seal.seal(key, _context(key_id))
        unit.execute(sa.insert(columns).values(key_id=key_id, sealed_key=sealed, created_at=now))
        unit.after_commit(self.reload)
        return True

    def _key(self, row: sa.Row[tuple[object, ...]]) -> SealingKey:
        key_id: bytes = row.key_id
        return SealingKey(key_id, row.created_at, AESGCM(self._seal.open(row.sealed_key, _context(key_id))))


def _context(key_id: bytes) -> str:
    return f"sealing-key/{key_id.hex()}"
