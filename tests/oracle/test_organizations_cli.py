"""The unmodified AWS CLI and boto3 build an organization on a running gateway: the whole life of one, its records, what
policies make of it, and a kill."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway import Gateway, Key, delivered, make_trail, running, start

ACCOUNT, OTHER = "123456789012", "210987654321"
STRANGER = Key("AKIAORGSTRANGER00001", "a-secret-of-a-stranger")
CLOUDTRAIL = "cloudtrail.amazonaws.com"
CANARY = "canary-7f3a@example.com"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway with a trail that delivers each second."""
    with running(tmp_path_factory.mktemp("organizations") / "home") as gateway:
        make_trail(gateway, "org-logs")
        gateway.import_key(OTHER, STRANGER, "--root")
        yield gateway


def aws(gateway: Gateway, *arguments: str, key: Key | None = None) -> Any:
    """The JSON that `aws organizations ...` prints; None where it prints nothing."""
    done = gateway.cli("organizations", *arguments, "--output", "json", environment=_as(gateway, key))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def refusal(gateway: Gateway, *arguments: str, key: Key | None = None) -> str:
    """What the CLI says when a call is refused."""
    done = gateway.cli("organizations", *arguments, environment=_as(gateway, key))
    assert done.returncode != 0, done.stdout
    return done.stderr


