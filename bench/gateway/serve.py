"""The gateway as the benchmark runs it: the product's own parts, with and without capture.

``capture=off`` is no setting of the product, which never runs without evidence. It is made here, by giving the doors a
recorder that keeps nothing: no record is built, no intent written, nothing flushed. Everything else is as in ``up``
with one upstream: server, signatures, decoding, policies, forwarding. What is left out on both sides is what costs
nothing per call: trails' delivery (no trail is there), the S3 door, Chef servers.

    python -m bench.gateway.serve HOME PORT UPSTREAM_PORT [--capture off] [--intents off] [--profile FILE]
"""

import argparse
import asyncio
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import orjson
import uvloop

from bench.gateway.load import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bench.gateway.sampling import Sampler
from opentrail.app.callers import host_identity_services
from opentrail.app.core import Core, World
from opentrail.app.upstreams import BehindUs
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import ACCOUNT_CREDENTIALS, Settings, UpstreamSettings
from opentrail.config.settings import LocalSettings
from opentrail.errors import ApiError
from opentrail.events.call import Call, Outcome
from opentrail.gateway.admit import Admission
from opentrail.gateway.asgi import Application, server
from opentrail.gateway.entrance import Entrance
from opentrail.gateway.exchange import Caller, Incoming, Intended, Outgoing, Recorder
from opentrail.gateway.own_pages import Audience, MetricsPage, OwnPages
from opentrail.gateway.pipeline import Parts, Pipeline
from opentrail.gateway.service_door import ServiceDoor
from opentrail.gateway.spool import Spooling
from opentrail.identity.store import KeyOwner
from opentrail.processes.supervisor import Supervisor
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION
from opentrail.state.home import Home, HomeLock

SUMMARY = "benchmark.json"


class NoEvidence:
    """A recorder that keeps nothing."""

    async def record(self, call: Call, outcome: Outcome, *, also_for: tuple[str, ...] = ()) -> None:
        """Forget a call."""

    async def intend(
        self,
        call: Call,  # noqa: ARG002 - the recorder's signature
        *,
        resources: tuple[Mapping[str, str], ...] = (),  # noqa: ARG002
        also_for: tuple[str, ...] = (),  # noqa: ARG002
    ) -> Intended:
        """Announce nothing."""
        return self

    async def conclude(self, intended: Intended, call: Call, outcome: Outcome) -> None:
        """Forget how a call ended."""


class NoS3:
    """Where the S3 door would be; the benchmark does not call it."""

    async def handle(self, _incoming: Incoming, _caller: Caller, /) -> Outgoing:
        """Not served."""
        raise ApiError("NotImplemented", "the benchmark has no S3", status=501)

    async def refuse(self, _incoming: Incoming, error: ApiError, _caller: Caller | None, /) -> Outgoing:
        """Not served either."""
        return Outgoing(error.status)


def settings_for(upstream_port: int, *, intents: bool) -> Settings:
    """One upstream that serves DynamoDB, and nothing embedded."""
    upstream = UpstreamSettings(
        endpoint=f"http://127.0.0.1:{upstream_port}",
        services=("dynamodb",),
        credentials=ACCOUNT_CREDENTIALS,
        intents=intents,
    )
    return Settings(local=LocalSettings(ministack="off"), upstreams={"bench": upstream})


def _pipeline(core: Core, behind: BehindUs, recorder: Recorder) -> Pipeline:
    clock, directory = core.world.clock, core.identities.directory
    admission = Admission(directory, core.tokens, clock, core.world.entropy, region=DEFAULT_REGION)
    entrance = Entrance(admission, recorder, clock, default_region=DEFAULT_REGION)
    spooling = Spooling(core.world.home.run)
    door = ServiceDoor(
        behind.upstreams,
        entrance,
        recorder,
        clock,
        spooling=spooling,
        directory=directory,
        open_account_id=DEFAULT_ACCOUNT_ID,
    )
    return Pipeline(
        Parts(
            catalogue=core.catalogue,
            admission=admission,
            entrance=entrance,
            dispatcher=core.dispatcher,
            recording=core.recording,
            hosted=core.hosted,
            s3_door=NoS3(),
            upstreams=behind.upstreams,
            service_door=door,
            own_pages=OwnPages("benchmark", list, MetricsPage(Audience.NOBODY, "", bytes)),
            appended=core.drain.appended,
            journal_failure=lambda: core.journal.failure,
        )
    )


def _know_the_caller(core: Core) -> None:
    """A user with AdministratorAccess: his policies are evaluated, unlike root's."""
    with core.database.unit() as unit:
        pair = (ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        at = core.world.clock.now()
        core.identities.import_key(unit, DEFAULT_ACCOUNT_ID, KeyOwner.user("ada"), pair, at=at, admin=True)


async def _serve(pipeline: Pipeline, behind: BehindUs, core: Core, port: int) -> None:
    clock, entropy = core.world.clock, core.world.entropy
    serving = server(Application(pipeline, clock, entropy), None, lambda: None)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        serving.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    with socket.create_server(("127.0.0.1", port), backlog=2048) as listener:
        await serving.serve(sockets=[listener])
    await behind.close()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("upstream_port", type=int)
    parser.add_argument("--capture", choices=("on", "off"), default="on")
    parser.add_argument("--intents", choices=("on", "off"), default="on")
    parser.add_argument("--profile", type=Path, help="sample from SIGUSR1 on, and write what was found here")
    return parser.parse_args()


def _opened(home: Home, settings: Settings) -> Core:
    """Everything but the server, in a HOME that nobody uses."""
    if HomeLock.acquire(home) is None:
        raise SystemExit("HOME is in use")
    core = Core(World(home, settings, SystemClock(), SystemEntropy()))
    host_identity_services(core)
    _know_the_caller(core)
    home.run.mkdir(exist_ok=True)
    while not core.journal.stats().spare_segments:  # a running journal has its next segment ready
        time.sleep(0.01)
    return core


def main() -> None:
    """Serve until SIGTERM; then write how many frames are durable, and the profile where one was asked for."""
    asked = _asked()
    home = Home(asked.home)
    core = _opened(home, settings_for(asked.upstream_port, intents=asked.intents == "on"))
    behind = BehindUs(core.world, core.catalogue, Supervisor(home.run / "children", core.world.clock))
    pipeline = _pipeline(core, behind, core.recording if asked.capture == "on" else NoEvidence())
    sampler = Sampler() if asked.profile else None
    if sampler is not None:
        signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    before = core.journal.durable_sequence
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(pipeline, behind, core, asked.port))
    if sampler is not None:
        asked.profile.write_bytes(orjson.dumps(sampler.report()))
    (home.root / SUMMARY).write_bytes(orjson.dumps({"frames": core.journal.durable_sequence - before}))
    pipeline.close()
    core.close()


if __name__ == "__main__":
    main()
