"""Parameters and responses in record form, by the service's model.

Rules (cloudtrail fact sheet 12.1, 12.3, 12.4):

* members are named, and lists shown, in the service's form (``forms``, ``ec2_forms``); map keys are user data and stay;
* members that the model does not know are not recorded: nobody can say whether they are secret;
* absent and null members are absent; numbers and booleans keep their type; times have the service's own form;
* binary content is recorded by its size only;
* what the model marks ``sensitive``, or ``redaction`` names, is replaced whole or in part, or left out where the
  service does that; a response that is marked as a whole shows nothing.

A shape is compiled once into a tree of nodes, which is kept as long as the shape itself lives.
"""

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from botocore.model import ListShape, MapShape, Shape, StructureShape

from opentrail.aws.model import Operation
from opentrail.events import ec2_forms
from opentrail.events.encoding import TOO_DEEP
from opentrail.events.forms import AS_MODELLED, AS_ON_THE_WIRE, LOWER_FIRST, Form
from opentrail.events.redaction import HIDDEN, Part, Redaction, redaction_of
from opentrail.events.rendering import Blob, Content, Entries, Keys, Members, Node, Secret, Time


def request_elements(operation: Operation, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """``requestParameters`` for validated parameters in wire casing; empty where there is nothing to show."""
    shown = _elements(operation.input_shape, operation, parameters, _request_form)
    return ec2_forms.enclosed_request(operation, shown) if _is_ec2(operation) else shown


def response_elements(operation: Operation, response: Mapping[str, Any], *, request_id: str = "") -> dict[str, Any]:
    """``responseElements`` for a result in wire casing; empty where there is nothing to show.

    ``request_id`` stands in EC2's, which show it.
    """
    shown = _elements(operation.output_shape, operation, response, _response_form)
    return ec2_forms.enclosed_response(operation, shown, request_id) if _is_ec2(operation) else shown


def secrets_in(operation: Operation, parameters: Mapping[str, Any]) -> list[str]:
    """The text of every secret value in the parameters, for scrubbing it from messages.

    Raises RecursionError for parameters nested beyond what Python can follow.
    """
    found: list[str] = []
    if operation.input_shape is not None:
        _compiled(operation.input_shape, operation, _request_form).collect(parameters, found)
    return found


def _is_ec2(operation: Operation) -> bool:
    return operation.service.name == "ec2"


def _request_form(operation: Operation) -> Form:
    """How an operation's requests are shown."""
    if _is_ec2(operation):
        return ec2_forms.WRAPPED_REQUEST if ec2_forms.is_wrapped(operation) else ec2_forms.REQUEST
    return _common_form(operation)


def _response_form(operation: Operation) -> Form:
    """How an operation's responses are shown."""
    if _is_ec2(operation):
        return ec2_forms.WRAPPED_RESPONSE if ec2_forms.is_wrapped(operation) else ec2_forms.RESPONSE
    return _common_form(operation)


def _common_form(operation: Operation) -> Form:
    return AS_ON_THE_WIRE if operation.service.event_source in AS_MODELLED else LOWER_FIRST


def _elements(
    shape: StructureShape | None, operation: Operation, value: Mapping[str, Any], form: Callable[[Operation], Form]
) -> dict[str, Any]:
    """Render one side of a call; operations without members on that side show nothing."""
    if shape is None or not value:
        return {}
    try:
        rendered = _compiled(shape, operation, form).render(value)
    except RecursionError:
        return dict(TOO_DEEP)
    return rendered if isinstance(rendered, dict) else {}


_nodes: WeakKeyDictionary[Shape, Node] = WeakKeyDictionary()


def _compiled(shape: Shape, operation: Operation, form: Callable[[Operation], Form]) -> Node:
    """The renderer of one side of an operation. Each side has a shape object of its own, so that alone is the key."""
    node = _nodes.get(shape)
    if node is None:
        node = _nodes[shape] = _Compiler(operation.service.event_source, form(operation)).whole(shape)
    return node


class _Compiler:
    """Turns one shape, and all it refers to, into nodes. Structures are remembered by name, which closes recursion."""

    def __init__(self, event_source: str, form: Form) -> None:
        self._redaction: Redaction = redaction_of(event_source)
        self._form = form
        self._time = Time(form.moments(event_source))
        self._structures: dict[str, Members] = {}

    def whole(self, shape: Shape) -> Node:
        """The node for one side of a call, or for a list's or map's content."""
        return Secret(self._redaction.marked) if _is_marked(shape) else self.node(shape)

    def node(self, shape: Shape) -> Node:
        """The node for a shape that is not secret itself."""
        if isinstance(shape, StructureShape):
            return Content() if shape.is_document_type else self._structure(shape)
        if isinstance(shape, ListShape):
            return self._form.items(shape, self.whole(shape.member))
        if isinstance(shape, MapShape):
            if _is_marked(shape.key):
                return Secret(self._redaction.marked)
            return Entries(self.whole(shape.value))
        if shape.type_name == "timestamp":
            return self._time
        return Blob() if shape.type_name == "blob" else Content()

    def _structure(self, shape: StructureShape) -> Node:
        """The node of a structure's members; each is known by its wire name and by the name it has in records."""
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members = self._structures[shape.name] = self._form.members(shape)
        for name, member in shape.members.items():
            members.add(name, self._form.name(shape, name, member), self._member(shape.name, name, member))
        return members

    def _member(self, structure: str, name: str, shape: Shape) -> Node:
        """A member's node: a secret if the model or the table says so."""
        marked = _is_marked(shape)
        if not marked and not self._redaction.hides(structure, name):
            return self.node(shape)
        shown = self._redaction.shown_for(structure, name)
        if not isinstance(shown, Part):
            return Secret(shown)
        if isinstance(shape, MapShape) and not marked and not _is_marked(shape.key):
            return Keys() if shown is Part.KEYS else Entries(Secret(HIDDEN))
        if isinstance(shape, ListShape) and not marked and shown is Part.VALUES:
            return self._form.items(shape, Secret(HIDDEN))
        return Secret(HIDDEN)


def _is_marked(shape: Shape) -> bool:
    """Whether the model carries the ``sensitive`` trait here."""
    return bool(shape.metadata.get("sensitive"))
