"""STS as boto3 sees it, through a running gateway: every way to temporary credentials, and calls made with them."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa

from opentrail.identity.iam_mfa import code_of, step_of
from tests.support.gateway import Gateway, Key, running
from tests.support.sts_saml import CERTIFICATE, encoded, metadata, response, signed

ACCOUNT, OTHER = "123456789012", "210987654321"
ISSUER = "https://id.example.com"
OIDC_KEY = rsa.generate_private_key(65537, 2048)
OTHER_ROOT = Key("AKIAOTHERROOT0000000", "other-root-secret-0123456789-abcdefghijkl")
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with an OpenID Connect issuer whose keys are in a file, and two accounts."""
    folder: Path = tmp_path_factory.mktemp("sts")
    keys = folder / "keys.json"
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OIDC_KEY.public_key()))
    keys.write_text(json.dumps({"keys": [public | {"kid": "k1"}]}))
    with running(folder / "home", {"OPENTRAIL_STS_OIDC_JWKS": f"{ISSUER}={keys}"}) as gateway:
        gateway.import_key(OTHER, OTHER_ROOT, "--root")
        yield gateway


def trust(principal: dict[str, str], *actions: str, **condition: Any) -> str:
    """A trust policy of one statement."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions)} | condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key_of(answer: Any) -> Key:
    """The credentials in an answer."""
    made = answer["Credentials"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def arn_of(gateway: Gateway, key: Key) -> str:
    """Who STS says the key's holder is."""
    arn: str = gateway.client("sts", key).get_caller_identity()["Arn"]
    return arn


def anonymous(gateway: Gateway) -> Any:
    """A client that signs nothing."""
    return gateway.client("sts", config=Config(signature_version=UNSIGNED))


@pytest.fixture(scope="module")
def alice(gateway: Gateway) -> Key:
    """A user who may do everything."""
    iam = gateway.client("iam")
    iam.create_user(UserName="alice")
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    made = iam.create_access_key(UserName="alice")["AccessKey"]
    return Key(made["AccessKeyId"], made["SecretAccessKey"])


def test_a_role_is_assumed_and_chained_across_accounts(gateway: Gateway, alice: Key) -> None:
    """From the user to a role, with tags, and on to a role of another account; its credentials work there."""
    first = gateway.client("iam").create_role(
        RoleName="first",
        Path="/ops/",
        AssumeRolePolicyDocument=trust(
            {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}, "sts:AssumeRole", "sts:TagSession"
        ),
    )["Role"]
    gateway.client("iam").put_role_policy(RoleName="first", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    second = gateway.client("iam", OTHER_ROOT).create_role(
        RoleName="second",
        AssumeRolePolicyDocument=trust({"AWS": first["Arn"]}, "sts:AssumeRole", "sts:TagSession"),
    )["Role"]
    answer = gateway.client("sts", alice).assume_role(
        RoleArn=first["Arn"],
        RoleSessionName="work",
        Tags=[{"Key": "agent", "Value": "codex"}],
        TransitiveTagKeys=["agent"],
    )
    assert arn_of(gateway, key_of(answer)) == f"arn:aws:sts::{ACCOUNT}:assumed-role/first/work"
    gateway.client("iam", key_of(answer)).list_users()
    chained = gateway.client("sts", key_of(answer)).assume_role(RoleArn=second["Arn"], RoleSessionName="there")
    assert arn_of(gateway, key_of(chained)) == f"arn:aws:sts::{OTHER}:assumed-role/second/there"
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("iam", key_of(chained)).list_users()


def test_mfa_makes_a_session(gateway: Gateway, alice: Key) -> None:
    """A virtual device of the user's, a code, and GetSessionToken."""
    iam = gateway.client("iam", alice)
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="alice")["VirtualMFADevice"]
    seed = base64.b32decode(device["Base32StringSeed"])
    now = step_of(datetime.now(UTC))
    iam.enable_mfa_device(
        UserName="alice",
        SerialNumber=device["SerialNumber"],
        AuthenticationCode1=code_of(seed, now - 1),
        AuthenticationCode2=code_of(seed, now),
    )
    code = code_of(seed, step_of(datetime.now(UTC)) + 1)
    answer = gateway.client("sts", alice).get_session_token(SerialNumber=device["SerialNumber"], TokenCode=code)
    assert arn_of(gateway, key_of(answer)) == f"arn:aws:iam::{ACCOUNT}:user/alice"
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("sts", alice).get_session_token(SerialNumber=device["SerialNumber"], TokenCode="000000")


