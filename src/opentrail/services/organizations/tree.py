"""The tree of an organization: its root, its organizational units, and where accounts hang."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentrail.errors import ApiError
from opentrail.events.call import Call
from opentrail.organizations.accounts import put_tags
from opentrail.organizations.organization import Organization, OrganizationalUnit
from opentrail.services.operation import operation
from opentrail.services.organizations import limits, refusals, rendering
from opentrail.services.organizations.parts import Surroundings, mastered, member_of, new_tags, page, readable
from opentrail.state.database import Unit

Request = Mapping[str, Any]


class TreeOperations(Surroundings):
    """The operations on the tree; a part of ``OrganizationsService``."""

    @operation("ListRoots")
    def list_roots(self, call: Call, request: Request) -> Request:
        """The root: there is one."""
        found = readable(self.parts.organizations.snapshot, call)
        return page(request, [found], "Roots", lambda one: one.root_id, rendering.root)

    @operation("CreateOrganizationalUnit", writes=True)
    def create_organizational_unit(self, call: Call, request: Request, unit: Unit) -> Request:
        """Make a unit below the root or another unit; names below one parent differ."""
        found, tags = mastered(self.parts.organizations.within(unit), call), new_tags(request)
        parent_id = _parent(found, request["ParentId"])
        if len(found.units) >= limits.UNITS:
            text = f"An organization has at most {limits.UNITS} units."
            raise refusals.constraint("OU_NUMBER_LIMIT_EXCEEDED", text)
        if found.depth_of(parent_id) >= limits.UNIT_DEPTH:
            text = f"Units are at most {limits.UNIT_DEPTH} levels deep."
            raise refusals.constraint("OU_DEPTH_LIMIT_EXCEEDED", text)
        branch = OrganizationalUnit(
            self.parts.new_id(f"ou-{found.root_id.removeprefix('r-')}-", 8), request["Name"], parent_id
        )
        _refuse_namesake(found, branch)
        self.parts.organizations.put_unit(unit, found.organization_id, branch)
        put_tags(unit, found.organization_id, branch.unit_id, tags)
        grown = replace(found, units={**found.units, branch.unit_id: branch})
        return {"OrganizationalUnit": rendering.unit(grown, branch)}

    @operation("DescribeOrganizationalUnit")
    def describe_organizational_unit(self, call: Call, request: Request) -> Request:
        """One unit."""
        found = readable(self.parts.organizations.snapshot, call)
        return {"OrganizationalUnit": rendering.unit(found, _unit(found, request))}

    @operation("UpdateOrganizationalUnit", writes=True)
    def update_organizational_unit(self, call: Call, request: Request, unit: Unit) -> Request:
        """Give a unit another name; what hangs on it stays."""
        found = mastered(self.parts.organizations.within(unit), call)
        branch = _unit(found, request)
        renamed = replace(branch, name=request.get("Name") or branch.name)
        _refuse_namesake(found, renamed)
        self.parts.organizations.put_unit(unit, found.organization_id, renamed)
        return {"OrganizationalUnit": rendering.unit(found, renamed)}

    @operation("DeleteOrganizationalUnit", writes=True)
    def delete_organizational_unit(self, call: Call, request: Request, unit: Unit) -> Request:
        """Delete a unit on which nothing hangs."""
        found = mastered(self.parts.organizations.within(unit), call)
        branch = _unit(found, request)
        if found.accounts_below(branch.unit_id) or found.units_below(branch.unit_id):
            text = "The specified OU is not empty: move its accounts and delete its units first."
            raise ApiError("OrganizationalUnitNotEmptyException", text)
        self.parts.organizations.remove_unit(unit, branch.unit_id)
        return {}

    @operation("ListOrganizationalUnitsForParent")
    def list_organizational_units_for_parent(self, call: Call, request: Request) -> Request:
        """The units directly below a parent."""
        found = readable(self.parts.organizations.snapshot, call)
        units = found.units_below(_parent(found, request["ParentId"]))
        return page(
            request, units, "OrganizationalUnits", lambda one: one.unit_id, lambda one: rendering.unit(found, one)
        )

    @operation("ListAccountsForParent")
    def list_accounts_for_parent(self, call: Call, request: Request) -> Request:
        """The accounts directly below a parent."""
        found = readable(self.parts.organizations.snapshot, call)
        members = found.accounts_below(_parent(found, request["ParentId"]))
        return page(request, members, "Accounts", lambda one: one.account_id, lambda one: rendering.account(found, one))

    @operation("ListParents")
    def list_parents(self, call: Call, request: Request) -> Request:
        """The parent of an account or unit: there is one."""
        found = readable(self.parts.organizations.snapshot, call)
        parent_id = found.parent_of(request["ChildId"])
        if parent_id is None:
            raise ApiError("ChildNotFoundException", "You specified an organizational unit or account that isn't here.")
        kind = "ROOT" if parent_id == found.root_id else "ORGANIZATIONAL_UNIT"
        return page(request, [parent_id], "Parents", str, lambda one: {"Id": one, "Type": kind})

    @operation("ListChildren")
    def list_children(self, call: Call, request: Request) -> Request:
        """The ids of the accounts, or of the units, directly below a parent."""
        found, kind = readable(self.parts.organizations.snapshot, call), request["ChildType"]
        parent_id = _parent(found, request["ParentId"])
        ids = (
            [member.account_id for member in found.accounts_below(parent_id)]
            if kind == "ACCOUNT"
            else [branch.unit_id for branch in found.units_below(parent_id)]
        )
        return page(request, ids, "Children", str, lambda one: {"Id": one, "Type": kind})

    @operation("MoveAccount", writes=True)
    def move_account(self, call: Call, request: Request, unit: Unit) -> Request:
        """Hang an account on another parent."""
        found = mastered(self.parts.organizations.within(unit), call)
        member = member_of(found, request["AccountId"])
        source, destination = request["SourceParentId"], request["DestinationParentId"]
        if found.parent_of(member.account_id) != source:
            raise refusals.no_parent("SourceParent")
        if not found.has_parent(destination):
            raise refusals.no_parent("DestinationParent")
        if source == destination:
            text = "That account is already present in the specified destination."
            raise ApiError("DuplicateAccountException", text)
        self.parts.organizations.put_member(unit, found.organization_id, replace(member, parent_id=destination))
        return {}


def _parent(found: Organization, parent_id: str) -> str:
    if not found.has_parent(parent_id):
        raise refusals.no_parent()
    return parent_id


def _unit(found: Organization, request: Request) -> OrganizationalUnit:
    branch = found.units.get(request["OrganizationalUnitId"])
    if branch is None:
        raise refusals.no_unit()
    return branch


def _refuse_namesake(found: Organization, branch: OrganizationalUnit) -> None:
    others = (other for other in found.units_below(branch.parent_id) if other.unit_id != branch.unit_id)
    if any(other.name == branch.name for other in others):
        raise refusals.duplicate_unit()
