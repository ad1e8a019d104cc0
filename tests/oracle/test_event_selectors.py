"""Event selectors through strangers' tools: the AWS CLI and boto3 on a real OpenTrail, and what buckets then hold."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, delivered, running, trail_policy

ACCOUNT, OTHER = "123456789012", "210987654321"
ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/"
NEIGHBOUR = Key("AKIANEIGHBOURNEIGHB0", "a-secret-of-forty-characters-for-tests-0")
ADVANCED = [
    {"Name": "Management events", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]},
    {
        "Name": "Changes to the ledger",
        "FieldSelectors": [
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {"Field": "eventCategory", "Equals": ["Data"]},
            {
                "Field": "resources.ARN",
                "StartsWith": ["arn:aws:s3:::ledger/"],
                "NotStartsWith": ["arn:aws:s3:::ledger/tmp/"],
            },
            {"Field": "readOnly", "Equals": ["false"]},
        ],
    },
]
BASIC = [
    {
        "ReadWriteType": "All",
        "IncludeManagementEvents": False,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::photos/"]}],
        "ExcludeManagementEventSources": [],
    }
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail with three logging trails, each with a bucket of its own name."""
    with running(tmp_path_factory.mktemp("selectors") / "home") as gateway:
        s3, cloudtrail = gateway.client("s3"), gateway.client("cloudtrail")
        for trail in ("plain", "changes", "objects"):
            s3.create_bucket(Bucket=f"logs-{trail}")
            s3.put_bucket_policy(Bucket=f"logs-{trail}", Policy=trail_policy(f"logs-{trail}", ACCOUNT, trail))
            cloudtrail.create_trail(Name=trail, S3BucketName=f"logs-{trail}")
            cloudtrail.start_logging(Name=trail)
        yield gateway


def _until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 30
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.4)
    return found


def _json(gateway: Gateway, *arguments: str) -> Any:
    done = gateway.cli("cloudtrail", *arguments)
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout)


def _put(gateway: Gateway, trail: str, kind: str, selectors: list[dict[str, Any]]) -> Any:
    return _json(gateway, "put-event-selectors", "--trail-name", trail, f"--{kind}", json.dumps(selectors))


def _touched(gateway: Gateway, trail: str) -> list[tuple[str, str]]:
    """The data events in a trail's bucket, by name and first resource."""
    events = [r for r in delivered(gateway.client("s3"), f"logs-{trail}") if r["eventCategory"] == "Data"]
    firsts = [(r["eventName"], r["resources"][0]) for r in events]
    return sorted((name, first.get("ARN", first.get("ARNPrefix"))) for name, first in firsts)


def _management(gateway: Gateway, trail: str, name: str) -> list[dict[str, Any]]:
    """The management events of one name in a trail's bucket."""
    records = delivered(gateway.client("s3"), f"logs-{trail}")
    return [r for r in records if r["eventName"] == name and r["eventCategory"] == "Management"]


