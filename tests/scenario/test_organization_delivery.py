"""An organization's trail from journal to sealed files: members' log files and digests below the organization's id."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opentrail.errors import OutboundError
from tests.support.delivery_world import ACCOUNT, BUCKET, VIRGINIA
from tests.support.memory_store import MemoryObjectStore
from tests.support.notary_world import NotaryWorld
from tests.unit.test_organization_trails import ID, MEMBER, organization

MEMBER_VIRGINIA = f"{MEMBER}/us-east-1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NotaryWorld]:
    """A courier and a notary, and the default account's organization."""
    made = NotaryWorld(tmp_path, MemoryObjectStore(BUCKET, "second-bucket"))
    with made.database.unit() as unit:
        made.organizations.create(unit, organization())
    yield made
    made.close()


def accounts_of(keys: list[str]) -> list[str]:
    """Where the files stand, below the bucket's prefix."""
    return sorted({key.partition("/CloudTrail")[0] for key in keys})


def test_every_members_files_stand_below_the_organization(world: NotaryWorld) -> None:
    """The management account's too; each account has its own chain of digests, and the AWS CLI finds each whole."""
    trail = world.validated_trail(is_organization=True, organization_id=ID, prefix="all")
    for partition in (VIRGINIA, MEMBER_VIRGINIA):
        world.record(2, partition=partition)
    world.hours(2)
    assert accounts_of(list(world.log_files())) == [f"all/AWSLogs/{ID}/{ACCOUNT}", f"all/AWSLogs/{ID}/{MEMBER}"]
    assert accounts_of([digest.key for digest in world.digests()]) == accounts_of(list(world.log_files()))
    for account_id in (ACCOUNT, MEMBER):
        verdict = world.verdict(trail, account_id=account_id)
        assert verdict.is_whole
        assert verdict.logs_valid == 1


def test_a_member_that_leaves_ends_its_chain(world: NotaryWorld) -> None:
    """A final digest, and none after it; the others go on."""
    trail = world.validated_trail(is_organization=True, organization_id=ID)
    world.record(1, partition=MEMBER_VIRGINIA)
    world.hours(1)
    with world.database.unit() as unit:
        world.organizations.remove_member(unit, MEMBER)
    world.minutes(1)
    of_member = [digest for digest in world.digests() if digest.says["awsAccountId"] == MEMBER]
    world.hours(3)
    assert [digest for digest in world.digests() if digest.says["awsAccountId"] == MEMBER] == of_member
    assert of_member[-1].says["digestEndTime"] == f"{world.clock.now() - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
    assert world.verdict(trail, account_id=MEMBER).is_whole
    assert len([digest for digest in world.digests() if digest.says["awsAccountId"] == ACCOUNT]) >= 4


def test_what_members_did_before_the_trail_was_its_account_s_alone_again_still_arrives(world: NotaryWorld) -> None:
    """It stands where the organization's files do, where the bucket's policy lets it in."""
    trail = world.trail(is_organization=True, organization_id=ID)
    world.record(1, partition=MEMBER_VIRGINIA)
    world.record(1)
    world.put_trail(trail.for_organization(None))
    world.pass_after(61)
    assert accounts_of(list(world.log_files())) == [f"AWSLogs/{ACCOUNT}", f"AWSLogs/{ID}/{MEMBER}"]


def test_planned_files_follow_the_trail_into_its_organization(world: NotaryWorld) -> None:
    """A bucket that refused, and a trail that became the organization's meanwhile: its account's file goes there."""
    trail = world.trail()
    ids = world.record(2)
    world.memory.outage = OutboundError("ServiceUnavailable", "down")
    world.pass_after(61)
    world.put_trail(trail.for_organization(ID))
    world.pass_after(61)
    world.memory.outage = None
    world.pass_after(61)
    ((key, found),) = world.log_files().items()
    assert found == ids
    assert key.startswith(f"AWSLogs/{ID}/{ACCOUNT}/CloudTrail/us-east-1/")
