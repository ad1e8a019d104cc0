"""Which service does a request mean? Pure: from the head (and what the signature claims) to a destination."""

from dataclasses import dataclass
from typing import Literal

from opentrail.aws.http import RequestHead
from opentrail.aws.model import Catalogue, Service
from opentrail.aws.sigv4 import Authorization
from opentrail.gateway.admit import Dialect

OWN_PATHS = "/_opentrail/"
"""Paths of our own on the endpoint; an underscore cannot start a bucket's name, so no S3 path is taken away."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: our own pages, the S3 door, or a service described by a model (None: nobody knows)."""

    kind: Literal["own", "s3", "service"]
    service: Service | None = None

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
    if head.path.startswith(OWN_PATHS):
        return Destination("own")
    target = head.headers.get("x-amz-target")
    scoped = authorization.scope.service if authorization is not None else None
    if scoped == "s3" and target is None:
        return Destination("s3")
    service = catalogue.find(target=target, signing_name=scoped, host=head.host or None)
    if service is not None and service.name != "s3":
        return Destination("service", service)
    if target is None and scoped is None and not _is_form(head):
        return Destination("s3")
    return Destination("service", None)


def _is_form(head: RequestHead) -> bool:
    """Query-protocol calls come as forms, to the root path."""
    content_type = head.headers.get("content-type", "")
    return head.method == "POST" and head.path == "/" and content_type.startswith("application/x-www-form-urlencoded")
