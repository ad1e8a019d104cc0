"""Which events selectors take: the rules one by one, with answers worked out by hand."""

from typing import Any

import pytest

from opentrail.events.selectors import DEFAULT
from opentrail.events.selectors_matching import EventFacts, compile_selectors
from opentrail.events.selectors_request import parse_selectors
from tests.unit.test_selectors_rules import FUNCTION, OBJECTS, TABLE, advanced, basic, category, data, field, resources

BUCKET, OBJECT = ("AWS::S3::Bucket", "arn:aws:s3:::ledger"), (OBJECTS, "arn:aws:s3:::ledger/books/2026.csv")


def upload(**changes: Any) -> EventFacts:
    """The facts of an upload to ledger by ada."""
    facts: dict[str, Any] = {
        "event_category": "Data",
        "read_only": False,
        "event_source": "s3.amazonaws.com",
        "event_name": "PutObject",
        "resources": (OBJECT, BUCKET),
        "user_identity_arn": "arn:aws:iam::123456789012:user/ada",
    }
    return EventFacts(**{**facts, **changes})


def management(**changes: Any) -> EventFacts:
    """The facts of a write that is a management event."""
    return upload(**{"event_category": "Management", "resources": (), "event_name": "CreateTrail", **changes})


def takes(request: dict[str, Any], facts: EventFacts) -> bool:
    """Whether accepted selectors take an event."""
    return compile_selectors(parse_selectors(request)).matches(facts)


@pytest.mark.parametrize(
    ("request_", "facts", "expected"),
    [
        (basic(), management(), True),
        (basic(), upload(), False),
        (basic(ReadWriteType="ReadOnly"), management(), False),
        (basic(ReadWriteType="ReadOnly"), management(read_only=True), True),
        (basic(ReadWriteType="WriteOnly"), management(), True),
        (basic(IncludeManagementEvents=False), management(), False),
        (
            basic(ExcludeManagementEventSources=["kms.amazonaws.com"]),
            management(event_source="kms.amazonaws.com"),
            False,
        ),
        (basic(ExcludeManagementEventSources=["kms.amazonaws.com"]), management(), True),
        (resources(OBJECTS, "arn:aws:s3"), upload(), True),
        (resources(OBJECTS, "arn:aws:s3:::"), upload(), True),
        (resources(OBJECTS, "arn:aws:s3:::ledger/"), upload(), True),
        (resources(OBJECTS, "arn:aws:s3:::ledger/bo"), upload(), True),
        (resources(OBJECTS, "arn:aws:s3:::ledger/Bo"), upload(), False),
        (resources(OBJECTS, "arn:aws:s3:::ledger/books/2026.csv.bak"), upload(), False),
        (resources(OBJECTS, "arn:aws:s3:::ledge/", "arn:aws:s3:::ledger/books"), upload(), True),
        (resources(OBJECTS, "arn:aws:s3:::ledge/"), upload(), False),
        (resources(OBJECTS, "arn:aws:s3"), upload(resources=(("AWS::SQS::Queue", "arn:aws:sqs:::q"),)), False),
        (resources("AWS::Lambda::Function", FUNCTION), upload(resources=(("AWS::Lambda::Function", FUNCTION),)), True),
        (
            resources("AWS::Lambda::Function", FUNCTION),
            upload(resources=(("AWS::Lambda::Function", f"{FUNCTION}2"),)),
            False,
        ),
        (
            resources("AWS::Lambda::Function", "arn:aws:lambda"),
            upload(resources=(("AWS::Lambda::Function", FUNCTION),)),
            True,
        ),
        (resources("AWS::DynamoDB::Table", TABLE), upload(resources=(("AWS::DynamoDB::Table", TABLE),)), True),
        (resources("AWS::DynamoDB::Table", "arn:aws:dynamodb"), upload(), False),
    ],
)
def test_basic_selectors(request_: dict[str, Any], facts: EventFacts, expected: bool) -> None:
    """Management events by kind and source, data events by type and ARN; S3's values are prefixes, the others exact."""
    assert takes(request_, facts) is expected


