"""Changing settings while we run: the whole file is checked, then what can change changes, and no call is dropped.

What can: the upstreams (which, where, credentials, limits, intents), the trusted proxies and the log's level. What
cannot is told by name and waits for a restart. A file with a problem changes nothing.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from opentrail.app.object_storage import ObjectStorage
from opentrail.app.upstreams import BehindUs
from opentrail.config import ARCHIVE, Settings, UpstreamSettings
from opentrail.errors import ConfigError
from opentrail.gateway.asgi import Application
from opentrail.gateway.client_address import networks
from opentrail.gateway.s3_door import S3Door
from opentrail.logs import set_level

log = logging.getLogger(__name__)

_RELOADABLE = frozenset({"gateway.trusted_proxies", "log.level"})
_OURS_UNLESS_NAMED = ("kms", "organizations", "resourcegroupstaggingapi", "sns", "tagging")
_UPSTREAMS = "upstreams"


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Names of settings that changed: those in force now, and those that wait for a restart."""

    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reloadable:
    """The parts that take new settings."""

    behind: BehindUs
    storage: ObjectStorage
    door: S3Door
    application: Application


class Reloading:
    """Reads the settings anew and puts them in force, one at a time."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings], parts: Reloadable) -> None:
        """``settings`` are those in force; ``reread`` reads file and environment and raises ConfigError."""
        self._settings = settings
        self._reread = reread
        self._parts = parts
        self._turn = threading.Lock()

    def reload(self) -> Reloaded:
        """Put in force what changed since the last time. Raises ConfigError, and then nothing has changed."""
        with self._turn:
            new = self._reread()
            self._parts.behind.check(new)
            changed = set(differences(self._settings, new))
            waiting = {name for name in changed if not self._can_change(name, new)}
            applied = changed - waiting
            usable = _merged(self._settings, new, waiting)
            self._apply(usable, applied)
            self._settings = usable
            outcome = Reloaded(tuple(sorted(applied)), tuple(sorted(waiting)))
        log.info("reloaded: %s", ", ".join(outcome.applied) or "nothing changed")
        if outcome.waiting:
            log.warning("waiting for a restart: %s", ", ".join(outcome.waiting))
        return outcome

    def reload_quietly(self) -> None:
        """The same for a signal, whose sender hears nothing: the log does."""
        try:
            self.reload()
        except ConfigError as problem:
            for text in problem.problems:
                log.error("not reloaded: %s", text)  # noqa: TRY400 - a trace says nothing to who wrote the file
        except Exception:
            log.exception("not reloaded")

    def _can_change(self, name: str, new: Settings) -> bool:
        if name in _RELOADABLE:
            return True
        if not name.startswith("upstream."):
            return False
        old, upstream = self._settings, name.partition(".")[2]
        if upstream == ARCHIVE:
            return False  # rules that move files must not change bucket under way
        named = {one for settings in (old, new) for one in _services_of(settings, upstream)}
        if any(one in named and old.is_upstreams(one) != new.is_upstreams(one) for one in _OURS_UNLESS_NAMED):
            return False  # what we serve ourselves is decided at start
        old_s3, new_s3 = old.upstream_s3, new.upstream_s3
        # Between the embedded server and another there is a restart, and buckets are given to their owner at start.
        return "s3" not in named or (bool(old_s3.endpoint) == bool(new_s3.endpoint) and old_s3.owner == new_s3.owner)

    def _apply(self, settings: Settings, applied: set[str]) -> None:
        parts = self._parts
        if any(name.startswith("upstream.") for name in applied):
            parts.behind.configure(settings)
            parts.storage.reconfigure(settings.upstream_s3)
            parts.door.reconfigure(intents=settings.upstream_s3.intents)
        if "gateway.trusted_proxies" in applied:
            parts.application.trust(networks(settings.gateway.trusted_proxies))
        if "log.level" in applied:
            set_level(settings.log.level)


def _services_of(settings: Settings, upstream: str) -> tuple[str, ...]:
    return settings.upstreams.get(upstream, UpstreamSettings()).services


def differences(old: Settings, new: Settings) -> Iterator[str]:
    """The names of all settings that differ; an upstream counts as one."""
    for section in fields(Settings):
        if section.name == _UPSTREAMS:
            continue
        before, after = getattr(old, section.name), getattr(new, section.name)
        for item in fields(before):
            if getattr(before, item.name) != getattr(after, item.name):
                yield f"{section.name}.{item.name}"
    for name in {*old.upstreams, *new.upstreams}:
        if old.upstreams.get(name) != new.upstreams.get(name):
            yield f"upstream.{name}"


def _merged(old: Settings, new: Settings, waiting: set[str]) -> Settings:
    """The new settings, but for those that wait: they stay as they are."""
    merged = new
    for name in waiting:
        section, _, item = name.partition(".")
        if section == "upstream":
            others = {key: value for key, value in merged.upstreams.items() if key != item}
            kept = {item: old.upstreams[item]} if item in old.upstreams else {}
            merged = replace(merged, upstreams={**others, **kept})
        else:
            part = replace(getattr(merged, section), **{item: getattr(getattr(old, section), item)})
            merged = replace(merged, **{section: part})
    return merged
