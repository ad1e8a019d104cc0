"""The unmodified AWS CLI manages identities on a running gateway: round trips, AWS's errors, and what records say."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opentrail.clock import SystemClock
from opentrail.identity.iam_mfa import code_of, step_of
from tests.support.gateway import Gateway, Key, delivered, make_trail, running

ACCOUNT = "123456789012"
READ_TRAILS = "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway with a trail that delivers each second."""
    with running(tmp_path_factory.mktemp("iam") / "home") as gateway:
        make_trail(gateway, "iam-logs")
        yield gateway


def aws(gateway: Gateway, *arguments: str) -> Any:
    """The JSON that `aws iam ...` prints; None where it prints nothing."""
    done = gateway.cli("iam", *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def refused(gateway: Gateway, *arguments: str) -> str:
    """What `aws iam ...` prints when it fails."""
    done = gateway.cli("iam", *arguments)
    assert done.returncode in (254, 255), (done.stdout, done.stderr)
    return done.stderr.strip()


def test_users_groups_and_policies_go_round(gateway: Gateway) -> None:
    """Create, wait, attach, list by pages, read back and delete, with the CLI's own waiters and paginators."""
    aws(gateway, "create-user", "--user-name", "cli-ada", "--tags", "Key=team,Value=core")
    aws(gateway, "wait", "user-exists", "--user-name", "cli-ada")
    aws(gateway, "create-group", "--group-name", "cli-group")
    aws(gateway, "add-user-to-group", "--group-name", "cli-group", "--user-name", "cli-ada")
    made = aws(gateway, "create-policy", "--policy-name", "cli-policy", "--policy-document", json.dumps(ALLOW))
    arn = made["Policy"]["Arn"]
    aws(gateway, "wait", "policy-exists", "--policy-arn", arn)
    aws(gateway, "attach-group-policy", "--group-name", "cli-group", "--policy-arn", arn)
    entities = aws(gateway, "list-entities-for-policy", "--policy-arn", arn)
    assert entities["PolicyGroups"][0]["GroupName"] == "cli-group"
    version = aws(gateway, "get-policy-version", "--policy-arn", arn, "--version-id", "v1")
    assert version["PolicyVersion"]["Document"] == ALLOW
    first = aws(gateway, "list-policies", "--max-items", "3", "--page-size", "2")
    assert len(first["Policies"]) == 3
    rest = aws(gateway, "list-policies", "--starting-token", first["NextToken"])
    names = [policy["PolicyName"] for policy in first["Policies"] + rest["Policies"]]
    assert sorted(names) == sorted(set(names))
    assert "cli-policy" in names
    conflict = refused(gateway, "delete-policy", "--policy-arn", arn)
    assert conflict == (
        "An error occurred (DeleteConflict) when calling the DeletePolicy operation: "
        "Cannot delete a policy attached to entities."
    )
    aws(gateway, "detach-group-policy", "--group-name", "cli-group", "--policy-arn", arn)
    aws(gateway, "delete-policy", "--policy-arn", arn)
    aws(gateway, "remove-user-from-group", "--group-name", "cli-group", "--user-name", "cli-ada")
    aws(gateway, "delete-group", "--group-name", "cli-group")
    aws(gateway, "delete-user", "--user-name", "cli-ada")
    missing = refused(gateway, "get-user", "--user-name", "cli-ada")
    assert missing == (
        "An error occurred (NoSuchEntity) when calling the GetUser operation: "
        "The user with name cli-ada cannot be found."
    )


def test_roles_and_profiles_go_round(gateway: Gateway) -> None:
    """The trust policy comes back as JSON; the profile holds the role; both go."""
    trust = json.dumps(TRUST)
    made = aws(gateway, "create-role", "--role-name", "cli-role", "--assume-role-policy-document", trust)
    assert made["Role"]["AssumeRolePolicyDocument"] == TRUST
    aws(gateway, "wait", "role-exists", "--role-name", "cli-role")
    aws(gateway, "create-instance-profile", "--instance-profile-name", "cli-profile")
    aws(gateway, "add-role-to-instance-profile", "--instance-profile-name", "cli-profile", "--role-name", "cli-role")
    shown = aws(gateway, "get-instance-profile", "--instance-profile-name", "cli-profile")
    assert shown["InstanceProfile"]["Roles"][0]["RoleName"] == "cli-role"
    assert "(DeleteConflict)" in refused(gateway, "delete-role", "--role-name", "cli-role")
    aws(
        gateway, "remove-role-from-instance-profile",
        "--instance-profile-name", "cli-profile", "--role-name", "cli-role",
    )  # fmt: skip
    aws(gateway, "delete-instance-profile", "--instance-profile-name", "cli-profile")
    aws(gateway, "delete-role", "--role-name", "cli-role")
    malformed = refused(gateway, "create-role", "--role-name", "x", "--assume-role-policy-document", "{}")
    assert malformed.startswith("An error occurred (MalformedPolicyDocument) when calling the CreateRole operation:")


def test_a_virtual_mfa_device_is_bootstrapped_by_the_cli(gateway: Gateway, tmp_path: Path) -> None:
    """The CLI writes the seed into its file; two codes made from it enable the device."""
    aws(gateway, "create-user", "--user-name", "cli-mfa")
    file = tmp_path / "seed"
    made = aws(
        gateway, "create-virtual-mfa-device", "--virtual-mfa-device-name", "cli-phone",
        "--bootstrap-method", "Base32StringSeed", "--outfile", str(file),
    )  # fmt: skip
    serial = made["VirtualMFADevice"]["SerialNumber"]
    seed, step = base64.b32decode(file.read_bytes()), step_of(SystemClock().now())
    aws(
        gateway, "enable-mfa-device", "--user-name", "cli-mfa", "--serial-number", serial,
        "--authentication-code1", code_of(seed, step - 1), "--authentication-code2", code_of(seed, step),
    )  # fmt: skip
    assert aws(gateway, "list-mfa-devices", "--user-name", "cli-mfa")["MFADevices"][0]["SerialNumber"] == serial
    aws(gateway, "deactivate-mfa-device", "--user-name", "cli-mfa", "--serial-number", serial)
    aws(gateway, "delete-virtual-mfa-device", "--serial-number", serial)
    aws(gateway, "delete-user", "--user-name", "cli-mfa")


def _code(call: Any, **parameters: Any) -> str:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_new_key_works_at_once_and_not_after_it_is_gone(gateway: Gateway) -> None:
    """A user starts with nothing, may what is attached from the next call on, and is unknown without his key."""
    iam = gateway.client("iam")
    iam.create_user(UserName="bob")
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    trails = gateway.client("cloudtrail", Key(made["AccessKeyId"], made["SecretAccessKey"]))
    assert _code(trails.describe_trails) == "AccessDeniedException"
    iam.attach_user_policy(UserName="bob", PolicyArn=READ_TRAILS)
    assert _code(trails.describe_trails) == ""
    assert _code(trails.stop_logging, Name="main") == "AccessDeniedException"
    iam.update_access_key(UserName="bob", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert _code(trails.describe_trails) == "UnrecognizedClientException"
    iam.update_access_key(UserName="bob", AccessKeyId=made["AccessKeyId"], Status="Active")
    assert _code(trails.describe_trails) == ""
    iam.delete_access_key(UserName="bob", AccessKeyId=made["AccessKeyId"])
    assert _code(trails.describe_trails) == "UnrecognizedClientException"
    iam.detach_user_policy(UserName="bob", PolicyArn=READ_TRAILS)
    iam.delete_user(UserName="bob")


def _iam_records(gateway: Gateway, until: str) -> list[dict[str, Any]]:
    """IAM's delivered records, once one of them is about that user: the log files come in order."""
    deadline = time.monotonic() + 30
    while True:
        found = [
            each for each in delivered(gateway.client("s3"), "iam-logs") if each["eventSource"] == "iam.amazonaws.com"
        ]
        if any(_user_of(each) == until for each in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _user_of(record: dict[str, Any]) -> str:
    return str((record["requestParameters"] or {}).get("userName"))


def test_records_say_what_happened_and_hold_no_secret(gateway: Gateway) -> None:
    """IAM's calls are recorded in us-east-1 with the request's members, the record's own error code, and no secret."""
    iam = gateway.client("iam", region_name="eu-west-1")
    iam.create_user(UserName="carol")
    made = iam.create_access_key(UserName="carol")["AccessKey"]
    iam.create_login_profile(UserName="carol", Password="Canary-Passw0rd-1")
    seed = iam.create_virtual_mfa_device(VirtualMFADeviceName="carol")["VirtualMFADevice"]["Base32StringSeed"].decode()
    assert _code(iam.get_user, UserName="nobody") == "NoSuchEntity"
    records = _iam_records(gateway, "nobody")
    named = {(each["eventName"], _user_of(each)): each for each in records}
    key = named["CreateAccessKey", "carol"]
    assert {each["awsRegion"] for each in records} == {"us-east-1"}
    assert key["responseElements"]["accessKey"]["accessKeyId"] == made["AccessKeyId"]
    assert "secretAccessKey" not in key["responseElements"]["accessKey"]
    assert "password" not in named["CreateLoginProfile", "carol"]["requestParameters"]
    missing = named["GetUser", "nobody"]
    assert missing["errorCode"] == "NoSuchEntityException"
    assert missing["errorMessage"] == "The user with name nobody cannot be found."
    text = json.dumps(records)
    for secret in (made["SecretAccessKey"], "Canary-Passw0rd-1", seed):
        assert secret not in text
