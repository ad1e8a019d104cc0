"""Access keys, login profiles, MFA devices, aliases and identity providers through a real client; and what is kept."""

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.aws.arn import parse_arn
from opentrail.clock import SystemEntropy
from opentrail.errors import ApiError
from opentrail.identity.iam_mfa import STEP_S, code_of, find_lead, matches, step_of
from opentrail.identity.iam_passwords import complaint, hashed, is_password
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.identity.store import KeyUse
from opentrail.services.iam.providers import _issuer
from opentrail.state.database import metadata
from tests.support.iam_world import ACCOUNT, OTHER, START, IamWorld, root_of
from tests.unit.test_iam_entities import OWN, refused

SEED = b"0123456789abcdefghij"


@pytest.fixture
def world() -> IamWorld:
    """Two empty accounts."""
    return IamWorld()


@pytest.fixture
def iam(world: IamWorld) -> Any:
    """A client of the first account's root, who has a user ada."""
    client = world.client()
    client.create_user(UserName="ada")
    return client


def stored(world: IamWorld) -> bytes:
    """Everything that is in the database, as bytes."""
    with world.database.read() as connection:
        rows = [tuple(row) for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    return repr(rows).encode()


def test_access_keys_go_round(world: IamWorld, iam: Any) -> None:
    """A key works once it is made, not while it is off, and never after it is deleted; two is the most."""
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    key_id, secret = key["AccessKeyId"], key["SecretAccessKey"]
    assert (len(secret), key["Status"], key["UserName"]) == (40, "Active", "ada")
    found = world.directory.credential(key_id)
    assert found is not None
    assert (found.secret_access_key, found.principal.user_name) == (secret, "ada")
    assert secret not in repr(found)
    assert secret.encode() not in stored(world)
    iam.update_access_key(UserName="ada", AccessKeyId=key_id, Status="Inactive")
    assert world.directory.credential(key_id) is None
    assert iam.list_access_keys(UserName="ada")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    iam.update_access_key(UserName="ada", AccessKeyId=key_id, Status="Active")
    assert world.directory.credential(key_id) == found
    iam.create_access_key(UserName="ada")
    assert (
        refused(iam.create_access_key, "LimitExceeded", UserName="ada")
        == "Cannot exceed quota for AccessKeysPerUser: 2"
    )
    iam.delete_access_key(UserName="ada", AccessKeyId=key_id)
    assert world.directory.credential(key_id) is None
    assert refused(iam.delete_access_key, "NoSuchEntity", UserName="ada", AccessKeyId=key_id) == (
        f"The Access Key with id {key_id} cannot be found."
    )


def test_the_caller_is_the_default_owner(world: IamWorld, iam: Any) -> None:
    """Without a name, root and users make and list their own keys."""
    user = world.directory.user(ACCOUNT, "ada")
    assert user is not None
    ada = world.client(Principal(PrincipalType.IAM_USER, ACCOUNT, user.user_id, user.arn, "AKIA", "ada"))
    own = ada.create_access_key()["AccessKey"]["AccessKeyId"]
    root = iam.create_access_key()["AccessKey"]["AccessKeyId"]
    assert [key["AccessKeyId"] for key in ada.list_access_keys()["AccessKeyMetadata"]] == [own]
    assert [key["AccessKeyId"] for key in iam.list_access_keys()["AccessKeyMetadata"]] == [root]
    found = world.directory.credential(root)
    assert found is not None
    assert found.principal.type is PrincipalType.ROOT


def test_last_use_is_shown(world: IamWorld, iam: Any) -> None:
    """N/A before the first use; then service, region and time; a role's too; other accounts see nothing."""
    key_id = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    never = iam.get_access_key_last_used(AccessKeyId=key_id)["AccessKeyLastUsed"]
    assert (never["ServiceName"], never["Region"], "LastUsedDate" in never) == ("N/A", "N/A", False)
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=OWN)["Role"]
    use = KeyUse(START + timedelta(minutes=5), "s3", "eu-west-1")
    with world.database.unit() as unit:
        world.identities.note_uses(unit, {key_id: use, "AKIAGONE": use}, [(role["RoleId"], use), ("AROAGONE", use)])
    assert iam.get_role(RoleName="r")["Role"]["RoleLastUsed"] == {"LastUsedDate": use.at, "Region": "eu-west-1"}
    shown = iam.get_access_key_last_used(AccessKeyId=key_id)
    assert shown["UserName"] == "ada"
    assert shown["AccessKeyLastUsed"] == {"LastUsedDate": use.at, "ServiceName": "s3", "Region": "eu-west-1"}
    refused(world.client(root_of(OTHER)).get_access_key_last_used, "NoSuchEntity", AccessKeyId=key_id)


