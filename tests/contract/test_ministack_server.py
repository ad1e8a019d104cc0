"""The embedded MiniStack: closed to strangers, confined, tenants apart, its state back after a clean stop."""

import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from opentrail.aws.sigv4 import Scope, SigningKey, sign
from opentrail.errors import ConfigError
from opentrail.local import ministack
from opentrail.local.ministack_services import served_by_ministack
from opentrail.processes.confinement import landlock_version
from opentrail.processes.pid_files import identify
from tests.support.ministack import ACCOUNT, MiniStackHome, running_ministack

pytest.importorskip("ministack", reason="the extra [local] is not installed")

# One read of each service, with the parameters that it must have.
READS: dict[str, tuple[str, dict[str, object]]] = {
    "account": ("ListRegions", {}),
    "acm": ("ListCertificates", {}),
    "apigateway": ("GetRestApis", {}),
    "apigatewayv2": ("GetApis", {}),
    "appconfig": ("ListApplications", {}),
    "appconfigdata": (
        "StartConfigurationSession",
        {"ApplicationIdentifier": "a", "EnvironmentIdentifier": "b", "ConfigurationProfileIdentifier": "c"},
    ),
    "appsync": ("ListGraphqlApis", {}),
    "athena": ("ListDataCatalogs", {}),
    "autoscaling": ("DescribeAutoScalingGroups", {}),
    "backup": ("ListBackupVaults", {}),
    "batch": ("DescribeComputeEnvironments", {}),
    "bedrock": ("ListCustomModels", {}),
    "bedrock-agent": ("ListAgents", {}),
    "bedrock-agent-runtime": ("ListSessions", {}),
    "bedrock-agentcore-control": ("ListAgentRuntimes", {}),
    "bedrock-runtime": ("ListAsyncInvokes", {}),
    "budgets": ("DescribeBudgets", {"AccountId": ACCOUNT}),
    "cloudcontrol": ("ListResourceRequests", {}),
    "cloudformation": ("DescribeStacks", {}),
    "cloudfront": ("ListDistributions", {}),
    "cloudwatch": ("ListMetrics", {}),
    "codebuild": ("ListProjects", {}),
    "cognito-identity": ("ListIdentityPools", {"MaxResults": 10}),
    "cognito-idp": ("ListUserPools", {"MaxResults": 10}),
    "config": ("DescribeConfigurationRecorders", {}),
    "cur": ("DescribeReportDefinitions", {}),
    "docdb": ("DescribeDBClusters", {}),
    "dsql": ("ListClusters", {}),
    "dynamodb": ("ListTables", {}),
    "dynamodbstreams": ("ListStreams", {}),
    "ec2": ("DescribeInstances", {}),
    "ecr": ("DescribeRepositories", {}),
    "ecs": ("ListClusters", {}),
    "efs": ("DescribeFileSystems", {}),
    "eks": ("ListClusters", {}),
    "elasticache": ("DescribeCacheClusters", {}),
    "elbv2": ("DescribeLoadBalancers", {}),
    "emr": ("ListClusters", {}),
    "events": ("ListRules", {}),
    "firehose": ("ListDeliveryStreams", {}),
    "glue": ("GetDatabases", {}),
    "inspector2": ("ListAccountPermissions", {}),
    "iot": ("ListCACertificates", {}),
    "iot-data": ("ListRetainedMessages", {}),
    "iot-jobs-data": ("GetPendingJobExecutions", {"thingName": "t"}),
    "kafka": ("ListClusters", {}),
    "kinesis": ("ListStreams", {}),
    "kinesisanalyticsv2": ("DescribeApplication", {"ApplicationName": "a"}),
    "lambda": ("ListFunctions", {}),
    "lambda-core": ("ListNetworkConnectors", {}),
    "lambda-microvms": ("ListMicrovms", {}),
    "location": ("ListTrackers", {}),
    "logs": ("DescribeLogGroups", {}),
    "mediaconnect": ("ListFlows", {}),
    "mq": ("ListBrokers", {}),
    "mwaa": ("ListEnvironments", {}),
    "opensearch": ("ListDomainNames", {}),
    "opensearchserverless": ("ListCollections", {}),
    "organizations": ("ListAccounts", {}),
    "pipes": ("ListPipes", {}),
    "rds": ("DescribeDBInstances", {}),
    "rds-data": (
        "ExecuteStatement",
        {
            "resourceArn": f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:c",
            "secretArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:s",
            "sql": "select 1",
        },
    ),
    "resource-groups": ("ListGroups", {}),
    "resourcegroupstaggingapi": ("GetResources", {}),
    "route53": ("ListHostedZones", {}),
    "scheduler": ("ListSchedules", {}),
    "secretsmanager": ("ListSecrets", {}),
    "servicediscovery": ("ListNamespaces", {}),
    "ses": ("ListConfigurationSets", {}),
    "sesv2": ("ListConfigurationSets", {}),
    "signer": ("ListSigningJobs", {}),
    "sns": ("ListTopics", {}),
    "sqs": ("ListQueues", {}),
    "ssm": ("DescribeParameters", {}),
    "stepfunctions": ("ListStateMachines", {}),
    "transcribe": ("ListTranscriptionJobs", {}),
    "transfer": ("ListServers", {}),
    "translate": ("ListTextTranslationJobs", {}),
    "waf": ("ListWebACLs", {}),
    "waf-regional": ("ListWebACLs", {}),
    "wafv2": ("ListWebACLs", {"Scope": "REGIONAL"}),
}
NOTHING_THERE = {"appconfigdata", "kinesisanalyticsv2", "rds-data"}

