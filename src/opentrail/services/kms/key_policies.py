"""Key policies: every key has exactly one, called ``default``."""

from dataclasses import replace

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.access import Asker, verdict_on
from opentrail.kms.key import Key
from opentrail.kms.store import compiled_policy
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import Parts, Request, about
from opentrail.services.operation import operation
from opentrail.state.database import Unit

POLICY_NAME = "default"


class KeyPolicyOperations:
    """Operations on key policies."""

    parts: Parts

    @operation("GetKeyPolicy")
    def get_key_policy(self, call: Call, request: Request) -> Answer:
        """The key's policy as it was put."""
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.snapshot)
        _check_name(request)
        return about(key, {"Policy": key.policy_text, "PolicyName": POLICY_NAME})

    @operation("ListKeyPolicies")
    def list_key_policies(self, call: Call, request: Request) -> Answer:
        """The names of the key's policies: there is one."""
        key = self.parts.own_key(call, request["KeyId"], self.parts.keys.snapshot)
        return about(key, {"PolicyNames": [POLICY_NAME], "Truncated": False})

    @operation("PutKeyPolicy", writes=True)
    def put_key_policy(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Give a key another policy."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        _check_name(request)
        try:
            policy = compiled_policy(request["Policy"])
        except ValueError as problem:
            raise malformed(problem) from None
        changed = replace(key, policy_text=request["Policy"], policy=policy)
        if not request.get("BypassPolicyLockoutSafetyCheck"):
            check_lockout(self.parts.asker(call), changed)
        self.parts.keys.put(unit, changed)
        return about(changed)


def check_lockout(asker: Asker, key: Key) -> None:
    """Raise ApiError where the policy would keep the caller from changing it again (API Reference, PutKeyPolicy)."""
    if not verdict_on(asker, "kms:PutKeyPolicy", key).allowed:
        said = "The new key policy will not allow you to update the key policy in the future."
        raise ApiError("MalformedPolicyDocumentException", said)


def malformed(problem: ValueError) -> ApiError:
    """The refusal of a policy, with the reason."""
    return ApiError("MalformedPolicyDocumentException", str(problem))


def _check_name(request: Request) -> None:
    if request.get("PolicyName", POLICY_NAME) != POLICY_NAME:
        raise ApiError("NotFoundException", f"No policy named {request['PolicyName']}: a key's is called default")
