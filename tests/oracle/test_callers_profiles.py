"""The unmodified AWS CLI with every kind of profile that leads to temporary credentials."""

import json
import os
import pty
import select
import sys
import time
from base64 import b32decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.support.gateway import Gateway, Key, delivered, make_trail, running
from tests.support.identity_providers import CLIENT, ISSUER, OpenIdProvider

ACCOUNT = "123456789012"
BUCKET = "profiles-trail"


class Profiles:
    """A gateway, a user who may assume roles, and a directory for the CLI's files."""

    def __init__(self, gateway: Gateway, place: Path, oidc: OpenIdProvider) -> None:
        self.gateway, self.place, self.oidc = gateway, place, oidc
        self.iam = gateway.client("iam")
        self.iam.create_user(UserName="ada")
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
        self.iam.put_user_policy(UserName="ada", PolicyName="assume", PolicyDocument=text)
        made = self.iam.create_access_key(UserName="ada")["AccessKey"]
        self.ada = Key(made["AccessKeyId"], made["SecretAccessKey"])

    def role(self, name: str, principal: Mapping[str, str], action: str, condition: Any = None) -> str:
        """A role with a trust policy; its ARN."""
        statement = {"Effect": "Allow", "Principal": principal, "Action": action}
        if condition:
            statement["Condition"] = condition
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return str(self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=text)["Role"]["Arn"])

    def environment(self, profile: str) -> dict[str, str]:
        """An environment with the profile ``test`` beside Ada's own, ``ada``, and no other credentials."""
        keys = f"aws_access_key_id = {self.ada.access_key_id}\naws_secret_access_key = {self.ada.secret_access_key}\n"
        config = self.place / "config"
        config.write_text(f"[profile ada]\n{keys}\n[profile test]\n{profile}\n")
        plain = self.gateway.tool_environment()
        variables = {name: text for name, text in plain.items() if "ACCESS_KEY" not in name}
        return variables | {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "test"}

    def who(self, profile: str) -> dict[str, Any]:
        """``aws sts get-caller-identity`` with a profile."""
        done = self.gateway.cli("sts", "get-caller-identity", environment=self.environment(profile))
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profiles]:
    """One OpenTrail with a trail and an OpenID Connect provider."""
    place = tmp_path_factory.mktemp("profiles")
    oidc = OpenIdProvider.new()
    keys = oidc.write_keys(place / "jwks.json")
    with running(place / "home", {"OPENTRAIL_STS_OIDC_JWKS": f"{ISSUER}={keys}"}) as gateway:
        make_trail(gateway, BUCKET)
        yield Profiles(gateway, place, oidc)


