"""Owners and policies of buckets: what is committed is what is read, and nothing else is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opentrail.identity.buckets import Buckets, canonical_user_id
from opentrail.state.database import Database

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = '{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}}'


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database on disk with its tables."""
    found = Database(tmp_path / "state.db")
    found.create_tables()
    return found


def test_a_bucket_has_the_owner_that_created_it(database: Database) -> None:
    """Owner, creation time and names of an account come from what was committed."""
    buckets = Buckets(database)
    with database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT)
        buckets.create(unit, "a", "111111111111", "us-east-1", AT)
        buckets.create(unit, "c", "222222222222", "us-east-1", AT, ready=False)
        assert buckets.owner("b") is None, "not before the commit"
    assert buckets.owner("b") == "111111111111"
    assert buckets.names_of("111111111111") == [("a", AT), ("b", AT)]
    assert buckets.names_of("222222222222") == [], "a reserved name is not listed"
    assert buckets.owner("c") == "222222222222"
    assert Buckets(database).names_of("111111111111") == [("a", AT), ("b", AT)], "also after a restart"


def test_a_name_belongs_to_one_account(database: Database) -> None:
    """Another account cannot take a name, reserved or in use; the owner can confirm his own."""
    buckets = Buckets(database)
    with database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT, ready=False)
    with pytest.raises(ValueError, match="another account"), database.unit() as unit:
        buckets.create(unit, "b", "222222222222", "us-east-1", AT)
    with database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT)
    found = buckets.find("b")
    assert found is not None
    assert found.ready


def test_a_policy_lives_and_dies_with_its_bucket(database: Database) -> None:
    """A policy is read back as it was put; a new bucket of the same name does not inherit it."""
    buckets = Buckets(database)
    with database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT)
        buckets.put_policy(unit, "b", POLICY)
    assert buckets.policy_text("b") == POLICY
    assert buckets.policy("b") is not None
    with database.unit() as unit:
        buckets.delete(unit, "b")
    assert buckets.policy("b") is None
    with database.unit() as unit:
        buckets.create(unit, "b", "222222222222", "us-east-1", AT)
    assert buckets.policy_text("b") is None
    with database.unit() as unit:
        buckets.put_policy(unit, "b", POLICY)
        buckets.put_policy(unit, "b", None)
    assert buckets.policy("b") is None


def test_what_cannot_be_read_is_not_stored(database: Database) -> None:
    """A bad policy or an unknown bucket changes nothing."""
    buckets = Buckets(database)
    with database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT)
    with pytest.raises(ValueError, match="JSON"), database.unit() as unit:
        buckets.put_policy(unit, "b", "{")
    with pytest.raises(KeyError), database.unit() as unit:
        buckets.put_policy(unit, "nobodys", POLICY)
    assert buckets.policy_text("b") is None


def test_a_rolled_back_unit_leaves_the_snapshot_alone(database: Database) -> None:
    """Readers never see what was not committed."""
    buckets = Buckets(database)
    with pytest.raises(RuntimeError), database.unit() as unit:
        buckets.create(unit, "b", "111111111111", "us-east-1", AT)
        raise RuntimeError
    assert buckets.owner("b") is None
    buckets.reload()
    assert buckets.owner("b") is None


def test_canonical_ids_do_not_show_the_account() -> None:
    """Two accounts have two ids of 64 hex digits."""
    one, two = canonical_user_id("111111111111"), canonical_user_id("222222222222")
    assert one != two
    assert len(one) == 64
