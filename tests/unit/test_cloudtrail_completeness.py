"""Every operation of CloudTrail's model is answered or refused with a reason; answers and errors are the model's."""

import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import Shape, StructureShape

import opentrail.services.cloudtrail as package
from opentrail.services.cloudtrail.refusals import UNSUPPORTED
from tests.unit.test_cloudtrail_service import World

INSIGHT = {"InsightType": "ApiErrorRateInsight", "EventCategories": ["Management"]}
_TRAILS = ("aggregation", "insights", "names", "notification")


@pytest.fixture(scope="module")
def model() -> "botocore.model.ServiceModel":
    """The service model of CloudTrail."""
    return botocore.session.get_session().get_service_model("cloudtrail")


def test_every_operation_is_handled_or_listed(model: "botocore.model.ServiceModel") -> None:
    """Handlers and refusals together are exactly the operations of the model, and do not overlap."""
    handled = set(World().handlers)
    assert handled.isdisjoint(UNSUPPORTED)
    assert handled | set(UNSUPPORTED) == set(model.operation_names)


def test_handlers_that_write_are_those_that_change_something() -> None:
    """Describe, Get and List operations take no unit of work; all others do."""
    for name, handler in World().handlers.items():
        assert handler.writes == (not name.startswith(("Describe", "Get", "List"))), name


def test_every_error_code_is_modelled(model: "botocore.model.ServiceModel") -> None:
    """Each exception that the handlers, names and refusals mention is an error shape of the model, or common to all."""
    root = Path(package.__path__[0]).parent.parent
    sources = [*Path(package.__path__[0]).glob("*.py"), *(root / "trails" / f"{name}.py" for name in _TRAILS)]
    sources += root.glob("events/selectors*.py")
    mentioned = {code for source in sources for code in re.findall(r'"(\w+Exception)"', source.read_text())}
    assert len(mentioned) > 10
    assert mentioned <= {*model.shape_names, "ValidationException"}


def test_answers_have_members_of_the_model_only(model: "botocore.model.ServiceModel") -> None:
    """What the handlers answer names no member that the model's output does not have."""
    world = World()
    answers = {
        "CreateTrail": world.create(S3KeyPrefix="p", TagsList=[{"Key": "k", "Value": "v"}]),
        "ListPublicKeys": world.call("ListPublicKeys"),
        "UpdateTrail": world.call("UpdateTrail", Name="audit", S3KeyPrefix="q"),
        "GetTrailStatus": world.call("GetTrailStatus", Name="audit"),
        "DescribeTrails": world.call("DescribeTrails"),
        "ListTrails": world.call("ListTrails"),
        "GetTrail": world.call("GetTrail", Name="audit"),
        "PutInsightSelectors": world.call("PutInsightSelectors", TrailName="audit", InsightSelectors=[INSIGHT]),
        "GetInsightSelectors": world.call("GetInsightSelectors", TrailName="audit"),
        "GetEventConfiguration": world.call("GetEventConfiguration", TrailName="audit"),
        "PutEventSelectors": world.call("PutEventSelectors", TrailName="audit", EventSelectors=[{}]),
        "GetEventSelectors": world.call("GetEventSelectors", TrailName="audit"),
    }
    for operation, answer in answers.items():
        output = model.operation_model(operation).output_shape
        assert output is not None
        assert set(answer) <= set(output.members), operation
    described = model.operation_model("GetTrail").output_shape
    assert described is not None
    assert set(answers["GetTrail"]["Trail"]) <= set(_structure(described.members["Trail"]).members)


def _structure(shape: Shape) -> StructureShape:
    assert isinstance(shape, StructureShape)
    return shape
