"""Which services the embedded MiniStack serves, by the names of botocore's models (measured with 1.5.33).

A name is here when MiniStack has a module for the service and answers at least one of its reads as the model says (an
error that the model knows counts: nothing is there to read). Every module knows only part of its operations and answers
the others with an error. Asked for any other service it reads all of botocore's models first, which costs it half a
gigabyte of memory for good: do not ask.

Left out although it answers: what OpenTrail and SeaweedFS serve (cloudtrail, iam, kms, sts, s3, s3control), Elastic
Load Balancing's first version and Neptune (answered by those of another service, in its shapes), Elasticsearch Service
and Kinesis Analytics 1 (only their successors are there), S3 Tables and S3 Files (they live on its own S3, not on
ours).

Older releases lack some of the modules, so what is installed is looked at.
"""

import importlib.util
from pathlib import Path

# Services whose module in MiniStack is named as their model is.
_SAME_NAME = frozenset(
    {
        *("account", "acm", "apigateway", "appconfig", "appsync", "athena", "autoscaling", "backup", "batch"),
        *("bedrock", "budgets", "cloudcontrol", "cloudformation", "cloudfront", "cloudwatch", "codebuild"),
        *("config", "cur", "dsql", "dynamodb", "ec2", "ecr", "ecs", "efs", "eks", "elasticache", "emr"),
        *("firehose", "glue", "inspector2", "iot", "kinesis", "kinesisanalyticsv2", "location"),
        *("mediaconnect", "mq", "mwaa", "opensearch", "opensearchserverless", "organizations", "pipes", "rds"),
        *("route53", "scheduler", "secretsmanager", "servicediscovery", "ses", "signer", "sns", "sqs", "ssm"),
        *("stepfunctions", "transcribe", "transfer", "translate"),
    }
)
_MODULES = {name: name for name in _SAME_NAME} | {
    "apigatewayv2": "apigateway",
    "appconfigdata": "appconfig",
    "bedrock-agent": "bedrock_agent",
    "bedrock-agent-runtime": "bedrock_agent_runtime",
    "bedrock-agentcore-control": "bedrock_agentcore",
    "bedrock-runtime": "bedrock_runtime",
    "cognito-identity": "cognito",
    "cognito-idp": "cognito",
    "docdb": "documentdb",
    "dynamodbstreams": "dynamodb_streams",
    "elbv2": "alb",
    "events": "eventbridge",
    "iot-data": "iot_data",
    "iot-jobs-data": "iot_jobs_data",
    "kafka": "msk",
    "lambda": "lambda_svc",
    "lambda-core": "lambda_core",
    "lambda-microvms": "lambda_microvms",
    "logs": "cloudwatch_logs",
    "rds-data": "rds_data",
    "resource-groups": "resource_groups",
    "resourcegroupstaggingapi": "tagging",
    "sesv2": "ses_v2",
    "waf": "waf_v1",
    "waf-regional": "waf_v1",
    "wafv2": "waf",
}


def served_by_ministack(package: str = "ministack") -> frozenset[str]:
    """The services that the installed MiniStack serves; none where it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    modules = {path.stem for folder in folders for path in (Path(folder) / "services").iterdir()}
    return frozenset(service for service, module in _MODULES.items() if module in modules)
