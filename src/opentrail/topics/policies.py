"""Policies of topics and queues, read once for each text."""

from functools import lru_cache

from opentrail.identity.policy import Policy, parse


@lru_cache(maxsize=512)
def read_policy(text: str) -> Policy:
    """A resource-based policy. Raises ValueError with the reason it is refused."""
    return parse(text)
