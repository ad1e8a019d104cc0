"""What a failed answer says: code and message, as clients of each protocol find them.

Nothing here fails: an answer that says nothing readable stands for what its status means.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from xml.etree.ElementTree import Element

from opentrail.aws.http import Reply
from opentrail.aws.protocols import scalars
from opentrail.aws.protocols.xml_documents import local_name, read_document, text_of

_BY_STATUS: Mapping[int, str] = MappingProxyType(
    # AWS's common errors (cloudtrail fact sheet 0) where one has the status, else the status's own name.
    {
        400: "BadRequest",
        401: "NotAuthorized",
        403: "AccessDeniedException",
        404: "NotFound",
        405: "MethodNotAllowed",
        408: "RequestTimeout",
        409: "Conflict",
        412: "PreconditionFailed",
        413: "RequestEntityTooLargeException",
        429: "ThrottlingException",
        500: "InternalFailure",
        501: "NotImplemented",
        502: "BadGateway",
        503: "ServiceUnavailable",
        504: "GatewayTimeout",
    }
)
_CODE = re.compile(r"[A-Za-z0-9_.:/ -]{1,200}")
_MESSAGE_CHARS_MAX = 8192
_ERROR_DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What an error answer says: its code and message."""

    code: str
    message: str


def by_status(status: int) -> ErrorText:
    """The error that a status stands for by itself."""
    return ErrorText(_BY_STATUS.get(status, "InternalFailure" if status >= 500 else "BadRequest"), "")


def from_tree(reply: Reply, tree: Any) -> ErrorText:
    """An error in the headers and the decoded object of a JSON or CBOR answer.

    The code of a service that once spoke Query comes in ``x-amzn-query-error``, and that one is what clients raise.
    """
    members = tree if isinstance(tree, dict) else {}
    query_code, separator, _ = reply.headers.get("x-amzn-query-error", "").partition(";")
    candidates = (
        query_code if separator else "",
        _bare(reply.headers.get("x-amzn-errortype")),
        *(_bare(members.get(name)) for name in ("__type", "code", "Code")),
    )
    code = next((candidate for candidate in candidates if _CODE.fullmatch(candidate)), "")
    message = next((members[name] for name in ("message", "Message", "errorMessage") if members.get(name)), "")
    return _made(reply.status, code, message if isinstance(message, str) else "")


def from_xml(reply: Reply, body: bytes) -> ErrorText:
    """An error in XML: ``<ErrorResponse><Error>``, ``<Response><Errors><Error>`` or ``<Error>`` itself."""
    try:
        root = read_document(body, depth_max=_ERROR_DEPTH_MAX)
    except ValueError:
        return by_status(reply.status)
    error = _error_element(root)
    code = (text_of(error, "Code") or "").strip() if error is not None else ""
    message = text_of(error, "Message") or "" if error is not None else ""
    return _made(reply.status, code if _CODE.fullmatch(code) else "", message)


def _error_element(root: Element) -> Element | None:
    """The first ``Error``: the root, below it, or below its ``Errors``."""
    if local_name(root) == "Error":
        return root
    for child in root:
        if local_name(child) == "Error":
            return child
        if local_name(child) == "Errors":
            return next((error for error in child if local_name(error) == "Error"), None)
    return None


def _made(status: int, code: str, message: str) -> ErrorText:
    text = scalars.printable(message[:_MESSAGE_CHARS_MAX])
    return ErrorText(code or by_status(status).code, text)


def _bare(code: Any) -> str:
    """A code without namespace and without what follows a colon: ``ns#Code:http://...`` is ``Code``."""
    return code.partition(":")[0].rpartition("#")[2].strip() if isinstance(code, str) else ""
