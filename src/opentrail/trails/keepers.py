"""The trails of an account that could keep an event, arranged so that most events find theirs with a few look-ups.

Pure and immutable; made anew with every change of a trail, asked for every record. Trails are told apart by where an
event happened first, then by the event categories that their selectors want, and only then by the event's facts.
"""

from collections.abc import Callable, Iterable, Sequence

from opentrail.events.selectors import Category
from opentrail.events.selectors_matching import EventFacts, Matcher, compile_selectors
from opentrail.trails.trail import Trail

GLOBAL_SERVICE_REGION = "us-east-1"
"""Where the events of global services belong (cloudtrail fact sheet 6.3)."""

Facts = Callable[[], EventFacts]
"""An event's facts, gathered only where a selector asks for them."""


class Keepers:
    """The trails that could keep an event in one place, in a stable order."""

    __slots__ = ("_always", "_asked")

    def __init__(self, trails: Iterable[Trail]) -> None:
        watching = [(trail.trail_id, compile_selectors(trail.selectors)) for trail in trails]
        self._always: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, tuple[tuple[str, Matcher], ...]] = {}
        for category in {category for _, matcher in watching for category in matcher.categories}:
            wanting = tuple((trail_id, matcher) for trail_id, matcher in watching if category in matcher.categories)
            if category == Category.MANAGEMENT and all(m.takes_all_management_events for _, m in wanting):
                self._always[category] = tuple(trail_id for trail_id, _ in wanting)
            else:
                self._asked[category] = wanting

    def of(self, category: str, facts: Facts) -> tuple[str, ...]:
        """The ids of the trails that keep an event of a category."""
        always = self._always.get(category)
        if always is not None:
            return always
        asked = self._asked.get(category)
        if asked is None:
            return ()
        known = facts()
        return tuple(trail_id for trail_id, matcher in asked if matcher.matches(known))


class AccountKeepers:
    """An account's logging trails by where an event happened."""

    __slots__ = ("_by_region", "_elsewhere", "categories", "of_global_services")

    def __init__(self, trails: Sequence[Trail]) -> None:
        """Trails that do not log are left out."""
        logging = [trail for trail in trails if trail.is_logging]
        regions = {trail.home_region for trail in logging}
        self._by_region = {region: Keepers(t for t in logging if t.is_visible_in(region)) for region in regions}
        self._elsewhere = Keepers(trail for trail in logging if trail.is_multi_region)
        self.of_global_services = Keepers(
            trail
            for trail in logging
            if trail.include_global_service_events and trail.is_visible_in(GLOBAL_SERVICE_REGION)
        )
        """Those for events of global services, which have no region of their own (cloudtrail fact sheet 6.3)."""

        self.categories = frozenset(c for trail in logging for c in compile_selectors(trail.selectors).categories)

    def in_region(self, region: str) -> Keepers:
        """Those for events in a region; any text may be one."""
        return self._by_region.get(region, self._elsewhere)


NO_KEEPERS = AccountKeepers(())
"""Those of an account without trails."""
