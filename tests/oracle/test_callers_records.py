"""One record per kind of caller: made with real SDK calls, read from the log file that was delivered."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from opentrail.local.goiardi import goiardi_binary
from tests.support.gateway import Gateway, Key, delivered, make_trail, running, trail_policy
from tests.support.identity_providers import CLIENT, ISSUER, OpenIdProvider, SamlIdentityProvider

A, B = "123456789012", "210987654321"
BUCKET_A, BUCKET_B = "callers-trail-a", "callers-trail-b"
ROOT_B = Key("AKIAROOTOFBROOTOFB00", "root-of-b-secret-root-of-b-secret")
OPEN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
Statement = dict[str, Any]


class Callers:
    """A gateway with two accounts, users, roles and identity providers, all made through IAM's API."""

    def __init__(self, gateway: Gateway, oidc: OpenIdProvider, saml: SamlIdentityProvider) -> None:
        self.gateway, self.oidc, self.saml = gateway, oidc, saml
        iam = gateway.client("iam")
        self.iam = iam
        self.user_id = iam.create_user(UserName="ada", Path="/people/")["User"]["UserId"]
        iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        made = iam.create_access_key(UserName="ada")["AccessKey"]
        self.ada = Key(made["AccessKeyId"], made["SecretAccessKey"])
        self.role = self._role(gateway, "Ops", {"AWS": f"arn:aws:iam::{A}:root"}, "sts:AssumeRole")
        self.role_b = self._role_of_b()
        self.oidc_arn = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[CLIENT])[
            "OpenIDConnectProviderArn"
        ]
        self.web_role = self._role(gateway, "Web", {"Federated": self.oidc_arn}, "sts:AssumeRoleWithWebIdentity")
        self.saml_arn = iam.create_saml_provider(Name="corp", SAMLMetadataDocument=saml.metadata)["SAMLProviderArn"]
        self.saml_role = self._role(gateway, "Saml", {"Federated": self.saml_arn}, "sts:AssumeRoleWithSAML")

    def _role(self, gateway: Gateway, name: str, principal: Statement, action: str, key: Key | None = None) -> Any:
        actions = [action, "sts:TagSession", "sts:SetSourceIdentity"]
        trust = {"Effect": "Allow", "Principal": principal, "Action": actions}
        iam = gateway.client("iam", key)
        text = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, Path="/work/", AssumeRolePolicyDocument=text)["Role"]
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        return role

    def _role_of_b(self) -> Any:
        self.gateway.import_key(B, ROOT_B, "--root")
        return self._role(self.gateway, "Guest", {"AWS": f"arn:aws:iam::{A}:root"}, "sts:AssumeRole", ROOT_B)

    def sts(self, key: Key | None = None, **options: Any) -> Any:
        """A client of STS."""
        return self.gateway.client("sts", key, **options)

    def unsigned(self) -> Any:
        """A client of STS that signs nothing."""
        return self.sts(config=Config(signature_version=UNSIGNED))

    def assume(self, key: Key, role: Any, **more: Any) -> tuple[Key, str]:
        """A session of a role, and the request id of the call."""
        answer = self.sts(key).assume_role(RoleArn=role["Arn"], RoleSessionName="night", **more)
        return Key.of(answer["Credentials"]), answer["ResponseMetadata"]["RequestId"]

    def who(self, key: Key) -> str:
        """The request id of a call with these credentials."""
        return str(self.sts(key).get_caller_identity()["ResponseMetadata"]["RequestId"])

    def records(self, request_id: str, *, bucket: str = BUCKET_A) -> list[dict[str, Any]]:
        """The records of a request in a trail's bucket, once they are there."""
        s3 = self.gateway.client("s3", ROOT_B if bucket == BUCKET_B else None)
        return _until(lambda: [r for r in delivered(s3, bucket) if r.get("requestID") == request_id], request_id)


def _until(holds: Callable[[], list[dict[str, Any]]], what: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 40
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callers]:
    """One OpenTrail with a trail in each of two accounts."""
    place = tmp_path_factory.mktemp("callers")
    oidc, saml = OpenIdProvider.new(), SamlIdentityProvider.new()
    keys = oidc.write_keys(place / "jwks.json")
    with running(place / "home", {"OPENTRAIL_STS_OIDC_JWKS": f"{ISSUER}={keys}"}) as gateway:
        make_trail(gateway, BUCKET_A)
        made = Callers(gateway, oidc, saml)
        make_trail(gateway, BUCKET_B, B, ROOT_B)
        yield made


