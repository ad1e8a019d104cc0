"""What no account has, as tools find it: empty lists for users that there are, and no password policy."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.iam_world import ACCOUNT, IamWorld


@pytest.fixture
def iam() -> Any:
    """A client of an account's root, with one user."""
    client = IamWorld().client()
    client.create_user(UserName="ada")
    return client


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("list_signing_certificates", "Certificates"),
        ("list_ssh_public_keys", "SSHPublicKeys"),
        ("list_service_specific_credentials", "ServiceSpecificCredentials"),
    ],
)
def test_users_have_none_and_strangers_are_unknown(iam: Any, operation: str, member: str) -> None:
    """Root's own, a user's, and of a name that nobody has."""
    ask = getattr(iam, operation)
    assert ask()[member] == []
    assert ask(UserName="ada")[member] == []
    with pytest.raises(ClientError) as caught:
        ask(UserName="eve")
    assert caught.value.response["Error"]["Code"] == "NoSuchEntity"


def test_accounts_have_neither_certificates_nor_a_password_policy(iam: Any) -> None:
    """An empty list, and AWS's words for an account that never set a policy."""
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    assert iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"] == []
    with pytest.raises(ClientError) as caught:
        iam.get_account_password_policy()
    error = caught.value.response["Error"]
    assert (error["Code"], ACCOUNT in error["Message"]) == ("NoSuchEntity", True)
