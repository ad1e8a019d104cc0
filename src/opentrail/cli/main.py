"""The ``opentrail`` command: its groups, and how errors end it.

Exit codes: 0 good, 1 a finding or failure, 2 wrong use. Errors are one line each on standard error.
"""

import sys

import typer

from opentrail.cli import accounts, backup, demo, doctor, env, keys, policy, reload, trails, up, validate
from opentrail.errors import ConfigError, OpenTrailError
from opentrail.version import __version__

application = typer.Typer(
    name="opentrail",
    help="CloudTrail you can run yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.command("up")(up.up)
application.command("validate")(validate.validate_command)
application.command("backup")(backup.backup)
application.command("restore")(backup.restore)
application.command("env")(env.env)
application.command("demo")(demo.demo)
application.command("doctor")(doctor.doctor)
application.command("reload")(reload.reload)
application.add_typer(accounts.commands, name="accounts")
application.add_typer(keys.commands, name="keys")
application.add_typer(policy.commands, name="policy")
application.add_typer(trails.commands, name="trails")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"opentrail {__version__}")
        raise typer.Exit


@application.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """CloudTrail you can run yourself."""


def main() -> None:
    """Run the command line and exit with its code; wrong options and the like end in typer with code 2."""
    try:
        application()
    except ConfigError as error:
        _complain(*error.problems)
        sys.exit(2)
    except OpenTrailError as error:
        _complain(str(error))
        sys.exit(1)


def _complain(*sentences: str) -> None:
    for sentence in sentences:
        print(f"opentrail: {sentence}", file=sys.stderr)
