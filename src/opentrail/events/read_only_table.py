"""Operations whose names mislead about whether they only read, by event source; ``classify`` applies them.

Rules: a call that is wrongly taken for a write costs an intent, one wrongly taken for a read costs evidence. So what
hands out credentials or tokens, takes work from a queue, or starts something stays a write, whatever it is called, as
long as no record of AWS's shows otherwise. The names are event names. A test holds every line against the models.

Sources: what stands without a comment follows the access levels of the Service Authorization Reference ("Read" and
"List" against "Write"), for operations that the models do not mark; names that only compute an answer from what they
were sent (Detect, Validate, Evaluate, Test, Estimate) count as reads there.
"""

from collections.abc import Mapping
from types import MappingProxyType


def _table(rows: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({f"{source}.amazonaws.com": frozenset(names.split()) for source, names in rows.items()})


READS: Mapping[str, frozenset[str]] = _table(
    {
        # opsworks-cm fact sheet 11, after the IAM access levels.
        "opsworks-cm": "ExportServerEngineAttribute",
        # cloudtrail fact sheet 2.3.
        "sts": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity DecodeAuthorizationMessage",
        # Our own reads whose names the general rule does not know; each leaves everything as it was.
        "opentrail": "CountEvents TailEvents PreviewSelectors SimulatePolicy",
        "s3": "SelectObjectContent PreflightRequest",
        # Cryptography that changes nothing: log entries of the AWS KMS Developer Guide.
        "kms": """
            Decrypt Encrypt ReEncrypt GenerateDataKey GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext
            GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom Sign Verify VerifyMac
        """,
        # Public records of 2024: InvokeModel has readOnly true. Converse is the same action (Service Authorization
        # Reference: bedrock:InvokeModel).
        "bedrock": "InvokeModel InvokeModelWithResponseStream Converse ConverseStream ApplyGuardrail Retrieve",
        "dynamodb": "Query Scan TransactGetItems",
        "logs": "FilterLogEvents TestMetricFilter TestTransformer",
        "iam": "SimulateCustomPolicy SimulatePrincipalPolicy",
        "cloudformation": "BatchDescribeTypeConfigurations EstimateTemplateCost ValidateTemplate",
        "events": "TestEventPattern",
        "states": "ValidateStateMachineDefinition",
        "sns": "CheckIfPhoneNumberIsOptedOut",
        "ecr": "BatchCheckLayerAvailability ValidatePullThroughCacheRule",
        "ecr-public": "BatchCheckLayerAvailability",
        "config": "SelectAggregateResourceConfig SelectResourceConfig",
        "cognito-idp": """
            AdminGetDevice AdminGetUser AdminListDevices AdminListGroupsForUser AdminListUserAuthEvents
            AdminListUserSessions
        """,
        "servicediscovery": "DiscoverInstances DiscoverInstancesRevision",
        "rds": "DownloadDBLogFilePortion",
        "route53": "TestDNSAnswer",
        "route53domains": "CheckDomainAvailability CheckDomainTransferability ViewBilling",
        "servicecatalog": "ScanProvisionedProducts",
        "glue": "CheckSchemaVersionValidity QuerySchemaVersionMetadata",
        "codecommit": "BatchDescribeMergeConflicts EvaluatePullRequestApprovalRules",
        "clouddirectory": "BatchRead",
        "sagemaker": "BatchDescribeModelPackage QueryLineage RenderUiTemplate",
        "kendra": "Query Retrieve",
        "kendra-ranking": "Rescore",
        "forecast": "QueryForecast QueryWhatIfForecast",
        "timestream": "PrepareQuery",
        "sdb": "DomainMetadata Select",
        "datapipeline": "EvaluateExpression QueryObjects ValidatePipelineDefinition",
        "elasticbeanstalk": "CheckDNSAvailability RetrieveEnvironmentInfo ValidateConfigurationSettings",
        "iot": "TestAuthorization ValidateSecurityProfileBehaviors",
        "appsync": "EvaluateCode EvaluateMappingTemplate",
        "wafv2": "CheckCapacity",
        "swf": """
            CountClosedWorkflowExecutions CountOpenWorkflowExecutions CountPendingActivityTasks
            CountPendingDecisionTasks
        """,
        "rekognition": """
            CompareFaces DetectCustomLabels DetectFaces DetectLabels DetectModerationLabels
            DetectProtectiveEquipment DetectText RecognizeCelebrities
        """,
        "comprehend": """
            BatchDetectDominantLanguage BatchDetectEntities BatchDetectKeyPhrases BatchDetectSentiment
            BatchDetectSyntax BatchDetectTargetedSentiment ClassifyDocument ContainsPiiEntities
            DetectDominantLanguage DetectEntities DetectKeyPhrases DetectPiiEntities DetectSentiment DetectSyntax
            DetectTargetedSentiment DetectToxicContent
        """,
        "comprehendmedical": "DetectEntities DetectEntitiesV2 DetectPHI InferICD10CM InferRxNorm InferSNOMEDCT",
        "textract": "AnalyzeDocument AnalyzeExpense AnalyzeID DetectDocumentText",
        "translate": "TranslateDocument TranslateText",
        "polly": "SynthesizeSpeech",
        "osis": "ValidatePipeline",
        "auditmanager": "ValidateAssessmentReportIntegrity",
        "inspector": "PreviewAgents",
        "inspector-scan": "ScanSbom",
        "greengrass": "ResolveComponentCandidates",
        "gamelift": "ResolveAlias ValidateMatchmakingRuleSet",
        "mobiletargeting": "PhoneNumberValidate",
        "lightsail": "IsVpcPeered",
        # The model marks these as reads; the fact stands here too, for records made without the model at hand.
        "verifiedpermissions": "BatchIsAuthorized BatchIsAuthorizedWithToken IsAuthorized IsAuthorizedWithToken",
        "access-analyzer": "CheckAccessNotGranted CheckNoNewAccess CheckNoPublicAccess ValidatePolicy",
        "s3vectors": "QueryVectors",
    }
)
"""Reads whose names do not say so."""

WRITES: Mapping[str, frozenset[str]] = _table(
    {
        # cloudtrail fact sheet 2.3; the last two mint credentials as GetSessionToken does and are no reads either.
        "sts": "GetFederationToken GetSessionToken GetDelegatedAccessToken GetWebIdentityToken",
        # Cognito Developer Guide, CloudTrail entry GetCredentialsForIdentity: it has responseElements. The others
        # create identities or tokens.
        "cognito-identity": "GetCredentialsForIdentity GetId GetOpenIdToken GetOpenIdTokenForDeveloperIdentity",
        "cognito-idp": "GetTokensFromRefreshToken",
        "bedrock-agentcore": "GetWorkloadAccessToken GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId",
        "elasticmapreduce": "GetClusterSessionCredentials",
        "emr-containers": "GetManagedEndpointSessionCredentials",
        "lightsail": "GetInstanceAccessDetails",
        "redshift": "GetClusterCredentials GetClusterCredentialsWithIAM",
        "redshift-serverless": "GetCredentials",
        # Takes a task away from other workers.
        "states": "GetActivityTask",
        # Called a read by the models, and none by what they do: they cut off viewers, start and stop queries, or run
        # the query that they explain.
        "ivs": "BatchStartViewerSessionRevocation StartViewerSessionRevocation",
        "deadline": "StartSessionsStatisticsAggregation",
        "networkflowmonitor": """
            StartQueryWorkloadInsightsTopContributors StartQueryWorkloadInsightsTopContributorsData
            StopQueryWorkloadInsightsTopContributors StopQueryWorkloadInsightsTopContributorsData
        """,
        "neptune-db": "ExecuteOpenCypherExplainQuery",
    }
)
"""Writes whose names, or whose models, say that they read.

DynamoDB's ExecuteStatement is a write even for a SELECT (DynamoDB Developer Guide, CloudTrail entry ExecuteStatement),
and SQS's ReceiveMessage is one because it hides messages from others; neither has a name that reads.
"""
