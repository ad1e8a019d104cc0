"""The tables of the events package against the models and the fact sheets."""

import re

import pytest

from opentrail.aws.model import Catalogue
from opentrail.events.classify import is_read_only
from opentrail.events.s3 import Location, identify
from opentrail.events.s3_operations import LIST_CONFIGURATIONS, NOT_SERVED, OPERATIONS

CATALOGUE = Catalogue()

# opsworks-cm fact sheet 11, after the IAM access levels.
OPSWORKS_READS = {
    "DescribeAccountAttributes",
    "DescribeBackups",
    "DescribeEvents",
    "DescribeNodeAssociationStatus",
    "DescribeServers",
    "ExportServerEngineAttribute",
    "ListTagsForResource",
}
# cloudtrail fact sheet 2.3, and the two operations that came later.
STS_WRITES = {
    "AssumeRoot",
    "GetDelegatedAccessToken",
    "GetFederationToken",
    "GetSessionToken",
    "GetWebIdentityToken",
}
CLOUDTRAIL_READS = re.compile(r"(Get|List|Describe|Lookup|Search)[A-Z].*")


@pytest.mark.parametrize(
    ("service", "reads"),
    [
        ("opsworkscm", OPSWORKS_READS),
        ("sts", set(CATALOGUE.service("sts").operation_names) - STS_WRITES),
        ("cloudtrail", {n for n in CATALOGUE.service("cloudtrail").operation_names if CLOUDTRAIL_READS.fullmatch(n)}),
    ],
)
def test_every_operation_is_classified_as_the_fact_sheets_say(service: str, reads: set[str]) -> None:
    """Exactly the operations that the fact sheets call reads have readOnly true."""
    modelled = CATALOGUE.service(service)
    assert reads <= set(modelled.operation_names)
    assert {name for name in modelled.operation_names if is_read_only(modelled.event_source, name)} == reads


def test_our_own_operations_are_classified() -> None:
    """opentrail's reads are reads although their names follow no AWS prefix; imports and starts are writes."""
    reads = ("SearchEvents", "CountEvents", "TailEvents", "GetAccessReport", "PreviewSelectors", "ListAccounts")
    assert all(is_read_only("opentrail.amazonaws.com", name) for name in reads)
    assert not any(is_read_only("opentrail.amazonaws.com", name) for name in ("ImportAccessKey", "StartValidation"))


# Deprecated spellings that share an address with the operation of today, and addresses of other endpoints.
UNREACHABLE = {
    "GetBucketLifecycle",
    "GetBucketNotification",
    "PutBucketLifecycle",
    "PutBucketNotification",
    "ListDirectoryBuckets",
    "WriteGetObjectResponse",
}


def _is_unserved(uri: str) -> bool:
    return any(f"?{selector}" in uri for selector in NOT_SERVED) or uri == "/{Bucket}/{Key+}?encryption"


def test_every_s3_operation_of_the_model_is_named_as_the_model_names_it() -> None:
    """A request made as the model says is identified as that operation, or it is one that is not served."""
    s3 = CATALOGUE.service("s3")
    for name in s3.operation_names:
        operation = s3.operation(name)
        if name in UNREACHABLE:
            continue
        path, _, query = operation.http_uri.partition("?")
        located = Location("b" if "{Bucket}" in path else "", "k" if "{Key+}" in path else "")
        assert operation.input_shape is not None
        in_query = {str(m.serialization.get("name")) for m in operation.input_shape.members.values()}
        required = in_query & {"uploadId", "partNumber", "id"}
        if located.key and not operation.name.startswith(("Upload", "Abort", "Complete", "ListParts")):
            required = set()
        pairs = [piece for piece in (query, *(f"{piece}=1" for piece in sorted(required))) if piece]
        headers = {"x-amz-copy-source": "b/k"} if "Copy" in name else {}
        call = identify(operation.http_method, located, "&".join(pairs), headers)
        if _is_unserved(operation.http_uri):
            assert call.unsupported, name
        else:
            assert call.operation == name
            assert call.iam_action.startswith("s3:")


def test_every_row_of_the_s3_table_is_an_operation_of_the_model() -> None:
    """The table invents no operation, CORS preflight excepted, which the model does not have."""
    rows = [*OPERATIONS.values(), *LIST_CONFIGURATIONS.values()]
    invented = {row.operation for row in rows} - set(CATALOGUE.service("s3").operation_names)
    assert invented == {"PreflightRequest"}
