"""Aliases of keys. Making, moving and removing one takes a permission on the alias, and on each key concerned."""

from dataclasses import replace

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.kms.key import Alias, Key
from opentrail.kms.references import KeyReference, is_alias_name
from opentrail.kms.store import KeySet
from opentrail.services.answer import Answer
from opentrail.services.kms.parts import (
    Parts,
    Request,
    Response,
    about,
    not_found,
    page,
    reference_of,
    require_customers,
)
from opentrail.services.kms.rendering import alias_entry
from opentrail.services.operation import operation
from opentrail.state.database import Unit

MAX_ALIASES = 50
"""Aliases of one key (AWS KMS Developer Guide, "Resource quotas")."""
_RESERVED = "alias/aws/"


class AliasOperations:
    """Operations on aliases."""

    parts: Parts

    @operation("CreateAlias", writes=True)
    def create_alias(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Give a key another name."""
        keys = self.parts.keys.within(unit)
        reference = self._reference(call, request["AliasName"])
        if reference.name.startswith(_RESERVED):
            raise ApiError("InvalidAliasNameException", "alias/aws/ is reserved for keys that services keep")
        key = self._target(call, request["TargetKeyId"], keys)
        if keys.alias(reference) is not None:
            raise ApiError("AlreadyExistsException", f"An alias with the name {reference.arn} already exists")
        _check_count(keys, key)
        now = self.parts.clock.now()
        alias = Alias(reference.name, call.account_id, call.region, key.key_id, now, now)
        self.parts.keys.put_alias(unit, alias)
        return _about(alias, key)

    @operation("UpdateAlias", writes=True)
    def update_alias(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Let an alias stand for another key."""
        keys = self.parts.keys.within(unit)
        alias, before = self._existing(call, request["AliasName"], keys)
        key = self._target(call, request["TargetKeyId"], keys)
        if key.key_id != before.key_id:
            _check_count(keys, key)
        self.parts.keys.put_alias(unit, replace(alias, key_id=key.key_id, updated_at=self.parts.clock.now()))
        return _about(alias, key)

    @operation("DeleteAlias", writes=True)
    def delete_alias(self, call: Call, request: Request, unit: Unit) -> Answer:
        """Forget an alias; its key stays."""
        alias, key = self._existing(call, request["AliasName"], self.parts.keys.within(unit))
        self.parts.keys.delete_alias(unit, alias)
        return _about(alias, key)

    @operation("ListAliases")
    def list_aliases(self, call: Call, request: Request) -> Response:
        """The account's aliases in the region, or those of one key."""
        self.parts.require_on_account(call)
        keys = self.parts.keys.snapshot
        found = keys.aliases_of(call.account_id, call.region)
        if "KeyId" in request:
            # Whoever may list aliases may list those of a key: KMS asks for no permission on it.
            reference = self._key_reference(call, request["KeyId"])
            key = keys.find(reference)
            if key is None:
                raise not_found(reference)
            found = keys.aliases_for(key.key_id)
        shown, following = page(request, found, _name)
        return {"Aliases": [alias_entry(alias) for alias in shown], **following}

    def _reference(self, call: Call, name: str) -> KeyReference:
        """A name that may be an alias's, on which the caller may do what he asks."""
        if not is_alias_name(name):
            raise ApiError("InvalidAliasNameException", "Invalid identifier: alias names begin with alias/")
        reference = KeyReference(call.account_id, call.region, name)
        self.parts.require_on_account(call, reference.arn)
        return reference

    def _existing(self, call: Call, name: str, keys: KeySet) -> tuple[Alias, Key]:
        reference = self._reference(call, name)
        alias = keys.alias(reference)
        key = keys.by_id(alias.key_id) if alias is not None else None
        if alias is None or key is None:
            raise not_found(reference)
        self.parts.require(call, f"kms:{call.event_name}", key, keys, more={"kms:requestalias": (alias.name,)})
        require_customers(key, call)
        return alias, key

    def _target(self, call: Call, text: str, keys: KeySet) -> Key:
        reference = self._key_reference(call, text)
        return self.parts.changeable_key(call, reference.arn, keys)

    def _key_reference(self, call: Call, text: str) -> KeyReference:
        reference = reference_of(call, text)
        if reference.is_alias:
            raise ApiError("ValidationException", "Aliases must refer to keys. Not aliases")
        if reference.account_id != call.account_id:
            raise not_found(reference)
        return reference


def _about(alias: Alias, key: Key) -> Answer:
    """The record names the alias as well as the key."""
    answer = about(key)
    resource = {"accountId": alias.account_id, "type": "AWS::KMS::Alias", "ARN": alias.arn}
    return replace(answer, resources=(resource, *answer.resources))


def _check_count(keys: KeySet, key: Key) -> None:
    if len(keys.aliases_for(key.key_id)) >= MAX_ALIASES:
        raise ApiError("LimitExceededException", f"{key.arn} has {MAX_ALIASES} aliases")


def _name(alias: Alias) -> str:
    return alias.name
