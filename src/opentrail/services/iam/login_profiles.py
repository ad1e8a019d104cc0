"""Login profiles: users' passwords, of which only a hash is kept."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.identity.iam_entities import Entity
from opentrail.identity.iam_passwords import complaint, hashed, is_password
from opentrail.identity.iam_providers import instant
from opentrail.identity.iam_tables import Row, login_profiles
from opentrail.identity.principal import PrincipalType
from opentrail.services.iam import refusals
from opentrail.services.iam.parts import Surroundings, refuse_if, user_or_caller
from opentrail.services.operation import operation
from opentrail.state.database import Unit


class LoginProfileOperations(Surroundings):
    """The operations on login profiles; a part of ``IamService``. Hashing is slow: it comes before the unit begins."""

    @operation("CreateLoginProfile", writes=True)
    def create_login_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Give a user a password."""
        if request.get("Password") is None:
            raise refusals.validation("Must specify a password")
        kept = self._hashed(request["Password"])
        user = _user(unit.connection, call, request)
        taken = refusals.exists(f"Login Profile for user {user.name} already exists.")
        refuse_if(_find(unit.connection, user), taken)
        row = {
            "user_id": user.unique_id,
            "account_id": call.account_id,
            "password_hash": kept,
            "reset_required": bool(request.get("PasswordResetRequired")),
            "created_at": call.received_at.timestamp(),
        }
        unit.execute(sa.insert(login_profiles).values(row))
        return {"LoginProfile": _shown(user, row)}

    @operation("GetLoginProfile")
    def get_login_profile(self, call: Call, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Since when a user has a password."""
        with self.parts.identities.database.read() as connection:
            user = _user(connection, call, request)
            return {"LoginProfile": _shown(user, _profile(connection, user))}

    @operation("UpdateLoginProfile", writes=True)
    def update_login_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Give a user another password, or make him change it."""
        password = request.get("Password")
        changes: dict[str, Any] = {} if password is None else {"password_hash": self._hashed(password)}
        user = _user(unit.connection, call, request)
        _profile(unit.connection, user)
        if request.get("PasswordResetRequired") is not None:
            changes["reset_required"] = request["PasswordResetRequired"]
        if changes:
            _change(unit, user, changes)
        return {}

    @operation("DeleteLoginProfile", writes=True)
    def delete_login_profile(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Take a user's password away."""
        user = _user(unit.connection, call, request)
        _profile(unit.connection, user)
        unit.execute(sa.delete(login_profiles).where(login_profiles.c.user_id == user.unique_id))
        return {}

    @operation("ChangePassword", writes=True)
    def change_password(self, call: Call, request: Mapping[str, Any], unit: Unit) -> Mapping[str, Any]:
        """Change one's own password, knowing the old one."""
        if call.principal.type is not PrincipalType.IAM_USER:
            raise ApiError("InvalidUserTypeException", "Only IAM Users can change their own password")
        with self.parts.identities.database.read() as connection:
            kept = _profile(connection, _user(connection, call, {}))["password_hash"]
        if not is_password(request["OldPassword"], kept):
            raise ApiError("AccessDenied", "The old password was incorrect.", status=403)
        changes = {"password_hash": self._hashed(request["NewPassword"]), "reset_required": False}
        user = _user(unit.connection, call, {})
        if _profile(unit.connection, user)["password_hash"] != kept:
            raise ApiError("EntityTemporarilyUnmodifiableException", "The password was changed at the same time.")
        _change(unit, user, changes)
        return {}

    def _hashed(self, password: str) -> str:
        problem = complaint(password)
        if problem is not None:
            raise ApiError("PasswordPolicyViolationException", problem)
        return hashed(password, self.parts.entropy)


def _user(connection: sa.Connection, call: Call, request: Mapping[str, Any]) -> Entity:
    user = user_or_caller(connection, call, request)
    if user is None:
        raise refusals.needs_user_name()
    return user


def _find(connection: sa.Connection, user: Entity) -> Row | None:
    query = sa.select(login_profiles).where(login_profiles.c.user_id == user.unique_id)
    return connection.execute(query).mappings().first()


def _profile(connection: sa.Connection, user: Entity) -> Row:
    found = _find(connection, user)
    if found is None:
        raise refusals.not_found(f"Login Profile for User {user.name} cannot be found.")
    return found


def _change(unit: Unit, user: Entity, values: Mapping[str, Any]) -> None:
    here = login_profiles.c.user_id == user.unique_id
    unit.execute(sa.update(login_profiles).where(here).values(dict(values)))


def _shown(user: Entity, row: Row) -> dict[str, Any]:
    created = instant(row["created_at"])
    return {"UserName": user.name, "CreateDate": created, "PasswordResetRequired": row["reset_required"]}
