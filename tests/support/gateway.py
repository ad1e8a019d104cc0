"""A real ``opentrail up`` for tests: started as a user would, on a free port, in a HOME of its own."""

import gzip
import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from opentrail.delivery.object_keys import parse

START_TIMEOUT_S = 60.0
TARGETS = {
    "opsworks-cm": "OpsWorksCM_V2016_11_01",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    "opentrail": "OpenTrail_20261101",
    "resourcegroupstaggingapi": "ResourceGroupsTaggingAPI_20170126",
}


@dataclass(frozen=True)
class Key:
    """An access key pair, with the session token of temporary ones."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    @classmethod
    def of(cls, credentials: Mapping[str, Any]) -> "Key":
        """The credentials in an answer of STS."""
        return cls(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


@dataclass
class Gateway:
    """A running OpenTrail: its process, where it answers, and the environment for AWS tools."""

    home: Path
    process: "subprocess.Popen[str]"
    url: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Key:
        """The default account's root key."""
        return Key(self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"])

    def client(self, service: str, key: Key | None = None, **options: Any) -> Any:
        """A boto3 client as a user would have it, without retries."""
        key = key or self.root
        inner = botocore.session.Session()
        inner.set_config_variable("data_path", self.environment["AWS_DATA_PATH"])
        session: Any = boto3.session.Session(botocore_session=inner)
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=30)
        return session.client(
            service,
            endpoint_url=self.url,
            region_name=options.pop("region_name", "us-east-1"),
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            aws_session_token=key.session_token,
            verify=self.environment.get("AWS_CA_BUNDLE"),
            config=config.merge(options.pop("config", Config())),
        )

    def cli(
        self, *arguments: str, timeout_s: float = 90, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """The unmodified AWS CLI, with nothing but what ``opentrail env`` prints, or with another environment."""
        command = [str(Path(sys.executable).with_name("aws")), *arguments]
        variables = dict(environment or self.tool_environment())
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout_s)

    def tool_environment(self) -> dict[str, str]:
        """The environment of a tool: nothing of this machine's AWS settings, no retries."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.home.parent), "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}
        return plain | self.environment

    def opentrail(self, *arguments: str, stdin: str = "", timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
        """The ``opentrail`` command on this HOME."""
        command = [sys.executable, "-m", "opentrail", *arguments, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, input=stdin)

    def import_key(self, account: str, key: Key, *owner: str) -> None:
        """``opentrail keys import``; the account is made where it does not exist."""
        self.opentrail("accounts", "create", account)
        pair = ("--access-key-id", key.access_key_id, "--secret-access-key", key.secret_access_key)
        done = self.opentrail("keys", "import", "--account", account, *owner, *pair)
        assert done.returncode == 0, done.stderr

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start(
    home: Path,
    settings: Mapping[str, str] | None = None,
    *arguments: str,
    tools: Mapping[str, str] | None = None,
) -> Gateway:
    """Start ``opentrail up`` and wait until it says that it is ready.

    ``tools`` is what an earlier start on this HOME found for AWS tools, to save asking again: only the port differs.
    """
    process = _launch(home, settings, arguments)
    assert process.stdout is not None
    timer = threading.Timer(START_TIMEOUT_S, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    assert line.startswith("ready "), f"not ready: {line!r}\n{_log(home).read_text()[-4000:]}"
    gateway = Gateway(home, process, line.split()[1], _log(home))
    if tools is not None:
        gateway.environment = {**tools, "AWS_ENDPOINT_URL": gateway.url}
        return gateway
    exported = gateway.opentrail("env")
    assert exported.returncode == 0, exported.stderr
    gateway.environment = _exports(exported.stdout)
    return gateway


def false_start(home: Path, settings: Mapping[str, str], alive_s: float) -> None:
    """Start ``opentrail up`` and kill it that much later, ready or not."""
    process = _launch(home, settings, ())
    time.sleep(alive_s)
    process.kill()
    process.communicate()


def _launch(home: Path, settings: Mapping[str, str] | None, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENTRAIL_"))}
    environment |= {"OPENTRAIL_DELIVERY_INTERVAL_S": "1", "OPENTRAIL_LOG_LEVEL": "info", **(settings or {})}
    command = [sys.executable, "-m", "opentrail", "up", "--home", str(home), "--port", "0", *arguments]
    with _log(home).open("a") as errors:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)


def _log(home: Path) -> Path:
    return home.parent / f"{home.name}.log"


@contextmanager
def running(home: Path, settings: Mapping[str, str] | None = None, *arguments: str) -> Iterator[Gateway]:
    """A gateway for the length of a block; it must stop cleanly."""
    gateway = start(home, settings, *arguments)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            assert gateway.stop() == 0, gateway.log.read_text()[-4000:]


def _exports(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        _, assignment = shlex.split(line)
        name, _, value = assignment.partition("=")
        found[name] = value
    return found


def trail_policy(bucket: str, account: str, trail: str = "main", region: str = "us-east-1") -> str:
    """The bucket policy that CloudTrail's documentation asks for."""
    condition = {"aws:SourceArn": f"arn:aws:cloudtrail:{region}:{account}:trail/{trail}"}
    service = {"Service": "cloudtrail.amazonaws.com"}
    statements = [
        {
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:GetBucketAcl",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringEquals": condition},
        },
        {
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/{account}/*",
            "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **condition}},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_trail(gateway: Gateway, bucket: str, account: str = "123456789012", key: Key | None = None) -> None:
    """A bucket with its policy, and a trail ``main`` that logs to it."""
    s3 = gateway.client("s3", key)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=trail_policy(bucket, account))
    cloudtrail = gateway.client("cloudtrail", key)
    cloudtrail.create_trail(Name="main", S3BucketName=bucket)
    cloudtrail.start_logging(Name="main")


def call(
    gateway: Gateway, service: str, operation: str, body: object, user_agent: str, *, signed_for: str | None = None
) -> tuple[int, str]:
    """One signed JSON call on a connection of its own, sent exactly once: status and request id.

    Raises OSError or HTTPException where no answer came.
    """
    where = urlsplit(gateway.url)
    request = AWSRequest("POST", f"{gateway.url}/", data=json.dumps(body).encode())
    request.headers["Content-Type"] = "application/x-amz-json-1.1"
    request.headers["X-Amz-Target"] = f"{TARGETS[service]}.{operation}"
    key = gateway.root
    SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), signed_for or service, "us-east-1").add_auth(
        request
    )
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.request("POST", "/", request.body, dict(request.headers) | {"User-Agent": user_agent})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["x-amzn-requestid"]
    finally:
        connection.close()


def delivered(s3: Any, bucket: str) -> list[dict[str, Any]]:
    """Every record in every log file of a bucket."""
    found: list[dict[str, Any]] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            if parse(item["Key"]) is not None:
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                found.extend(json.loads(gzip.decompress(body))["Records"])
    return found
