"""EC2's records: requests and responses in the two forms that its API has had.

Rules (cloudtrail fact sheet 12.1, measured; public records where a line says so):

* operations of the first API, which had a SOAP binding, show lower camel names, and lists as sets:
  ``{"instancesSet": {"items": [{"instanceId": "i-1"}]}}``, empty ones as ``{}``. Their responses begin with
  ``requestId``, and have ``"_return": true`` where the API answers nothing but success;
* later operations show the request as it was sent, inside ``<Operation>Request``: capitals, lists without an
  envelope, each item with its position (``{"NatGatewayId": {"tag": 1, "content": "nat-1"}}``), one item without a
  list around it, and ``""`` for a request that says nothing. Their responses stand inside ``<Operation>Response``
  with ``xmlns`` and ``requestId``, as the XML had it;
* which operation is which: the model spells the parameter DryRun ``dryRun`` for those that had the SOAP binding. That
  agrees with every operation of which a public record is known. Operations without that parameter are of the first
  form, but for those in ``WRAPPED_WITHOUT_DRY_RUN``.

Not imitated: CloudTrail reads numbers into texts of the second form that look like them (an account id without its
zeros); types here are the model's.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from opentrail.aws.model import Operation
from opentrail.events.forms import LowerFirst, lower_first
from opentrail.events.rendering import Items, Members, Node
from opentrail.events.timestamps import Form as TimeForm
from opentrail.events.timestamps import iso_8601

# The SIEM on Amazon OpenSearch Service and Elastic's rules name AssociateIamInstanceProfileRequest; its three siblings
# came with the same API version.
WRAPPED_WITHOUT_DRY_RUN = frozenset(
    {
        "AssociateIamInstanceProfile",
        "DescribeIamInstanceProfileAssociations",
        "DisassociateIamInstanceProfile",
        "ReplaceIamInstanceProfileAssociation",
    }
)

# Lists of requests whose set is not called by the parameter's name (InternetGatewayId: internetGatewayIdSet), by that
# name.
SETS: Mapping[str, str] = MappingProxyType(
    {
        "InstanceId": "instancesSet",  # cloudtrail fact sheet 12.1, measured
        "Filter": "filterSet",  # measured
        "Value": "valueSet",  # measured
        "GroupId": "securityGroupIdSet",  # public records of DescribeSecurityGroups
        "GroupName": "securityGroupSet",  # public records of DescribeSecurityGroups
        "SecurityGroupId": "groupSet",  # public records of RunInstances and CreateNetworkInterface
        "ImageId": "imagesSet",  # public records of DescribeImages
        "Owner": "ownersSet",  # public records of DescribeImages and DescribeSnapshots
        "ExecutableBy": "executableBySet",  # public records of DescribeImages
        "SnapshotId": "snapshotSet",  # public records of DescribeSnapshots
        "RestorableBy": "sharedUsersSet",  # public records of DescribeSnapshots
        "VolumeId": "volumeSet",  # public records of DescribeVolumes
        "VpcId": "vpcSet",  # public records of DescribeVpcs
        "SubnetId": "subnetSet",  # native captures of an emulator's authors
        "KeyName": "keySet",  # native captures of an emulator's authors
        "PublicIp": "publicIpsSet",  # public records of DescribeAddresses
        "AllocationId": "allocationIdsSet",  # public records of DescribeAddresses
        "ZoneName": "availabilityZoneSet",  # public records of DescribeAvailabilityZones
        "ZoneId": "availabilityZoneIdSet",  # public records of DescribeAvailabilityZones
        "attributeName": "accountAttributeNameSet",  # public records of DescribeAccountAttributes
        "ResourceId": "resourcesSet",  # public records of CreateTags
        "BlockDeviceMapping": "blockDeviceMapping",  # public record of RunInstances (2019)
        "networkInterface": "networkInterfaceSet",  # public record of RunInstances (2019), as in its response
        "IpPermissions": "ipPermissions",  # as the sibling operations spell it in the model
        "Add": "add",  # as in the SOAP binding: launchPermission.add.items
        "Remove": "remove",
    }
)

# What one item of a list of texts is called, where the parameter's own name is not used.
ITEM_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "SecurityGroupId": "groupId",  # public records of RunInstances
        "SecurityGroup": "groupName",  # the response's name for it
        "RestorableBy": "user",  # as in the SOAP binding
    }
)

# Members with a name of their own, by structure and member.
NAMES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("ModifyInstanceAttributeRequest", "Groups"): "groupSet",  # the response's name for an instance's groups
    }
)

# Public record of RunInstances (2019): these stand inside instancesSet.
_OF_INSTANCES = ("imageId", "minCount", "maxCount")

# Public record of RunInstances (2019): the one list whose envelope is called ``item``.
_IN_ITEM = frozenset({"InstancePrivateIpAddressList", "NetworkInterfacePrivateIpAddressList"})


def is_wrapped(operation: Operation) -> bool:
    """Whether an operation's records have the second form."""
    shape = operation.input_shape
    dry_run = shape.members.get("DryRun") if shape is not None else None
    if dry_run is None:
        return operation.name in WRAPPED_WITHOUT_DRY_RUN
    return bool(dry_run.serialization.get("name") != "dryRun")


class Sets(Items):
    """A list of the first form."""

    __slots__ = ("_envelope", "_item_name")

    def __init__(self, item: Node, item_name: str | None, envelope: str = "items") -> None:
        super().__init__(item)
        self._item_name = item_name
        self._envelope = envelope

    def render(self, value: Any, /) -> Any:
        """``{"items": [...]}``; nothing but ``{}`` for an empty list. A text is a member of its item."""
        shown = super().render(value)
        if shown is None:
            return None
        if not shown:
            return {}
        return {self._envelope: shown if self._item_name is None else [{self._item_name: item} for item in shown]}


