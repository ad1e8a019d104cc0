"""What one event record says, key by key."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.aws.http import TlsDetails
from opentrail.aws.model import Catalogue, Operation
from opentrail.events.call import Call, Outcome
from opentrail.events.record import EVENT_VERSION, KEY_ORDER, ServiceEvent, build, service_event
from opentrail.events.unknown_outcome import INTERRUPTED, OUTCOME_UNKNOWN, UNANSWERED
from opentrail.identity.principal import ANONYMOUS, Principal, PrincipalType

ACCOUNT = "123456789012"
OTHER = "210987654321"
AT = datetime(2026, 11, 23, 18, 30, 31, 987_654, UTC)
CATALOGUE = Catalogue()

USER = Principal(
    PrincipalType.IAM_USER,
    account_id=ACCOUNT,
    principal_id="AIDAEXAMPLEEXAMPLE000",
    arn=f"arn:aws:iam::{ACCOUNT}:user/ada",
    access_key_id="AKIAEXAMPLEEXAMPLE00",
    user_name="ada",
)
SESSION = Principal(
    PrincipalType.ASSUMED_ROLE, account_id=ACCOUNT, principal_id="AROAEXAMPLEEXAMPLE000:alice", arn="arn:s"
)


def operation(service: str, name: str) -> Operation:
    """A modelled operation."""
    return CATALOGUE.service(service).operation(name)


def call(service: str = "opsworkscm", name: str = "CreateServer", **changes: Any) -> Call:
    """A call of a user's."""
    modelled = operation(service, name)
    defaults: dict[str, Any] = {
        "request_id": "2c4de3ea-9c7c-4c5d-8b0c-5f5f8f9a1c11",
        "received_at": AT,
        "account_id": ACCOUNT,
        "region": "us-east-1",
        "principal": USER,
        "event_source": modelled.service.event_source,
        "event_name": name,
        "read_only": False,
        "operation": modelled,
        "source_ip": "192.0.2.10",
        "user_agent": "aws-cli/2.13.5",
    }
    return Call(**defaults | changes)


def s3_call(**changes: Any) -> Call:
    """An upload to somebody else's bucket."""
    defaults: dict[str, Any] = {
        "event_source": "s3.amazonaws.com",
        "event_name": "PutObject",
        "operation": None,
        "management_event": False,
        "parameters": {"bucketName": "b", "key": "k"},
    }
    return call(**defaults | changes)


def record(made: Call, outcome: Outcome, recipient: str = ACCOUNT, shared: str | None = None) -> dict[str, Any]:
    """The record, parsed."""
    text = build(made, outcome, event_id="e-1", recipient_account_id=recipient, shared_event_id=shared)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def outcome(**changes: Any) -> Outcome:
    """A success, unless changed."""
    return Outcome(completed_at=AT, **changes)


SERVER = {"Server": {"ServerName": "s", "EngineAttributes": [{"Name": "CHEF_STARTER_KIT", "Value": "UEsDBA=="}]}}


def test_bytes_are_compact_and_unescaped() -> None:
    """A record is one compact line, in which the characters that HTML cares about stand as they are."""
    made = call(user_agent="a/b <c> & d é\n")
    text = build(made, outcome(), event_id="e", recipient_account_id=ACCOUNT)
    assert b'"userAgent":"a/b <c> & d \xc3\xa9\\n"' in text
    assert b"\n" not in text
    assert b'": ' not in text


def test_key_order_is_the_measured_one_with_every_optional_field() -> None:
    """With all fields present the keys stand in the order measured in real files."""
    made = call(tls=TlsDetails("TLSv1.3", "TLS_AES_128_GCM_SHA256"), host="opsworks-cm.us-east-1.amazonaws.com")
    failed = outcome(
        error_code="InvalidStateException",
        error_message="no",
        additional_event_data={"a": 1},
        resources=({"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"},),
    )
    found = record(made, failed, shared="s-1")
    assert list(found) == [key for key in KEY_ORDER if key not in {"serviceEventDetails", "apiVersion"}]
    assert list(found["resources"][0]) == ["accountId", "type", "ARN"]
    assert found["tlsDetails"] == {
        "tlsVersion": "TLSv1.3",
        "cipherSuite": "TLS_AES_128_GCM_SHA256",
        "clientProvidedHostHeader": "opsworks-cm.us-east-1.amazonaws.com",
    }


