"""The service object that the dispatcher asks: every operation of STS that OpenTrail answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentrail.events.call import Call
from opentrail.identity.session_tokens import account_of_key_id
from opentrail.services.operation import operation
from opentrail.services.sts.assume_role import AssumeRoleOperations
from opentrail.services.sts.own_sessions import OwnSessionOperations
from opentrail.services.sts.parts import Parts
from opentrail.services.sts.refusals import invalid
from opentrail.services.sts.saml_roles import SamlOperations
from opentrail.services.sts.web_identity_roles import WebIdentityOperations

UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "AssumeRoot": "members of an organization have no central root access here",
        "GetDelegatedAccessToken": "there are no delegation requests to trade in",
        "GetWebIdentityToken": "OpenTrail is no OpenID Connect issuer",
    }
)
"""Operation -> why it is refused."""

UNSIGNED = frozenset({"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"})
"""What is called without a signature: the identity provider's own is the proof."""

OPEN_TO_ALL = UNSIGNED | {"AssumeRole", "GetCallerIdentity", "GetSessionToken"}
"""What needs no permission of the dispatcher's asking: nobody is refused who he is or MFA, and the handlers of the
AssumeRole operations ask trust and identity policies themselves.
"""


class StsService(AssumeRoleOperations, WebIdentityOperations, SamlOperations, OwnSessionOperations):
    """Handlers by API name are found with ``services.operation.handlers_of``."""

    def __init__(self, parts: Parts) -> None:
        """``parts`` is everything the handlers work with."""
        self.parts = parts

    @operation("GetCallerIdentity")
    def get_caller_identity(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The caller's account, unique id and ARN."""
        who = call.principal
        return {"Account": who.account_id, "UserId": who.principal_id, "Arn": who.arn}

    @operation("GetAccessKeyInfo")
    def get_access_key_info(self, _call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The account of an access key: a long-term one that is active, or a temporary one, whose id tells it."""
        access_key_id = request["AccessKeyId"]
        credential = self.parts.directory.credential(access_key_id)
        account_id = credential.principal.account_id if credential else account_of_key_id(access_key_id)
        if account_id is None or (credential is None and not self.parts.directory.has_account(account_id)):
            raise invalid("Access key is not valid.")
        return {"Account": account_id}

    @operation("DecodeAuthorizationMessage")
    def decode_authorization_message(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an encoded message about a denial in the caller's account says."""
        text = self.parts.denials.decode(request["EncodedMessage"], call.principal.account_id)
        return {"DecodedMessage": text}
