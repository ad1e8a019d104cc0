"""The ARNs of the resources that a request names, for records and for permissions.

Rules: names are the request's own, nothing is looked up, and nothing here raises, whatever the parameters are: what is
no text names nothing. An ARN that was given is taken as it is; of a name, the ARN is made that it would have in the
caller's account and region. What the parameters of a service mean is in ``resource_rules``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

ARN_PREFIX = "arn:"
_ARN_FIELDS = 6
_ACCOUNT = re.compile(r"[0-9]{12}")


class Place(NamedTuple):
    """Where names without an account or region of their own are."""

    account_id: str
    region: str
    partition: str = "aws"


Maker = Callable[[str, Mapping[str, Any], Place], str | tuple[str, ...]]
"""Makes one ARN or several of a text, with the rest of the parameters at hand."""


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter that names resources.

    ``path`` leads to the names: members joined by dots, ``[]`` for the items of a list, ``{}`` for the keys of a map.
    ``make`` is a template of an ARN or a function. ``operations``: where the parameter means that; empty for all.
    """

    path: str
    make: str | Maker
    operations: frozenset[str] = frozenset()

    @property
    def member(self) -> str:
        """The member of the request that the path begins with."""
        return _steps(self.path)[0][0]

    def arns(self, parameters: Mapping[str, Any], place: Place) -> Iterator[str]:
        """The ARNs of what the parameter names; empty names name nothing."""
        for name in texts_at(parameters, self.path):
            if not isinstance(self.make, str):
                made = self.make(name, parameters, place)
                yield from (made,) if isinstance(made, str) else made
            elif name.startswith(ARN_PREFIX):
                yield name
            else:
                yield from_template(self.make, name, place)


def from_template(template: str, name: str, place: Place) -> str:
    """A template with its placeholders ``{partition}``, ``{region}``, ``{account}`` and ``{name}`` filled in."""
    return template.format(partition=place.partition, region=place.region, account=place.account_id, name=name)


def texts_at(parameters: Mapping[str, Any], path: str) -> Iterator[str]:
    """The texts that a path leads to, in order; nothing where the parameters have another form."""
    found: list[Any] = [parameters]
    for member, spread in _steps(path):
        below = [item[member] for item in found if isinstance(item, Mapping) and member in item]
        if spread == "":
            found = below
        elif spread == "[]":
            found = [item for items in below if isinstance(items, list | tuple) for item in items]
        else:
            found = [key for keyed in below if isinstance(keyed, Mapping) for key in keyed]
    return (item for item in found if isinstance(item, str) and item)


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[tuple[str, str], ...]:
    return tuple((step[:-2], step[-2:]) if step.endswith(("[]", "{}")) else (step, "") for step in path.split("."))


def account_of(arn: str) -> str:
    """The account that an ARN names; empty where it names none."""
    fields = arn.split(":", _ARN_FIELDS - 1)
    return fields[4] if len(fields) == _ARN_FIELDS and _ACCOUNT.fullmatch(fields[4]) else ""


def service_of_arn(arn: str) -> str:
    """The service that an ARN names; empty where it is none."""
    fields = arn.split(":", _ARN_FIELDS - 1)
    return fields[2] if len(fields) == _ARN_FIELDS and arn.startswith(ARN_PREFIX) else ""