def _use_buckets(gateway: Gateway) -> None:
    """Calls to three buckets, by their owner and by a stranger; the last ones are wanted by each trail."""
    s3 = gateway.client("s3")
    for bucket in ("ledger", "ledger2", "photos"):
        s3.create_bucket(Bucket=bucket)
    for bucket, key in (("ledger", "books"), ("ledger", "tmp/x"), ("ledger2", "books"), ("photos", "a")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.get_object(Bucket="ledger", Key="books")
    s3.delete_object(Bucket="ledger", Key="books")
    s3.list_objects_v2(Bucket="photos", Prefix="a")
    s3.head_bucket(Bucket="photos")
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("s3", NEIGHBOUR).put_object(Bucket="ledger", Key="intruder", Body=b"x")
    for bucket in ("ledger", "photos"):
        s3.put_object(Bucket=bucket, Key="end", Body=b"x")
    gateway.client("cloudtrail").get_trail(Name="plain")


@pytest.fixture(scope="module")
def answers(gateway: Gateway) -> tuple[Any, Any]:
    """What the AWS CLI showed when both kinds of selectors were put, by name and by ARN; the buckets are used then."""
    found = (
        _put(gateway, "changes", "advanced-event-selectors", ADVANCED),
        _put(gateway, f"{ARN}objects", "event-selectors", BASIC),
    )
    gateway.import_key(OTHER, NEIGHBOUR, "--root")
    _use_buckets(gateway)
    return found


def test_the_aws_cli_puts_both_kinds_of_selectors(answers: tuple[Any, Any]) -> None:
    """`aws cloudtrail put-event-selectors` with advanced and with basic selectors shows them as they were given."""
    advanced, basic = answers
    assert advanced == {"TrailARN": f"{ARN}changes", "AdvancedEventSelectors": ADVANCED}
    assert basic == {"TrailARN": f"{ARN}objects", "EventSelectors": BASIC}


@pytest.mark.usefixtures("answers")
def test_selectors_decide_which_trail_gets_which_event(gateway: Gateway) -> None:
    """Each trail's bucket holds exactly what was asked for, a stranger's refused upload among it."""
    end = ("PutObject", "arn:aws:s3:::ledger/end")
    _until(lambda: end in _touched(gateway, "changes"), "the ledger's last event")
    assert _touched(gateway, "changes") == [
        ("DeleteObject", "arn:aws:s3:::ledger/books"),
        ("PutObject", "arn:aws:s3:::ledger/books"),
        end,
        ("PutObject", "arn:aws:s3:::ledger/intruder"),
    ]
    end = ("PutObject", "arn:aws:s3:::photos/end")
    _until(lambda: end in _touched(gateway, "objects"), "the last photo's event")
    assert _touched(gateway, "objects") == [
        ("HeadBucket", "arn:aws:s3:::photos"),
        ("ListObjects", "arn:aws:s3:::photos/a"),
        ("PutObject", "arn:aws:s3:::photos/a"),
        end,
    ]
    _until(lambda: _management(gateway, "plain", "GetTrail"), "the last management event")
    assert _touched(gateway, "plain") == []
    assert _management(gateway, "changes", "CreateBucket") != []
    assert _management(gateway, "objects", "GetTrail") == []


@pytest.mark.usefixtures("answers")
def test_putting_selectors_is_recorded_in_cloudtrails_casing(gateway: Gateway) -> None:
    """The record shows the selectors with their members in lower camel case, in the request and in the answer."""

    def both() -> list[dict[str, Any]]:
        found = _management(gateway, "plain", "PutEventSelectors")
        return found if len(found) > 1 else []

    found = _until(both, "both records")
    requests = {record["requestParameters"]["trailName"]: record for record in found}
    basic = requests[f"{ARN}objects"]
    selector = {
        "readWriteType": "All",
        "includeManagementEvents": False,
        "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::photos/"]}],
        "excludeManagementEventSources": [],
    }
    assert basic["requestParameters"] == {"trailName": f"{ARN}objects", "eventSelectors": [selector]}
    assert basic["responseElements"] == {"trailARN": f"{ARN}objects", "eventSelectors": [selector]}
    assert basic["readOnly"] is False
    shown = requests["changes"]["requestParameters"]["advancedEventSelectors"][1]
    assert shown["name"] == "Changes to the ledger"
    assert shown["fieldSelectors"][2] == {
        "field": "resources.ARN",
        "startsWith": ["arn:aws:s3:::ledger/"],
        "notStartsWith": ["arn:aws:s3:::ledger/tmp/"],
    }


@pytest.mark.usefixtures("answers")
def test_a_trail_has_the_calls_that_begin_and_end_its_listening(gateway: Gateway) -> None:
    """PutEventSelectors is in the trail whose management events it ends, and in the one where it begins them."""

    def heard() -> list[str]:
        found = _management(gateway, "objects", "PutEventSelectors")
        own = [r for r in found if r["requestParameters"]["trailName"].endswith("objects")]
        return [r["eventID"] for r in own]

    before = _until(heard, "the call that ended it")
    cloudtrail = gateway.client("cloudtrail")
    cloudtrail.put_event_selectors(TrailName="objects", EventSelectors=[{}])
    cloudtrail.put_event_selectors(TrailName="objects", EventSelectors=BASIC)
    _until(lambda: len(heard()) == len(before) + 2, "the call that began it and the one that ended it again")


def test_boto3_reads_selectors_and_meets_modelled_errors(gateway: Gateway) -> None:
    """boto3 parses the answers, in order of fields, and raises the exceptions of its own model."""
    cloudtrail = gateway.client("cloudtrail")
    cloudtrail.put_event_selectors(TrailName="changes", AdvancedEventSelectors=ADVANCED)
    found = cloudtrail.get_event_selectors(TrailName=f"{ARN}changes")
    fields = [field["Field"] for field in found["AdvancedEventSelectors"][1]["FieldSelectors"]]
    assert fields == ["eventCategory", "readOnly", "resources.ARN", "resources.type"]
    assert cloudtrail.get_trail(Name="changes")["Trail"]["HasCustomEventSelectors"] is True
    with pytest.raises(cloudtrail.exceptions.InvalidEventSelectorsException, match="Value arn:aws:s3:::ledger for"):
        cloudtrail.put_event_selectors(
            TrailName="changes",
            EventSelectors=[{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::ledger"]}]}],
        )
    with pytest.raises(cloudtrail.exceptions.InvalidEventSelectorsException):
        cloudtrail.put_event_selectors(TrailName="changes")
    with pytest.raises(cloudtrail.exceptions.TrailNotFoundException, match=f"Unknown trail: {ARN}nobody"):
        cloudtrail.get_event_selectors(TrailName="nobody")
