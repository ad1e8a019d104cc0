"""``opentrail accounts``: the tenants of this OpenTrail."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.connection import call_opentrail
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of

commands = typer.Typer(help="Accounts.", no_args_is_help=True)


@commands.command("create")
def create(
    account_id: Annotated[str, typer.Argument(metavar="ID", help="Twelve digits.")],
    name: Annotated[str | None, typer.Option("--name", help="A name for people [default: the id].")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an account."""
    place = home_of(home)
    request = {"AccountId": account_id} | ({"Name": name} if name else {})
    account = call_opentrail(place, settings_of(place, config), "CreateAccount", request)["Account"]
    if as_json:
        print(json.dumps(_plain(account)))
    else:
        Console().print(Text(f"account {account['AccountId']} created"))


@commands.command("list")
def list_all(home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the accounts."""
    place = home_of(home)
    found = call_opentrail(place, settings_of(place, config), "ListAccounts", {})["Accounts"]
    if as_json:
        print(json.dumps([_plain(account) for account in found]))
        return
    table = Table("account", "name", "created")
    for account in found:
        plain = _plain(account)
        table.add_row(*(Text(plain[column]) for column in ("AccountId", "Name", "CreatedAt")))
    Console().print(table)


def _plain(account: dict[str, object]) -> dict[str, str]:
    """An account's members as text. Times come as such from the gateway, and as epoch seconds from HOME itself."""
    return {name: _text(value) for name, value in account.items()}


def _text(value: object) -> str:
    if isinstance(value, int | float):
        value = datetime.fromtimestamp(value, UTC)
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
