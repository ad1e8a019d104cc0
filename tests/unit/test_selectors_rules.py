"""What event selectors may say: documents in the forms of AWS's documentation pass, and every rule refuses."""

from typing import Any

import pytest

from opentrail.errors import ApiError
from opentrail.events.selectors import DEFAULT, from_text, members_of, text_of
from opentrail.events.selectors_advanced import FOR_TRAILS, Rules
from opentrail.events.selectors_names import DATA_RESOURCE_TYPES, NETWORK_ACTIVITY_SOURCES
from opentrail.events.selectors_request import parse_selectors

OBJECTS = "AWS::S3::Object"
FUNCTION = "arn:aws:lambda:us-west-2:123456789012:function:resize"
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


def field(name: str, **operators: list[str]) -> dict[str, Any]:
    """One field selector."""
    return {"Field": name, **operators}


def advanced(*fields: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    """A request with one advanced selector."""
    return {"AdvancedEventSelectors": [({} if name is None else {"Name": name}) | {"FieldSelectors": list(fields)}]}


def category(value: str) -> dict[str, Any]:
    """The field that every advanced selector has."""
    return field("eventCategory", Equals=[value])


def data(*fields: dict[str, Any], type_: str = OBJECTS) -> dict[str, Any]:
    """A request with one advanced selector for data events."""
    return advanced(category("Data"), field("resources.type", Equals=[type_]), *fields)


def basic(**changes: Any) -> dict[str, Any]:
    """A request with one basic selector that has every member."""
    selector = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
    return {"EventSelectors": [selector | changes]}


def resources(type_: str, *values: str) -> dict[str, Any]:
    """A request with one basic selector for data events."""
    return basic(DataResources=[{"Type": type_, "Values": list(values)}])


# The forms of the documents in the AWS CloudTrail User Guide (logging management, data and network activity events) and
# the API reference, with names of our own.
DOCUMENTS = {
    "reads": basic(ReadWriteType="ReadOnly"),
    "writes and two buckets": basic(
        ReadWriteType="WriteOnly",
        DataResources=[{"Type": OBJECTS, "Values": ["arn:aws:s3:::ledger/", "arn:aws:s3:::photos/raw"]}],
    ),
    "everything of three services": basic(
        DataResources=[
            {"Type": OBJECTS, "Values": ["arn:aws:s3"]},
            {"Type": "AWS::Lambda::Function", "Values": ["arn:aws:lambda"]},
            {"Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb"]},
        ]
    ),
    "one function and one table": basic(
        IncludeManagementEvents=False,
        DataResources=[
            {"Type": "AWS::Lambda::Function", "Values": [FUNCTION]},
            {"Type": "AWS::DynamoDB::Table", "Values": [TABLE]},
        ],
    ),
    "the older form of every bucket": resources(OBJECTS, "arn:aws:s3:::"),
    "without noise": basic(ExcludeManagementEventSources=["kms.amazonaws.com", "rdsdata.amazonaws.com"]),
    "management": advanced(category("Management"), name="All management events"),
    "management reads without KMS": advanced(
        category("Management"),
        field("readOnly", Equals=["true"]),
        field("eventSource", NotEquals=["kms.amazonaws.com"]),
    ),
    "objects of a bucket": data(
        field("resources.ARN", StartsWith=["arn:aws:s3:::ledger/"], NotStartsWith=["arn:aws:s3:::ledger/tmp/"]),
        field("readOnly", Equals=["false"]),
    ),
    "two operations of whole objects": data(
        field("eventName", Equals=["PutObject", "DeleteObject"]),
        field("resources.ARN", Equals=["arn:aws:s3:::ledger/2026/books.csv"]),
    ),
    "people only": data(
        field("userIdentity.arn", NotStartsWith=["arn:aws:sts::123456789012:assumed-role/pipeline"]),
        field("eventType", NotEquals=["AwsServiceEvent"]),
        field("sessionCredentialFromConsole", NotEquals=["true"]),
    ),
    "versions of a table's items": data(
        field("eventName", NotEndsWith=["Item"]),
        field("resources.ARN", NotEquals=[TABLE]),
        type_="AWS::DynamoDB::Table",
    ),
    "denied at an endpoint": advanced(
        category("NetworkActivity"),
        field("eventSource", Equals=["kms.amazonaws.com"]),
        field("errorCode", Equals=["VpceAccessDenied"]),
        field("vpcEndpointId", Equals=["vpce-0123456789abcdef0"]),
        field("userIdentity.arn", EndsWith=["/night"]),
        name="",
    ),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documented_selectors_are_accepted_echoed_and_kept(document: dict[str, Any]) -> None:
    """Documents in AWS's forms are accepted, come back as they went in, and survive being kept as text."""
    selectors = parse_selectors(document)
    assert members_of(selectors) == document
    assert from_text(text_of(selectors)) == selectors


def test_members_that_are_left_out_have_their_defaults() -> None:
    """An empty basic selector is that of a new trail, and is answered with every member."""
    selectors = parse_selectors({"EventSelectors": [{}]})
    assert selectors == DEFAULT
    assert members_of(selectors) == basic()


def test_fields_can_be_answered_in_order() -> None:
    """GetEventSelectors' form has the fields sorted by name; the selectors keep their order."""
    document = data(field("eventName", Equals=["PutObject"]))
    shown = members_of(parse_selectors(document), in_order_of_fields=True)["AdvancedEventSelectors"][0]
    assert [f["Field"] for f in shown["FieldSelectors"]] == ["eventCategory", "eventName", "resources.type"]


def refusal(request: dict[str, Any], rules: Rules = FOR_TRAILS) -> str:
    """The message of InvalidEventSelectorsException that a request meets."""
    with pytest.raises(ApiError) as refused:
        parse_selectors(request, rules)
    assert refused.value.code == "InvalidEventSelectorsException"
    return refused.value.message


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({}, "must be given"),
        ({"EventSelectors": [], "AdvancedEventSelectors": None}, "must be given"),
        ({**basic(), **advanced(category("Management"))}, "cannot both"),
        ({"EventSelectors": [{}] * 6}, "1 to 5 event selectors; 6"),
        (basic(ReadWriteType="read-only"), "Value read-only for ReadWriteType is invalid"),
        (basic(ExcludeManagementEventSources=["s3.amazonaws.com"]), "s3.amazonaws.com for ExcludeManagementEventSour"),
        (
            basic(IncludeManagementEvents=False, ExcludeManagementEventSources=["kms.amazonaws.com"]),
            "only be given where IncludeManagementEvents",
        ),
        (
            resources("AWS::SQS::Queue", "arn:aws:sqs:us-east-1:123456789012:q"),
            "AWS::SQS::Queue for DataResources.Type",
        ),
        (resources(OBJECTS), "at least one resource"),
        (basic(DataResources=[{}]), "for DataResources.Type is invalid"),
        # These five are in public reports of AWS's own refusals, with this sentence.
        (resources(OBJECTS, "arn:aws:s3:::ledger"), "Value arn:aws:s3:::ledger for DataResources.Values is invalid."),
        (resources(OBJECTS, "arn:aws:s3:::*"), "Value arn:aws:s3:::* for DataResources.Values is invalid."),
        (resources(OBJECTS, "arn:aws:s3:::*/*"), "Value arn:aws:s3:::*/* for DataResources.Values is invalid."),
        (resources(OBJECTS, "arn:aws:s3:::/"), "Value arn:aws:s3:::/ for DataResources.Values is invalid."),
        (resources(OBJECTS, "ledger/"), "Value ledger/ for DataResources.Values is invalid."),
        (resources(OBJECTS, "arn:aws:s3:::ledger/*"), "wildcards"),
        (resources("AWS::Lambda::Function", "arn:aws:lambda:*"), "for DataResources.Values is invalid."),
        (resources("AWS::Lambda::Function", "arn:aws:s3"), "for DataResources.Values is invalid."),
        (resources("AWS::DynamoDB::Table", f"{TABLE}/stream/1"), "for DataResources.Values is invalid."),
    ],
)
def test_basic_selectors_that_break_a_rule_are_refused(request_: dict[str, Any], part: str) -> None:
    """Each rule of basic selectors refuses, with a message that names the value or the limit."""
    assert part in refusal(request_)


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (advanced(), "eventCategory exactly once"),
        (advanced(field("readOnly", Equals=["true"])), "eventCategory exactly once"),
        (advanced(category("Data"), category("Data")), "eventCategory exactly once"),
        (advanced(field("eventCategory", Equals=["Data", "Management"])), "eventCategory exactly once"),
        (advanced(field("eventCategory", NotEquals=["Data"])), "eventCategory exactly once"),
        (advanced(category("management")), "Value management for field eventCategory is invalid. It can be Data or"),
        (advanced(category("Insight")), "Insight events cannot be selected for a trail: "),
        (advanced(category("ConfigurationItem")), "event data stores"),
        (advanced(category("Evidence")), "event data stores"),
        (advanced(category("ActivityAuditLog")), "event data stores"),
        (advanced(category("Management"), name="n" * 1001), "longer than 1000"),
        (advanced(category("Management"), field("eventName", Equals=["X"])), "eventName is not supported for Manag"),
        (
            advanced(category("Management"), field("eventSource", Equals=["kms.amazonaws.com"])),
            "Operator Equals is not",
        ),
        (advanced(category("Management"), field("eventSource", NotEquals=["s3.amazonaws.com"])), "s3.amazonaws.com"),
        (advanced(category("Management"), field("readOnly", Equals=["True"])), "Value True for field readOnly"),
        (advanced(category("Management"), field("readOnly", NotEquals=["true"])), "Operator NotEquals is not"),
        (advanced(category("Data")), "resources.type exactly once"),
        (data(field("resources.type", Equals=[OBJECTS])), "resources.type exactly once"),
        (advanced(category("Data"), field("resources.type", Equals=[OBJECTS, "AWS::SQS::Queue"])), "exactly one value"),
        (advanced(category("Data"), field("resources.type", StartsWith=["AWS"])), "Operator StartsWith is not"),
        (data(type_="AWS::S3::Bucket"), "Value AWS::S3::Bucket for field resources.type is invalid"),
        (data(field("errorCode", Equals=["VpceAccessDenied"])), "errorCode is not supported for Data"),
        (data(field("sessionCredentialFromConsole", Equals=["false"])), "Value false for field sessionCredential"),
        (data(field("sessionCredentialFromConsole", StartsWith=["true"])), "Operator StartsWith is not"),
        (data(field("eventName")), "eventName has no operator"),
        (data(field("eventName", Equals=[])), "Operator Equals of field eventName has no values"),
        (data(field("eventName", Equals=[""])), "empty or longer than 2048"),
        (data(field("eventName", Equals=["x" * 2049])), "empty or longer than 2048"),
        (data(field("eventName", StartsWith=["Get*"])), "wildcard"),
        (data(field("resources.ARN", Equals=["arn:aws:s3:::ledger"])), "is not an ARN of type AWS::S3::Object"),
        (data(field("resources.ARN", NotEquals=["ledger/books"])), "not an ARN"),
        (data(field("resources.ARN", Equals=[TABLE]), type_="AWS::Lambda::Function"), "type AWS::Lambda::Function"),
        (data(field("", Equals=["x"])), "is not supported"),
        (advanced(category("NetworkActivity")), "eventSource exactly once"),
        (
            advanced(category("NetworkActivity"), field("eventSource", Equals=["iam.amazonaws.com"])),
            "Value iam.amazonaws.com for field eventSource is invalid",
        ),
        (
            advanced(
                category("NetworkActivity"),
                field("eventSource", Equals=["s3.amazonaws.com"]),
                field("errorCode", Equals=["AccessDenied"]),
            ),
            "Value AccessDenied for field errorCode is invalid. It can be VpceAccessDenied.",
        ),
    ],
)
def test_advanced_selectors_that_break_a_rule_are_refused(request_: dict[str, Any], part: str) -> None:
    """Each rule of advanced selectors refuses, with a message that names the field, the operator or the value."""
    assert part in refusal(request_)