FUNCTION = """
import os

def attempt(action):
    try:
        return action() or "done"
    except OSError as error:
        return type(error).__name__

def read(path):
    return open(path).read()

def handler(event, context):
    return {
        "event": event["greeting"],
        "reads": {path: attempt(lambda path=path: read(path)) for path in event["paths"]},
        "server": attempt(lambda: read(f"/proc/{os.getppid()}/environ")),
        "signal": attempt(lambda: os.kill(event["pid"], 0)),
        "writes": attempt(lambda: open(event["write"], "w").write("x")),
    }
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStackHome]:
    """A running MiniStack."""
    with running_ministack(tmp_path_factory.mktemp("home")) as made:
        yield made


def queues(home: MiniStackHome, *, account: str = ACCOUNT, region: str = "us-east-1") -> list[str]:
    """The names of an account's queues in a region."""
    found: list[str] = home.client("sqs", account=account, region=region).list_queues().get("QueueUrls", [])
    return [url.rpartition("/")[2] for url in found]


def status(url: str, method: str = "GET") -> int:
    """The HTTP status of a request without a signature."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_starting_does_not_wait(tmp_path: Path) -> None:
    """`start` returns at once with an address; until the server answers, `problem` says that it starts."""
    made = MiniStackHome(tmp_path)
    assert made.server.problem() == "the embedded MiniStack is not running"
    before = time.monotonic()
    made.server.start()
    try:
        assert time.monotonic() - before < 0.3
        assert made.server.endpoint.startswith("http://127.0.0.1:")
        assert made.server.problem() == "the embedded MiniStack is starting"
        made.server.wait_until_ready()
        assert made.server.problem() is None
    finally:
        made.server.stop()
    assert made.server.problem() == "the embedded MiniStack is down"


def test_stopping_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """A stop in the middle of the start ends the process and the start, without an error in the log of ours."""
    made = MiniStackHome(tmp_path)
    made.server.start()
    made.server.stop()
    assert made.supervisor.child(ministack.CHILD_NAME) is None
    made.server.start()
    while (child := made.supervisor.child(ministack.CHILD_NAME)) is None or (pid := child.pid) is None:
        time.sleep(0.001)
    made.server.stop()
    assert identify(pid) is None
    assert made.server.problem() is not None


def test_accounts_and_regions_are_apart(home: MiniStackHome) -> None:
    """The access key id is the account and the credential scope the region; neither sees another's queues."""
    url = home.client("sqs").create_queue(QueueName="apart")["QueueUrl"]
    assert url == f"{home.server.endpoint}/{ACCOUNT}/apart"
    assert "apart" in queues(home)
    assert "apart" not in queues(home, account="444455556666")
    assert "apart" not in queues(home, region="eu-west-1")


@pytest.mark.parametrize("service", ["sqs", "dynamodb", "lambda"])
def test_another_secret_is_refused(home: MiniStackHome, service: str) -> None:
    """Whoever has no secret of ours gets nowhere, whatever account he names."""
    operation, parameters = READS[service]
    codes: list[int] = []
    client = home.client(service, secret="wrong")
    client.meta.events.register("before-parse", lambda response_dict, **_: codes.append(response_dict["status_code"]))
    with pytest.raises(ClientError):
        client._make_api_call(operation, parameters)
    assert codes == [403]


