"""Whether a call only reads, and whether its response belongs into the record.

Rules: a table of exceptions by event source stands first, then what the service's model says, then a general rule on
the operation's name. What none of them names is a write: a call that is wrongly taken for a write costs an intent,
one wrongly taken for a read costs evidence.
"""

import re

from opentrail.events.read_only_table import READS, WRITES

_READING = re.compile(r"(?:BatchGet|Describe|Get|Head|List|Lookup|Search)(?![a-z])")
_NONE: frozenset[str] = frozenset()

_READS_WITH_RESPONSE = frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})

# Writes whose response is data, not an account of what was done.
_WRITES_WITHOUT_RESPONSE = {
    # DynamoDB Developer Guide, "Understanding DynamoDB log file entries": null in every entry on items.
    "dynamodb.amazonaws.com": frozenset(
        {
            "BatchExecuteStatement",
            "BatchWriteItem",
            "DeleteItem",
            "ExecuteStatement",
            "ExecuteTransaction",
            "PutItem",
            "TransactWriteItems",
            "UpdateItem",
        }
    ),
    # Public record of Invoke (2023).
    "lambda.amazonaws.com": frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"}),
}


def is_read_only(event_source: str, event_name: str, *, trait: bool | None = None) -> bool:
    """Whether an operation leaves everything as it was (the record's ``readOnly``).

    ``trait`` is what the model of the operation says (botocore's ``readonly``); None where it says nothing.
    """
    if event_name in WRITES.get(event_source, _NONE):
        return False
    if event_name in READS.get(event_source, _NONE):
        return True
    return _READING.match(event_name) is not None if trait is None else trait


def records_response(event_source: str, event_name: str, *, read_only: bool) -> bool:
    """Whether ``responseElements`` is filled in for a call that succeeded.

    It is for writes, but for those that answer with items or payloads, and for the AssumeRole family although that is
    read-only (cloudtrail fact sheet 1.2 "Null conventions", 2.3).
    """
    if event_name in _WRITES_WITHOUT_RESPONSE.get(event_source, _NONE):
        return False
    return not read_only or (event_name in _READS_WITH_RESPONSE and event_source == "sts.amazonaws.com")
