"""Facts and permissions of calls whose parameters are anything at all."""

import time
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.arn import ARN_CHARS_MAX
from opentrail.aws.model import Catalogue, Operation
from opentrail.events.call_facts import additional_event_data, describe
from opentrail.events.data_events import DATA_EVENTS
from opentrail.events.elements import request_elements, response_elements
from opentrail.events.encoding import encode
from opentrail.events.resource_arns import Place
from opentrail.events.resource_rules import RULES
from opentrail.gateway.upstream_permissions import request_tags, untagged_keys, upstream_permissions

CATALOGUE = Catalogue()
PLACE = Place("123456789012", "eu-west-1")
SERVICES = ("dynamodb", "dynamodbstreams", "ec2", "kms", "lambda", "logs", "sns", "sqs", "ssm", "events", "apigateway")


def operations() -> list[Operation]:
    """Operations whose parameters name something, of the services with rules of their own."""
    found = []
    for name in SERVICES:
        service = CATALOGUE.service(name)
        first = {rule.member for rule in RULES.get(name, ())}
        for operation in map(service.operation, service.operation_names):
            if operation.input_shape is not None and (
                name == "apigateway" or first & set(operation.input_shape.members)
            ):
                found.append(operation)
    return found


OPERATIONS = operations()
MEMBERS = sorted(
    {step.rstrip("[]{}") for rules in RULES.values() for rule in rules for step in rule.path.split(".")}
    | {"Qualifier", "IndexName", "Tags", "tags", "TagKeys", "TagSpecifications", "Key", "Value", "Role", "Put", "Get"}
)
PIECES = st.sampled_from(
    ["arn:", "arn:aws:", ":", "/", "|", "123456789012", "function:", "alias/", "from ", '"', "'", "--"]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=30))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=5), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(MEMBERS), TEXTS), inner, max_size=4)
    ),
    max_leaves=12,
)
PARAMETERS = st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPERATIONS), PARAMETERS)
def test_no_parameters_make_facts_fail(operation: Operation, parameters: dict[str, Any]) -> None:
    """Whatever is sent, there are facts, they can be written, and no ARN in them is longer than one may be."""
    facts = describe(operation, parameters, PLACE)
    assert orjson.loads(encode([dict(resource) for resource in facts.resources])) is not None
    for resource in facts.resources:
        assert set(resource) <= {"accountId", "type", "ARN"}
        assert len(resource.get("ARN", "")) <= ARN_CHARS_MAX
    if not facts.management_event:
        assert facts.resource_types
    additional_event_data(operation, parameters, parameters, PLACE)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPERATIONS), PARAMETERS)
def test_no_parameters_escape_a_permission(operation: Operation, parameters: dict[str, Any]) -> None:
    """Whatever is sent takes at least one permission, each with an action and a resource."""
    permissions = list(upstream_permissions(operation, parameters, PLACE))
    assert permissions
    assert all(":" in permission.action and permission.resource for permission in permissions)
    request_tags(parameters)
    untagged_keys(parameters)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([o for o in OPERATIONS if o.service.name == "ec2"]), PARAMETERS)
def test_no_parameters_make_ec2s_forms_fail(operation: Operation, parameters: dict[str, Any]) -> None:
    """Sets, wrapped requests and answers are made of values of any kind, in either direction."""
    encode(request_elements(operation, parameters))
    encode(response_elements(operation, parameters, request_id="r"))


def test_long_statements_are_read_in_time() -> None:
    """A megabyte of quotes, words or spaces takes no more than a moment: nothing here backtracks."""
    operation = CATALOGUE.service("dynamodb").operation("ExecuteStatement")
    started = time.monotonic()
    for piece in ('"', "'", "from ", "from", " ", "exists(select from ", "\"'", "a'\"", "/*", "update\t"):
        describe(operation, {"Statement": piece * (1_000_000 // len(piece))}, PLACE)
    assert time.monotonic() - started < 20


def test_every_data_event_has_a_type_whatever_it_says() -> None:
    """With no parameters at all, each data event still has the type that selectors choose it by."""
    for name, row in DATA_EVENTS.items():
        service = CATALOGUE.service(name)
        for operation in map(service.operation, sorted(row.operations)):
            facts = describe(operation, None, PLACE)
            assert not facts.management_event
            assert facts.resource_types == {row.type}
