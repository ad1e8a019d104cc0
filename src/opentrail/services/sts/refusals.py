"""Refusals in STS's words."""

from opentrail.errors import ApiError


def denied(message: str) -> ApiError:
    """AccessDenied, 403."""
    return ApiError("AccessDenied", message, status=403)


def not_authorized(arn: str, action: str, resource: str) -> ApiError:
    """The denial of a signed call: the same text whether the resource exists or not."""
    return denied(f"User: {arn or 'anonymous'} is not authorized to perform: {action} on resource: {resource}")


def invalid(message: str) -> ApiError:
    """ValidationError: a request that no caller may make."""
    return ApiError("ValidationError", message)
