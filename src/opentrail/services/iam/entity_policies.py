"""What users, groups and roles may do: inline policies, attached managed policies and permissions boundaries.

The operations of the three kinds differ in names only (``PutUserPolicy``, ``PutRolePolicy``), so they are made from one
description.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.events.call import Call
from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import Entity, Kind
from opentrail.identity.iam_policies import attach, attached_to, detach, inline_of, put_inline, remove_inline
from opentrail.identity.policy import parse_identity, size_chars
from opentrail.services.iam import limits, refusals, rendering
from opentrail.services.iam.parts import Surroundings, entity, page, policy, read_policy, refuse_if, usable_policy
from opentrail.services.operation import operation
from opentrail.state.database import Unit

Request = Mapping[str, Any]
_WORDS = {Kind.USER: "User", Kind.GROUP: "Group", Kind.ROLE: "Role"}


class PolicyOperations(Surroundings):
    """The operations on the policies of users, groups and roles; a part of ``IamService``."""

    def _subject(self, connection: sa.Connection, call: Call, kind: Kind, request: Request) -> Entity:
        return entity(connection, call, kind, request[f"{_WORDS[kind]}Name"])

    def _put(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        text, limit = request["PolicyDocument"], limits.INLINE_CHARS[kind]
        read_policy(parse_identity, text)
        others = inline_of(unit.connection, subject.unique_id) | {request["PolicyName"]: text}
        over = sum(size_chars(each) for each in others.values()) > limit
        full = f"Maximum policy size of {limit} bytes exceeded for {kind} {subject.name}"
        refuse_if(over, refusals.limit_exceeded(full))
        put_inline(unit.connection, subject, request["PolicyName"], text)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _get(self, kind: Kind, call: Call, request: Request) -> Request:
        with self.parts.identities.database.read() as connection:
            subject = self._subject(connection, call, kind, request)
            text = inline_of(connection, subject.unique_id).get(request["PolicyName"])
        if text is None:
            raise refusals.no_such(f"{kind} policy", request["PolicyName"])
        name = {f"{_WORDS[kind]}Name": subject.name, "PolicyName": request["PolicyName"]}
        return name | {"PolicyDocument": rendering.document(text)}

    def _delete(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        removed = remove_inline(unit.connection, subject, request["PolicyName"])
        refuse_if(not removed, refusals.no_such(f"{kind} policy", request["PolicyName"]))
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _list_inline(self, kind: Kind, call: Call, request: Request) -> Request:
        with self.parts.identities.database.read() as connection:
            names = inline_of(connection, self._subject(connection, call, kind, request).unique_id)
        return page(request, names, "PolicyNames", str, str)

    def _attach(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        arn = usable_policy(unit.connection, call, request["PolicyArn"]).arn
        attached = attached_to(unit.connection, subject.unique_id)
        full = arn not in attached and len(attached) >= limits.ATTACHED_POLICIES
        refuse_if(full, refusals.quota(f"PoliciesPer{_WORDS[kind]}", limits.ATTACHED_POLICIES))
        attach(unit.connection, subject, arn)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _detach(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        detached = detach(unit.connection, subject, request["PolicyArn"])
        refuse_if(not detached, refusals.not_found(f"Policy {request['PolicyArn']} was not found."))
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _list_attached(self, kind: Kind, call: Call, request: Request) -> Request:
        prefix = request.get("PathPrefix") or "/"
        with self.parts.identities.database.read() as connection:
            subject = self._subject(connection, call, kind, request)
            attached = attached_to(connection, subject.unique_id)
            found = [arn for arn in attached if policy(connection, call, arn).path.startswith(prefix)]
        return page(request, found, "AttachedPolicies", str, rendering.attached_policy)

    def _put_boundary(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        boundary = usable_policy(unit.connection, call, request["PermissionsBoundary"], scope=True).arn
        iam_entities.change(unit.connection, subject, boundary_arn=boundary)
        self.parts.identities.changed(unit, call.account_id)
        return {}

    def _delete_boundary(self, kind: Kind, call: Call, request: Request, unit: Unit) -> Request:
        subject = self._subject(unit.connection, call, kind, request)
        none = f"{_WORDS[kind]} with name {subject.name} has no permissions boundary."
        refuse_if(subject.boundary_arn is None, refusals.not_found(none))
        iam_entities.change(unit.connection, subject, boundary_arn=None)
        self.parts.identities.changed(unit, call.account_id)
        return {}


_NAMES: tuple[tuple[str, str, bool], ...] = (
    ("Put{}Policy", "_put", True),
    ("Get{}Policy", "_get", False),
    ("Delete{}Policy", "_delete", True),
    ("List{}Policies", "_list_inline", False),
    ("Attach{}Policy", "_attach", True),
    ("Detach{}Policy", "_detach", True),
    ("ListAttached{}Policies", "_list_attached", False),
    ("Put{}PermissionsBoundary", "_put_boundary", True),
    ("Delete{}PermissionsBoundary", "_delete_boundary", True),
)


def _handler(kind: Kind, method: str) -> Callable[..., Request]:
    def handle(self: PolicyOperations, *arguments: Any) -> Request:
        answer: Request = getattr(self, method)(kind, *arguments)
        return answer

    return handle


for _kind in Kind:
    for _pattern, _method, _writes in _NAMES:
        if _kind is Kind.GROUP and "Boundary" in _pattern:  # groups have none
            continue
        _name = _pattern.format(_WORDS[_kind])
        setattr(PolicyOperations, _name, operation(_name, writes=_writes)(_handler(_kind, _method)))
