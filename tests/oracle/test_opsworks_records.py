"""What delivered log files say of each of OpsWorks CM's calls, and that no secret is anywhere.

The rules are those of opsworks-cm fact sheet 11, written here once more without the product's own code.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.gateway import Gateway, delivered, make_trail, running
from tests.support.opsworks import MODEL
from tests.support.opsworks_scene import NAME, Called, Scene

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi"),
]
BUCKET = "aws-cloudtrail-logs-123456789012-00000rec"
REDACTED = "*** Redacted ***"
ATTRIBUTES = "engineAttributes[].name engineAttributes[].value"
SETTINGS = (
    "engine engineModel engineVersion instanceProfileArn instanceType keyPair preferredBackupWindow"
    " preferredMaintenanceWindow securityGroupIds[] serviceRoleArn subnetIds[]"
)
SERVER = f"""{SETTINGS} associatePublicIpAddress backupRetentionCount createdAt customDomain disableAutomatedBackup
    endpoint serverArn serverName status"""
BACKUP = f"{SETTINGS} backupArn backupId backupType createdAt description serverName status userArn"


@dataclass(frozen=True)
class Row:
    """What the records of an operation hold: the keys of requestParameters in success and refusal, and those below
    ``answer`` in responseElements ("" where there is none), and how it is refused.
    """

    request: str
    refused: str
    code: str
    elements: str = ""
    answer: str = ""
    read_only: bool = False


NOT_FOUND, INVALID = "ResourceNotFoundException", "ValidationException"
CREATION = f"""{SETTINGS} {ATTRIBUTES} associatePublicIpAddress backupRetentionCount customCertificate customDomain
    customPrivateKey disableAutomatedBackup serverName tags[].key tags[].value"""
TOKEN = "serverName nodeAssociationStatusToken"
NODE = f"serverName nodeName {ATTRIBUTES}"
EXPORT = "serverName exportAttributeName inputAttributes[].name inputAttributes[].value"
TABLE: Mapping[str, Row] = {
    "AssociateNode": Row(NODE, NODE, NOT_FOUND, "nodeAssociationStatusToken"),
    "CreateBackup": Row(
        "serverName description tags[].key tags[].value", "serverName description", NOT_FOUND, BACKUP, "backup"
    ),
    "CreateServer": Row(CREATION, CREATION, "ResourceAlreadyExistsException", f"{SERVER} {ATTRIBUTES}", "server"),
    "DeleteBackup": Row("backupId", "backupId", NOT_FOUND),
    "DeleteServer": Row("serverName", "serverName", NOT_FOUND),
    "DescribeAccountAttributes": Row("", "", "AccessDeniedException", read_only=True),
    "DescribeBackups": Row("serverName backupId", "backupId", NOT_FOUND, read_only=True),
    "DescribeEvents": Row("serverName maxResults", "serverName nextToken", "InvalidNextTokenException", read_only=True),
    "DescribeNodeAssociationStatus": Row(TOKEN, TOKEN, NOT_FOUND, read_only=True),
    "DescribeServers": Row("serverName", "serverName", NOT_FOUND, read_only=True),
    "DisassociateNode": Row(NODE, NODE, NOT_FOUND, "nodeAssociationStatusToken"),
    "ExportServerEngineAttribute": Row(EXPORT, EXPORT, INVALID, read_only=True),
    "ListTagsForResource": Row("resourceArn maxResults", "resourceArn", NOT_FOUND, read_only=True),
    "RestoreServer": Row(
        "serverName backupId instanceType keyPair",
        "serverName backupId",
        NOT_FOUND,
        f"{SERVER} engineAttributes[]",
        "server",
    ),
    "StartMaintenance": Row(
        "serverName", f"serverName {ATTRIBUTES}", INVALID, f"{SERVER} engineAttributes[]", "server"
    ),
    "TagResource": Row("resourceArn tags[].key tags[].value", "resourceArn tags[].key tags[].value", NOT_FOUND),
    "UntagResource": Row("resourceArn tagKeys[]", "resourceArn tagKeys[]", NOT_FOUND),
    "UpdateServer": Row(
        "serverName backupRetentionCount disableAutomatedBackup",
        "serverName backupRetentionCount preferredBackupWindow",
        INVALID,
        f"{SERVER} engineAttributes[]",
        "server",
    ),
    "UpdateServerEngineAttributes": Row(
        "serverName attributeName",
        "serverName attributeName attributeValue",
        INVALID,
        f"{SERVER} {ATTRIBUTES}",
        "server",
    ),
}
HIDDEN = {"engineAttributes[].value", "inputAttributes[].value", "customPrivateKey", "attributeValue"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All calls, made once."""
    home = tmp_path_factory.mktemp("records") / "home"
    with running(home, {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "0.5"}) as gateway:
        make_trail(gateway, BUCKET)
        yield Scene(gateway)