@pytest.mark.parametrize(
    ("request_", "facts", "expected"),
    [
        (advanced(category("Management")), management(), True),
        (advanced(category("Management")), upload(), False),
        (advanced(category("Management"), field("readOnly", Equals=["true"])), management(), False),
        (advanced(category("Management"), field("readOnly", Equals=["false"])), management(), True),
        (data(), upload(), True),
        (data(), management(), False),
        (data(type_="AWS::SQS::Queue"), upload(), False),
        (data(field("eventName", Equals=["GetObject", "PutObject"])), upload(), True),
        (data(field("eventName", Equals=["putobject"])), upload(), False),
        (data(field("eventName", StartsWith=["Put"], NotEquals=["PutObject"])), upload(), False),
        (data(field("eventName", Equals=["GetObject"], StartsWith=["Put"])), upload(), True),
        (data(field("eventName", NotEquals=["GetObject"], NotStartsWith=["Delete"])), upload(), True),
        (data(field("eventName", EndsWith=["Object"]), field("readOnly", Equals=["true"])), upload(), False),
        (data(field("resources.ARN", StartsWith=["arn:aws:s3:::ledger/"])), upload(), True),
        (data(field("resources.ARN", NotStartsWith=["arn:aws:s3:::ledger/books/"])), upload(), False),
        (data(field("resources.ARN", EndsWith=["ledger"])), upload(), False),
        (data(field("resources.ARN", NotEndsWith=["ledger"])), upload(), True),
        (data(field("userIdentity.arn", EndsWith=["/ada"])), upload(), True),
        (data(field("userIdentity.arn", EndsWith=["/ada"])), upload(user_identity_arn=""), False),
        (data(field("userIdentity.arn", NotEndsWith=["/ada"])), upload(user_identity_arn=""), True),
        (data(field("sessionCredentialFromConsole", Equals=["true"])), upload(), False),
        (data(field("sessionCredentialFromConsole", Equals=["true"])), upload(session_from_console=True), True),
        (data(field("sessionCredentialFromConsole", NotEquals=["true"])), upload(session_from_console=True), False),
        (data(field("sessionCredentialFromConsole", NotEquals=["true"])), upload(), True),
        (data(field("eventType", NotEquals=["AwsServiceEvent"])), upload(), True),
    ],
)
def test_advanced_selectors(request_: dict[str, Any], facts: EventFacts, expected: bool) -> None:
    """Fields are AND-ed, values OR-ed, Not operators veto, absent fields fit nothing, case counts, and an ARN is one
    of the selector's own type of resource.
    """
    assert takes(request_, facts) is expected


def test_one_selector_that_takes_an_event_is_enough() -> None:
    """Selectors are OR-ed, so a veto in one does not keep another from taking the event."""
    reads = data(field("readOnly", Equals=["true"]))["AdvancedEventSelectors"]
    ledger = data(field("resources.ARN", StartsWith=["arn:aws:s3:::ledger/"]))["AdvancedEventSelectors"]
    assert takes({"AdvancedEventSelectors": reads + ledger}, upload())
    assert not takes({"AdvancedEventSelectors": reads}, upload())


def test_what_need_not_be_looked_at_is_known_beforehand() -> None:
    """The matcher says which categories it wants, and whether it takes all management events whatever they are."""
    default = compile_selectors(DEFAULT)
    assert (default.categories, default.takes_all_management_events) == (frozenset({"Management"}), True)
    for request in (basic(ReadWriteType="WriteOnly"), basic(ExcludeManagementEventSources=["kms.amazonaws.com"])):
        assert not compile_selectors(parse_selectors(request)).takes_all_management_events
    objects = compile_selectors(parse_selectors(data()))
    assert (objects.categories, objects.takes_all_management_events) == (frozenset({"Data"}), False)
    whole = advanced(category("Management"))
    assert compile_selectors(parse_selectors(whole)).takes_all_management_events
    both = {"EventSelectors": [*basic(ReadWriteType="ReadOnly")["EventSelectors"], {}]}
    assert compile_selectors(parse_selectors(both)).takes_all_management_events
