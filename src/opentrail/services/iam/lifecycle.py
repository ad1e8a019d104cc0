"""What making, renaming and deleting have in common for users, groups and roles."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.identity import iam_entities
from opentrail.identity.iam_entities import Entity
from opentrail.identity.iam_policies import attached_to, inline_of
from opentrail.identity.iam_tags import clear_tags
from opentrail.services.iam import limits, refusals
from opentrail.services.iam.parts import Parts, refuse_if
from opentrail.state.database import Unit


def create_entity(parts: Parts, unit: Unit, new: Entity) -> None:
    """Store a new user, group or role. Raises ApiError EntityAlreadyExists, LimitExceeded."""
    quota = limits.ENTITIES[new.kind]
    taken = iam_entities.is_taken(unit.connection, new.account_id, new.kind, new.name)
    refuse_if(taken, refusals.name_taken(new.kind, new.name))
    refuse_if(iam_entities.count(unit.connection, new.account_id, new.kind) >= quota[1], refusals.quota(*quota))
    iam_entities.insert(unit.connection, new)
    parts.identities.changed(unit, new.account_id)


def rename_entity(parts: Parts, unit: Unit, found: Entity, request: Mapping[str, Any]) -> None:
    """Give a user or group a new name or path. Raises ApiError EntityAlreadyExists."""
    name = request.get(f"New{found.kind.capitalize()}Name") or found.name
    if name.lower() != found.name.lower():
        taken = iam_entities.is_taken(unit.connection, found.account_id, found.kind, name)
        refuse_if(taken, refusals.name_taken(found.kind, name))
    iam_entities.change(unit.connection, found, name=name, path=request.get("NewPath") or found.path)
    parts.identities.changed(unit, found.account_id)


def refuse_attached(connection: sa.Connection, found: Entity) -> None:
    """Raise ApiError DeleteConflict where policies are attached or inline."""
    refuse_if(attached_to(connection, found.unique_id), refusals.conflict("detach all policies"))
    refuse_if(inline_of(connection, found.unique_id), refusals.conflict("delete policies"))


def delete_entity(parts: Parts, unit: Unit, found: Entity) -> None:
    """Take an entity and its tags away."""
    clear_tags(unit.connection, found.unique_id)
    iam_entities.remove(unit.connection, found)
    parts.identities.changed(unit, found.account_id)


def under_path(found: list[Entity], request: Mapping[str, Any]) -> list[Entity]:
    """Those whose path begins with the request's prefix."""
    prefix = request.get("PathPrefix") or "/"
    return [item for item in found if item.path.startswith(prefix)]