@pytest.fixture(scope="module")
def records(scene: Scene) -> dict[str, dict[str, Any]]:
    """The record of each call by its request id, once all were delivered."""
    wanted = {called.request_id for called in scene.calls}

    def found() -> dict[str, dict[str, Any]] | None:
        told = [one for one in delivered(scene.gateway.client("s3"), BUCKET) if one.get("requestID") in wanted]
        by_id = {one["requestID"]: one for one in told}
        assert len(by_id) == len(told), "a call has two records"
        return by_id if by_id.keys() == wanted else None

    got: dict[str, dict[str, Any]] = scene.wait(found, "the records")
    return got


def lower_camel(name: str) -> str:
    return name[0].lower() + name[1:]


def as_recorded(value: Any, path: str = "") -> Any:
    """A request or an answer as a record shows it."""
    if path in HIDDEN or path.removeprefix("server.") in HIDDEN:
        return REDACTED
    if isinstance(value, Mapping):
        begin = f"{path}." if path else ""
        return {lower_camel(name): as_recorded(item, f"{begin}{lower_camel(name)}") for name, item in value.items()}
    if isinstance(value, list):
        return [as_recorded(item, f"{path}[]") for item in value]
    if isinstance(value, datetime):
        at = value.astimezone(UTC)
        return f"{at:%b} {at.day}, {at.year} {at.hour % 12 or 12}:{at:%M:%S} {'PM' if at.hour >= 12 else 'AM'}"
    return value


def keys(value: Any, path: str = "") -> set[str]:
    """The places in a value where something stands: ``server.subnetIds[]``."""
    if isinstance(value, dict):
        begin = f"{path}." if path else ""
        return {place for name, item in value.items() for place in keys(item, f"{begin}{name}")}
    if isinstance(value, list):
        return {place for item in value for place in keys(item, f"{path}[]")} or {f"{path}[]"}
    return {path} - {""}


def check_head(record: dict[str, Any], called: Called) -> None:
    """What is the same in all records of these calls."""
    assert record["eventName"] == called.operation
    assert (record["eventSource"], record["eventType"]) == ("opsworks-cm.amazonaws.com", "AwsApiCall")
    assert (record["awsRegion"], record["recipientAccountId"]) == ("us-east-1", "123456789012")
    assert record["readOnly"] is TABLE[called.operation].read_only
    assert (record["managementEvent"], record["eventCategory"]) == (True, "Management")
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3/" in record["userAgent"]


def test_the_table_and_the_scene_have_every_operation(scene: Scene) -> None:
    """Each of the nineteen has a row here, and was called with success and in vain."""
    assert set(TABLE) == set(scene.good) == set(scene.bad) == set(MODEL.operation_names)


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_a_success_is_recorded(scene: Scene, records: dict[str, dict[str, Any]], operation: str) -> None:
    """Every member of request and answer in lower camel case, dates in the service's form, secrets hidden; reads and
    empty answers have no response elements.
    """
    called, row = scene.good[operation], TABLE[operation]
    record = records[called.request_id]
    check_head(record, called)
    assert "errorCode" not in record
    assert (record["requestParameters"] or {}) == as_recorded(called.parameters)
    assert keys(record["requestParameters"]) == set(row.request.split())
    elements = record["responseElements"]
    shown = None if row.read_only or not called.members else as_recorded(called.members)
    assert elements == shown
    assert keys(elements) == {f"{row.answer}.{place}" if row.answer else place for place in row.elements.split()}


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_a_refusal_is_recorded(scene: Scene, records: dict[str, dict[str, Any]], operation: str) -> None:
    """The error as the caller was told, the parameters as in a success, and no response elements."""
    called, row = scene.bad[operation], TABLE[operation]
    record = records[called.request_id]
    check_head(record, called)
    told = called.answer["Error"]
    assert (record["errorCode"], record["errorMessage"]) == (row.code, told["Message"])
    assert (told["Code"], called.answer["ResponseMetadata"]["HTTPStatusCode"]) == (row.code, 400)
    assert record["responseElements"] is None
    assert (record["requestParameters"] or {}) == as_recorded(called.parameters)
    assert keys(record["requestParameters"]) == set(row.refused.split())


