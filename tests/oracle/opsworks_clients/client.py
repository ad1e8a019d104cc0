"""One call per line of stdin, one answer per line of stdout: {"answer": ...} or {"error": {code, message, status}}.

It runs in a venv of its own, with an old boto3. The client is made as users make it: all comes from the environment.
"""

import json
import re
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError

WAIT = {"Delay": 1, "MaxAttempts": 225}


def carry_out(client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """One call, without what boto3 adds to its answer."""
    if operation == "wait node_associated":
        client.get_waiter("node_associated").wait(**parameters, WaiterConfig=WAIT)
        return {"state": "SUCCESS"}
    method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
    answer: dict[str, Any] = getattr(client, method)(**parameters)
    del answer["ResponseMetadata"]
    return answer


def main() -> None:
    """Answer until stdin ends."""
    client = boto3.client("opsworkscm")
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"answer": carry_out(client, asked["operation"], asked["parameters"])}
        except ClientError as error:
            told = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            said = {"error": {"code": told["Code"], "message": told["Message"], "status": status}}
        print(json.dumps(said, default=lambda date: date.isoformat()), flush=True)


main()
