"""Key casing, lists and dates of records, service by service, against the fact sheet and public records."""

from datetime import UTC, datetime
from typing import Any

import pytest

from opentrail.aws.model import Catalogue, Operation
from opentrail.events.elements import request_elements, response_elements, secrets_in
from opentrail.events.record import build
from tests.unit.test_events_record import call, outcome

CATALOGUE = Catalogue()
AT = datetime(2019, 6, 26, 2, 51, 10, 123_456, UTC)


def operation(service: str, name: str) -> Operation:
    """A modelled operation."""
    return CATALOGUE.service(service).operation(name)


@pytest.mark.parametrize(
    ("service", "name", "parameters", "shown"),
    [
        # cloudtrail fact sheet 12.1: only the first letter, recursively (trap 39).
        (
            "rds",
            "ModifyDBInstance",
            {"DBInstanceIdentifier": "d", "EnableIAMDatabaseAuthentication": True, "CACertificateIdentifier": "c"},
            {"dBInstanceIdentifier": "d", "enableIAMDatabaseAuthentication": True, "cACertificateIdentifier": "c"},
        ),
        (
            "cloudfront",
            "UpdateDistribution",
            {"Id": "E", "DistributionConfig": {"IsIPV6Enabled": True, "Aliases": {"Quantity": 1, "Items": ["a"]}}},
            {"id": "E", "distributionConfig": {"isIPV6Enabled": True, "aliases": {"quantity": 1, "items": ["a"]}}},
        ),
        # User-controlled keys stay.
        (
            "sqs",
            "TagQueue",
            {"QueueUrl": "u", "Tags": {"Cost-Centre": "1", "aB": "2"}},
            {"queueUrl": "u", "tags": {"Cost-Centre": "1", "aB": "2"}},
        ),
        # A policy document is text as it was sent.
        (
            "iam",
            "CreatePolicy",
            {"PolicyName": "p", "PolicyDocument": '{"Version": "2012-10-17"}'},
            {"policyName": "p", "policyDocument": '{"Version": "2012-10-17"}'},
        ),
        # Wire casing.
        (
            "ce",
            "GetCostAndUsage",
            {"TimePeriod": {"Start": "2023-07-01", "End": "2023-07-10"}, "Metrics": ["m"]},
            {"TimePeriod": {"Start": "2023-07-01", "End": "2023-07-10"}, "Metrics": ["m"]},
        ),
        ("account", "GetAlternateContact", {"AlternateContactType": "BILLING"}, {"AlternateContactType": "BILLING"}),
        ("resource-explorer-2", "CreateIndex", {"ClientToken": "c"}, {"ClientToken": "c"}),
    ],
)
def test_requests_have_the_casing_of_their_service(
    service: str, name: str, parameters: dict[str, Any], shown: dict[str, Any]
) -> None:
    """The first letter is lowered and nothing else, but for the services that keep the names of the wire."""
    assert request_elements(operation(service, name), parameters) == shown


