"""Compiled selectors against a slow, literal evaluator that reads the finished records, over generated calls."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.events import record, s3_elements
from opentrail.events.call import Call, Outcome
from opentrail.events.s3 import S3Call
from opentrail.events.selectors import from_text, members_of, text_of
from opentrail.events.selectors_facts import facts_of_call, facts_of_service_event
from opentrail.events.selectors_matching import EventFacts, compile_selectors
from opentrail.events.selectors_request import parse_selectors
from opentrail.identity.principal import Principal, PrincipalType
from tests.support.naive_selectors import takes

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OWN, OTHER = "123456789012", "210987654321"
OBJECTS, FUNCTIONS, TABLES = "AWS::S3::Object", "AWS::Lambda::Function", "AWS::DynamoDB::Table"
BUCKETS = ["ledger", "ledger2", "Ledger"]
KEYS = ["", "a", "a/b", "A", "logs/1"]
ARNS = {
    OBJECTS: [f"arn:aws:s3:::{bucket}/{key}" for bucket in BUCKETS for key in KEYS],
    FUNCTIONS: [f"arn:aws:lambda:us-east-1:{OWN}:function:{name}" for name in ("f", "ff", "f:1")],
    TABLES: [f"arn:aws:dynamodb:us-east-1:{OWN}:table/{name}" for name in ("t", "tt")],
}
EVERY = {OBJECTS: ["arn:aws:s3", "arn:aws:s3:::"], FUNCTIONS: ["arn:aws:lambda"], TABLES: ["arn:aws:dynamodb"]}
SOURCES = ["s3.amazonaws.com", "kms.amazonaws.com", "rdsdata.amazonaws.com", "dynamodb.amazonaws.com"]
NAMES = ["GetObject", "PutObject", "HeadBucket", "ListObjects", "Decrypt", "putobject"]
USERS = [f"arn:aws:iam::{OWN}:user/{name}" for name in ("ada", "ada2", "Ada")]
EXCLUDABLE = ["kms.amazonaws.com", "rdsdata.amazonaws.com"]
POSITIVE, NEGATIVE = ["Equals", "StartsWith", "EndsWith"], ["NotEquals", "NotStartsWith", "NotEndsWith"]


def some(texts: list[str]) -> st.SearchStrategy[list[str]]:
    """A few whole values."""
    return st.lists(st.sampled_from(texts), min_size=1, max_size=3)


@st.composite
def pieces(draw: st.DrawFn, texts: list[str]) -> list[str]:
    """A few beginnings, ends or wholes of values."""
    found = []
    for text in draw(some(texts)):
        cut = draw(st.integers(1, len(text)))
        found.append(text[:cut] if draw(st.booleans()) else text[-cut:])
    return found


@st.composite
def field(draw: st.DrawFn, name: str, texts: list[str]) -> dict[str, Any]:
    """A field selector with one to three of the six operators."""
    operators = draw(st.lists(st.sampled_from(POSITIVE + NEGATIVE), min_size=1, max_size=3, unique=True))
    return {"Field": name, **{o: draw(some(texts) if o.endswith("Equals") else pieces(texts)) for o in operators}}


def read_only() -> st.SearchStrategy[dict[str, Any]]:
    """The field readOnly."""
    return st.sampled_from(["true", "false"]).map(lambda value: {"Field": "readOnly", "Equals": [value]})


@st.composite
def advanced_selector(draw: st.DrawFn) -> dict[str, Any]:
    """Any advanced selector that a trail may have."""
    category = draw(st.sampled_from(["Management", "Data", "Data", "NetworkActivity"]))
    required: list[dict[str, Any]] = [{"Field": "eventCategory", "Equals": [category]}]
    if category == "Management":
        choices = [
            read_only(),
            some(EXCLUDABLE).map(lambda values: {"Field": "eventSource", "NotEquals": values}),
        ]
    elif category == "Data":
        type_ = draw(st.sampled_from([*ARNS, "AWS::SQS::Queue"]))
        required.append({"Field": "resources.type", "Equals": [type_]})
        choices = [
            read_only(),
            field("eventName", NAMES),
            field("eventSource", SOURCES),
            field("eventType", ["AwsApiCall", "AwsServiceEvent"]),
            field("resources.ARN", ARNS.get(type_, ["arn:aws:sqs:us-east-1:123456789012:q"])),
            field("userIdentity.arn", USERS),
            st.sampled_from(["Equals", "NotEquals"]).map(
                lambda operator: {"Field": "sessionCredentialFromConsole", operator: ["true"]}
            ),
        ]
    else:
        required.append({"Field": "eventSource", "Equals": [draw(st.sampled_from(SOURCES[:2]))]})
        choices = [
            field("eventName", NAMES),
            field("userIdentity.arn", USERS),
            field("vpcEndpointId", ["vpce-1", "vpce-2"]),
            st.just({"Field": "errorCode", "Equals": ["VpceAccessDenied"]}),
        ]
    optional = [draw(choice) for choice in draw(st.lists(st.sampled_from(choices), max_size=3))]
    return {"FieldSelectors": draw(st.permutations(required + optional))}


@st.composite
def basic_selector(draw: st.DrawFn) -> dict[str, Any]:
    """Any basic selector."""
    include = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from([OBJECTS, FUNCTIONS, TABLES]), max_size=2))
    data = [{"Type": kind, "Values": draw(some(ARNS[kind] + EVERY[kind]))} for kind in kinds]
    selector = {
        "ReadWriteType": draw(st.sampled_from(["All", "ReadOnly", "WriteOnly"])),
        "IncludeManagementEvents": include,
        "DataResources": data,
        "ExcludeManagementEventSources": draw(some(EXCLUDABLE)) if include and draw(st.booleans()) else [],
    }
    left_out = draw(st.sampled_from([(), ("ReadWriteType",), ("DataResources", "ExcludeManagementEventSources")]))
    return {name: value for name, value in selector.items() if name not in left_out}


MEMBERS = st.one_of(
    st.lists(basic_selector(), min_size=1, max_size=3).map(lambda found: {"EventSelectors": found}),
    st.lists(advanced_selector(), min_size=1, max_size=3).map(lambda found: {"AdvancedEventSelectors": found}),
)

PRINCIPALS = st.sampled_from(
    [
        *(Principal(PrincipalType.IAM_USER, account_id=OWN, arn=arn, principal_id="AIDA") for arn in USERS),
        Principal(PrincipalType.UNKNOWN, account_id=OWN, arn=USERS[0]),
        Principal(PrincipalType.SAML_USER, account_id=OWN, arn=USERS[0], user_name="ada"),
        Principal(PrincipalType.IDENTITY_CENTER_USER, account_id=OWN, arn=USERS[0]),
        Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com"),
        Principal(PrincipalType.AWS_ACCOUNT),
    ]
)


def _touched(draw: st.DrawFn, name: str) -> tuple[Any, ...]:
    """The resources of a data event: those the S3 door records, or what another service would."""
    if draw(st.booleans()):
        call = S3Call(
            operation=name,
            event_name=name,
            iam_action="s3:any",
            bucket=draw(st.sampled_from(BUCKETS)),
            key="" if name in {"HeadBucket", "ListObjects"} else draw(st.sampled_from(KEYS)),
            read_only=True,
            management=False,
        )
        return s3_elements.resources(call, OWN, prefix=draw(st.sampled_from(KEYS)))
    types = draw(st.lists(st.sampled_from([FUNCTIONS, TABLES]), max_size=2))
    return tuple({"type": type_, "ARN": draw(st.sampled_from(ARNS[type_]))} for type_ in types)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Call, Outcome]:
    """A call and its outcome, management or data, of one of several callers."""
    name = draw(st.sampled_from(NAMES))
    management = draw(st.booleans())
    call = Call(
        request_id="r",
        received_at=NOW,
        account_id=OWN,
        region="us-east-1",
        principal=draw(PRINCIPALS),
        event_source=draw(st.sampled_from(SOURCES)),
        event_name=name,
        read_only=draw(st.booleans()),
        management_event=management,
    )
    resources = () if management else _touched(draw, name)
    error = draw(st.sampled_from([None, "AccessDenied", "VpceAccessDenied"]))
    return call, Outcome(completed_at=NOW, error_code=error, resources=resources)


@given(MEMBERS, calls(), st.sampled_from([OWN, OTHER]))
@settings(max_examples=400)
def test_compiled_selectors_take_what_their_literal_reading_takes_of_the_record(
    members: dict[str, Any], made: tuple[Call, Outcome], recipient: str
) -> None:
    """For any accepted selectors and any call, the matcher agrees with the literal evaluator on the record's bytes."""
    call, outcome = made
    matcher = compile_selectors(parse_selectors(members))
    written = json.loads(record.build(call, outcome, event_id="e", recipient_account_id=recipient))
    assert matcher.matches(facts_of_call(call, outcome, recipient)) == takes(members, written)


