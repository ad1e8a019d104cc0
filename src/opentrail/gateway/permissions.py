"""Which permissions a call to a service of ours takes: IAM's action names, and the ARNs of the resources it names.

Rules (Service Authorization Reference). The action is the signing name and the operation. A resource that the request
names but that is not known is asked for under the ARN it would have; a call that names none is about ``*``. Handing a
role to a service takes ``iam:PassRole`` on that role besides. Names are the request's own: pure, nothing is looked up
but through ``Names`` and ``FindResource``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from opentrail.events.call import Call
from opentrail.identity.authorization import ResourcePolicy
from opentrail.identity.principal import PrincipalType

Tags = Sequence[tuple[str, str]]


class Names(Protocol):
    """What is known of IAM's own resources: ``identity.directory.Directory``, as far as it matters here."""

    def arn_of(self, account_id: str, kind: str, name: str) -> str | None:
        """The ARN, path and all, of an account's ``user``, ``group``, ``role``, ``policy`` or ``instance-profile``."""

    def tags_of_resource(self, arn: str) -> Tags:
        """The tags of one of IAM's resources."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as its service knows it. ``guard``: whose it is and its own policy, where its service has those."""

    arn: str
    tags: Tags = ()
    guard: ResourcePolicy | None = None


FindResource = Callable[[str, str, str, str], Resource | None]
"""Kind (``server``, ``backup``, ``trail``), account id, region and name (or ARN) to what the service knows of it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one resource, with the resource's tags and the condition keys that belong to this action alone."""

    action: str
    resource: str = "*"
    tags: Tags = ()
    passed_to: str = ""
    guard: ResourcePolicy | None = None


def nothing_known(_kind: str, _account_id: str, _region: str, _name: str) -> Resource | None:
    """A ``FindResource`` for services without resources of their own."""
    return None


def service_of(call: Call) -> str:
    """IAM's prefix of the service that a call is for (``opsworks-cm``)."""
    return call.event_source.partition(".")[0]


def permissions(call: Call, names: Names, find: FindResource) -> Iterator[Permission]:
    """Every permission that a call takes, the call's own first."""
    service = service_of(call)
    action = f"{_PREFIXES.get(service, service)}:{_ACTIONS.get((service, call.event_name), call.event_name)}"
    found = [Resource(arn, _tags_of(arn, names)) for arn in _iam(call, names)] if service == "iam" else []
    if service == "sts":
        found = _sts(call)
    elif service == "sns":
        found = list(_sns(call, find))
    elif service == "organizations":
        found = list(_organizations(call, find))
    elif service in _MEMBERS:
        found = list(_of_service(call, service, find))
    for resource in found or [Resource("*")]:
        yield Permission(action, resource.arn, resource.tags, guard=resource.guard)
    yield from _passed_roles(call, service, names)
    if service == "organizations" and call.event_name != "TagResource" and (call.parameters or {}).get("Tags"):
        yield Permission("organizations:TagResource")


_PREFIXES = {
    "sns": "SNS",  # as SNS's own policies and denials write it; case does not matter to the evaluator
    "tagging": "tag",
}
_ACTIONS = {("sns", "PublishBatch"): "Publish"}  # it has none of its own


# Request member -> kind of resource, per service; the first that a request has is what it is about.
_MEMBERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "opsworks-cm": (("ResourceArn", "arn"), ("ServerName", "server"), ("BackupId", "backup")),
    "cloudtrail": (
        ("EventDataStore", "eventdatastore"),
        ("Channel", "channel"),
        ("DashboardId", "dashboard"),
        ("TrailName", "trail"),
        ("InsightSource", "arn"),
        ("ResourceId", "arn"),
        ("ResourceArn", "arn"),
        ("ResourceIdList", "arn"),
        ("Name", "trail"),
    ),
}
# Operations whose ``Name`` is not a trail's.
_NAMED_KINDS = {
    "CreateChannel": "channel",
    "CreateDashboard": "dashboard",
    "CreateEventDataStore": "eventdatastore",
}
_PASSED_ROLES = {
    ("opsworks-cm", "CreateServer"): "ServiceRoleArn",
    ("cloudtrail", "CreateTrail"): "CloudWatchLogsRoleArn",
    ("cloudtrail", "UpdateTrail"): "CloudWatchLogsRoleArn",
    ("cloudtrail", "EnableFederation"): "FederationRoleArn",
}


def _of_service(call: Call, service: str, find: FindResource) -> Iterator[Resource]:
    parameters = call.parameters or {}
    for member, kind in _MEMBERS[service]:
        if value := parameters.get(member):
            meant = _NAMED_KINDS.get(call.event_name, kind) if member == "Name" else kind
            for name in value if isinstance(value, list) else [value]:
                yield _known(call, service, meant, name, find)
            return


def _known(call: Call, service: str, kind: str, name: str, find: FindResource) -> Resource:
    """What the service knows of a resource, or the ARN that it would have."""
    is_arn = name.startswith("arn:")
    if kind == "arn" and is_arn:
        kind = name.split(":", 5)[-1].partition("/")[0]
    found = find(kind, call.account_id, call.region, name)
    if found is not None:
        return found
    if is_arn:
        return Resource(name)
    ending = "/*" if kind == "server" else ""  # a server's ARN ends in an id that it does not have yet
    return Resource(f"arn:aws:{service}:{call.region}:{call.account_id}:{kind}/{name}{ending}")


