"""The userIdentity element, type by type (cloudtrail fact sheet 2.1, 2.2)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from opentrail.events.timestamps import event_time, form_of, iso_8601, us_medium
from opentrail.events.user_identity import as_other_account, user_identity
from opentrail.identity.principal import Principal, PrincipalType, SessionContext

ACCOUNT = "123456789012"


def test_root_has_its_account_as_principal_id_and_no_user_name() -> None:
    """Root shows type, principalId, arn, accountId and accessKeyId, in this order."""
    root = Principal(
        PrincipalType.ROOT,
        account_id=ACCOUNT,
        principal_id=ACCOUNT,
        arn=f"arn:aws:iam::{ACCOUNT}:root",
        access_key_id="AKIA",
        user_name="root",
    )
    assert list(user_identity(root).items()) == [
        ("type", "Root"),
        ("principalId", ACCOUNT),
        ("arn", f"arn:aws:iam::{ACCOUNT}:root"),
        ("accountId", ACCOUNT),
        ("accessKeyId", "AKIA"),
    ]


def test_a_users_session_has_an_empty_issuer() -> None:
    """IAM users show their name; temporary credentials of theirs have an empty sessionIssuer and string booleans."""
    created = datetime(2023, 7, 10, 13, 42, 31, tzinfo=timezone(timedelta(hours=2)))
    user = Principal(
        PrincipalType.IAM_USER,
        account_id=ACCOUNT,
        principal_id="AIDA",
        arn="arn",
        access_key_id="ASIA",
        user_name="ada",
        session=SessionContext(created, mfa_at=created),
    )
    identity = user_identity(user)
    assert list(identity) == ["type", "principalId", "arn", "accountId", "accessKeyId", "userName", "sessionContext"]
    assert identity["sessionContext"] == {
        "sessionIssuer": {},
        "webIdFederationData": {},
        "attributes": {"creationDate": "2023-07-10T11:42:31Z", "mfaAuthenticated": "true"},
    }


def test_a_wrong_signature_shows_whose_key_it_was_and_nothing_more() -> None:
    """A known key with a wrong signature is type Unknown with principalId, accountId and accessKeyId."""
    unknown = Principal(
        PrincipalType.UNKNOWN, account_id=ACCOUNT, principal_id="AIDA", arn="a", access_key_id="AKIA", user_name="u"
    )
    assert user_identity(unknown) == {
        "type": "Unknown",
        "principalId": "AIDA",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIA",
    }
    assert as_other_account(Principal(PrincipalType.UNKNOWN)) == {"type": "Unknown"}


def test_sessions_without_an_access_key_have_no_such_key() -> None:
    """A role used by a service has no accessKeyId."""
    role = Principal(PrincipalType.ASSUMED_ROLE, account_id=ACCOUNT, principal_id="AROA:s", arn="arn")
    assert list(user_identity(role)) == ["type", "principalId", "arn", "accountId"]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2017, 1, 5, 22, 18, 22, tzinfo=UTC), "Jan 5, 2017 10:18:22 PM"),
        (datetime(2023, 7, 10, 0, 0, 0, tzinfo=UTC), "Jul 10, 2023 12:00:00 AM"),
        (datetime(2023, 12, 31, 12, 5, 9, tzinfo=UTC), "Dec 31, 2023 12:05:09 PM"),
        (datetime(2023, 7, 10, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "Jul 9, 2023 11:02:03 PM"),
    ],
)
def test_times_in_parameters_have_twelve_hours_and_no_leading_zeros(moment: datetime, text: str) -> None:
    """The form of opsworks-cm, IAM and others is UTC, with 12 hours and no leading zeros."""
    assert us_medium(moment) == text
    assert form_of("opsworks-cm.amazonaws.com")(moment) == text


def test_other_services_write_iso_8601() -> None:
    """A service without a form of its own writes milliseconds and Z; eventTime has whole seconds."""
    moment = datetime(2023, 7, 10, 12, 3, 18, 999_999, UTC)
    assert form_of("opentrail.amazonaws.com")(moment) == iso_8601(moment) == "2023-07-10T12:03:18.999Z"
    assert event_time(moment) == "2023-07-10T12:03:18Z"