def _session(identity: dict[str, Any]) -> dict[str, Any]:
    """The session context, without its date."""
    context: dict[str, Any] = identity["sessionContext"]
    assert context["attributes"].pop("creationDate")[-1] == "Z"
    return context


def _root(callers: Callers) -> tuple[str, dict[str, Any]]:
    key = callers.gateway.root
    arn = f"arn:aws:iam::{A}:root"
    expected = {"type": "Root", "principalId": A, "arn": arn, "accountId": A, "accessKeyId": key.access_key_id}
    return callers.who(key), expected


def _ada(callers: Callers, key_id: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{A}:user/people/ada"
    described = {"type": "IAMUser", "principalId": callers.user_id, "arn": arn, "accountId": A}
    return described | {"accessKeyId": key_id, "userName": "ada"}


NO_MFA = {"mfaAuthenticated": "false"}


def _user(callers: Callers) -> tuple[str, dict[str, Any]]:
    return callers.who(callers.ada), _ada(callers, callers.ada.access_key_id)


def _user_session(callers: Callers) -> tuple[str, dict[str, Any]]:
    key = Key.of(callers.sts(callers.ada).get_session_token()["Credentials"])
    context = {"sessionIssuer": {}, "webIdFederationData": {}, "attributes": NO_MFA}
    return callers.who(key), _ada(callers, key.access_key_id) | {"sessionContext": context}


def _assumed(role: Any, key: Key, name: str, **context: Any) -> dict[str, Any]:
    account = role["Arn"].split(":")[4]
    issuer = {
        "type": "Role",
        "principalId": role["RoleId"],
        "arn": role["Arn"],
        "accountId": account,
        "userName": role["RoleName"],
    }
    web = {"webIdFederationData": context.pop("web")} if "web" in context else {}
    session = {"sessionIssuer": issuer, **web, "attributes": NO_MFA, **context}
    return {
        "type": "AssumedRole",
        "principalId": f"{role['RoleId']}:{name}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
        "accountId": account,
        "accessKeyId": key.access_key_id,
        "sessionContext": session,
    }


def _role_session(callers: Callers) -> tuple[str, dict[str, Any]]:
    key, _ = callers.assume(callers.ada, callers.role)
    return callers.who(key), _assumed(callers.role, key, "night")


def _role_session_with_source_identity(callers: Callers) -> tuple[str, dict[str, Any]]:
    key, _ = callers.assume(callers.ada, callers.role, SourceIdentity="ada-herself")
    return callers.who(key), _assumed(callers.role, key, "night", sourceIdentity="ada-herself")


def _federated_user(callers: Callers) -> tuple[str, dict[str, Any]]:
    answer = callers.sts(callers.ada).get_federation_token(Name="bob", Policy=json.dumps(OPEN))
    key = Key.of(answer["Credentials"])
    issuer = {
        "type": "IAMUser",
        "principalId": callers.user_id,
        "arn": f"arn:aws:iam::{A}:user/people/ada",
        "accountId": A,
        "userName": "ada",
    }
    return callers.who(key), {
        "type": "FederatedUser",
        "principalId": f"{A}:bob",
        "arn": f"arn:aws:sts::{A}:federated-user/bob",
        "accountId": A,
        "accessKeyId": key.access_key_id,
        "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": {}, "attributes": NO_MFA},
    }


def _with_web_identity(callers: Callers) -> tuple[Key, str]:
    answer = callers.unsigned().assume_role_with_web_identity(
        RoleArn=callers.web_role["Arn"], RoleSessionName="web-user", WebIdentityToken=callers.oidc.token("u-1")
    )
    return Key.of(answer["Credentials"]), answer["ResponseMetadata"]["RequestId"]


def _web_identity_user(callers: Callers) -> tuple[str, dict[str, Any]]:
    _, request_id = _with_web_identity(callers)
    return request_id, {
        "type": "WebIdentityUser",
        "principalId": f"{callers.oidc_arn}:{CLIENT}:u-1",
        "userName": "u-1",
        "identityProvider": callers.oidc_arn,
    }


def _web_session(callers: Callers) -> tuple[str, dict[str, Any]]:
    key, _ = _with_web_identity(callers)
    host = ISSUER.removeprefix("https://")
    facts = {f"{host}:aud": CLIENT, f"{host}:sub": "u-1"}
    web = {"federatedProvider": callers.oidc_arn, "attributes": facts}
    return callers.who(key), _assumed(callers.web_role, key, "web-user", web=web)


