"""``opentrail env``: shell lines that point AWS tools at OpenTrail."""

import shlex

from opentrail.app.models import install_models
from opentrail.cli.connection import root_key
from opentrail.cli.options import ConfigOption, HomeOption, home_of, settings_of
from opentrail.config import Settings
from opentrail.services.defaults import DEFAULT_ACCOUNT_ID, DEFAULT_REGION
from opentrail.state.home import Home


def env(home: HomeOption = None, config: ConfigOption = None) -> None:
    """Print `export NAME='value'` lines for `eval "$(opentrail env)"`."""
    place = home_of(home)
    for name, value in variables(place, settings_of(place, config)).items():
        print(f"export {name}={quoted(value)}")


def variables(home: Home, settings: Settings) -> dict[str, str]:
    """The environment of AWS tools that talk to this OpenTrail. Raises ConfigError where HOME holds none yet."""
    key, secret = root_key(home)
    facts = home.endpoint() or {}
    scheme = "https" if settings.gateway.tls else "http"
    install_models(home)
    found = {
        "AWS_ENDPOINT_URL": facts.get("url") or f"{scheme}://{settings.gateway.host}:{settings.gateway.port}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_DATA_PATH": str(home.models),
        "OPENTRAIL_ACCOUNT_ID": DEFAULT_ACCOUNT_ID,
        "OPENTRAIL_CONSOLE_URL": "",
    }
    authority = facts.get("authority")
    found |= {"AWS_CA_BUNDLE": authority} if authority else {}
    return found | ({"OPENTRAIL_CHEF_CA": str(home.chef_authority)} if home.chef_authority.exists() else {})


def quoted(value: str) -> str:
    """A value in single quotes, safe for a POSIX shell."""
    text = shlex.quote(value)
    return text if text.startswith("'") else f"'{text}'"
