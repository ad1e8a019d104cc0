"""Which permissions a call to an upstream takes, whatever its service: IAM's actions, on the resources it names.

Rules (Service Authorization Reference). An action is the service's IAM prefix and the operation's name; the tables hold
what differs. Every action is asked for on every resource that the request is about (``events.call_facts.named_arns``),
and on ``*`` where it names none or the service's resources are not known here; what only lists or describes EC2's
resources is about ``*``. What a resource's own policy allows is not known here either. Pure: nothing is looked up.

Not known: resources of services that ``events.resource_rules`` does not name, other than by their ARN. There a policy
that allows or denies single resources does not match, and one that allows ``*`` does.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from opentrail.aws.model import Operation, Service
from opentrail.events.call_facts import named_arns
from opentrail.events.resource_arns import ARN_PREFIX, Place, from_template, service_of_arn, texts_at
from opentrail.gateway.permissions import Permission, Tags
from opentrail.identity.context import Values, request_tag_context, tag_keys, tag_pairs

PREFIXES: Mapping[str, str] = MappingProxyType(
    # By the name of the service's model, where the IAM prefix is not the signing name. Service Authorization Reference,
    # "Actions, resources, and condition keys for ...": the page of each service.
    {
        "apigatewayv2": "apigateway",
        "cloudcontrol": "cloudformation",
        "cloudwatch": "cloudwatch",
        "iot-data": "iot",
        "iot-jobs-data": "iotjobsdata",
        "iotsecuretunneling": "iot",
        "mturk": "mechanicalturk",
        "partnercentral-account": "partnercentral",
        "partnercentral-benefits": "partnercentral",
        "partnercentral-channel": "partnercentral",
        "partnercentral-selling": "partnercentral",
        "resourcegroupstaggingapi": "tag",
    }
)

ACTIONS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    # Operations whose actions have other names, on the same pages.
    {
        ("lambda", "Invoke"): ("InvokeFunction",),
        ("lambda", "InvokeWithResponseStream"): ("InvokeFunction",),
        ("lambda", "GetLayerVersionByArn"): ("GetLayerVersion",),
        ("sqs", "ChangeMessageVisibilityBatch"): ("ChangeMessageVisibility",),
        ("sqs", "DeleteMessageBatch"): ("DeleteMessage",),
        ("sqs", "SendMessageBatch"): ("SendMessage",),
        ("sns", "PublishBatch"): ("Publish",),
        ("dynamodb", "TransactGetItems"): ("GetItem",),
        ("bedrock-runtime", "Converse"): ("InvokeModel",),
        ("bedrock-runtime", "ConverseStream"): ("InvokeModelWithResponseStream",),
        ("bedrock-runtime", "StartAsyncInvoke"): ("InvokeModel",),
        ("cloudfront", "CreateDistributionWithTags"): ("CreateDistribution", "TagResource"),
        ("memorydb", "CreateACL"): ("CreateAcl",),
        ("memorydb", "DeleteACL"): ("DeleteAcl",),
        ("memorydb", "DescribeACLs"): ("DescribeAcls",),
        ("memorydb", "UpdateACL"): ("UpdateAcl",),
        ("timestream-query", "Query"): ("Select",),
        ("apigatewaymanagementapi", "PostToConnection"): ("ManageConnections",),
        ("apigatewaymanagementapi", "GetConnection"): ("ManageConnections",),
        ("apigatewaymanagementapi", "DeleteConnection"): ("ManageConnections",),
    }
)

# Roles that a request hands to a service take iam:PassRole besides (the "dependent actions" of the same pages): where
# the request names the role, and to whom it is handed.
PASSED_ROLES: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        ("cloudformation", "CreateChangeSet"): (("RoleARN", "cloudformation"),),
        ("cloudformation", "CreateStack"): (("RoleARN", "cloudformation"),),
        ("cloudformation", "DeleteStack"): (("RoleARN", "cloudformation"),),
        ("cloudformation", "UpdateStack"): (("RoleARN", "cloudformation"),),
        ("codebuild", "CreateProject"): (("serviceRole", "codebuild"),),
        ("codebuild", "UpdateProject"): (("serviceRole", "codebuild"),),
        ("ecs", "RegisterTaskDefinition"): (("taskRoleArn", "ecs-tasks"), ("executionRoleArn", "ecs-tasks")),
        ("ecs", "RunTask"): (("overrides.taskRoleArn", "ecs-tasks"), ("overrides.executionRoleArn", "ecs-tasks")),
        ("eks", "CreateCluster"): (("roleArn", "eks"),),
        ("eks", "CreateNodegroup"): (("nodeRole", "eks"),),
        ("events", "PutRule"): (("RoleArn", "events"),),
        ("events", "PutTargets"): (("Targets[].RoleArn", "events"),),
        ("glue", "CreateCrawler"): (("Role", "glue"),),
        ("glue", "CreateJob"): (("Role", "glue"),),
        ("lambda", "CreateFunction"): (("Role", "lambda"),),
        ("lambda", "UpdateFunctionConfiguration"): (("Role", "lambda"),),
        ("scheduler", "CreateSchedule"): (("Target.RoleArn", "scheduler"),),
        ("scheduler", "UpdateSchedule"): (("Target.RoleArn", "scheduler"),),
        ("stepfunctions", "CreateStateMachine"): (("roleArn", "states"),),
        ("stepfunctions", "UpdateStateMachine"): (("roleArn", "states"),),
    }
)

# KMS: each of the two actions is on its own key.
_RE_ENCRYPTION = (("ReEncryptFrom", "SourceKeyId"), ("ReEncryptTo", "DestinationKeyId"))

# AWS Billing: reading a budget and changing one are two actions, whatever the operation.
_BUDGETS = {"Describe": "ViewBudget", "List": "ListTagsForResource"}
_MODIFY_BUDGET = ("Create", "Delete", "Update")

_TRANSACTED = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_STATEMENT_PATHS = ("Statement", "Statements[].Statement", "TransactStatements[].Statement")
_STATEMENTS = {
    "select": "PartiQLSelect",
    "insert": "PartiQLInsert",
    "update": "PartiQLUpdate",
    "delete": "PartiQLDelete",
    "exists": "PartiQLSelect",
}
_API_GATEWAY = frozenset({"apigateway", "apigatewayv2"})
_ROLE = "arn:{partition}:iam::{account}:role/{name}"
_FIRST_WORD = re.compile(r"\s*([A-Za-z]{1,16})")
_PARAMETER_IN_PATH = re.compile(r"\{(\w+)\+?\}")
_ABOUT_EVERYTHING = {("lambda", "CreateEventSourceMapping"), ("sqs", "ListQueues")}
# RunInstances makes these, whose ids nobody knows yet.
_EC2 = "arn:{partition}:ec2:{region}:{account}:{name}"
_MADE_BY_RUN_INSTANCES = ("instance/*", "network-interface/*", "volume/*")


def upstream_permissions(
    operation: Operation, parameters: Mapping[str, Any] | None, place: Place
) -> Iterator[Permission]:
    """Every permission that a call takes; parameters are in wire casing, None where they could not be read."""
    given = parameters or {}
    yield from _special(operation, given, place) or _ordinary(operation, given, place)
    for path, service in PASSED_ROLES.get((operation.service.name, operation.name), ()):
        for role in texts_at(given, path):
            arn = role if role.startswith(ARN_PREFIX) else from_template(_ROLE, role, place)
            yield Permission("iam:PassRole", arn, passed_to=f"{service}.amazonaws.com")


def _ordinary(operation: Operation, parameters: Mapping[str, Any], place: Place) -> Iterator[Permission]:
    resources = _resources(operation, parameters, place)
    for action in iam_actions(operation, parameters):
        for resource in resources:
            yield Permission(action, resource)


def _special(operation: Operation, parameters: Mapping[str, Any], place: Place) -> Iterator[Permission] | None:
    """The permissions of calls whose actions are each on resources of their own; None for all others."""
    service, name = operation.service.name, operation.name
    if service in _API_GATEWAY:
        return iter((_api_gateway(operation, parameters, place),))
    if (service, name) == ("dynamodb", "TransactWriteItems"):
        return _transaction(operation, parameters, place)
    if (service, name) == ("kms", "ReEncrypt"):
        return _re_encryption(operation, parameters, place)
    return None


def undecoded_permission(service: Service, name: str) -> Permission:
    """The permission that a request takes which could not be read further than its operation's name, or not so far."""
    return Permission(f"{iam_prefix(service)}:{name}")


