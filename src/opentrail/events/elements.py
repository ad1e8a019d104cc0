"""Parameters and responses in record form, by the service's model.

Rules (cloudtrail fact sheet 12.1, 12.3, 12.4):

* member names get their first letter lower-cased and nothing else, at every level; map keys are user data and stay;
* members that the model does not know are not recorded: nobody can say whether they are secret;
* absent and null members are absent; numbers and booleans keep their type; times have the service's own form;
* binary content is recorded by its size only;
* what the model marks ``sensitive``, or ``redaction`` names, is replaced whole, or left out where the service does
  that.

A shape is compiled once into a tree of nodes, which is kept as long as the shape itself lives.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from botocore.model import ListShape, MapShape, Shape, StructureShape

from opentrail.aws.model import Operation, Service
from opentrail.events.encoding import TOO_DEEP
from opentrail.events.redaction import Redaction, redaction_of
from opentrail.events.rendering import Blob, Content, Entries, Items, Members, Node, Secret, Time
from opentrail.events.timestamps import form_of


def request_elements(operation: Operation, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """``requestParameters`` for validated parameters in wire casing; empty where there is nothing to show."""
    return _elements(operation.input_shape, operation.service, parameters)


def response_elements(operation: Operation, response: Mapping[str, Any]) -> dict[str, Any]:
    """``responseElements`` for a handler's result in wire casing; empty where there is nothing to show."""
    return _elements(operation.output_shape, operation.service, response)


def secrets_in(operation: Operation, parameters: Mapping[str, Any]) -> list[str]:
    """The text of every secret value in the parameters, for scrubbing it from messages.

    Raises RecursionError for parameters nested beyond what Python can follow.
    """
    found: list[str] = []
    if operation.input_shape is not None:
        compiled(operation.input_shape, operation.service).collect(parameters, found)
    return found


def _elements(shape: StructureShape | None, service: Service, value: Mapping[str, Any]) -> dict[str, Any]:
    """Render one side of a call; operations without members on that side show nothing."""
    if shape is None or not value:
        return {}
    try:
        rendered = compiled(shape, service).render(value)
    except RecursionError:
        return dict(TOO_DEEP)
    return rendered if isinstance(rendered, dict) else {}


_compiled: WeakKeyDictionary[Shape, Node] = WeakKeyDictionary()


def compiled(shape: Shape, service: Service) -> Node:
    """The renderer of a shape. A shape belongs to one service, so the shape alone is the key."""
    node = _compiled.get(shape)
    if node is None:
        node = _compiled[shape] = _Compiler(service.event_source).node(shape)
    return node


class _Compiler:
    """Turns one shape, and all it refers to, into nodes. Structures are remembered by name, which closes recursion."""

    def __init__(self, event_source: str) -> None:
        self._redaction: Redaction = redaction_of(event_source)
        self._time = Time(form_of(event_source))
        self._structures: dict[str, Members] = {}

    def node(self, shape: Shape) -> Node:
        """The node for a shape that is not secret itself."""
        if isinstance(shape, StructureShape):
            return Content() if shape.is_document_type else self._structure(shape)
        if isinstance(shape, ListShape):
            return Items(self._inner(shape.member))
        if isinstance(shape, MapShape):
            if _is_marked(shape.key):
                return Secret(self._redaction.replacement)
            return Entries(self._inner(shape.value))
        if shape.type_name == "timestamp":
            return self._time
        return Blob() if shape.type_name == "blob" else Content()

    def _structure(self, shape: StructureShape) -> Node:
        """The node of a structure's members; each is known by its wire name and by the name it has in records."""
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members = self._structures[shape.name] = Members()
        for name, member in shape.members.items():
            # The model's name is used, not the serialised one: for the protocols served the two agree (12.1).
            members.add(name, name[:1].lower() + name[1:], self._member(shape.name, name, member))
        return members

    def _member(self, structure: str, name: str, shape: Shape) -> Node:
        """A member's node: a secret if the model or the table says so."""
        if _is_marked(shape) or (structure, name) in self._redaction.also:
            return Secret(self._redaction.replacement_for(structure, name))
        return self.node(shape)

    def _inner(self, shape: Shape) -> Node:
        """The node of a list's or map's content."""
        return Secret(self._redaction.replacement) if _is_marked(shape) else self.node(shape)


def _is_marked(shape: Shape) -> bool:
    """Whether the model carries the ``sensitive`` trait here."""
    return bool(shape.metadata.get("sensitive"))
