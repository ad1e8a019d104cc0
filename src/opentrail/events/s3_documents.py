"""What the bodies of S3's configuration calls add to requestParameters.

Rules (cloudtrail fact sheet 12.1): a bucket policy is embedded as a parsed object; XML keeps its names and its
``xmlns`` and goes through a naive conversion, as in real files: one-element lists collapse to the element, text
that reads as a boolean or a whole number becomes one. Bodies with contents (objects, parts, lists of keys to
delete) add nothing.
"""

import re
from typing import Any
from xml.etree.ElementTree import Element

import orjson

from opentrail.aws.protocols.s3_xml import local_name, read
from opentrail.events.s3 import S3Call

_OBJECT_CONFIGURATIONS = frozenset(
    {"PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "RestoreObject"}
)
# What survives conversion to a number and back, so that no digit is lost: at most 18 of them fit 64 bits.
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_BOOLEANS = {"true": True, "false": False}


def body_parameters(call: S3Call, body: bytes) -> dict[str, Any]:
    """What a request's whole body adds to ``requestParameters``; nothing where it is no configuration or unreadable."""
    if call.operation == "PutBucketPolicy":
        return policy_parameters(body)
    if not body or call.read_only or not (call.management or call.operation in _OBJECT_CONFIGURATIONS):
        return {}
    try:
        root = read(body)
    except ValueError:
        return {}
    return {local_name(root): _converted(root, xmlns=_namespace(root))}


def policy_parameters(text: bytes) -> dict[str, Any]:
    """PutBucketPolicy's body: the policy as a parsed object; only its size where it is no JSON object."""
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError:
        policy = None
    return {"bucketPolicy": policy if isinstance(policy, dict) else {"sizeBytes": len(text)}}


def _converted(node: Element, *, xmlns: str = "") -> Any:
    """An element without its name: an object where it has members, else its text, type-guessed."""
    members: dict[str, Any] = {"xmlns": xmlns} if xmlns else {}
    for name, value in node.attrib.items():
        members[name.rpartition("}")[2]] = _guessed(value)
    repeated: set[str] = set()
    for child in node:
        name, value = local_name(child), _converted(child)
        if name in repeated:
            members[name].append(value)
        elif name in members:
            members[name] = [members[name], value]
            repeated.add(name)
        else:
            members[name] = value
    text = (node.text or "").strip()
    if not members:
        return _guessed(text)
    return {**members, "content": _guessed(text)} if text else members


def _guessed(text: str) -> str | bool | int:
    """A boolean or whole number where a text reads as one."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _namespace(node: Element) -> str:
    """The namespace of an element's name; empty where it has none."""
    return node.tag[1:].partition("}")[0] if node.tag.startswith("{") else ""