def test_data_resources_are_counted_over_all_selectors_except_those_that_mean_every_one() -> None:
    """250 values pass beside any number that mean all resources; the 251st does not."""
    values = [f"arn:aws:s3:::ledger/{n}" for n in range(250)]
    half = {"Type": OBJECTS, "Values": ["arn:aws:s3", *values[:125]]}
    rest = {"Type": OBJECTS, "Values": [*values[125:], "arn:aws:s3:::"]}
    parse_selectors({"EventSelectors": [{"DataResources": [half]}, {"DataResources": [rest]}]})
    more = {"Type": "AWS::DynamoDB::Table", "Values": [TABLE]}
    request = {"EventSelectors": [{"DataResources": [half, more]}, {"DataResources": [rest]}]}
    assert "251 data resources" in refusal(request)


def test_advanced_values_are_counted_over_all_selectors() -> None:
    """500 values in all conditions pass, the 501st does not; there may be more than five advanced selectors."""
    small = data()["AdvancedEventSelectors"][0]
    names = [f"Name{n}" for n in range(500 - 2 * 11)]
    large = data(field("eventName", Equals=names))["AdvancedEventSelectors"][0]
    parse_selectors({"AdvancedEventSelectors": [small] * 10 + [large]})
    extra = data(field("readOnly", Equals=["true"]))["AdvancedEventSelectors"][0]
    assert "501 values" in refusal({"AdvancedEventSelectors": [small] * 9 + [extra, large]})


def test_the_rules_are_those_of_their_owner() -> None:
    """Another kind of owner brings its own table of categories and fields, and its own name in messages."""
    stores = Rules("an event data store", {"Insight": {}}, {"Data": "they are not wanted here"})
    parse_selectors(advanced(category("Insight")), stores)
    wanted = "Data events cannot be selected for an event data store: they are not wanted here."
    assert refusal(data(), stores) == wanted


def test_a_long_value_is_cut_in_the_message() -> None:
    """Messages are recorded: they do not repeat two kilobytes of what somebody sent."""
    assert len(refusal(resources(OBJECTS, "x" * 5000))) < 600


def test_the_names_are_those_of_the_documentation() -> None:
    """Types of the first and last service of the list, and sources with a hyphen, are known under their whole names."""
    assert {"AWS::S3::Object", "AWS::XRay::Trace", "AWS::AIDevOps::AgentSpace"} <= DATA_RESOURCE_TYPES
    assert {"ssm-contacts.amazonaws.com", "s3.amazonaws.com"} <= NETWORK_ACTIVITY_SOURCES
    assert (len(DATA_RESOURCE_TYPES), len(NETWORK_ACTIVITY_SOURCES)) == (175, 76)
