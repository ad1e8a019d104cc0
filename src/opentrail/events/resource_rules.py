"""Which parameters name resources, service by service.

Rules: keyed by the name of the service's model. The first parameter of a row that a request has is what the request is
about, but for the services in ``ALL_NAMED``, whose requests are about everything they name. The forms of the ARNs are
those of the Service Authorization Reference ("Resource types defined by ..."). A test holds every path against the
models.
"""

from collections.abc import Mapping
from types import MappingProxyType

from opentrail.events.resource_arns import (
    Named,
    ec2_arn,
    function_arn,
    hosted_zone_arn,
    iterator_arn,
    key_arn,
    log_group_arn,
    parameter_arn,
    queue_arn,
    rule_arn,
    statement_table_arns,
    table_arn,
    topic_arn,
)


def _regional(service: str, kind: str) -> str:
    return f"arn:{{partition}}:{service}:{{region}}:{{account}}:{kind}{{name}}"


def _on(operations: str) -> frozenset[str]:
    return frozenset(operations.split())


_PARAMETERS = _on(
    "DeleteParameter GetParameter GetParameterHistory LabelParameterVersion PutParameter UnlabelParameterVersion"
)
_DOCUMENTS = _on(
    "CreateDocument DeleteDocument DescribeDocument DescribeDocumentPermission GetDocument ListDocumentVersions"
    " ModifyDocumentPermission UpdateDocument UpdateDocumentDefaultVersion"
)
_ZONES = _on("DeleteHostedZone GetHostedZone UpdateHostedZoneComment")

# A secret's ARN ends in six characters that its name does not tell; question marks stand for them, as in policies.
_SECRET = _regional("secretsmanager", "secret:") + "-??????"

_EC2_IDS = (
    *("InstanceId", "ImageId", "VolumeId", "SnapshotId", "SourceSnapshotId", "VpcId", "SubnetId", "GroupId"),
    *("NetworkInterfaceId", "RouteTableId", "InternetGatewayId", "NatGatewayId", "AllocationId", "NetworkAclId"),
    *("DhcpOptionsId", "VpcPeeringConnectionId", "VpnGatewayId", "CustomerGatewayId", "VpnConnectionId"),
    *("EgressOnlyInternetGatewayId", "LaunchTemplateId", "TransitGatewayId", "VpcEndpointId", "KeyPairId"),
)
_EC2_LISTS = (
    *("InstanceIds", "Resources", "SecurityGroupIds", "SubnetIds", "NatGatewayIds", "VpcEndpointIds", "FlowLogIds"),
    *("RouteTableIds", "ResourceIds"),
)