@pytest.mark.parametrize(
    ("made", "ended"),
    [
        (call(name="DescribeServers", read_only=True), outcome(response={"Servers": []})),
        (call(parameters={}), outcome(error_code="X", error_message="m", response=SERVER)),
        (call(name="DeleteServer", parameters={"ServerName": None}), outcome(response={})),
        (call(parameters=None), outcome(response=None)),
    ],
)
def test_empty_parameters_and_hidden_responses_are_null(made: Call, ended: Outcome) -> None:
    """Reads, failures and empty outputs have responseElements null, and an empty input is null; both keys are there."""
    found = record(made, ended)
    assert found["requestParameters"] is None
    assert found["responseElements"] is None


def test_assume_role_is_read_only_with_a_response_but_without_its_secrets() -> None:
    """AssumeRole shows its response; the secret key is left out, the token is hidden, the expiration has STS's form."""
    made = call("sts", "AssumeRole", read_only=True, parameters={"RoleArn": "arn:r", "RoleSessionName": "s"})
    credentials = {
        "AccessKeyId": "ASIAEXAMPLEEXAMPLE00",
        "SecretAccessKey": "wJalrXUtnFEMI",
        "SessionToken": "token-token",
        "Expiration": datetime(2023, 7, 10, 0, 9, 47, tzinfo=UTC),
    }
    found = record(made, outcome(response={"Credentials": credentials}))
    assert found["requestParameters"] == {"roleArn": "arn:r", "roleSessionName": "s"}
    assert found["responseElements"] == {
        "credentials": {
            "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
            "sessionToken": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "expiration": "Jul 10, 2023, 12:09:47 AM",
        }
    }


def test_letters_after_the_first_keep_their_case() -> None:
    """CloudTrail's own event has trailARN and tagsList: only the first letter changes."""
    made = call("cloudtrail", "CreateTrail", parameters={"Name": "t", "TagsList": [{"Key": "K", "Value": "V"}]})
    found = record(made, outcome(response={"Name": "t", "TrailARN": "arn:t", "IsMultiRegionTrail": False}))
    assert found["requestParameters"] == {"name": "t", "tagsList": [{"key": "K", "value": "V"}]}
    assert found["responseElements"] == {"name": "t", "trailARN": "arn:t", "isMultiRegionTrail": False}


def test_map_keys_are_user_data() -> None:
    """The keys of a map are the caller's and are not changed."""
    context = {"Purpose": "X", "AB": "y"}
    made = call("kms", "Encrypt", parameters={"KeyId": "k", "Plaintext": b"p" * 9, "EncryptionContext": context})
    assert record(made, outcome())["requestParameters"] == {"keyId": "k", "encryptionContext": context}


def test_blobs_show_their_size_only() -> None:
    """Binary content that is not secret is recorded by its size."""
    made = call("kms", "ImportKeyMaterial", parameters={"KeyId": "k", "ImportToken": b"12345"})
    assert record(made, outcome())["requestParameters"] == {"keyId": "k", "importToken": {"sizeBytes": 5}}


def test_members_unknown_to_the_model_are_not_recorded() -> None:
    """What the model does not know might be secret and is left out."""
    made = call(parameters={"ServerName": "s", "Sneaky": "value", "servername": "x"})
    assert record(made, outcome())["requestParameters"] == {"serverName": "s"}


