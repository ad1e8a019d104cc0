"""Requests as botocore makes them, and answers as botocore understands them."""

import io
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from opentrail.aws.http import Reply, RequestHead
from opentrail.aws.model import Operation

ENDPOINT = "https://service.test"


@lru_cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol, include_validation=False)


@lru_cache
def _parser(protocol: str) -> Any:
    return create_parser(protocol)


def request_of_botocore(model: Any, protocol: str, parameters: dict[str, Any]) -> tuple[RequestHead, bytes]:
    """The request that botocore would sign and send for an operation (its OperationModel)."""
    made = _serializer(protocol).serialize_to_request(parameters, model)
    prepare_request_dict(made, ENDPOINT)
    prepared = create_request_object(made).prepare()
    parts = urlsplit(prepared.url)
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    body = prepared.body or b""
    return RequestHead(prepared.method, parts.path, parts.query, headers), body if isinstance(
        body, bytes
    ) else body.encode()


def answer_to_botocore(operation: Operation, model: Any, protocol: str, reply: Reply) -> dict[str, Any]:
    """An answer as botocore hands it to its caller; the body of a streaming answer read to its end."""
    body: Any = io.BytesIO(reply.body) if model.has_streaming_output else reply.body
    response = {"status_code": reply.status, "headers": HeadersDict(reply.headers), "body": body}
    parsed: dict[str, Any] = _parser(protocol).parse(response, operation.output_shape)
    return {name: value.read() if isinstance(value, io.BytesIO) else value for name, value in parsed.items()}


def error_to_botocore(protocol: str, reply: Reply) -> dict[str, Any]:
    """An error answer as botocore's ClientError carries it."""
    response = {"status_code": reply.status, "headers": HeadersDict(reply.headers), "body": reply.body}
    parsed: dict[str, Any] = _parser(protocol).parse(response, None)
    return parsed


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
