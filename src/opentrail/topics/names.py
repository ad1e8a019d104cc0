"""What topics, subscriptions and their endpoints may be called. Pure; refusals are ValueErrors.

Rules (SNS API Reference, CreateTopic, Subscribe). A topic's name has 1 to 256 letters, digits, ``-`` and ``_``; names
that end in ``.fifo`` are of FIFO topics, which are not served. A subscription's ARN is its topic's, a colon and an id.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentrail.aws.arn import parse_arn

FIFO_SUFFIX = ".fifo"
URL_CHARS_MAX = 2048
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,256}")
_SUBSCRIPTION_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,80}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class TopicName:
    """A topic's ARN in its parts."""

    account_id: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """The ARN in full."""
        return f"arn:aws:sns:{self.region}:{self.account_id}:{self.name}"


@dataclass(frozen=True, slots=True)
class QueueName:
    """An SQS queue's ARN in its parts."""

    account_id: str
    region: str
    name: str


def is_topic_name(name: str) -> bool:
    """Whether a standard topic may have this name."""
    return _TOPIC.fullmatch(name) is not None


def parse_topic_arn(text: str) -> TopicName:
    """Read a standard topic's ARN. Raises ValueError."""
    arn = parse_arn(text)
    if (arn.partition, arn.service) != ("aws", "sns") or not is_topic_name(arn.resource):
        raise ValueError("not a topic's ARN")
    if not arn.account_id.isdecimal() or not arn.region or "*" in arn.region:
        raise ValueError("not a topic's ARN: it must name an account and a region")
    return TopicName(arn.account_id, arn.region, arn.resource)


def parse_subscription_arn(text: str) -> tuple[TopicName, str]:
    """A subscription's topic, and its id. Raises ValueError."""
    topic_arn, _, subscription_id = text.rpartition(":")
    if not _SUBSCRIPTION_ID.fullmatch(subscription_id):
        raise ValueError("not a subscription's ARN")
    return parse_topic_arn(topic_arn), subscription_id


def parse_queue_arn(text: str) -> QueueName:
    """Read a standard queue's ARN. Raises ValueError, also for FIFO queues, which standard topics cannot deliver to."""
    arn = parse_arn(text)
    if (arn.partition, arn.service) != ("aws", "sqs") or not _QUEUE.fullmatch(arn.resource):
        raise ValueError("not a standard queue's ARN")
    if not arn.account_id.isdecimal() or not arn.region or "*" in arn.region:
        raise ValueError("not a queue's ARN: it must name an account and a region")
    return QueueName(arn.account_id, arn.region, arn.resource)


def check_endpoint(protocol: str, endpoint: str) -> None:
    """Raise ValueError unless an endpoint is one of its protocol."""
    if protocol == "sqs":
        parse_queue_arn(endpoint)
    elif protocol in ("http", "https"):
        _check_url(protocol, endpoint)
    elif not _EMAIL.fullmatch(endpoint) or len(endpoint) > 254:
        raise ValueError("not an e-mail address")


def _check_url(protocol: str, url: str) -> None:
    parts = urlsplit(url)  # raises ValueError
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not a URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or password is not supported")
    if parts.scheme != protocol or not parts.hostname or parts.port == 0 or parts.fragment:
        raise ValueError("not a URL of that protocol")