def _with_saml(callers: Callers) -> Any:
    assertion = callers.saml.assertion("sam", callers.saml_role["Arn"], callers.saml_arn)
    return callers.unsigned().assume_role_with_saml(
        RoleArn=callers.saml_role["Arn"], PrincipalArn=callers.saml_arn, SAMLAssertion=assertion
    )


def _saml_user(callers: Callers) -> tuple[str, dict[str, Any]]:
    answer = _with_saml(callers)
    qualifier = answer["NameQualifier"]
    expected = {"type": "SAMLUser", "principalId": f"{qualifier}:sam", "userName": "sam", "identityProvider": qualifier}
    return answer["ResponseMetadata"]["RequestId"], expected


def _saml_session(callers: Callers) -> tuple[str, dict[str, Any]]:
    key = Key.of(_with_saml(callers)["Credentials"])
    return callers.who(key), _assumed(callers.saml_role, key, "sam")


def _wrong_secret(callers: Callers) -> tuple[str, dict[str, Any]]:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch") as caught:
        callers.sts(Key(callers.ada.access_key_id, "wrong")).get_caller_identity()
    expected = {"type": "Unknown", "principalId": callers.user_id, "accountId": A}
    return caught.value.response["ResponseMetadata"]["RequestId"], expected | {"accessKeyId": callers.ada.access_key_id}


