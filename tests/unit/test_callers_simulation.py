"""SimulatePolicy and the dispatcher's use of policies, over real identities."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opentrail.app.core import Core, World
from opentrail.app.ticks import Ticks
from opentrail.clock import SystemEntropy
from opentrail.config import Settings
from opentrail.errors import ApiError
from opentrail.gateway.admit import KeyUses
from opentrail.identity.iam_entities import Kind, find
from opentrail.identity.iam_policies import put_inline
from opentrail.identity.iam_tables import access_keys
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.store import KeyOwner, KeyUse
from opentrail.services.iam import UNSUPPORTED, IamService
from opentrail.services.opentrail.simulation import PolicySimulation
from opentrail.state.home import Home

A, B = "123456789012", "210987654321"
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
USER = f"arn:aws:iam::{A}:user/ada"
USER_KEY = "AKIAEXAMPLEEXAMPLE00"


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Place:
    """A core on a HOME of its own, with IAM, and two accounts."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.core = Core(World(Home(home), Settings(), self.clock, SystemEntropy()))
        self.core.host("iam", IamService(self.core.identities, self.clock, SystemEntropy()), UNSUPPORTED)
        identities = self.core.identities
        with self.core.database.unit() as unit:
            identities.create_account(unit, B, "b", NOW)
            identities.import_key(unit, A, KeyOwner.user("ada"), (USER_KEY, "secret-of-ada"), at=NOW, admin=True)
            identities.import_key(unit, A, KeyOwner.user("bob"), ("AKIAEXAMPLEEXAMPLE01", "secret-of-bob"), at=NOW)
            identities.import_key(unit, A, KeyOwner.session("Ops", "s1"), ("AKIAEXAMPLEEXAMPLE02", "s"), at=NOW)
            self.core.buckets.create(unit, "bucket-of-b", B, "us-east-1", NOW)

    def simulate(self, principal: str, action: str, resource: str = "*", **context: str) -> dict[str, Any]:
        """What SimulatePolicy answers to the default account's root."""
        request: dict[str, Any] = {"PrincipalArn": principal, "Action": action, "Resource": resource}
        if context:
            request["Context"] = [{"Key": key, "Values": [value]} for key, value in context.items()]
        return dict(self.core.call("opentrail", "SimulatePolicy", request))

    def records(self) -> list[dict[str, Any]]:
        """Everything in the journal."""
        return [json.loads(frame.payload) for frame in self.core.journal.read(0, max_bytes=1 << 22)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A core that is closed afterwards."""
    made = Place(tmp_path / "home")
    yield made
    made.core.close()


def test_the_deciding_policy_is_named(place: Place) -> None:
    """AdministratorAccess allows Ada; nothing allows Bob; a deny of hers beats it, under its condition only."""
    allowed = place.simulate(USER, "cloudtrail:StopLogging")
    assert (allowed["Allowed"], allowed["Policy"]) == (True, ADMINISTRATOR)
    bob = place.simulate(f"arn:aws:iam::{A}:user/bob", "cloudtrail:StopLogging")
    assert (bob["Allowed"], bob["Decision"], bob.get("Policy")) == (False, "ImplicitDeny", None)
    assert "no identity-based policy allows the cloudtrail:StopLogging action" in bob["Reason"]
    deny = {"Sid": "Keep", "Effect": "Deny", "Action": "cloudtrail:Stop*", "Resource": "*"}
    text = json.dumps(
        {"Version": "2012-10-17", "Statement": [deny | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}
    )
    with place.core.database.unit() as unit:
        ada = find(unit.connection, A, Kind.USER, "ada")
        assert ada is not None
        put_inline(unit.connection, ada, "guard", text)
        place.core.identities.changed(unit, A)
    assert place.simulate(USER, "cloudtrail:StopLogging")["Allowed"] is True
    denied = place.simulate(USER, "cloudtrail:StopLogging", **{"aws:SecureTransport": "false"})
    assert (denied["Decision"], denied["Policy"], denied["Statement"]) == ("ExplicitDeny", "inline:guard", "Keep")


@pytest.mark.parametrize("arn", [f"arn:aws:iam::{A}:role/Ops", f"arn:aws:sts::{A}:assumed-role/Ops/any"])
def test_roles_and_their_sessions_can_be_asked_about(place: Place, arn: str) -> None:
    """A role is what its sessions are."""
    assert place.simulate(arn, "iam:CreateUser")["Policy"] == ADMINISTRATOR


def test_root_is_allowed_without_a_policy_of_anybodys(place: Place) -> None:
    """The account's root, in its own account."""
    assert place.simulate(f"arn:aws:iam::{A}:root", "iam:CreateUser")["Allowed"] is True


def test_buckets_of_other_accounts_need_their_policy(place: Place) -> None:
    """An administrator of A may do nothing to B's bucket until B's policy says so."""
    assert place.simulate(USER, "s3:GetObject", "arn:aws:s3:::bucket-of-b/k")["Allowed"] is False
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": USER},
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::bucket-of-b/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with place.core.database.unit() as unit:
        place.core.buckets.put_policy(unit, "bucket-of-b", policy)
    assert place.simulate(USER, "s3:GetObject", "arn:aws:s3:::bucket-of-b/k")["Allowed"] is True


def test_assuming_a_role_asks_its_trust_policy(place: Place) -> None:
    """The role's own account is trusted; root may not assume it."""
    role = f"arn:aws:iam::{A}:role/Ops"
    assert place.simulate(USER, "sts:AssumeRole", role)["Allowed"] is True
    assert place.simulate(f"arn:aws:iam::{A}:user/bob", "sts:AssumeRole", role)["Allowed"] is False
    assert place.simulate(f"arn:aws:iam::{A}:root", "sts:AssumeRole", role)["Allowed"] is False


@pytest.mark.parametrize(
    "arn",
    [f"arn:aws:iam::{A}:user/nobody", f"arn:aws:iam::{A}:user/path/ada", "arn:aws:iam::999999999999:root",
     f"arn:aws:sts::{A}:assumed-role/Nope/s", f"arn:aws:sts::{A}:assumed-role/Ops", f"arn:aws:iam::{A}:group/x"],
)  # fmt: skip
def test_a_principal_that_is_not_there_is_told(place: Place, arn: str) -> None:
    """PrincipalNotFoundException, whatever is missing."""
    with pytest.raises(ApiError, match="PrincipalNotFoundException"):
        place.simulate(arn, "iam:CreateUser")


@pytest.mark.parametrize(
    "arn", ["arn:aws:s3:::some-bucket-name", "not an arn, but long enough", "arn:aws:iam:::root00"]
)
def test_what_is_no_principal_is_refused(place: Place, arn: str) -> None:
    """ValidationException."""
    with pytest.raises(ApiError, match="ValidationException"):
        place.simulate(arn, "iam:CreateUser")


def test_other_accounts_may_not_be_asked_about(place: Place) -> None:
    """A caller of B asks about B only."""
    simulation = PolicySimulation(place.core.identities.directory, place.core.buckets, A)
    root = Principal(PrincipalType.ROOT, B, B, f"arn:aws:iam::{B}:root")
    call: Any = type("Call", (), {"principal": root, "received_at": NOW, "region": "us-east-1"})()
    own = {"PrincipalArn": f"arn:aws:iam::{B}:root", "Action": "iam:CreateUser"}
    assert simulation.simulate_policy(call, own)["Allowed"] is True
    with pytest.raises(ApiError, match="AccessDeniedException"):
        simulation.simulate_policy(call, own | {"PrincipalArn": USER})


def test_last_uses_are_written_in_one_batch(place: Place) -> None:
    """What was noted is in IAM's answer afterwards; nothing noted, nothing written."""
    uses = KeyUses()
    ticks = Ticks(place.core, uses)
    credential = place.core.identities.credential(USER_KEY)
    assert credential is not None
    uses.note(credential.principal, KeyUse(NOW, "sts", "eu-west-1"))
    ticks.note_uses()
    ticks.note_uses()
    with place.core.database.read() as connection:
        rows = {row["access_key_id"]: dict(row) for row in connection.execute(access_keys.select()).mappings()}
    assert (rows[USER_KEY]["last_used_service"], rows[USER_KEY]["last_used_region"]) == ("sts", "eu-west-1")


def test_a_new_sealing_key_leaves_a_service_event(place: Place) -> None:
    """Once a day, recorded with the change; in between nothing happens."""
    ticks = Ticks(place.core, KeyUses())
    before = place.core.sealing_keys.current().key_id
    ticks.rotate_sealing_key()
    assert place.core.sealing_keys.current().key_id == before
    place.clock.at = NOW.replace(day=24, hour=19)
    ticks.rotate_sealing_key()
    assert place.core.sealing_keys.current().key_id != before
    (event,) = [record for record in place.records() if record["eventName"] == "RotateSealingKey"]
    assert event["eventType"] == "AwsServiceEvent"
    assert "type" not in event["userIdentity"]
    assert event["serviceEventDetails"] == {"rotationType": "AUTOMATIC"}


def test_ticks_run_and_stop(place: Place) -> None:
    """The thread ends when asked to, with the last notes written."""
    ticks = Ticks(place.core, KeyUses(), interval_s=0.01)
    ticks.start()
    ticks.stop()
    ticks.stop()
