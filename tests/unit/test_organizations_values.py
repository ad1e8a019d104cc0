"""Organizations as values and in the database: names, the tree, the set of all, and what follows a commit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opentrail.organizations.organization import Member, Organization, OrganizationalUnit
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.organizations.store import Delegation, Organizations
from opentrail.state.database import Database

NOW = datetime(2026, 11, 23, 12, 0, 1, 234000, tzinfo=UTC)
MASTER, MEMBER, OTHER = "111111111111", "222222222222", "333333333333"
CLOUDTRAIL, CONFIG = "cloudtrail.amazonaws.com", "config.amazonaws.com"


def member(account_id: str, **changes: Any) -> Member:
    """An account that was invited."""
    values: dict[str, Any] = {
        "account_id": account_id,
        "email": f"{account_id}@example.com",
        "name": f"account {account_id}",
        "joined_at": NOW,
        "joined_method": "INVITED",
    }
    return Member(**{**values, **changes})


def organization(organization_id: str = "o-exampleorg1", master: str = MASTER, **changes: Any) -> Organization:
    """An organization with all features and one account."""
    values: dict[str, Any] = {
        "organization_id": organization_id,
        "master_account_id": master,
        "master_email": f"{master}@example.com",
        "feature_set": "ALL",
        "root_id": "r-ab12",
        "created_at": NOW,
        "members": {master: member(master)},
    }
    return Organization(**{**values, **changes})


def grown() -> Organization:
    """An organization with everything: root -> outer -> inner, one account in each."""
    outer = OrganizationalUnit("ou-ab12-outer111", "outer", "r-ab12")
    inner = OrganizationalUnit("ou-ab12-inner111", "inner", outer.unit_id)
    accounts = (
        member(MASTER),
        member(MEMBER, parent_id=outer.unit_id),
        member(OTHER, parent_id=inner.unit_id, joined_method="CREATED", joined_at=NOW + timedelta(days=1)),
    )
    return organization(
        members={found.account_id: found for found in accounts},
        units={unit.unit_id: unit for unit in (outer, inner)},
        trusted_services=frozenset({CLOUDTRAIL, CONFIG}),
        delegated={CLOUDTRAIL: frozenset({MEMBER, OTHER}), CONFIG: frozenset({OTHER})},
    )


@pytest.fixture(params=["memory", "file"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database with tables, in memory and in a file."""
    found = Database(None if request.param == "memory" else tmp_path / "state.db")
    found.create_tables()
    return found


def test_arns_name_the_master_account() -> None:
    """Every ARN of an organization stands in its master's account, without a region."""
    found = grown()
    assert found.arn == f"arn:aws:organizations::{MASTER}:organization/o-exampleorg1"
    assert found.root_arn == f"arn:aws:organizations::{MASTER}:root/o-exampleorg1/r-ab12"
    assert found.member_arn(MEMBER) == f"arn:aws:organizations::{MASTER}:account/o-exampleorg1/{MEMBER}"
    assert found.unit_arn("ou-ab12-outer111") == f"arn:aws:organizations::{MASTER}:ou/o-exampleorg1/ou-ab12-outer111"


def test_who_administers_what() -> None:
    """Trust and delegation are told by service principal."""
    found = grown()
    assert found.is_trusted(CLOUDTRAIL)
    assert not found.is_trusted("sso.amazonaws.com")
    assert found.delegates(CLOUDTRAIL) == {MEMBER, OTHER}
    assert found.delegates("sso.amazonaws.com") == frozenset()
    assert found.is_delegated(OTHER)
    assert not found.is_delegated(MASTER)


def test_the_tree_is_walked_both_ways() -> None:
    """Children by parent, parents by child, depths and paths."""
    found = grown()
    assert [one.account_id for one in found.accounts_below("r-ab12")] == [MASTER]
    assert [one.account_id for one in found.accounts_below("ou-ab12-inner111")] == [OTHER]
    assert [one.name for one in found.units_below("r-ab12")] == ["outer"]
    assert [one.name for one in found.units_below("ou-ab12-outer111")] == ["inner"]
    assert found.parent_of(OTHER) == "ou-ab12-inner111"
    assert found.parent_of(MASTER) == "r-ab12"
    assert found.parent_of("ou-ab12-inner111") == "ou-ab12-outer111"
    assert found.parent_of("r-ab12") is None
    assert found.parent_of("444444444444") is None
    depths = [found.depth_of(place) for place in ("r-ab12", "ou-ab12-outer111", "ou-ab12-inner111")]
    assert depths == [0, 1, 2]
    assert found.path_of("r-ab12") == "o-exampleorg1/r-ab12/"
    assert found.path_of("ou-ab12-inner111") == "o-exampleorg1/r-ab12/ou-ab12-outer111/ou-ab12-inner111/"


