"""OpsWorks CM by the clients that its customers have, all driven in one way: an operation, its parameters, an answer.

``tools/get_opsworks_clients.sh`` gets those that are not among the test tools.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "oracle" / "opsworks_clients"
TOOLS = ROOT / ".venv-tools"
WAIT = "wait node_associated"
"""What a client's own waiter is asked for as, beside the operations."""


_CLI_ERROR = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation(?: \([^)]*\))?: (.*)", re.DOTALL)


@dataclass
class Refused(Exception):
    """What a client says of an error answer; ``status`` where it tells the HTTP status."""

    code: str
    message: str
    status: int | None = None


class OpsWorksClient(Protocol):
    """One client of OpsWorks CM."""

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's members as the API names them. Raises Refused."""


@dataclass
class CurrentBoto3:
    """boto3 as installed beside ``botocore-a-la-carte-opsworkscm``: without AWS_DATA_PATH."""

    client: Any

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See OpsWorksClient."""
        if operation == WAIT:
            self.client.get_waiter("node_associated").wait(**parameters, WaiterConfig={"Delay": 1, "MaxAttempts": 225})
            return {"state": "SUCCESS"}
        method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
        try:
            answer: dict[str, Any] = getattr(self.client, method)(**parameters)
        except ClientError as error:
            told = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise Refused(told["Code"], told["Message"], status) from None
        del answer["ResponseMetadata"]
        return answer


@dataclass
class AwsCli:
    """The command ``aws`` with options as a person writes them: texts bare, everything else as JSON."""

    command: Sequence[str]
    environment: Mapping[str, str]

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See OpsWorksClient."""
        name = "wait node-associated" if operation == WAIT else _kebab(operation)
        words = [word for option in parameters.items() for word in _option(*option)]
        command = [*self.command, *name.split(), *words]
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            answer: dict[str, Any] = json.loads(done.stdout or "{}")
            return answer
        told = _CLI_ERROR.search(done.stderr)
        assert told is not None, (operation, done.stderr)
        raise Refused(told[1], told[2].strip())


@dataclass
class ChildClient:
    """A client in a process of its own, which reads calls and writes answers, one JSON line each."""

    process: "subprocess.Popen[str]"

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See OpsWorksClient."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"operation": operation, "parameters": parameters}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client ended at {operation}"
        said = json.loads(line)
        if "error" in said:
            raise Refused(said["error"]["code"], said["error"]["message"], said["error"].get("status"))
        answer: dict[str, Any] = said["answer"]
        return answer


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _option(name: str, value: Any) -> list[str]:
    """The words of one parameter; a text that begins like an option has to stand in one word with its name."""
    option = f"--{_kebab(name)}"
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, str | int):
        return [f"{option}={value}"]
    if all(isinstance(item, str) for item in value):
        return [option, *value]
    return [option, json.dumps(value)]


def _environment(gateway: Gateway, *without: str) -> dict[str, str]:
    """What ``opentrail env`` prints, and nothing of this machine's AWS settings."""
    plain = gateway.tool_environment() | {"AWS_EC2_METADATA_DISABLED": "true"}
    return {name: value for name, value in plain.items() if name not in without}


def _current_boto3(gateway: Gateway) -> Iterator[OpsWorksClient]:
    key = gateway.root
    yield CurrentBoto3(
        boto3.session.Session().client(
            "opsworkscm",
            endpoint_url=gateway.url,
            region_name="us-east-1",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )
    )


def _current_cli(gateway: Gateway) -> Iterator[OpsWorksClient]:
    """It brings a botocore of its own, so the model is found by AWS_DATA_PATH alone."""
    yield AwsCli((str(Path(sys.executable).with_name("aws")), "opsworkscm"), _environment(gateway))


def _old_cli(gateway: Gateway) -> Iterator[OpsWorksClient]:
    yield AwsCli((str(_tool("opsworks-python", "bin/aws")), "opsworks-cm"), _environment(gateway, "AWS_DATA_PATH"))


def _old_boto3(gateway: Gateway) -> Iterator[OpsWorksClient]:
    command = [str(_tool("opsworks-python", "bin/python")), str(SOURCES / "client.py")]
    yield from _child(command, _environment(gateway, "AWS_DATA_PATH"))


def _javascript(gateway: Gateway) -> Iterator[OpsWorksClient]:
    modules = _tool("opsworks-npm", "node_modules")
    script = modules.parent / "client.mjs"
    # Node looks for modules beside the script, not where it is started.
    script.write_text((SOURCES / "client.mjs").read_text())
    region = {"AWS_REGION": "us-east-1"}
    yield from _child(["node", str(script)], _environment(gateway, "AWS_DATA_PATH") | region)


def _tool(place: str, name: str) -> Path:
    found = TOOLS / place / name
    if not found.exists():
        pytest.skip(f"{place} is missing: sh tools/get_opsworks_clients.sh")
    return found


def _child(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[OpsWorksClient]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment)
    ) as process:
        try:
            yield ChildClient(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


CLIENTS: Mapping[str, Callable[[Gateway], Iterator[OpsWorksClient]]] = {
    "boto3": _current_boto3,
    "aws opsworkscm": _current_cli,
    "boto3 1.40.17": _old_boto3,
    "aws 1.42.17 opsworks-cm": _old_cli,
    "@aws-sdk/client-opsworkscm 3.523.0": _javascript,
}
"""Each client's name, and how it is made for a gateway."""


@contextmanager
def client_of(gateway: Gateway, name: str) -> Iterator[OpsWorksClient]:
    """A client for the length of a block; the test is skipped where it is not installed."""
    with contextmanager(CLIENTS[name])(gateway) as client:
        yield client
