"""The running OpenTrail: starts every part in order, serves until asked to stop, and stops in the opposite order.

The order is a promise: HOME's lock, state, journal and outbox first; then the object store and the workers; the port is
served last. On the way down nothing is closed that somebody above still uses.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from opentrail.app.core import Core, World
from opentrail.app.kms import object_keys
from opentrail.app.meters import Meters
from opentrail.app.metrics import CONTENT_TYPE, Metrics, Sources
from opentrail.app.models import install_models
from opentrail.app.notifications import Notifications
from opentrail.app.object_storage import ObjectStorage
from opentrail.app.reloading import Reloadable, Reloading
from opentrail.app.ticks import Ticks
from opentrail.app.upstream_calls import UpstreamCalls
from opentrail.app.upstreams import BehindUs
from opentrail.app.workers import Workers, open_workers
from opentrail.config import Settings, words
from opentrail.errors import ConfigError, OutboundError
from opentrail.gateway.admit import Admission
from opentrail.gateway.asgi import Application, Server, server
from opentrail.gateway.client_address import networks
from opentrail.gateway.entrance import Entrance
from opentrail.gateway.own_pages import Audience, MetricsPage, OwnPages
from opentrail.gateway.pipeline import Parts, Pipeline
from opentrail.gateway.s3_door import S3Door
from opentrail.gateway.service_door import ServiceDoor
from opentrail.gateway.spool import Spooling
from opentrail.local.certificates import CertificateFiles, ensure
from opentrail.processes.supervisor import Supervisor
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION
from opentrail.services.opentrail.reloading import ConfigurationReload
from opentrail.state.home import HomeLock, holder_of
from opentrail.state.private_files import write_private
from opentrail.version import __version__

log = logging.getLogger(__name__)

_SETTLE_S = 10.0


@dataclass(slots=True)
class _Serving:
    """What the event loop works with."""

    server: Server
    pipeline: Pipeline
    storage: ObjectStorage
    door: S3Door
    behind: BehindUs
    service_door: ServiceDoor
    ticks: Ticks
    calls: UpstreamCalls
    notifications: Notifications


class App:
    """One OpenTrail, from start to stop."""

    def __init__(
        self, world: World, *, reread: Callable[[], Settings] | None = None, accept_damage: bool = False
    ) -> None:
        """``reread`` reads the settings anew, for a reload; without it they stay as they are."""
        self._world = world
        self._reread = reread or (lambda: world.settings)
        self._reloading: Reloading | None = None
        self._accept_damage = accept_damage
        self._meters = Meters()
        self._serving: _Serving | None = None
        self._stop_asked = False
        self._failure: str | None = None

    def ask_to_stop(self) -> None:
        """Stop soon and cleanly; safe from a signal handler and from other threads."""
        self._stop_asked = True
        if self._serving is not None:
            self._serving.server.should_exit = True

    def ask_to_reload(self) -> None:
        """Put changed settings in force soon; safe from a signal handler. Before all runs there is nothing to do."""
        if self._reloading is not None:
            threading.Thread(target=self._reloading.reload_quietly, name="reload", daemon=True).start()

    def run(self, listen: Callable[[], socket.socket], say_ready: Callable[[str], None]) -> str | None:
        """Serve until asked to stop. ``listen`` takes the port, before anything is started; ``say_ready`` gets the URL.

        Answers why it had to stop by itself, or None. Raises ConfigError where HOME is in use or cannot be used, and
        what starting the parts raises.
        """
        home = self._world.home
        lock = HomeLock.acquire(home)
        if lock is None:
            running = (home.endpoint() or {}).get("url", "not ready yet")
            raise ConfigError(
                f"{home.root} is in use by process {holder_of(home)} ({running}); stop it, or use another --home"
            )
        with ExitStack() as stack:
            stack.callback(lock.release)
            listener = stack.enter_context(listen())
            home.endpoint_file.unlink(missing_ok=True)
            self._start(stack, listener, say_ready)
            if not self._stop_asked and self._serving is not None:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._serve(self._serving, listener))
        return self._failure

    def _start(self, stack: ExitStack, listener: socket.socket, say_ready: Callable[[str], None]) -> None:
        world = self._world
        core = Core(
            world,
            accept_damage=self._accept_damage,
            on_journal_failure=self._journal_failed,
            meters=self._meters,
        )
        stack.callback(core.close)
        core.snapshots.remove_left_over()
        supervisor = Supervisor(world.home.run / "children", world.clock)
        stack.callback(supervisor.stop_all)
        for orphan in supervisor.reap_orphans():
            log.warning("stopped %s, a child that a killed predecessor had left", orphan)
        workers = open_workers(
            core, supervisor, stack, url=self._url(listener), meters=self._meters, accept_damage=self._accept_damage
        )
        self._serving = self._assemble(workers, listener, say_ready)
        self._serving.ticks.start()
        stack.callback(self._serving.ticks.stop)
        stack.callback(self._serving.pipeline.close)

    def _assemble(self, workers: Workers, listener: socket.socket, say_ready: Callable[[str], None]) -> _Serving:
        core, storage, behind = workers.core, workers.storage, workers.behind
        world, settings = self._world, self._world.settings
        clock, entropy = world.clock, world.entropy
        certificate = self._certificate()
        base_hosts = ("localhost", *words(settings.gateway.hosts))
        admission = Admission(
            core.identities.directory, core.tokens, clock, entropy, region=DEFAULT_REGION, base_hosts=base_hosts
        )
        ticks = Ticks(core, admission.uses)
        door = S3Door(
            storage.upstream,
            core.buckets,
            core.database,
            core.recording,
            clock,
            entropy,
            directory=core.identities.directory,
            region=DEFAULT_REGION,
            default_owner=settings.upstream_s3.owner or None,
            base_hosts=base_hosts,
            not_served=storage.not_served,
            intents=settings.upstream_s3.intents,
            keys=object_keys(core, storage.upstream, served="kms" in core.hosted) if storage.is_embedded else None,
            keeps_lifecycles=storage.is_embedded,
        )
        entrance = Entrance(admission, core.recording, clock, default_region=DEFAULT_REGION)
        service_door = ServiceDoor(
            behind.upstreams,
            entrance,
            core.recording,
            clock,
            spooling=Spooling(world.home.run),
            directory=core.identities.directory,
            open_account_id=DEFAULT_ACCOUNT_ID,
        )

        pipeline = Pipeline(
            Parts(
                catalogue=core.catalogue,
                admission=admission,
                entrance=entrance,
                dispatcher=core.dispatcher,
                recording=core.recording,
                hosted=core.hosted,
                s3_door=door,
                upstreams=behind.upstreams,
                service_door=service_door,
                own_pages=OwnPages(
                    __version__, workers.reasons, self._metrics_page(workers), workers.notifications.documents
                ),
                appended=core.drain.appended,
                journal_failure=lambda: core.journal.failure,
            )
        )
        url = self._url(listener)
        tls = (str(certificate.chain), str(certificate.key)) if certificate else None

        def listening() -> None:
            self._publish(url, certificate)
            say_ready(url)

        application = Application(pipeline, clock, entropy, trusted_proxies=networks(settings.gateway.trusted_proxies))
        self._reloading = Reloading(settings, self._reread, Reloadable(behind, storage, door, application))
        reload = ConfigurationReload(self._reloading.reload, DEFAULT_ACCOUNT_ID)
        core.hosted["opentrail"] = core.hosted["opentrail"].joined_by(reload)
        return _Serving(
            server(application, tls, listening),
            pipeline,
            storage,
            door,
            behind,
            service_door,
            ticks,
            workers.calls,
            workers.notifications,
        )

    async def _serve(self, serving: _Serving, listener: socket.socket) -> None:
        serving.calls.attach(asyncio.get_running_loop())
        try:
            serving.notifications.start()
            adopted = await serving.door.adopt_existing()
            if adopted:
                log.info("%d buckets that the S3 server had already now have their owner", adopted)
            await serving.server.serve(sockets=[listener])
        except OutboundError as problem:
            self._failure = f"the S3 server does not answer: {problem}"
        finally:
            self._world.home.endpoint_file.unlink(missing_ok=True)
            settled = [await door.settle(_SETTLE_S) for door in (serving.door, serving.service_door)]
            if not all(settled):
                log.warning("some calls are still under way; the next start records that their outcome is unknown")
            await asyncio.to_thread(serving.notifications.stop)
            serving.calls.detach()
            await serving.storage.upstream.close()
            await serving.behind.close()

    def _metrics_page(self, workers: Workers) -> MetricsPage:
        core = workers.core
        metrics = Metrics(
            Sources(
                meters=self._meters,
                journal=core.journal,
                lag=lambda: workers.delivery.courier.lag,
                trails=lambda: core.trails.snapshot,
                upstreams=workers.upstream_states,
                waiting_since=workers.delivery.waiting_since,
                reasons=workers.reasons,
                lifecycle=workers.lifecycle.counts if workers.lifecycle is not None else dict,
                now=self._world.clock.now,
            )
        )
        return MetricsPage(Audience(self._world.settings.gateway.metrics), CONTENT_TYPE, metrics.page)

    def _journal_failed(self, reason: str) -> None:
        """The disk refused evidence: stop serving, and say why with the exit code."""
        log.critical("the journal failed, so OpenTrail stops: %s", reason)
        self._failure = f"the journal failed: {reason}"
        self.ask_to_stop()

    def _certificate(self) -> CertificateFiles | None:
        gateway = self._world.settings.gateway
        if not gateway.tls:
            return None
        if gateway.tls_certificate:
            return CertificateFiles(Path(gateway.tls_certificate), Path(gateway.tls_key), Path())
        hosts = dict.fromkeys(("localhost", "127.0.0.1", "*.localhost", gateway.host, *words(gateway.hosts)))
        return ensure(self._world.home.tls, tuple(hosts), self._world.clock.now())

    def _url(self, listener: socket.socket) -> str:
        gateway = self._world.settings.gateway
        port = listener.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(gateway.host, gateway.host)  # noqa: S104 - the user's choice
        return f"{'https' if gateway.tls else 'http'}://{host}:{port}"

    def _publish(self, url: str, certificate: CertificateFiles | None) -> None:
        """Tell other commands on this machine where we answer."""
        install_models(self._world.home)
        facts: dict[str, object] = {"url": url, "pid": os.getpid()}
        if certificate is not None and certificate.authority.name:
            facts["authority"] = str(certificate.authority)
        write_private(self._world.home.endpoint_file, orjson.dumps(facts))