def test_login_profiles_go_round(world: IamWorld, iam: Any) -> None:
    """Only a hash is kept; weak passwords are refused; the user changes his own knowing the old one."""
    refused(iam.create_login_profile, "PasswordPolicyViolation", UserName="ada", Password="password")
    made = iam.create_login_profile(UserName="ada", Password="Passw0rd-canary", PasswordResetRequired=True)
    assert made["LoginProfile"]["PasswordResetRequired"] is True
    assert b"canary" not in stored(world)
    refused(iam.create_login_profile, "EntityAlreadyExists", UserName="ada", Password="Passw0rd-canary")
    user = world.directory.user(ACCOUNT, "ada")
    assert user is not None
    ada = world.client(Principal(PrincipalType.IAM_USER, ACCOUNT, user.user_id, user.arn, "AKIA", "ada"))
    refused(ada.change_password, "AccessDenied", status=403, OldPassword="wrong", NewPassword="Passw0rd-2")
    ada.change_password(OldPassword="Passw0rd-canary", NewPassword="Passw0rd-2")
    assert iam.get_login_profile(UserName="ada")["LoginProfile"]["PasswordResetRequired"] is False
    refused(iam.change_password, "InvalidUserType", OldPassword="x", NewPassword="Passw0rd-2")
    iam.update_login_profile(UserName="ada", Password="Passw0rd-3")
    ada.change_password(OldPassword="Passw0rd-3", NewPassword="Passw0rd-4")
    iam.delete_login_profile(UserName="ada")
    assert refused(iam.get_login_profile, "NoSuchEntity", UserName="ada") == (
        "Login Profile for User ada cannot be found."
    )


def test_a_password_is_known_by_its_hash_only() -> None:
    """Two hashes of one password differ, both know it, neither holds it."""
    first, second = (hashed("correct Horse 1", SystemEntropy()) for _ in range(2))
    assert first != second
    assert is_password("correct Horse 1", first)
    assert is_password("correct Horse 1", second)
    assert not is_password("correct Horse 2", first)
    assert "Horse" not in first
    assert complaint("Sh0rt!") is not None
    assert complaint("only lower case") is not None
    assert complaint("Long enough 1") is None


def test_mfa_devices_go_round(world: IamWorld, iam: Any) -> None:
    """The seed is told once and sealed; two codes in a row enable the device; it is deleted after it is given back."""
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone", Path="/p/")["VirtualMFADevice"]
    serial, seed = made["SerialNumber"], base64.b32decode(made["Base32StringSeed"])
    assert serial == f"arn:aws:iam::{ACCOUNT}:mfa/p/phone"
    assert seed not in stored(world)
    refused(iam.create_virtual_mfa_device, "EntityAlreadyExists", VirtualMFADeviceName="phone", Path="/p/")
    step = step_of(world.clock.at)
    pair = {"AuthenticationCode1": code_of(seed, step - 1), "AuthenticationCode2": code_of(seed, step)}
    same = {"AuthenticationCode1": code_of(seed, step), "AuthenticationCode2": code_of(seed, step)}
    enable = iam.enable_mfa_device
    assert refused(enable, "InvalidAuthenticationCode", status=403, UserName="ada", SerialNumber=serial, **same) == (
        "Authentication code for device is not valid"
    )
    enable(UserName="ada", SerialNumber=serial, **pair)
    refused(enable, "EntityAlreadyExists", UserName="ada", SerialNumber=serial, **pair)
    assert iam.list_mfa_devices(UserName="ada")["MFADevices"] == [
        {"UserName": "ada", "SerialNumber": serial, "EnableDate": START}
    ]
    assert iam.get_mfa_device(SerialNumber=serial)["UserName"] == "ada"
    assigned = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert assigned[0]["User"]["UserName"] == "ada"
    assert "Base32StringSeed" not in assigned[0]
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"] == []
    user = world.directory.user(ACCOUNT, "ada")
    assert user is not None
    assert user.mfa_serials == (serial,)
    refused(iam.delete_virtual_mfa_device, "DeleteConflict", SerialNumber=serial)
    refused(iam.delete_user, "DeleteConflict", UserName="ada")
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=serial)
    refused(iam.deactivate_mfa_device, "NoSuchEntity", UserName="ada", SerialNumber=serial)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    refused(iam.get_mfa_device, "NoSuchEntity", SerialNumber=serial)
    assert world.directory.mfa_device(serial) is None