def test_every_other_call_is_recorded_alike(scene: Scene, records: dict[str, dict[str, Any]]) -> None:
    """Bad values of secret members, generated credentials, strange organizations."""
    assert len(scene.others) >= 8
    for called in scene.others:
        record = records[called.request_id]
        check_head(record, called)
        assert record.get("errorCode", "") == called.code
        assert record["requestParameters"] == as_recorded(called.parameters)
        empty = called.code or TABLE[called.operation].read_only
        assert record["responseElements"] == (None if empty else as_recorded(called.members))


def forms(canary: str) -> Iterator[bytes]:
    """A text as it is, and what of its base64 form is the same wherever it stands, for each of three places."""
    text = canary.encode()
    yield text
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + text)
        yield coded[4 if shift else 0 : len(coded) - 4]


def traces(canaries: Mapping[str, str], data: bytes) -> list[str]:
    """Which canaries are in some bytes, by what they are."""
    return [what for what, canary in canaries.items() if any(form in data for form in forms(canary))]


def files_of(gateway: Gateway) -> Iterator[tuple[Path, bytes]]:
    """Every file of HOME without the zeros at its end, and the log."""
    for path in [gateway.log, *gateway.home.rglob("*")]:
        try:
            data = path.read_bytes().rstrip(b"\0") if path.is_file() else b""
        except FileNotFoundError:
            continue
        yield path, data


def objects_of(gateway: Gateway) -> Iterator[tuple[str, bytes]]:
    """Every object in every bucket, unpacked: log files, digest files, backups and their logs."""
    s3 = gateway.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for item in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
                yield f"{bucket['Name']}/{item['Key']}", gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def test_no_secret_is_in_any_file_object_or_answer(scene: Scene, records: dict[str, dict[str, Any]]) -> None:
    """Passwords, private keys, kits and refused values are nowhere in HOME, its log, its buckets or later answers.
    Public keys are hidden as well, but for the state, which tells them to the engine again, and the engine itself.
    """
    canaries = scene.canaries
    assert len(canaries.secret) >= 14
    assert len(canaries.hidden) == 5
    own = ("state", "opsworks", "seaweedfs", "ministack")
    seen = set()
    for path, data in files_of(scene.gateway):
        assert traces(canaries.secret, data) == [], path
        place = path.relative_to(scene.gateway.home).parts[0] if path != scene.gateway.log else "log"
        if place not in own:
            assert traces(canaries.hidden, data) == [], path
        if canaries.seen.encode() in data:
            seen.add(place)
    assert {"journal", "state"} <= seen
    for name, data in objects_of(scene.gateway):
        assert traces(canaries.secret, data) == [], name
        if name.startswith(BUCKET):
            assert traces(canaries.hidden, data) == [], name
            seen |= {"log files"} if canaries.seen.encode() in data else set()
    assert "log files" in seen
    later = json.dumps(scene.later, default=str).encode()
    assert traces(canaries.secret | canaries.hidden, later) == []
    assert canaries.seen.encode() in later
    assert NAME.encode() in later


def test_no_error_repeats_a_secret(scene: Scene) -> None:
    """Neither code nor text of any refusal."""
    for called in [*scene.bad.values(), *(other for other in scene.others if other.code)]:
        told = json.dumps(called.answer["Error"]).encode()
        assert traces(scene.canaries.secret | scene.canaries.hidden, told) == []
