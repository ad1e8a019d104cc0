"""Cloud Custodian, unmodified, tells a well-made trail from a bad one by every filter it has (docs/tools.md)."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.auditors import (
    ACCOUNT,
    BAD_BUCKET,
    CARELESS,
    CARELESS_KEY,
    GOOD_BUCKET,
    Scene,
    make_scene,
    run_tool,
)
from tests.support.gateway import Gateway, Key, running

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
BOTH = {"good", "bad"}
_EVENTS = "EventSelectors[].IncludeManagementEvents"
_TYPES = "EventSelectors[].ReadWriteType"

FILTERED: Mapping[str, tuple[list[dict[str, Any]], set[str]]] = {
    "everything": ([], BOTH),
    "value": ([{"type": "value", "key": "LogFileValidationEnabled", "value": False}], {"bad"}),
    "value-kms": ([{"KmsKeyId": "absent"}], {"bad"}),
    "value-region": ([{"type": "value", "key": "IsMultiRegionTrail", "value": True}], {"good"}),
    "value-topic": ([{"SnsTopicARN": "present"}], {"good"}),
    "value-global": ([{"IncludeGlobalServiceEvents": False}], {"bad"}),
    "value-insights": ([{"HasInsightSelectors": True}], {"good"}),
    "tag": ([{"tag:stage": "prod"}], {"good"}),
    "tag-absent": ([{"tag:stage": "absent"}], {"bad"}),
    "status-stopped": ([{"type": "status", "key": "IsLogging", "value": False}], {"bad"}),
    "status-no-error": ([{"type": "status", "key": "LatestDeliveryError", "value": "absent"}], BOTH),
    "selectors": ([{"type": "event-selectors", "key": _EVENTS, "op": "contains", "value": True}], BOTH),
    "selectors-all": ([{"type": "event-selectors", "key": _TYPES, "op": "contains", "value": "All"}], {"good"}),
    "shadow": ([{"type": "is-shadow"}], set()),
    "not-shadow": ([{"type": "is-shadow", "state": False}], BOTH),
    "reduce": ([{"type": "reduce", "sort-by": "Name", "order": "asc", "limit": 1}], {"bad"}),
    "list-item": ([{"type": "list-item", "key": "Tags", "attrs": [{"Key": "stage"}, {"Value": "prod"}]}], {"good"}),
    "not-marked": ([{"type": "marked-for-op", "op": "delete"}], set()),
}
"""Policy -> its filters, and the trails of us-east-1 that they leave."""

UNSERVED: Mapping[str, tuple[dict[str, Any], str]] = {
    "config-compliance": ({"rules": ["cloud-trail-encryption-enabled"]}, "NoSuchConfigRuleException"),
    "finding": (
        {"query": {"RecordState": [{"Value": "ACTIVE", "Comparison": "EQUALS"}]}},
        "UnsupportedOperationException",
    ),
    "ops-item": ({"status": ["Open"]}, "InvalidAction"),
}
"""Filters that ask services which nobody here has, with their options and the refusal that Custodian shows."""

CHECKED: Mapping[str, tuple[dict[str, Any], bool]] = {
    "multi-region": ({"multi-region": True}, True),
    "file-digest": ({"file-digest": True}, True),
    "kms": ({"kms": True}, True),
    "global": ({"global-events": True}, True),
    "management": ({"include-management-events": True}, True),
    "notifies": ({"notifies": True}, True),
    "here": ({"current-region": True}, True),
    "running": ({"running": True}, True),
    "anything": ({"running": False}, False),
}
"""check-cloudtrail of `aws.account`: its options, and whether they tell the careless account from the careful one."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail for all tests here."""
    with running(tmp_path_factory.mktemp("custodian") / "home") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def scene(gateway: Gateway) -> Scene:
    """Both trails."""
    return make_scene(gateway)


def _policy(name: str, filters: list[dict[str, Any]], resource: str = "aws.cloudtrail", **more: Any) -> dict[str, Any]:
    return {"name": name, "resource": resource, "filters": filters, **more}


def _run(
    gateway: Gateway, policies: list[dict[str, Any]], *, key: Key | None = None, region: str = "us-east-1"
) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """What each policy found (one that failed is absent), and what Custodian said."""
    account = CARELESS if key else ACCOUNT
    place = Path(gateway.home.parent, f"custodian-{account}-{region}-{policies[0]['name']}")
    place.mkdir()
    book = place / "policies.json"
    book.write_text(json.dumps({"policies": policies}))
    options = ("--cache-period", "0", "--region", region, "-s", str(place / "out"))
    done = run_tool(gateway, "c7n", "custodian", "run", *options, str(book), key=key)
    found = {}
    for policy in policies:
        report = place / "out" / str(policy["name"]) / "resources.json"
        if report.exists():
            found[str(policy["name"])] = json.loads(report.read_text())
    return found, done.stdout + done.stderr