def test_a_device_out_of_step_is_resynchronised(world: IamWorld, iam: Any) -> None:
    """A clock ten steps ahead is not accepted until two codes in a row have told how far it is off."""
    made = iam.create_virtual_mfa_device(VirtualMFADeviceName="late")["VirtualMFADevice"]
    serial, seed = made["SerialNumber"], base64.b32decode(made["Base32StringSeed"])

    def pair(lead: int) -> dict[str, str]:
        step = step_of(world.clock.at) + lead
        return {"AuthenticationCode1": code_of(seed, step - 1), "AuthenticationCode2": code_of(seed, step)}

    iam.enable_mfa_device(UserName="ada", SerialNumber=serial, **pair(1))
    ahead = code_of(seed, step_of(world.clock.at) + 10)
    device = world.directory.mfa_device(serial)
    assert device is not None
    assert not device.accepts(ahead, world.clock.at)
    refused(iam.resync_mfa_device, "InvalidAuthenticationCode", UserName="ada", SerialNumber=serial, **pair(25))
    iam.resync_mfa_device(UserName="ada", SerialNumber=serial, **pair(10))
    device = world.directory.mfa_device(serial)
    assert device is not None
    assert device.accepts(ahead, world.clock.at)
    assert repr(seed) not in repr(device)


def test_codes_are_those_of_rfc_6238() -> None:
    """The RFC's test vector, cut to six digits; anything but six digits is no code."""
    assert code_of(b"12345678901234567890", 59 // STEP_S) == "287082"
    assert matches(b"12345678901234567890", "287082", 1)
    for bad in ("", "28708", "2870821", "２８７０８２", "28708a"):
        assert not matches(b"12345678901234567890", bad, 1)


@settings(max_examples=40, deadline=None)
@given(lead=st.integers(-30, 30), reach=st.integers(0, 20))
def test_a_lead_is_found_within_reach_only(lead: int, reach: int) -> None:
    """Two codes in a row tell the lead exactly where it is within reach (chance collisions of codes aside)."""
    step = step_of(START) + lead
    found = find_lead(SEED, (code_of(SEED, step - 1), code_of(SEED, step)), START, reach)
    assert found == (lead if abs(lead) <= reach else None)


@settings(max_examples=100, deadline=None)
@given(first=st.text(max_size=8), second=st.text(max_size=8))
def test_hostile_codes_find_nothing(first: str, second: str) -> None:
    """Whatever text is sent as a code, it is refused without an error of ours."""
    assert find_lead(SEED, (first, second), START, 1) is None or (first + second).isdigit()


def test_the_account_alias_goes_round(world: IamWorld, iam: Any) -> None:
    """One alias, unique among accounts; a second one replaces it; another's cannot be taken or removed."""
    iam.create_account_alias(AccountAlias="acme")
    assert iam.list_account_aliases()["AccountAliases"] == ["acme"]
    assert world.directory.account_alias(ACCOUNT) == "acme"
    there = world.client(root_of(OTHER))
    refused(there.create_account_alias, "EntityAlreadyExists", status=409, AccountAlias="acme")
    refused(there.delete_account_alias, "NoSuchEntity", AccountAlias="acme")
    refused(iam.create_account_alias, "ValidationError", AccountAlias="Not_An_Alias")
    iam.create_account_alias(AccountAlias="acme-corp")
    assert world.directory.account_alias(ACCOUNT) == "acme-corp"
    iam.delete_account_alias(AccountAlias="acme-corp")
    assert iam.list_account_aliases()["AccountAliases"] == []


def test_oidc_providers_go_round(world: IamWorld, iam: Any) -> None:
    """Audiences and thumbprints change; the URL loses its scheme; only https issuers are taken."""
    url = "https://token.example.com/path/"
    arn = iam.create_open_id_connect_provider(Url=url, ClientIDList=["a"], ThumbprintList=["0" * 40])[
        "OpenIDConnectProviderArn"
    ]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.example.com/path/"
    refused(iam.create_open_id_connect_provider, "EntityAlreadyExists", Url=url)
    for bad in ("http://x.example.com", "https://", "https://x?y=z", "token.example.com", "https://a b.com"):
        refused(iam.create_open_id_connect_provider, "ValidationError", Url=bad)
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["f" * 40])
    shown = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (shown["Url"], shown["ClientIDList"], shown["ThumbprintList"]) == (arn.partition("/")[2], ["b"], ["f" * 40])
    found = world.directory.oidc_provider(arn)
    assert found is not None
    assert found.client_ids == ("b",)
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == [{"Arn": arn}]
    refused(
        iam.update_open_id_connect_provider_thumbprint,
        "InvalidInput",
        OpenIDConnectProviderArn=arn,
        ThumbprintList=["x" * 40],
    )
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    refused(iam.get_open_id_connect_provider, "NoSuchEntity", OpenIDConnectProviderArn=arn)


