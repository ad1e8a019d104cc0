"""A set of trails that answers questions about visibility, limits and routes. Pure and immutable."""

from collections.abc import Iterable

from opentrail.trails.keepers import NO_KEEPERS, AccountKeepers
from opentrail.trails.names import TrailReference
from opentrail.trails.trail import Trail

MAX_TRAILS_PER_REGION = 5


class TrailSet:
    """An immutable set of trails, asked by name, by region and by route. Deleted trails are known by their id only.

    ``categories`` are the event categories that any logging trail wants: events of others have no routes.
    """

    def __init__(self, trails: Iterable[Trail] = ()) -> None:
        self._by_id = {trail.trail_id: trail for trail in trails}
        by_account: dict[str, list[Trail]] = {}
        for trail in sorted(self._by_id.values(), key=lambda trail: (trail.name, trail.home_region)):
            if trail.deleted_at is None:
                by_account.setdefault(trail.account_id, []).append(trail)
        self._by_account = {account_id: tuple(found) for account_id, found in by_account.items()}
        self._keepers = {account_id: AccountKeepers(found) for account_id, found in by_account.items()}
        self.categories = frozenset[str]().union(*(keepers.categories for keepers in self._keepers.values()))

    def get(self, trail_id: str) -> Trail | None:
        """The trail of a route, also when it is deleted but not yet forgotten."""
        return self._by_id.get(trail_id)

    def every(self) -> tuple[Trail, ...]:
        """All trails, deleted ones included, in no order that means anything."""
        return tuple(self._by_id.values())

    def of(self, account_id: str) -> tuple[Trail, ...]:
        """The account's trails over all regions, by name."""
        return self._by_account.get(account_id, ())

    def keepers(self, account_id: str) -> AccountKeepers:
        """The account's trails that log, made ready for routing."""
        return self._keepers.get(account_id, NO_KEEPERS)

    def find(self, reference: TrailReference, account_id: str) -> Trail | None:
        """The trail that ``account_id`` refers to; a name finds the region's own trail before another's shadow."""
        if reference.account_id != account_id:
            return None
        named = [trail for trail in self.of(account_id) if trail.name == reference.name]
        own = (trail for trail in named if trail.home_region == reference.region)
        shadows = (trail for trail in named if trail.is_multi_region and not reference.by_arn)
        return next(own, None) or next(shadows, None)

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

    def _others(self, trail: Trail) -> list[Trail]:
        return [other for other in self.of(trail.account_id) if other.trail_id != trail.trail_id]


def _meet(one: Trail, other: Trail) -> bool:
    return one.is_visible_in(other.home_region) or other.is_visible_in(one.home_region)