RULES: Mapping[str, tuple[Named, ...]] = MappingProxyType(
    {
        "sqs": (
            Named("QueueUrl", queue_arn),
            Named("QueueName", queue_arn),
            Named("SourceArn", queue_arn),
        ),
        "sns": (
            Named("TopicArn", _regional("sns", "")),
            Named("TargetArn", _regional("sns", "")),
            Named("SubscriptionArn", topic_arn),
            Named("ResourceArn", _regional("sns", "")),
            Named("EndpointArn", _regional("sns", "")),
            Named("PlatformApplicationArn", _regional("sns", "")),
            Named("Name", _regional("sns", ""), _on("CreateTopic")),
        ),
        "dynamodb": (
            Named("TableName", table_arn),
            Named("TableArn", table_arn),
            Named("ResourceArn", table_arn),
            Named("BackupArn", table_arn),
            Named("ExportArn", table_arn),
            Named("ImportArn", table_arn),
            Named("SourceTableArn", table_arn),
            Named("SourceTableName", table_arn),
            Named("TargetTableName", table_arn),
            Named("RequestItems{}", table_arn),
            *(
                Named(f"TransactItems[].{action}.TableName", table_arn)
                for action in ("Put", "Update", "Delete", "ConditionCheck", "Get")
            ),
            Named("Statement", statement_table_arns),
            Named("Statements[].Statement", statement_table_arns),
            Named("TransactStatements[].Statement", statement_table_arns),
            Named("GlobalTableName", "arn:{partition}:dynamodb::{account}:global-table/{name}"),
        ),
        "dynamodbstreams": (
            Named("StreamArn", _regional("dynamodb", "table/*/stream/")),
            Named("ShardIterator", iterator_arn),
            Named("TableName", _regional("dynamodb", "table/")),
        ),
        "kinesis": (
            Named("ConsumerARN", _regional("kinesis", "stream/")),
            Named("StreamARN", _regional("kinesis", "stream/")),
            Named("StreamName", _regional("kinesis", "stream/")),
            Named("ResourceARN", _regional("kinesis", "stream/")),
        ),
        "firehose": (Named("DeliveryStreamName", _regional("firehose", "deliverystream/")),),
        "lambda": (
            Named("UUID", _regional("lambda", "event-source-mapping:")),
            Named("FunctionName", function_arn),
            Named("Resource", _regional("lambda", "function:")),
            Named("LayerName", _regional("lambda", "layer:")),
            Named("CodeSigningConfigArn", _regional("lambda", "code-signing-config:")),
        ),
        "kms": (
            Named("SourceKeyId", key_arn),
            Named("DestinationKeyId", key_arn),
            Named("AliasName", key_arn),
            Named("TargetKeyId", key_arn),
            Named("KeyId", key_arn),
        ),
        "ssm": (
            Named("Names[]", parameter_arn, _on("GetParameters DeleteParameters")),
            Named("Path", parameter_arn, _on("GetParametersByPath")),
            Named("Name", parameter_arn, _PARAMETERS),
            Named("Name", _regional("ssm", "document/"), _DOCUMENTS),
            Named("DocumentName", _regional("ssm", "document/")),
            Named("Target", ec2_arn, _on("StartSession")),
        ),
        "secretsmanager": (
            Named("SecretId", _SECRET),
            Named("Name", _SECRET, _on("CreateSecret")),
        ),
        "cognito-identity": (Named("IdentityPoolId", _regional("cognito-identity", "identitypool/")),),
        "cognito-idp": (Named("UserPoolId", _regional("cognito-idp", "userpool/")),),
        "stepfunctions": (
            Named("stateMachineArn", _regional("states", "stateMachine:")),
            Named("executionArn", _regional("states", "execution:")),
            Named("activityArn", _regional("states", "activity:")),
            Named("resourceArn", _regional("states", "stateMachine:")),
            Named("name", _regional("states", "stateMachine:"), _on("CreateStateMachine")),
            Named("name", _regional("states", "activity:"), _on("CreateActivity")),
        ),
        "events": (
            Named("Rule", rule_arn),
            Named(
                "Name",
                rule_arn,
                _on("DeleteRule DescribeRule DisableRule EnableRule PutRule"),
            ),
            Named("Entries[].EventBusName", _regional("events", "event-bus/")),
            Named("Name", _regional("events", "event-bus/"), _on("CreateEventBus DeleteEventBus DescribeEventBus")),
            Named("ResourceARN", _regional("events", "rule/")),
        ),
        "logs": (
            Named("logGroupName", log_group_arn),
            Named("logGroupIdentifier", log_group_arn),
            Named("logGroupNames[]", log_group_arn),
            Named("logGroupIdentifiers[]", log_group_arn),
            Named("resourceArn", log_group_arn),
        ),
        "cloudformation": (
            Named("StackName", _regional("cloudformation", "stack/") + "/*"),
            Named("StackSetName", _regional("cloudformation", "stackset/") + ":*"),
        ),
        "cloudwatch": (
            Named("AlarmName", _regional("cloudwatch", "alarm:")),
            Named("AlarmNames[]", _regional("cloudwatch", "alarm:")),
            Named("DashboardName", "arn:{partition}:cloudwatch::{account}:dashboard/{name}"),
            Named("DashboardNames[]", "arn:{partition}:cloudwatch::{account}:dashboard/{name}"),
            Named("ResourceARN", _regional("cloudwatch", "alarm:")),
        ),
        "ecr": (
            Named("repositoryName", _regional("ecr", "repository/")),
            Named("repositoryNames[]", _regional("ecr", "repository/")),
            Named("resourceArn", _regional("ecr", "repository/")),
        ),
        "rds": (
            Named("DBInstanceIdentifier", _regional("rds", "db:")),
            Named("DBClusterIdentifier", _regional("rds", "cluster:")),
            Named("DBSnapshotIdentifier", _regional("rds", "snapshot:")),
            Named("DBClusterSnapshotIdentifier", _regional("rds", "cluster-snapshot:")),
            Named("ResourceName", _regional("rds", "db:")),
        ),
        "elasticache": (
            Named("CacheClusterId", _regional("elasticache", "cluster:")),
            Named("ReplicationGroupId", _regional("elasticache", "replicationgroup:")),
        ),
        "redshift": (Named("ClusterIdentifier", _regional("redshift", "cluster:")),),
        "route53": (
            Named("HostedZoneId", hosted_zone_arn),
            Named("Id", hosted_zone_arn, _ZONES),
        ),
        "es": (Named("DomainName", _regional("es", "domain/")),),
        "opensearch": (Named("DomainName", _regional("es", "domain/")),),
        "eks": (
            Named("clusterName", _regional("eks", "cluster/")),
            Named("name", _regional("eks", "cluster/")),
        ),
        "efs": (
            Named("FileSystemId", _regional("elasticfilesystem", "file-system/")),
            Named("AccessPointId", _regional("elasticfilesystem", "access-point/")),
        ),
        "athena": (Named("WorkGroup", _regional("athena", "workgroup/")),),
        "backup": (Named("BackupVaultName", _regional("backup", "backup-vault:")),),
        "elb": (Named("LoadBalancerName", _regional("elasticloadbalancing", "loadbalancer/")),),
        "elbv2": (
            Named("LoadBalancerArn", _regional("elasticloadbalancing", "loadbalancer/")),
            Named("TargetGroupArn", _regional("elasticloadbalancing", "targetgroup/")),
            Named("ListenerArn", _regional("elasticloadbalancing", "listener/")),
            Named("ResourceArns[]", _regional("elasticloadbalancing", "loadbalancer/")),
        ),
        "autoscaling": (
            Named("AutoScalingGroupName", _regional("autoscaling", "autoScalingGroup:*:autoScalingGroupName/")),
            Named(
                "LaunchConfigurationName",
                _regional("autoscaling", "launchConfiguration:*:launchConfigurationName/"),
            ),
        ),
        "ses": (Named("Source", _regional("ses", "identity/")),),
        "sesv2": (
            Named("FromEmailAddress", _regional("ses", "identity/")),
            Named("EmailIdentity", _regional("ses", "identity/")),
            Named("ConfigurationSetName", _regional("ses", "configuration-set/")),
        ),
        "ec2": (
            *(Named(name, ec2_arn) for name in _EC2_IDS),
            *(Named(f"{name}[]", ec2_arn) for name in _EC2_LISTS),
            Named("KeyName", _regional("ec2", "key-pair/")),
        ),
        "ebs": (
            Named("SnapshotId", ec2_arn),
            Named("FirstSnapshotId", ec2_arn),
            Named("SecondSnapshotId", ec2_arn),
        ),
        "cloudfront-keyvaluestore": (Named("KvsARN", "arn:{partition}:cloudfront::{account}:key-value-store/{name}"),),
        "cloudtrail-data": (Named("channelArn", _regional("cloudtrail", "channel/")),),
        "bedrock-runtime": (
            Named("modelId", "arn:{partition}:bedrock:{region}::foundation-model/{name}"),
            Named("guardrailIdentifier", _regional("bedrock", "guardrail/")),
        ),
        "bedrock-agent-runtime": (Named("knowledgeBaseId", _regional("bedrock", "knowledge-base/")),),
        "kinesis-video-media": (Named("StreamARN", _regional("kinesisvideo", "stream/")),),
        "kendra-ranking": (Named("RescoreExecutionPlanId", _regional("kendra-ranking", "rescore-execution-plan/")),),
    }
)
"""Rows of parameters, the most telling first."""

ALL_NAMED = frozenset({"dynamodb", "ec2", "ebs", "kms"})
"""Services whose requests are about every resource that they name (batches; a key and its alias)."""
