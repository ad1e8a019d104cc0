"""When a delivery that failed is tried again: SNS's retry policies in four phases. Pure.

Rules (SNS Developer Guide, "Amazon SNS message delivery retries"). Retries come at once, then after the least delay,
then after delays that grow from the least to the greatest by one of four functions, then after the greatest. AWS does
not publish the functions' formulas; these are ours. A topic's DeliveryPolicy holds for its HTTP(S) subscriptions unless
one of them has its own, and is allowed to.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

GROWTH: Mapping[str, Callable[[int, int], float]] = {
    # Step i of n to the part of the way from the least to the greatest delay.
    "linear": lambda i, n: i / n,
    "arithmetic": lambda i, n: i * (i + 1) / (n * (n + 1)),
    "geometric": lambda i, n: (2.0**i - 1) / (2.0**n - 1),
    "exponential": lambda i, n: (3.0**i - 1) / (3.0**n - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How many retries each phase has, and the least and greatest delay in seconds."""

    at_once: int = 0
    least: int = 0
    growing: int = 0
    greatest: int = 0
    least_s: float = 20.0
    greatest_s: float = 20.0
    growth: str = "linear"

    @property
    def retries(self) -> int:
        """How often a delivery is tried again at most."""
        return self.at_once + self.least + self.growing + self.greatest

    def delay_s(self, failures: int) -> float | None:
        """How long to wait after that many failures (1 or more); None: it is over."""
        retry = failures
        if retry > self.retries:
            return None
        if retry <= self.at_once:
            return 0.0
        retry -= self.at_once
        if retry <= self.least:
            return self.least_s
        retry -= self.least
        if retry <= self.growing:
            return self.least_s + (self.greatest_s - self.least_s) * GROWTH[self.growth](retry, self.growing)
        return self.greatest_s


QUEUES = RetryPolicy(at_once=3, least=2, growing=10, greatest=100_000, least_s=1, greatest_s=20, growth="exponential")
"""SQS: 100,015 retries over 23 days (AWS's table of retry policies)."""

MAIL = RetryPolicy(at_once=0, least=2, growing=10, greatest=38, least_s=10, greatest_s=600, growth="exponential")
"""SMTP: 50 retries over more than six hours (the same table)."""

WEB = RetryPolicy(at_once=1, least=3, growing=16, greatest=80, least_s=1, greatest_s=300, growth="exponential")
"""HTTP(S) without a DeliveryPolicy: the 100 retries that one may ask for, over more than six hours. AWS gives up after
three in a minute, which a restart of the subscriber's machine takes longer than.
"""

_MEMBERS: Mapping[str, tuple[int, int]] = {
    # member -> least and greatest value; delays in seconds
    "minDelayTarget": (1, 3600),
    "maxDelayTarget": (1, 3600),
    "numRetries": (0, 100),
    "numNoDelayRetries": (0, 100),
    "numMinDelayRetries": (0, 100),
    "numMaxDelayRetries": (0, 100),
}


@lru_cache(maxsize=512)
def of_subscription(text: str) -> RetryPolicy | None:
    """The retries that a subscription's DeliveryPolicy asks for. Raises ValueError with the reason it is refused."""
    return _healthy(_object(text), "healthyRetryPolicy", set())


@lru_cache(maxsize=512)
def of_topic(text: str) -> tuple[RetryPolicy | None, bool]:
    """The retries of a topic's HTTP(S) subscriptions, and whether these may not have their own. Raises ValueError."""
    document = _object(text)
    if document.keys() - {"http"} or not isinstance(document.get("http", {}), dict):
        raise ValueError("DeliveryPolicy: only http may be set")
    http = document.get("http", {})
    overrides = http.get("disableSubscriptionOverrides", False)
    if not isinstance(overrides, bool):
        raise ValueError("DeliveryPolicy: disableSubscriptionOverrides must be true or false")  # noqa: TRY004
    return _healthy(http, "defaultHealthyRetryPolicy", {"disableSubscriptionOverrides"}), overrides


def effective(protocol: str, topic_policy: str | None, subscription_policy: str | None) -> RetryPolicy:
    """The retries of a subscription, both policies as they are kept."""
    if protocol == "sqs":
        return QUEUES
    if protocol not in ("http", "https"):
        return MAIL
    of_all, alone = of_topic(topic_policy) if topic_policy else (None, False)
    own = of_subscription(subscription_policy) if subscription_policy and not alone else None
    return own or of_all or WEB


def shown(policy: RetryPolicy) -> str:
    """A policy as a subscription's EffectiveDeliveryPolicy shows it."""
    return json.dumps({"healthyRetryPolicy": _members(policy)}, separators=(",", ":"))


def shown_for_topic(policy: RetryPolicy) -> str:
    """A policy as a topic's EffectiveDeliveryPolicy shows it."""
    http = {"defaultHealthyRetryPolicy": _members(policy), "disableSubscriptionOverrides": False}
    return json.dumps({"http": http}, separators=(",", ":"))


def _members(policy: RetryPolicy) -> dict[str, int | str]:
    return {
        "minDelayTarget": int(policy.least_s),
        "maxDelayTarget": int(policy.greatest_s),
        "numRetries": policy.retries,
        "numMaxDelayRetries": policy.greatest,
        "numNoDelayRetries": policy.at_once,
        "numMinDelayRetries": policy.least,
        "backoffFunction": policy.growth,
    }


def _object(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("DeliveryPolicy: failed to parse JSON") from None
    if not isinstance(document, dict):
        raise ValueError("DeliveryPolicy: must be a JSON object")  # noqa: TRY004 - one family of error for a policy
    return document


def _healthy(document: Mapping[str, Any], member: str, others: set[str]) -> RetryPolicy | None:
    unknown = document.keys() - {member} - others
    if unknown:
        raise ValueError(f"DeliveryPolicy: {min(unknown)[:60]} is not supported")
    raw = document.get(member)
    if raw is None:
        return None
    if not isinstance(raw, dict) or raw.keys() - {*_MEMBERS, "backoffFunction"}:
        raise ValueError(f"DeliveryPolicy: {member} has members that it cannot have")
    for name, (least, greatest) in _MEMBERS.items():
        value = raw.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= greatest:
            raise ValueError(f"DeliveryPolicy: {name} must be between {least} and {greatest}")
    return _policy(raw)


def _policy(raw: Mapping[str, Any]) -> RetryPolicy:
    function = raw.get("backoffFunction", "linear")
    if function not in GROWTH:
        raise ValueError(f"DeliveryPolicy: backoffFunction must be one of {', '.join(GROWTH)}")
    least_s, greatest_s = raw.get("minDelayTarget", 20), raw.get("maxDelayTarget", 20)
    at_once, least, greatest = (raw.get(f"num{phase}DelayRetries", 0) for phase in ("No", "Min", "Max"))
    growing = raw.get("numRetries", 3) - at_once - least - greatest
    if least_s > greatest_s or growing < 0:
        raise ValueError("DeliveryPolicy: minDelayTarget exceeds maxDelayTarget, or the phases exceed numRetries")
    return RetryPolicy(
        at_once=at_once,
        least=least,
        growing=growing,
        greatest=greatest,
        least_s=least_s,
        greatest_s=greatest_s,
        growth=function,
    )