def queue_arn(url: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """A queue's ARN, of its URL (``https://host/123456789012/name``), its ARN or its name."""
    if url.startswith(ARN_PREFIX):
        return url
    parts = [unquote(part, errors="replace") for part in url.split("/") if part]
    named = parts[-1] if parts else ""
    owner = parts[-2] if len(parts) > 1 and _ACCOUNT.fullmatch(parts[-2]) else place.account_id
    return f"arn:{place.partition}:sqs:{place.region}:{owner}:{named}"


def function_arn(name: str, parameters: Mapping[str, Any], place: Place) -> str:
    """A function's ARN with its qualifier, of an ARN, a partial one (``123456789012:function:name``) or a name.

    The three may end in ``:qualifier``; otherwise the parameter Qualifier is it (Lambda API Reference, FunctionName).
    """
    owner, region, partition, rest = place.account_id, place.region, place.partition, name
    if name.startswith(ARN_PREFIX):
        fields = name.split(":", _ARN_FIELDS - 1)
        if len(fields) < _ARN_FIELDS:
            return name
        _, partition, _, region, owner, rest = fields
    elif ":" in name and _ACCOUNT.fullmatch(before := name.partition(":")[0]):
        owner, rest = before, name.partition(":")[2]
    function, _, qualifier = rest.removeprefix("function:").partition(":")
    qualifier = qualifier or next(texts_at(parameters, "Qualifier"), "")
    arn = f"arn:{partition}:lambda:{region}:{owner}:function:{function}"
    return f"{arn}:{qualifier}" if qualifier else arn


def key_arn(key_id: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """A KMS key's ARN or an alias's: of a key id, ``alias/name`` or an ARN."""
    if key_id.startswith(ARN_PREFIX):
        return key_id
    kind = "" if key_id.startswith("alias/") else "key/"
    return f"arn:{place.partition}:kms:{place.region}:{place.account_id}:{kind}{key_id}"


def parameter_arn(name: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """An SSM parameter's ARN; a leading slash of its name, and a version or label after it, are no part of it."""
    if name.startswith(ARN_PREFIX):
        return name
    bare = name.removeprefix("/").partition(":")[0]
    return f"arn:{place.partition}:ssm:{place.region}:{place.account_id}:parameter/{bare}"


def table_arn(name: str, parameters: Mapping[str, Any], place: Place) -> str:
    """A DynamoDB table's ARN, or that of its index where IndexName names one."""
    is_arn = name.startswith(ARN_PREFIX)
    arn = name if is_arn else f"arn:{place.partition}:dynamodb:{place.region}:{place.account_id}:table/{name}"
    index = next(texts_at(parameters, "IndexName"), "")
    return f"{arn}/index/{index}" if index else arn


# PartiQL names tables after FROM, INTO and UPDATE, in quotes or not; an index follows after a dot.
_PARTIQL_TABLE = re.compile(r"\b(?:from|into|update)(?:\s*\"([^\"]{1,255})\"|\s+([\w-]{1,255}))", re.IGNORECASE)
_PARTIQL_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_PARTIQL_COMMENTS = ("--", "/*")


def statement_table_arns(statement: str, _parameters: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """The ARNs of the tables that a PartiQL statement names; any table's where that cannot be told.

    Permissions are asked for with these, so a statement must not hide its table: a word inside an identifier that looks
    like a table counts as one too, and a statement with a comment, in which anything could be, is about any table.
    """
    bare = _PARTIQL_QUOTED.sub(_without_literal, statement)
    if any(mark in bare for mark in _PARTIQL_COMMENTS):
        return (table_arn("*", {}, place),)
    names = dict.fromkeys(found[1] or found[2] for found in _PARTIQL_TABLE.finditer(bare))
    return tuple(table_arn(name, {}, place) for name in names or ("*",))


def _without_literal(quoted: re.Match[str]) -> str:
    """A quoted name as it is, a text without its content."""
    return quoted[0] if quoted[0].startswith('"') else "''"


def iterator_arn(shard_iterator: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """A DynamoDB stream's ARN, with which its shard iterators begin (``arn:...|1|...``); any stream's for others."""
    arn, bar, _ = shard_iterator.partition("|")
    if bar and service_of_arn(arn) == "dynamodb":
        return arn
    return f"arn:{place.partition}:dynamodb:{place.region}:{place.account_id}:table/*/stream/*"


def topic_arn(arn: str, _parameters: Mapping[str, Any], _place: Place) -> str:
    """The ARN of the topic that a subscription's ARN begins with."""
    return ":".join(arn.split(":")[:_ARN_FIELDS])


def log_group_arn(name: str, parameters: Mapping[str, Any], place: Place) -> str:
    """A log group's ARN as permissions have it, with the stream where one is named."""
    given = name if name.startswith(ARN_PREFIX) else None
    arn = given or f"arn:{place.partition}:logs:{place.region}:{place.account_id}:log-group:{name}"
    stream = next(texts_at(parameters, "logStreamName"), "")
    return f"{arn.removesuffix(':*')}:log-stream:{stream}"


def rule_arn(name: str, parameters: Mapping[str, Any], place: Place) -> str:
    """An EventBridge rule's ARN; the default bus is no part of it."""
    bus = next(texts_at(parameters, "EventBusName"), "default").rpartition("/")[2]
    inside = "" if bus == "default" else f"{bus}/"
    return f"arn:{place.partition}:events:{place.region}:{place.account_id}:rule/{inside}{name}"


def hosted_zone_arn(zone_id: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """A hosted zone's ARN; its id may come with its path (``/hostedzone/Z1``)."""
    return f"arn:{place.partition}:route53:::hostedzone/{zone_id.rpartition('/')[2]}"


# What EC2's ids begin with, where that is not the resource type itself.
_EC2_KINDS = {
    "ami": "image",
    "eni": "network-interface",
    "eipalloc": "elastic-ip",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "tgw": "transit-gateway",
    "vol": "volume",
    "vpce": "vpc-endpoint",
    "acl": "network-acl",
    "dopt": "dhcp-options",
    "pcx": "vpc-peering-connection",
    "vgw": "vpn-gateway",
    "cgw": "customer-gateway",
    "vpn": "vpn-connection",
    "eigw": "egress-only-internet-gateway",
    "fl": "vpc-flow-log",
    "key": "key-pair",
}
_OWNED_BY_NOBODY = frozenset({"image", "snapshot"})


def ec2_arn(resource_id: str, _parameters: Mapping[str, Any], place: Place) -> str:
    """The ARN of an EC2 resource, whose kind its id tells; images and snapshots name no account."""
    if resource_id.startswith(ARN_PREFIX):
        return resource_id
    beginning = resource_id.rpartition("-")[0]
    kind = _EC2_KINDS.get(beginning, beginning or "*")
    owner = "" if kind in _OWNED_BY_NOBODY else place.account_id
    return f"arn:{place.partition}:ec2:{place.region}:{owner}:{kind}/{resource_id}"
