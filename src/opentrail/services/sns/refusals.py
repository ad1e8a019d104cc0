"""SNS's refusals, in AWS's words. The wire's codes and statuses (``NotFound``, 404) follow from the model."""

from opentrail.errors import ApiError


def invalid(what: str, reason: str = "") -> ApiError:
    """InvalidParameter, with the parameter and, where AWS tells it, the reason."""
    text = f"Invalid parameter: {what}"
    return ApiError("InvalidParameterException", f"{text} Reason: {reason}" if reason else text)


def no_topic() -> ApiError:
    """NotFound, for a topic."""
    return ApiError("NotFoundException", "Topic does not exist")


def no_subscription() -> ApiError:
    """NotFound, for a subscription."""
    return ApiError("NotFoundException", "Subscription does not exist")


def no_resource() -> ApiError:
    """ResourceNotFound, as the operations on tags have it."""
    return ApiError("ResourceNotFoundException", "Resource does not exist")


def denied(text: str) -> ApiError:
    """AuthorizationError."""
    return ApiError("AuthorizationErrorException", text)