@pytest.mark.parametrize(
    "path", ["/", "/_ministack/health", "/_ministack/sqs/messages", "/_localstack/health", "/health", "/bucket/key"]
)
def test_unsigned_requests_are_refused(home: MiniStackHome, path: str) -> None:
    """Without a signature nothing answers, its own pages included."""
    assert status(home.server.endpoint + path) == 403


def test_metrics_sent_as_cbor_are_kept(home: MiniStackHome) -> None:
    """The newest protocol of CloudWatch's clients arrives with its content, compressed as they compress it."""
    datum = b"\xa1\x6aMetricName\x67latency"
    body = gzip.compress(b"\xa2\x69Namespace\x64Mine\x6aMetricData\x81" + datum)
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    now = datetime.now(UTC)
    scope = Scope(f"{now:%Y%m%d}", "us-east-1", "monitoring")
    headers = {
        "host": home.server.endpoint.removeprefix("http://"),
        "content-type": "application/cbor",
        "content-encoding": "gzip",
        "smithy-protocol": "rpc-v2-cbor",
    }
    key = SigningKey(home.server.secret_access_key, scope)
    how = {"access_key_id": ACCOUNT, "scope": scope, "signed_at": now, "payload_hash": "UNSIGNED-PAYLOAD"}
    headers |= sign("POST", path, "", headers, key=key, **how)  # type: ignore[arg-type] # a dict of mixed values
    request = urllib.request.Request(home.server.endpoint + path, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    metrics = home.client("cloudwatch").list_metrics(Namespace="Mine")["Metrics"]
    assert [metric["MetricName"] for metric in metrics] == ["latency"]


def test_its_own_paths_are_closed_to_signed_requests_too(home: MiniStackHome) -> None:
    """A caller of the gateway cannot have every account emptied: the way to do that is refused with any signature."""
    home.client("sqs").create_queue(QueueName="kept")
    client = home.client("sqs")

    def redirect(request: Any, **_: object) -> None:
        request.url = f"{home.server.endpoint}/_ministack/reset"

    client.meta.events.register_first("before-sign", redirect)
    with pytest.raises(ClientError) as caught:
        client.list_queues()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "kept" in queues(home)


def test_it_listens_on_the_loopback_address_only(home: MiniStackHome) -> None:
    """Its one port is bound to 127.0.0.1, and it opens no other after having been used."""
    if os.geteuid() != 0:
        pytest.skip("it hides its descriptors from everybody but root")
    port = int(home.server.endpoint.rpartition(":")[2])
    home.client("transfer").create_server(Protocols=["SFTP"])  # these two open ports of their own elsewhere
    home.client("iot").create_thing(thingName="t")
    inodes = {
        str(link.readlink())[8:-1]
        for link in Path(f"/proc/{home.child().pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    listening = {
        tuple(fields[1].split(":"))
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A" and fields[9] in inodes
    }
    assert listening == {("0100007F", f"{port:04X}")}
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))


def test_functions_run_confined(home: MiniStackHome, tmp_path: Path) -> None:
    """A Lambda function runs without Docker, and reaches neither our files nor our processes."""
    (tmp_path / "journal").write_text("evidence")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("code.py", FUNCTION)
    client = home.client("lambda")
    client.create_function(
        FunctionName="curious",
        Runtime="python3.11",
        Role=f"arn:aws:iam::{ACCOUNT}:role/r",
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
    )
    secret = str(home.directory / "ministack" / "secret")
    event = {
        "greeting": "hello",
        "paths": [str(tmp_path / "journal"), secret, f"/proc/{os.getpid()}/environ"],
        "pid": os.getpid(),
        "write": str(tmp_path / "planted"),
    }
    answer = json.load(client.invoke(FunctionName="curious", Payload=json.dumps(event))["Payload"])
    assert answer["event"] == "hello"
    assert set(answer["reads"].values()) == {"PermissionError"}
    assert answer["server"] == "PermissionError"
    assert answer["writes"] == "PermissionError"
    if landlock_version() >= 6:
        assert answer["signal"] == "PermissionError"


