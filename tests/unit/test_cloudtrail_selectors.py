"""PutEventSelectors and GetEventSelectors, as handlers over a real state database."""

from typing import Any

import pytest

from tests.unit.test_cloudtrail_service import ARN, OTHER, World, refusal
from tests.unit.test_selectors_rules import DOCUMENTS, basic, category, data, field

DEFAULT_SELECTORS = basic()["EventSelectors"]


@pytest.fixture
def world() -> World:
    """A world with the trail audit."""
    world = World()
    world.create()
    return world


def custom(world: World) -> bool:
    """What the trail's description says about its selectors."""
    described = world.call("GetTrail", Name="audit")["Trail"]["HasCustomEventSelectors"]
    assert isinstance(described, bool)
    return described


def test_a_new_trail_has_the_default_selector(world: World) -> None:
    """GetEventSelectors answers the one basic selector with every member, and the trail has no custom ones."""
    assert world.call("GetEventSelectors", TrailName="audit") == {"TrailARN": ARN, "EventSelectors": DEFAULT_SELECTORS}
    assert not custom(world)


@pytest.mark.parametrize("name", ["audit", ARN])
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_what_is_put_is_echoed_and_stays(world: World, document: dict[str, Any], name: str) -> None:
    """By name or ARN: the answer echoes the request, the trail keeps it as a new generation, also over a restart."""
    before = world.only_trail()
    assert world.call("PutEventSelectors", TrailName=name, **document) == {"TrailARN": ARN, **document}
    world.trails.reload()
    after = world.only_trail()
    assert (after.trail_id, after.generation) == (before.trail_id, before.generation + 1)
    assert custom(world)
    found = world.call("GetEventSelectors", TrailName=name)
    in_order = [
        {**selector, "FieldSelectors": sorted(selector["FieldSelectors"], key=lambda field: field["Field"])}
        for selector in document.get("AdvancedEventSelectors", ())
    ]
    assert found.get("AdvancedEventSelectors", []) == in_order
    assert found.get("EventSelectors") == document.get("EventSelectors")


def test_basic_and_advanced_selectors_replace_each_other(world: World) -> None:
    """Putting one kind leaves nothing of the other, and the default put again is no custom selector."""
    world.call("PutEventSelectors", TrailName="audit", **data())
    assert set(world.call("GetEventSelectors", TrailName="audit")) == {"TrailARN", "AdvancedEventSelectors"}
    world.call("PutEventSelectors", TrailName="audit", EventSelectors=DEFAULT_SELECTORS, AdvancedEventSelectors=[])
    assert set(world.call("GetEventSelectors", TrailName="audit")) == {"TrailARN", "EventSelectors"}
    assert not custom(world)


def test_selectors_survive_other_changes_of_the_trail(world: World) -> None:
    """Starting, stopping, tagging and updating a trail leave its selectors alone."""
    world.call("PutEventSelectors", TrailName="audit", **data())
    before = world.only_trail().selectors
    world.call("StartLogging", Name="audit")
    world.call("UpdateTrail", Name="audit", S3KeyPrefix="org", IsMultiRegionTrail=True)
    world.call("AddTags", ResourceId=ARN, TagsList=[{"Key": "k"}])
    assert world.only_trail().selectors == before


def test_selectors_of_a_shadow_trail_are_seen_everywhere_and_changed_at_home(world: World) -> None:
    """In another region a multi-region trail's selectors can be read by its ARN, and not put."""
    world.call("UpdateTrail", Name="audit", IsMultiRegionTrail=True)
    assert world.call("GetEventSelectors", region="eu-west-1", TrailName=ARN)["TrailARN"] == ARN
    for name in ("audit", ARN):
        code, message = refusal(world, "PutEventSelectors", region="eu-west-1", TrailName=name, **basic())
        assert (code, "us-east-1" in message) == ("InvalidHomeRegionException", True)


@pytest.mark.parametrize("operation", ["GetEventSelectors", "PutEventSelectors"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody", "TrailNotFoundException"),
        ("a", "InvalidTrailNameException"),
        ("arn:aws:cloudtrail:us-east-1:123456789012:channel/x", "CloudTrailARNInvalidException"),
        (ARN.replace("123456789012", OTHER), "TrailNotFoundException"),
    ],
)
def test_a_trail_that_is_not_there_is_refused(world: World, operation: str, name: str, code: str) -> None:
    """Unknown, impossible, malformed and foreign names have their own codes."""
    more = basic() if operation == "PutEventSelectors" else {}
    assert refusal(world, operation, TrailName=name, **more)[0] == code


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {**basic(), **data()},
        basic(ReadWriteType="None"),
        {"AdvancedEventSelectors": [{"FieldSelectors": [category("Insight")]}]},
        data(field("eventName", Like=["Put"])),
    ],
)
def test_wrong_selectors_are_refused_and_leave_the_old_ones(world: World, request_: dict[str, Any]) -> None:
    """InvalidEventSelectorsException, and the trail selects what it did."""
    world.call("PutEventSelectors", TrailName="audit", **data())
    assert refusal(world, "PutEventSelectors", TrailName="audit", **request_)[0] == "InvalidEventSelectorsException"
