"""Event names, API versions, error codes, and which calls only read."""

import pytest

from opentrail.aws.model import Catalogue
from opentrail.events.classify import is_read_only
from opentrail.events.error_codes import recorded_error_code
from opentrail.events.event_names import api_version, event_name

CATALOGUE = Catalogue()


@pytest.mark.parametrize(
    ("service", "operation", "name"),
    [
        # cloudtrail fact sheet 12.2
        ("lambda", "CreateFunction", "CreateFunction20150331"),
        ("lambda", "UpdateFunctionCode", "UpdateFunctionCode20150331v2"),
        ("lambda", "DeleteFunction", "DeleteFunction20150331"),
        ("lambda", "RemovePermission", "RemovePermission20150331v2"),
        ("lambda", "Invoke", "Invoke"),
        ("lambda", "CreateFunctionUrlConfig", "CreateFunctionUrlConfig"),
        ("s3", "ListObjectsV2", "ListObjects"),
        ("s3", "PutBucketLifecycleConfiguration", "PutBucketLifecycle"),
        ("s3", "PutObject", "PutObject"),
        ("sqs", "SendMessage", "SendMessage"),
    ],
)
def test_operations_have_cloudtrails_names(service: str, operation: str, name: str) -> None:
    """Lambda's operations carry their versions, S3's their older names, all others the API's."""
    assert event_name(CATALOGUE.service(service).operation(operation)) == name


@pytest.mark.parametrize(
    ("service", "operation", "version"),
    [
        ("route53", "CreateHostedZone", "2013-04-01"),
        ("elb", "CreateLoadBalancer", "2012-06-01"),
        ("elbv2", "CreateLoadBalancer", "2015-12-01"),
        ("logs", "CreateLogGroup", "20140328"),
        ("cloudfront", "UpdateDistribution", "2020_05_31"),
        ("dynamodb", "PutItem", "2012-08-10"),
        ("sqs", "SendMessage", None),
    ],
)
def test_some_services_name_their_version(service: str, operation: str, version: str | None) -> None:
    """apiVersion stands in the records of some services, each in its own form (cloudtrail fact sheet 1.2)."""
    assert api_version(CATALOGUE.service(service).operation(operation)) == version


@pytest.mark.parametrize(
    ("source", "code", "recorded"),
    [
        ("ec2", "UnauthorizedOperation", "Client.UnauthorizedOperation"),
        ("ec2", "InvalidVpcID.NotFound", "Client.InvalidVpcID.NotFound"),
        ("ec2", "RequestLimitExceeded", "Client.RequestLimitExceeded"),
        ("ec2", "InsufficientInstanceCapacity", "Server.InsufficientInstanceCapacity"),
        ("ec2", "Server.InternalError", "Server.InternalError"),
        ("iam", "NoSuchEntity", "NoSuchEntityException"),
        ("iam", "AccessDenied", "AccessDenied"),
        ("s3", "NoSuchBucketPolicy", "NoSuchBucketPolicy"),
        ("sts", "AccessDenied", "AccessDenied"),
        ("cloudtrail", "TrailNotFoundException", "TrailNotFoundException"),
    ],
)
def test_error_codes_are_the_audits(source: str, code: str, recorded: str) -> None:
    """EC2 and IAM record other codes than they answer; everybody else the same (cloudtrail fact sheet 1.8)."""
    assert recorded_error_code(f"{source}.amazonaws.com", code) == recorded


@pytest.mark.parametrize(
    ("source", "name", "trait", "reads"),
    [
        ("dynamodb", "Query", None, True),
        ("dynamodb", "Scan", None, True),
        ("dynamodb", "ExecuteStatement", None, False),
        ("sqs", "ReceiveMessage", None, False),
        ("athena", "StartQueryExecution", None, False),
        ("logs", "StartQuery", None, False),
        ("bedrock", "InvokeModel", None, True),
        ("cognito-identity", "GetId", None, False),
        ("cognito-identity", "GetCredentialsForIdentity", True, False),
        ("lambda", "GetFunction20150331v2", None, True),
        ("sagemaker", "Search", None, True),
        ("quicksight", "SearchUsers", None, True),
        ("ecr", "BatchGetImage", None, True),
        # What the model says counts where no table does, for and against.
        ("braket", "Measure", True, True),
        ("braket", "GetAway", False, False),
        # A word that only begins like a reading one is none.
        ("x", "Getaway", None, False),
        ("x", "Headline", None, False),
        ("x", "Listen", None, False),
        # Both tables stand above the model.
        ("ivs", "StartViewerSessionRevocation", True, False),
        ("kms", "Decrypt", False, True),
    ],
)
def test_read_only_is_exceptions_then_model_then_name(source: str, name: str, trait: bool | None, reads: bool) -> None:
    """The tables of exceptions decide first, then the model's trait, then the name; the rest are writes."""
    assert is_read_only(f"{source}.amazonaws.com", name, trait=trait) is reads
