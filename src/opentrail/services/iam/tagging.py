"""Tags. The operations of the seven kinds of resources differ in names only, so they are made from one description."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity.iam_entities import Kind
from opentrail.identity.iam_mfa import find_device
from opentrail.identity.iam_tags import put_tags, remove_tags, tags_of
from opentrail.services.iam import refusals
from opentrail.services.iam.instance_profiles import instance_profile
from opentrail.services.iam.parts import Surroundings, entity, new_tags, page, policy
from opentrail.services.iam.providers import oidc_provider, saml_provider
from opentrail.services.operation import operation
from opentrail.state.database import Unit

Request = Mapping[str, Any]


class TagOperations(Surroundings):
    """The operations on tags; a part of ``IamService``."""

    def _tag_owner(self, what: str, connection: sa.Connection, call: Call, request: Request) -> str:
        """What the tags of a request's resource are kept under. Raises ApiError NoSuchEntity."""
        if what == "MFADevice":
            device = find_device(connection, self.parts.identities.seal, call.account_id, request["SerialNumber"])
            if device is None:
                raise refusals.not_found(
                    f"VirtualMFADevice with serial number {request['SerialNumber']} doesn't exist."
                )
            return device.serial
        return _OWNERS[what](connection, call, request)

    def _tag(self, what: str, call: Call, request: Request, unit: Unit) -> Request:
        owner_id = self._tag_owner(what, unit.connection, call, request)
        tags = new_tags(request, tags_of(unit.connection, owner_id), what)
        put_tags(unit.connection, call.account_id, owner_id, tags)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _untag(self, what: str, call: Call, request: Request, unit: Unit) -> Request:
        remove_tags(unit.connection, self._tag_owner(what, unit.connection, call, request), request["TagKeys"])
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _list_tags(self, what: str, call: Call, request: Request) -> Request:
        with self.parts.identities.database.read() as connection:
            tags = tags_of(connection, self._tag_owner(what, connection, call, request))

        def show(key: str) -> dict[str, str]:
            return {"Key": key, "Value": tags[key]}

        return page(request, tags, "Tags", str, show)


def _own_policy(connection: sa.Connection, call: Call, request: Request) -> str:
    found = policy(connection, call, request["PolicyArn"])
    if found.is_aws:
        raise refusals.invalid(f"Tagging is not supported for AWS managed policies: {found.arn}")
    return found.policy_id


_OWNERS: Mapping[str, Callable[[sa.Connection, Call, Request], str]] = {
    "User": lambda connection, call, request: entity(connection, call, Kind.USER, request["UserName"]).unique_id,
    "Role": lambda connection, call, request: entity(connection, call, Kind.ROLE, request["RoleName"]).unique_id,
    "Policy": _own_policy,
    "InstanceProfile": lambda connection, call, request: instance_profile(connection, call, request).profile_id,
    "OpenIDConnectProvider": lambda connection, call, request: str(oidc_provider(connection, call, request)["arn"]),
    "SAMLProvider": lambda connection, call, request: str(saml_provider(connection, call, request)["arn"]),
}
_NAMES = (("Tag{}", "_tag", True), ("Untag{}", "_untag", True), ("List{}Tags", "_list_tags", False))


def _handler(what: str, method: str) -> Callable[..., Request]:
    def handle(self: TagOperations, *arguments: Any) -> Request:
        answer: Request = getattr(self, method)(what, *arguments)
        return answer

    return handle


for _what in (*_OWNERS, "MFADevice"):
    for _pattern, _method, _writes in _NAMES:
        _name = _pattern.format(_what)
        setattr(TagOperations, _name, operation(_name, writes=_writes)(_handler(_what, _method)))
