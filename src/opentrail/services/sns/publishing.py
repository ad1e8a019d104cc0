"""Publish and PublishBatch: what a message may be, and its way into the deliveries (SNS API Reference, Publish)."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.answer import Answer
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import Surroundings, known_topic
from opentrail.state.database import Unit
from opentrail.topics.message import Message
from opentrail.topics.topic import Topic

Request = Mapping[str, Any]

MESSAGE_BYTES_MAX = 256 * 1024
BATCH_MAX = 10
_SUBJECT_CHARS_MAX = 100
_ATTRIBUTE_NAME = re.compile(r"(?!\.)(?!(?i:AWS\.|Amazon\.))(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\.[A-Za-z0-9_.-]{1,200})?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class Content:
    """What one message says, checked. ``size_bytes`` is what counts against SNS's limit: text, and attributes."""

    bodies: Mapping[str, str]
    subject: str | None
    attributes: Mapping[str, tuple[str, str]]
    size_bytes: int


class PublishOperations(Surroundings):
    """The operations that publish; a part of ``SnsService``."""

    @operation("Publish", writes=True)
    def publish(self, call: Call, request: Request, unit: Unit) -> Request:
        """Publish one message to a topic."""
        if request.get("PhoneNumber"):
            raise refusals.invalid("PhoneNumber", "OpenTrail sends no text messages")
        arn = request.get("TopicArn") or request.get("TargetArn")
        if not arn:
            raise refusals.invalid("TopicArn or TargetArn", "no value for required parameter")
        topic = known_topic(self.parts, unit.connection, call, arn)
        content = read_content(request)
        if content.size_bytes > MESSAGE_BYTES_MAX:
            raise refusals.invalid("Message too long")
        return _answer(call, topic, {"MessageId": self._publish(call, topic.arn, content, unit)})

    @operation("PublishBatch", writes=True)
    def publish_batch(self, call: Call, request: Request, unit: Unit) -> Request:
        """Publish up to ten messages to a topic; each is told its own result."""
        entries = request["PublishBatchRequestEntries"]
        _check_batch(entries)
        topic = known_topic(self.parts, unit.connection, call, request["TopicArn"])
        contents: dict[str, Content] = {}
        failed: list[dict[str, Any]] = []
        for entry in entries:
            try:
                contents[entry["Id"]] = read_content(entry)
            except ApiError as problem:
                failed.append(_failure(entry["Id"], problem, "InvalidParameter", is_senders=True))
        if sum(content.size_bytes for content in contents.values()) > MESSAGE_BYTES_MAX:
            raise ApiError("BatchRequestTooLongException", f"A batch has at most {MESSAGE_BYTES_MAX} bytes")
        successful = []
        for entry_id, content in contents.items():
            try:
                message_id = self._publish(call, topic.arn, content, unit)
            except ApiError as problem:
                failed.append(_failure(entry_id, problem, "Throttled", is_senders=False))
            else:
                successful.append({"Id": entry_id, "MessageId": message_id})
        return _answer(call, topic, {"Successful": successful, "Failed": failed})

    def _publish(self, call: Call, topic_arn: str, content: Content, unit: Unit) -> str:
        publishing = self.parts.publishing
        message = Message(
            message_id=publishing.new_message_id(),
            topic_arn=topic_arn,
            published_at=call.received_at,
            bodies=content.bodies,
            subject=content.subject,
            attributes=content.attributes,
        )
        publishing.publish(unit, message)
        return message.message_id


def _answer(call: Call, topic: Topic, response: Request) -> Request:
    """The response; the topic's owner sees a foreign account's message in his records too."""
    owner = topic.name.account_id
    return response if owner == call.account_id else Answer(response, also_for=(owner,))


def read_content(request: Request) -> Content:
    """A message that a request gives, without its size's limit. Raises ApiError InvalidParameter."""
    for member in ("MessageGroupId", "MessageDeduplicationId"):
        if request.get(member):
            raise refusals.invalid(member, "the request includes a parameter that is for FIFO topics only")
    text, subject = request["Message"], request.get("Subject")
    if not text:
        raise refusals.invalid("Empty message")
    if subject is not None and not _is_subject(subject):
        raise refusals.invalid("Subject")
    attributes = {name: _attribute(name, value) for name, value in (request.get("MessageAttributes") or {}).items()}
    size = len(text.encode("utf-8", "surrogatepass"))
    size += sum(len(name) + len(kind) + len(value.encode()) for name, (kind, value) in attributes.items())
    return Content(_bodies(text, request.get("MessageStructure")), subject, attributes, size)


def _bodies(text: str, structure: str | None) -> Mapping[str, str]:
    if not structure:
        return {"default": text}
    if structure != "json":
        raise refusals.invalid("MessageStructure")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise refusals.invalid("Message Structure - JSON message body failed to parse") from None
    if not isinstance(found, dict) or not isinstance(found.get("default"), str):
        raise refusals.invalid("Message Structure - No default entry in JSON message body")
    return {protocol: body for protocol, body in found.items() if isinstance(body, str)}


def _is_subject(text: str) -> bool:
    is_plain = text.isascii() and text.isprintable()
    return 1 <= len(text) <= _SUBJECT_CHARS_MAX and is_plain and not text[0].isspace()


def _attribute(name: str, given: Mapping[str, Any]) -> tuple[str, str]:
    kind = given.get("DataType") or ""
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise _bad_attribute(name, "its name is not valid")
    found = _DATA_TYPE.fullmatch(kind)
    if found is None:
        raise _bad_attribute(name, "its type must be String, Number, Binary or String.Array")
    if found[1] == "Binary":
        value = base64.b64encode(given.get("BinaryValue") or b"").decode()
    else:
        value = given.get("StringValue") or ""
    if not value:
        raise ApiError(
            "InvalidParameterValueException",
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute "
            f"type '{kind}'.",
        )
    if found[1] == "Number" and not _NUMBER.fullmatch(value):
        raise _bad_attribute(name, "its value is not a number")
    return kind, value


def _bad_attribute(name: str, reason: str) -> ApiError:
    return ApiError("InvalidParameterValueException", f"The message attribute '{name[:100]}' is not valid: {reason}.")


def _check_batch(entries: list[Mapping[str, Any]]) -> None:
    if not entries:
        raise ApiError("EmptyBatchRequestException", "The batch request doesn't contain any entries.")
    if len(entries) > BATCH_MAX:
        text = f"The batch request contains more entries than permissible ({BATCH_MAX})."
        raise ApiError("TooManyEntriesInBatchRequestException", text)
    ids = [entry["Id"] for entry in entries]
    if any(not _BATCH_ID.fullmatch(entry_id) for entry_id in ids):
        text = "The Id of a batch entry in a batch request doesn't abide by the specification."
        raise ApiError("InvalidBatchEntryIdException", text)
    if len(set(ids)) != len(ids):
        text = "Two or more batch entries in the request have the same Id."
        raise ApiError("BatchEntryIdsNotDistinctException", text)


def _failure(entry_id: str, problem: ApiError, code: str, *, is_senders: bool) -> dict[str, Any]:
    return {"Id": entry_id, "Code": code, "Message": problem.message, "SenderFault": is_senders}