@given(calls(), st.sampled_from([OWN, OTHER]))
@settings(max_examples=200)
def test_facts_are_what_the_recipients_record_shows(made: tuple[Call, Outcome], recipient: str) -> None:
    """Each fact of a call stands in the record of that recipient, and what the record hides is no fact. A data event of
    a bucket alone has one resource more: all its objects.
    """
    call, outcome = made
    facts = facts_of_call(call, outcome, recipient)
    written = json.loads(record.build(call, outcome, event_id="e", recipient_account_id=recipient))
    touched = [(item["type"], item.get("ARN", item.get("ARNPrefix"))) for item in written.get("resources", ())]
    if not call.management_event and [type_ for type_, _ in touched] == ["AWS::S3::Bucket"]:
        touched.append((OBJECTS, f"{touched[0][1]}/"))
    assert facts == EventFacts(
        event_category=written["eventCategory"],
        read_only=written["readOnly"],
        event_source=written["eventSource"],
        event_name=written["eventName"],
        event_type=written["eventType"],
        resources=tuple(touched),
        user_identity_arn=written["userIdentity"].get("arn", ""),
        error_code=written.get("errorCode", ""),
    )


@given(MEMBERS, st.booleans(), st.sampled_from(SOURCES))
@settings(max_examples=100)
def test_service_events_are_taken_as_their_records_say(members: dict[str, Any], read: bool, source: str) -> None:
    """The same for what services do by themselves."""
    event = record.ServiceEvent(
        event_source=source, event_name="Backup", account_id=OWN, region="us-east-1", occurred_at=NOW, details={},
        read_only=read,
    )  # fmt: skip
    written = json.loads(record.service_event(event, event_id="e"))
    taken = compile_selectors(parse_selectors(members)).matches(facts_of_service_event(event))
    assert taken == takes(members, written)


