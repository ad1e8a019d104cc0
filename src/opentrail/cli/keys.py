"""``opentrail keys``: access key pairs that callers bring along."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from opentrail.cli.connection import call_opentrail
from opentrail.cli.options import ConfigOption, HomeOption, JsonOption, home_of, settings_of
from opentrail.errors import ConfigError

_FROM_STDIN = "-"

commands = typer.Typer(help="Access keys.", no_args_is_help=True)


@commands.command("import")
def import_key(
    account: Annotated[str, typer.Option("--account", help="Account the key belongs to.")],
    access_key_id: Annotated[str, typer.Option("--access-key-id", help="Its id.")],
    secret_access_key: Annotated[
        str, typer.Option("--secret-access-key", help="Its secret; `-` reads it from standard input, unseen by `ps`.")
    ],
    root: Annotated[bool, typer.Option("--root", help="It is the account's root key.")] = False,
    user: Annotated[str | None, typer.Option("--user", help="It is this IAM user's key.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Attach AdministratorAccess to the user.")] = False,
    role: Annotated[str | None, typer.Option("--role", help="It is a session of this role.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Name of that session.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an existing key pair known."""
    request: dict[str, object] = {"AccountId": account, "AccessKeyId": access_key_id}
    request |= _owner(root, user, role, session)
    if admin:
        request["Admin"] = True
    request["SecretAccessKey"] = sys.stdin.readline().strip() if secret_access_key == _FROM_STDIN else secret_access_key
    place = home_of(home)
    answer = call_opentrail(place, settings_of(place, config), "ImportAccessKey", request)
    print(json.dumps(dict(answer)) if as_json else f"access key {answer['AccessKeyId']} signs as {answer['Arn']}")


def _owner(root: bool, user: str | None, role: str | None, session: str | None) -> Mapping[str, object]:
    """The owner's members of the request. Raises ConfigError unless exactly one kind is named."""
    if [root, user is not None, role is not None].count(True) != 1:
        raise ConfigError("say whose key it is: one of --root, --user NAME, --role NAME")
    if session is not None and role is None:
        raise ConfigError("--session goes with --role")
    if root:
        return {"OwnerType": "Root"}
    if user is not None:
        return {"OwnerType": "User", "OwnerName": user}
    return {"OwnerType": "Role", "OwnerName": role} | ({"SessionName": session} if session else {})
