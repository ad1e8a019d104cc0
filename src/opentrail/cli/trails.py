"""``opentrail trails``: trails and what keeps their log files safe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opentrail.cli.clients import client
from opentrail.cli.env import variables
from opentrail.cli.hardening import Measure, measure_of_trail, measures_of_bucket
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of
from opentrail.cli.trail_buckets import Buckets
from opentrail.errors import ConfigError, OutboundError

DEFAULT_EXPIRE_DAYS = 2557
"""Seven years, as CloudTrail Lake's own default (cloudtrail fact sheet 9.1)."""
_LONGEST_DAYS = 36_525

commands = typer.Typer(help="Trails.", no_args_is_help=True)


@commands.callback()
def _group() -> None:
    """Trails."""


@commands.command("harden")
def harden(
    trail: Annotated[str | None, typer.Option("--trail", metavar="NAME", help="Only this one [default: all].")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")] = False,
    expire_days: Annotated[
        int, typer.Option("--expire-days", metavar="N", help="How long log files are kept where no rule says so.")
    ] = DEFAULT_EXPIRE_DAYS,
    keeper: Annotated[
        list[str] | None,
        typer.Option("--keeper", metavar="ARN", help="Who may delete log files besides the account's root."),
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recommend, and with --apply put in force, what keeps log files safe. Exit 0: nothing left to do; 1: something."""
    if not 1 <= expire_days <= _LONGEST_DAYS:
        raise ConfigError(f"--expire-days must be between 1 and {_LONGEST_DAYS}")
    place = home_of(home)
    environment = variables(place, settings_of(place, config))
    keepers = [f"arn:aws:iam::{environment['OPENTRAIL_ACCOUNT_ID']}:root", *(keeper or [])]
    found = list(_measures(environment, trail, keepers, expire_days, apply=apply))
    if as_json:
        print(json.dumps([asdict(measure) for measure in found]))
    else:
        _show(found, applied=apply)
    if any(measure.state in ("missing", "by hand", "failed") for measure in found):
        raise typer.Exit(1)


def _measures(
    environment: Mapping[str, str], name: str | None, keepers: list[str], expire_days: int, *, apply: bool
) -> Iterator[Measure]:
    from botocore.exceptions import BotoCoreError

    try:
        trails = [one for one in _trails(environment) if name in (None, one["Name"], one["TrailARN"])]
        if name is not None and not trails:
            raise ConfigError(f"no trail is called {name}")
        buckets = Buckets(environment)
        for bucket in dict.fromkeys(one["S3BucketName"] for one in trails):
            roots = dict.fromkeys(
                root for one in trails if one["S3BucketName"] == bucket for root in buckets.roots(one)
            )
            for measure in measures_of_bucket(buckets.facts(bucket, tuple(roots)), keepers, expire_days):
                todo = apply and measure.state == "missing"
                yield _outcome(measure, buckets.apply(bucket, measure)) if todo else measure
        for one in trails:
            measure = measure_of_trail(one["Name"], is_validated=one["LogFileValidationEnabled"])
            todo = apply and measure.state == "missing"
            yield _outcome(measure, buckets.validate_from_now_on(one)) if todo else measure
    except BotoCoreError as error:
        raise OutboundError("NotReachable", f"{environment['AWS_ENDPOINT_URL']} does not answer: {error}") from error


def _trails(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The trails of the default account that its key sees. Raises OutboundError where it may not."""
    from botocore.exceptions import ClientError

    try:
        found: list[dict[str, Any]] = client(environment, "cloudtrail").describe_trails()["trailList"]
    except ClientError as error:
        raise OutboundError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
    return found


def _outcome(measure: Measure, code: str | None) -> Measure:
    if code in ("NotImplemented", "MethodNotAllowed"):
        return replace(measure, state="unavailable", detail=f"the S3 server has none ({code})")
    if code is not None:
        return replace(measure, state="failed", detail=f"refused: {code}")
    return replace(measure, state="applied")


def _show(measures: list[Measure], *, applied: bool) -> None:
    console = Console(soft_wrap=True)
    if not measures:
        console.print("no trails")
        return
    table = Table("what", "measure", "state", "detail")
    colours = {"ok": "green", "applied": "green", "unavailable": "yellow"}
    for one in measures:
        state = Text(one.state, colours.get(one.state, "red"))
        table.add_row(Text(one.subject), Text(one.measure), state, Text(one.detail))
    console.print(table)
    if not applied and any(one.state == "missing" for one in measures):
        console.print("nothing was changed; --apply puts what is missing in force")
