"""Making, describing, listing, enabling and disabling keys."""

from dataclasses import replace

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.key import Key
from opentrail.kms.making import default_policy, new_key
from opentrail.services.answer import Answer
from opentrail.services.kms.key_policies import check_lockout, malformed
from opentrail.services.kms.parts import Parts, Request, Response, about, page
from opentrail.services.kms.rendering import metadata_of
from opentrail.services.kms.tagging import read_tags
from opentrail.services.kms.unsupported import refuse_unsupported_keys
from opentrail.services.operation import operation
from opentrail.state.database import Unit

MAX_KEYS = 100_000
"""Keys of an account and region (AWS KMS Developer Guide, "Resource quotas")."""


class KeyOperations:
    """Operations on keys themselves."""

    parts: Parts

    @operation("CreateKey", writes=True)
    def create_key(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Make a symmetric encryption key, enabled at once."""
        self.parts.require_on_account(call)
        refuse_unsupported_keys(request)
        text = request.get("Policy") or default_policy(call.account_id)
        try:
            key = new_key(self.parts.entropy, call.account_id, call.region, text, self.parts.clock.now())
        except ValueError as problem:
            raise malformed(problem) from None
        key = replace(key, description=request.get("Description", ""), tags=read_tags(request.get("Tags") or ()))
        if "Policy" in request and not request.get("BypassPolicyLockoutSafetyCheck"):  # the default locks nobody out
            check_lockout(self.parts.asker(call), key)
        if len(self.parts.keys.within(unit).keys_of(call.account_id, call.region)) >= MAX_KEYS:
            raise ApiError("LimitExceededException", f"The account has {MAX_KEYS} keys in this region")
        self.parts.keys.put(unit, key)
        return about(key, {"KeyMetadata": metadata_of(key)})

    @operation("DescribeKey")
    def describe_key(self, call: Call, request: Request) -> Answer:
        """What is known of a key."""
        key = self.parts.key(call, request["KeyId"], self.parts.keys.snapshot)
        return about(key, {"KeyMetadata": metadata_of(key)})

    @operation("ListKeys")
    def list_keys(self, call: Call, request: Request) -> Response:
        """The account's keys in the region."""
        self.parts.require_on_account(call)
        keys = self.parts.keys.snapshot.keys_of(call.account_id, call.region)
        shown, following = page(request, keys, _key_id)
        return {"Keys": [{"KeyId": key.key_id, "KeyArn": key.arn} for key in shown], **following}

    @operation("EnableKey", writes=True)
    def enable_key(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Let a key be used again."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        return self._put(unit, key.enabled())

    @operation("DisableKey", writes=True)
    def disable_key(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Keep a key from being used."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        return self._put(unit, key.disabled())

    @operation("UpdateKeyDescription", writes=True)
    def update_key_description(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Describe a key in other words."""
        key = self.parts.changeable_key(call, request["KeyId"], self.parts.keys.within(unit))
        return self._put(unit, replace(key, description=request["Description"]))

    def _put(self, unit: Unit, key: Key) -> Answer:
        self.parts.keys.put(unit, key)
        return about(key)


def _key_id(key: Key) -> str:
    return key.key_id
