"""KMS as boto3 sees it: a real client whose requests go through our protocol, checks and handlers, without a socket."""

import json
from typing import Any

from opentrail.events.call import Call
from opentrail.gateway.authorise import call_context
from opentrail.identity.authorization import NO_POLICIES, NamedPolicy, PolicySet
from opentrail.identity.policy import parse_identity
from opentrail.identity.principal import Principal, PrincipalType
from opentrail.kms.store import Keys
from opentrail.kms.vault import Vault
from opentrail.services.kms import KmsService
from opentrail.services.kms.parts import Parts
from opentrail.services.kms.schedule import KeySchedule
from opentrail.state.sealing import Seal
from tests.support.iam_world import ACCOUNT, OTHER, IamWorld

__all__ = ["ACCOUNT", "OTHER", "KmsWorld", "allow", "policy_text"]


class KmsWorld(IamWorld):
    """Two accounts and KMS over an in-memory database; ``user`` makes callers with policies of their own."""

    served = "kms"

    def implementation(self) -> object:
        self.seal = Seal(b"k" * 32, self.entropy)
        self.keys = Keys(self.database, self.seal)
        self.schedule = KeySchedule(self.keys, self.clock, self.entropy)
        self.policies: dict[str, PolicySet] = {}
        parts = Parts(
            keys=self.keys,
            vault=Vault(self.entropy),
            clock=self.clock,
            entropy=self.entropy,
            policies_of=lambda principal: self.policies.get(principal.arn, NO_POLICIES),
            context_of=self._context,
        )
        return KmsService(parts)

    def user(self, name: str, account_id: str = ACCOUNT, *, may: str | list[str] = "") -> Principal:
        """A user of an account, whose identity policy allows these actions on everything."""
        arn = f"arn:aws:iam::{account_id}:user/{name}"
        if may:
            statement = {"Effect": "Allow", "Action": may, "Resource": "*"}
            text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.policies[arn] = PolicySet((NamedPolicy("inline:own", parse_identity(text)),))
        return Principal(PrincipalType.IAM_USER, account_id, f"AIDA{name.upper()}", arn, "AKIAUSER", name)

    def key(self, **members: Any) -> str:
        """The id of a new key of the first account."""
        return str(self.client().create_key(**members)["KeyMetadata"]["KeyId"])

    def _context(self, call: Call) -> Any:
        return call_context(call, self.directory)


def allow(principal: Any, actions: str | list[str], **more: Any) -> dict[str, Any]:
    """A statement of a key policy."""
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*", **more}


def policy_text(*statements: dict[str, Any], account_id: str = ACCOUNT) -> str:
    """A key policy that lets root manage the key, but lets nobody use it, and these statements."""
    root = {"AWS": f"arn:aws:iam::{account_id}:root"}
    managing = allow(root, ["kms:Put*", "kms:Get*", "kms:Describe*", "kms:List*", "kms:Schedule*", "kms:Disable*"])
    return json.dumps({"Version": "2012-10-17", "Statement": [managing, *statements]})
