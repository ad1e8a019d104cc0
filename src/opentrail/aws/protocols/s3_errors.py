"""S3's errors: their statuses, their XML, and what another S3 server's error says."""

from opentrail.aws.http import Reply
from opentrail.aws.protocols.error_texts import ErrorText
from opentrail.aws.protocols.s3_xml import document, element, local_name, read, text_of
from opentrail.errors import ApiError

__all__ = ["MAX_ERROR_BYTES", "ErrorText", "error_by_status", "error_reply", "read_error", "s3_error"]

# The codes that are raised here, with S3's status and wording (Amazon S3 API Reference, "Error responses").
_ERRORS: dict[str, tuple[int, str]] = {
    "AccessControlListNotSupported": (400, "The bucket does not allow ACLs"),
    "AccessDenied": (403, "Access Denied"),
    "BadDigest": (400, "The Content-MD5 or checksum value that you specified did not match what the server received."),
    "BucketAlreadyExists": (
        409,
        (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Select a different name and try again."
        ),
    ),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "IncompleteBody": (400, "You did not provide the number of bytes specified by the Content-Length HTTP header"),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidTag": (400, "The tag provided was not a valid tag."),
    "MalformedPolicy": (400, "This policy contains invalid Json"),
    "MalformedXML": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchPublicAccessBlockConfiguration": (404, "The public access block configuration was not found"),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "SignatureDoesNotMatch": (
        403,
        (
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method."
        ),
    ),
    "XAmzContentSHA256Mismatch": (400, "The provided 'x-amz-content-sha256' header does not match what was computed."),
}

# What a HEAD answer without a body means, by its status.
_BY_STATUS = {
    304: "NotModified",
    400: "BadRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    416: "InvalidRange",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}
MAX_ERROR_BYTES = 64 * 1024


def s3_error(code: str, message: str = "") -> ApiError:
    """An S3 error by its code, with S3's status, and S3's wording where none is given."""
    status, text = _ERRORS[code]
    return ApiError(code, message or text, status=status)


def error_reply(error: ApiError, *, resource: str, request_id: str, host_id: str, method: str) -> Reply:
    """The answer that tells an S3 client of an error; a HEAD request's has no body."""
    headers = {"x-amz-request-id": request_id, "x-amz-id-2": host_id, "content-type": "application/xml"}
    if error.status == 304 or method == "HEAD":
        return Reply(error.status, headers, b"")
    inside = (
        element("Code", error.code)
        + element("Message", error.message)
        + element("Resource", resource)
        + element("RequestId", request_id)
        + element("HostId", host_id)
    )
    return Reply(error.status, headers, document("Error", inside, namespace=False))


def read_error(status: int, body: bytes) -> ErrorText:
    """What another server's error answer says; from the status alone where the body is no S3 error."""
    try:
        root = read(body)
    except ValueError:
        return error_by_status(status)
    code = text_of(root, "Code")
    if local_name(root) != "Error" or not code:
        return error_by_status(status)
    return ErrorText(code, text_of(root, "Message") or "")


def error_by_status(status: int) -> ErrorText:
    """The error that a status stands for by itself."""
    code = _BY_STATUS.get(status, "InternalError" if status >= 500 else "InvalidRequest")
    return ErrorText(code, _ERRORS[code][1] if code in _ERRORS else code)
