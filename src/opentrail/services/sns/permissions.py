"""AddPermission and RemovePermission: single statements of a topic's policy, by label."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.services.operation import operation
from opentrail.services.sns import refusals
from opentrail.services.sns.parts import Surroundings, known_topic
from opentrail.state.database import Unit
from opentrail.topics.policies import read_policy

Request = Mapping[str, Any]

_ACTIONS = frozenset(
    {
        *("AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish"),
        *("RemovePermission", "SetTopicAttributes", "Subscribe"),
    }
)


class PermissionOperations(Surroundings):
    """The operations on a topic policy's statements; a part of ``SnsService``."""

    @operation("AddPermission", writes=True)
    def add_permission(self, call: Call, request: Request, unit: Unit) -> Request:
        """Let other accounts do something with a topic."""
        topic = known_topic(self.parts, unit.connection, call, request["TopicArn"])
        unknown = [name for name in request["ActionName"] if name not in _ACTIONS]
        if unknown or not request["ActionName"]:
            raise refusals.invalid("ActionName", f"{', '.join(unknown)[:200]} cannot be allowed")
        if not request["AWSAccountId"]:
            raise refusals.invalid("AWSAccountId")
        policy = json.loads(topic.policy)
        statements = _statements(policy)
        if any(statement.get("Sid") == request["Label"] for statement in statements):
            raise ApiError("InvalidParameterException", "Statement already exists")
        principals = [f"arn:aws:iam::{account}:root" for account in request["AWSAccountId"]]
        actions = [f"SNS:{name}" for name in request["ActionName"]]
        added = {
            "Sid": request["Label"],
            "Effect": "Allow",
            "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
            "Action": actions[0] if len(actions) == 1 else actions,
            "Resource": topic.arn,
        }
        self.parts.store.put_topic(unit, replace(topic, policy=_text(policy, [*statements, added])))
        return {}

    @operation("RemovePermission", writes=True)
    def remove_permission(self, call: Call, request: Request, unit: Unit) -> Request:
        """Take a statement out of a topic's policy; a label that it does not have is no error."""
        topic = known_topic(self.parts, unit.connection, call, request["TopicArn"])
        policy = json.loads(topic.policy)
        kept = [statement for statement in _statements(policy) if statement.get("Sid") != request["Label"]]
        if not kept:
            raise refusals.invalid("Label", "a policy has at least one statement")
        if len(kept) != len(_statements(policy)):
            self.parts.store.put_topic(unit, replace(topic, policy=_text(policy, kept)))
        return {}


def _statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = policy["Statement"]
    return [found] if isinstance(found, dict) else list(found)


def _text(policy: Mapping[str, Any], statements: list[dict[str, Any]]) -> str:
    """A policy with these statements. Raises ApiError InvalidParameter where it cannot be one."""
    text = json.dumps({**policy, "Statement": statements}, separators=(",", ":"))
    try:
        read_policy(text)
    except ValueError as problem:
        raise refusals.invalid("Policy", str(problem)) from None
    return text
