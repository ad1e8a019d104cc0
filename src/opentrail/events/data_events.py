"""Which calls are data events, and the type under which their resources are recorded and selected.

Rules (cloudtrail fact sheet 6.5, appendix C; CloudTrail User Guide, "Logging data events", and the services' pages that
it links): data events reach a trail only where a selector asks for them. So only what such a page calls a data event
is one here; the rest are management events, for what reaches no trail unasked costs evidence. KMS and SSM are
management; S3 has its own table (``s3_operations``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class DataEvents(NamedTuple):
    """A service's data events: its operations, and the type of what they are about."""

    operations: frozenset[str]
    type: str


def _rows(rows: Mapping[str, tuple[str, str]]) -> Mapping[str, DataEvents]:
    return MappingProxyType({name: DataEvents(frozenset(names.split()), kind) for name, (kind, names) in rows.items()})


DATA_EVENTS: Mapping[str, DataEvents] = _rows(
    {
        # AWS Lambda Developer Guide, "Logging AWS Lambda API calls": function execution.
        "lambda": ("AWS::Lambda::Function", "Invoke InvokeAsync InvokeWithResponseStream"),
        # DynamoDB Developer Guide, "DynamoDB data plane events in CloudTrail".
        "dynamodb": (
            "AWS::DynamoDB::Table",
            """
            BatchExecuteStatement BatchGetItem BatchWriteItem DeleteItem ExecuteStatement ExecuteTransaction GetItem
            PutItem Query Scan TransactGetItems TransactWriteItems UpdateItem
            """,
        ),
        # The same page.
        "dynamodbstreams": ("AWS::DynamoDB::Stream", "GetRecords GetShardIterator"),
        # CloudTrail User Guide, "Logging data events", table.
        "sns": ("AWS::SNS::Topic", "Publish PublishBatch"),
        # SQS Developer Guide, "Logging Amazon SQS API calls using AWS CloudTrail": operations on messages.
        "sqs": (
            "AWS::SQS::Queue",
            """
            ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessage DeleteMessageBatch ReceiveMessage
            SendMessage SendMessageBatch
            """,
        ),
        # CloudTrail User Guide, "Logging data events", table: activity on streams and on consumers.
        "kinesis": ("AWS::Kinesis::Stream", "GetRecords GetShardIterator PutRecord PutRecords SubscribeToShard"),
        "firehose": ("AWS::KinesisFirehose::DeliveryStream", "PutRecord PutRecordBatch"),
        # Cognito Developer Guide, "Logging Amazon Cognito API calls", entries of identity pools.
        "cognito-identity": (
            "AWS::Cognito::IdentityPool",
            "GetCredentialsForIdentity GetId GetOpenIdToken GetOpenIdTokenForDeveloperIdentity UnlinkIdentity",
        ),
        # EBS User Guide, "Log API calls using AWS CloudTrail".
        "ebs": ("AWS::EC2::Snapshot", "GetSnapshotBlock ListChangedBlocks ListSnapshotBlocks PutSnapshotBlock"),
        # CloudFront Developer Guide, "Logging Amazon CloudFront API calls", KeyValueStore.
        "cloudfront-keyvaluestore": (
            "AWS::CloudFront::KeyValueStore",
            "DeleteKey DescribeKeyValueStore GetKey ListKeys PutKey UpdateKeys",
        ),
        # CloudTrail User Guide, "Logging data events", table.
        "cloudtrail-data": ("AWS::CloudTrail::Channel", "PutAuditEvents"),
        "appconfigdata": ("AWS::AppConfig::Configuration", "GetLatestConfiguration StartConfigurationSession"),
        "b2bi": ("AWS::B2BI::Transformer", "GetTransformerJob StartTransformerJob"),
        "kinesis-video-media": ("AWS::KinesisVideo::Stream", "GetMedia"),
        "kendra-ranking": ("AWS::KendraRanking::ExecutionPlan", "Rescore"),
        # CloudWatch User Guide, document history, 6 June 2024.
        "cloudwatch": ("AWS::CloudWatch::Metric", "GetMetricData GetMetricWidgetImage"),
        # Bedrock User Guide, "Monitor Amazon Bedrock API calls using CloudTrail": knowledge bases.
        "bedrock-agent-runtime": ("AWS::Bedrock::KnowledgeBase", "Retrieve RetrieveAndGenerate"),
    }
)
"""By the name of the service's model."""


def is_data_event(service: str, operation: str) -> bool:
    """Whether calls of an operation are data events (``managementEvent`` false)."""
    row = DATA_EVENTS.get(service)
    return row is not None and operation in row.operations
