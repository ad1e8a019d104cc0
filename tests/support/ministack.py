"""A real embedded MiniStack for tests, and boto3 clients that sign for it as the gateway does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from opentrail.clock import SystemClock, SystemEntropy
from opentrail.local.ministack import CHILD_NAME, MiniStack
from opentrail.processes.child import Child
from opentrail.processes.supervisor import Supervisor

ACCOUNT = "111122223333"
_ONCE = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, read_timeout=30)


class MiniStackHome:
    """A directory in which one MiniStack is started and stopped, each time by a supervisor of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.supervisor = Supervisor(directory / "processes", SystemClock())
        self.server = MiniStack(directory / "ministack", self.supervisor, SystemClock(), SystemEntropy())

    def child(self) -> Child:
        """The running process."""
        child = self.supervisor.child(CHILD_NAME)
        assert child is not None
        return child

    def client(self, service: str, *, account: str = ACCOUNT, region: str = "us-east-1", secret: str = "") -> Any:
        """A boto3 client for one account; ``secret`` in place of the right one."""
        client = boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key=secret or self.server.secret_access_key,
            config=_ONCE,
        )
        client.meta.events.register("before-sign", _declare_payload)
        return client


@contextmanager
def running_ministack(directory: Path) -> Iterator[MiniStackHome]:
    """Run MiniStack below a directory until the block ends."""
    home = MiniStackHome(directory)
    try:
        home.server.start()
        home.server.wait_until_ready()
        yield home
    finally:
        home.server.stop()


def _declare_payload(request: AWSRequest, **_: object) -> None:
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