def _as(gateway: Gateway, key: Key | None) -> dict[str, str]:
    variables = dict(gateway.tool_environment())
    if key is not None:
        variables |= {"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}
    return variables


def test_the_life_of_an_organization(gateway: Gateway) -> None:
    """Made, grown by an account that is made and one that is invited, administered, and deleted."""
    assert "(AWSOrganizationsNotInUseException)" in refusal(gateway, "describe-organization")
    made = aws(gateway, "create-organization", "--feature-set", "ALL")["Organization"]
    assert aws(gateway, "describe-organization")["Organization"] == made

    status = aws(gateway, "create-account", "--email", CANARY, "--account-name", "Dev")["CreateAccountStatus"]
    created = status["AccountId"]
    assert aws(gateway, "describe-create-account-status", "--create-account-request-id", status["Id"])[
        "CreateAccountStatus"
    ] == {**status, "State": "SUCCEEDED"}

    invited = aws(gateway, "invite-account-to-organization", "--target", f"Type=ACCOUNT,Id={OTHER}")["Handshake"]
    [seen] = aws(gateway, "list-handshakes-for-account", key=STRANGER)["Handshakes"]
    assert seen == invited
    accepted = aws(gateway, "accept-handshake", "--handshake-id", invited["Id"], key=STRANGER)["Handshake"]
    assert accepted["State"] == "ACCEPTED"
    assert aws(gateway, "describe-organization", key=STRANGER)["Organization"] == made
    assert "(AccessDeniedException)" in refusal(gateway, "list-accounts", key=STRANGER)
    accounts = {one["Id"]: one["JoinedMethod"] for one in aws(gateway, "list-accounts")["Accounts"]}
    assert accounts == {ACCOUNT: "INVITED", OTHER: "INVITED", created: "CREATED"}

    root_id = aws(gateway, "list-roots")["Roots"][0]["Id"]
    unit = aws(gateway, "create-organizational-unit", "--parent-id", root_id, "--name", "dev")["OrganizationalUnit"]
    places = ("--source-parent-id", root_id, "--destination-parent-id", unit["Id"])
    aws(gateway, "move-account", "--account-id", created, *places)
    below = aws(gateway, "list-accounts-for-parent", "--parent-id", unit["Id"])["Accounts"]
    assert [one["Id"] for one in below] == [created]

    aws(gateway, "enable-aws-service-access", "--service-principal", CLOUDTRAIL)
    who = ("--account-id", OTHER, "--service-principal", CLOUDTRAIL)
    aws(gateway, "register-delegated-administrator", *who)
    assert len(aws(gateway, "list-accounts", "--max-items", "10", key=STRANGER)["Accounts"]) == 3
    assert "(ConstraintViolationException)" in refusal(gateway, "leave-organization", key=STRANGER)
    aws(gateway, "deregister-delegated-administrator", *who)

    assert "(OrganizationNotEmptyException)" in refusal(gateway, "delete-organization")
    aws(gateway, "leave-organization", key=STRANGER)
    aws(gateway, "remove-account-from-organization", "--account-id", created)
    aws(gateway, "delete-organization")
    assert "(AWSOrganizationsNotInUseException)" in refusal(gateway, "describe-organization")
    assert "UnsupportedOperationException" in refusal(gateway, "list-policies", "--filter", "TAG_POLICY")


def test_records_show_what_was_done_and_no_address(gateway: Gateway) -> None:
    """In us-east-1, with AWS's casing and dates; addresses and names hidden; a refusal with its code."""
    client = gateway.client("organizations", region_name="eu-west-1")
    client.create_organization()
    made = client.create_account(Email="other-canary@example.com", AccountName="canary name")["CreateAccountStatus"]
    stranger = gateway.client("organizations", STRANGER)
    with pytest.raises(ClientError, match="AWSOrganizationsNotInUseException"):
        stranger.list_accounts()
    iam = gateway.client("iam")
    iam.create_user(UserName="powerless")
    pair = iam.create_access_key(UserName="powerless")["AccessKey"]
    nobody = gateway.client("organizations", Key(pair["AccessKeyId"], pair["SecretAccessKey"]))
    with pytest.raises(ClientError, match="not authorized to perform: organizations:CreateAccount"):
        nobody.create_account(Email="third-canary@example.com", AccountName="canary name")
    records = _records(gateway, lambda found: any(one.get("errorCode") == "AccessDenied" for one in found))
    [creation] = [
        one
        for one in records
        if one["eventName"] == "CreateAccount" and made["Id"] in json.dumps(one.get("responseElements"))
    ]
    assert creation["awsRegion"] == "us-east-1"
    assert creation["readOnly"] is False
    assert creation["requestParameters"] == {"email": "****", "accountName": "****"}
    status = creation["responseElements"]["createAccountStatus"]
    assert (status["accountName"], status["state"], status["accountId"]) == ("****", "SUCCEEDED", made["AccountId"])
    assert status["requestedTimestamp"].endswith((" AM", " PM"))
    assert "canary" not in json.dumps(records)
    client.remove_account_from_organization(AccountId=made["AccountId"])
    client.delete_organization()


def _records(gateway: Gateway, complete: Any) -> list[dict[str, Any]]:
    """The records of Organizations in the bucket, once they are complete."""
    deadline = time.monotonic() + 60
    while True:
        found = delivered(gateway.client("s3"), "org-logs")
        records = [one for one in found if one["eventSource"] == "organizations.amazonaws.com"]
        if complete(records) or time.monotonic() > deadline:
            return records
        time.sleep(0.5)


def test_the_master_s_users_get_into_an_account_that_was_made(gateway: Gateway) -> None:
    """OrganizationAccountAccessRole lets them in as administrators; bucket policies ask for the organization."""
    client, iam = gateway.client("organizations"), gateway.client("iam")
    organization = client.create_organization()["Organization"]
    created = client.create_account(Email="door@example.com", AccountName="Door")["CreateAccountStatus"]["AccountId"]
    iam.create_user(UserName="boss")
    iam.attach_user_policy(UserName="boss", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    pair = iam.create_access_key(UserName="boss")["AccessKey"]
    boss = Key(pair["AccessKeyId"], pair["SecretAccessKey"])
    role = f"arn:aws:iam::{created}:role/OrganizationAccountAccessRole"
    session = gateway.client("sts", boss).assume_role(RoleArn=role, RoleSessionName="boss")["Credentials"]
    inside = Key.of(session)
    assert gateway.client("organizations", inside).describe_organization()["Organization"] == organization
    gateway.client("iam", inside).create_user(UserName="first")

    s3 = gateway.client("s3")
    s3.create_bucket(Bucket="org-only")
    s3.put_object(Bucket="org-only", Key="k", Body=b"for the organization")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::org-only/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization["Id"]}},
    }
    s3.put_bucket_policy(Bucket="org-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert gateway.client("s3", inside).get_object(Bucket="org-only", Key="k")["Body"].read()
    outside = gateway.client("s3", STRANGER)
    with pytest.raises(ClientError, match="AccessDenied"):
        outside.get_object(Bucket="org-only", Key="k")
    client.remove_account_from_organization(AccountId=created)
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("s3", inside).get_object(Bucket="org-only", Key="k")
    client.delete_organization()


def test_an_organization_survives_a_kill(tmp_path: Path) -> None:
    """Members, handshakes and tags are there after SIGKILL."""
    gateway = start(tmp_path / "home")
    client = gateway.client("organizations")
    organization = client.create_organization()["Organization"]
    created = client.create_account(Email="dev@example.com", AccountName="Dev")["CreateAccountStatus"]["AccountId"]
    client.tag_resource(ResourceId=created, Tags=[{"Key": "team", "Value": "dev"}])
    invited = client.invite_account_to_organization(Target={"Type": "EMAIL", "Id": "someone@example.com"})["Handshake"]
    gateway.kill()
    with running(tmp_path / "home") as again:
        client = again.client("organizations")
        assert client.describe_organization()["Organization"] == organization
        assert client.list_tags_for_resource(ResourceId=created)["Tags"] == [{"Key": "team", "Value": "dev"}]
        assert client.describe_handshake(HandshakeId=invited["Id"])["Handshake"] == invited
