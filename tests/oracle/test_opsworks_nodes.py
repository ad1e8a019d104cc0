"""Nodes and engine attributes through the unmodified AWS CLI and boto3, and what delivered log files say of them."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from opentrail.local.goiardi import goiardi_binary
from opentrail.opsworks.keys import generate_key_pair
from tests.support.chef_product import healthy, make_server
from tests.support.gateway import Gateway, delivered, make_trail, running

pytestmark = [
    pytest.mark.goiardi,
    pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi"),
]
BUCKET = "aws-cloudtrail-logs-123456789012-0000cccc"
NAME = "automate-06"
REDACTED = "*** Redacted ***"
PAIR = generate_key_pair()
KEY = "CHEF_AUTOMATE_NODE_PUBLIC_KEY"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An OpenTrail with a trail and a HEALTHY server."""
    home = tmp_path_factory.mktemp("nodes") / "home"
    with running(home, {"OPENTRAIL_OPSWORKS_HEALTH_INTERVAL_S": "1"}) as gateway:
        make_trail(gateway, BUCKET)
        make_server(gateway)
        healthy(gateway)
        yield gateway


def attributes(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def record_of(gateway: Gateway, answer: dict[str, Any]) -> dict[str, Any]:
    request_id, s3 = answer["ResponseMetadata"]["RequestId"], gateway.client("s3")
    found = until(lambda: [one for one in delivered(s3, BUCKET) if one["requestID"] == request_id])
    assert len(found) == 1
    record: dict[str, Any] = found[0]
    assert (record["eventSource"], record["eventType"]) == ("opsworks-cm.amazonaws.com", "AwsApiCall")
    return record


def refusal(attempt: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        attempt()
    answer: dict[str, Any] = caught.value.response
    return answer


def wait(client: Any, token: str) -> None:
    client.get_waiter("node_associated").wait(
        ServerName=NAME, NodeAssociationStatusToken=token, WaiterConfig={"Delay": 1, "MaxAttempts": 90}
    )


def test_boto3_associates_and_disassociates_and_the_trail_hides_the_key(gateway: Gateway) -> None:
    """The waiter ends; each record has the call's members in lower camel case, values of attributes redacted."""
    client = gateway.client("opsworkscm")
    given = attributes(CHEF_AUTOMATE_ORGANIZATION="default", CHEF_AUTOMATE_NODE_PUBLIC_KEY=PAIR.public_pem)
    made = client.associate_node(ServerName=NAME, NodeName="i-0abc", EngineAttributes=given)
    token = made["NodeAssociationStatusToken"]
    wait(client, token)
    hidden = [{"name": item["Name"], "value": REDACTED} for item in given]
    record = record_of(gateway, made)
    assert record["requestParameters"] == {"serverName": NAME, "nodeName": "i-0abc", "engineAttributes": hidden}
    assert record["responseElements"] == {"nodeAssociationStatusToken": token}
    assert record["readOnly"] is False
    told = client.describe_node_association_status(ServerName=NAME, NodeAssociationStatusToken=token)
    assert told["NodeAssociationStatus"] == "SUCCESS"
    record = record_of(gateway, told)
    assert (record["readOnly"], record["responseElements"]) == (True, None)
    assert record["requestParameters"] == {"serverName": NAME, "nodeAssociationStatusToken": token}
    gone = client.disassociate_node(ServerName=NAME, NodeName="i-0abc", EngineAttributes=given)
    wait(client, gone["NodeAssociationStatusToken"])
    record = record_of(gateway, gone)
    assert record["requestParameters"]["engineAttributes"] == hidden


def test_a_failed_association_ends_the_waiter(gateway: Gateway) -> None:
    """FAILED is a terminal failure to boto3's waiter, and the server's events say why."""
    client = gateway.client("opsworkscm")
    given = attributes(CHEF_ORGANIZATION="mine", CHEF_NODE_PUBLIC_KEY=PAIR.public_pem)
    token = client.associate_node(ServerName=NAME, NodeName="n-1", EngineAttributes=given)["NodeAssociationStatusToken"]
    with pytest.raises(WaiterError, match="terminal failure state"):
        wait(client, token)
    assert "no organization" in client.describe_events(ServerName=NAME)["ServerEvents"][0]["Message"]


def test_the_aws_cli_drives_nodes_and_engine_attributes(gateway: Gateway, tmp_path: Path) -> None:
    """`aws opsworkscm`: associate, wait, disassociate with the shorthand of AWS's guide; export; update the key."""

    def aws(*arguments: str) -> Any:
        done = gateway.cli("opsworkscm", *arguments, "--server-name", NAME)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    pem = tmp_path / "node.pub"
    pem.write_text(PAIR.public_pem)
    organization = "Name=CHEF_AUTOMATE_ORGANIZATION,Value=default"
    pair = (organization, f"Name={KEY},Value='{PAIR.public_pem}'")
    made = aws("associate-node", "--node-name", "cli-1", "--engine-attributes", *pair)
    aws("wait", "node-associated", "--node-association-status-token", made["NodeAssociationStatusToken"])
    gone = aws("disassociate-node", "--node-name", "cli-1", "--engine-attributes", organization)
    aws("wait", "node-associated", "--node-association-status-token", gone["NodeAssociationStatusToken"])
    inputs = json.dumps(attributes(RunList="recipe[nginx]", NodeEnvironment="prod"))
    script = aws("export-server-engine-attribute", "--export-attribute-name", "Userdata", "--input-attributes", inputs)
    assert "RUN_LIST='recipe[nginx]'" in base64.b64decode(script["EngineAttribute"]["Value"]).decode()
    name = ("--attribute-name", "CHEF_AUTOMATE_PIVOTAL_KEY")
    updated = aws("update-server-engine-attributes", *name, "--attribute-value", f"file://{pem}")
    assert updated["Server"]["Status"] == "MODIFYING"
    assert [item["Name"] for item in updated["Server"]["EngineAttributes"]] == ["CHEF_STARTER_KIT"]
    healthy(gateway)


def test_records_of_keys_and_exports_are_redacted(gateway: Gateway) -> None:
    """The value of an update, the answer's attributes and the inputs of an export are hidden; names stay."""
    client = gateway.client("opsworkscm")
    name = "CHEF_AUTOMATE_PIVOTAL_KEY"
    made = client.update_server_engine_attributes(ServerName=NAME, AttributeName=name, AttributeValue="null")
    shown = made["Server"]["EngineAttributes"]
    assert {item["Name"] for item in shown} == {name, "CHEF_STARTER_KIT"}
    record = record_of(gateway, made)
    assert record["requestParameters"] == {"serverName": NAME, "attributeName": name, "attributeValue": REDACTED}
    hidden = [{"name": item["Name"], "value": REDACTED} for item in shown]
    assert record["responseElements"]["server"]["engineAttributes"] == hidden
    assert record["responseElements"]["server"]["status"] == "MODIFYING"
    healthy(gateway)
    exported = client.export_server_engine_attribute(
        ServerName=NAME, ExportAttributeName="Userdata", InputAttributes=attributes(RunList="role[a]")
    )
    record = record_of(gateway, exported)
    assert (record["readOnly"], record["responseElements"]) == (True, None)
    assert record["requestParameters"]["inputAttributes"] == [{"name": "RunList", "value": REDACTED}]
    evidence = json.dumps(delivered(gateway.client("s3"), BUCKET))
    for item in shown:
        assert item["Value"][100:140] not in evidence


def test_refusals_are_recorded_and_hold_no_canary(gateway: Gateway) -> None:
    """Each operation's refusal has its code and no value; a canary in every attribute is in no file, log or answer."""
    client, canary = gateway.client("opsworkscm"), f"Canary{secrets.token_hex(8)}"
    key = attributes(CHEF_AUTOMATE_NODE_PUBLIC_KEY=PAIR.public_pem, CHEF_AUTOMATE_ORGANIZATION=canary)
    token = client.associate_node(ServerName=NAME, NodeName="canary", EngineAttributes=key)
    wrong: list[tuple[Callable[[], Any], str]] = [
        (
            lambda: client.associate_node(ServerName=NAME, NodeName="n", EngineAttributes=attributes(**{KEY: canary})),
            "ValidationException",
        ),
        (
            lambda: client.associate_node(ServerName="nobody", NodeName="n", EngineAttributes=key),
            "ResourceNotFoundException",
        ),
        (
            lambda: client.disassociate_node(ServerName="nobody", NodeName="n", EngineAttributes=key),
            "ResourceNotFoundException",
        ),
        (
            lambda: client.describe_node_association_status(ServerName=NAME, NodeAssociationStatusToken="x"),
            "ResourceNotFoundException",
        ),
        (
            lambda: client.update_server_engine_attributes(
                ServerName=NAME, AttributeName="CHEF_PIVOTAL_KEY", AttributeValue=canary
            ),
            "ValidationException",
        ),
        (
            lambda: client.export_server_engine_attribute(
                ServerName=NAME, ExportAttributeName="Userdata", InputAttributes=attributes(RunList=f"{canary};")
            ),
            "ValidationException",
        ),
    ]
    for attempt, code in wrong:
        answer = refusal(attempt)
        assert answer["Error"]["Code"] == code
        assert canary not in json.dumps(answer, default=str)
        record = record_of(gateway, answer)
        assert (record["errorCode"], record["errorMessage"]) == (code, answer["Error"]["Message"])
        assert record["responseElements"] is None
    record_of(gateway, token)
    assert canary not in json.dumps(delivered(gateway.client("s3"), BUCKET))
    assert canary not in json.dumps(client.describe_events(ServerName=NAME)["ServerEvents"], default=str)
    assert canary not in gateway.log.read_text()


def test_calls_beyond_the_rate_are_throttled_and_recorded(tmp_path: Path) -> None:
    """A call too many is a ThrottlingException, as a client's back-off expects it; other operations go on."""
    with running(tmp_path / "home", {"OPENTRAIL_OPSWORKS_REQUESTS_PER_S": "0.01"}) as gateway:
        make_trail(gateway, BUCKET)
        client = gateway.client("opsworkscm")
        client.describe_servers()
        answer = refusal(client.describe_servers)
        assert answer["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
        client.describe_account_attributes()
        assert record_of(gateway, answer)["errorCode"] == "ThrottlingException"
