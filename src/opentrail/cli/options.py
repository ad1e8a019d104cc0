"""Options that several commands share, and how they become settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from opentrail.config import Settings, load
from opentrail.state.home import Home

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Directory of everything kept [default: $OPENTRAIL_HOME, then XDG data].")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Configuration file [default: HOME/opentrail.toml].")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]


def home_of(option: Path | None) -> Home:
    """The HOME that is meant: the option, $OPENTRAIL_HOME, or the XDG data directory."""
    if option is not None:
        return Home(option.expanduser().absolute())
    if os.environ.get("OPENTRAIL_HOME"):
        return Home(Path(os.environ["OPENTRAIL_HOME"]).expanduser().absolute())
    data = os.environ.get("XDG_DATA_HOME")
    return Home((Path(data) if data else Path.home() / ".local" / "share") / "opentrail")


def settings_of(home: Home, config: Path | None) -> Settings:
    """The settings for a HOME: an explicit file must exist, HOME's own may be absent. Raises ConfigError."""
    if config is not None:
        return load(config)
    return load(home.config if home.config.exists() else None)
