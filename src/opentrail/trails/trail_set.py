"""A set of trails that answers questions about visibility, limits and routes. Pure and immutable.

An account has its own trails; besides it sees those of its organization, which keep its events too (cloudtrail fact
sheet 6.3).
"""

from collections.abc import Collection, Iterable, Mapping

from opentrail.events.selectors_matching import compile_selectors
from opentrail.organizations.organization_set import OrganizationSet
from opentrail.trails.keepers import NO_KEEPERS, AccountKeepers, Watching
from opentrail.trails.names import TrailReference
from opentrail.trails.organizations import TRUSTED_SERVICE
from opentrail.trails.trail import Trail

MAX_TRAILS_PER_REGION = 5


class TrailSet:
    """An immutable set of trails, asked by name, by region and by route. Deleted trails are known by their id only.

    ``categories`` are the event categories that any logging trail wants: events of others have no routes.
    ``organizations`` are those of the same moment.
    """

    def __init__(self, trails: Iterable[Trail] = (), organizations: OrganizationSet | None = None) -> None:
        """``organizations``: whose members an organization's trails keep the events of; none where it is left out."""
        self.organizations = organizations or OrganizationSet()
        self._by_id = {trail.trail_id: trail for trail in trails}
        own: dict[str, list[Trail]] = {}
        visible: dict[str, list[Trail]] = {}
        for trail in sorted(self._by_id.values(), key=lambda trail: (trail.name, trail.home_region)):
            if trail.deleted_at is None:
                own.setdefault(trail.account_id, []).append(trail)
                for account_id in {trail.account_id, *self._members(trail)}:
                    visible.setdefault(account_id, []).append(trail)
        self._own = {account_id: tuple(found) for account_id, found in own.items()}
        self._visible = {account_id: tuple(found) for account_id, found in visible.items()}
        self._keepers = _keepers(self._visible)
        self.categories = frozenset[str]().union(*(keepers.categories for keepers in self._keepers.values()))

    def get(self, trail_id: str) -> Trail | None:
        """The trail of a route, also when it is deleted but not yet forgotten."""
        return self._by_id.get(trail_id)

    def every(self) -> tuple[Trail, ...]:
        """All trails, deleted ones included, in no order that means anything."""
        return tuple(self._by_id.values())

    def of(self, account_id: str) -> tuple[Trail, ...]:
        """The account's own trails over all regions, by name."""
        return self._own.get(account_id, ())

    def visible_to(self, account_id: str) -> tuple[Trail, ...]:
        """The account's own trails and its organization's, over all regions, by name."""
        return self._visible.get(account_id, ())

    def covers(self, trail: Trail, account_id: str) -> bool:
        """Whether a trail keeps an account's events: its own account's, or as its organization's trail a member's."""
        return account_id == trail.account_id or account_id in self._members(trail)

    def keepers(self, account_id: str) -> AccountKeepers:
        """The trails that log what happens in an account, made ready for routing."""
        return self._keepers.get(account_id, NO_KEEPERS)

    def find(self, reference: TrailReference, account_id: str, *, shadows: bool = True) -> Trail | None:
        """The trail that ``account_id`` refers to.

        A name finds the region's own trail before another's shadow, and either before an organization's of another
        account. Without ``shadows`` it finds neither of these two.
        """
        named = [trail for trail in self.visible_to(account_id) if trail.name == reference.name]
        if reference.by_arn:
            return next((trail for trail in named if trail.arn == reference.arn), None)
        home = (account_id, reference.region)
        visible = [
            trail
            for trail in named
            if (trail.account_id, trail.home_region) == home or (shadows and trail.is_visible_in(reference.region))
        ]
        return min(
            visible,
            key=lambda trail: (trail.account_id != account_id, trail.home_region != reference.region),
            default=None,
        )

    def has_name_conflict(self, trail: Trail) -> bool:
        """Whether another trail of the account bears the name in a region where ``trail`` is visible too."""
        return any(other.name == trail.name and _meet(other, trail) for other in self._others(trail))

    def exceeds_limit(self, trail: Trail) -> bool:
        """Whether ``trail`` would be one too many in a region that it is visible in.

        Five per region; a multi-region trail counts in every region (cloudtrail fact sheet 6.1).
        """
        others = self._others(trail)
        regions = {trail.home_region}
        if trail.is_multi_region:
            regions |= {other.home_region for other in others}
        fullest = max(sum(other.is_visible_in(region) for other in others) for region in regions)
        return fullest >= MAX_TRAILS_PER_REGION

    def _members(self, trail: Trail) -> Collection[str]:
        """The accounts whose events a trail keeps as its organization's; none where the organization is gone or does
        not let CloudTrail in.
        """
        found = self.organizations.get(trail.organization_id or "") if trail.is_organization else None
        return () if found is None or not found.is_trusted(TRUSTED_SERVICE) else found.members

    def _others(self, trail: Trail) -> list[Trail]:
        return [other for other in self.of(trail.account_id) if other.trail_id != trail.trail_id]


def _keepers(visible: Mapping[str, tuple[Trail, ...]]) -> dict[str, AccountKeepers]:
    """By account; accounts with the same trails share one, and a trail's selectors are compiled once."""
    watching: dict[str, Watching] = {}
    shared: dict[tuple[str, ...], AccountKeepers] = {}
    found = {}
    for account_id, trails in visible.items():
        logging = [trail for trail in trails if trail.is_logging]
        for trail in logging:
            if trail.trail_id not in watching:
                watching[trail.trail_id] = (trail, compile_selectors(trail.selectors))
        ids = tuple(trail.trail_id for trail in logging)
        if ids not in shared:
            shared[ids] = AccountKeepers([watching[trail_id] for trail_id in ids])
        found[account_id] = shared[ids]
    return found


def _meet(one: Trail, other: Trail) -> bool:
    return one.is_visible_in(other.home_region) or other.is_visible_in(one.home_region)