def tag_context(parameters: Mapping[str, Any] | None) -> Values:
    """The condition keys of the tags that a request gives or takes away."""
    given, taken = request_tags(parameters or {}), untagged_keys(parameters or {})
    return request_tag_context(given, taken) if given or taken else {}


def iam_prefix(service: Service) -> str:
    """IAM's prefix of a service: ``cloudwatch`` where requests are signed for ``monitoring``."""
    return PREFIXES.get(service.name) or service.signing_name


def iam_actions(operation: Operation, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The actions that an operation takes, with their prefix."""
    service, name = operation.service.name, operation.name
    names = ACTIONS.get((service, name), (name,))
    if service == "dynamodb" and name in {"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"}:
        names = _statement_actions(parameters)
    elif service == "budgets":
        names = _budget_actions(name)
    prefix = iam_prefix(operation.service)
    return tuple(f"{prefix}:{each}" for each in names)


def request_tags(parameters: Mapping[str, Any]) -> Tags:
    """The tags that a request gives, in any of the usual forms: lists of Key and Value in either case, or a map.

    EC2 gives them inside ``TagSpecifications``.
    """
    found: list[tuple[str, str]] = []
    for member in ("Tags", "tags", "TagList", "TagsList"):
        found += tag_pairs(parameters.get(member))
    specifications = parameters.get("TagSpecifications")
    for specification in specifications if isinstance(specifications, list | tuple) else ():
        if isinstance(specification, Mapping):
            found += tag_pairs(specification.get("Tags"))
    return tuple(dict.fromkeys(found))


def untagged_keys(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the tags that a request takes away."""
    return tuple(key for member in ("TagKeys", "tagKeys") for key in tag_keys(parameters.get(member)))


def _resources(operation: Operation, parameters: Mapping[str, Any], place: Place) -> list[str]:
    """What the actions are asked for on."""
    service, name = operation.service.name, operation.name
    if (service, name) in _ABOUT_EVERYTHING or (service == "ec2" and name.startswith("Describe")):
        return ["*"]
    found = named_arns(operation, parameters, place) or list(_own_arns(operation, parameters))
    if (service, name) == ("ec2", "RunInstances"):
        found += [from_template(_EC2, kind, place) for kind in _MADE_BY_RUN_INSTANCES]
    return found or ["*"]


def _own_arns(operation: Operation, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The first parameter called an ARN that names a resource of the service itself."""
    own = {iam_prefix(operation.service), operation.service.signing_name}
    for member in operation.input_shape.members if operation.input_shape is not None else ():
        if member.lower().endswith("arn"):
            for arn in texts_at(parameters, member):
                if service_of_arn(arn) in own:
                    yield arn
                    return


def _statement_actions(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """PartiQL's actions by the first word of each statement; all of them for one that begins otherwise."""
    found: dict[str, None] = {}
    for path in _STATEMENT_PATHS:
        for statement in texts_at(parameters, path):
            word = _FIRST_WORD.match(statement)
            action = _STATEMENTS.get(word[1].lower()) if word else None
            found.update(dict.fromkeys([action] if action else _STATEMENTS.values()))
    return tuple(found) or tuple(dict.fromkeys(_STATEMENTS.values()))


def _transaction(operation: Operation, parameters: Mapping[str, Any], place: Place) -> Iterator[Permission]:
    """A transaction takes the permission of each of its writes on that write's table."""
    items = parameters.get("TransactItems")
    found: dict[Permission, None] = {}
    for item in items if isinstance(items, list | tuple) else ():
        for member, action in _TRANSACTED.items():
            if isinstance(item, Mapping) and member in item:
                arns = named_arns(operation, {"TransactItems": [{member: item[member]}]}, place) or ["*"]
                found.update({Permission(f"dynamodb:{action}", arn): None for arn in arns})
    yield from found or [Permission(f"dynamodb:{action}") for action in _TRANSACTED.values()]


def _re_encryption(operation: Operation, parameters: Mapping[str, Any], place: Place) -> Iterator[Permission]:
    """A ciphertext may not name the key that it was made with; then it may be any."""
    for action, member in _RE_ENCRYPTION:
        arns = named_arns(operation, {member: parameters.get(member)}, place) or ["*"]
        for arn in arns:
            yield Permission(f"kms:{action}", arn)


def _api_gateway(operation: Operation, parameters: Mapping[str, Any], place: Place) -> Permission:
    """API Gateway's actions are HTTP methods, on the path as an ARN (``arn:aws:apigateway:region::/apis/id``)."""

    def filled(placeholder: re.Match[str]) -> str:
        shape = operation.input_shape
        for member, inner in (shape.members if shape is not None else {}).items():
            if inner.serialization.get("name", member) == placeholder[1]:
                value = parameters.get(member)
                return value if isinstance(value, str) and value else "*"
        return "*"

    path = _PARAMETER_IN_PATH.sub(filled, operation.http_uri.partition("?")[0]).removeprefix("/v2")
    return Permission(f"apigateway:{operation.http_method}", f"arn:{place.partition}:apigateway:{place.region}::{path}")


def _budget_actions(name: str) -> tuple[str, ...]:
    if "Action" in name or name in {"TagResource", "UntagResource"}:
        return (name,)
    if name.startswith(_MODIFY_BUDGET):
        return ("ModifyBudget",)
    return (next((action for beginning, action in _BUDGETS.items() if name.startswith(beginning)), name),)