class Numbered(Items):
    """A list of a request of the second form."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """Each item with its position; a single one stands by itself."""
        shown = super().render(value)
        if shown is None:
            return None
        numbered = [
            {"tag": position, **(item if isinstance(item, dict) else {"content": item})}
            for position, item in enumerate(shown, 1)
        ]
        return numbered[0] if len(numbered) == 1 else numbered


class Elements(Items):
    """A list of a response of the second form."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """``{"item": ...}``: the item itself where there is one, ``""`` where there is none."""
        shown = super().render(value)
        if shown is None:
            return None
        if not shown:
            return ""
        return {"item": shown[0] if len(shown) == 1 else shown}


class _RunInstances(Members):
    """The request of RunInstances, in which what is to be launched is a set."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """The members, some of them inside ``instancesSet``."""
        shown = super().render(value)
        if not isinstance(shown, dict):
            return shown
        launched = {name: shown.pop(name) for name in _OF_INSTANCES if name in shown}
        return {"instancesSet": {"items": [launched]}, **shown} if launched else shown


class _TagSpecification(Members):
    """A tag specification, whose tags are a plain list called ``tags`` (public record of RunInstances, 2019)."""

    __slots__ = ()

    def render(self, value: Any, /) -> Any:
        """The members, the tags without their envelope."""
        shown = super().render(value)
        if isinstance(shown, dict) and isinstance(tags := shown.pop("tagSet", None), dict):
            shown["tags"] = tags.get("items", [])
        return shown


_UNLIKE_THE_API: Mapping[str, type[Members]] = MappingProxyType(
    {"RunInstancesRequest": _RunInstances, "TagSpecification": _TagSpecification}
)


class _Request(LowerFirst):
    """Requests of the first form."""

    def name(self, structure: StructureShape, member: str, shape: Shape, /) -> str:
        """Lower camel; lists are called sets unless the model spells them as the SOAP binding did."""
        named = NAMES.get((structure.name, member))
        wire_name = str(shape.serialization.get("name", member))
        if named is not None:
            return named
        if not isinstance(shape, ListShape):
            return lower_first(wire_name)
        is_of_soap = wire_name[:1].islower() or wire_name.endswith("Set")
        return SETS.get(wire_name) or lower_first(wire_name if is_of_soap else f"{wire_name}Set")

    def items(self, shape: ListShape, item: Node, /) -> Node:
        """A set, in which each text has a name."""
        wire_name = str(shape.serialization.get("name", ""))
        if isinstance(shape.member, StructureShape):
            return Sets(item, None)
        own = str(shape.member.serialization.get("name", "item"))
        name = wire_name if own == "item" else own
        return Sets(item, ITEM_NAMES.get(name) or lower_first(name) or None)

    def members(self, shape: StructureShape, /) -> Members:
        """Two structures differ from the API's: what RunInstances launches, and the tags of a specification."""
        return _UNLIKE_THE_API.get(shape.name, Members)()


class _Response(LowerFirst):
    """Responses of the first form."""

    def name(self, _structure: StructureShape, member: str, shape: Shape, /) -> str:
        """The name in the XML answer, in lower camel; ``return`` is a word of Java's."""
        name = lower_first(str(shape.serialization.get("name", member)))
        return "_return" if name == "return" else name

    def items(self, shape: ListShape, item: Node, /) -> Node:
        """A set."""
        return Sets(item, None, "item" if shape.name in _IN_ITEM else "items")


class _WrappedRequest(LowerFirst):
    """Requests of the second form: names and structure of the query."""

    def name(self, _structure: StructureShape, member: str, shape: Shape, /) -> str:
        """The parameter's name, with a capital as the protocol has it."""
        name = str(shape.serialization.get("queryName") or shape.serialization.get("name", member))
        return name[:1].upper() + name[1:]

    def items(self, _shape: ListShape, item: Node, /) -> Node:
        """Items with their positions."""
        return Numbered(item)

    def moments(self, _event_source: str, /) -> TimeForm:
        """As on the wire."""
        return iso_8601


class _WrappedResponse(_Response):
    """Responses of the second form: names and structure of the XML."""

    def name(self, _structure: StructureShape, member: str, shape: Shape, /) -> str:
        """The element's name."""
        return lower_first(str(shape.serialization.get("name", member)))

    def items(self, _shape: ListShape, item: Node, /) -> Node:
        """Elements called ``item``."""
        return Elements(item)

    def moments(self, _event_source: str, /) -> TimeForm:
        """As on the wire: CreateNatGateway's createTime (cloudtrail fact sheet 12.3)."""
        return iso_8601


REQUEST, RESPONSE = _Request(), _Response()
WRAPPED_REQUEST, WRAPPED_RESPONSE = _WrappedRequest(), _WrappedResponse()


def enclosed_request(operation: Operation, shown: dict[str, Any]) -> dict[str, Any]:
    """``requestParameters`` made of the members shown."""
    return {f"{operation.name}Request": shown or ""} if is_wrapped(operation) else shown


def enclosed_response(operation: Operation, shown: dict[str, Any], request_id: str) -> dict[str, Any]:
    """``responseElements`` made of the members shown."""
    if is_wrapped(operation):
        opening = {"xmlns": f"{operation.service.xml_namespace}/", "requestId": request_id}
        return {f"{operation.name}Response": {**opening, **shown}}
    if operation.output_shape is None:
        return {"requestId": request_id, "_return": True}
    return {"requestId": request_id, **shown}