HERE = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_role_arn_with_source_profile(profiles: Profiles) -> None:
    """The CLI assumes the role by itself, with external id, session name and duration; roles can be chained."""
    condition = {"StringEquals": {"sts:ExternalId": "x-1"}}
    arn = profiles.role("Plain", HERE, "sts:AssumeRole", condition)
    profile = f"role_arn = {arn}\nsource_profile = ada\nrole_session_name = night\nduration_seconds = 900\n"
    found = profiles.who(f"{profile}external_id = x-1")
    assert found["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Plain/night"
    refused = profiles.gateway.cli("sts", "get-caller-identity", environment=profiles.environment(profile))
    assert "AccessDenied" in refused.stderr


def test_roles_are_chained(profiles: Profiles) -> None:
    """A profile whose source profile assumes a role itself."""
    first = profiles.role("First", HERE, "sts:AssumeRole")
    second = profiles.role("Second", {"AWS": first}, "sts:AssumeRole")
    text = f"role_arn = {second}\nsource_profile = middle\nrole_session_name = second\n\n"
    middle = f"[profile middle]\nrole_arn = {first}\nsource_profile = ada\nrole_session_name = first"
    assert profiles.who(text + middle)["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Second/second"


def _code(seed: str, steps: int = 0) -> str:
    generator = TOTP(b32decode(seed), 6, SHA1(), 30)  # RFC 6238: authenticators use this hash
    return generator.generate(int(time.time()) + 30 * steps).decode()


def _with_terminal(arguments: list[str], environment: Mapping[str, str], answer: str) -> str:
    """Run a command with a terminal of its own, and type an answer when it asks; what it printed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(arguments[0], arguments, dict(environment))
    said, typed, deadline = "", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if not ready:
            continue
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the terminal is gone: the command has ended
            break
        if "MFA code" in said and not typed:
            os.write(terminal, f"{answer}\n".encode())
            typed = True
    os.close(terminal)
    os.waitpid(child, 0)
    return said


def test_mfa_serial_asks_for_the_code(profiles: Profiles) -> None:
    """A role that wants MFA: the CLI asks on its terminal; the record says mfaAuthenticated "true"."""
    device = profiles.iam.create_virtual_mfa_device(VirtualMFADeviceName="adas-phone")["VirtualMFADevice"]
    seed, serial = device["Base32StringSeed"].decode(), device["SerialNumber"]
    profiles.iam.enable_mfa_device(
        UserName="ada", SerialNumber=serial, AuthenticationCode1=_code(seed, -1), AuthenticationCode2=_code(seed)
    )
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    arn = profiles.role("Careful", HERE, "sts:AssumeRole", condition)
    profile = f"role_arn = {arn}\nsource_profile = ada\nrole_session_name = night\n"
    refused = profiles.gateway.cli("sts", "get-caller-identity", environment=profiles.environment(profile))
    assert "AccessDenied" in refused.stderr
    environment = profiles.environment(f"{profile}mfa_serial = {serial}")
    command = [str(Path(sys.executable).with_name("aws")), "sts", "get-caller-identity", "--output", "text"]
    wrong = _with_terminal(command, environment, "000000" if _code(seed) != "000000" else "111111")
    assert "MultiFactorAuthentication failed" in wrong
    assert "assumed-role/Careful/night" in _with_terminal(command, environment, _code(seed, 1))
    s3 = profiles.gateway.client("s3")

    def recorded() -> list[str]:
        sessions = [r["userIdentity"].get("sessionContext", {}) for r in delivered(s3, BUCKET)]
        mine = [s for s in sessions if s.get("sessionIssuer", {}).get("userName") == "Careful"]
        return [session["attributes"]["mfaAuthenticated"] for session in mine]

    deadline = time.monotonic() + 40
    while not recorded():
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert set(recorded()) == {"true"}
    text = json.dumps(delivered(s3, BUCKET))
    assert seed not in text
    assert '"tokenCode"' not in text


def test_credential_process(profiles: Profiles) -> None:
    """A program that prints temporary credentials, here the CLI itself with another profile."""
    answer = profiles.gateway.client("sts", profiles.ada).get_session_token()["Credentials"]
    printed = {name: answer[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    printed |= {"Version": 1, "Expiration": answer["Expiration"].isoformat()}
    file = profiles.place / "credentials.json"
    file.write_text(json.dumps(printed))
    assert profiles.who(f"credential_process = cat {file}")["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/ada"


def test_web_identity_token_file(profiles: Profiles) -> None:
    """A token in a file becomes a role's session; a token for another application does not."""
    provider = profiles.iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[CLIENT])
    trusted = {"Federated": provider["OpenIDConnectProviderArn"]}
    condition = {"StringEquals": {f"{ISSUER.removeprefix('https://')}:sub": "u-1"}}
    arn = profiles.role("Web", trusted, "sts:AssumeRoleWithWebIdentity", condition)
    file = profiles.place / "token"
    profile = f"role_arn = {arn}\nweb_identity_token_file = {file}\nrole_session_name = pod"
    file.write_text(profiles.oidc.token("u-1"))
    assert profiles.who(profile)["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Web/pod"
    for token, code in (
        (profiles.oidc.token("u-2"), "AccessDenied"),
        (profiles.oidc.token("u-1", aud="another"), "InvalidIdentityToken"),
        (profiles.oidc.token("u-1", exp=1), "ExpiredTokenException"),
        (OpenIdProvider.new().token("u-1"), "InvalidIdentityToken"),
    ):
        file.write_text(token)
        refused = profiles.gateway.cli("sts", "get-caller-identity", environment=profiles.environment(profile))
        assert code in refused.stderr
        assert token not in refused.stderr


def test_a_revoked_session_is_denied(profiles: Profiles) -> None:
    """AWS's "revoke active sessions" policy: what was issued before a moment is denied everything, new ones are not."""
    arn = profiles.role("Revoked", HERE, "sts:AssumeRole")
    reading = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [reading]})
    profiles.iam.put_role_policy(RoleName="Revoked", PolicyName="read", PolicyDocument=text)
    sts = profiles.gateway.client("sts", profiles.ada)
    old = Key.of(sts.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"])
    profiles.gateway.client("iam", old).list_users()
    time.sleep(1.1)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    revoke = {"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}
    revoke["Condition"] = {"DateLessThan": {"aws:TokenIssueTime": now}}  # type: ignore[assignment]  # JSON
    document = json.dumps({"Version": "2012-10-17", "Statement": [revoke]})
    profiles.iam.put_role_policy(RoleName="Revoked", PolicyName="AWSRevokeOlderSessions", PolicyDocument=document)
    with pytest.raises(Exception, match="explicit deny"):
        profiles.gateway.client("iam", old).list_users()
    fresh = Key.of(sts.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"])
    profiles.gateway.client("iam", fresh).list_users()
