"""The main job, as README shows it: ``opentrail demo --once`` ends with the record, the first time and the next."""

import json
from pathlib import Path

import pytest

from opentrail.local.goiardi import goiardi_binary
from tests.support.gateway import Gateway


@pytest.mark.goiardi
@pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi")
@pytest.mark.timeout(400)
def test_the_demo_shows_the_record_twice(tmp_path: Path) -> None:
    """Exit 0; the record is of a role session's CreateServer, redacted; a HOME with an earlier demo is no obstacle."""
    gateway = Gateway(tmp_path / "home", None, "", tmp_path / "log")  # type: ignore[arg-type] # the demo starts its own
    for _ in range(2):
        done = gateway.opentrail("demo", "--once", "--port", "0", timeout_s=180)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = done.stdout
        record = json.loads(shown[shown.index("\n{") : shown.index("\n}") + 2])
        assert (record["eventName"], record["userIdentity"]["type"]) == ("CreateServer", "AssumedRole")
        values = {item["value"] for item in record["responseElements"]["server"]["engineAttributes"]}
        assert values == {"*** Redacted ***"}
        assert "AWSLogs/123456789012/CloudTrail/us-east-1/" in shown
    assert not (tmp_path / "home" / "run" / "endpoint.json").exists()