MAKERS: dict[str, Callable[[Callers], tuple[str, dict[str, Any]]]] = {
    "Root": _root,
    "IAMUser": _user,
    "IAMUser session": _user_session,
    "AssumedRole": _role_session,
    "AssumedRole with sourceIdentity": _role_session_with_source_identity,
    "AssumedRole of a web identity": _web_session,
    "AssumedRole of a SAML user": _saml_session,
    "FederatedUser": _federated_user,
    "WebIdentityUser": _web_identity_user,
    "SAMLUser": _saml_user,
    "Unknown": _wrong_secret,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_of_caller_is_recorded_exactly(callers: Callers, kind: str) -> None:
    """The userIdentity of the delivered record has the table's keys, values and order, and no more."""
    request_id, expected = MAKERS[kind](callers)
    (record,) = callers.records(request_id)
    identity = record["userIdentity"]
    if "sessionContext" in expected:
        _session(identity)
    assert identity == expected
    assert list(identity) == list(expected)
    assert record["recipientAccountId"] == A
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert "sharedEventID" not in record


def test_a_role_of_another_account_is_recorded_in_both(callers: Callers) -> None:
    """Cross-account AssumeRole: the caller's copy and the role's, tied by sharedEventID; later calls in B only."""
    key, request_id = callers.assume(callers.ada, callers.role_b)
    (ours,) = callers.records(request_id)
    (theirs,) = callers.records(request_id, bucket=BUCKET_B)
    assert ours["userIdentity"]["type"] == "IAMUser"
    assert theirs["userIdentity"] == {"type": "AWSAccount", "principalId": callers.user_id, "accountId": A}
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert ours["eventID"] != theirs["eventID"]
    assert (ours["recipientAccountId"], theirs["recipientAccountId"]) == (A, B)
    assert theirs["resources"] == [{"accountId": B, "type": "AWS::IAM::Role", "ARN": callers.role_b["Arn"]}]
    assert theirs["readOnly"] is True
    assert theirs["responseElements"]["credentials"]["accessKeyId"] == key.access_key_id
    assert set(theirs["responseElements"]["credentials"]) == {"accessKeyId", "sessionToken", "expiration"}
    later = callers.who(key)
    (record,) = callers.records(later, bucket=BUCKET_B)
    assert record["userIdentity"]["arn"] == f"arn:aws:sts::{B}:assumed-role/Guest/night"
    assert later not in json.dumps(delivered(callers.gateway.client("s3"), BUCKET_A))


def test_a_denied_role_is_recorded_for_the_caller_alone(callers: Callers) -> None:
    """AccessDenied: requestParameters null, no resources, nothing in the role's account."""
    nobody = callers.iam.create_user(UserName="nobody")["User"]
    made = callers.iam.create_access_key(UserName="nobody")["AccessKey"]
    key = Key(made["AccessKeyId"], made["SecretAccessKey"])
    with pytest.raises(ClientError) as caught:
        callers.assume(key, callers.role_b)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("AccessDenied", 403)
    request_id = response["ResponseMetadata"]["RequestId"]
    (record,) = callers.records(request_id)
    assert record["userIdentity"]["principalId"] == nobody["UserId"]
    assert (record["errorCode"], record["requestParameters"]) == ("AccessDenied", None)
    assert "resources" not in record
    assert request_id not in json.dumps(delivered(callers.gateway.client("s3", ROOT_B), BUCKET_B))


def test_a_web_identity_that_the_role_does_not_trust_is_recorded_where_the_role_is(callers: Callers) -> None:
    """The verified user is named, the token is not; a token that proves nothing leaves no record."""
    condition = {"StringEquals": {f"{ISSUER.removeprefix('https://')}:sub": "u-1"}}
    action = ["sts:AssumeRoleWithWebIdentity"]
    trust = {"Effect": "Allow", "Principal": {"Federated": callers.oidc_arn}, "Action": action, "Condition": condition}
    text = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = callers.iam.create_role(RoleName="OnlyOne", AssumeRolePolicyDocument=text)["Role"]["Arn"]

    def refused(token: str) -> str:
        with pytest.raises(ClientError) as caught:
            callers.unsigned().assume_role_with_web_identity(
                RoleArn=role, RoleSessionName="web-user", WebIdentityToken=token
            )
        return str(caught.value.response["ResponseMetadata"]["RequestId"])

    strangers = refused(OpenIdProvider.new().token("u-3"))
    token = callers.oidc.token("u-2")
    (record,) = callers.records(refused(token))
    assert record["userIdentity"]["type"] == "WebIdentityUser"
    assert record["userIdentity"]["userName"] == "u-2"
    assert (record["errorCode"], record["recipientAccountId"]) == ("AccessDenied", A)
    text = json.dumps(delivered(callers.gateway.client("s3"), BUCKET_A))
    assert token not in text
    assert strangers not in text


def test_a_bucket_used_from_another_account_is_not_theirs_without_its_policy(callers: Callers) -> None:
    """A user of A on a bucket of B: denied without B's policy, served with it; management calls recorded in both."""
    theirs = callers.gateway.client("s3", ROOT_B)
    theirs.create_bucket(Bucket="bucket-of-b")
    mine = callers.gateway.client("s3", callers.ada)
    with pytest.raises(ClientError, match="AccessDenied"):
        mine.get_bucket_location(Bucket="bucket-of-b")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{A}:user/people/ada"},
        "Action": "s3:GetBucketLocation",
        "Resource": "arn:aws:s3:::bucket-of-b",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    theirs.put_bucket_policy(Bucket="bucket-of-b", Policy=json.dumps(policy))
    request_id = mine.get_bucket_location(Bucket="bucket-of-b")["ResponseMetadata"]["RequestId"]
    (ours,) = callers.records(request_id)
    (copy,) = callers.records(request_id, bucket=BUCKET_B)
    assert ours["sharedEventID"] == copy["sharedEventID"]
    assert copy["userIdentity"] == {"type": "AWSAccount", "principalId": callers.user_id, "accountId": A}


def test_cloudtrails_own_probe_is_an_aws_service(callers: Callers) -> None:
    """Making a trail leaves GetBucketAcl by cloudtrail.amazonaws.com, as on AWS."""

    def probes() -> list[dict[str, Any]]:
        records = delivered(callers.gateway.client("s3"), BUCKET_A)
        return [r for r in records if r["eventName"] == "GetBucketAcl" and r["userIdentity"]["type"] == "AWSService"]

    bucket = "callers-second-trail"
    callers.gateway.client("s3").create_bucket(Bucket=bucket)
    with pytest.raises(ClientError, match="InsufficientS3BucketPolicyException"):
        callers.gateway.client("cloudtrail").create_trail(Name="second", S3BucketName=bucket)  # no call is made then
    callers.gateway.client("s3").put_bucket_policy(Bucket=bucket, Policy=trail_policy(bucket, A, "second"))
    callers.gateway.client("cloudtrail").create_trail(Name="second", S3BucketName=bucket)
    found = _until(lambda: [r for r in probes() if r["requestParameters"]["bucketName"] == bucket], "the probe")
    (probe,) = found
    service = "cloudtrail.amazonaws.com"
    assert probe["userIdentity"] == {"type": "AWSService", "invokedBy": service}
    assert (probe["sourceIPAddress"], probe["userAgent"]) == (service, service)
    assert probe["sharedEventID"]
    assert probe["readOnly"] is True


@pytest.mark.goiardi
@pytest.mark.skipif(goiardi_binary() is None, reason="goiardi is missing: apt-get install goiardi")
def test_opsworks_cm_makes_its_bucket_as_an_aws_service(callers: Callers) -> None:
    """The account's bucket for backups is created by opsworks-cm.amazonaws.com."""
    callers.gateway.client("opsworkscm").create_server(
        ServerName="own-calls",
        Engine="ChefAutomate",
        EngineModel="Single",
        InstanceType="m5.large",
        InstanceProfileArn=f"arn:aws:iam::{A}:instance-profile/aws-opsworks-cm-ec2-role",
        ServiceRoleArn=f"arn:aws:iam::{A}:role/service-role/aws-opsworks-cm-service-role",
    )

    def made() -> list[dict[str, Any]]:
        records = delivered(callers.gateway.client("s3"), BUCKET_A)
        return [r for r in records if r["eventName"] == "CreateBucket" and "invokedBy" in r["userIdentity"]]

    (record,) = _until(made, "the bucket's creation")
    assert record["userIdentity"] == {"type": "AWSService", "invokedBy": "opsworks-cm.amazonaws.com"}
    assert record["requestParameters"]["bucketName"].startswith(f"aws-opsworks-cm-{A}-us-east-1-")


def test_an_agents_session_is_told_apart(callers: Callers) -> None:
    """Session tags agent, run and on-behalf-of stand in additionalEventData of every call of the session."""
    tags = [{"Key": k, "Value": v} for k, v in (("agent", "deployer"), ("run", "r-17"), ("on-behalf-of", "ada"))]
    key, _ = callers.assume(callers.ada, callers.role, Tags=tags, SourceIdentity="ada")
    (record,) = callers.records(callers.who(key))
    delegated = {"agent": "deployer", "run": "r-17", "on-behalf-of": "ada"}
    assert record["additionalEventData"]["delegation"] == delegated
    assert record["userIdentity"]["sessionContext"]["sourceIdentity"] == "ada"


def test_iam_calls_belong_to_us_east_1(callers: Callers) -> None:
    """Whatever region a client of IAM signs for, its records are us-east-1's."""
    iam = callers.gateway.client("iam", region_name="eu-west-1")
    request_id = iam.get_account_summary()["ResponseMetadata"]["RequestId"]
    (record,) = callers.records(request_id)
    assert (record["awsRegion"], record["eventSource"]) == ("us-east-1", "iam.amazonaws.com")


def test_sessions_end_with_their_role(callers: Callers) -> None:
    """A role that is deleted takes its sessions along, at once; made anew it is another role."""
    role = callers._role(callers.gateway, "Short", {"AWS": f"arn:aws:iam::{A}:root"}, "sts:AssumeRole")
    key, _ = callers.assume(callers.ada, role)
    callers.who(key)
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    callers.iam.detach_role_policy(RoleName="Short", PolicyArn=policy)
    callers.iam.delete_role(RoleName="Short")
    for _ in range(2):
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            callers.who(key)
        callers._role(callers.gateway, "Short", {"AWS": f"arn:aws:iam::{A}:root"}, "sts:AssumeRole") if _ == 0 else None


def test_last_use_of_a_key_is_told(callers: Callers) -> None:
    """GetAccessKeyLastUsed names service and region, a few seconds later."""
    callers.who(callers.ada)

    def used() -> list[dict[str, Any]]:
        answer = callers.iam.get_access_key_last_used(AccessKeyId=callers.ada.access_key_id)["AccessKeyLastUsed"]
        return [answer] if answer["ServiceName"] == "sts" else []  # an earlier use may still be shown

    (answer,) = _until(used, "the last use")
    assert answer["LastUsedDate"]
    assert answer["Region"] == "us-east-1"


def test_policy_simulate_says_which_statement_decides(callers: Callers) -> None:
    """Exit code 0 and the allowing statement, or 1 and why not; while the gateway runs."""
    gateway, arn = callers.gateway, f"arn:aws:iam::{A}:user/people/ada"
    asked = ("policy", "simulate", "--principal", arn, "--action", "cloudtrail:StopLogging")
    allowed = gateway.opentrail(*asked, "--json")
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["Policy"] == "arn:aws:iam::aws:policy/AdministratorAccess"
    statement: Statement = {"Sid": "KeepLogging", "Effect": "Deny", "Action": "cloudtrail:Stop*", "Resource": "*"}
    statement["Condition"] = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    callers.iam.put_user_policy(UserName="ada", PolicyName="guard", PolicyDocument=text)
    denied = gateway.opentrail(*asked, "--context", "aws:RequestedRegion=eu-west-1")
    assert denied.returncode == 1
    assert "KeepLogging" in denied.stdout
    assert gateway.opentrail(*asked).returncode == 0
    nobody = gateway.opentrail("policy", "simulate", "--principal", f"{arn}x", "--action", "s3:GetObject")
    assert "PrincipalNotFoundException" in nobody.stderr
    callers.iam.delete_user_policy(UserName="ada", PolicyName="guard")