def test_a_federated_user_has_what_both_allow(gateway: Gateway, alice: Key) -> None:
    """Without a session policy nothing, with one that."""
    sts = gateway.client("sts", alice)
    bare = key_of(sts.get_federation_token(Name="bob"))
    assert arn_of(gateway, bare) == f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
    with pytest.raises(ClientError, match="AccessDenied"):
        gateway.client("cloudtrail", bare).describe_trails()
    allowed = key_of(sts.get_federation_token(Name="bob", Policy=json.dumps(ALLOW_ALL)))
    gateway.client("cloudtrail", allowed).describe_trails()


def test_a_web_identity_gets_a_role(gateway: Gateway) -> None:
    """With an ID token and without any AWS credentials."""
    iam = gateway.client("iam")
    provider = iam.create_open_id_connect_provider(
        Url=ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
    )["OpenIDConnectProviderArn"]
    condition = {"Condition": {"StringEquals": {"id.example.com:sub": "repo:x"}}}
    document = trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", **condition)
    role = iam.create_role(RoleName="ci", AssumeRolePolicyDocument=document)["Role"]
    soon = datetime.now(UTC) + timedelta(minutes=5)
    claims = {"iss": ISSUER, "sub": "repo:x", "aud": "sts.amazonaws.com", "iat": datetime.now(UTC), "exp": soon}
    token = jwt.encode(claims, OIDC_KEY, algorithm="RS256", headers={"kid": "k1"})
    given = {"RoleArn": role["Arn"], "RoleSessionName": "build", "WebIdentityToken": token}
    answer = anonymous(gateway).assume_role_with_web_identity(**given)
    assert arn_of(gateway, key_of(answer)) == f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/build"
    other = jwt.encode(claims | {"sub": "repo:y"}, OIDC_KEY, algorithm="RS256", headers={"kid": "k1"})
    with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        anonymous(gateway).assume_role_with_web_identity(**(given | {"WebIdentityToken": other}))


def test_a_saml_user_gets_a_role(gateway: Gateway) -> None:
    """With a signed assertion and without any AWS credentials."""
    iam = gateway.client("iam")
    provider = iam.create_saml_provider(Name="Corp", SAMLMetadataDocument=metadata(CERTIFICATE))["SAMLProviderArn"]
    document = trust({"Federated": provider}, "sts:AssumeRoleWithSAML")
    role = iam.create_role(RoleName="staff", AssumeRolePolicyDocument=document)["Role"]
    now = datetime.now(UTC).replace(microsecond=0)
    text = response(now=now).replace("arn:aws:iam::111111111111:", f"arn:aws:iam::{ACCOUNT}:")
    given = {"RoleArn": role["Arn"], "PrincipalArn": provider, "SAMLAssertion": encoded(signed(text))}
    answer = anonymous(gateway).assume_role_with_saml(**given)
    assert answer["Subject"] == "alice@corp"
    assert arn_of(gateway, key_of(answer)) == f"arn:aws:sts::{ACCOUNT}:assumed-role/staff/alice"
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        anonymous(gateway).assume_role_with_saml(**given)


def test_who_is_deleted_loses_his_sessions_at_once(gateway: Gateway, alice: Key) -> None:
    """The token is genuine, but nobody stands behind it."""
    iam = gateway.client("iam")
    document = trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}, "sts:AssumeRole")
    role = iam.create_role(RoleName="gone", AssumeRolePolicyDocument=document)["Role"]
    key = key_of(gateway.client("sts", alice).assume_role(RoleArn=role["Arn"], RoleSessionName="work"))
    arn_of(gateway, key)
    iam.delete_role(RoleName="gone")
    iam.create_role(RoleName="gone", AssumeRolePolicyDocument=document)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        arn_of(gateway, key)


def test_the_account_of_a_key_is_told(gateway: Gateway, alice: Key) -> None:
    """Of both kinds of key."""
    sts = gateway.client("sts", alice)
    assert sts.get_access_key_info(AccessKeyId=OTHER_ROOT.access_key_id)["Account"] == OTHER
    temporary = key_of(gateway.client("sts", OTHER_ROOT).get_session_token())
    assert sts.get_access_key_info(AccessKeyId=temporary.access_key_id)["Account"] == OTHER
