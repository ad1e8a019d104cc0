"""The forms that requests and responses have in records: how members are named, and how lists stand.

Rules (cloudtrail fact sheet 12.1): most services lower the first letter of each member's name and change nothing else;
a few show the names as the model has them; EC2 has forms of its own (``ec2_forms``). Map keys are user data in every
form and stay.
"""

from typing import Protocol

from botocore.model import ListShape, Shape, StructureShape

from opentrail.events.rendering import Items, Members, Node
from opentrail.events.timestamps import Form as TimeForm
from opentrail.events.timestamps import form_of

AS_MODELLED = frozenset(
    {
        "account.amazonaws.com",
        "ce.amazonaws.com",
        "devops-guru.amazonaws.com",
        "resource-explorer-2.amazonaws.com",
    }
)
"""Event sources whose records keep the names of the wire (cloudtrail fact sheet 12.1, measured)."""


class Form(Protocol):
    """How one side of a call is shown."""

    def name(self, structure: StructureShape, member: str, shape: Shape, /) -> str:
        """The name that a member has in records."""

    def items(self, shape: ListShape, item: Node, /) -> Node:
        """The node of a list whose items are shown by ``item``."""

    def members(self, shape: StructureShape, /) -> Members:
        """A node for a structure, still empty."""

    def moments(self, event_source: str, /) -> TimeForm:
        """How points in time are written."""


class LowerFirst:
    """The first letter of each name is lowered, at every level: ``dBInstanceIdentifier``, ``aRN`` (trap 39)."""

    def name(self, _structure: StructureShape, member: str, _shape: Shape, /) -> str:
        """The model's name is used, not the serialised one: for the protocols served the two agree."""
        return lower_first(member)

    def items(self, _shape: ListShape, item: Node, /) -> Node:
        """A list is a list."""
        return Items(item)

    def members(self, _shape: StructureShape, /) -> Members:
        """A structure is a structure."""
        return Members()

    def moments(self, event_source: str, /) -> TimeForm:
        """The service's own form."""
        return form_of(event_source)


class AsModelled(LowerFirst):
    """The names of the wire, which for these services are the model's."""

    def name(self, _structure: StructureShape, member: str, _shape: Shape, /) -> str:
        """The name as it is."""
        return member


LOWER_FIRST: Form = LowerFirst()
AS_ON_THE_WIRE: Form = AsModelled()


def lower_first(name: str) -> str:
    """The name with its first letter lowered and nothing else."""
    return name[:1].lower() + name[1:]
