"""Key pairs: made when needed, followed by a successor in time, sealed, and listed for ever."""

import base64
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from opentrail.clock import SystemEntropy
from opentrail.delivery.keyring import Keyring, SigningKey, fingerprint_of, keys_table
from opentrail.errors import IntegrityError
from opentrail.state.database import Database
from opentrail.state.sealing import Seal
from tests.support.delivery_world import START, SteeredClock
from tests.support.key_commits import KeyCommits

DAY = timedelta(days=1)
HOME_KEY = bytes(range(32))


class Ring:
    """A keyring over a database file, with the key pairs that were told of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database(path)
        self.database.create_tables()
        self.clock = SteeredClock()
        self.commits = KeyCommits(self.database)
        self.keyring = self.opened()

    def opened(self, home_key: bytes = HOME_KEY) -> Keyring:
        """The keyring as after a restart."""
        return Keyring(self.database, Seal(home_key, SystemEntropy()), self.clock, self.commits)

    def now(self) -> SigningKey:
        """The signer for a digest that ends now."""
        return self.keyring.signer("us-east-1", self.clock.now())

    def days(self, count: float) -> SigningKey:
        """The same, some days later."""
        self.clock.advance(count * 86_400)
        return self.now()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    """A keyring without keys."""
    made = Ring(tmp_path / "state.db")
    yield made
    made.database.close()


def test_the_fingerprint_is_that_of_a_published_key() -> None:
    """The key in the AWS CLI's own example of list-public-keys has the fingerprint that stands there."""
    published = (
        "MIIBCgKCAQEAlSS3cl92HDycr/MTj0moOhas8habjrraXw+KzlWF0axSI2tcF+3iJ9BKQAVSKxGwxwu3m0wG3J+kUl1xboEcEPHYoIYMbgfSw7KG"
        "nuDKwkLzsQWhUJ0cIbOHASox1vv/5fNXkrHhGbDCHeVXm804c83nvHUEFYThr1PfyP/8HwrCtR3FX5OANtQCP61C1nJtSSkC8JSQUOrIP4CuwJjc"
        "+4WGDk+BGH5m9iuiAKkipEHWmUl8/P7XpfpWQuk4h8g3pXZOrNXr08lbh4d39svj7UqdhvOXoBISp9t/EXYuePGEtBdrKD9Dz+VHwyUPtBQvYr9B"
        "nkF88qBnaPNhS44rzwIDAQAB"
    )
    assert fingerprint_of(base64.b64decode(published)) == "7f3f401420072e50a65a141430817ab3"


def test_a_pair_signs_for_29_days_and_its_successor_overlaps_it(ring: Ring) -> None:
    """One pair until a day is left of its thirty; then a new one signs, while the old is still listed as valid."""
    first = ring.now()
    assert (first.valid_from, first.valid_until) == (START, START + 30 * DAY)
    assert ring.days(28.9) == first
    second = ring.days(0.2)
    assert second != first
    assert second.valid_until - second.valid_from == 30 * DAY
    listed = ring.keyring.public_keys("us-east-1", ring.clock.now(), ring.clock.now())
    assert [key.fingerprint for key in listed] == [first.fingerprint, second.fingerprint]
    assert ring.keyring.signer("us-east-1", START + 28 * DAY) == first


def test_regions_have_pairs_of_their_own_and_each_is_told_of_once(ring: Ring) -> None:
    """Nobody signs for another region, and every new pair is recorded in the unit that stores it."""
    here, there = ring.now(), ring.keyring.signer("eu-west-1", START)
    assert here.fingerprint != there.fingerprint
    assert ring.now() == here
    assert ring.commits.told == [("us-east-1", here.fingerprint), ("eu-west-1", there.fingerprint)]
    assert [key.fingerprint for key in ring.keyring.public_keys("eu-west-1", START, START)] == [there.fingerprint]


def test_a_pair_that_cannot_be_recorded_does_not_exist(ring: Ring) -> None:
    """When the record fails, the unit is rolled back, and the next attempt makes another pair."""
    broken = Keyring(ring.database, Seal(HOME_KEY, SystemEntropy()), ring.clock, KeyCommits(ring.database, fails=True))
    with pytest.raises(OSError):
        broken.signer("us-east-1", START)
    assert ring.keyring.public_keys("us-east-1", START, START) == ()
    assert ring.now().fingerprint == ring.commits.told[0][1]


def test_a_restart_signs_with_the_same_pair(ring: Ring) -> None:
    """The private key is read back and gives the same signature."""
    first = ring.now()
    again = ring.opened().signer("us-east-1", START)
    assert again == first
    assert again.sign(b"message") == first.sign(b"message")


def test_private_keys_are_sealed_and_bound_to_their_row(ring: Ring) -> None:
    """No part of the private key stands in the database in clear; another HOME's key, or another row, opens nothing."""
    first = ring.now()
    private = first._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    prime = load_der_private_key(private, None)
    assert isinstance(prime, rsa.RSAPrivateKey)
    secret = prime.private_numbers().p.to_bytes(128, "big")
    with sqlite3.connect(ring.path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert secret not in ring.path.read_bytes()
    with pytest.raises(IntegrityError):
        ring.opened(bytes(32)).signer("us-east-1", START)
    with ring.database.unit() as unit:
        unit.execute(keys_table.update().values(fingerprint="0" * 32))
    with pytest.raises(IntegrityError):
        ring.opened().signer("us-east-1", START)


def test_public_keys_outlive_their_private_ones(ring: Ring) -> None:
    """A day after it expired the private key is destroyed; the public key is listed for its time for ever."""
    first = ring.now()
    for _ in range(4):
        ring.days(29)
    (listed,) = ring.keyring.public_keys("us-east-1", START, START)
    assert listed.fingerprint == first.fingerprint
    with ring.database.read() as connection:
        kept = connection.execute(keys_table.select().order_by(keys_table.c.valid_from)).all()
    assert [row.sealed_private_key is not None for row in kept] == [False, False, False, True, True]


def test_a_digest_of_a_time_without_a_pair_gets_one_that_is_valid_then(ring: Ring) -> None:
    """Made up for a time long past, it is signed by a pair that a reader of that time finds."""
    ring.now()
    ring.days(100)
    missed = START + 50 * DAY
    signer = ring.keyring.signer("us-east-1", missed)
    listed = ring.keyring.public_keys("us-east-1", missed, missed)
    assert [key.fingerprint for key in listed] == [signer.fingerprint]
    assert ring.keyring.signer("us-east-1", missed + DAY) == signer


def test_times_of_validity_are_whole_seconds(ring: Ring) -> None:
    """A digest that ends in the very second in which its pair was made is inside."""
    ring.clock.wall = datetime(2026, 11, 23, 12, 0, 30, 999_000, tzinfo=UTC)
    made = ring.keyring.signer("us-east-1", datetime(2026, 11, 23, 12, 0, 31, tzinfo=UTC))
    assert made.valid_from == START