def _written(facts: EventFacts) -> dict[str, Any]:
    """The members of a record with these facts, for those events that no service of ours makes yet."""
    written = {
        "eventCategory": facts.event_category,
        "eventType": facts.event_type,
        "eventSource": facts.event_source,
        "eventName": facts.event_name,
        "readOnly": facts.read_only,
        "userIdentity": {"arn": facts.user_identity_arn} if facts.user_identity_arn else {},
        "resources": [{"type": type_, "ARN": arn} for type_, arn in facts.resources],
    }
    optional = {"errorCode": facts.error_code, "vpcEndpointId": facts.vpc_endpoint_id}
    console = {"sessionCredentialFromConsole": "true"} if facts.session_from_console else {}
    return written | {name: value for name, value in optional.items() if value} | console


@st.composite
def further_facts(draw: st.DrawFn) -> EventFacts:
    """Events with VPC endpoints, console sessions and several resources."""
    resources = draw(st.lists(st.sampled_from([(type_, arn) for type_ in ARNS for arn in ARNS[type_]]), max_size=3))
    return EventFacts(
        event_category=draw(st.sampled_from(["Data", "NetworkActivity"])),
        read_only=draw(st.booleans()),
        event_source=draw(st.sampled_from(SOURCES)),
        event_name=draw(st.sampled_from(NAMES)),
        event_type=draw(st.sampled_from(["AwsApiCall", "AwsVpceEvent"])),
        resources=tuple(resources),
        user_identity_arn=draw(st.sampled_from(["", *USERS])),
        session_from_console=draw(st.booleans()),
        error_code=draw(st.sampled_from(["", "VpceAccessDenied"])),
        vpc_endpoint_id=draw(st.sampled_from(["", "vpce-1", "vpce-2"])),
    )


