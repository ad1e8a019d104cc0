"""The refusals of Organizations, with the reasons that its model has."""

from opentrail.errors import ApiError


def not_in_use() -> ApiError:
    """AWSOrganizationsNotInUse: the caller's account is in no organization."""
    return ApiError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")


def denied() -> ApiError:
    """AccessDenied: another account of the organization may do this."""
    return ApiError("AccessDeniedException", "You don't have permissions to access this resource.")


def invalid(reason: str, text: str) -> ApiError:
    """InvalidInput, with the model's reason."""
    return ApiError("InvalidInputException", text, members={"Reason": reason})


def constraint(reason: str, text: str) -> ApiError:
    """ConstraintViolation, with the model's reason."""
    return ApiError("ConstraintViolationException", text, members={"Reason": reason})


def handshake_constraint(reason: str, text: str) -> ApiError:
    """HandshakeConstraintViolation, with the model's reason."""
    return ApiError("HandshakeConstraintViolationException", text, members={"Reason": reason})


def too_many_accounts(limit: int) -> ApiError:
    """ConstraintViolation: the organization is full."""
    return constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED", f"An organization has at most {limit} accounts.")


def in_an_organization() -> ApiError:
    """HandshakeConstraintViolation: an account that was invited has an organization already."""
    text = "The invited account is already a member of an organization."
    return handshake_constraint("ALREADY_IN_AN_ORGANIZATION", text)


def master_stays() -> ApiError:
    """MasterCannotLeaveOrganization."""
    text = "You can't remove the management account from an organization. Delete the organization instead."
    return ApiError("MasterCannotLeaveOrganizationException", text)


def no_account() -> ApiError:
    """AccountNotFound."""
    return ApiError("AccountNotFoundException", "You specified an account that doesn't exist.")


def no_unit() -> ApiError:
    """OrganizationalUnitNotFound."""
    text = "You specified an organizational unit that doesn't exist."
    return ApiError("OrganizationalUnitNotFoundException", text)


def no_parent(kind: str = "Parent") -> ApiError:
    """ParentNotFound, or SourceParentNotFound or DestinationParentNotFound by ``kind``."""
    return ApiError(f"{kind}NotFoundException", "You specified a root or organizational unit that doesn't exist.")


def no_handshake() -> ApiError:
    """HandshakeNotFound."""
    return ApiError("HandshakeNotFoundException", "You specified a handshake that doesn't exist.")


def no_target() -> ApiError:
    """TargetNotFound."""
    return ApiError("TargetNotFoundException", "You specified a target that doesn't exist.")


def duplicate_unit() -> ApiError:
    """DuplicateOrganizationalUnit."""
    return ApiError("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")


def not_registered() -> ApiError:
    """AccountNotRegistered."""
    text = "The provided account is not a registered delegated administrator for your organization."
    return ApiError("AccountNotRegisteredException", text)
