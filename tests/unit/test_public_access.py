"""Which bucket policies are public (S3 User Guide, "The meaning of public"), and what a block makes of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from opentrail.identity.buckets import Buckets
from opentrail.identity.policy import parse
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType
from opentrail.identity.public_access import SETTINGS, PublicAccessBlock, is_public
from opentrail.state.database import Database
from opentrail.state.home import Home
from opentrail.state.migrations import prepare
from opentrail.state.private_files import write_private

OWNER, OTHER = "111111111111", "222222222222"
AT = datetime(2026, 11, 25, tzinfo=UTC)


def policy(**changes: Any) -> str:
    """A policy of one statement that lets everybody read, with some elements replaced."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    return json.dumps({"Statement": {**statement, **changes}})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": [OTHER, "*"]}},
        {"Principal": {"Service": "*"}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"StringLike": {"aws:SourceArn": "arn:aws:s3:::*"}}},
        {"Condition": {"StringEquals": {"aws:SourceVpc": ["vpc-1", "${aws:SourceVpc}"]}}},
        {"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}},
        {"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}},
        {"Condition": {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-1"}}},
        {"Condition": {"Null": {"aws:SourceVpc": "true"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "::/0"]}}},
        {"Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
        {"Condition": {"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}},
    ],
)
def test_a_policy_is_public_until_it_is_narrowed(changes: dict[str, Any]) -> None:
    """Wildcards, variables, negations and conditions that absence satisfies narrow nothing."""
    assert is_public(parse(policy(**changes)))


def test_not_principal_that_allows_is_public() -> None:
    """Everybody but one account is nearly everybody."""
    text = json.loads(policy())
    del text["Statement"]["Principal"]
    text["Statement"]["NotPrincipal"] = {"AWS": OTHER}
    assert is_public(parse(json.dumps(text)))


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Deny"},
        {"Principal": {"AWS": OTHER}},
        {"Principal": {"AWS": f"arn:aws:iam::{OTHER}:role/reader"}},
        {"Principal": {"Service": "cloudtrail.amazonaws.com"}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": OTHER}}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:cloudtrail:us-east-1:{OTHER}:trail/t"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32", "10.0.0.0/8"]}}},
        {
            "Condition": {
                "StringEquals": {"aws:SourceVpce": "vpce-1"},
                "Bool": {"aws:SecureTransport": "true"},
            }
        },
    ],
)
def test_fixed_names_and_fixed_conditions_are_not_public(changes: dict[str, Any]) -> None:
    """What a stranger cannot be, or cannot meet, is closed to strangers."""
    assert not is_public(parse(policy(**changes)))


def test_one_public_statement_makes_the_policy_public() -> None:
    """And for everybody whom it names: the whole policy is void for other accounts then."""
    named = json.loads(policy(Principal={"AWS": OTHER}))["Statement"]
    both = json.dumps({"Statement": [named, json.loads(policy())["Statement"]]})
    assert is_public(parse(both))
    assert not is_public(parse(json.dumps({"Statement": [named]})))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database on disk with its tables."""
    found = Database(tmp_path / "state.db")
    found.create_tables()
    return found


def test_restrict_public_buckets_voids_a_public_policy_for_other_accounts(database: Database) -> None:
    """Strangers and other accounts find no policy; the owner's account and AWS's services do."""
    buckets = Buckets(database)
    restricted = PublicAccessBlock(restrict_public_buckets=True)
    with database.unit() as unit:
        buckets.create(unit, "b", OWNER, "us-east-1", AT)
        buckets.put_policy(unit, "b", policy())
    bucket = buckets.find("b")
    assert bucket is not None
    assert bucket.policy_for(ANONYMOUS) is bucket.policy
    with database.unit() as unit:
        buckets.put_block(unit, "b", restricted)
    bucket = buckets.find("b")
    assert bucket is not None
    assert bucket.block == restricted
    at_home = Principal(PrincipalType.ROOT, OWNER, OWNER, f"arn:aws:iam::{OWNER}:root")
    elsewhere = Principal(PrincipalType.ROOT, OTHER, OTHER, f"arn:aws:iam::{OTHER}:root")
    service = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
    assert [bucket.policy_for(who) is None for who in (ANONYMOUS, elsewhere, at_home, service)] == [
        True,
        True,
        False,
        False,
    ]
    with database.unit() as unit:
        buckets.put_policy(unit, "b", policy(Principal={"AWS": OTHER}))
    named = buckets.find("b")
    assert named is not None
    assert named.policy_for(elsewhere) is named.policy, "a policy that is not public is left alone"


def test_a_block_lives_and_dies_with_its_bucket(database: Database) -> None:
    """It is read back as it was put, also after a restart; removing it, or the bucket, forgets it."""
    buckets = Buckets(database)
    every = PublicAccessBlock.of(SETTINGS)
    with database.unit() as unit:
        buckets.create(unit, "b", OWNER, "us-east-1", AT)
        buckets.put_block(unit, "b", every)
    assert [one.block for one in (buckets.find("b"), Buckets(database).find("b")) if one] == [every, every]
    with database.unit() as unit:
        buckets.put_block(unit, "b", PublicAccessBlock())
    assert (found := Buckets(database).find("b")) is not None
    assert found.block == PublicAccessBlock(), "a block with everything off is still one"
    with database.unit() as unit:
        buckets.delete(unit, "b")
        buckets.create(unit, "b", OWNER, "us-east-1", AT)
    assert (again := buckets.find("b")) is not None
    assert again.block is None
    with pytest.raises(KeyError), database.unit() as unit:
        buckets.put_block(unit, "no-such", every)


def test_a_home_of_format_3_keeps_its_buckets_without_blocks(tmp_path: Path) -> None:
    """The column is added, and null stands for none."""
    home = Home(tmp_path)
    write_private(home.format_file, b"3\n")
    home.database.parent.mkdir()
    old = Database(home.database)
    with old.unit() as unit:
        unit.connection.exec_driver_sql(
            "CREATE TABLE buckets (name TEXT NOT NULL, account_id TEXT NOT NULL, region TEXT NOT NULL,"
            " created_at TEXT NOT NULL, ready BOOLEAN NOT NULL, object_ownership TEXT NOT NULL, policy TEXT,"
            " PRIMARY KEY (name))"
        )
        row = ("b", OWNER, "us-east-1", AT.isoformat(), True, "BucketOwnerEnforced", policy())
        unit.connection.exec_driver_sql(f"INSERT INTO buckets VALUES ({', '.join('?' * len(row))})", row)
    old.close()
    prepare(home)
    database = Database(home.database)
    database.create_tables()
    found = Buckets(database).find("b")
    assert found is not None
    assert (found.block, found.is_public) == (None, True)
    columns = {column["name"] for column in sa.inspect(database.engine).get_columns("buckets")}
    assert "public_access_block" in columns