def test_messages_are_hidden_where_secrets_cannot_be_told() -> None:
    """Parameters nested too deeply to search leave no message that might repeat one of their secrets."""
    made = call("dynamodb", "DeleteItem", parameters={"Key": {"a": _nested(5000)}})
    found = record(made, outcome(error_code="ValidationException", error_message="m"))
    assert found["errorMessage"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert found["requestParameters"] == {"reason": "nested too deeply", "omitted": True}


def _nested(depth: int) -> Any:
    value: Any = {"S": "x"}
    for _ in range(depth):
        value = {"L": [value]}
    return value


def test_error_messages_do_not_repeat_secrets() -> None:
    """A message that echoes a secret parameter, whole or shortened, is recorded without it."""
    password = "Sup3r!Secret@Value"
    attributes = [{"Name": "CHEF_AUTOMATE_ADMIN_PASSWORD", "Value": password}]
    message = f"Value '{password}' or '{password[:12]}...' is wrong"
    made = call(parameters={"ServerName": "s", "EngineAttributes": attributes})
    found = record(made, outcome(error_code="ValidationException", error_message=message))
    assert found["errorMessage"] == "Value '*** Redacted ***' or '*** Redacted ***...' is wrong"
    assert found["requestParameters"]["engineAttributes"][0]["value"] == "*** Redacted ***"


@pytest.mark.parametrize("sentence", [INTERRUPTED, UNANSWERED])
def test_our_own_sentences_do_not_tell_which_of_their_words_is_a_secret(sentence: str) -> None:
    """A hole in a sentence that everybody knows would name the secret; the record hides it elsewhere."""
    item = {"id": {"S": "1"}, "pin": {"S": "sent"}, "phrase": {"S": "effect, or not"}}
    made = call("dynamodb", "PutItem", parameters={"TableName": "t", "Item": item})
    found = record(made, outcome(error_code=OUTCOME_UNKNOWN, error_message=sentence))
    assert found["errorMessage"] == sentence
    assert "effect, or not" not in json.dumps(found["requestParameters"])


def test_secrets_that_the_model_forgets_are_redacted() -> None:
    """UpdateServerEngineAttributes' AttributeValue and ExportServerEngineAttribute's input values are hidden."""
    update = call(
        name="UpdateServerEngineAttributes",
        parameters={"ServerName": "s", "AttributeName": "CHEF_AUTOMATE_PIVOTAL_KEY", "AttributeValue": "PEM PEM PEM"},
    )
    found = record(update, outcome(error_code="ValidationException", error_message="bad PEM PEM PEM"))
    assert found["requestParameters"]["attributeValue"] == "*** Redacted ***"
    assert found["errorMessage"] == "bad *** Redacted ***"
    export = call(
        name="ExportServerEngineAttribute",
        read_only=True,
        parameters={"ExportAttributeName": "Userdata", "InputAttributes": [{"Name": "RunList", "Value": "role[x]"}]},
    )
    shown = record(export, outcome(response={"EngineAttribute": {"Name": "Userdata", "Value": "#!/bin/sh"}}))
    assert shown["requestParameters"]["inputAttributes"] == [{"name": "RunList", "value": "*** Redacted ***"}]
    assert shown["responseElements"] is None


def test_another_accounts_copy_shows_the_caller_as_an_account() -> None:
    """The owner's copy of a cross-account call has the caller's type, principalId and accountId, and a shared id."""
    found = record(s3_call(principal=SESSION), outcome(), recipient=OTHER, shared="s-1")
    assert found["userIdentity"] == {
        "type": "AWSAccount",
        "principalId": "AROAEXAMPLEEXAMPLE000:alice",
        "accountId": ACCOUNT,
    }
    assert (found["recipientAccountId"], found["sharedEventID"]) == (OTHER, "s-1")
    assert (found["managementEvent"], found["eventCategory"]) == (False, "Data")


def test_a_denied_caller_is_not_told_the_owner() -> None:
    """The caller's copy of a denied cross-account call hides the bucket owner's account; the owner's copy shows it."""
    resources = (
        {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::b/k"},
        {"accountId": OTHER, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"},
    )
    denied = outcome(error_code="AccessDenied", error_message="Access Denied", resources=resources)
    mine = record(s3_call(), denied)["resources"]
    assert mine == [resources[0], {**resources[1], "accountId": "HIDDEN_DUE_TO_SECURITY_REASONS"}]
    assert list(mine[1]) == ["accountId", "type", "ARN"]
    assert record(s3_call(), denied, recipient=OTHER)["resources"] == list(resources)
    assert record(s3_call(), outcome(resources=resources))["resources"] == list(resources)


def test_nobody_known_is_account_anonymous_with_a_shared_event_id() -> None:
    """An anonymous call has the anonymous identity, and a sharedEventID even where only one copy exists."""
    first = record(s3_call(principal=ANONYMOUS, account_id=""), outcome(), recipient=OTHER)
    assert first["userIdentity"] == {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    assert first["sharedEventID"] == record(s3_call(principal=ANONYMOUS), outcome(), recipient=OTHER)["sharedEventID"]
    assert record(s3_call(principal=ANONYMOUS), outcome(), recipient=OTHER, shared="s")["sharedEventID"] == "s"


def test_a_service_calls_under_its_own_name() -> None:
    """A call by a service shows its host name as identity, address and agent, no TLS, and a sharedEventID."""
    service = Principal(PrincipalType.AWS_SERVICE, service="cloudtrail.amazonaws.com")
    made = s3_call(principal=service, tls=TlsDetails("TLSv1.3", "X"), source_ip="127.0.0.1", user_agent="internal")
    found = record(made, outcome())
    assert found["userIdentity"] == {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}
    assert found["sourceIPAddress"] == found["userAgent"] == "cloudtrail.amazonaws.com"
    assert "tlsDetails" not in found
    assert found["sharedEventID"]


def test_parameters_in_record_form_stand_as_given() -> None:
    """Where no model describes the call (S3), parameters and response are in record form already."""
    found = record(s3_call(), outcome(response={"x-amz-server-side-encryption": "AES256"}))
    assert found["requestParameters"] == {"bucketName": "b", "key": "k"}
    assert found["responseElements"] == {"x-amz-server-side-encryption": "AES256"}
    assert record(s3_call(user_agent=""), outcome())["userAgent"] == ""


def test_an_outcome_that_goes_to_two_accounts_differs_in_ids_only() -> None:
    """Building a record changes nothing in the call or outcome: the same call again gives the same bytes."""
    made = call(parameters={"ServerName": "s"})
    ended = outcome(response=SERVER, additional_event_data={"a": "b"})
    texts = {build(made, ended, event_id="e", recipient_account_id=ACCOUNT) for _ in range(2)}
    assert len(texts) == 1
    assert ended == replace(ended)
    assert "UEsDBA==" in str(SERVER)


@pytest.mark.parametrize("parameters", [["x"], "x", 7, {"ServerName": {"a": 1}, "Tags": "no", "SubnetIds": {"a": 1}}])
def test_parameters_of_the_wrong_kind_are_recorded_as_far_as_they_go(parameters: Mapping[str, Any]) -> None:
    """A call that was refused because its parameters were malformed is still recorded."""
    found = record(call(parameters=parameters), outcome(error_code="SerializationException", error_message="m"))
    assert found["errorCode"] == "SerializationException"


def test_service_events_have_no_type_and_carry_their_details() -> None:
    """A service event's identity is accountId and invokedBy; its details are in serviceEventDetails."""
    event = ServiceEvent(
        event_source="opsworks-cm.amazonaws.com",
        event_name="AutomatedBackup",
        account_id=ACCOUNT,
        region="us-east-1",
        occurred_at=AT,
        details={"serverName": "s"},
        invoked_by="opsworks-cm.amazonaws.com",
    )
    text = service_event(event, event_id="e-1")
    found = json.loads(text)
    assert found == {
        "eventVersion": EVENT_VERSION,
        "userIdentity": {"accountId": ACCOUNT, "invokedBy": "opsworks-cm.amazonaws.com"},
        "eventTime": "2026-11-23T18:30:31Z",
        "eventSource": "opsworks-cm.amazonaws.com",
        "eventName": "AutomatedBackup",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "opsworks-cm.amazonaws.com",
        "userAgent": "opsworks-cm.amazonaws.com",
        "requestParameters": None,
        "responseElements": None,
        "eventID": "e-1",
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "serviceEventDetails": {"serverName": "s"},
        "eventCategory": "Management",
    }
    assert list(found) == [key for key in KEY_ORDER if key in found]
