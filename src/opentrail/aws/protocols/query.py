"""AWS Query: form fields in (``Action``, ``Version``, ``Tags.member.1.Key``), XML out. STS, IAM and SNS speak it.

List and map members are numbered from 1, flattened or not as the model says. Absent means absent; an empty text for a
list means the empty list. A refused value is never shown: messages are recorded and values may be secret.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation, Service, UnknownOperationError
from opentrail.aws.protocols import scalars, timestamps, xml
from opentrail.aws.protocols.form_fields import FormField, build_tree, parse_fields
from opentrail.errors import ApiError

_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


class QueryProtocol:
    """The protocol ``query``."""

    def operation_name(self, service: Service, head: RequestHead, body: bytes) -> str:
        """The operation in the ``Action`` field. Raises ApiError (MissingAction, InvalidAction, MalformedInput)."""
        fields = parse_fields(head.query, body)
        action = fields.get("Action", "")
        version = fields.get("Version", "NO_VERSION_SPECIFIED")
        if not action:
            raise ApiError("MissingAction", "The request is missing an action or a required parameter")
        if not (_NAME.fullmatch(action) and _NAME.fullmatch(version)):
            raise ApiError("InvalidAction", "The action or operation requested is invalid")
        try:
            known = version == service.api_version and service.operation(action)
        except UnknownOperationError:
            known = False
        if not known:
            raise ApiError("InvalidAction", f"Could not find operation {action} for version {version}")
        return action

    def parse(self, operation: Operation, head: RequestHead, body: bytes) -> dict[str, Any]:
        """The parameters among the form fields. Raises ApiError (MalformedInput, RequestEntityTooLargeException)."""
        tree = build_tree(parse_fields(head.query, body))
        return {} if operation.input_shape is None else _read_structure(operation.input_shape, tree, "")

    def serialise(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Reply:
        """An answer. Raises ValueError or TypeError where the result does not fit the model."""
        shape: Any = operation.output_shape
        parts = [_open(f"{operation.name}Response", operation.service.xml_namespace)]
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
            parts.append(f"<{wrapper}>")
            xml.members(parts, shape, result)
            parts.append(f"</{wrapper}>")
        elif result:
            raise ValueError(f"{operation.name} answers nothing, yet there is a result")
        parts.append(f"<ResponseMetadata><RequestId>{xml.escape(request_id)}</RequestId></ResponseMetadata>")
        parts.append(f"</{operation.name}Response>")
        return _reply(200, parts, request_id)

    def serialise_error(self, service: Service, error: ApiError, request_id: str) -> Reply:
        """An error with the code and status that the model gives it (``NotFoundException`` is sent as NotFound)."""
        shape = service.error_shape(error.code)
        modelled = shape.metadata.get("error", {}) if shape is not None else {}
        # 400 is what handlers raise by default; only then may the model know better.
        status = modelled.get("httpStatusCode", 400) if error.status == 400 else error.status
        sent = ApiError(modelled.get("code", error.code), error.message, status=status)
        return query_error(sent, request_id, service.xml_namespace)


def query_error(error: ApiError, request_id: str, namespace: str | None = None) -> Reply:
    """An error answer in the Query protocol's XML. The fault is the Receiver's from status 500 on."""
    parts = [
        _open("ErrorResponse", namespace),
        f"<Error><Type>{'Receiver' if error.status >= 500 else 'Sender'}</Type>",
        f"<Code>{xml.escape(error.code)}</Code><Message>{xml.escape(error.message)}</Message></Error>",
        f"<RequestId>{xml.escape(request_id)}</RequestId></ErrorResponse>",
    ]
    return _reply(error.status, parts, request_id)


def _open(name: str, namespace: str | None) -> str:
    return f'<{name} xmlns="{xml.escape(namespace)}">' if namespace else f"<{name}>"


def _reply(status: int, parts: list[str], request_id: str) -> Reply:
    headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
    return Reply(status, headers, "".join(parts).encode())


def _read(shape: Any, node: FormField, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _read_structure(shape, node, path)
    if kind == "list":
        return _read_list(shape, node, path)
    if kind == "map":
        return _read_map(shape, node, path)
    if node.text is None:
        raise _refused(path, kind)
    try:
        return _SCALARS.get(kind, str)(node.text)
    except ValueError:
        raise _refused(path, kind) from None


def _read_structure(shape: Any, node: FormField, path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        below = _find(node, name, member)
        if below is not None:
            result[name] = _read(member, below, f"{path}.{name}" if path else name)
    return result


def _find(node: FormField, name: str, member: Any) -> FormField | None:
    """The field of a member. A flattened list goes by its items' name, except for the text that says it is empty."""
    own = node.children.get(scalars.wire_name(member, name))
    if member.type_name == "list" and member.serialization.get("flattened"):
        return node.children.get(member.member.serialization.get("name", ""), own)
    return own


def _read_list(shape: Any, node: FormField, path: str) -> list[Any]:
    items: FormField | None = node
    if not shape.serialization.get("flattened"):
        items = node.children.get(scalars.wire_name(shape.member, "member"))
    if items is None or not items.children:
        if node.text == "":
            return []
        raise _refused(path, "list")
    return [_read(shape.member, item, f"{path}.{n}") for n, item in enumerate(items.numbered(), 1)]


def _read_map(shape: Any, node: FormField, path: str) -> dict[str, Any]:
    entries = node if shape.serialization.get("flattened") else node.children.get("entry", FormField())
    result: dict[str, Any] = {}
    for n, entry in enumerate(entries.numbered(), 1):
        key = entry.children.get(scalars.wire_name(shape.key, "key"))
        value = entry.children.get(scalars.wire_name(shape.value, "value"))
        if key is None or key.text is None or value is None:
            raise _refused(f"{path}.{n}", "map entry")
        result[key.text] = _read(shape.value, value, f"{path}.{n}")
    return result


def _integer(text: str, kind: str) -> int:
    if not _INTEGER.fullmatch(text) or not scalars.fits(kind, int(text)):
        raise ValueError(f"not {kind}")
    return int(text)


def _float(text: str) -> float:
    if text in scalars.SPECIAL_FLOATS:
        return scalars.SPECIAL_FLOATS[text]
    if not _FLOAT.fullmatch(text):
        raise ValueError("not a number")
    return float(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("not a boolean")
    return text.lower() == "true"


_SCALARS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "integer": lambda text: _integer(text, "integer"),
        "long": lambda text: _integer(text, "long"),
        "float": _float,
        "double": _float,
        "boolean": _boolean,
        "timestamp": timestamps.from_text,
        "blob": scalars.decode_blob,
    }
)


def _refused(path: str, kind: str) -> ApiError:
    return ApiError("MalformedInput", f"The value of {path[:200]} is not a valid {scalars.TYPE_WORDS.get(kind, kind)}")
