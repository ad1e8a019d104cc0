"""Prowler, unmodified, judges a well-made and a bad trail: every check of its service `cloudtrail` (docs/tools.md)."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.auditors import (
    ACCOUNT,
    BAD_BUCKET,
    CARELESS_KEY,
    GOOD_BUCKET,
    Scene,
    make_scene,
    run_tool,
)
from tests.support.gateway import Gateway, Key, running

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]
AUDITOR = Key("AKIAAUDITORAUDITORAU", "auditor/auditor/auditor/auditor/auditor/")
THREATS = ("enumeration", "llm_jacking", "privilege_escalation")
EXPLAINED = ("ServerSideEncryptionConfigurationNotFoundError",)
"""What Prowler may log as an error of its own: a bucket without default encryption has none to tell of."""


@dataclass(frozen=True)
class Finding:
    """One line of Prowler's report, of the regions us-east-1 and eu-west-1."""

    check: str
    about: str
    region: str
    status: str


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One OpenTrail for all tests here."""
    with running(tmp_path_factory.mktemp("prowler") / "home") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def scene(gateway: Gateway) -> Scene:
    """Both trails."""
    return make_scene(gateway)


def _scan(gateway: Gateway, *which: str, key: Key | None = None) -> tuple[set[Finding], list[str]]:
    """Findings and the errors that Prowler logged."""
    out, name = Path(tempfile.mkdtemp(dir=gateway.home.parent)), "report"  # it writes on where a report is
    log = out / f"{name}.log"
    options = ("-f", "us-east-1", "eu-west-1", "-M", "json-ocsf", "-o", str(out), "-F", name, "--no-banner")
    logged = ("--log-level", "ERROR", "--log-file", str(log), "--ignore-exit-code-3")
    done = run_tool(gateway, "prowler", "prowler", "aws", *which, *options, *logged, key=key)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = out / f"{name}.ocsf.json"
    found = set()
    for entry in json.loads(report.read_text()) if report.exists() else []:
        resource = entry["resources"][0]
        finding = Finding(entry["metadata"]["event_code"], resource["name"], resource["region"], entry["status_code"])
        found.add(finding)
    errors = [str(json.loads(line)["message"]) for line in log.read_text().splitlines()] if log.exists() else []
    return found, [error for error in errors if not any(word in error for word in EXPLAINED)]


def _checks(gateway: Gateway) -> set[str]:
    done = run_tool(gateway, "prowler", "prowler", "aws", "--list-checks", "-s", "cloudtrail", "--no-color")
    lines = [line for line in done.stdout.splitlines() if line.startswith("[cloudtrail_")]
    return {line[1:].partition("]")[0] for line in lines}


def _verdicts(found: set[Finding], about: str) -> dict[str, str]:
    """Checks of one resource, without the word before them; where regions disagree, the worse verdict."""
    verdicts: dict[str, str] = {}
    for finding in sorted(found, key=lambda finding: finding.status, reverse=True):
        if finding.about == about:
            verdicts[finding.check.removeprefix("cloudtrail_")] = finding.status
    return verdicts


def test_prowlers_checks_pass_a_well_made_trail_and_fail_a_bad_one(gateway: Gateway, scene: Scene) -> None:
    """Each verdict, and not one error that the table does not explain."""
    found, errors = _scan(gateway, "-s", "cloudtrail")
    assert errors == []
    assert _verdicts(found, "good") == {
        "bedrock_logging_enabled": "PASS",
        "bucket_requires_mfa_delete": "FAIL",  # the S3 server behind knows no MFA delete
        "cloudwatch_logging_enabled": "PASS",
        "insights_exist": "PASS",
        "kms_encryption_enabled": "PASS",
        "log_file_validation_enabled": "PASS",
        "logs_s3_bucket_access_logging_enabled": "FAIL",  # nor access logs; data events tell more
        "logs_s3_bucket_is_not_publicly_accessible": "PASS",
        "multi_region_enabled": "PASS",
        "multi_region_enabled_logging_management_events": "PASS",
        "s3_dataevents_read_enabled": "PASS",
        "s3_dataevents_write_enabled": "PASS",
    }
    assert _verdicts(found, "bad") == {
        "cloudwatch_logging_enabled": "FAIL",
        "kms_encryption_enabled": "FAIL",
        "log_file_validation_enabled": "FAIL",
        "logs_s3_bucket_access_logging_enabled": "FAIL",
        "logs_s3_bucket_is_not_publicly_accessible": "PASS",
    }
    told = {finding.check for finding in found}
    assert _checks(gateway) - told == {f"cloudtrail_threat_detection_{name}" for name in THREATS}


def test_the_policy_that_auditors_get_is_enough(gateway: Gateway, scene: Scene) -> None:
    """A user with SecurityAudit alone is told what root is told, and refused nothing on the way."""
    gateway.import_key(ACCOUNT, AUDITOR, "--user", "auditor")
    policy = "arn:aws:iam::aws:policy/SecurityAudit"
    gateway.client("iam").attach_user_policy(UserName="auditor", PolicyArn=policy)
    found, errors = _scan(gateway, "-s", "cloudtrail", key=AUDITOR)
    assert errors == []
    assert found == _scan(gateway, "-s", "cloudtrail")[0]


def test_an_account_with_a_bad_trail_alone_fails_what_one_good_trail_would_mend(gateway: Gateway, scene: Scene) -> None:
    """The checks that look at an account: nothing of the other account's good trail is seen."""
    found, errors = _scan(gateway, "-s", "cloudtrail", key=CARELESS_KEY)
    assert errors == []
    assert not [finding for finding in found if finding.about in ("good", GOOD_BUCKET, BAD_BUCKET)]
    failed = {finding.check.removeprefix("cloudtrail_") for finding in found if finding.status == "FAIL"}
    assert failed == {
        "bedrock_logging_enabled",
        "cloudwatch_logging_enabled",
        "kms_encryption_enabled",
        "log_file_validation_enabled",
        "logs_s3_bucket_access_logging_enabled",
        "multi_region_enabled",
        "multi_region_enabled_logging_management_events",
        "s3_dataevents_read_enabled",
        "s3_dataevents_write_enabled",
    }
    assert {finding.region for finding in found if "multi_region_enabled" in finding.check} == {
        "us-east-1",
        "eu-west-1",
    }


def test_prowlers_threat_detection_reads_the_event_history_where_there_is_one(gateway: Gateway, scene: Scene) -> None:
    """LookupEvents is what these checks live on; without it Prowler says so and finds nothing."""
    checks = [f"cloudtrail_threat_detection_{name}" for name in THREATS]
    found, errors = _scan(gateway, "-c", *checks)
    if scene.has_event_history:
        assert errors == []
        assert {finding.check for finding in found} == set(checks)
    else:
        assert found == set()
        assert any("LookupEvents" in error and "UnsupportedOperationException" in error for error in errors)
