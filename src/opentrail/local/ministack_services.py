"""Which services the embedded MiniStack serves, by the names of botocore's models (measured with 1.5.33).

A name is here when MiniStack has a module for the service and answers at least one of its reads as the model says (an
error that the model knows counts: nothing is there to read). Every module knows only part of its operations and answers
the others with an error. Asked for any other service it reads all of botocore's models first, which costs it half a
gigabyte of memory for good: do not ask.

Left out although it answers: what OpenTrail and SeaweedFS serve (cloudtrail, iam, sts, s3, s3control), Elastic Load
Balancing's first version and Neptune (answered by those of another service, in its shapes), Elasticsearch Service and
Kinesis Analytics 1 (only their successors are there), S3 Tables and S3 Files (they live on its own S3, not on ours).
"""

SERVED_BY_MINISTACK = frozenset(
    {
        *("account", "acm", "apigateway", "apigatewayv2", "appconfig", "appconfigdata", "appsync", "athena"),
        *("autoscaling", "backup", "batch", "bedrock", "bedrock-agent", "bedrock-agent-runtime"),
        *("bedrock-agentcore-control", "bedrock-runtime", "budgets", "cloudcontrol", "cloudformation", "cloudfront"),
        *("cloudwatch", "codebuild", "cognito-identity", "cognito-idp", "config", "cur", "docdb", "dsql"),
        *("dynamodb", "dynamodbstreams", "ec2", "ecr", "ecs", "efs", "eks", "elasticache", "elbv2", "emr", "events"),
        *("firehose", "glue", "inspector2", "iot", "iot-data", "iot-jobs-data", "kafka", "kinesis"),
        *("kinesisanalyticsv2", "kms", "lambda", "lambda-core", "lambda-microvms", "location", "logs"),
        *("mediaconnect", "mq", "mwaa", "opensearch", "opensearchserverless", "organizations", "pipes", "rds"),
        *("rds-data", "resource-groups", "resourcegroupstaggingapi", "route53", "scheduler", "secretsmanager"),
        *("servicediscovery", "ses", "sesv2", "signer", "sns", "sqs", "ssm", "stepfunctions", "transcribe"),
        *("transfer", "translate", "waf", "waf-regional", "wafv2"),
    }
)
