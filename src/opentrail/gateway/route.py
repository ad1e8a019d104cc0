"""Which service does a request mean? Pure: from the head (and what the signature claims) to a destination."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Service
from opentrail.aws.protocols import protocol_of
from opentrail.aws.sigv4 import Authorization
from opentrail.errors import ApiError
from opentrail.gateway.admit import Dialect

OWN_PATHS = "/_opentrail/"
"""Paths of our own on the endpoint; an underscore cannot start a bucket's name, so no S3 path is taken away."""

SNS_LINKS = f"{OWN_PATHS}sns/"
"""Where links in messages of SNS lead: calls without a signature, made by a browser."""

_UNSIGNED_BYTES_MAX = 256 * 1024  # twice the largest legal one: a SAML assertion of 100,000 characters, escaped


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: our own pages, the S3 door, or a service described by a model.

    ``services`` are those that it may mean, the likeliest first (services share signing names); none: nobody knows.
    """

    kind: Literal["own", "s3", "service"]
    services: tuple[Service, ...] = ()

    @property
    def service(self) -> Service | None:
        """The likeliest service."""
        return self.services[0] if self.services else None

    @property
    def dialect(self) -> Dialect:
        """The vocabulary in which refusals are told."""
        if self.kind == "s3":
            return Dialect.S3
        if self.service is not None and self.service.protocol in {"query", "ec2", "rest-xml"}:
            return Dialect.QUERY
        return Dialect.JSON


def destination(head: RequestHead, authorization: Authorization | None, catalogue: Catalogue) -> Destination:
    """Decide by path, X-Amz-Target, credential scope, then host.

    What carries none of these is S3: anonymous GETs of public objects, and browsers.
    """
    if head.path == SNS_LINKS and head.method == "GET" and head.query.startswith("Action="):
        return Destination("service", (catalogue.service("sns"),))
    if head.path.startswith(OWN_PATHS):
        return Destination("own")
    target = head.headers.get("x-amz-target")
    scoped = authorization.scope.service if authorization is not None else None
    if scoped == "s3" and target is None:
        return Destination("s3")
    services = catalogue.candidates(target=target, signing_name=scoped, host=head.host or None)
    if services and services[0].name != "s3":
        return Destination("service", services)
    if target is None and scoped is None and not is_form(head):
        return Destination("s3")
    return Destination("service")


def form_destination(head: RequestHead, body: bytes, services: Iterable[Service]) -> Destination:
    """Where a form goes that names no service in its head: unsigned calls of the Query protocol (SAML, web identity).

    ``services``: those served. Their API version and the operation's name tell them apart.
    """
    if not is_form(head) or len(body) > _UNSIGNED_BYTES_MAX:
        return Destination("service")
    for service in services:
        if service.protocol != "query":
            continue
        try:
            protocol_of(service).operation_name(service, head, body)
        except ApiError:
            continue
        return Destination("service", (service,))
    return Destination("service")


def is_form(head: RequestHead) -> bool:
    """Query-protocol calls come as forms, to the root path."""
    content_type = head.headers.get("content-type", "")
    return head.method == "POST" and head.path == "/" and content_type.startswith("application/x-www-form-urlencoded")
