"""The userdata script: it joins a machine to a Chef server and runs the Chef client there.

Pure. Rules: opsworks-cm fact sheet 7.2. The script is ``userdata.sh`` beside this module with a server's facts filled
in, each quoted for the shell. It signs its two API calls itself, since no current AWS CLI knows the service.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from opentrail.errors import ApiError
from opentrail.opsworks.nodes import DEFAULT_ORGANIZATION

USERDATA = "Userdata"
"""The only attribute that ExportServerEngineAttribute has."""

_PLACE = re.compile(r"@([A-Z_]+)@")
_RUN_LIST_ITEM = r"(?:recipe\[[A-Za-z0-9_.:@-]+\]|role\[[A-Za-z0-9_.:-]+\]|[A-Za-z0-9_.:@-]+)"
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "RunList": (
        re.compile(rf"(?:{_RUN_LIST_ITEM}(?:, *{_RUN_LIST_ITEM})*)?", re.ASCII),
        "recipes and roles, separated by commas",
    ),
    "OrganizationName": (re.compile(DEFAULT_ORGANIZATION), f"'{DEFAULT_ORGANIZATION}', the only organization there is"),
    "NodeEnvironment": (re.compile(r"[A-Za-z0-9_-]*", re.ASCII), "the name of a Chef environment"),
    "NodeClientVersion": (re.compile(r"(?:\d+(?:\.\d+){0,2})?", re.ASCII), "a version of the form x.y.z, or empty"),
}


@dataclass(frozen=True, slots=True)
class NodeChoices:
    """What the caller of ExportServerEngineAttribute says of the nodes; empty where nothing."""

    run_list: str = ""
    environment: str = ""
    client_version: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a script is made with. ``chef_url`` and ``api_url`` are URLs without a path, the latter empty where it is
    not known; ``root_ca`` is the certificate (PEM) to trust for the former, empty where the system's do.
    """

    name: str
    endpoint: str
    region: str
    chef_url: str
    api_url: str
    root_ca: str = ""


def read_choices(given: Sequence[Mapping[str, str]]) -> NodeChoices:
    """Read the ``InputAttributes``.

    Raises ApiError ValidationException for a name that is not one of them, one given twice, and a value of another
    form; it never repeats a value.
    """
    values: dict[str, str] = {}
    for attribute in given:
        name, value = attribute.get("Name", ""), attribute.get("Value", "")
        if name not in _FORMS:
            raise ApiError("ValidationException", f"Input attribute {name[:64]!r} is not one of {', '.join(_FORMS)}")
        if name in values:
            raise ApiError("ValidationException", f"Input attribute {name} was given more than once")
        form, meaning = _FORMS[name]
        if not form.fullmatch(value):
            raise ApiError("ValidationException", f"Input attribute {name} must be {meaning}")
        values[name] = value
    return NodeChoices(
        values.get("RunList", ""), values.get("NodeEnvironment", ""), values.get("NodeClientVersion", "")
    )


def userdata_script(server: ServerFacts, choices: NodeChoices = NodeChoices()) -> str:
    """The script for a server's nodes."""
    values = {
        "SERVER_NAME": server.name,
        "SERVER_ENDPOINT": server.endpoint,
        "SERVER_URL": server.chef_url,
        "REGION": server.region,
        "ORGANIZATION": DEFAULT_ORGANIZATION,
        "ENVIRONMENT": choices.environment,
        "RUN_LIST": choices.run_list,
        "CLIENT_VERSION": choices.client_version,
        "API_URL": server.api_url,
        "ROOT_CA": server.root_ca.strip(),
    }
    return _PLACE.sub(lambda place: shlex.quote(values[place[1]]), _TEMPLATE)


_TEMPLATE = resources.files("opentrail.opsworks").joinpath("userdata.sh").read_text("utf-8")
