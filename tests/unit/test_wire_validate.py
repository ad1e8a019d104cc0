"""The words of the validator, its constraints one by one, and what it never shows."""

from typing import Any

import pytest
from botocore.model import DenormalizedStructureBuilder

from opentrail.aws.model import Catalogue
from opentrail.aws.validate import MESSAGE_CHARS_MAX, check
from opentrail.errors import ApiError

OPSWORKS = Catalogue().service("opsworkscm")
COMPLETE = {
    "Engine": "ChefAutomate",
    "ServerName": "automate-06",
    "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/p",
    "InstanceType": "m5.large",
    "ServiceRoleArn": "arn:aws:iam::123456789012:role/r",
}


def refusal(operation: str, parameters: dict[str, Any]) -> str:
    """The message of the refusal."""
    with pytest.raises(ApiError) as refused:
        check(OPSWORKS.operation(operation), parameters)
    assert refused.value.code == "ValidationException"
    assert refused.value.status == 400
    return refused.value.message


def shape_of(**members: Any) -> Any:
    """A structure shape with these members."""
    return DenormalizedStructureBuilder().with_members(members).build_model()


def test_valid_parameters_pass() -> None:
    """A complete request raises nothing."""
    check(OPSWORKS.operation("CreateServer"), {**COMPLETE, "Tags": [{"Key": "Größe", "Value": "a b/c"}]})


def test_pattern_violation_has_the_words_of_aws() -> None:
    """The text of the fact sheet's example is reproduced to the letter."""
    assert refusal("CreateServer", {**COMPLETE, "ServerName": "9x"}) == (
        "1 validation error detected: Value '9x' at 'serverName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z][a-zA-Z0-9\-]*"
    )


def test_missing_required_members_are_null() -> None:
    """A missing member and a null one are both reported as null."""
    expected = (
        "1 validation error detected: Value null at 'serverName' failed to satisfy constraint: Member must not be null"
    )
    assert refusal("DeleteServer", {}) == expected
    assert refusal("DeleteServer", {"ServerName": None}) == expected


@pytest.mark.parametrize(
    ("operation", "parameters", "constraint"),
    [
        ("DeleteServer", {"ServerName": "a" * 41}, "Member must have length less than or equal to 40"),
        ("DeleteServer", {"ServerName": ""}, "Member must have length greater than or equal to 1"),
        ("DescribeServers", {"MaxResults": 0}, "Member must have value greater than or equal to 1"),
        ("DescribeServers", {"MaxResults": "1"}, "Member must be of type Integer"),
        ("DescribeServers", {"MaxResults": True}, "Member must be of type Integer"),
        (
            "DescribeServers",
            {"ServerName": "a\n"},
            r"Member must satisfy regular expression pattern: [a-zA-Z][a-zA-Z0-9\-]*",
        ),
    ],
)
def test_each_constraint_has_its_words(operation: str, parameters: dict[str, Any], constraint: str) -> None:
    """Length, range and type violations are worded as AWS words them; a pattern must match the whole text."""
    assert refusal(operation, parameters).endswith(f"failed to satisfy constraint: {constraint}")


def test_enum_violation_lists_the_values() -> None:
    """An enum's values are listed in the model's order."""
    shape = shape_of(Color={"type": "string", "enum": ["RED", "BLUE"]})
    with pytest.raises(
        ApiError, match=r"Value 'PINK' at 'color' .*: Member must satisfy enum value set: \[RED, BLUE\]$"
    ):
        check(shape, {"Color": "PINK"})


def test_several_violations_are_counted_and_joined() -> None:
    """Two violations make one message, joined by a semicolon."""
    message = refusal("CreateServer", {**COMPLETE, "ServerName": "9x", "BackupRetentionCount": 0})
    assert message.startswith("2 validation errors detected: ")
    assert message.count(" failed to satisfy constraint: ") == 2
    assert "; Value '0' at 'backupRetentionCount'" in message or "; Value '9x' at 'serverName'" in message


