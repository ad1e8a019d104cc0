"""Temporary credentials for oneself, and for somebody whom one vouches for: GetSessionToken and GetFederationToken.

Rules. Both want long-term credentials. A session of GetSessionToken is the caller again, with the MFA that was shown; a
federated user is somebody else, with no more than what both the caller and the session policies allow.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.events.call import Call
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.services.operation import operation
from opentrail.services.sts import mfa, session_rules
from opentrail.services.sts.access import require
from opentrail.services.sts.parts import Parts, ends
from opentrail.services.sts.refusals import denied


class OwnSessionOperations:
    """Handlers of GetSessionToken and GetFederationToken."""

    parts: Parts

    @operation("GetSessionToken")
    def get_session_token(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Temporary credentials of the caller, with MFA where it is shown."""
        who, now = call.principal, self.parts.now()
        is_root = _require_long_term(call)
        shows_mfa = mfa.is_asked_for(request)
        if shows_mfa:
            device = self.parts.directory.mfa_device(request["SerialNumber"])
            mfa.verify(device, who, request["TokenCode"], self.parts.codes, self.parts.clock.now())
        duration_s = session_rules.own_duration(request.get("DurationSeconds"), is_root=is_root)
        context = SessionContext(created_at=now, expires_at=ends(now, duration_s), mfa_at=now if shows_mfa else None)
        return self.parts.issue(replace(who, session=context), request)

    @operation("GetFederationToken")
    def get_federation_token(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Temporary credentials of a federated user, who may do what both the caller and the session policies allow."""
        now, account_id = self.parts.now(), call.principal.account_id
        is_root = _require_long_term(call)
        tags = session_rules.session_tags(session_rules.requested_tags(request), (), None)
        policies = session_rules.session_policies(request)
        session_rules.require_usable(policies, account_id, self.parts.can_use)
        user = _federated_user(call.principal, request["Name"])
        if tags.tags:
            require(self.parts.directory, call, "sts:TagSession", user.arn)
        percent = session_rules.packed_percent(policies, tags)
        duration_s = session_rules.own_duration(request.get("DurationSeconds"), is_root=is_root)
        context = SessionContext(
            created_at=now,
            issuer=_issuer(call.principal),
            expires_at=ends(now, duration_s),
            tags=tags.tags,
            policies=policies.inline,
            policy_arns=policies.arns,
        )
        answer = self.parts.issue(replace(user, session=context), request)
        answer["FederatedUser"] = {"FederatedUserId": user.principal_id, "Arn": user.arn}
        return answer if percent is None else answer | {"PackedPolicySize": percent}


def _require_long_term(call: Call) -> bool:
    """Refuse temporary credentials; returns whether the caller is root."""
    who = call.principal
    if who.session is not None or who.type not in (PrincipalType.IAM_USER, PrincipalType.ROOT):
        raise denied(f"Cannot call {call.event_name} with session credentials")
    return who.type is PrincipalType.ROOT


def _federated_user(who: Principal, name: str) -> Principal:
    return Principal(
        PrincipalType.FEDERATED_USER,
        who.account_id,
        f"{who.account_id}:{name}",
        f"arn:aws:sts::{who.account_id}:federated-user/{name}",
    )


def _issuer(who: Principal) -> SessionIssuer:
    kind = "Root" if who.type is PrincipalType.ROOT else "IAMUser"
    return SessionIssuer(kind, who.principal_id, who.arn, who.account_id, who.user_name)
