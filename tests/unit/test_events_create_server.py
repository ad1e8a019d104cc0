"""CreateServer as the only public sample of an OpsWorks CM event shows it (opsworks-cm fact sheet 11)."""

import json
from datetime import UTC, datetime

from opentrail.aws.model import Catalogue
from opentrail.events.call import Call, Outcome
from opentrail.events.record import EVENT_VERSION, KEY_ORDER, build
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer

ACCOUNT = "123456789012"
AT = datetime(2026, 11, 23, 18, 30, 31, 987_654, UTC)

SESSION = Principal(
    PrincipalType.ASSUMED_ROLE,
    account_id=ACCOUNT,
    principal_id="AROAEXAMPLEEXAMPLE000:alice",
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice",
    access_key_id="ASIAEXAMPLEEXAMPLE00",
    session=SessionContext(
        created_at=datetime(2026, 11, 23, 17, 0, 5, 123, UTC),
        issuer=SessionIssuer(
            "Role", "AROAEXAMPLEEXAMPLE000", f"arn:aws:iam::{ACCOUNT}:role/ops/Admin", ACCOUNT, "Admin"
        ),
    ),
)
SERVER_REQUEST = {
    "ServerName": "test-1",
    "EngineModel": "Single",
    "Engine": "Chef",
    "InstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/p",
    "BackupRetentionCount": 3,
    "ServiceRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
    "EngineVersion": "12",
    "PreferredMaintenanceWindow": "Fri:21:00",
    "InstanceType": "t2.medium",
    "SubnetIds": ["subnet-1e111f11"],
    "PreferredBackupWindow": "Wed:08:00",
}
SERVER = {
    "Endpoint": "test-1-u.us-east-1.opsworks-cm.io",
    "CreatedAt": datetime(2017, 1, 5, 22, 18, 22, 167_000, UTC),
    "ServiceRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
    "PreferredBackupWindow": "Wed:08:00",
    "Status": "CREATING",
    "SubnetIds": ["subnet-1e111f11"],
    "Engine": "Chef",
    "InstanceType": "t2.medium",
    "ServerName": "test-1",
    "ServerArn": f"arn:aws:opsworks-cm:us-east-1:{ACCOUNT}:server/test-1/8epp7f6z",
    "EngineModel": "Single",
    "BackupRetentionCount": 3,
    "EngineAttributes": [
        {"Name": "CHEF_STARTER_KIT", "Value": "UEsDBA=="},
        {"Name": "CHEF_PIVOTAL_KEY", "Value": "-----BEGIN RSA PRIVATE KEY-----"},
        {"Name": "CHEF_DELIVERY_ADMIN_PASSWORD", "Value": "Secret!12"},
    ],
    "EngineVersion": "12",
    "InstanceProfileArn": f"arn:aws:iam::{ACCOUNT}:instance-profile/p",
    "PreferredMaintenanceWindow": "Fri:21:00",
}


IDENTITY = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLEEXAMPLE000:alice",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/alice",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLEEXAMPLE000",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/ops/Admin",
            "accountId": ACCOUNT,
            "userName": "Admin",
        },
        "attributes": {"creationDate": "2026-11-23T17:00:05Z", "mfaAuthenticated": "false"},
    },
}
CALL = Call(
    request_id="2c4de3ea-9c7c-4c5d-8b0c-5f5f8f9a1c11",
    received_at=AT,
    account_id=ACCOUNT,
    region="us-east-1",
    principal=SESSION,
    event_source="opsworks-cm.amazonaws.com",
    event_name="CreateServer",
    read_only=False,
    operation=Catalogue().service("opsworkscm").operation("CreateServer"),
    parameters=SERVER_REQUEST,
    source_ip="192.0.2.10",
    user_agent="console.amazonaws.com",
)


def test_create_server_by_a_role_session_has_the_form_of_the_public_sample() -> None:
    """A session's CreateServer shows the public sample's keys, nesting and value forms, plus later versions' fields."""
    found = json.loads(
        build(
            CALL,
            Outcome(completed_at=AT, response={"Server": SERVER}),
            event_id="e-1",
            recipient_account_id=ACCOUNT,
        )
    )
    lowered = {name[:1].lower() + name[1:]: value for name, value in SERVER_REQUEST.items()}
    server = {name[:1].lower() + name[1:]: value for name, value in SERVER.items()}
    server["createdAt"] = "Jan 5, 2017 10:18:22 PM"
    server["engineAttributes"] = [
        {"name": "CHEF_STARTER_KIT", "value": "*** Redacted ***"},
        {"name": "CHEF_PIVOTAL_KEY", "value": "*** Redacted ***"},
        {"name": "CHEF_DELIVERY_ADMIN_PASSWORD", "value": "*** Redacted ***"},
    ]
    assert found == {
        "eventVersion": EVENT_VERSION,
        "userIdentity": IDENTITY,
        "eventTime": "2026-11-23T18:30:31Z",
        "eventSource": "opsworks-cm.amazonaws.com",
        "eventName": "CreateServer",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "console.amazonaws.com",
        "requestParameters": lowered,
        "responseElements": {"server": server},
        "requestID": CALL.request_id,
        "eventID": "e-1",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    assert list(found) == [key for key in KEY_ORDER if key in found]
    assert list(found["userIdentity"]["sessionContext"]) == ["sessionIssuer", "attributes"]
