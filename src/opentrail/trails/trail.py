"""A trail as a value, its transitions, and a set of trails that answers questions about visibility and limits.

Pure: a transition returns a new trail; nothing here reads a clock or a database. ``trail_id`` never changes and is the
route that frames in the journal carry; a later trail of the same name is another trail.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from opentrail.trails.names import TrailReference, trail_arn

MAX_TRAILS_PER_REGION = 5
MAX_TAGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """One trail. Times are aware UTC datetimes; ``prefix`` is empty where there is none.

    ``tags`` keeps the order in which keys were added; a tag without a value has None. ``generation`` counts changes.
    """

    trail_id: str
    account_id: str
    home_region: str
    name: str
    bucket: str
    created_at: datetime
    prefix: str = ""
    include_global_service_events: bool = True
    is_multi_region: bool = False
    is_logging: bool = False
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    deleted_at: datetime | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    generation: int = 1

    @property
    def arn(self) -> str:
        """The trail's ARN, in its home region."""
        return trail_arn(self.account_id, self.home_region, self.name)

    def is_visible_in(self, region: str) -> bool:
        """Whether the trail, or its shadow, exists in ``region`` (cloudtrail fact sheet 6.3)."""
        return self.is_multi_region or self.home_region == region

    def started(self, at: datetime) -> "Trail":
        """Logging from ``at`` on; unchanged if it logs already (StartLogging is idempotent)."""
        return self if self.is_logging else self._changed(is_logging=True, started_at=at)

    def stopped(self, at: datetime) -> "Trail":
        """Not logging from ``at`` on; unchanged if it does not log."""
        return self._changed(is_logging=False, stopped_at=at) if self.is_logging else self

    def deleted(self, at: datetime) -> "Trail":
        """Gone for callers; the courier still delivers what was routed to it."""
        return self._changed(is_logging=False, deleted_at=at)

    def configured(
        self,
        *,
        bucket: str | None = None,
        prefix: str | None = None,
        is_multi_region: bool | None = None,
        include_global_service_events: bool | None = None,
    ) -> "Trail":
        """UpdateTrail: None keeps a setting, an empty prefix clears it.

        Turning a multi-region trail into a single-region one switches global service events off unless they are asked
        for in the same request (cloudtrail fact sheet 6.3).
        """
        becomes_single = self.is_multi_region and is_multi_region is False
        include_now = False if becomes_single else self.include_global_service_events
        return self._changed(
            bucket=self.bucket if bucket is None else bucket,
            prefix=self.prefix if prefix is None else prefix,
            is_multi_region=self.is_multi_region if is_multi_region is None else is_multi_region,
            include_global_service_events=(
                include_now if include_global_service_events is None else include_global_service_events
            ),
        )

    def tagged(self, tags: Mapping[str, str | None]) -> "Trail":
        """With these tags added; a key that exists gets the new value."""
        return self._changed(tags={**self.tags, **tags})

    def untagged(self, keys: Iterable[str]) -> "Trail":
        """Without the tags of these keys; keys that do not exist are no error."""
        gone = set(keys)
        return self._changed(tags={key: value for key, value in self.tags.items() if key not in gone})

    def _changed(self, **changes: object) -> "Trail":
        return replace(self, generation=self.generation + 1, **changes)  # type: ignore[arg-type]  # callers are above


class TrailSet:
    """An immutable set of trails, asked by name, by region and by route. Deleted trails are known by their id only."""

    def __init__(self, trails: Iterable[Trail] = ()) -> None:
        self._by_id = {trail.trail_id: trail for trail in trails}
        by_account: dict[str, list[Trail]] = {}
        for trail in sorted(self._by_id.values(), key=lambda trail: (trail.name, trail.home_region)):
            if trail.deleted_at is None:
                by_account.setdefault(trail.account_id, []).append(trail)
        self._by_account = {account_id: tuple(found) for account_id, found in by_account.items()}
        logging = ((account_id, [t for t in found if t.is_logging]) for account_id, found in by_account.items())
        self._logging = {account_id: tuple(found) for account_id, found in logging if found}

    def get(self, trail_id: str) -> Trail | None:
        """The trail of a route, also when it is deleted but not yet forgotten."""
        return self._by_id.get(trail_id)

    def every(self) -> tuple[Trail, ...]:
        """All trails, deleted ones included, in no order that means anything."""
        return tuple(self._by_id.values())

    def of(self, account_id: str) -> tuple[Trail, ...]:
        """The account's trails over all regions, by name."""
        return self._by_account.get(account_id, ())

    def logging(self, account_id: str) -> tuple[Trail, ...]:
        """The account's trails that log."""
        return self._logging.get(account_id, ())

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
