"""``opentrail demo``: the main job, narrated: a Chef server made through the AWS API, its record in a bucket."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.json import JSON

from opentrail.cli import scenes
from opentrail.cli.env import variables
from opentrail.cli.options import HomeOption, home_of, settings_of
from opentrail.errors import OutboundError
from opentrail.state.home import Home, HomeLock

_DELIVERY_INTERVAL_S = "5"


def demo(
    home: HomeOption = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when everything has been shown.")] = False,
) -> None:
    """Start OpenTrail, make a Chef server through boto3, and show the CloudTrail record of that very call."""
    place = home_of(home)
    screen = Console(highlight=False, soft_wrap=True)
    server = None if _already_runs(place) else _start(place, port, screen)
    try:
        _perform(place, screen, stays=not once or server is None)
        if once or server is None:
            return
        screen.print("\n[bold]OpenTrail stays up; Ctrl-C stops it.[/bold]")
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if server is not None:
            _stop(server)


def _already_runs(home: Home) -> bool:
    lock = HomeLock.acquire(home)
    if lock is not None:
        lock.release()
    return lock is None


def _start(home: Home, port: int | None, screen: Console) -> "subprocess.Popen[str]":
    """Start ``opentrail up`` and wait until it is ready. Raises OutboundError where it ends instead."""
    screen.print("[bold]1[/bold] starting OpenTrail (gateway, journal, SeaweedFS) ...")
    command = [sys.executable, "-m", "opentrail", "up", "--home", str(home.root)]
    command += [] if port is None else ["--port", str(port)]
    environment = {"OPENTRAIL_DELIVERY_INTERVAL_S": _DELIVERY_INTERVAL_S, "OPENTRAIL_LOG_LEVEL": "warning"} | os.environ
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line.startswith("ready "):
        raise OutboundError("NotReady", f"`opentrail up` ended with code {server.wait()}; see the lines above")
    screen.print(f"  {line.strip()}")
    return server


def _stop(server: "subprocess.Popen[str]") -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _perform(home: Home, screen: Console, *, stays: bool) -> None:
    environment = variables(home, settings_of(home, None))
    screen.print("[bold]2[/bold] a bucket whose policy lets CloudTrail write, and a trail that logs to it ...")
    bucket = scenes.ensure_trail(environment)
    screen.print(f"  trail [cyan]{scenes.TRAIL}[/cyan] -> [cyan]s3://{bucket}[/cyan]")
    screen.print("[bold]3[/bold] a role session's access key, and a Chef server made with it through boto3 ...")
    chef = scenes.role_session(environment)
    request_id = scenes.create_server(chef, environment["OPENTRAIL_ACCOUNT_ID"])
    screen.print(f"  CreateServer accepted, request [cyan]{request_id}[/cyan]; the engine starts ...")
    endpoint = scenes.wait_healthy(chef)
    screen.print(f"  server [cyan]{scenes.SERVER}[/cyan] is [green]HEALTHY[/green] ({endpoint})")
    screen.print("[bold]4[/bold] a backup ...")
    screen.print(f"  backup [cyan]{scenes.back_up(chef)}[/cyan] is [green]OK[/green]")
    screen.print("[bold]5[/bold] waiting for the log file with the record of that CreateServer call ...")
    key, record = scenes.wait_record(environment, bucket, request_id)
    _show_record(screen, bucket, key, record)
    _show_next(screen, home, (bucket, key), stays=stays)


def _show_record(screen: Console, bucket: str, key: str, record: dict[str, Any]) -> None:
    screen.print(f"  [cyan]s3://{bucket}/{key}[/cyan]\n")
    screen.print(JSON.from_data(record))


def _show_next(screen: Console, home: Home, place: tuple[str, str], *, stays: bool) -> None:
    bucket, key = place
    command = Path(sys.executable).with_name("opentrail")
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    where = "" if home == home_of(None) else f" --home {home.root}"
    screen.print("\n[bold]Go on, in another terminal:[/bold]")
    if not stays:
        screen.print(f"  {command} up{where} &")
    screen.print(f'  eval "$({command} env{where})"')
    screen.print("  aws opsworkscm describe-servers")
    screen.print(f"  aws cloudtrail get-trail-status --name {scenes.TRAIL}")
    screen.print(f"  aws s3 cp s3://{bucket}/{key} - | gunzip")
