"""AWS STS: who am I."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentrail.events.call import Call
from opentrail.services.operation import operation

_LATER = "temporary credentials are not issued yet; import a session with `opentrail keys import --role`"


UNSUPPORTED: Mapping[str, str] = MappingProxyType(
    {
        "AssumeRole": _LATER,
        "AssumeRoleWithSAML": _LATER,
        "AssumeRoleWithWebIdentity": _LATER,
        "AssumeRoot": _LATER,
        "DecodeAuthorizationMessage": "denials carry no encoded message yet",
        "GetAccessKeyInfo": "not served yet",
        "GetDelegatedAccessToken": _LATER,
        "GetFederationToken": _LATER,
        "GetSessionToken": _LATER,
        "GetWebIdentityToken": _LATER,
    }
)


OPEN_TO_ALL = frozenset({"GetCallerIdentity"})
"""No policy is needed to ask who one is, as on AWS."""


class StsService:
    """Handlers of STS."""

    @operation("GetCallerIdentity")
    def get_caller_identity(self, call: Call, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The caller's account, unique id and ARN."""
        who = call.principal
        return {"Account": who.account_id, "UserId": who.principal_id, "Arn": who.arn}