EC2_REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "DescribeInstances",
        {"InstanceIds": ["i-1"], "Filters": [{"Name": "a", "Values": ["x", "y"]}]},
        {
            "instancesSet": {"items": [{"instanceId": "i-1"}]},
            "filterSet": {"items": [{"name": "a", "valueSet": {"items": [{"value": "x"}, {"value": "y"}]}}]},
        },
    ),
    (
        "DescribeSecurityGroups",
        {"GroupIds": ["sg-1"], "GroupNames": [], "Filters": []},
        {"securityGroupIdSet": {"items": [{"groupId": "sg-1"}]}, "securityGroupSet": {}, "filterSet": {}},
    ),
    (
        "DescribeSnapshots",
        {"MaxResults": 1000, "OwnerIds": ["self"], "RestorableByUserIds": []},
        {"maxResults": 1000, "ownersSet": {"items": [{"owner": "self"}]}, "sharedUsersSet": {}},
    ),
    (
        "DescribeAccountAttributes",
        {"AttributeNames": ["supported-platforms"]},
        {"accountAttributeNameSet": {"items": [{"attributeName": "supported-platforms"}]}},
    ),
    (
        "CreateTags",
        {"Resources": ["sg-1"], "Tags": [{"Key": "Name", "Value": "n"}]},
        {"resourcesSet": {"items": [{"resourceId": "sg-1"}]}, "tagSet": {"items": [{"key": "Name", "value": "n"}]}},
    ),
    (
        "RunInstances",
        {
            "ImageId": "ami-1",
            "MinCount": 1,
            "MaxCount": 2,
            "InstanceType": "t3.nano",
            "BlockDeviceMappings": [],
            "Monitoring": {"Enabled": False},
            "SecurityGroupIds": ["sg-1"],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "n"}]}],
            "CreditSpecification": {"CpuCredits": "unlimited"},
        },
        {
            "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 2}]},
            "instanceType": "t3.nano",
            "blockDeviceMapping": {},
            "monitoring": {"enabled": False},
            "groupSet": {"items": [{"groupId": "sg-1"}]},
            "tagSpecificationSet": {
                "items": [{"resourceType": "instance", "tags": [{"key": "Name", "value": "n"}]}],
            },
            "creditSpecification": {"cpuCredits": "unlimited"},
        },
    ),
    (
        "AuthorizeSecurityGroupIngress",
        {"GroupId": "sg-1", "IpPermissions": [{"FromPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
        {
            "groupId": "sg-1",
            "ipPermissions": {"items": [{"fromPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]},
        },
    ),
    # The second form.
    (
        "DescribeNatGateways",
        {"NatGatewayIds": ["nat-1"]},
        {"DescribeNatGatewaysRequest": {"NatGatewayId": {"tag": 1, "content": "nat-1"}}},
    ),
    (
        "DescribeVpcEndpoints",
        {"VpcEndpointIds": ["vpce-1", "vpce-2"]},
        {
            "DescribeVpcEndpointsRequest": {
                "VpcEndpointId": [{"tag": 1, "content": "vpce-1"}, {"tag": 2, "content": "vpce-2"}]
            }
        },
    ),
    ("DescribeFlowLogs", {}, {"DescribeFlowLogsRequest": ""}),
    (
        "CreateTransitGateway",
        {
            "Options": {"DnsSupport": "enable"},
            "TagSpecifications": [{"ResourceType": "transit-gateway", "Tags": [{"Key": "Name", "Value": "my-tgw"}]}],
        },
        {
            "CreateTransitGatewayRequest": {
                "Options": {"DnsSupport": "enable"},
                "TagSpecification": {
                    "tag": 1,
                    "ResourceType": "transit-gateway",
                    "Tag": {"tag": 1, "Key": "Name", "Value": "my-tgw"},
                },
            }
        },
    ),
    (
        "ModifyInstanceMetadataOptions",
        {"InstanceId": "i"},
        {"ModifyInstanceMetadataOptionsRequest": {"InstanceId": "i"}},
    ),
]


@pytest.mark.parametrize(("name", "parameters", "shown"), EC2_REQUESTS, ids=[row[0] for row in EC2_REQUESTS])
def test_ec2_requests_have_the_form_of_public_records(
    name: str, parameters: dict[str, Any], shown: dict[str, Any]
) -> None:
    """Sets with items in the first form of EC2's API, the query as it was sent in the second."""
    assert request_elements(operation("ec2", name), parameters) == shown


def ec2_response(name: str, response: dict[str, Any]) -> dict[str, Any]:
    """The responseElements of an EC2 operation."""
    return response_elements(operation("ec2", name), response, request_id="r-1")


def test_an_ec2_response_begins_with_its_request_id() -> None:
    """RunInstances answers as in the public record: sets, empty ones too, and times in epoch milliseconds."""
    addresses = [{"PrivateIpAddress": "172.31.30.242", "Primary": True}]
    instance = {"InstanceId": "i-1", "LaunchTime": AT, "NetworkInterfaces": [{"PrivateIpAddresses": addresses}]}
    shown = ec2_response("RunInstances", {"ReservationId": "r", "Groups": [], "Instances": [instance]})
    interface = {"privateIpAddressesSet": {"item": [{"privateIpAddress": "172.31.30.242", "primary": True}]}}
    assert shown == {
        "requestId": "r-1",
        "reservationId": "r",
        "groupSet": {},
        "instancesSet": {
            "items": [{"instanceId": "i-1", "launchTime": 1561517470123, "networkInterfaceSet": {"items": [interface]}}]
        },
    }
    assert next(iter(shown)) == "requestId"


def test_an_ec2_action_that_only_succeeds_returns_true() -> None:
    """``_return`` stands both where the model has it and where the model says nothing of an answer."""
    assert ec2_response("CreateTags", {}) == {"requestId": "r-1", "_return": True}
    answer = ec2_response("DeleteSecurityGroup", {"Return": True, "GroupId": "sg-1"})
    assert answer == {"requestId": "r-1", "_return": True, "groupId": "sg-1"}


def test_a_later_ec2_response_stands_in_an_element_of_its_own() -> None:
    """CreateTransitGateway's answer has the names, the collapsed lists and the times of its XML."""
    gateway = {"TransitGatewayId": "tgw-1", "CreationTime": AT, "Tags": [{"Key": "Name", "Value": "my-tgw"}]}
    assert ec2_response("CreateTransitGateway", {"TransitGateway": gateway}) == {
        "CreateTransitGatewayResponse": {
            "xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/",
            "requestId": "r-1",
            "transitGateway": {
                "transitGatewayId": "tgw-1",
                "creationTime": "2019-06-26T02:51:10.123Z",
                "tagSet": {"item": {"key": "Name", "value": "my-tgw"}},
            },
        }
    }


def test_an_ec2_record_has_its_own_request_id_and_whose_fault_it_was() -> None:
    """build() gives the answer the call's request id, shows an empty answer's success, and prefixes error codes."""
    made = call("ec2", "CreateTags", parameters={"Resources": ["i-1"], "Tags": []})
    shown = build(made, outcome(response={}), event_id="e", recipient_account_id=made.account_id)
    assert b'"responseElements":{"requestId":"%b","_return":true}' % made.request_id.encode() in shown
    failed = build(made, outcome(error_code="UnauthorizedOperation"), event_id="e", recipient_account_id="1")
    assert b'"errorCode":"Client.UnauthorizedOperation"' in failed
    assert b'"responseElements":null' in failed


def test_secrets_inside_sets_are_found() -> None:
    """What messages are scrubbed of is found in every form of a list."""
    spec = {"UserData": "a secret that is long"}
    for name, parameters in (
        ("RequestSpotInstances", {"LaunchSpecification": spec}),
        ("CreateLaunchTemplate", {"LaunchTemplateData": spec}),
        ("RequestSpotFleet", {"SpotFleetRequestConfig": {"LaunchSpecifications": [spec]}}),
    ):
        assert secrets_in(operation("ec2", name), parameters) == ["a secret that is long"]


@pytest.mark.parametrize(
    ("service", "name", "structure", "member", "recorded", "text"),
    [
        ("rolesanywhere", "CreateProfile", "profile", "createdAt", "createdAt", "2019-06-26T02:51:10.123456Z"),
        ("rds", "StopDBInstance", "DBInstance", "InstanceCreateTime", "instanceCreateTime", "Jun 26, 2019 2:51:10 AM"),
        ("cloudfront", "UpdateDistribution", "Distribution", "LastModifiedTime", "", "Jun 26, 2019 2:51:10 AM"),
        ("health", "DescribeEvents", "events", "startTime", "", "Jun 26, 2019, 2:51:10 AM"),
        ("dynamodb", "CreateTable", "TableDescription", "CreationDateTime", "", "2019-06-26T02:51:10.123Z"),
        ("lambda", "GetDurableExecution", "", "StartTimestamp", "", "2019-06-26T02:51:10.123+0000"),
    ],
)
def test_times_have_the_form_of_their_service(
    service: str, name: str, structure: str, member: str, recorded: str, text: str
) -> None:
    """Dates inside elements differ by service (cloudtrail fact sheet 12.3); ISO 8601 is the form of the others."""
    inner: Any = {member: AT}
    wire = {structure: [inner] if structure == "events" else inner} if structure else inner
    shown = response_elements(operation(service, name), wire)
    found = shown[structure[:1].lower() + structure[1:]] if structure else shown
    found = found[0] if isinstance(found, list) else found
    assert found == {recorded or member[:1].lower() + member[1:]: text}


def test_devops_guru_writes_epoch_seconds() -> None:
    """A number with a fraction (cloudtrail fact sheet 12.3, measured)."""
    parameters = {"Type": "REACTIVE", "StatusFilter": {"Any": {"StartTimeRange": {"FromTime": AT}, "Type": "REACTIVE"}}}
    shown = request_elements(operation("devops-guru", "ListInsights"), parameters)
    assert shown["StatusFilter"]["Any"]["StartTimeRange"] == {"FromTime": 1561517470.123}
