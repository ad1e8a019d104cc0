"""The RSA key pairs that sign digest files: one after the other in every region, their public halves kept for ever.

Rules. A pair is made when a region first needs one, and its successor before it expires, so that their times of
validity overlap; a digest is signed by a pair that is valid at the digest's end time, for that is where a reader looks
(cloudtrail fact sheet 5.5, 5.6). Private keys stand in the database sealed by HOME's own key and are destroyed some
time after they expired. A new pair and the record of it commit together.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from opentrail.clock import Clock
from opentrail.delivery.digest_times import whole_second
from opentrail.errors import IntegrityError
from opentrail.state.database import Database, Unit, metadata
from opentrail.state.sealing import Seal
from opentrail.trails.store import Instant

VALIDITY = timedelta(days=30)
"""How long a key pair is valid, unless told otherwise (cloudtrail fact sheet 5.5)."""

KEY_BITS = 2048
_PUBLIC_EXPONENT = 65537
_OVERLAP_PARTS = 30
"""A pair's successor is made when this part of its validity is left: a day of thirty."""
_DESTROY_AFTER = timedelta(days=1)

keys_table = sa.Table(
    "digest_keys",
    metadata,
    sa.Column("fingerprint", sa.String(32), primary_key=True),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("public_der", sa.LargeBinary, nullable=False),
    sa.Column("sealed_private_key", sa.LargeBinary),  # null once it is destroyed
    sa.Column("valid_from", Instant, nullable=False),
    sa.Column("valid_until", Instant, nullable=False),
)
sa.Index("digest_keys_of_region", keys_table.c.region, keys_table.c.valid_from)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key as ListPublicKeys shows it. ``der``: PKCS #1 RSAPublicKey."""

    der: bytes
    fingerprint: str
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair that can still sign. Two of them are the same where their fingerprints are."""

    fingerprint: str
    valid_from: datetime
    valid_until: datetime
    _private: rsa.RSAPrivateKey = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256; the same message gets the same signature."""
        return self._private.sign(message, padding.PKCS1v15(), SHA256())

    def is_valid_at(self, at: datetime) -> bool:
        """Whether a digest that ends then may be signed with it."""
        return self.valid_from <= at <= self.valid_until


CommitNewKey = Callable[[str, SigningKey, Callable[[Unit], None]], None]
"""Carries out a change that stores a region's new key pair, in one unit with the record of it. Raises JournalError."""


def fingerprint_of(public_der: bytes) -> str:
    """What names a public key: the MD5 of its PKCS #1 DER in hex (fact sheet 5.5). No security rests on it."""
    return hashlib.md5(public_der, usedforsecurity=False).hexdigest()


class Keyring:
    """The key pairs of every region."""

    def __init__(
        self, database: Database, seal: Seal, clock: Clock, commit: CommitNewKey, *, validity: timedelta = VALIDITY
    ) -> None:
        """Use a database whose tables exist. ``commit`` stores every new pair with its record."""
        self._database = database
        self._seal = seal
        self._clock = clock
        self._commit = commit
        self._validity = validity
        self._overlap = validity / _OVERLAP_PARTS
        self._making = threading.Lock()
        self._known: dict[str, tuple[SigningKey, ...]] = {}

    def signer(self, region: str, at: datetime) -> SigningKey:
        """The key pair of a region for a digest that ends at a time; a new one is made where it is time for it.

        To be called outside of any unit: it may write one of its own. Raises IntegrityError where a private key cannot
        be opened with HOME's key, JournalError where a new one cannot be recorded.
        """
        with self._making:
            keys = self._signing_keys(region)
            valid = [key for key in keys if key.is_valid_at(at)]
            if valid and (valid[-1] is not keys[-1] or valid[-1].valid_until - at > self._overlap):
                return valid[-1]
            return self._make(region, at)

    def public_keys(self, region: str, start: datetime, end: datetime) -> Sequence[PublicKey]:
        """The public keys of a region that are valid at some time of a range, oldest first."""
        table = keys_table.c
        columns = (table.public_der, table.fingerprint, table.valid_from, table.valid_until)
        overlapping = (table.region == region) & (table.valid_from <= end) & (table.valid_until >= start)
        query = sa.select(*columns).where(overlapping).order_by(table.valid_from, table.fingerprint)
        with self._database.read() as connection:
            return tuple(PublicKey(*row) for row in connection.execute(query))

    def _signing_keys(self, region: str) -> tuple[SigningKey, ...]:
        """The region's pairs that can sign, oldest first; read once, for nobody else writes them."""
        if region not in self._known:
            table = keys_table.c
            can_sign = (table.region == region) & table.sealed_private_key.is_not(None)
            query = sa.select(keys_table).where(can_sign).order_by(table.valid_from)
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            self._known[region] = tuple(self._opened(row) for row in rows)
        return self._known[region]

    def _opened(self, row: sa.Row[tuple[object, ...]]) -> SigningKey:
        context = _context(row.fingerprint)
        private = load_der_private_key(self._seal.open(row.sealed_private_key, context), password=None)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise IntegrityError(f"the sealed secret of {context} is no RSA key")
        return SigningKey(row.fingerprint, row.valid_from, row.valid_until, private)

    def _make(self, region: str, at: datetime) -> SigningKey:
        """A new pair, valid from now on where that covers ``at``, otherwise from ``at`` on."""
        now = self._clock.now()
        private = rsa.generate_private_key(_PUBLIC_EXPONENT, KEY_BITS)
        public_der = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        covers = now <= at < now + self._validity - self._overlap
        valid_from = whole_second(now if covers else at)
        key = SigningKey(fingerprint_of(public_der), valid_from, valid_from + self._validity, private)
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        row = {
            "fingerprint": key.fingerprint,
            "region": region,
            "public_der": public_der,
            "sealed_private_key": self._seal.seal(secret, _context(key.fingerprint)),
            "valid_from": key.valid_from,
            "valid_until": key.valid_until,
        }
        table = keys_table.c
        expired = (table.region == region) & (table.valid_until < min(now, at) - _DESTROY_AFTER)

        def store(unit: Unit) -> None:
            unit.execute(sa.insert(keys_table).values(**row))
            unit.execute(sa.update(keys_table).where(expired).values(sealed_private_key=None))

        try:
            self._commit(region, key, store)
        finally:
            del self._known[region]
        log.info("region %s: digest files are signed with key pair %s", region, key.fingerprint)
        return key


def _context(fingerprint: str) -> str:
    return f"digest-key/{fingerprint}"
