"""Organizations put together with the rest: records, what callers' conditions see, and an upstream's precedence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from opentrail.app.core import Core, World
from opentrail.app.organizations import host_organizations
from opentrail.clock import SystemEntropy
from opentrail.config import Settings, UpstreamSettings
from opentrail.errors import ApiError
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID
from opentrail.state.home import Home
from tests.support.iam_world import SettableClock, root_of

CANARY = "canary-5b1e"


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(World(Home(tmp_path), Settings(), SettableClock(), SystemEntropy()))
    host_organizations(core)
    yield core
    core.close()


def records(core: Core) -> list[dict[str, Any]]:
    """Every record in the journal."""
    return [orjson.loads(frame.payload) for frame in core.journal.read(0, max_bytes=1 << 20)]


def test_records_hide_whom_it_is_about_and_tell_what_was_done(core: Core) -> None:
    """Every sensitive member of a change, a refusal that is modelled, and AWS's form of times."""
    core.call("organizations", "CreateOrganization", {})
    target = {"Type": "EMAIL", "Id": f"{CANARY}@example.com"}
    core.call("organizations", "InviteAccountToOrganization", {"Target": target, "Notes": CANARY})
    core.call("organizations", "CreateAccount", {"Email": f"made-{CANARY}@example.com", "AccountName": CANARY})
    with pytest.raises(ApiError, match="DuplicateHandshakeException"):
        core.call("organizations", "InviteAccountToOrganization", {"Target": target, "Notes": CANARY})
    found = records(core)
    assert CANARY not in orjson.dumps(found).decode()
    created, invited, made, refused = found[-4:]
    assert created["responseElements"]["organization"]["masterAccountEmail"] == "****"
    assert created["responseElements"]["organization"]["masterAccountId"] == DEFAULT_ACCOUNT_ID
    assert invited["requestParameters"] == {"target": {"id": "****", "type": "EMAIL"}, "notes": "****"}
    handshake = invited["responseElements"]["handshake"]
    assert handshake["expirationTimestamp"] == "Dec 8, 2026 12:00:00 PM"
    assert {resource["value"] for resource in handshake["resources"]} == {"****"}
    status = made["responseElements"]["createAccountStatus"]
    assert made["requestParameters"] == {"email": "****", "accountName": "****"}
    assert (status["state"], status["accountName"]) == ("SUCCEEDED", "****")
    assert core.identities.directory.has_account(status["accountId"])
    assert (refused["errorCode"], refused["responseElements"]) == ("DuplicateHandshakeException", None)


def test_a_refused_change_changes_nothing(core: Core) -> None:
    """Neither the organization nor the accounts."""
    core.call("organizations", "CreateOrganization", {})
    before, accounts = core.organizations.snapshot.of(DEFAULT_ACCOUNT_ID), core.identities.list_accounts()
    tags = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    for name, parameters in (
        ("CreateOrganization", {}),
        ("CreateAccount", {"Email": "dev@example.com", "AccountName": "Dev", "Tags": tags}),
        ("RemoveAccountFromOrganization", {"AccountId": DEFAULT_ACCOUNT_ID}),
        ("CreatePolicy", {"Content": "{}", "Description": "d", "Name": "n", "Type": "SERVICE_CONTROL_POLICY"}),
    ):
        with pytest.raises(ApiError):
            core.call("organizations", name, parameters)
    assert core.organizations.snapshot.of(DEFAULT_ACCOUNT_ID) == before
    assert core.identities.list_accounts() == accounts


def test_conditions_see_the_organization_from_the_next_call_on(core: Core) -> None:
    """Made, moved within, and deleted."""
    root = root_of(DEFAULT_ACCOUNT_ID)

    def told() -> tuple[Any, Any]:
        found = core.identities.directory.context_of(root)
        return found.get("aws:principalorgid"), found.get("aws:principalorgpaths")

    assert told() == (None, None)
    organization_id = core.call("organizations", "CreateOrganization", {})["Organization"]["Id"]
    root_id = core.call("organizations", "ListRoots", {})["Roots"][0]["Id"]
    assert told() == ((organization_id,), (f"{organization_id}/{root_id}/",))
    unit_id = core.call("organizations", "CreateOrganizationalUnit", {"ParentId": root_id, "Name": "dev"})[
        "OrganizationalUnit"
    ]["Id"]
    move = {"AccountId": DEFAULT_ACCOUNT_ID, "SourceParentId": root_id, "DestinationParentId": unit_id}
    core.call("organizations", "MoveAccount", move)
    assert told() == ((organization_id,), (f"{organization_id}/{root_id}/{unit_id}/",))
    core.call("organizations", "DeleteOrganization", {})
    assert told() == (None, None)


def test_an_upstream_that_is_named_for_organizations_gets_its_calls(tmp_path: Path) -> None:
    """Then Organizations are not ours."""
    upstream = UpstreamSettings(endpoint="http://127.0.0.1:9", services=("organizations",), credentials="none")
    settings = Settings(upstreams={"mine": upstream})
    core = Core(World(Home(tmp_path), settings, SettableClock(), SystemEntropy()))
    try:
        host_organizations(core)
        assert "organizations" not in core.hosted
    finally:
        core.close()