def test_a_set_finds_an_account_s_organization() -> None:
    """By account and by id; accounts on their own have none."""
    one, two = grown(), organization("o-another0001", "555555555555")
    found = OrganizationSet([one, two])
    assert found.of(MEMBER) is one
    assert found.of("555555555555") is two
    assert found.of("666666666666") is None
    assert found.get("o-another0001") is two
    assert found.get("o-nobodys0001") is None
    assert found.of(MASTER) is one
    assert one.organization_id == "o-exampleorg1"


def test_condition_keys_follow_from_an_account_s_place() -> None:
    """The organization, its master, and the way down to the account's parent; nothing for an account on its own."""
    found = OrganizationSet([grown()])
    assert found.principal_keys(OTHER) == {
        "aws:principalorgid": ("o-exampleorg1",),
        "aws:principalorgmasteraccountid": (MASTER,),
        "aws:principalorgpaths": ("o-exampleorg1/r-ab12/ou-ab12-outer111/ou-ab12-inner111/",),
    }
    assert found.principal_keys(MASTER)["aws:principalorgpaths"] == ("o-exampleorg1/r-ab12/",)
    assert found.principal_keys("666666666666") == {}


def test_an_account_is_a_member_of_one_organization() -> None:
    """Two that share an account are a contradiction."""
    with pytest.raises(ValueError, match=MASTER):
        OrganizationSet([organization(), organization("o-another0001")])


def test_personal_data_is_not_printed() -> None:
    """An email address or a name is in no trace of ours."""
    assert "example.com" not in repr(grown())
    assert "account 2222" not in repr(grown())


def test_an_organization_survives_a_restart(database: Database) -> None:
    """What was committed is read back equal."""
    with database.unit() as unit:
        Organizations(database).create(unit, grown())
    assert Organizations(database).snapshot.of(OTHER) == grown()


def test_the_snapshot_follows_commits_only(database: Database) -> None:
    """A unit sees its own change, the snapshot after the commit; listeners are called once for each commit."""
    store, seen = Organizations(database), list[tuple[str, ...]]()
    store.on_change.append(lambda: seen.append(tuple(found.organization_id for found in store.snapshot.every())))
    with database.unit() as unit:
        store.create(unit, grown())
        assert store.within(unit).of(MEMBER) == grown()
        assert store.snapshot.of(MEMBER) is None
        assert not seen
    assert store.snapshot.of(MEMBER) == grown()
    assert seen == [("o-exampleorg1",)]
    with pytest.raises(RuntimeError, match="no"), database.unit() as unit:
        store.delete(unit, "o-exampleorg1")
        raise RuntimeError("no")
    assert store.snapshot.of(MEMBER) == grown()
    assert len(seen) == 1


def test_changes_one_by_one(database: Database) -> None:
    """Members, units, trusted services and delegations come and go."""
    store, later = Organizations(database), NOW + timedelta(days=2)
    with database.unit() as unit:
        store.create(unit, organization(feature_set="CONSOLIDATED_BILLING"))
    with database.unit() as unit:
        store.set_features(unit, "o-exampleorg1", "ALL")
        store.put_unit(unit, "o-exampleorg1", OrganizationalUnit("ou-ab12-outer111", "outer", "r-ab12"))
        store.put_member(unit, "o-exampleorg1", member(MEMBER, parent_id="ou-ab12-outer111"))
        store.trust(unit, "o-exampleorg1", CLOUDTRAIL, later)
        store.delegate(unit, "o-exampleorg1", Delegation(MEMBER, CLOUDTRAIL, later))
    found = store.snapshot.of(MEMBER)
    assert found is not None
    assert found.has_all_features
    assert found.parent_of(MEMBER) == "ou-ab12-outer111"
    assert found.delegates(CLOUDTRAIL) == {MEMBER}
    assert store.trusted_since("o-exampleorg1") == {CLOUDTRAIL: later}
    assert store.delegations("o-exampleorg1") == (Delegation(MEMBER, CLOUDTRAIL, later),)
    with database.unit() as unit:
        store.put_unit(unit, "o-exampleorg1", OrganizationalUnit("ou-ab12-outer111", "renamed", "r-ab12"))
        store.distrust(unit, "o-exampleorg1", CLOUDTRAIL)
        store.remove_member(unit, MEMBER)
    found = store.snapshot.get("o-exampleorg1")
    assert found is not None
    assert found.units["ou-ab12-outer111"].name == "renamed"
    assert not found.trusted_services
    assert not found.delegated
    assert store.snapshot.of(MEMBER) is None


def test_deleting_leaves_nothing(database: Database) -> None:
    """An organization that is deleted takes its rows along, so that its accounts are free."""
    store = Organizations(database)
    with database.unit() as unit:
        store.create(unit, grown())
    with database.unit() as unit:
        store.delete(unit, "o-exampleorg1")
    assert not store.snapshot.every()
    assert not store.delegations("o-exampleorg1")
    with database.unit() as unit:
        store.create(unit, grown())
    assert store.snapshot.of(OTHER) == grown()
