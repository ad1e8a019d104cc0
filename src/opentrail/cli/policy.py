"""``opentrail policy``: questions about what callers may do."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.connection import call_opentrail
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of
from opentrail.errors import ConfigError

commands = typer.Typer(help="Policies.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """Policies."""


@commands.command("simulate")
def simulate(
    principal: Annotated[str, typer.Option("--principal", metavar="ARN", help="Root, user, role or role session.")],
    action: Annotated[str, typer.Option("--action", help="Such as `cloudtrail:StopLogging`.")],
    resource: Annotated[str, typer.Option("--resource", help="ARN of what it is about.")] = "*",
    context: Annotated[
        list[str] | None, typer.Option("--context", metavar="KEY=VALUE", help="Condition key; again for more values.")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """May this principal do this, and which statement decides? Exit code 0: allowed; 1: denied."""
    place = home_of(home)
    request: dict[str, Any] = {"PrincipalArn": principal, "Action": action, "Resource": resource}
    if context:
        request["Context"] = _entries(context)
    answer = dict(call_opentrail(place, settings_of(place, config), "SimulatePolicy", request))
    if as_json:
        print(json.dumps(answer))
    else:
        _show(answer)
    if not answer["Allowed"]:
        raise typer.Exit(1)


def _entries(texts: list[str]) -> list[dict[str, Any]]:
    """``key=value`` options as the request's context; values of one key come together. Raises ConfigError."""
    found: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError(f"--context takes KEY=VALUE, not {text!r}")
        found.setdefault(key, []).append(value)
    return [{"Key": key, "Values": values} for key, values in found.items()]


def _show(answer: dict[str, Any]) -> None:
    console = Console(soft_wrap=True)
    console.print(Text(f"{'allowed' if answer['Allowed'] else 'denied'} by {_decider(answer)}"))
    if answer.get("Reason"):
        console.print(Text(answer["Reason"]))
    if answer.get("Considered"):
        table = Table("policy", "kind", "says", "statement")
        for one in answer["Considered"]:
            cells = (one.get("Policy"), one.get("PolicyType"), one.get("Decision"), one.get("Statement"))
            table.add_row(*(Text(cell or "") for cell in cells))
        console.print(table)


def _decider(answer: dict[str, Any]) -> str:
    """What decided: a statement of a policy, or nothing (implicit deny; root without policies)."""
    if not answer.get("Policy"):
        return "default: no statement says otherwise"
    return f"{answer.get('Statement') or 'a statement'} of {answer['Policy']} ({answer.get('PolicyType')})"
