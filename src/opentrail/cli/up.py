"""``opentrail up``: run everything until told to stop."""

import signal
import socket
import sys
from dataclasses import replace
from types import FrameType
from typing import Annotated

import typer

from opentrail.cli.options import ConfigOption, HomeOption, home_of, settings_of
from opentrail.clock import SystemClock, SystemEntropy
from opentrail.config import Settings
from opentrail.errors import ConfigError
from opentrail.logs import configure_logging
from opentrail.processes.service_notice import READY, STOPPING, notify


def up(
    home: HomeOption = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS.")] = False,
    accept_damage: Annotated[
        bool, typer.Option("--accept-damage", help="Start although the journal is damaged; what is lost is recorded.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Run everything. Prints `ready URL` when usable; SIGTERM or Ctrl-C stops cleanly, SIGHUP reloads."""
    from opentrail.app.core import World
    from opentrail.app.running import App

    place = home_of(home)

    def settings_now() -> Settings:
        return _overridden(settings_of(place, config), port, tls)

    settings = settings_now()
    configure_logging(settings.log.level, settings.log.format)
    world = World(place, settings, SystemClock(), SystemEntropy())
    app = App(world, reread=settings_now, accept_damage=accept_damage)

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        notify(STOPPING)
        app.ask_to_stop()

    def ask_to_reload(_signal: int, _frame: FrameType | None) -> None:
        app.ask_to_reload()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    signal.signal(signal.SIGHUP, ask_to_reload)
    failed = app.run(lambda: listen(settings), _say_ready)
    if failed:
        print(f"opentrail: {failed}", file=sys.stderr)
        raise typer.Exit(1)


def _say_ready(url: str) -> None:
    print(f"ready {url}", flush=True)
    notify(READY)


def _overridden(settings: Settings, port: int | None, tls: bool) -> Settings:
    gateway = settings.gateway
    return replace(
        settings, gateway=replace(gateway, port=gateway.port if port is None else port, tls=gateway.tls or tls)
    )


def listen(settings: Settings) -> socket.socket:
    """Take the port before anything is started. Raises ConfigError where that is not possible."""
    host, port = settings.gateway.host, settings.gateway.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as problem:
        listener.close()
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another with --port") from problem
    return listener
