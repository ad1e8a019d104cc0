"""``opentrail reload``: put a changed configuration in force without a restart."""

import json

import typer
from rich.console import Console
from rich.text import Text

from opentrail.cli.connection import call_opentrail
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of
from opentrail.errors import OutboundError
from opentrail.state.home import HomeLock


def reload(home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration, then let the running OpenTrail take it over. Exit 1 where something needs a restart."""
    place = home_of(home)
    settings = settings_of(place, config)
    lock = HomeLock.acquire(place) if place.root.exists() else None
    if lock is not None or not place.root.exists():
        if lock is not None:
            lock.release()
        raise OutboundError("NotRunning", f"no OpenTrail runs on {place.root}; the configuration is read at its start")
    outcome = call_opentrail(place, settings, "ReloadConfiguration", {})
    applied, waiting = outcome["Applied"], outcome["WaitingForRestart"]
    if as_json:
        print(json.dumps({"applied": applied, "waitingForRestart": waiting}))
    else:
        console = Console()
        console.print(Text(f"in force now: {', '.join(applied) or 'nothing changed'}"))
        if waiting:
            console.print(Text(f"waiting for a restart: {', '.join(waiting)}"))
    if waiting:
        raise typer.Exit(1)