@given(MEMBERS, further_facts())
@settings(max_examples=300)
def test_every_fact_is_compared_as_the_record_would_show_it(members: dict[str, Any], facts: EventFacts) -> None:
    """The matcher agrees with the literal evaluator on every fact that selectors can ask about."""
    assert compile_selectors(parse_selectors(members)).matches(facts) == takes(members, _written(facts))


@given(MEMBERS)
@settings(max_examples=200)
def test_accepted_selectors_survive_state_and_echo(members: dict[str, Any]) -> None:
    """What was accepted is read back equal from state, and its echo is accepted as the same selectors."""
    selectors = parse_selectors(members)
    assert from_text(text_of(selectors)) == selectors
    assert parse_selectors(members_of(selectors)) == selectors
    if "AdvancedEventSelectors" in members:
        in_order = [[(o, f[o]) for o in POSITIVE + NEGATIVE if o in f] for s in members["AdvancedEventSelectors"]
                    for f in s["FieldSelectors"]]  # fmt: skip
        echoed = members_of(selectors)["AdvancedEventSelectors"]
        assert [[(o, v) for o, v in f.items() if o != "Field"] for s in echoed for f in s["FieldSelectors"]] == in_order


TEXT = st.text(max_size=12) | st.sampled_from(
    [*SOURCES, *NAMES, OBJECTS, "Data", "Management", "eventCategory", "true"]
)
TEXTS = st.lists(TEXT, max_size=2)
ANY_BASIC = st.fixed_dictionaries(
    {},
    optional={
        "ReadWriteType": TEXT,
        "IncludeManagementEvents": st.booleans(),
        "DataResources": st.lists(
            st.fixed_dictionaries({}, optional={"Type": TEXT, "Values": TEXTS | st.none()}), max_size=2
        ),
        "ExcludeManagementEventSources": TEXTS | st.none(),
    },
)
FIELD_NAMES = st.sampled_from(["eventCategory", "resources.type", "resources.ARN", "readOnly", "eventSource"]) | TEXT
ANY_ADVANCED = st.fixed_dictionaries(
    {
        "FieldSelectors": st.lists(
            st.fixed_dictionaries({"Field": FIELD_NAMES}, optional=dict.fromkeys(POSITIVE + NEGATIVE, TEXTS)),
            max_size=3,
        )
    },
    optional={"Name": TEXT | st.none()},
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "EventSelectors": st.lists(ANY_BASIC, max_size=2) | st.none(),
            "AdvancedEventSelectors": st.lists(ANY_ADVANCED, max_size=2) | st.none(),
        },
    )
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_callers_send_is_accepted_or_refused_with_the_one_code(request: dict[str, Any]) -> None:
    """Any members of the model's types either compile or meet InvalidEventSelectorsException."""
    try:
        selectors = parse_selectors(request)
    except ApiError as error:
        assert error.code == "InvalidEventSelectorsException"
    else:
        compile_selectors(selectors)
        assert from_text(text_of(selectors)) == selectors