def _sts(call: Call) -> list[Resource]:
    parameters = call.parameters or {}
    if role := parameters.get("RoleArn"):
        return [Resource(role)]
    if call.event_name == "GetFederationToken" and (name := parameters.get("Name")):
        return [Resource(f"arn:aws:sts::{call.account_id}:federated-user/{name}")]
    return []


def _sns(call: Call, find: FindResource) -> Iterator[Resource]:
    """The topic that a request is about, with its policy; a subscription is about its topic, without (Service
    Authorization Reference: topics are the only resources, and their policies know no action on subscriptions).
    """
    parameters = call.parameters or {}
    for member in ("TopicArn", "TargetArn", "ResourceArn", "Name"):
        if name := parameters.get(member):
            yield find("topic", call.account_id, call.region, name) or Resource(
                name if name.startswith("arn:") else f"arn:aws:sns:{call.region}:{call.account_id}:{name}"
            )
            return
    if arn := parameters.get("SubscriptionArn"):
        yield Resource(arn.rpartition(":")[0] or arn)


_ORGANIZATION_MEMBERS = (
    *("AccountId", "OrganizationalUnitId", "ParentId", "ChildId", "SourceParentId", "DestinationParentId"),
    *("HandshakeId", "ResourceId"),
)


def _organizations(call: Call, find: FindResource) -> Iterator[Resource]:
    """What a request to Organizations is about; where several members name something, it is about each."""
    parameters = call.parameters or {}
    target = parameters.get("Target") or {}
    named = [parameters.get(member) for member in _ORGANIZATION_MEMBERS]
    named.append(target.get("Id") if target.get("Type") == "ACCOUNT" else None)
    for name in filter(None, named):
        yield find("organizations", call.account_id, call.region, name) or Resource("*")


# Members that name one of IAM's resources by name: the kind of each, the most telling first.
_IAM_NAMES = (
    ("GroupName", "group"),
    ("InstanceProfileName", "instance-profile"),
    ("UserName", "user"),
    ("RoleName", "role"),
    ("VirtualMFADeviceName", "mfa"),
    ("ServerCertificateName", "server-certificate"),
)
_IAM_ARNS = ("PolicyArn", "OpenIDConnectProviderArn", "SAMLProviderArn", "SerialNumber", "PolicySourceArn", "Arn")
_IAM_LISTS = {
    "ListUsers": "user",
    "ListRoles": "role",
    "ListGroups": "group",
    "ListInstanceProfiles": "instance-profile",
    "ListServerCertificates": "server-certificate",
}


def _iam(call: Call, names: Names) -> Iterator[str]:
    """The ARN that an IAM request is about; none where it is about the account."""
    parameters = call.parameters or {}
    account = f"arn:aws:iam::{call.account_id}"
    own = _is_about_oneself(call)
    if own and call.principal.type is PrincipalType.IAM_USER:
        yield call.principal.arn
    elif own:
        yield f"{account}:root" if call.principal.type is PrincipalType.ROOT else f"{account}:user/*"
    elif call.event_name in _IAM_LISTS:
        yield f"{account}:{_IAM_LISTS[call.event_name]}{parameters.get('PathPrefix') or '/'}"
    elif call.event_name == "CreatePolicy":
        yield f"{account}:policy{parameters.get('Path') or '/'}{parameters['PolicyName']}"
    elif call.event_name == "CreateSAMLProvider":
        yield f"{account}:saml-provider/{parameters['Name']}"
    elif call.event_name == "CreateOpenIDConnectProvider":
        yield f"{account}:oidc-provider/{str(parameters['Url']).removeprefix('https://')}"
    else:
        yield from _iam_named(call, parameters, names)


def _iam_named(call: Call, parameters: Mapping[str, Any], names: Names) -> Iterator[str]:
    for member, kind in _IAM_NAMES:
        if name := parameters.get(member):
            known = None if "Path" in parameters else names.arn_of(call.account_id, kind, name)
            yield known or f"arn:aws:iam::{call.account_id}:{kind}{parameters.get('Path') or '/'}{name}"
            return
    for member in _IAM_ARNS:
        if arn := parameters.get(member):
            yield arn
            return


def _is_about_oneself(call: Call) -> bool:
    """Whether an operation takes a user's name and was not given one: then it is about the caller."""
    if call.event_name == "ChangePassword":
        return True
    shape = call.operation.input_shape if call.operation else None
    return shape is not None and "UserName" in shape.members and not (call.parameters or {}).get("UserName")


def _passed_roles(call: Call, service: str, names: Names) -> Iterator[Permission]:
    parameters = call.parameters or {}
    if arn := parameters.get(_PASSED_ROLES.get((service, call.event_name), "")):
        yield Permission("iam:PassRole", arn, _tags_of(arn, names), f"{service}.amazonaws.com")
    if (service, call.event_name) == ("iam", "AddRoleToInstanceProfile"):
        name = parameters["RoleName"]
        arn = names.arn_of(call.account_id, "role", name) or f"arn:aws:iam::{call.account_id}:role/{name}"
        yield Permission("iam:PassRole", arn, _tags_of(arn, names), "ec2.amazonaws.com")


def _tags_of(arn: str, names: Names) -> Tags:
    return tuple(names.tags_of_resource(arn))
