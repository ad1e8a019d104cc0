"""What no account here can have, read as IAM shows an account that has none of it: auditing tools ask for all of it."""

from collections.abc import Mapping
from typing import Any

from opentrail.events.call import Call
from opentrail.services.iam import refusals
from opentrail.services.iam.parts import Surroundings, user_or_caller
from opentrail.services.operation import operation

Request = Mapping[str, Any]
Response = Mapping[str, Any]


class AbsentOperations(Surroundings):
    """Lists that are always empty, and the password policy that no account has; a part of ``IamService``."""

    @operation("GetAccountPasswordPolicy")
    def get_account_password_policy(self, call: Call, _request: Request) -> Response:
        """Raises ApiError NoSuchEntity: accounts keep IAM's default rules."""
        text = f"The Password Policy with domain name {call.account_id} cannot be found."
        raise refusals.not_found(text)

    @operation("ListServerCertificates")
    def list_server_certificates(self, _call: Call, _request: Request) -> Response:
        """None."""
        return {"ServerCertificateMetadataList": [], "IsTruncated": False}

    @operation("ListSigningCertificates")
    def list_signing_certificates(self, call: Call, request: Request) -> Response:
        """None, of a user that there is."""
        return self._nothing(call, request, "Certificates")

    @operation("ListSSHPublicKeys")
    def list_ssh_public_keys(self, call: Call, request: Request) -> Response:
        """None, of a user that there is."""
        return self._nothing(call, request, "SSHPublicKeys")

    @operation("ListServiceSpecificCredentials")
    def list_service_specific_credentials(self, call: Call, request: Request) -> Response:
        """None, of a user that there is, or of all users."""
        if request.get("AllUsers"):
            return {"ServiceSpecificCredentials": [], "IsTruncated": False}
        return self._nothing(call, request, "ServiceSpecificCredentials")

    def _nothing(self, call: Call, request: Request, member: str) -> Response:
        with self.parts.identities.database.read() as connection:
            user_or_caller(connection, call, request)
        return {member: [], "IsTruncated": False}
