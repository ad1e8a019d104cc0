"""One request to a Chef server on a connection of its own: bounded, never redirected, and no error repeats a body."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from opentrail.errors import OutboundError


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    limit_bytes: int,
    shown: str,
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer and its body, up to a limit; the connection is closed. ``shown`` stands for the request in errors.

    Raises OutboundError ConnectionError.
    """
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        return response, response.read(limit_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise OutboundError("ConnectionError", f"{shown}: {_reason(error)}") from error
    finally:
        connection.close()


def encoded(body: Mapping[str, Any] | None) -> bytes:
    """A body in JSON; nothing for None."""
    return b"" if body is None else json.dumps(body).encode("utf-8")


def decoded(content: bytes) -> object:
    """What a body in JSON says; None where it is none."""
    try:
        answer: object = json.loads(content)
    except ValueError:
        return None
    return answer


def _reason(error: Exception) -> str:
    return error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else type(error).__name__
