"""Envelopes verify with the certificate alone, whatever they say, and no longer once anything is changed."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.topics.message import CONFIRMATION, NOTIFICATION, Message, envelope, from_json, to_json
from tests.support.sns_world import SnsWorld
from tests.support.subscriber import verify

ARN = "arn:aws:sns:us-east-1:123456789012:logs"
WORLD = SnsWorld()
_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
_MESSAGES = st.builds(
    Message,
    message_id=st.uuids().map(str),
    topic_arn=st.just(ARN),
    published_at=st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    bodies=st.builds(lambda text: {"default": text}, _TEXT),
    subject=st.none() | _TEXT,
    attributes=st.dictionaries(_TEXT, st.tuples(st.just("String"), _TEXT), max_size=2),
    type=st.sampled_from([NOTIFICATION, CONFIRMATION]),
    token=st.just("token"),
)


def _sent(message: Message, version: str) -> dict[str, str]:
    text = envelope(message, "https", f"{ARN}:id", WORLD.links, WORLD.key.sign, version)
    found: dict[str, str] = json.loads(text)
    return found


@settings(max_examples=60, deadline=None)
@given(message=_MESSAGES, version=st.sampled_from(["1", "2"]), data=st.data())
def test_a_signature_holds_for_what_was_sent_and_nothing_else(
    message: Message, version: str, data: st.DataObject
) -> None:
    """Every signed member counts."""
    if message.type == CONFIRMATION:
        message = Message(**{name: getattr(message, name) for name in Message.__slots__} | {"subject": None})
    sent = _sent(message, version)
    verify(sent, WORLD.key.certificate)
    member = data.draw(st.sampled_from(["Message", "MessageId", "Timestamp", "TopicArn", "Signature"]))
    sent[member] = f"x{sent[member]}" if member != "Signature" else "AAAA" + sent[member][4:]
    with pytest.raises(InvalidSignature):
        verify(sent, WORLD.key.certificate)


@settings(max_examples=60, deadline=None)
@given(message=_MESSAGES)
def test_a_kept_message_is_the_same_but_for_its_token(message: Message) -> None:
    """What is read back says what was published; the token is not in what is kept."""
    kept = to_json(message)
    read = from_json(kept, message.message_id, message.topic_arn, message.published_at.timestamp())
    assert (read.bodies, read.subject, read.attributes) == (message.bodies, message.subject, message.attributes)
    assert (read.type, read.token) == (message.type, "")
    assert abs((read.published_at - message.published_at).total_seconds()) < 0.001


def test_tokens_are_of_one_subscription_and_cannot_be_made_up() -> None:
    """Another subscription's token, another instant's and a changed one are none."""
    arn, other = f"{ARN}:00000000-0000-4000-8000-000000000001", f"{ARN}:00000000-0000-4000-8000-000000000002"
    token = WORLD.tokens.make(arn, 1.5)
    assert WORLD.tokens.subscription_id(token) == arn[-36:]
    assert WORLD.tokens.is_of(token, arn, 1.5)
    assert not WORLD.tokens.is_of(token, other, 1.5)
    assert not WORLD.tokens.is_of(token, arn, 2.5)
    assert not WORLD.tokens.is_of(token[:-1] + ("0" if token[-1] != "0" else "1"), arn, 1.5)
    assert WORLD.tokens.subscription_id("ä" * 96) is None
