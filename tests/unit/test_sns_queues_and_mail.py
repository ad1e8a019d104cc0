"""Deliveries to queues (whose policy is asked) and by mail (through a server that speaks SMTP)."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from opentrail.errors import OutboundError
from opentrail.topics.mail import MailSender, MailServer, mail_of
from opentrail.topics.message import CONFIRMATION, NOTIFICATION, Message
from opentrail.topics.names import QueueName
from opentrail.topics.parcels import Parcel
from opentrail.topics.queues import QueuePolicyMode, QueueSender

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:logs"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Queues:
    """A server with one queue that notes down what it is sent."""

    def __init__(self, policy: str = "") -> None:
        self.policy = policy
        self.calls: list[str] = []
        self.sent: list[Mapping[str, Any]] = []
        self.problem: OutboundError | None = None

    def __call__(self, operation: str, queue: QueueName, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        assert queue == QueueName(ACCOUNT, "us-east-1", "queue")
        self.calls.append(operation)
        if self.problem is not None:
            raise self.problem
        if operation == "GetQueueUrl":
            return {"QueueUrl": "http://queues/queue"}
        if operation == "GetQueueAttributes":
            return {"Attributes": {"Policy": self.policy}} if self.policy else {}
        self.sent.append(parameters)
        return {"MessageId": "m"}


def parcel(attributes: Mapping[str, tuple[str, str]] | None = None) -> Parcel:
    """A message for the queue; raw with attributes."""
    bodies = {"default": "text"}
    message = Message(message_id="m", topic_arn=TOPIC, published_at=AT, bodies=bodies, attributes=attributes or {})
    return Parcel(QUEUE, "subscription", message, "text", attributes is not None)


def policy(source: str = TOPIC, effect: str = "Allow") -> str:
    """A queue policy that names a topic."""
    statement = {
        "Effect": effect,
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def sender(queues: Queues, mode: QueuePolicyMode = QueuePolicyMode.CHECK, owner: str = ACCOUNT) -> QueueSender:
    """A sender whose subscription belongs to an account."""
    return QueueSender(queues, mode, lambda _arn: owner)


@pytest.mark.parametrize(
    ("text", "mode", "owner", "allowed"),
    [
        (policy(), QueuePolicyMode.CHECK, ACCOUNT, True),
        ("", QueuePolicyMode.CHECK, ACCOUNT, False),
        (policy(f"{TOPIC}-other"), QueuePolicyMode.CHECK, ACCOUNT, False),
        ("no policy at all", QueuePolicyMode.CHECK, ACCOUNT, False),
        ("", QueuePolicyMode.TRUST, ACCOUNT, True),
        ("", QueuePolicyMode.TRUST, "210987654321", False),
        (policy(effect="Deny"), QueuePolicyMode.TRUST, ACCOUNT, False),
    ],
)
def test_the_queues_policy_decides(text: str, mode: QueuePolicyMode, owner: str, allowed: bool) -> None:
    """Without its Allow nothing is sent; trusting covers own queues only, and no Deny."""
    queues = Queues(text)
    if allowed:
        sender(queues, mode, owner).send(parcel())
        assert queues.sent == [{"QueueUrl": "http://queues/queue", "MessageBody": "text"}]
        return
    with pytest.raises(OutboundError) as refused:
        sender(queues, mode, owner).send(parcel())
    assert (refused.value.code, refused.value.retryable) == ("AccessDenied", False)
    assert queues.sent == []


def test_what_is_known_of_a_queue_is_asked_once_and_again_after_a_failure() -> None:
    """Not for each message; a refusal may mean that the policy was changed."""
    queues = Queues(policy())
    to_queue = sender(queues)
    for _ in range(3):
        to_queue.send(parcel())
    assert queues.calls.count("GetQueueAttributes") == 1
    queues.problem = OutboundError("ServiceUnavailable", "down")
    with pytest.raises(OutboundError) as down:
        to_queue.send(parcel())
    assert down.value.retryable
    queues.problem = None
    to_queue.send(parcel())
    assert queues.calls.count("GetQueueAttributes") == 2


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "InvalidMessageContents"])
def test_what_no_other_attempt_can_change_is_final(code: str) -> None:
    """A queue that is gone, a text that SQS does not take."""
    queues = Queues(policy())
    queues.problem = OutboundError(code, "no")
    with pytest.raises(OutboundError) as refused:
        sender(queues).send(parcel())
    assert not refused.value.retryable


def test_raw_messages_bring_their_attributes() -> None:
    """As SQS's own, ten at most."""
    queues = Queues(policy())
    sender(queues).send(parcel({"a": ("String", "x"), "b": ("Binary", "AAE=")}))
    assert queues.sent[0]["MessageAttributes"] == {
        "a": {"DataType": "String", "StringValue": "x"},
        "b": {"DataType": "Binary", "BinaryValue": "AAE="},
    }
    with pytest.raises(OutboundError) as refused:
        sender(queues).send(parcel({f"a{number}": ("String", "x") for number in range(11)}))
    assert not refused.value.retryable


