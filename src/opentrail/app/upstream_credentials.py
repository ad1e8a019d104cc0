"""From an ``[upstream.NAME]`` section to what the upstream client needs, credentials read from their file."""

import configparser
from pathlib import Path

from opentrail.config import ACCOUNT_CREDENTIALS, UpstreamSettings
from opentrail.errors import ConfigError
from opentrail.gateway.upstream import UpstreamSettings as Where

_ACCOUNTS_SECRET = "opentrail"  # noqa: S105 - emulators tell tenants apart by the key id and look at no secret


def target_settings(settings: UpstreamSettings, *, region: str) -> Where:
    """Where an upstream is and how to sign for it; ``region`` empty: the caller's.

    Raises ConfigError that names the credentials file and never its content.
    """
    key, secret = "", _ACCOUNTS_SECRET
    if settings.credentials != ACCOUNT_CREDENTIALS:
        key, secret = _shared_credentials(Path(settings.credentials).expanduser(), settings.profile)
    return Where(
        settings.endpoint,
        region,
        key,
        secret,
        connect_timeout_s=settings.connect_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        max_connections=settings.max_connections,
    )


def _shared_credentials(path: Path, profile: str) -> tuple[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open() as file:
            parser.read_file(file)
        section = parser[profile]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (OSError, KeyError, UnicodeDecodeError, configparser.Error):
        # Not chained: the parser's own message may show a line of the file.
        raise ConfigError(f"{path} holds no access key of profile `{profile}` in AWS's form") from None
