"""The servers behind us, put together from settings, and the embedded MiniStack for what nobody else serves."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from opentrail.app.core import World
from opentrail.app.upstream_credentials import target_settings
from opentrail.aws.model import Catalogue
from opentrail.config import Settings, UpstreamSettings
from opentrail.errors import ConfigError
from opentrail.gateway.upstream import Upstream
from opentrail.gateway.upstream import UpstreamSettings as Where
from opentrail.gateway.upstreams import ALL_OTHERS, Behind, Upstreams
from opentrail.local.ministack import MiniStack, missing
from opentrail.local.ministack_services import served_by_ministack
from opentrail.processes.supervisor import Supervisor

log = logging.getLogger(__name__)

EMBEDDED = "ministack"
_S3 = "s3"


class BehindUs:
    """Every upstream but the S3 server, which has a door of its own."""

    def __init__(self, world: World, catalogue: Catalogue, supervisor: Supervisor) -> None:
        """Raises ConfigError where credentials cannot be read or a service is not known; nothing is started."""
        self.upstreams = Upstreams()
        self._world = world
        self._catalogue = catalogue
        self._clients: dict[str, Upstream] = {}
        self._retired: list[Upstream] = []
        self._ministack = self._embedded(supervisor)
        self.configure(world.settings)

    def start(self) -> None:
        """Begin to start what is embedded; it comes up beside everything else."""
        if self._ministack is not None:
            self._ministack.start()
            self.configure(self._world.settings)

    def stop(self) -> None:
        """End what is embedded, in order."""
        if self._ministack is not None:
            self._ministack.stop()

    async def close(self) -> None:
        """Close every connection."""
        for client in (*self._clients.values(), *self._retired):
            await client.close()

    def problem(self) -> str | None:
        """Why the embedded server cannot be called at the moment."""
        return self._ministack.problem() if self._ministack is not None else None

    def check(self, settings: Settings) -> None:
        """Raise ConfigError where ``configure`` would."""
        for _ in self._planned(settings):
            pass

    def configure(self, settings: Settings) -> None:
        """Serve with these settings from now on; calls under way end as they began.

        Raises ConfigError, and then nothing has changed.
        """
        planned = list(self._planned(settings))
        kept: dict[str, Upstream] = {}
        behinds = []
        for behind, where in planned:
            client = self._clients.get(behind.name) or behind.upstream
            client.reconfigure(where)
            kept[behind.name] = client
            behinds.append(replace(behind, upstream=client))
        self._retired += [client for name, client in self._clients.items() if name not in kept]
        self._clients = kept
        self.upstreams.replace(behinds)

    def _planned(self, settings: Settings) -> Iterator[tuple[Behind, Where]]:
        problems = []
        for name, upstream in settings.upstreams.items():
            unknown = [service for service in upstream.services if not self._is_service(service)]
            problems += [f"upstream.{name}.services: no service is called `{service}`" for service in unknown]
        if problems:
            raise ConfigError(problems)
        has_default = False
        for name, upstream in settings.upstreams.items():
            services = tuple(service for service in upstream.services if service != _S3)
            has_default = has_default or ALL_OTHERS in services
            where = _where(name, upstream)
            if services:
                yield self._behind(name, upstream, services, where), where
        if self._ministack is not None and self._ministack.is_started and not has_default:
            where = Where(self._ministack.endpoint, "", "", self._ministack.secret_access_key)
            yield self._behind_embedded(where), where

    def _behind(self, name: str, upstream: UpstreamSettings, services: tuple[str, ...], where: Where) -> Behind:
        return Behind(
            name,
            Upstream(where, self._world.clock),
            services,
            intents=upstream.intents,
            forwards_undecodable=upstream.undecodable == "forward",
            origins=tuple(_origin(url) for url in (upstream.endpoint, *upstream.aliases)),
        )

    def _behind_embedded(self, where: Where) -> Behind:
        served = served_by_ministack()
        return Behind(
            EMBEDDED,
            Upstream(where, self._world.clock),
            (ALL_OTHERS,),
            origins=(where.endpoint,),
            serves=lambda service: service.name in served,
        )

    def _is_service(self, name: str) -> bool:
        return name == ALL_OTHERS or self._catalogue.is_named(name)

    def _embedded(self, supervisor: Supervisor) -> MiniStack | None:
        """The embedded MiniStack, where it is wanted and can be run. Raises ConfigError where it must be and cannot."""
        settings = self._world.settings
        wanted = settings.local.ministack
        if wanted == "off" or settings.is_upstreams(ALL_OTHERS):
            return None
        reason = missing()
        if reason is not None:
            if wanted == "on":
                raise ConfigError(f"local.ministack: {reason}")
            log.info("%s; services that nothing else serves are refused", reason)
            return None
        return MiniStack(self._world.home.ministack, supervisor, self._world.clock, self._world.entropy)


def _where(name: str, upstream: UpstreamSettings) -> Where:
    try:
        return target_settings(upstream, region=upstream.region)
    except ConfigError as problem:
        raise ConfigError([f"upstream.{name}.credentials: {text}" for text in problem.problems]) from None


def _origin(url: str) -> str:
    """A URL's scheme, host and port, as servers write them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
