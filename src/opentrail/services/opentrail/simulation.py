"""SimulatePolicy: may this principal do this, and which statement decides. Nothing is carried out.

Rules. The verdict comes from the same evaluator as every real call's. A bucket's policy, and a role's trust policy for
``sts:AssumeRole``, are taken into account. What a condition asks for and the request does not give is absent, as it
would be in a real call without it. Callers may ask about their own account; those of the account that runs this
OpenTrail about any.
"""

from collections.abc import Mapping
from typing import Any

from opentrail.aws.arn import Arn, parse_arn
from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.authorization import (
    Explanation,
    ResourcePolicy,
    Verdict,
    assume_verdict,
    denial_text,
    explain,
)
from opentrail.identity.buckets import Buckets
from opentrail.identity.context import RequestFacts, request_context
from opentrail.identity.directory import Directory
from opentrail.identity.policy import AccessRequest
from opentrail.identity.principal import Principal, PrincipalType, SessionContext, SessionIssuer
from opentrail.services.operation import operation

_SESSION_NAME = "simulation"
_ASSUME = "sts:assumerole"


class PolicySimulation:
    """The handler of SimulatePolicy."""

    def __init__(self, directory: Directory, buckets: Buckets, operator_account_id: str) -> None:
        """``operator_account_id``: the account whose principals may ask about every account."""
        self._directory = directory
        self._buckets = buckets
        self._operator_account_id = operator_account_id

    @operation("SimulatePolicy")
    def simulate_policy(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The decision about one action of a principal on a resource, and what each policy says by itself.

        Raises ApiError ValidationException, PrincipalNotFoundException, AccessDeniedException.
        """
        principal = self._principal(call, request["PrincipalArn"])
        action, resource = request["Action"], request.get("Resource") or "*"
        facts = RequestFacts(at=call.received_at, region=call.region)
        context = self._directory.context_of(principal) | request_context(facts)
        del context["aws:securetransport"]  # nobody knows how the call would come
        context |= {item["Key"].lower(): tuple(item["Values"]) for item in request.get("Context") or ()}
        access = AccessRequest(principal, action, resource, context)
        explanation = self._explain(call, access)
        return _described(access, explanation)

    def _explain(self, call: Call, access: AccessRequest) -> Explanation:
        """What the evaluator says. Another account's bucket and trust policies are told to operators only; to others
        such a resource is one that allows nothing.
        """
        policies = self._directory.policies_of(access.principal)
        found = _arn(access.resource)
        if found is not None and found.service == "s3":
            bucket = self._buckets.find(found.resource.partition("/")[0])
            if bucket is not None:
                policy = bucket.policy_for(access.principal) if self._may_know(call, bucket.account_id) else None
                return explain(access, policies, resource=ResourcePolicy(bucket.account_id, policy))
        role = self._directory.role(access.resource) if access.action.lower() == _ASSUME else None
        if role is not None and self._may_know(call, role.account_id):
            verdict = assume_verdict(access, role.trust, policies, role.account_id)
            return Explanation(verdict, explain(access, policies).considered)
        owner = found.account_id if found is not None else ""
        return explain(access, policies, resource=ResourcePolicy(owner) if owner else None)

    def _may_know(self, call: Call, account_id: str) -> bool:
        return call.principal.account_id in {self._operator_account_id, account_id}

    def _principal(self, call: Call, text: str) -> Principal:
        arn = _arn(text)
        if arn is None or arn.service not in {"iam", "sts"} or not arn.account_id:
            raise ApiError("ValidationException", "PrincipalArn must be the ARN of a root, user, role or role session")
        if call.principal.account_id not in {self._operator_account_id, arn.account_id}:
            raise ApiError(
                "AccessDeniedException",
                f"User: {call.principal.arn} is not authorized to perform: opentrail:SimulatePolicy "
                "on principals of another account",
            )
        found = self._found(call, text, arn)
        if found is None:
            raise ApiError("PrincipalNotFoundException", f"There is no principal {text}")
        return found

    def _found(self, call: Call, text: str, arn: Arn) -> Principal | None:
        """The principal of an ARN; None where there is none."""
        account_id = arn.account_id
        kind, _, rest = arn.resource.partition("/")
        if kind == "root":
            known = self._directory.has_account(account_id)
            return Principal(PrincipalType.ROOT, account_id, account_id, text) if known else None
        if kind == "user":
            user = self._directory.user(account_id, rest.rpartition("/")[2])
            if user is None or user.arn != text:
                return None
            return Principal(PrincipalType.IAM_USER, account_id, user.user_id, text, user_name=user.name)
        session_name = _SESSION_NAME
        role_arn: str | None = text
        if kind == "assumed-role":
            name, _, session_name = rest.partition("/")
            role_arn = self._directory.arn_of(account_id, "role", name)
        role = self._directory.role(role_arn) if role_arn else None
        if role is None or not session_name:
            return None
        issuer = SessionIssuer("Role", role.role_id, role.arn, account_id, role.name)
        return Principal(
            PrincipalType.ASSUMED_ROLE,
            account_id,
            f"{role.role_id}:{session_name}",
            f"arn:aws:sts::{account_id}:assumed-role/{role.name}/{session_name}",
            session=SessionContext(call.received_at, issuer=issuer),
        )


def _arn(text: str) -> Arn | None:
    try:
        return parse_arn(text)
    except ValueError:
        return None


def _described(access: AccessRequest, explanation: Explanation) -> dict[str, Any]:
    verdict = explanation.verdict
    answer = _verdict(verdict) | {"Allowed": verdict.allowed}
    if not verdict.allowed:
        answer["Reason"] = denial_text(access, verdict)
    return answer | {"Considered": [_verdict(one) for one in explanation.considered]}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "Decision": verdict.decision.value,
        "Policy": verdict.policy,
        "Statement": verdict.statement,
        "PolicyType": verdict.limb.value,
    }
