"""IAM's refusals, in AWS's words. The wire's codes and statuses (``NoSuchEntity``, 404) follow from the model."""

from opentrail.errors import ApiError
from opentrail.identity.iam_entities import Kind


def no_such(what: str, name: str) -> ApiError:
    """Nothing of that kind has that name."""
    return not_found(f"The {what} with name {name} cannot be found.")


def not_found(text: str) -> ApiError:
    """NoSuchEntity with a text of its own."""
    return ApiError("NoSuchEntityException", text)


def exists(text: str) -> ApiError:
    """EntityAlreadyExists."""
    return ApiError("EntityAlreadyExistsException", text)


def name_taken(kind: Kind, name: str) -> ApiError:
    """Another user, group or role has that name."""
    return exists(f"{kind.capitalize()} with name {name} already exists.")


def conflict(first: str) -> ApiError:
    """DeleteConflict: something has to be done first."""
    return ApiError("DeleteConflictException", f"Cannot delete entity, must {first} first.")


def quota(name: str, limit: int) -> ApiError:
    """LimitExceeded, with the quota's name as IAM has it."""
    return limit_exceeded(f"Cannot exceed quota for {name}: {limit}")


def limit_exceeded(text: str) -> ApiError:
    """LimitExceeded with a text of its own."""
    return ApiError("LimitExceededException", text)


def invalid(text: str) -> ApiError:
    """InvalidInput."""
    return ApiError("InvalidInputException", text)


def validation(text: str) -> ApiError:
    """ValidationError: what the model allows and the service does not."""
    return ApiError("ValidationError", text)


def malformed(reason: str) -> ApiError:
    """MalformedPolicyDocument, with the reason that the policy's reader gave."""
    return ApiError("MalformedPolicyDocumentException", reason)


def needs_user_name() -> ApiError:
    """The name can only be left out by users and root."""
    return validation("Must specify userName when calling with non-User credentials")