@settings(max_examples=200, deadline=None)
@given(url=st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda text: f"https://{text}")))
def test_hostile_issuers_are_refused_or_taken_as_they_are(url: str) -> None:
    """Whatever stands in a URL, the ARN made of it is one, or the request is refused."""
    try:
        name = _issuer(url)
    except ApiError as error:
        assert error.code == "ValidationError"
    else:
        assert url == f"https://{name}"
        assert str(parse_arn(f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}")).endswith(name)


def metadata_document(not_before: datetime = START) -> str:
    """A SAML identity provider's metadata with a real certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(not_before).not_valid_after(not_before + timedelta(days=365))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    text = base64.b64encode(certificate).decode()
    return (
        '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com">'
        '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>'
        f"<X509Certificate>{text}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
        f"</IDPSSODescriptor>{' ' * 600}</EntityDescriptor>"
    )


def test_saml_providers_go_round(world: IamWorld, iam: Any) -> None:
    """Metadata that names an issuer and a certificate is kept as it is; anything else is InvalidInput."""
    text = metadata_document()
    arn = iam.create_saml_provider(Name="corp", SAMLMetadataDocument=text)["SAMLProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"
    refused(iam.create_saml_provider, "EntityAlreadyExists", Name="corp", SAMLMetadataDocument=text)
    refused(iam.create_saml_provider, "InvalidInput", Name="bad", SAMLMetadataDocument="<x>" + " " * 1000)
    shown = iam.get_saml_provider(SAMLProviderArn=arn)
    assert shown["SAMLMetadataDocument"] == text
    newer = metadata_document()
    iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=newer)
    found = world.directory.saml_provider(arn)
    assert found is not None
    assert found.metadata == newer
    assert [each["Arn"] for each in iam.list_saml_providers()["SAMLProviderList"]] == [arn]
    iam.tag_saml_provider(SAMLProviderArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_saml_provider_tags(SAMLProviderArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.delete_saml_provider(SAMLProviderArn=arn)
    refused(iam.delete_saml_provider, "NoSuchEntity", SAMLProviderArn=arn)
    refused(iam.get_saml_provider, "NoSuchEntity", SAMLProviderArn=arn)


def test_no_secret_is_in_the_database_file() -> None:
    """Keys, passwords and seeds are sealed or hashed: their texts are in no byte of the state."""
    world = IamWorld()
    iam = world.client()
    iam.create_user(UserName="ada")
    secret = iam.create_access_key(UserName="ada")["AccessKey"]["SecretAccessKey"]
    seed = iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]["Base32StringSeed"]
    iam.create_login_profile(UserName="ada", Password="Canary-Passw0rd")
    with world.database.read() as connection:
        image = connection.connection.driver_connection.serialize()  # type: ignore[union-attr]  # sqlite3's own
    for text in (secret.encode(), seed, base64.b32decode(seed), b"Canary-Passw0rd"):
        assert text not in image
