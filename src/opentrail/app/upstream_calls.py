"""Calls that our own services make to upstreams, from worker threads: carried out on the event loop, as callers' are.

Rules. The upstream is looked up for each call, so that a reload changes where it goes. Before the event loop runs, and
once it has ended, there is nobody to call.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any
from urllib.parse import urlencode

import orjson

from opentrail.aws.http import Reply
from opentrail.aws.model import Catalogue, Service
from opentrail.aws.protocols import SERVED, protocol_of
from opentrail.errors import OutboundError
from opentrail.gateway.upstream import Payload, Target
from opentrail.gateway.upstreams import Behind, Upstreams
from opentrail.topics.message import API_VERSION
from opentrail.topics.names import QueueName, TopicName

_TIMEOUT_S = 30.0
_ANSWER_BYTES_MAX = 4 * 1024 * 1024


class UpstreamCalls:
    """The way to what an upstream serves: SQS, CloudWatch Logs, EventBridge, tags, and an SNS that is not ours."""

    def __init__(self, upstreams: Upstreams, catalogue: Catalogue) -> None:
        self._upstreams = upstreams
        self._catalogue = catalogue
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Calls can be made from now on."""
        self._loop = loop

    def detach(self) -> None:
        """No more calls; the loop ends."""
        self._loop = None

    def sqs(self, operation: str, queue: QueueName, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call SQS for a queue, as the queue's account. Raises OutboundError with SQS's code."""
        return self.json("sqs", operation, queue.account_id, queue.region, parameters)

    def serves(self, name: str) -> bool:
        """Whether an upstream has a service, by its botocore name."""
        return self._upstreams.find(self._catalogue.service(name)) is not None

    def json(
        self, name: str, operation: str, account_id: str, region: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Call a service of the JSON protocol, by its botocore name, as an account. Raises OutboundError with the
        service's code.
        """
        service = self._catalogue.service(name)
        headers = {
            "content-type": f"application/x-amz-json-{service.json_version}",
            "x-amz-target": f"{service.target_prefix}.{operation}",
        }
        target = Target(service.signing_name, region, account_id)
        reply = self._call(service, target, headers, orjson.dumps(parameters))
        try:
            answer = orjson.loads(reply.body or b"{}")
        except ValueError as problem:
            raise OutboundError("UnreadableAnswer", f"{operation} was answered with something else") from problem
        return answer if isinstance(answer, dict) else {}

    def publish(self, topic: TopicName, account_id: str, text: str) -> None:
        """Publish to a topic of the upstream's, as an account. Raises OutboundError with SNS's code."""
        service = self._catalogue.service("sns")
        form = {"Action": "Publish", "Version": API_VERSION, "TopicArn": topic.arn, "Message": text}
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        self._call(service, Target("sns", topic.region, account_id), headers, urlencode(form).encode())

    def _call(self, service: Service, target: Target, headers: Mapping[str, str], body: bytes) -> Reply:
        behind, loop = self._upstreams.find(service), self._loop
        if behind is None:
            raise OutboundError("NotConfigured", f"no upstream serves {service.name}")
        if loop is None:
            raise OutboundError("NotReady", "OpenTrail is starting or stopping")
        exchange = _exchange(behind, target, headers, body)
        try:
            future = asyncio.run_coroutine_threadsafe(exchange, loop)
        except RuntimeError as ended:
            exchange.close()
            raise OutboundError("NotReady", "OpenTrail is stopping") from ended
        try:
            reply = future.result(_TIMEOUT_S)
        except (TimeoutError, CancelledError) as problem:
            future.cancel()
            raise OutboundError("RequestTimeout", f"{service.name} did not answer in {_TIMEOUT_S:.0f} s") from problem
        if reply.status != 200:
            wire = SERVED["json"] if "x-amz-target" in headers else protocol_of(service)
            error = wire.read_error(service, reply)
            raise OutboundError(error.code, error.message)
        return reply


async def _exchange(behind: Behind, target: Target, headers: Mapping[str, str], body: bytes) -> Reply:
    payload = Payload(body, len(body), hashlib.sha256(body).hexdigest())
    answer = await behind.upstream.send("POST", "/", headers=headers, body=payload, target=target)
    try:
        return Reply(answer.status, answer.headers, await answer.read(_ANSWER_BYTES_MAX))
    finally:
        answer.close()