def test_every_service_of_the_table_answers(home: MiniStackHome) -> None:
    """For each service that we say MiniStack serves one read is answered as the service's model says."""
    served = served_by_ministack()
    assert served <= READS.keys()
    assert {"sqs", "dynamodb", "lambda", "ec2", "sns"} <= served
    problems = {}
    for service in sorted(served):
        operation, parameters = READS[service]
        try:
            home.client(service)._make_api_call(operation, parameters)
        except ClientError as error:
            if service not in NOTHING_THERE or type(error) is ClientError:
                problems[service] = str(error)
    assert problems == {}


def test_a_clean_stop_keeps_the_state_and_the_address(tmp_path: Path) -> None:
    """After stop no process is left; the next start has the same port, queues, messages and secrets."""
    with running_ministack(tmp_path) as home:
        url = home.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        home.client("sqs").send_message(QueueUrl=url, MessageBody="still here")
        home.client("secretsmanager").create_secret(Name="s", SecretString="sealed")
        pid, endpoint, secret = home.child().pid or 0, home.server.endpoint, home.server.secret_access_key
    assert identify(pid) is None
    assert sorted((tmp_path / "processes").iterdir()) == []
    with running_ministack(tmp_path) as again:
        assert again.server.endpoint == endpoint
        assert again.server.secret_access_key != secret
        assert again.client("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == "still here"
        assert again.client("secretsmanager").get_secret_value(SecretId="s")["SecretString"] == "sealed"
        assert queues(again, account="444455556666") == []


def test_a_killed_server_comes_back_as_it_was_at_the_last_clean_stop(tmp_path: Path) -> None:
    """After kill -9 it answers again at the same address with the same secret, without what was never saved."""
    with running_ministack(tmp_path) as home:
        home.client("sqs").create_queue(QueueName="saved")
    with running_ministack(tmp_path) as home:
        home.client("sqs").create_queue(QueueName="unsaved")
        killed = home.child().pid or 0
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while home.child().restarts == 0 or home.child().pid in (None, killed) or home.server.problem():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        while True:
            try:
                assert queues(home) == ["saved"]
                break
            except BotoCoreError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_it_saves_its_state_and_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """After SIGKILL of the process that started it no server is left, and the next one has its queues."""
    script = """
        import sys, time
        from pathlib import Path
        from tests.support.ministack import running_ministack
        with running_ministack(Path(sys.argv[1])) as home:
            home.client("sqs").create_queue(QueueName="q")
            print(home.child().pid, flush=True)
            time.sleep(600)
    """
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while identify(pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with running_ministack(tmp_path) as again:
        assert queues(again) == ["q"]


def test_a_taken_port_is_chosen_anew(tmp_path: Path) -> None:
    """When somebody took the port meanwhile, the server moves and still has its state."""
    with running_ministack(tmp_path) as home:
        home.client("sqs").create_queue(QueueName="q")
        port = int(home.server.endpoint.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), running_ministack(tmp_path) as again:
        assert again.server.endpoint != f"http://127.0.0.1:{port}"
        assert queues(again) == ["q"]


def test_what_it_leaves_behind_is_private(tmp_path: Path) -> None:
    """The directory is ours alone, and the secret stands neither in argv nor in the log nor in the environment."""
    with running_ministack(tmp_path) as home:
        directory = tmp_path / "ministack"
        secret = home.server.secret_access_key
        assert directory.stat().st_mode & 0o777 == 0o700
        assert all((directory / name).stat().st_mode & 0o777 == 0o600 for name in ("secret", "port", "log"))
        argv = Path(f"/proc/{home.child().pid}/cmdline").read_text()
        assert secret not in argv
        assert secret not in (directory / "log").read_text()
        assert secret not in str(home.child().spec.env)


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to get it, and nothing is started or written."""
    monkeypatch.setattr(ministack, "PACKAGE", "no_such_ministack")
    with pytest.raises(ConfigError, match=r"pip install 'opentrail\[local\]'"):
        MiniStackHome(tmp_path).server.start()
    assert not (tmp_path / "ministack").exists()


def test_without_the_package_nothing_is_served() -> None:
    """No service is promised that nobody would answer."""
    assert served_by_ministack("no_such_ministack") == frozenset()


def test_a_kernel_without_landlock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other people's code does not run where it cannot be confined."""
    monkeypatch.setattr(ministack, "landlock_version", lambda: 0)
    with pytest.raises(ConfigError, match="Landlock"):
        MiniStackHome(tmp_path).server.start()
    assert not (tmp_path / "ministack").exists()
