"""Event selectors evaluated the slow and literal way: the API's own members against a record as it was written.

A second opinion for the compiled matcher, straight from the rules (cloudtrail fact sheet 6.5); it shares no code with
it, and reads the record where the matcher reads the facts that records are made of.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_Test = Callable[[str, str], bool]
_POSITIVE: Mapping[str, _Test] = {"Equals": operator.eq, "StartsWith": str.startswith, "EndsWith": str.endswith}
_NEGATIVE: Mapping[str, _Test] = {f"Not{name}": test for name, test in _POSITIVE.items()}
_EVERY = {
    "AWS::S3::Object": ("arn:aws:s3", "arn:aws:s3:::"),
    "AWS::Lambda::Function": ("arn:aws:lambda",),
    "AWS::DynamoDB::Table": ("arn:aws:dynamodb",),
}


def takes(members: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether selectors, in the API's form, take an event record."""
    return any(_basic(selector, record) for selector in members.get("EventSelectors", ())) or any(
        _advanced(selector, record) for selector in members.get("AdvancedEventSelectors", ())
    )


def _basic(selector: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    wanted = {"ReadOnly": [True], "WriteOnly": [False], "All": [True, False]}[selector.get("ReadWriteType", "All")]
    if record["readOnly"] not in wanted:
        return False
    if record["eventCategory"] == "Management":
        excluded = selector.get("ExcludeManagementEventSources", [])
        return selector.get("IncludeManagementEvents", True) and record["eventSource"] not in excluded
    return record["eventCategory"] == "Data" and any(
        _names(data["Type"], value, arn)
        for data in selector.get("DataResources", ())
        for value in data["Values"]
        for type_, arn in _resources(record)
        if type_ == data["Type"]
    )


def _names(type_: str, value: str, arn: str) -> bool:
    if value in _EVERY[type_]:
        return True
    return arn.startswith(value) if type_ == "AWS::S3::Object" else arn == value


def _advanced(selector: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    types = [f["Equals"][0] for f in selector["FieldSelectors"] if f["Field"] == "resources.type"]
    return all(_field(field, list(_texts(field["Field"], record, types))) for field in selector["FieldSelectors"])


def _field(field: Mapping[str, Any], texts: list[str]) -> bool:
    positive = [(test, value) for name, test in _POSITIVE.items() for value in field.get(name, ())]
    negative = [(test, value) for name, test in _NEGATIVE.items() for value in field.get(name, ())]
    if any(test(text, value) for test, value in negative for text in texts):
        return False
    return not positive or any(test(text, value) for test, value in positive for text in texts)


def _texts(field: str, record: Mapping[str, Any], types: list[str]) -> Iterator[str]:
    """What a record says in a field; nothing where it does not have it."""
    if field == "resources.type":
        yield from (type_ for type_, _ in _resources(record))
    elif field == "resources.ARN":
        yield from (arn for type_, arn in _resources(record) if type_ in types)
    elif field == "userIdentity.arn":
        if "arn" in record["userIdentity"]:
            yield record["userIdentity"]["arn"]
    elif field in record:
        value = record[field]
        yield str(value).lower() if isinstance(value, bool) else value


def _resources(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Types and ARNs; a data event that names a bucket only is one about the bucket's objects."""
    found = [(item.get("type", ""), item.get("ARN", item.get("ARNPrefix", ""))) for item in record.get("resources", ())]
    if record["eventCategory"] == "Data" and all(type_ != "AWS::S3::Object" for type_, _ in found):
        found += [("AWS::S3::Object", arn + "/") for type_, arn in found if type_ == "AWS::S3::Bucket"]
    return found