def _names(found: Mapping[str, list[dict[str, Any]]]) -> dict[str, set[str]]:
    return {policy: {str(one.get("Name")) for one in resources} for policy, resources in found.items()}


def test_every_filter_tells_the_trails_apart(gateway: Gateway, scene: Scene) -> None:
    """Each policy leaves the trails that it means, and Custodian complains of nothing."""
    found, said = _run(gateway, [_policy(name, filters) for name, (filters, _) in FILTERED.items()])
    assert "ERROR" not in said, said
    assert _names(found) == {name: trails for name, (_, trails) in FILTERED.items()}


def test_the_list_of_filters_is_complete(gateway: Gateway, scene: Scene) -> None:
    """A filter that a newer Custodian brings is noticed here; `event` works in Lambda functions only."""
    said = run_tool(gateway, "c7n", "custodian", "schema", "aws.cloudtrail.filters").stdout
    listed = {line.strip().removeprefix("- ") for line in said.splitlines() if line.strip().startswith("- ")}
    tried = {one.get("type", "value") for filters, _ in FILTERED.values() for one in filters}
    assert listed == tried | set(UNSERVED) | {"event"}


def test_filters_of_services_that_nobody_has_say_so(gateway: Gateway, scene: Scene) -> None:
    """AWS Config's rules, Security Hub and OpsCenter: a plain refusal, never a wrong verdict."""
    policies = [_policy(name, [{"type": name, **options}]) for name, (options, _) in UNSERVED.items()]
    found, said = _run(gateway, policies)
    assert found == {}
    for name, (_, code) in UNSERVED.items():
        assert code in said, (name, said)


def test_a_trail_of_every_region_is_a_shadow_elsewhere(gateway: Gateway, scene: Scene) -> None:
    """In eu-west-1 the good trail is seen as the shadow that it is, and the bad one not at all."""
    shadow = _policy("shadow", [{"type": "is-shadow"}])
    assert _names(_run(gateway, [shadow], region="eu-west-1")[0]) == {"shadow": {"good"}}


def test_check_cloudtrail_finds_the_careless_account(gateway: Gateway, scene: Scene) -> None:
    """The careful account passes every option of the filter, the careless one fails each that looks at its trail."""
    policies = [
        _policy(name, [{"type": "check-cloudtrail", **options}], "aws.account")
        for name, (options, _) in CHECKED.items()
    ]
    careful, said = _run(gateway, policies)
    assert "ERROR" not in said, said
    assert {name for name, accounts in careful.items() if accounts} == set()
    careless, _ = _run(gateway, policies, key=CARELESS_KEY)
    assert {name: bool(accounts) for name, accounts in careless.items()} == {
        name: told for name, (_, told) in CHECKED.items()
    }


def test_buckets_are_judged_by_their_public_access_block(gateway: Gateway, scene: Scene) -> None:
    """`aws.s3`: the well-made trail's bucket has every setting on, the others none."""
    book = [_policy("open", [{"type": "check-public-block"}], "aws.s3")]
    found, said = _run(gateway, book)
    assert "ERROR" not in said, said
    names = _names(found)["open"]
    assert BAD_BUCKET in names
    assert GOOD_BUCKET not in names


def test_actions_mark_tag_and_mend_the_bad_trail(gateway: Gateway, scene: Scene) -> None:
    """tag, mark-for-op and remove-tag go through the tagging API; update-trail and set-logging mend; delete deletes."""
    bad = [{"Name": "bad"}]
    mend = {"type": "update-trail", "attributes": {"EnableLogFileValidation": True, "KmsKeyId": scene.key_arn}}
    book = [
        _policy("tagged", bad, actions=[{"type": "tag", "key": "owner", "value": "ada"}]),
        _policy("marked", bad, actions=[{"type": "mark-for-op", "op": "delete", "days": 0}]),
        _policy("mended", bad, actions=[mend, {"type": "set-logging", "enabled": True}]),
    ]
    _, said = _run(gateway, book)
    assert "ERROR" not in said, said
    again = [
        _policy("owned", [{"tag:owner": "ada"}]),
        _policy("due", [{"type": "marked-for-op", "op": "delete"}]),
        _policy("running", [{"type": "status", "key": "IsLogging", "value": True}]),
        _policy("mended", [{"LogFileValidationEnabled": True}, {"KmsKeyId": scene.key_arn}]),
    ]
    found, said = _run(gateway, again)
    assert "ERROR" not in said, said
    assert _names(found) == {"owned": {"bad"}, "due": {"bad"}, "running": BOTH, "mended": BOTH}
    last = [
        _policy("untagged", bad, actions=[{"type": "remove-tag", "tags": ["owner"]}]),
        _policy("gone", [{"type": "marked-for-op", "op": "delete"}], actions=["delete"]),
    ]
    _, said = _run(gateway, last)
    assert [trail["Name"] for trail in gateway.client("cloudtrail").describe_trails()["trailList"]] == ["good"], said