def test_paths_name_the_position_in_lists() -> None:
    """A structure inside a list is found under its position, counted from 1."""
    message = refusal("CreateServer", {**COMPLETE, "Tags": [{"Key": "a", "Value": "b"}, {"Key": "", "Value": "c"}]})
    assert "Value '' at 'tags.2.member.key' failed to satisfy constraint" in message


def test_scalars_of_a_list_are_reported_for_the_whole_list() -> None:
    """A bad text in a list of texts shows the list, and all constraints of its members."""
    message = refusal("UntagResource", {"ResourceArn": "arn:aws:opsworks-cm:x:123456789012:s", "TagKeys": ["ok", "!"]})
    assert message == (
        "1 validation error detected: Value '[ok, !]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal "
        r"to 1, Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$]"
    )


def test_maps_report_keys_and_values() -> None:
    """A map's keys and values are told apart."""
    text = {"type": "string", "max": 2, "shape_name": "Short"}
    key = {"type": "string", "max": 3, "shape_name": "Key"}
    shape = shape_of(Labels={"type": "map", "key": key, "value": text})
    with pytest.raises(ApiError) as refused:
        check(shape, {"Labels": {"long key": "long value"}})
    assert (
        "Value '{long key=long value}' at 'labels' failed to satisfy constraint: Map keys must" in refused.value.message
    )
    assert (
        "Map value must satisfy constraint: [Member must have length less than or equal to 2]" in refused.value.message
    )


def test_sensitive_values_are_never_shown() -> None:
    """Neither a sensitive member nor one inside a list of structures appears in the message."""
    secret = "C4naryC4nary" * 900
    message = refusal(
        "CreateServer",
        {**COMPLETE, "CustomPrivateKey": "C4nary", "EngineAttributes": [{"Name": "CHEF_PIVOTAL_KEY", "Value": secret}]},
    )
    assert "C4nary" not in message
    assert "Value at 'customPrivateKey' failed to satisfy constraint" in message
    assert "Value at 'engineAttributes.1.member.value' failed to satisfy constraint" in message


def test_secrets_that_the_model_forgets_are_not_shown() -> None:
    """AttributeValue is secret without being marked so; the only way to be refused is to be too long to be echoed."""
    parameters = {"ServerName": "a", "AttributeName": "CHEF_PIVOTAL_KEY", "AttributeValue": "C4nary" * 2000}
    assert "C4nary" not in refusal("UpdateServerEngineAttributes", parameters)


def test_long_values_are_not_echoed_and_messages_stay_short() -> None:
    """A long value is left out, and a thousand violations are counted but not all printed."""
    assert refusal("DeleteServer", {"ServerName": "a" * 500}).startswith(
        "1 validation error detected: Value at 'serverName'"
    )
    message = refusal("CreateServer", {**COMPLETE, "Tags": [{"Key": "!", "Value": "!"}] * 1000})
    assert message.startswith("2001 validation errors detected: ")
    assert len(message) <= MESSAGE_CHARS_MAX + 300


def test_text_without_a_modelled_length_is_bounded_before_its_pattern() -> None:
    """A megabyte of hostile ARN is refused at once, although its pattern would take hours."""
    arn = "arn:aws" + ":opsworks-cm:" * 100_000
    assert "Member must have length less than or equal to 16384" in refusal("ListTagsForResource", {"ResourceArn": arn})


def test_the_error_code_can_be_the_services_own() -> None:
    """A service with its own exceptions passes the code to use."""
    with pytest.raises(ApiError) as refused:
        check(OPSWORKS.operation("DeleteServer"), {}, error_code="InvalidParameterException")
    assert refused.value.code == "InvalidParameterException"


def test_null_inside_a_list_is_refused() -> None:
    """A list may not hold null."""
    message = refusal("CreateServer", {**COMPLETE, "SubnetIds": ["a", None]})
    assert "Value null at 'subnetIds.2.member' failed to satisfy constraint: Member must not be null" in message
