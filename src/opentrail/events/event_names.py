"""What CloudTrail calls an operation, and the API version that some services' records name.

Rules (cloudtrail fact sheet 12.2, 1.2): the event name is the API's name, except for Lambda, whose older operations
carry the date of their address and the version of their form, and for S3, whose table is in ``s3_operations``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from opentrail.aws.model import Operation, Service
from opentrail.events.s3_operations import LIST_CONFIGURATIONS, OPERATIONS

# AWS Lambda Developer Guide, "Logging AWS Lambda API calls using AWS CloudTrail", the list of event names, for all
# lines without another source.
LAMBDA: Mapping[str, str] = MappingProxyType(
    {
        "AddPermission": "AddPermission20150331v2",
        "CreateAlias": "CreateAlias20150331",
        "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
        "CreateFunction": "CreateFunction20150331",
        "DeleteAlias": "DeleteAlias20150331",
        "DeleteEventSourceMapping": "DeleteEventSourceMapping20150331",
        "DeleteFunction": "DeleteFunction20150331",
        "DeleteFunctionConcurrency": "DeleteFunctionConcurrency20171031",
        "DeleteLayerVersion": "DeleteLayerVersion20181031",  # Datadog's remote instrumenter, names of real events
        "GetAccountSettings": "GetAccountSettings20160819",  # public count of an account's events
        "GetAlias": "GetAlias20150331",
        "GetFunction": "GetFunction20150331v2",
        "GetFunctionConfiguration": "GetFunctionConfiguration20150331v2",  # public list of an account's events
        "GetPolicy": "GetPolicy20150331v2",  # public list of an account's events
        "ListAliases": "ListAliases20150331",  # public count of an account's events
        "ListEventSourceMappings": "ListEventSourceMappings20150331",  # public count of an account's events
        "ListFunctions": "ListFunctions20150331",  # public count of an account's events
        "ListVersionsByFunction": "ListVersionsByFunction20150331",  # trailscraper, names of real events
        "PublishLayerVersion": "PublishLayerVersion20181031",
        "PublishVersion": "PublishVersion20150331",
        "PutFunctionConcurrency": "PutFunctionConcurrency20171031",
        "RemovePermission": "RemovePermission20150331v2",
        "TagResource": "TagResource20170331v2",
        "UntagResource": "UntagResource20170331v2",
        "UpdateAlias": "UpdateAlias20150331",
        "UpdateEventSourceMapping": "UpdateEventSourceMapping20150331",
        "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
        "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
    }
)

_S3 = {row.operation: row.event_name for row in (*OPERATIONS.values(), *LIST_CONFIGURATIONS.values())}
_BY_SERVICE: Mapping[str, Mapping[str, str]] = MappingProxyType({"lambda": LAMBDA, "s3": _S3})


def event_name(operation: Operation) -> str:
    """The ``eventName`` of an operation."""
    return _BY_SERVICE.get(operation.service.name, {}).get(operation.name, operation.name)


def _as_dated(service: Service) -> str:
    return service.api_version


API_VERSIONS: Mapping[str, Callable[[Service], str]] = MappingProxyType(
    {
        "route53": _as_dated,  # cloudtrail fact sheet 1.2, measured
        "elb": _as_dated,  # measured
        "elbv2": _as_dated,  # measured
        "logs": lambda service: service.api_version.replace("-", ""),  # measured: 20140328
        # CloudFront Developer Guide, CloudTrail entry UpdateDistribution: 2020_05_31
        "cloudfront": lambda service: service.api_version.replace("-", "_"),
        # DynamoDB Developer Guide, "Understanding DynamoDB log file entries": 2012-08-10, in streams' entries too
        "dynamodb": _as_dated,
        "dynamodbstreams": _as_dated,
    }
)
"""The services whose records have ``apiVersion``, and how they write the model's date."""


def api_version(operation: Operation) -> str | None:
    """The ``apiVersion`` of a call's record; None for services whose records have none."""
    form = API_VERSIONS.get(operation.service.name)
    return form(operation.service) if form is not None else None
