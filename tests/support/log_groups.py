"""CloudWatch Logs as trails see it: the policies that AWS's documentation asks for, and log groups in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opentrail.errors import OutboundError
from opentrail.identity.principal import Principal
from opentrail.trails.log_groups import LogStream

ACCOUNT = "123456789012"
GROUP = "CloudTrail/logs"
GROUP_ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}:*"
ROLE = "CloudTrail_CloudWatchLogs_Role"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
STREAM = f"{ACCOUNT}_CloudTrail_us-east-1"
PAIR = {"CloudWatchLogsLogGroupArn": GROUP_ARN, "CloudWatchLogsRoleArn": ROLE_ARN}


def trust_policy(service: str = "cloudtrail.amazonaws.com") -> str:
    """The trust policy of a role that a service may use."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role_policy(stream: str = STREAM, *actions: str) -> str:
    """What the role has to be allowed (cloudtrail fact sheet 10)."""
    resource = f"{GROUP_ARN.removesuffix('*')}log-stream:{stream}*"
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action in actions or ("logs:CreateLogStream", "logs:PutLogEvents")
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_role(iam: Any, policy: str = "", trust: str = "", name: str = ROLE) -> None:
    """Make the role with a boto3 client, or give it other policies."""
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or trust_policy())
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust or trust_policy())
    iam.put_role_policy(RoleName=name, PolicyName="logs", PolicyDocument=policy or role_policy())


@dataclass
class MemoryLogGroups:
    """Log groups of one account in one region; ``problem`` is what every call meets, while it is set."""

    groups: set[str] = field(default_factory=lambda: {GROUP})
    streams: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    sessions: list[Principal] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    problem: OutboundError | None = None

    def is_served(self) -> bool:
        """Always."""
        return True

    def create_stream(self, stream: LogStream, session: Principal) -> None:
        """Make a stream where the group exists."""
        self._require(stream.group in self.groups, stream.group)
        self.streams.setdefault(stream.name, [])
        self.sessions.append(session)

    def put(self, stream: LogStream, records: Sequence[bytes], at_ms: int) -> None:
        """Keep the events."""
        self._require(stream.group in self.groups and stream.name in self.streams, stream.name)
        self.streams[stream.name] += [(at_ms, record) for record in records]
        self.batches.append(len(records))

    def _require(self, exists: bool, name: str) -> None:
        if self.problem is not None:
            raise self.problem
        if not exists:
            raise OutboundError("ResourceNotFoundException", f"the specified {name} does not exist")