class MailBox:
    """An SMTP server that takes one mail after another, as RFC 5321 has it; ``refuse`` is its answer to recipients."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.refuse = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Be down."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb", buffering=0) as stream:
                self._converse(stream)

    def _converse(self, stream: Any) -> None:
        stream.write(b"220 here\r\n")
        while line := stream.readline():
            verb = line[:4].upper()
            if verb == b"RCPT" and self.refuse:
                stream.write(f"{self.refuse}\r\n".encode())
            elif verb == b"DATA":
                stream.write(b"354 go on\r\n")
                mail = b""
                while not mail.endswith(b"\r\n.\r\n"):
                    mail += stream.readline()
                self.mails.append(mail[:-3])
                stream.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                stream.write(b"221 bye\r\n")
                return
            else:
                stream.write(b"250 ok\r\n")


@pytest.fixture
def mailbox() -> Iterator[MailBox]:
    """A mail server."""
    server = MailBox()
    yield server
    with contextlib.suppress(OSError):
        server.close()


def to_mail(mailbox: MailBox, *, as_json: bool = False) -> MailSender:
    """A sender to it."""
    return MailSender(MailServer("127.0.0.1", mailbox.port, "none", "sns@trail.example"), as_json=as_json)


def mail_parcel(kind: str = NOTIFICATION, subject: str | None = None) -> Parcel:
    """A message for a person."""
    message = Message(
        message_id="m", topic_arn=TOPIC, published_at=AT, bodies={"default": "text ä"}, subject=subject, type=kind
    )
    return Parcel("ada@example.org", "s", message, "{}", False, "http://us/confirm", "http://us/stop")


def test_a_mail_says_the_message_and_how_to_stop_it(mailbox: MailBox) -> None:
    """To the subscriber alone, from the configured sender."""
    to_mail(mailbox).send(mail_parcel(subject="a subject"))
    mail = message_from_bytes(mailbox.mails[0], policy=default)
    assert (mail["To"], mail["From"], mail["Subject"]) == ("ada@example.org", "sns@trail.example", "a subject")
    text = mail.get_content()
    assert text.startswith("text ä")
    assert "http://us/stop" in text


def test_the_question_has_the_link_that_confirms(mailbox: MailBox) -> None:
    """And no other."""
    to_mail(mailbox).send(mail_parcel(CONFIRMATION))
    text = message_from_bytes(mailbox.mails[0], policy=default).get_content()
    assert "http://us/confirm" in text
    assert "http://us/stop" not in text


@pytest.mark.parametrize(("answer", "retryable"), [("550 nobody", False), ("451 later", True)])
def test_a_recipient_that_is_refused(mailbox: MailBox, answer: str, retryable: bool) -> None:
    """5xx is final, 4xx is not."""
    mailbox.refuse = answer
    with pytest.raises(OutboundError) as refused:
        to_mail(mailbox).send(mail_parcel())
    assert refused.value.retryable is retryable
    assert "text" not in str(refused.value)


def test_a_mail_server_that_is_down_is_tried_again(mailbox: MailBox) -> None:
    """Nobody listens."""
    mailbox.close()
    with pytest.raises(OutboundError) as down:
        to_mail(mailbox).send(mail_parcel())
    assert down.value.retryable


def test_json_mail_is_the_envelope() -> None:
    """For programs that read mail."""
    assert mail_of(mail_parcel(), "sns@trail.example", as_json=True).get_content() == "{}\n"
